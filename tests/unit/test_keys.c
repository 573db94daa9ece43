/* keys: files of a home: who may open them, what survives a restart, and how dossier keys come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/bare_home.h"

static const struct key_new least = {.mem_mib = 64, .ops = 2};

static void modes_and_restart(void **state)
{
	static const char *const files[] = {"device.key", "kx.key", "org.key"};
	uint8_t pk[32], again[32], org_pk[32], kx_pk[32], kx_again[32], sk[32];
	char path[400];
	struct stat st;
	uint32_t serial;
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	h.passphrase = "a long one";
	keys_sign_pk(h.c, KEY_DEVICE, pk);
	assert_true(keys_kx_newest(h.c, &serial, kx_pk));
	assert_int_equal(serial, 1);
	assert_int_equal(keys_create(h.c, KEY_ORG, &least), RK_OK);
	keys_sign_pk(h.c, KEY_ORG, org_pk);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", h.path, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	bare_reopen(&h);
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_OK);
	keys_sign_pk(h.c, KEY_DEVICE, again);
	assert_memory_equal(pk, again, 32);
	assert_true(keys_kx(h.c, 1, kx_again, sk));
	assert_memory_equal(kx_pk, kx_again, 32);
	assert_false(keys_kx(h.c, 2, kx_again, sk));
	assert_int_equal(keys_unlock(h.c, KEY_ORG), RK_OK);
	keys_sign_pk(h.c, KEY_ORG, again);
	assert_memory_equal(org_pk, again, 32);
	assert_int_equal(keys_unlock(h.c, KEY_ROOT), RK_ENOTJOINED);
	bare_end(&h);
}

static void passphrases(void **state)
{
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	/* Only a device may do without one. */
	assert_int_equal(keys_create(h.c, KEY_ORG, &(struct key_new){.no_passphrase = true}), RK_EUSAGE);
	assert_false(keys_exists(h.c, KEY_ORG));
	assert_int_equal(keys_create(h.c, KEY_ORG, &least), RK_EPASSPHRASE);
	h.passphrase = "right";
	assert_int_equal(keys_create(h.c, KEY_ORG, &(struct key_new){.mem_mib = 63, .ops = 2}), RK_EKEYFILE);
	assert_int_equal(keys_create(h.c, KEY_ORG, &least), RK_OK);
	assert_int_equal(keys_create(h.c, KEY_ORG, &least), RK_EEXISTS);
	assert_int_equal(keys_create(h.c, KEY_DEVICE, &least), RK_EEXISTS);
	bare_reopen(&h);
	h.passphrase = "wrong";
	h.passphrase_asked = 0;
	assert_int_equal(keys_unlock(h.c, KEY_ORG), RK_EPASSPHRASE);
	assert_int_equal(h.passphrase_asked, 3);
	h.passphrase = "right";
	assert_int_equal(keys_unlock(h.c, KEY_ORG), RK_OK);
	h.passphrase_asked = 0;
	assert_int_equal(keys_unlock(h.c, KEY_ORG), RK_OK);
	assert_int_equal(h.passphrase_asked, 0);
	/* The device's file has none to ask for. */
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_OK);
	assert_int_equal(h.passphrase_asked, 0);
	bare_end(&h);
}

static void dossier_keys(void **state)
{
	uint8_t a[32] = {1}, b[32] = {2}, key_a[32], key_b[32], found[32];
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	assert_int_equal(keys_dossier(h.c, a, false, key_a), RK_ENOTFOUND);
	assert_int_equal(keys_dossier(h.c, a, true, key_a), RK_OK);
	assert_int_equal(keys_dossier(h.c, b, true, key_b), RK_OK);
	assert_memory_not_equal(key_a, key_b, 32);
	assert_int_equal(keys_dossier(h.c, a, true, found), RK_OK);
	assert_memory_equal(key_a, found, 32);
	bare_reopen(&h);
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_OK);
	assert_int_equal(keys_dossier_destroy(h.c, a), RK_OK);
	assert_int_equal(keys_dossier_destroy(h.c, a), RK_ENOTFOUND);
	assert_int_equal(keys_dossier(h.c, a, false, found), RK_ENOTFOUND);
	assert_int_equal(keys_dossier(h.c, b, false, found), RK_OK);
	assert_memory_equal(key_b, found, 32);
	bare_end(&h);
}

/* A destroyed key stands in no file of the home, nor did it ever in clear; the others are as they were, also for a new process. */
static void a_destroyed_key_is_nowhere(void **state)
{
	uint8_t a[32] = {1}, b[32] = {2}, key_a[32], key_b[32], found[32];
	struct bytes plain, sealed;
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	assert_int_equal(keys_dossier(h.c, a, true, key_a), RK_OK);
	assert_int_equal(keys_dossier(h.c, b, true, key_b), RK_OK);
	assert_false(bare_files_hold(&h, BYTES_OF(key_a)));
	assert_int_equal(vault_seal(key_a, VAULT_CONTENT, BYTES_OF(a), bytes_str("secret"), h.a, &sealed), RK_OK);
	assert_int_equal(keys_dossier_destroy(h.c, a), RK_OK);
	bare_reopen(&h);
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_OK);
	assert_false(bare_files_hold(&h, BYTES_OF(key_a)));
	assert_int_equal(keys_dossier(h.c, a, false, found), RK_ENOTFOUND);
	/* Asked for anew it is another one, which does not open the old row. */
	assert_int_equal(keys_dossier(h.c, a, true, found), RK_OK);
	assert_int_equal(vault_open(found, VAULT_CONTENT, BYTES_OF(a), sealed, h.a, &plain), RK_EINTEGRITY);
	assert_int_equal(keys_dossier(h.c, b, false, found), RK_OK);
	assert_memory_equal(key_b, found, 32);
	bare_end(&h);
}

/* A file that another process has replaced is read again, and what it holds is not lost by our next change. */
static void other_processes(void **state)
{
	uint8_t a[32] = {1}, b[32] = {2}, key_a[32], found[32];
	char kx[400], aside[400], command[900];
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	snprintf(kx, sizeof(kx), "%s/kx.key", h.path);
	snprintf(aside, sizeof(aside), "%s/aside", h.path);
	snprintf(command, sizeof(command), "cp '%s' '%s'", kx, aside);
	assert_int_equal(keys_dossier(h.c, a, true, key_a), RK_OK);
	assert_int_equal(system(command), 0);
	assert_int_equal(keys_dossier_destroy(h.c, a), RK_OK);
	assert_int_equal(keys_dossier(h.c, a, false, found), RK_ENOTFOUND);
	assert_int_equal(rename(aside, kx), 0);
	assert_int_equal(keys_dossier(h.c, b, true, found), RK_OK);
	assert_int_equal(keys_dossier(h.c, a, false, found), RK_OK);
	assert_memory_equal(key_a, found, 32);
	bare_end(&h);
}

static void damaged_files(void **state)
{
	char path[400];
	struct bare h;
	FILE *file;

	(void)state;
	bare_begin(&h, 1);
	snprintf(path, sizeof(path), "%s/device.key", h.path);
	file = fopen(path, "r+b");
	assert_non_null(file);
	assert_int_equal(fseek(file, 60, SEEK_SET), 0);
	assert_int_not_equal(fputc('?', file), EOF);
	assert_int_equal(fclose(file), 0);
	bare_reopen(&h);
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_EPASSPHRASE);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_EKEYFILE);
	bare_end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_and_restart), cmocka_unit_test(passphrases), cmocka_unit_test(dossier_keys),
		cmocka_unit_test(a_destroyed_key_is_nowhere), cmocka_unit_test(other_processes), cmocka_unit_test(damaged_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
