/* deposit: a salted hash that hides the file, what is kept of it, and whose word makes it logged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "client/deposit.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/home_kit.h"

static struct home h;

static int set_up(void **state)
{
	(void)state;
	home_open(&h);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	home_close(&h);
	return 0;
}

static void write_file(char path[512], const char *name, const uint8_t *data, size_t len)
{
	FILE *f;

	snprintf(path, 512, "%s/%s", h.folder, name);
	assert_non_null(f = fopen(path, "wb"));
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int add(struct deposit_secret *secret, uint8_t oh[32], uint64_t *item)
{
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	r = deposit_add(h.client, t, secret, oh, item);
	if (r == RK_OK)
		assert_int_equal(env_commit(t), RK_OK);
	else
		env_abort(t);
	return r;
}

static Rkl__DepositRecord *load(const uint8_t oh[32])
{
	Rkl__DepositRecord *record = NULL;
	struct txn *t;

	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	if (deposit_load(t, oh, h.a, &record) != RK_OK)
		record = NULL;
	env_abort(t);
	return record;
}

static void the_commitment_is_as_the_protocol_says(void **state)
{
	uint8_t salt[32], sha[32], commit[32], expected[32], text[26 + 64];

	(void)state;
	memset(salt, 1, sizeof(salt));
	memset(sha, 2, sizeof(sha));
	memcpy(text, "renkei/v1/deposit-commit\0", 25);
	memcpy(text + 25, salt, 32);
	memcpy(text + 57, sha, 32);
	crypto_hash_sha256(expected, text, 89);
	ids_deposit_commit(commit, salt, sha);
	assert_memory_equal(commit, expected, 32);
}

static void files_of_any_size_are_hashed(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 1000000};
	uint8_t *data = malloc(1000000), expected[32];
	struct deposit_secret secret;
	char path[512];

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		randombytes_buf(data, sizes[i]);
		write_file(path, "plan 1.pdf", data, sizes[i]);
		assert_int_equal(deposit_hash(path, NULL, h.a, &secret), RK_OK);
		crypto_hash_sha256(expected, data, sizes[i]);
		assert_memory_equal(secret.sha256, expected, 32);
		assert_int_equal(secret.size, sizes[i]);
		assert_string_equal(secret.name, "plan 1.pdf");
	}
	free(data);
}

static void what_is_no_file_is_refused(void **state)
{
	volatile bool stop = true;
	struct deposit_secret secret;
	char path[512];

	(void)state;
	assert_int_equal(deposit_hash(h.folder, NULL, h.a, &secret), RK_EUSAGE);
	assert_int_equal(deposit_hash("/", NULL, h.a, &secret), RK_EUSAGE);
	snprintf(path, sizeof(path), "%s/absent", h.folder);
	assert_int_equal(deposit_hash(path, NULL, h.a, &secret), RK_ENOTFOUND);
	snprintf(path, sizeof(path), "%s/pipe", h.folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(deposit_hash(path, NULL, h.a, &secret), RK_EUSAGE);
	write_file(path, "bad\nname", (const uint8_t *)"x", 1);
	assert_int_equal(deposit_hash(path, NULL, h.a, &secret), RK_EUSAGE);
	write_file(path, "good", (const uint8_t *)"x", 1);
	assert_int_equal(deposit_hash(path, &stop, h.a, &secret), RK_EINTERRUPTED);
}

static void it_is_queued_signed_and_kept_sealed(void **state)
{
	struct deposit_secret secret = {.name = "quokka-plan.pdf", .title = "numbat-title", .size = 7}, found;
	uint8_t oh[32], other[32], commit[32], salt[32];
	Rkl__DepositRecord *record, **list;
	Rkl__OutboxItem *item;
	const Rk__Deposit *d;
	uint64_t id, second;
	struct object o;
	struct txn *t;
	size_t n;

	(void)state;
	memset(secret.sha256, 7, 32);
	assert_int_equal(add(&secret, oh, &id), RK_OK);
	memcpy(salt, secret.salt, 32);
	assert_non_null(record = load(oh));
	assert_false(record->logged);
	assert_int_equal(record->item, id);
	/* The request carries exactly what was signed when it was made. */
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_string_equal(deposit_state_name(t, record), "queued");
	assert_int_equal(outbox_load(t, id, h.a, &item), RK_OK);
	item->writer_epoch = pb_of(bytes_make("12345678", 8));
	assert_int_equal(seal_item(h.client, t, item, 1, h.a), RK_OK);
	env_abort(t);
	assert_int_equal(item->n_frames, 2);
	assert_true(bytes_equal(bytes_of(item->frames[1]), bytes_of(record->wire)));
	assert_int_equal(object_parse(OBJECT_KIND_DEPOSIT, bytes_of(record->wire), h.a, &o), RK_OK);
	assert_int_equal(object_check(&o, h.f.exchange_id, keys_sign_sk(h.client, KEY_DEVICE) + 32), RK_OK);
	d = (const Rk__Deposit *)(const void *)o.message;
	ids_deposit_commit(commit, salt, secret.sha256);
	assert_memory_equal(d->commit.data, commit, 32);
	assert_memory_equal(d->org_id.data, h.org_id, 16);
	/* Of the rest, only this home knows, and only with its key. */
	assert_int_equal(deposit_open(h.client, record, h.a, &found), RK_OK);
	assert_memory_equal(found.salt, salt, 32);
	assert_memory_equal(found.sha256, secret.sha256, 32);
	assert_string_equal(found.name, "quokka-plan.pdf");
	assert_string_equal(found.title, "numbat-title");
	assert_int_equal(found.size, 7);
	record->sealed_secret.data[30] ^= 1;
	assert_int_equal(deposit_open(h.client, record, h.a, &found), RK_EINTEGRITY);
	/* The same file again is another deposit, which nobody can tell from it. */
	assert_int_equal(add(&secret, other, &second), RK_OK);
	assert_memory_not_equal(other, oh, 32);
	assert_memory_not_equal(secret.salt, salt, 32);
	secret.title = "two\nlines";
	assert_int_equal(add(&secret, other, &second), RK_EUSAGE);
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(deposit_list(t, h.a, &list, &n), RK_OK);
	env_abort(t);
	assert_int_equal(n, 2);
}

static int answer(const uint8_t oh[32], bool logged)
{
	struct outcome out = {.logged = logged, .log_index = 42, .time_ms = home_now_ms + 5};
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	r = deposit_on_answer(h.client, t, bytes_of(load(oh)->wire), &out);
	assert_int_equal(env_commit(t), RK_OK);
	return r;
}

static void deliver(struct bytes wire, bool logged)
{
	home_deliver(&h, deposit_on_entry, wire, (struct bytes){0}, (struct bytes){0}, logged);
}

static void the_answer_gives_its_place_in_the_log(void **state)
{
	struct deposit_secret secret = {.name = "a", .title = ""};
	uint64_t item;
	uint8_t oh[32];

	(void)state;
	assert_int_equal(add(&secret, oh, &item), RK_OK);
	assert_int_equal(answer(oh, false), RK_EINTEGRITY);
	assert_int_equal(home_count(&h, "deposit-unlogged"), 1);
	assert_false(load(oh)->logged);
	assert_int_equal(answer(oh, true), RK_OK);
	assert_true(load(oh)->logged);
	assert_int_equal(load(oh)->log_index, 42);
	assert_int_equal(load(oh)->time_ms, home_now_ms + 5);
	/* A repetition of the answer is not logged again, and is no lie then. */
	assert_int_equal(answer(oh, false), RK_OK);
	/* Its entry knows better, and stays: the answer may have been a repetition, with the time of that. */
	home_now_ms += 60000;
	deliver(bytes_of(load(oh)->wire), true);
	assert_int_equal(load(oh)->log_index, h.log_index);
	assert_int_equal(load(oh)->time_ms, home_now_ms);
	assert_int_equal(answer(oh, true), RK_OK);
	assert_int_equal(load(oh)->log_index, h.log_index);
	assert_int_equal(load(oh)->time_ms, home_now_ms);
	home_now_ms = FIXED_TIME_MS;
}

static struct bytes sign(const uint8_t *org_id, const uint8_t *device_id, const uint8_t sk[64])
{
	Rk__Deposit d = RK__DEPOSIT__INIT;
	struct bytes wire;

	d.version = 1;
	d.org_id = pb_of(bytes_make(org_id, 16));
	d.device_id = pb_of(bytes_make(device_id, 16));
	d.commit = fixed_data(h.a, 32, "commit");
	d.time = home_now_ms;
	assert_int_equal(object_make(OBJECT_KIND_DEPOSIT, h.f.exchange_id, sk, &d.base, h.a, &wire), RK_OK);
	return wire;
}

/* The exchange takes no Deposit of another hour than its own; one that waited for the network is signed anew, and stays the same. */
static void one_that_waited_is_signed_when_it_is_sent(void **state)
{
	struct deposit_secret secret = {.name = "a", .title = "t"}, found;
	Rkl__DepositRecord *record, **list;
	Rkl__OutboxItem *item;
	const Rk__Deposit *d;
	uint8_t oh[32], before[32], commit[32];
	struct object o;
	uint64_t id;
	struct txn *t;
	size_t n;

	(void)state;
	memset(secret.sha256, 7, 32);
	assert_int_equal(add(&secret, oh, &id), RK_OK);
	memcpy(before, oh, 32);
	ids_deposit_commit(commit, secret.salt, secret.sha256);
	/* Twice: refused for its clock, it may be sealed again. */
	for (int i = 0; i < 2; i++) {
		home_now_ms += 3600000;
		assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
		assert_int_equal(outbox_load(t, id, h.a, &item), RK_OK);
		item->writer_epoch = pb_of(bytes_make("12345678", 8));
		assert_int_equal(seal_item(h.client, t, item, 1, h.a), RK_OK);
		assert_int_equal(object_parse(OBJECT_KIND_DEPOSIT, bytes_of(item->frames[1]), h.a, &o), RK_OK);
		d = (const Rk__Deposit *)(const void *)o.message;
		assert_int_equal(d->time, home_now_ms);
		assert_memory_equal(d->commit.data, commit, 32);
		object_oh(oh, &o, h.f.exchange_id);
		assert_memory_equal(item->ref.data, oh, 32);
		item->n_frames = 0;
		item->frames = NULL;
		assert_int_equal(outbox_store(t, item, RKL__ITEM_STATE__QUEUED), RK_OK);
		assert_int_equal(env_commit(t), RK_OK);
	}
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(deposit_load(t, before, h.a, &record), RK_ENOTFOUND);
	assert_int_equal(deposit_list(t, h.a, &list, &n), RK_OK);
	env_abort(t);
	assert_int_equal(n, 1);
	assert_int_equal(deposit_open(h.client, list[0], h.a, &found), RK_OK);
	assert_memory_equal(found.salt, secret.salt, 32);
	assert_string_equal(found.title, "t");
	assert_int_equal(answer(oh, true), RK_OK);
	assert_true(load(oh)->logged);
	home_now_ms = FIXED_TIME_MS;
}

static void entries_count_if_a_device_of_ours_signed_them(void **state)
{
	const uint8_t *own_sk = keys_sign_sk(h.client, KEY_DEVICE), *device = client_device_id(h.client);
	struct deposit_secret secret = {.name = "a", .title = ""}, found;
	Rkl__DepositRecord **list;
	uint8_t oh[32], theirs[32];
	struct bytes wire;
	struct object o;
	uint64_t item;
	struct txn *t;
	size_t n;

	(void)state;
	assert_int_equal(add(&secret, oh, &item), RK_OK);
	deliver(bytes_of(load(oh)->wire), false);                                             /* nowhere in the log */
	deliver(sign(h.f.orgs[1].org_id, h.f.orgs[1].device_id, h.f.orgs[1].device.sk), true); /* of another organisation */
	deliver(sign(h.org_id, device, h.f.orgs[1].device.sk), true);                          /* not signed by whom it names */
	deliver(BYTES_OF("garbage"), true);
	assert_int_equal(home_count(&h, "deposit-unproven"), 4);
	assert_false(load(oh)->logged);
	deliver(bytes_of(load(oh)->wire), true);
	assert_true(load(oh)->logged);
	assert_int_equal(load(oh)->log_index, h.log_index);
	assert_int_equal(deposit_open(h.client, load(oh), h.a, &found), RK_OK);
	/* Made elsewhere, by us: it is listed, and what it is of is not here. */
	wire = sign(h.org_id, device, own_sk);
	deliver(wire, true);
	assert_int_equal(object_parse(OBJECT_KIND_DEPOSIT, wire, h.a, &o), RK_OK);
	object_oh(theirs, &o, h.f.exchange_id);
	assert_int_equal(deposit_open(h.client, load(theirs), h.a, &found), RK_ENOTFOUND);
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(deposit_list(t, h.a, &list, &n), RK_OK);
	assert_string_equal(deposit_state_name(t, list[0]), "logged");
	env_abort(t);
	assert_int_equal(n, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_commitment_is_as_the_protocol_says),
		TEST(files_of_any_size_are_hashed),
		TEST(what_is_no_file_is_refused),
		TEST(it_is_queued_signed_and_kept_sealed),
		TEST(the_answer_gives_its_place_in_the_log),
		TEST(one_that_waited_is_signed_when_it_is_sent),
		TEST(entries_count_if_a_device_of_ours_signed_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
