/* device, desk: asking, the next list and its refusals, who gets a wrap, words between devices, and what is struck (P2, P3). */
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

#include "client/client_internal.h"
#include "client/device.h"
#include "proto/strict.h"
#include "tests/unit/home_kit.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

static struct home h;
static struct client *second; /* the new machine */
static char second_home[80];
static struct device_request request;

static int64_t now(void) { return home_now_ms; }

static void make_second(const char *label)
{
	struct client_options options = {.home = second_home, .now_ms = now};
	char card_text[INVITE_TEXT_CHARS], text[INVITE_TEXT_CHARS], fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	struct key_new open = {.no_passphrase = true};
	struct org_card card;

	assert_int_equal(device_card(h.client, card_text), RK_OK);
	assert_int_equal(org_card_parse(&card, card_text), RK_OK);
	assert_int_equal(client_create(&options, &second), RK_OK);
	assert_int_equal(device_request_create(second, &card, label, &open, text, fingerprint), RK_OK);
	assert_int_equal(client_state(second), CLIENT_PENDING);
	assert_int_equal(device_request_parse(&request, text), RK_OK);
}

static int set_up(void **state)
{
	(void)state;
	home_open(&h);
	snprintf(second_home, sizeof(second_home), "%s.second", h.folder);
	make_second("Machine two");
	return 0;
}

static int tear_down(void **state)
{
	char command[160];

	(void)state;
	client_close(second);
	snprintf(command, sizeof(command), "rm -rf %s", second_home);
	assert_int_equal(system(command), 0);
	home_close(&h);
	return 0;
}

static struct txn *begin(struct client *c, bool write)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(c), write, &t), RK_OK);
	return t;
}

/* What the broker would do with the object of an item: takes it, and the book of `c` learns of it. */
static void answer(struct client *c, uint64_t id, enum object_kind kind, struct bytes *wire)
{
	struct txn *t = begin(c, true);
	Rkl__OutboxItem *item;

	assert_int_equal(outbox_load(t, id, h.a, &item), RK_OK);
	assert_int_equal(seal_item(c, t, item, 1, h.a), RK_OK);
	assert_int_equal(item->n_frames, 2);
	*wire = bytes_of(item->frames[1]);
	assert_int_equal(book_take(c, t, kind, *wire, home_now_ms), RK_OK);
	item->state = RKL__ITEM_STATE__DONE;
	assert_int_equal(outbox_store(t, item, RKL__ITEM_STATE__QUEUED), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

/* A change that is to be taken; the new list is in force afterwards. */
static Rk__OrgDevices *change(const struct device_change *d)
{
	Rk__OrgDevices *list;
	struct bytes wire;
	uint8_t oh[32], found[32];
	uint64_t item;
	struct txn *t;

	assert_int_equal(device_change(h.client, d, oh, &item), RK_OK);
	answer(h.client, item, OBJECT_KIND_ORG_DEVICES, &wire);
	t = begin(h.client, false);
	assert_int_equal(book_org_devices(h.client, t, h.org_id, h.a, &list, found), RK_OK);
	env_abort(t);
	assert_memory_equal(oh, found, 32);
	return list;
}

static int refused(const struct device_change *d)
{
	uint8_t oh[32];
	uint64_t item;
	int r = device_change(h.client, d, oh, &item);

	assert_int_equal(item, 0);
	return r;
}

static const Rk__Device *add_second(const char *const *desks, size_t n)
{
	struct device_change d = {.kind = DEVICE_ADD, .request = &request, .desks = desks, .desk_count = n};
	Rk__OrgDevices *list = change(&d);
	uint8_t id[16];

	ids_device(id, request.sign_pk);
	return trust_find_device(list, id);
}

static void second_id(uint8_t id[16])
{
	ids_device(id, request.sign_pk);
}

/* ---- the list */

static void a_device_is_added_once_with_its_desks(void **state)
{
	static const char *const desks[] = {"Lab B", "Lab A"}, *const again[] = {"lab a", "Lab C"}, *const twice[] = {"Lab A", "LAB A"};
	struct device_change add = {.kind = DEVICE_ADD, .request = &request}, move = {.kind = DEVICE_DESKS};
	struct device_request other = request;
	const Rk__Device *d;
	Rk__DeskNames *names;
	uint8_t id[16];
	(void)state;

	other.org_id[0] ^= 1;
	add.request = &other;
	assert_int_equal(refused(&add), RK_NOT_PERMITTED);
	other = request;
	other.exchange_id[0] ^= 1;
	assert_int_equal(refused(&add), RK_WRONG_EXCHANGE);
	other = request;
	other.kx[other.kx_len - 1] ^= 1;
	assert_int_equal(refused(&add), RK_BAD_SIGNATURE);

	d = add_second(desks, 2);
	assert_non_null(d);
	assert_string_equal(d->label, "Machine two");
	assert_int_equal(d->n_desks, 2);
	assert_true(d->desks[0] == 1 && d->desks[1] == 2);
	assert_int_equal(trust_desk_names(d, h.a, &names), RK_OK);
	assert_string_equal(names->names[0], "Lab B");
	assert_string_equal(names->names[1], "Lab A");
	add.request = &request;
	assert_int_equal(refused(&add), RK_EEXISTS);

	/* A name that is there keeps number and spelling; a number is not given out again, though nobody has it any more. */
	second_id(id);
	move.device_id = id;
	move.desks = again;
	move.desk_count = 2;
	d = trust_find_device(change(&move), id);
	assert_true(d->n_desks == 2 && d->desks[0] == 2 && d->desks[1] == 3);
	assert_int_equal(trust_desk_names(d, h.a, &names), RK_OK);
	assert_string_equal(names->names[0], "Lab A");
	move.desk_count = 0;
	d = trust_find_device(change(&move), id);
	assert_true(d->n_desks == 0 && d->n_ext == 0);
	move.desks = again + 1;
	move.desk_count = 1;
	d = trust_find_device(change(&move), id);
	assert_true(d->n_desks == 1 && d->desks[0] == 4);
	/* What was sent to a desk that nobody stands at any more is still shown by its name. */
	for (uint32_t desk = 1; desk <= 4; desk++) {
		static const char *const called[] = {"Lab B", "Lab A", "Lab C", "Lab C"};
		struct txn *t = begin(h.client, false);

		assert_string_equal(desk_name(h.client, t, h.org_id, desk, h.a), called[desk - 1]);
		env_abort(t);
	}
	move.desks = twice;
	move.desk_count = 2;
	assert_int_equal(refused(&move), RK_EUSAGE);
	id[0] ^= 1;
	assert_int_equal(refused(&move), RK_ENOTFOUND);
}

static void one_list_at_a_time(void **state)
{
	struct device_change renew = {.kind = DEVICE_RENEW};
	uint8_t oh[32];
	uint64_t item, next;
	struct bytes wire;
	(void)state;

	assert_int_equal(device_change(h.client, &renew, oh, &item), RK_OK);
	assert_int_equal(device_change(h.client, &renew, oh, &next), RK_BUSY);
	answer(h.client, item, OBJECT_KIND_ORG_DEVICES, &wire);
	assert_int_equal(device_change(h.client, &renew, oh, &next), RK_OK);
}

static void somebody_is_always_left(void **state)
{
	struct device_change d = {.kind = DEVICE_RETIRE, .device_id = client_device_id(h.client)}, renew = {.kind = DEVICE_RENEW};
	Rk__OrgDevices *list;
	uint8_t id[16];
	(void)state;

	/* Oneself, alone or not. */
	assert_int_equal(refused(&d), RK_NOT_PERMITTED);
	add_second(NULL, 0);
	assert_int_equal(refused(&d), RK_NOT_PERMITTED);
	d.kind = DEVICE_DROP;
	assert_int_equal(refused(&d), RK_NOT_PERMITTED);

	second_id(id);
	d = (struct device_change){.kind = DEVICE_RETIRE, .device_id = id};
	home_now_ms += 1000;
	list = change(&d);
	assert_int_equal(list->n_devices, 2);
	assert_true(trust_find_device(list, id)->retired_at == home_now_ms);
	assert_int_equal(refused(&d), RK_CONFLICT);
	d.kind = DEVICE_DESKS;
	assert_int_equal(refused(&d), RK_CONFLICT);
	/* Its row stays for 180 days, and leaves with the next list after them. */
	home_now_ms += TRUST_RETIRED_KEPT_MS - 1;
	assert_int_equal(change(&renew)->n_devices, 2);
	home_now_ms += 1;
	assert_int_equal(change(&renew)->n_devices, 1);
}

static void a_list_is_renewed_in_time(void **state)
{
	struct device_change renew = {.kind = DEVICE_RENEW};
	Rk__OrgDevices *list = change(&renew);
	struct txn *t;
	(void)state;

	assert_true(list->valid_until == list->issued_at + TRUST_DEVICES_AGE_MS);
	home_now_ms = list->valid_until - DEVICE_RENEW_MS - 1;
	t = begin(h.client, false);
	assert_false(device_list_is_due(h.client, t));
	home_now_ms++;
	assert_true(device_list_is_due(h.client, t));
	env_abort(t);
	list = change(&renew);
	t = begin(h.client, false);
	assert_false(device_list_is_due(h.client, t));
	env_abort(t);
	/* A clock that went back signs nothing older than what stands. */
	home_now_ms -= 1000;
	assert_true(change(&renew)->issued_at == list->issued_at + 1);
}

static void devices_are_found_by_id_and_label(void **state)
{
	char hex[33];
	Rk__Device *d;
	uint8_t id[16];
	struct txn *t;
	(void)state;

	add_second(NULL, 0);
	second_id(id);
	ids_hex(hex, BYTES_OF(id));
	t = begin(h.client, false);
	assert_int_equal(device_find(h.client, t, hex, h.a, &d), RK_OK);
	hex[8] = '\0';
	assert_int_equal(device_find(h.client, t, hex, h.a, &d), RK_OK);
	hex[3] = '\0';
	assert_int_equal(device_find(h.client, t, hex, h.a, &d), RK_ENOTFOUND);
	assert_int_equal(device_find(h.client, t, "machine TWO", h.a, &d), RK_OK);
	assert_memory_equal(d->device_id.data, id, 16);
	assert_int_equal(device_find(h.client, t, "machine", h.a, &d), RK_ENOTFOUND);
	assert_int_equal(device_find(h.client, t, "", h.a, &d), RK_ENOTFOUND);
	env_abort(t);
}

/* ---- desks */

static void names_are_those_that_people_read(void **state)
{
	static const struct { const char *a, *b; bool same; } rows[] = {
		{"Lab A", "lab a", true}, {"Lab A", "Lab B", false}, {"Lab", "Lab A", false}, {"", "", true},
		{"ガラス", "カ\xe3\x82\x99ラス", true},   /* composed, and with the mark beside it */
		{"ぱん", "は\xe3\x82\x9aん", true}, {"ぱん", "は\xe3\x82\x99ん", false}, {"ヴ", "ウ\xe3\x82\x99", true},
		{"づ", "つ\xe3\x82\x99", true}, {"っ", "っ\xe3\x82\x99", false}, {"ＬＡＢ", "ｌａｂ", true}, {"実験室", "実験室", true},
		{"実験室", "実験", false}, {"カ", "か", false},
	};
	static const char *const bad[] = {"", "  ", "a/b", "a,b", "a\nb", "0123456789012345678901234567890123456789012345678901234567890123456"};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (desk_same_name(rows[i].a, rows[i].b) != rows[i].same || desk_same_name(rows[i].b, rows[i].a) != rows[i].same)
			fail_msg("row %zu", i);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(desk_is_name(bad[i]));
	assert_true(desk_is_name("研究室 A"));
}

static void take_second_kx(void)
{
	struct txn *t = begin(h.client, true);

	assert_int_equal(book_take(h.client, t, OBJECT_KIND_DEVICE_KX, bytes_make(request.kx, request.kx_len), home_now_ms), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static size_t targets(enum book_side side, uint32_t desk)
{
	struct envelope_target list[8];
	struct txn *t = begin(h.client, false);
	size_t n = 0;

	assert_int_equal(book_targets_at(h.client, t, h.org_id, side, desk, list, 8, &n), RK_OK);
	/* Nobody twice. */
	assert_int_equal(book_targets_at(h.client, t, h.org_id, side, desk, list, 8, &n), RK_OK);
	env_abort(t);
	return n;
}

static void wraps_follow_the_desks(void **state)
{
	static const char *const a[] = {"A"}, *const ab[] = {"A", "B"}, *const b[] = {"B"};
	struct device_change self = {.kind = DEVICE_DESKS, .device_id = client_device_id(h.client), .desks = b, .desk_count = 1};
	const uint8_t *own = self.device_id;
	struct desk *list;
	uint32_t desk;
	uint8_t id[16];
	struct txn *t;
	size_t n;
	(void)state;

	add_second(a, 1);
	take_second_kx();
	second_id(id);
	assert_int_equal(targets(BOOK_DESK, 0), 2);
	assert_int_equal(targets(BOOK_DESK, 1), 1);
	assert_int_equal(targets(BOOK_DESK, 2), 0);
	assert_int_equal(targets(BOOK_OWN_DESKS, 0), 2); /* we stand at none: for all */
	assert_int_equal(targets(BOOK_OWN_DEVICE, 0), 1);
	change(&self);
	assert_int_equal(targets(BOOK_OWN_DESKS, 0), 1);
	assert_int_equal(targets(BOOK_DESK, 0), 2);
	self.desks = ab;
	self.desk_count = 2;
	change(&self);
	assert_int_equal(targets(BOOK_OWN_DESKS, 0), 2);
	assert_int_equal(targets(BOOK_DESK, 1), 2);

	t = begin(h.client, false);
	assert_int_equal(desk_find(h.client, t, h.org_id, "b", h.a, &desk), RK_OK);
	assert_int_equal(desk, 2);
	assert_int_equal(desk_find(h.client, t, h.org_id, "C", h.a, &desk), RK_ENOTFOUND);
	assert_int_equal(desk_list(h.client, t, h.org_id, h.a, &list, &n), RK_OK);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].devices, 2);
	assert_string_equal(desk_name(h.client, t, h.org_id, 2, h.a), "B");
	assert_string_equal(desk_name(h.client, t, h.org_id, 7, h.a), "#7");
	assert_int_equal(desk_of_device(h.client, t, id, h.org_id, h.a, &desk), RK_OK);
	assert_int_equal(desk, 1);
	assert_int_equal(desk_of_device(h.client, t, own, h.org_id, h.a, &desk), RK_CONFLICT);
	env_abort(t);
}

/* ---- let in */

/* The new machine's book, as its first sync fills it. */
static void fill_second_book(void)
{
	static const enum object_kind kinds[] = {OBJECT_KIND_CHARTER, OBJECT_KIND_DIRECTORY, OBJECT_KIND_ORG_DEVICES};
	struct txn *from = begin(h.client, false), *to = begin(second, true);
	uint64_t serial;
	uint8_t oh[32];
	struct bytes wire;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const uint8_t *id = kinds[i] == OBJECT_KIND_ORG_DEVICES ? h.org_id : NULL;

		assert_int_equal(book_newest(from, (unsigned)object_info(kinds[i])->wire_type, id, &serial, oh, &wire), RK_OK);
		assert_int_equal(book_take(second, to, kinds[i], wire, home_now_ms), RK_OK);
	}
	assert_int_equal(env_commit(to), RK_OK);
	env_abort(from);
}

static enum device_wait waits(void)
{
	struct txn *t = begin(second, false);
	enum device_wait w = device_waits_for(second, t);

	env_abort(t);
	return w;
}

static void the_first_key_is_that_of_the_request(void **state)
{
	struct bytes wire;
	uint64_t item, again;
	struct txn *t;
	(void)state;

	/* Not listed yet: nothing to publish. */
	assert_int_equal(device_publish_kx(second, &item), RK_OK);
	assert_int_equal(item, 0);
	add_second(NULL, 0);
	fill_second_book();
	assert_int_equal(waits(), DEVICE_WAITS_KX);
	assert_int_equal(device_publish_kx(second, &item), RK_OK);
	assert_int_not_equal(item, 0);
	assert_int_equal(device_publish_kx(second, &again), RK_OK);
	assert_int_equal(again, 0); /* on its way */
	answer(second, item, OBJECT_KIND_DEVICE_KX, &wire);
	assert_true(bytes_equal(wire, bytes_make(request.kx, request.kx_len)));
	assert_int_equal(waits(), DEVICE_READY); /* no epoch is known here */
	/* Published: the request has done its duty. */
	assert_int_equal(device_publish_kx(second, &again), RK_OK);
	assert_int_equal(again, 0);
	t = begin(second, false);
	assert_int_equal(device_own_request(second, t, &request), RK_ENOTFOUND);
	env_abort(t);
}

static void a_request_that_lay_long_is_signed_anew(void **state)
{
	const Rk__DeviceKx *kx;
	struct bytes wire;
	struct object o;
	uint64_t item;
	(void)state;

	home_now_ms += TRUST_KX_AGE_MS / 2 + ENVELOPE_CLOCK_MS;
	add_second(NULL, 0);
	fill_second_book();
	assert_int_equal(device_publish_kx(second, &item), RK_OK);
	answer(second, item, OBJECT_KIND_DEVICE_KX, &wire);
	assert_int_equal(object_parse(OBJECT_KIND_DEVICE_KX, wire, h.a, &o), RK_OK);
	kx = (const Rk__DeviceKx *)o.message;
	assert_int_equal(kx->serial, 1);
	assert_true(kx->not_after == home_now_ms - ENVELOPE_CLOCK_MS + TRUST_KX_AGE_MS);
}

/* ---- words between devices */

/* What the second device writes, to a desk of ours or to all; sealed to the home. */
static void deliver_internal(uint32_t desk, struct bytes message, bool to_home, uint8_t env_id[32])
{
	Rk__EnvelopeHeader e = RK__ENVELOPE_HEADER__INIT;
	Rk__Recipient r = RK__RECIPIENT__INIT, *list = &r;
	struct envelope_target target;
	struct envelope_random random;
	struct envelope_wire wire;
	uint8_t id[16];

	second_id(id);
	e.kind = RK__KIND__INTERNAL;
	e.exchange_id = pb_of(BYTES_OF(h.f.exchange_id));
	e.sender_org = r.org_id = pb_of(BYTES_OF(h.org_id));
	e.sender_device = pb_of(BYTES_OF(id));
	e.created_at = home_now_ms;
	e.expires_at = home_now_ms + 20 * NDA_DAY_MS;
	e.directory_serial = 1;
	r.desk_id = desk;
	e.recipients = &list;
	e.n_recipients = 1;
	memcpy(target.device_id, to_home ? client_device_id(h.client) : id, 16);
	assert_true(keys_kx_newest(to_home ? h.client : second, &target.kx_serial, target.kx_pk));
	envelope_random(&random);
	assert_int_equal(envelope_seal(&e, message, NULL, &target, 1, keys_sign_sk(second, KEY_DEVICE), &random, h.a, &wire), RK_OK);
	memcpy(env_id, wire.env_id, 32);
	home_deliver(&h, mail_on_envelope, wire.head, wire.wraps, wire.body, false);
}

static void words_come_in_and_nothing_else_does(void **state)
{
	static const char *const a[] = {"A"};
	struct bytes words = fixed_message("The kiln is free.", h.a);
	Rkl__EnvelopeRecord *record;
	uint8_t env_id[32];
	Rk__Message *m;
	struct txn *t;
	(void)state;

	add_second(a, 1);
	deliver_internal(0, words, true, env_id);
	record = home_record(&h, env_id);
	assert_non_null(record);
	assert_false(record->outgoing);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__OPENED);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_INTERNAL), 1);
	t = begin(h.client, false);
	assert_int_equal(mail_message(h.client, t, record, h.a, &m), RK_OK);
	assert_string_equal(m->text, "The kiln is free.");
	env_abort(t);
	/* To a desk that is not ours: on record, without a word about it. */
	deliver_internal(1, words, false, env_id);
	record = home_record(&h, env_id);
	assert_int_equal(record->recipient_desks[0], 1);
	assert_int_equal(record->problem, RK_NO_RECIPIENT_KEY);
	assert_false(home_has_content(&h, env_id));
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_INTERNAL), 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 0);
	/* A dossier has no place here. */
	deliver_internal(0, home_dossier(&h, "a.txt", "x", true), true, env_id);
	record = home_record(&h, env_id);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__FAILED);
	assert_int_equal(record->problem, RK_NOT_PERMITTED);
	assert_int_equal(record->nack_item, 0);
	assert_false(home_has_content(&h, env_id));
}

static void a_dossier_for_another_desk_is_not_told(void **state)
{
	static const char *const a[] = {"A"}, *const b[] = {"B"};
	struct device_change self = {.kind = DEVICE_DESKS, .device_id = client_device_id(h.client), .desks = b, .desk_count = 1};
	Rk__EnvelopeHeader *e;
	struct deal deal;
	struct sent sent;
	struct txn *t;
	(void)state;

	add_second(a, 1);
	change(&self);
	deal_init(&h, &deal);
	deal_finish(&h, &deal);
	deal_conclude(&h, &deal);
	for (uint32_t desk = 0; desk <= 2; desk++) {
		e = home_header(&h, RK__KIND__NDA, 1, &deal);
		for (size_t i = 0; i < e->n_recipients; i++)
			if (memcmp(e->recipients[i]->org_id.data, h.org_id, 16) == 0)
				e->recipients[i]->desk_id = desk;
		home_seal(&h, e, 1, home_dossier(&h, "a.txt", "secret", true), &sent);
		home_deliver_sent(&h, &sent);
		t = begin(h.client, false);
		assert_int_equal(mail_own_desk(h.client, home_record(&h, sent.wire.env_id)), desk);
		assert_int_equal(mail_is_for_this_device(h.client, t, home_record(&h, sent.wire.env_id)), desk != 1);
		env_abort(t);
		assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_DOSSIER), desk == 2 ? 2 : 1);
	}
}

/* ---- struck */

static void put_post(const char *name, const uint8_t device_id[16], Rkl__PostStatus status)
{
	Rkl__PostRecord record = RKL__POST_RECORD__INIT;
	struct txn *t = begin(h.client, true);

	record.post_id = fixed_data(h.a, 32, name);
	record.channel = RK__CHANNEL__OFFER;
	record.sender_org = pb_of(BYTES_OF(h.org_id));
	record.sender_device = pb_of(bytes_make(device_id, 16));
	record.status = status;
	assert_int_equal(record_put(t, C_POST, bytes_of(record.post_id), &record.base), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static unsigned posts(Rkl__PostStatus status)
{
	struct txn *t = begin(h.client, false);
	struct env_cursor *cursor;
	struct bytes key, value;
	unsigned n = 0;

	assert_int_equal(env_cursor_open(t, C_POST, &cursor), RK_OK);
	for (int r = env_cursor_seek(cursor, bytes_make("", 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__PostRecord *record = rkl__post_record__unpack(NULL, value.len, value.data);

		n += record->status == status;
		rkl__post_record__free_unpacked(record, NULL);
	}
	env_cursor_free(cursor);
	env_abort(t);
	return n;
}

static void a_struck_device_takes_its_posts_along(void **state)
{
	struct device_change retire = {.kind = DEVICE_RETIRE}, drop = {.kind = DEVICE_DROP};
	uint8_t id[16];
	char name[32];
	(void)state;

	add_second(NULL, 0);
	second_id(id);
	retire.device_id = drop.device_id = id;
	/* More than one page of them, and what is not theirs or not alive. */
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "post %d", i);
		put_post(name, id, i % 2 ? RKL__POST_STATUS__LIVE : RKL__POST_STATUS__SEALED);
	}
	put_post("expired", id, RKL__POST_STATUS__EXPIRED);
	put_post("own", client_device_id(h.client), RKL__POST_STATUS__LIVE);
	change(&retire);
	assert_int_equal(posts(RKL__POST_STATUS__WITHDRAWN), 0);
	change(&drop);
	assert_int_equal(posts(RKL__POST_STATUS__WITHDRAWN), 600);
	assert_int_equal(posts(RKL__POST_STATUS__LIVE), 1);
	assert_int_equal(posts(RKL__POST_STATUS__EXPIRED), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_is_added_once_with_its_desks),
		TEST(one_list_at_a_time),
		TEST(somebody_is_always_left),
		TEST(a_list_is_renewed_in_time),
		TEST(devices_are_found_by_id_and_label),
		TEST(names_are_those_that_people_read),
		TEST(wraps_follow_the_desks),
		TEST(the_first_key_is_that_of_the_request),
		TEST(a_request_that_lay_long_is_signed_anew),
		TEST(words_come_in_and_nothing_else_does),
		TEST(a_dossier_for_another_desk_is_not_told),
		TEST(a_struck_device_takes_its_posts_along),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
