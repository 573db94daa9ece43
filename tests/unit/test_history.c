/* history: out of a home and back in: whole or not at all, proven again, nothing replaced, nothing brought back (P1, P5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "client/history_internal.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/home_kit.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define CODE "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG"

static struct home h;
static struct deal deal;
static struct sent sent;
static struct history_result result;
static char file[96];

static struct txn *begin(bool write)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(h.client), write, &t), RK_OK);
	return t;
}

/* A home with an agreement, and a dossier under it that was picked up and opened. */
static int set_up(void **state)
{
	(void)state;
	home_open(&h);
	deal_init(&h, &deal);
	deal_finish(&h, &deal);
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, 1, &deal), 1, home_dossier(&h, "a.txt", "secret words", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_true(home_has_content(&h, sent.wire.env_id));
	snprintf(file, sizeof(file), "%s.age", h.folder);
	assert_int_equal(history_export(h.client, file, CODE, &result), RK_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(file);
	home_close(&h);
	return 0;
}

static int import(const char *code)
{
	return history_import(h.client, file, code, &result);
}

static void forget(unsigned table, const uint8_t id[32])
{
	struct txn *t = begin(true);

	assert_int_equal(env_del(t, table, bytes_make(id, 32)), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void what_is_missing_comes_back_and_nothing_else(void **state)
{
	Rkl__EnvelopeRecord *before = home_record(&h, sent.wire.env_id), *after;
	struct stat st;
	Rk__Message *m;
	struct txn *t;
	(void)state;

	assert_true(result.envelopes >= 1 && result.bytes > 0);
	assert_int_equal(history_export(h.client, file, CODE, &result), RK_EEXISTS);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(import(CODE), RK_OK);
	assert_true(result.envelopes >= 1);
	assert_int_equal(result.taken, 0);
	assert_int_equal(result.refused, 0);
	/* Content, and the whole record. */
	forget(C_CONTENT, sent.wire.env_id);
	assert_int_equal(import(CODE), RK_OK);
	assert_int_equal(result.taken, 1);
	forget(C_CONTENT, sent.wire.env_id);
	forget(C_ENVELOPE, sent.wire.env_id);
	assert_int_equal(import(CODE), RK_OK);
	assert_int_equal(result.taken, 1);
	after = home_record(&h, sent.wire.env_id);
	assert_int_equal(after->state, RKL__ENVELOPE_STATE__OPENED);
	assert_int_equal(after->n_pickups, before->n_pickups);
	t = begin(false);
	assert_int_equal(mail_message(h.client, t, after, h.a, &m), RK_OK);
	assert_memory_equal(m->dossier->files[0]->data.data, "secret words", 12);
	env_abort(t);
}

/* The agreement's document proves itself against the terms, and then stands where it stood. */
static void documents_come_back_by_their_letters(void **state)
{
	Rkl__NdaRecord *record;
	struct agreement *ag = deal_load(&h, &deal);
	uint8_t proposal[32];
	struct txn *t;
	(void)state;

	memcpy(proposal, ag->record->proposal_env.data, 32);
	forget(C_CONTENT, proposal);
	t = begin(true);
	assert_int_equal(record_get(t, C_NDA, BYTES_OF(deal.nda_id), &rkl__nda_record__descriptor, h.a, (ProtobufCMessage **)&record), RK_OK);
	record->proposal_env.len = 0;
	record->n_pages = 0;
	assert_int_equal(record_put(t, C_NDA, BYTES_OF(deal.nda_id), &record->base), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(import(CODE), RK_OK);
	assert_int_equal(result.refused, 0);
	ag = deal_load(&h, &deal);
	assert_memory_equal(ag->record->proposal_env.data, proposal, 32);
	assert_non_null(ag->proposal);
}

static void what_was_destroyed_stays_destroyed(void **state)
{
	Rkl__EnvelopeRecord *record = home_record(&h, sent.wire.env_id);
	struct txn *t;
	(void)state;

	assert_int_equal(keys_dossier_destroy(h.client, sent.wire.env_id), RK_OK);
	forget(C_CONTENT, sent.wire.env_id);
	record->destroyed_at = home_now_ms;
	t = begin(true);
	assert_int_equal(record_put(t, C_ENVELOPE, bytes_of(record->env_id), &record->base), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(import(CODE), RK_OK);
	assert_int_equal(result.taken, 0);
	assert_false(home_has_content(&h, sent.wire.env_id));
}

/* ---- what does not prove itself */

enum bend { B_NOTHING, B_CONTENT, B_SALT, B_NO_SALT, B_HEAD, B_NAME, B_RECORD, B_SIGNATURE, B_KIND, B_SENDER, B_OUTGOING, B_RECIPIENT, B_DESK, B_TYPE,
            B_MARK, B_COUNT };

/* A signature of nobody's, with the hash that goes with it. */
static void forge(Rkl__EnvelopeRecord *record)
{
	struct envelope e;

	record->head.data[record->head.len - 1] ^= 1;
	assert_int_equal(envelope_parse(bytes_of(record->head), h.a, &e), RK_OK);
	envelope_oh(record->oh.data, &e, client_exchange_id(h.client));
}

/* The record says something else than its head. */
static void bend_record(Rkl__EnvelopeRecord *record, enum bend bend)
{
	static uint32_t desk = 1;

	if (bend == B_SIGNATURE)
		forge(record);
	if (bend == B_KIND)
		record->kind = RK__KIND__OPEN;
	if (bend == B_SENDER)
		record->sender_org.data[0] ^= 1;
	if (bend == B_OUTGOING)
		record->outgoing = !record->outgoing;
	if (bend == B_RECIPIENT)
		record->recipients[0].len = 0;
	if (bend == B_DESK) {
		record->recipient_desks = &desk;
		record->n_recipient_desks = 1;
	}
	if (bend == B_TYPE)
		record->message_type = RK__MESSAGE_TYPE__MESSAGE_INTEREST;
	if (bend == B_MARK)
		record->pickups[0]->org_id.len = 0;
}

/* An item as an export makes it, one thing changed; the home has lost record and content. */
static int take_bent(enum bend bend, bool *taken)
{
	Rkl__EnvelopeRecord *record = home_record(&h, sent.wire.env_id);
	struct bytes message = home_dossier(&h, "a.txt", "secret words", true);
	Rkl__HistoryItem item = RKL__HISTORY_ITEM__INIT;
	uint8_t id[32], *packed, *content, *salt;
	struct txn *t;
	int r;

	content = fixed_alloc(h.a, message.len);
	memcpy(content, message.data, message.len);
	salt = fixed_alloc(h.a, 32);
	t = begin(false);
	{
		uint8_t key[33] = {'S'};
		struct bytes sealed;
		uint8_t dossier[32];
		struct bytes plain;

		memcpy(key + 1, sent.wire.env_id, 32);
		assert_int_equal(env_get(t, C_EVIDENCE, BYTES_OF(key), &sealed), RK_OK);
		assert_int_equal(keys_dossier(h.client, sent.wire.env_id, false, dossier), RK_OK);
		assert_int_equal(vault_open(dossier, VAULT_SALT, bytes_make(sent.wire.env_id, 32), sealed, h.a, &plain), RK_OK);
		memcpy(salt, plain.data, 32);
	}
	env_abort(t);
	memcpy(id, sent.wire.env_id, 32);
	if (bend == B_CONTENT)
		content[message.len - 1] ^= 1;
	if (bend == B_SALT)
		salt[0] ^= 1;
	if (bend == B_HEAD)
		record->head.data[record->head.len - 100] ^= 1;
	if (bend == B_NAME)
		id[0] ^= 1;
	bend_record(record, bend);
	packed = fixed_alloc(h.a, rkl__envelope_record__get_packed_size(record));
	item.record = pb_of(bytes_make(packed, rkl__envelope_record__pack(record, packed)));
	if (bend == B_RECORD)
		item.record.len--;
	item.content = pb_of(bytes_make(content, message.len));
	item.secret = pb_of(bytes_make(salt, bend == B_NO_SALT ? 0 : 32));
	t = begin(true);
	assert_int_equal(env_del(t, C_ENVELOPE, BYTES_OF(sent.wire.env_id)), RK_OK);
	assert_int_equal(env_del(t, C_CONTENT, BYTES_OF(sent.wire.env_id)), RK_OK);
	r = history_take(h.client, t, HISTORY_ENVELOPE, id, &item, taken);
	env_abort(t);
	return r;
}

static void a_content_is_the_one_that_was_signed_for(void **state)
{
	bool taken;
	(void)state;

	assert_int_equal(take_bent(B_NOTHING, &taken), RK_OK);
	assert_true(taken);
	for (enum bend b = B_CONTENT; b < B_COUNT; b++) {
		if (take_bent(b, &taken) != RK_EINTEGRITY || taken)
			fail_msg("bend %d", (int)b);
	}
}

/* Everything that an export carries of evidence, with a byte bent: nothing under a name that is not its own. */
static void a_copy_is_what_its_name_says(void **state)
{
	static uint8_t keys[256][33];
	struct env_cursor *cursor;
	struct bytes key, value;
	size_t n = 0;
	struct txn *t = begin(false);
	(void)state;

	assert_int_equal(env_cursor_open(t, C_EVIDENCE, &cursor), RK_OK);
	for (int r = env_cursor_seek(cursor, bytes_make("", 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value))
		if (key.data[0] == 'O' || key.data[0] == 'R') {
			assert_true(n < 256);
			memcpy(keys[n++], key.data, 33);
		}
	env_cursor_free(cursor);
	env_abort(t);
	assert_true(n >= 4);
	for (size_t i = 0; i < n; i++) {
		Rkl__HistoryItem item = RKL__HISTORY_ITEM__INIT;
		enum history_kind kind = keys[i][0] == 'O' ? HISTORY_OBJECT : HISTORY_EVIDENCE;
		uint8_t *copy;
		bool taken;

		t = begin(true);
		assert_int_equal(env_get(t, C_EVIDENCE, BYTES_OF(keys[i]), &value), RK_OK);
		copy = fixed_alloc(h.a, value.len);
		memcpy(copy, value.data, value.len);
		item.record = pb_of(bytes_make(copy, value.len));
		assert_int_equal(history_take(h.client, t, kind, keys[i] + 1, &item, &taken), RK_OK);
		assert_false(taken);
		assert_int_equal(env_del(t, C_EVIDENCE, BYTES_OF(keys[i])), RK_OK);
		assert_int_equal(history_take(h.client, t, kind, keys[i] + 1, &item, &taken), RK_OK);
		assert_true(env_has(t, C_EVIDENCE, BYTES_OF(keys[i])));
		assert_int_equal(env_del(t, C_EVIDENCE, BYTES_OF(keys[i])), RK_OK);
		if (kind == HISTORY_OBJECT)
			copy[value.len / 2] ^= 1;
		else
			item.record = pb_of(bytes_make("\x2a\x01x", 3)); /* terms, of one byte */
		assert_int_equal(history_take(h.client, t, kind, keys[i] + 1, &item, &taken), RK_EINTEGRITY);
		assert_false(taken || env_has(t, C_EVIDENCE, BYTES_OF(keys[i])));
		env_abort(t);
	}
}

/* A record of a deposit as another device would write it, with the secret that its commitment needs. */
static void deposit_item(const uint8_t *org_id, const uint8_t *device_id, const uint8_t sk[64], uint8_t oh[32], Rkl__HistoryItem *item)
{
	static uint8_t packed[4096], packed_secret[512];
	Rkl__DepositRecord record = RKL__DEPOSIT_RECORD__INIT;
	Rkl__DepositSecret secret = RKL__DEPOSIT_SECRET__INIT;
	uint8_t salt[32] = {1}, sha256[32] = {2}, commit[32];
	Rk__Deposit d = RK__DEPOSIT__INIT;
	struct bytes wire;
	struct object o;

	ids_deposit_commit(commit, salt, sha256);
	d.version = 1;
	d.org_id = pb_of(bytes_make(org_id, 16));
	d.device_id = pb_of(bytes_make(device_id, 16));
	d.commit = pb_of(BYTES_OF(commit));
	d.time = home_now_ms;
	assert_int_equal(object_make(OBJECT_KIND_DEPOSIT, h.f.exchange_id, sk, &d.base, h.a, &wire), RK_OK);
	assert_int_equal(object_parse(OBJECT_KIND_DEPOSIT, wire, h.a, &o), RK_OK);
	object_oh(oh, &o, h.f.exchange_id);
	secret.salt = pb_of(BYTES_OF(salt));
	secret.sha256 = pb_of(BYTES_OF(sha256));
	secret.name = pb_text("plan.pdf");
	record.oh = pb_of(bytes_make(oh, 32));
	record.wire = pb_of(wire);
	*item = (Rkl__HistoryItem)RKL__HISTORY_ITEM__INIT;
	item->record = pb_of(bytes_make(packed, rkl__deposit_record__pack(&record, packed)));
	item->secret = pb_of(bytes_make(packed_secret, rkl__deposit_secret__pack(&secret, packed_secret)));
}

/* What would stand in our list as proof of what we had. */
static void a_deposit_is_signed_by_a_device_of_ours(void **state)
{
	const struct fixed_org *other = &h.f.orgs[1];
	const uint8_t *own_sk = keys_sign_sk(h.client, KEY_DEVICE), *own_id = client_device_id(h.client);
	const struct {
		const char *name;
		const uint8_t *org_id, *device_id, *sk;
		int code;
	} rows[] = {
		{"ours", h.org_id, own_id, own_sk, RK_OK},
		{"another organisation's", other->org_id, other->device_id, other->device.sk, RK_EINTEGRITY},
		{"another's name, signed by us", other->org_id, own_id, own_sk, RK_EINTEGRITY},
		{"our name, signed by another", h.org_id, own_id, other->device.sk, RK_EINTEGRITY},
		{"our name, a device that no list of ours names", h.org_id, other->device_id, other->device.sk, RK_EINTEGRITY},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Rkl__HistoryItem item;
		struct txn *t = begin(true);
		uint8_t oh[32];
		bool taken;
		int r;

		deposit_item(rows[i].org_id, rows[i].device_id, rows[i].sk, oh, &item);
		r = history_take(h.client, t, HISTORY_DEPOSIT, oh, &item, &taken);
		if (r != rows[i].code || taken != (r == RK_OK) || env_has(t, C_DEPOSIT, BYTES_OF(oh)) != (r == RK_OK))
			fail_msg("%s: %s", rows[i].name, errcode_name(r));
		env_abort(t);
	}
}

/* A post is believed as told, but it does not take the place of what somebody has signed. */
static void a_post_replaces_no_letter(void **state)
{
	Rkl__EnvelopeRecord *record = home_record(&h, sent.wire.env_id);
	Rkl__HistoryItem item = RKL__HISTORY_ITEM__INIT;
	Rkl__PostRecord post = RKL__POST_RECORD__INIT;
	struct bytes before, after, message = home_dossier(&h, "a.txt", "other words", true);
	uint8_t packed[512], post_id[32] = {7};
	bool taken;
	struct txn *t = begin(true);
	(void)state;

	post.post_id = pb_of(BYTES_OF(post_id));
	post.env_id = record->env_id;
	post.sender_org = record->sender_org;
	post.sender_device = record->sender_device;
	post.status = RKL__POST_STATUS__LIVE;
	item.record = pb_of(bytes_make(packed, rkl__post_record__pack(&post, packed)));
	item.content = pb_of(message);
	assert_int_equal(env_get(t, C_CONTENT, BYTES_OF(sent.wire.env_id), &before), RK_OK);
	assert_int_equal(history_take(h.client, t, HISTORY_POST, post_id, &item, &taken), RK_EINTEGRITY);
	/* Nor is a dossier a post under any name. */
	post.env_id = pb_of(BYTES_OF(post_id));
	item.record = pb_of(bytes_make(packed, rkl__post_record__pack(&post, packed)));
	assert_int_equal(history_take(h.client, t, HISTORY_POST, post_id, &item, &taken), RK_EINTEGRITY);
	assert_int_equal(env_get(t, C_CONTENT, BYTES_OF(sent.wire.env_id), &after), RK_OK);
	assert_true(bytes_equal(before, after));
	assert_false(taken || env_has(t, C_POST, BYTES_OF(post_id)));
	env_abort(t);
}

static void a_file_is_taken_whole_or_not_at_all(void **state)
{
	static uint8_t whole[1 << 20];
	char other[128];
	ssize_t len;
	int fd;
	(void)state;

	forget(C_CONTENT, sent.wire.env_id);
	assert_int_equal(import("AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGH"), RK_EPASSPHRASE);
	assert_true((fd = open(file, O_RDONLY)) >= 0);
	len = read(fd, whole, sizeof(whole));
	close(fd);
	assert_in_range(len, 1000, sizeof(whole) - 1);
	for (int i = 1; i <= 8; i++) {
		/* Cut, and then a bit of the payload bent. */
		size_t cut = (size_t)len * (size_t)i / 9, at = 300 + ((size_t)len - 301) * (size_t)i / 9;

		snprintf(other, sizeof(other), "%s.%d", file, i);
		for (int bent = 0; bent < 2; bent++) {
			int r;

			assert_true((fd = open(other, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0);
			whole[at] ^= bent ? 1 : 0;
			assert_int_equal(write(fd, whole, bent ? (size_t)len : cut), bent ? len : (ssize_t)cut);
			whole[at] ^= bent ? 1 : 0;
			close(fd);
			r = history_import(h.client, other, CODE, &result);
			if (r != RK_EINTEGRITY && r != RK_MALFORMED)
				fail_msg("cut or bit %d: %s", i, errcode_name(r));
			assert_int_equal(result.taken, 0);
			assert_false(home_has_content(&h, sent.wire.env_id));
		}
		unlink(other);
	}
	assert_int_equal(history_import(h.client, "/no/such/file", CODE, &result), RK_EIO);
}

static void a_history_is_of_one_organisation(void **state)
{
	struct client_options options = {.home = h.folder};
	struct txn *t = begin(true);
	uint8_t id[16];
	(void)state;

	memcpy(id, client_org_id(h.client), 16);
	id[0] ^= 1;
	assert_int_equal(meta_put(t, META_ORG, bytes_make(id, 16)), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	/* As a new process of that home. */
	client_close(h.client);
	assert_int_equal(client_open(&options, &h.client), RK_OK);
	assert_int_equal(history_import(h.client, file, CODE, &result), RK_NOT_PERMITTED);
	assert_int_equal(result.taken, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_missing_comes_back_and_nothing_else),
		TEST(documents_come_back_by_their_letters),
		TEST(what_was_destroyed_stays_destroyed),
		TEST(a_content_is_the_one_that_was_signed_for),
		TEST(a_copy_is_what_its_name_says),
		TEST(a_deposit_is_signed_by_a_device_of_ours),
		TEST(a_post_replaces_no_letter),
		TEST(a_file_is_taken_whole_or_not_at_all),
		TEST(a_history_is_of_one_organisation),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
