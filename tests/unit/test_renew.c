/* renew: a founded exchange gets its next charters; and what the root key will not sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/exchange.h"
#include "client/key_change.h"
#include "client/officer.h"
#include "client/renew.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/fixed_kit.h"
#include "tests/unit/store_kit.h"

#define DAY_MS ((int64_t)86400000)

static struct fixed f;
static char folder[256], path[300];
static struct client *c;
static struct arena *a;
static int64_t now_ms;
static uint8_t exchange_id[32];

static int64_t now(void)
{
	return now_ms;
}

static int passphrase(void *user, enum key_role role, bool confirm, bool again, char **out)
{
	static const char text[] = "correct horse";
	(void)user, (void)role, (void)confirm, (void)again;

	if (!(*out = sodium_malloc(sizeof(text))))
		return RK_ENOMEM;
	memcpy(*out, text, sizeof(text));
	return RK_OK;
}

/* A secretariat's home, as `exchange create` leaves it; the broker's keys are the kit's. */
static int set_up(void **state)
{
	const struct key_new cheap = {.mem_mib = 64, .ops = 2};
	struct exchange_form form = {.name = "Test exchange", .time_zone = "Asia/Tokyo",
				     .org = {.name = "Secretariat", .lang = "en", .reading = "", .kind = RK__ORG_KIND__COORDINATOR,
					     .country = "JP", .region = "", .corporate_number = "", .device_label = "office"}};
	struct client_options options = {.home = path, .passphrase = passphrase, .now_ms = now};
	struct bytes file;
	uint8_t org_id[16];
	(void)state;

	assert_true(sodium_init() >= 0);
	fixed_init(&f);
	now_ms = FIXED_TIME_MS;
	assert_non_null(a = arena_new(16 << 20));
	store_kit_folder(folder);
	snprintf(path, sizeof(path), "%s/home", folder);
	memcpy(form.card.curve_pk, f.broker.pk, 32);
	memcpy(form.card.log_pk, f.log.pk, 32);
	snprintf(form.card.endpoint, sizeof(form.card.endpoint), "%s", FIXED_ENDPOINT);
	assert_int_equal(client_create(&options, &c), RK_OK);
	assert_int_equal(exchange_create(c, &form, &cheap, a, &file, exchange_id, org_id), RK_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	client_close(c);
	arena_free(a);
	store_kit_remove(folder);
	return 0;
}

static struct bytes checkpoint(unsigned number, const struct fixed_sign *signer)
{
	struct checkpoint last = {.size = 77, .root = {3}};
	struct note note;

	note_origin(last.origin, exchange_id, number);
	note_sign(&note, &last, signer->sk);
	return bytes_make(arena_copy(a, note.text, note.len), note.len);
}

static Rk__Charter *held(void)
{
	struct txn *t;
	Rk__Charter *charter;

	assert_int_equal(env_begin(client_env(c), false, &t), RK_OK);
	assert_int_equal(book_charter(c, t, a, &charter), RK_OK);
	env_abort(t);
	return charter;
}

/* What comes back from the broker's control stream when its operator has adopted the file. */
static void take(struct bytes file)
{
	Rk__CharterFile *parsed;
	struct bytes wire;
	struct txn *t;

	assert_int_equal(STRICT_PARSE(charter_file, file, a, &parsed), RK_OK);
	assert_non_null(parsed->charter);
	assert_null(parsed->directory);
	assert_int_equal(STRICT_PACK(parsed->charter, a, &wire), RK_OK);
	assert_int_equal(env_begin(client_env(c), true, &t), RK_OK);
	assert_int_equal(book_take(c, t, OBJECT_KIND_CHARTER, wire, now_ms), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void five_years_more(void **state)
{
	struct renewal r;
	(void)state;

	now_ms += 1000 * DAY_MS;
	assert_int_equal(renew_charter(c, (struct bytes){0}, a, &r), RK_OK);
	assert_int_equal(r.charter->serial, 2);
	assert_true(r.charter->issued_at == now_ms && r.charter->not_after == now_ms + TRUST_CHARTER_AGE_MS);
	assert_true(r.charter->secretariat_keys[0]->not_after == r.charter->not_after);
	assert_string_equal(r.charter->log_vkey, held()->log_vkey);
	assert_int_equal(r.charter->prev_checkpoint.len, 0);
	/* It is nobody's charter before it was adopted: asked again, the same number again. */
	assert_int_equal(held()->serial, 1);
	take(r.file);
	assert_int_equal(held()->serial, 2);
	assert_int_equal(renew_charter(c, (struct bytes){0}, a, &r), RK_OK);
	assert_int_equal(r.charter->serial, 3);
	take(r.file);
}

/* A key that has ended is not brought back by a renewal. */
static void an_ended_officer_stays_ended(void **state)
{
	struct renewal r;
	(void)state;

	now_ms += TRUST_CHARTER_AGE_MS;
	assert_int_equal(renew_charter(c, (struct bytes){0}, a, &r), RK_OK);
	assert_true(r.charter->secretariat_keys[0]->not_after <= now_ms);
}

static void the_next_log_and_the_one_after_it(void **state)
{
	char origin[NOTE_NAME_CHARS];
	(void)state;

	for (unsigned n = 1; n <= 2; n++) {
		struct bytes last = checkpoint(n, &f.log);
		struct renewal r;

		assert_int_equal(renew_charter(c, last, a, &r), RK_OK);
		note_origin(origin, exchange_id, n + 1);
		assert_string_equal(r.log_origin, origin);
		assert_true(bytes_equal(bytes_of(r.charter->prev_checkpoint), last));
		take(r.file);
		assert_int_equal(held()->serial, n + 1);
		/* While a log goes on, so does the word of the one before it. */
		if (n == 2) {
			assert_int_equal(renew_charter(c, (struct bytes){0}, a, &r), RK_OK);
			assert_string_equal(r.log_origin, origin);
			assert_true(bytes_equal(bytes_of(r.charter->prev_checkpoint), last));
		}
	}
}

static void only_a_checkpoint_of_the_present_log(void **state)
{
	struct bytes bent = checkpoint(1, &f.log);
	uint8_t long_note[NOTE_MAX_BYTES + 200];
	struct renewal r;
	size_t len = bent.len;
	(void)state;

	assert_int_equal(renew_charter(c, checkpoint(1, &f.witness), a, &r), RK_BAD_SIGNATURE);
	assert_int_equal(renew_charter(c, checkpoint(2, &f.log), a, &r), RK_BAD_SIGNATURE);
	assert_int_equal(renew_charter(c, bytes_str("no note"), a, &r), RK_MALFORMED);
	memcpy(long_note, bent.data, len);
	long_note[len - 10] ^= 1;
	assert_int_not_equal(renew_charter(c, bytes_make(long_note, len), a, &r), RK_OK);
	/* Proven, but with more lines of others than a charter has room for. */
	memcpy(long_note, bent.data, len);
	while (len <= NOTE_MAX_BYTES)
		len += (size_t)snprintf((char *)long_note + len, sizeof(long_note) - len,
					"\u2014 other AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
	assert_int_equal(renew_charter(c, bytes_make(long_note, len), a, &r), RK_TOO_LARGE);
}

static void not_without_the_root_key(void **state)
{
	struct client_options options = {.home = path, .passphrase = passphrase, .now_ms = now};
	const struct key_new cheap = {.mem_mib = 64, .ops = 2};
	struct renewal r;
	char key[400];
	(void)state;

	client_close(c);
	snprintf(key, sizeof(key), "%s/root.key", path);
	assert_int_equal(unlink(key), 0);
	assert_int_equal(client_open(&options, &c), RK_OK);
	assert_int_equal(renew_charter(c, (struct bytes){0}, a, &r), RK_ENOTJOINED);
	/* Another exchange's root. */
	assert_int_equal(keys_create(c, KEY_ROOT, &cheap), RK_OK);
	assert_int_equal(renew_charter(c, (struct bytes){0}, a, &r), RK_NOT_PERMITTED);
}

/* ---- officers */

static struct fixed_sign officer_key(int i)
{
	struct fixed_sign k;
	char name[24];

	snprintf(name, sizeof(name), "officer %d", i);
	fixed_sign_key(&k, name);
	return k;
}

static void officers_come_and_go(void **state)
{
	struct fixed_sign one = officer_key(1), two = officer_key(2);
	char text[OFFICER_TEXT_CHARS], origin[NOTE_NAME_CHARS];
	const Rk__SecretariatKey *k;
	struct renewal r;
	uint8_t pk[32], id[16];
	(void)state;

	assert_int_equal(officer_text(text, one.pk), RK_OK);
	assert_int_equal(officer_parse(text, pk), RK_OK);
	assert_memory_equal(pk, one.pk, 32);
	text[20] = text[20] == 'A' ? 'B' : 'A';
	assert_int_equal(officer_parse(text, pk), RK_MALFORMED);

	now_ms += DAY_MS;
	assert_int_equal(officer_add(c, one.pk, "Sato", NULL, a, &r), RK_OK);
	note_origin(origin, exchange_id, 1);
	assert_string_equal(r.log_origin, origin);
	take(r.file);
	assert_int_equal(held()->n_secretariat_keys, 2);
	assert_true(held()->not_after == FIXED_TIME_MS + TRUST_CHARTER_AGE_MS);
	ids_signer(id, one.pk);
	assert_null(trust_secretariat_pk(held(), id, now_ms - 1));
	assert_non_null(trust_secretariat_pk(held(), id, now_ms));
	assert_int_equal(officer_add(c, one.pk, "Other", NULL, a, &r), RK_EEXISTS);
	assert_int_equal(officer_add(c, two.pk, "Sato", NULL, a, &r), RK_EEXISTS);
	assert_int_equal(officer_add(c, two.pk, "Ito", "nobody", a, &r), RK_ENOTFOUND);
	assert_int_equal(officer_remove(c, "nobody", a, &r), RK_ENOTFOUND);

	/* One key for another, under the same name; then the founder leaves; and the last one may not. */
	now_ms += DAY_MS;
	assert_int_equal(officer_add(c, two.pk, "Sato", "Sato", a, &r), RK_OK);
	take(r.file);
	assert_non_null(k = officer_find(held(), "Sato", now_ms));
	assert_memory_equal(k->pk.data, two.pk, 32);
	assert_null(trust_secretariat_pk(held(), id, now_ms));
	assert_non_null(trust_secretariat_pk(held(), id, now_ms - 1));
	now_ms += DAY_MS;
	assert_int_equal(officer_remove(c, "1", a, &r), RK_OK);
	take(r.file);
	assert_int_equal(officer_remove(c, "Sato", a, &r), RK_CONFLICT);
}

static void room_for_eight_in_office(void **state)
{
	struct fixed_sign k;
	struct renewal r;
	char label[24];
	(void)state;

	for (int i = 2; i <= 8; i++) {
		k = officer_key(i);
		snprintf(label, sizeof(label), "%d", i);
		now_ms++;
		assert_int_equal(officer_add(c, k.pk, label, NULL, a, &r), RK_OK);
		take(r.file);
	}
	k = officer_key(9);
	assert_int_equal(officer_add(c, k.pk, "9", NULL, a, &r), RK_QUOTA);
	/* Who left longest ago makes room. */
	for (int i = 2; i <= 3; i++) {
		now_ms++;
		snprintf(label, sizeof(label), "%d", i);
		assert_int_equal(officer_remove(c, label, a, &r), RK_OK);
		take(r.file);
	}
	now_ms++;
	assert_int_equal(officer_add(c, k.pk, "9", NULL, a, &r), RK_OK);
	take(r.file);
	assert_int_equal(held()->n_secretariat_keys, 8);
	for (size_t i = 0; i < 8; i++)
		assert_string_not_equal(held()->secretariat_keys[i]->label, "2");
}

static void an_officers_own_next_key(void **state)
{
	const struct key_new cheap = {.mem_mib = 64, .ops = 2};
	struct renewal r;
	unsigned changed;
	uint8_t pk[32], same[32], before[32];
	(void)state;

	assert_int_equal(keys_unlock(c, KEY_SECRETARIAT), RK_OK);
	keys_sign_pk(c, KEY_SECRETARIAT, before);
	assert_int_equal(key_change_officer(c, &cheap, pk), RK_OK);
	assert_int_equal(key_change_officer(c, &cheap, same), RK_OK);
	assert_memory_equal(pk, same, 32);
	assert_memory_not_equal(pk, before, 32);
	now_ms += DAY_MS;
	assert_int_equal(officer_add(c, pk, "1", "1", a, &r), RK_OK);
	assert_int_equal(key_change_settle(c, &changed), RK_OK);
	assert_int_equal(changed, 0);
	take(r.file);
	assert_int_equal(key_change_settle(c, &changed), RK_OK);
	assert_int_equal(changed, 1u << KEY_SECRETARIAT);
	keys_sign_pk(c, KEY_SECRETARIAT, same);
	assert_memory_equal(pk, same, 32);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(five_years_more),
		TEST(an_ended_officer_stays_ended),
		TEST(the_next_log_and_the_one_after_it),
		TEST(only_a_checkpoint_of_the_present_log),
		TEST(not_without_the_root_key),
		TEST(officers_come_and_go),
		TEST(room_for_eight_in_office),
		TEST(an_officers_own_next_key),
	};
	return cmocka_run_group_tests_name("renew", tests, NULL, NULL);
}
