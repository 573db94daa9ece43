/* trust: each rule of each snapshot, bent one at a time; enrolments; feed keys.  Row 0 of each table is the unbent one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/note.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/fixed_kit.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

static struct fixed f;
static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	fixed_init(&f);
	arena = arena_new(4 << 20);
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	arena_reset(arena, 4 << 20);
	return 0;
}

static char *text(const char *s)
{
	return arena_copy(arena, s, strlen(s));
}

static ProtobufCBinaryData key(const char *name)
{
	struct fixed_sign k;

	fixed_sign_key(&k, name);
	return pb_of(bytes_make(arena_copy(arena, k.pk, 32), 32));
}

static ProtobufCBinaryData zeros(size_t len)
{
	uint8_t *p = fixed_alloc(arena, len);

	memset(p, 0, len);
	return pb_of(bytes_make(p, len));
}

#define CHECK_ROW(i, r, expected) \
	do { \
		if ((r) != (expected)) \
			fail_msg("row %zu: %s, expected %s", (size_t)(i), errcode_name(r), errcode_name(expected)); \
	} while (0)

/* ---- charter */

static void c_nothing(Rk__Charter *c) { (void)c; }
static void c_serial(Rk__Charter *c) { c->serial = 0; }
static void c_later(Rk__Charter *c) { c->serial = 7; }
static void c_exchange(Rk__Charter *c) { c->exchange_id.data[0] ^= 1; }
static void c_root(Rk__Charter *c) { c->root_pk = key("another root"); }
static void c_suite(Rk__Charter *c) { c->min_suite = 2; }
static void c_curve_zero(Rk__Charter *c) { c->curve_pk = zeros(32); }
static void c_curve_is_root(Rk__Charter *c) { c->curve_pk = c->root_pk; }
static void c_secretariat_is_root(Rk__Charter *c) { c->secretariat_keys[0]->pk = c->root_pk; }
static void c_secretariat_zero(Rk__Charter *c) { c->secretariat_keys[0]->pk = zeros(32); }
static void c_secretariat_window(Rk__Charter *c) { c->secretariat_keys[0]->not_after = c->secretariat_keys[0]->not_before; }
static void c_window(Rk__Charter *c) { c->not_after = c->issued_at; }
static void c_vkeys_swapped(Rk__Charter *c) { char *v = c->log_vkey; c->log_vkey = c->witness_vkey; c->witness_vkey = v; }
static void c_vkey_id(Rk__Charter *c) { char *plus = strchr(c->log_vkey, '+'); plus[1] = plus[1] == '0' ? '1' : '0'; }
static void c_vkey_empty(Rk__Charter *c) { c->log_vkey = text(""); }

static char *vkey_of(const char *name, uint8_t type, const uint8_t pk[32])
{
	char out[NOTE_VKEY_CHARS];

	assert_int_equal(note_vkey(out, name, type, pk), RK_OK);
	return text(out);
}

static void c_origin(Rk__Charter *c) { c->log_vkey = vkey_of("renkei/0000000000000000/log1", 1, f.log.pk); }

static void c_log_is_witness(Rk__Charter *c)
{
	char name[NOTE_NAME_CHARS];

	note_witness_name(name, f.exchange_id);
	c->witness_vkey = vkey_of(name, 4, f.log.pk);
}

/* ---- another log */

/* A checkpoint of log `number`, as the log's key signs it. */
static ProtobufCBinaryData checkpoint_of(const uint8_t exchange_id[32], unsigned number, const struct fixed_sign *signer)
{
	struct checkpoint last = {.size = 1237, .root = {5}};
	struct note note;

	note_origin(last.origin, exchange_id, number);
	note_sign(&note, &last, signer->sk);
	return pb_of(bytes_make(arena_copy(arena, note.text, note.len), note.len));
}

/* Charter 2 of an exchange whose log has this number and follows that checkpoint. */
static void follow(Rk__Charter *c, unsigned number, ProtobufCBinaryData prev_checkpoint)
{
	char name[NOTE_NAME_CHARS];

	note_origin(name, f.exchange_id, number);
	c->serial = 2;
	c->log_vkey = vkey_of(name, NOTE_TYPE_LOG, f.log.pk);
	c->prev_checkpoint = prev_checkpoint;
}

static void c_log1_after_another(Rk__Charter *c) { c->prev_checkpoint = checkpoint_of(f.exchange_id, 1, &f.log); }
static void c_log2(Rk__Charter *c) { follow(c, 2, checkpoint_of(f.exchange_id, 1, &f.log)); }
static void c_log2_at_serial_1(Rk__Charter *c) { c_log2(c); c->serial = 1; }
static void c_log2_after_nothing(Rk__Charter *c) { follow(c, 2, (ProtobufCBinaryData){0}); }
static void c_log2_after_no_note(Rk__Charter *c) { c_log2(c); c->prev_checkpoint.data[0] = '\n'; }
static void c_log2_after_itself(Rk__Charter *c) { follow(c, 2, checkpoint_of(f.exchange_id, 2, &f.log)); }
static void c_log3_after_log1(Rk__Charter *c) { follow(c, 3, checkpoint_of(f.exchange_id, 1, &f.log)); c->serial = 3; }
static void c_log_zero(Rk__Charter *c) { follow(c, 0, (ProtobufCBinaryData){0}); }
static void c_log2_after_another_exchange(Rk__Charter *c) { follow(c, 2, checkpoint_of((const uint8_t[32]){9}, 1, &f.log)); }

/* Legal lines of unknown signers, but more than a charter may carry. */
static void c_log2_after_too_much(Rk__Charter *c)
{
	ProtobufCBinaryData note = checkpoint_of(f.exchange_id, 1, &f.log);
	const char line[] = "\xe2\x80\x94 other AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
	size_t n = 6, len = sizeof(line) - 1;
	uint8_t *p = fixed_alloc(arena, note.len + n * len);
	struct checkpoint read;

	memcpy(p, note.data, note.len);
	for (size_t i = 0; i < n; i++)
		memcpy(p + note.len + i * len, line, len);
	assert_int_equal(note_read(bytes_make(p, note.len + n * len), &read), RK_OK);
	follow(c, 2, pb_of(bytes_make(p, note.len + n * len)));
}

static void n_same_log(Rk__Charter *c) { c->serial = 2; }
static void n_same_serial(Rk__Charter *c) { (void)c; }
static void n_skips(Rk__Charter *c) { c->serial = 3; }
static void n_broker(Rk__Charter *c) { n_same_log(c); c->curve_pk = pb_of(BYTES_OF(f.orgs[1].curve.pk)); }
static void n_exchange(Rk__Charter *c) { n_same_log(c); c->exchange_id.data[0] ^= 1; }
static void n_root(Rk__Charter *c) { n_same_log(c); c->root_pk = key("another root"); }
static void n_skips_a_log(Rk__Charter *c) { follow(c, 3, checkpoint_of(f.exchange_id, 2, &f.log)); }
static void n_log_signed_by_another(Rk__Charter *c) { follow(c, 2, checkpoint_of(f.exchange_id, 1, &f.witness)); }

static void n_log_key(Rk__Charter *c)
{
	struct fixed_sign other;
	char name[NOTE_NAME_CHARS];

	c_log2(c);
	fixed_sign_key(&other, "another log");
	note_origin(name, f.exchange_id, 2);
	c->log_vkey = vkey_of(name, NOTE_TYPE_LOG, other.pk);
}

static void a_charter_follows_another(void **state)
{
	static const struct {
		void (*bend)(Rk__Charter *);
		int expected;
	} rows[] = {
		{n_same_log, RK_OK}, {c_log2, RK_OK}, {n_same_serial, RK_CONFLICT}, {n_skips, RK_CONFLICT},
		{n_broker, RK_UNSUPPORTED}, {n_log_key, RK_UNSUPPORTED}, {n_root, RK_UNSUPPORTED}, {n_exchange, RK_WRONG_EXCHANGE},
		{n_skips_a_log, RK_CONFLICT}, {n_log_signed_by_another, RK_BAD_SIGNATURE},
	};
	Rk__Charter *second, *third;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Rk__Charter *c = fixed_charter(&f, arena);

		rows[i].bend(c);
		CHECK_ROW(i, trust_check_charter_next(c, fixed_charter(&f, arena)), rows[i].expected);
	}
	/* While a log goes on, so does what it says of the one before it; and no log is taken up again. */
	second = fixed_charter(&f, arena);
	c_log2(second);
	third = fixed_charter(&f, arena);
	follow(third, 2, second->prev_checkpoint);
	third->serial = 3;
	assert_int_equal(trust_check_charter(third), RK_OK);
	assert_int_equal(trust_check_charter_next(third, second), RK_OK);
	third->prev_checkpoint = checkpoint_of(f.exchange_id, 1, &f.witness);
	assert_int_equal(trust_check_charter_next(third, second), RK_CONFLICT);
	follow(third, 1, (ProtobufCBinaryData){0});
	third->serial = 3;
	assert_int_equal(trust_check_charter_next(third, second), RK_CONFLICT);
}

static void a_gap_is_stepped_over_after_another_log_only(void **state)
{
	Rk__Charter *first = fixed_charter(&f, arena), *second = fixed_charter(&f, arena);
	(void)state;

	c_log2(second);
	assert_false(trust_may_step_over(first, first->issued_at - 1));
	assert_true(trust_may_step_over(second, second->issued_at - 1));
	assert_false(trust_may_step_over(second, second->issued_at));
	/* Forward, and no farther than can have been lost: else one step would use up all serials. */
	assert_true(trust_may_step(second, second->issued_at - 1, 7, 7 + TRUST_STEP_MAX));
	assert_false(trust_may_step(second, second->issued_at - 1, 7, 8 + TRUST_STEP_MAX));
	assert_false(trust_may_step(second, second->issued_at - 1, 7, 7));
	assert_false(trust_may_step(second, second->issued_at - 1, 7, 6));
	assert_false(trust_may_step(second, second->issued_at, 7, 9));
	first->serial = 2; /* a plain renewal */
	assert_false(trust_may_step_over(first, first->issued_at - 1));
}

static void charter_rules(void **state)
{
	static const struct {
		void (*bend)(Rk__Charter *);
		int expected;
	} rows[] = {
		{c_nothing, RK_OK}, {c_serial, RK_MALFORMED}, {c_later, RK_OK}, {c_exchange, RK_WRONG_EXCHANGE}, {c_root, RK_WRONG_EXCHANGE},
		{c_suite, RK_UNSUPPORTED}, {c_curve_zero, RK_MALFORMED}, {c_curve_is_root, RK_MALFORMED},
		{c_secretariat_is_root, RK_MALFORMED}, {c_secretariat_zero, RK_MALFORMED}, {c_secretariat_window, RK_MALFORMED},
		{c_window, RK_MALFORMED}, {c_vkeys_swapped, RK_MALFORMED}, {c_vkey_id, RK_MALFORMED}, {c_vkey_empty, RK_MALFORMED},
		{c_origin, RK_MALFORMED}, {c_log_is_witness, RK_MALFORMED},
		{c_log1_after_another, RK_MALFORMED}, {c_log2, RK_OK}, {c_log2_at_serial_1, RK_MALFORMED},
		{c_log2_after_nothing, RK_MALFORMED}, {c_log2_after_no_note, RK_MALFORMED}, {c_log2_after_itself, RK_MALFORMED},
		{c_log2_after_another_exchange, RK_MALFORMED}, {c_log2_after_too_much, RK_MALFORMED},
		{c_log3_after_log1, RK_MALFORMED}, {c_log_zero, RK_MALFORMED},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Rk__Charter *c = fixed_charter(&f, arena);

		rows[i].bend(c);
		CHECK_ROW(i, trust_check_charter(c), rows[i].expected);
	}
}

static void secretariat_key_counts_within_its_window(void **state)
{
	Rk__Charter *c = fixed_charter(&f, arena);
	Rk__SecretariatKey *k = c->secretariat_keys[0];
	uint8_t id[16], other[16] = {1};
	(void)state;

	ids_signer(id, f.secretariat.pk);
	assert_null(trust_secretariat_pk(c, id, k->not_before - 1));
	assert_ptr_equal(trust_secretariat_pk(c, id, k->not_before), k->pk.data);
	assert_ptr_equal(trust_secretariat_pk(c, id, k->not_after - 1), k->pk.data);
	assert_null(trust_secretariat_pk(c, id, k->not_after));
	assert_null(trust_secretariat_pk(c, other, k->not_before));
}

/* ---- directory */

static const struct trust_prev none = {0};

static void d_nothing(Rk__Directory *d) { (void)d; }
static void d_serial(Rk__Directory *d) { d->serial++; }
static void d_serial_back(Rk__Directory *d) { d->serial--; }
static void d_prev(Rk__Directory *d) { d->prev_oh = fixed_data(arena, 32, "another past"); }
static void d_no_prev(Rk__Directory *d) { d->prev_oh.len = 0; }
static void d_age(Rk__Directory *d) { d->expires_at++; }
static void d_expired(Rk__Directory *d) { d->expires_at = d->issued_at; }
static void d_short(Rk__Directory *d) { d->expires_at = d->issued_at + 1; }
static void d_unsorted(Rk__Directory *d) { Rk__Org *o = d->orgs[0]; d->orgs[0] = d->orgs[1]; d->orgs[1] = o; }
static void d_same_id(Rk__Directory *d) { d->orgs[1]->org_id = d->orgs[2]->org_id; }
static void d_same_key(Rk__Directory *d) { d->orgs[1]->org_pk = d->orgs[2]->org_pk; }
static void d_root_key(Rk__Directory *d) { memcpy(d->orgs[1]->org_pk.data, f.root.pk, 32); }
static void d_log_key(Rk__Directory *d) { memcpy(d->orgs[1]->org_pk.data, f.log.pk, 32); }
static void d_zero_key(Rk__Directory *d) { d->orgs[1]->org_pk = zeros(32); }
static void d_status(Rk__Directory *d) { d->orgs[1]->status = RK__ORG_STATUS__ORG_STATUS_NONE; }
static void d_kind(Rk__Directory *d) { d->orgs[1]->kind = RK__ORG_KIND__ORG_KIND_NONE; }
static void d_country(Rk__Directory *d) { d->orgs[1]->country = text("jp"); }
static void d_number(Rk__Directory *d) { d->orgs[1]->corporate_number = text("123456789012x"); }
static void d_number_ok(Rk__Directory *d) { d->orgs[1]->corporate_number = text("1234567890123"); }
static void d_min(Rk__Directory *d) { d->orgs[1]->min_devices_serial = 0; }
static void d_no_office(Rk__Directory *d) { d->orgs[0]->roles = TRUST_ROLE_COORDINATOR; }
static void d_office_suspended(Rk__Directory *d) { d->orgs[0]->status = RK__ORG_STATUS__SUSPENDED; }

static void d_names(Rk__Directory *d)
{
	Rk__Org *o = d->orgs[1];
	Rk__OrgName **twice = fixed_alloc(arena, 2 * sizeof(*twice));

	twice[0] = twice[1] = o->names[0];
	o->names = twice;
	o->n_names = 2;
}

static void add_ext(Rk__Directory *d, uint32_t first, uint32_t second, bool critical)
{
	Rk__Ext **ext = fixed_alloc(arena, 2 * sizeof(*ext));

	for (int i = 0; i < 2; i++) {
		ext[i] = fixed_alloc(arena, sizeof(**ext));
		rk__ext__init(ext[i]);
	}
	ext[0]->id = first;
	ext[1]->id = second;
	ext[1]->critical = critical;
	d->orgs[1]->ext = ext;
	d->orgs[1]->n_ext = 2;
}

static void d_ext(Rk__Directory *d) { add_ext(d, 9, 12, false); }
static void d_ext_order(Rk__Directory *d) { add_ext(d, 9, 9, false); }
static void d_ext_critical(Rk__Directory *d) { add_ext(d, 9, 12, true); }
/* Numbers 1 to 8 are links between keys: nothing else may stand there. */
static void d_ext_no_link(Rk__Directory *d) { add_ext(d, 1, 9, false); }

static void directory_rules(void **state)
{
	static const struct {
		void (*bend)(Rk__Directory *);
		int expected;
	} rows[] = {
		{d_nothing, RK_OK}, {d_serial, RK_CONFLICT}, {d_serial_back, RK_CONFLICT}, {d_prev, RK_CONFLICT},
		{d_age, RK_MALFORMED}, {d_expired, RK_MALFORMED}, {d_short, RK_OK}, {d_unsorted, RK_MALFORMED},
		{d_same_id, RK_MALFORMED}, {d_same_key, RK_MALFORMED}, {d_root_key, RK_MALFORMED}, {d_log_key, RK_MALFORMED},
		{d_zero_key, RK_MALFORMED}, {d_status, RK_MALFORMED}, {d_kind, RK_MALFORMED}, {d_country, RK_MALFORMED},
		{d_number, RK_MALFORMED}, {d_number_ok, RK_OK}, {d_min, RK_MALFORMED}, {d_no_office, RK_MALFORMED},
		{d_office_suspended, RK_MALFORMED}, {d_names, RK_MALFORMED}, {d_ext, RK_OK}, {d_ext_order, RK_MALFORMED},
		{d_ext_critical, RK_UNSUPPORTED}, {d_ext_no_link, RK_MALFORMED},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Rk__Directory *d = fixed_directory(&f, arena);

		rows[i].bend(d);
		CHECK_ROW(i, trust_check_directory(d, fixed_charter(&f, arena), none, NULL), rows[i].expected);
	}
}

static void n_suspend(Rk__Directory *d) { d->orgs[1]->status = RK__ORG_STATUS__SUSPENDED; }
static void n_min_up(Rk__Directory *d) { d->orgs[1]->min_devices_serial = 8; }
static void n_min_down(Rk__Directory *d) { d->orgs[1]->min_devices_serial = 6; }
static void n_gone(Rk__Directory *d) { d->orgs[1] = d->orgs[2]; d->n_orgs = 2; }
static void n_key(Rk__Directory *d) { d->orgs[1]->org_pk = key("a new org key"); }
static void n_key_of_expelled(Rk__Directory *d) { d->orgs[2]->org_pk = key("a new org key"); }
static void n_key_and_expelled(Rk__Directory *d) { n_key(d); d->orgs[1]->status = RK__ORG_STATUS__EXPELLED; }
static void n_back(Rk__Directory *d) { d->orgs[2]->status = RK__ORG_STATUS__ACTIVE; }
static void n_softer(Rk__Directory *d) { d->orgs[2]->status = RK__ORG_STATUS__SUSPENDED; }

static void n_added(Rk__Directory *d)
{
	Rk__Org **orgs = fixed_alloc(arena, 4 * sizeof(*orgs)), *o = fixed_alloc(arena, sizeof(*o));

	memcpy(orgs, d->orgs, 3 * sizeof(*orgs));
	*o = *d->orgs[1];
	o->org_id = pb_of(bytes_make(arena_copy(arena, f.orgs[2].org_id, 16), 16));
	o->org_id.data[15]++;
	o->org_pk = key("a newcomer");
	orgs[3] = o;
	d->orgs = orgs;
	d->n_orgs = 4;
}

static void directory_follows_the_one_before(void **state)
{
	static const struct {
		void (*bend)(Rk__Directory *);
		int expected;
	} rows[] = {
		{d_nothing, RK_OK}, {d_serial, RK_CONFLICT}, {d_serial_back, RK_CONFLICT}, {d_prev, RK_CONFLICT},
		{d_no_prev, RK_CONFLICT}, {n_suspend, RK_OK}, {n_min_up, RK_OK}, {n_min_down, RK_CONFLICT}, {n_gone, RK_CONFLICT},
		{n_key, RK_OK}, {n_key_of_expelled, RK_CONFLICT}, {n_key_and_expelled, RK_CONFLICT}, {n_back, RK_CONFLICT}, {n_softer, RK_CONFLICT}, {n_added, RK_OK},
	};
	struct trust_prev prev = {.serial = 4};
	(void)state;

	fixed_bytes(prev.oh, 32, "the past");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Rk__Directory *old = fixed_directory(&f, arena), *d = fixed_directory(&f, arena);

		old->serial = 4;
		old->orgs[1]->min_devices_serial = d->orgs[1]->min_devices_serial = 7;
		old->orgs[2]->status = d->orgs[2]->status = RK__ORG_STATUS__EXPELLED;
		d->serial = 5;
		d->prev_oh = fixed_data(arena, 32, "the past");
		rows[i].bend(d);
		CHECK_ROW(i, trust_check_directory(d, fixed_charter(&f, arena), prev, old), rows[i].expected);
	}
}

static void rows_are_found_by_id(void **state)
{
	Rk__Directory *d = fixed_directory(&f, arena);
	uint8_t id[16];
	(void)state;

	for (int i = 0; i < FIXED_ORGS; i++)
		assert_ptr_equal(trust_find_org(d, f.orgs[i].org_id), d->orgs[i]);
	memset(id, 0, 16);
	assert_null(trust_find_org(d, id));
	memset(id, 0x25, 16);
	assert_null(trust_find_org(d, id));
	memset(id, 0xff, 16);
	assert_null(trust_find_org(d, id));
	d->n_orgs = 0;
	assert_null(trust_find_org(d, f.orgs[0].org_id));
}

/* ---- devices */

static void desks_decide_who_opens(void **state)
{
	uint32_t ab[] = {1, 2}, b[] = {2}, c[] = {3};
	Rk__Device of_none = RK__DEVICE__INIT, of_ab = RK__DEVICE__INIT, of_b = RK__DEVICE__INIT, of_c = RK__DEVICE__INIT;
	(void)state;

	of_ab.desks = ab, of_ab.n_desks = 2;
	of_b.desks = b, of_b.n_desks = 1;
	of_c.desks = c, of_c.n_desks = 1;
	assert_true(trust_is_at_desk(&of_c, 0) && trust_is_at_desk(&of_none, 0) && trust_is_at_desk(&of_ab, 2));
	assert_false(trust_is_at_desk(&of_b, 1) || trust_is_at_desk(&of_none, 1) || trust_is_at_desk(&of_ab, 3));
	assert_true(trust_shares_desk(&of_ab, &of_b) && trust_shares_desk(&of_b, &of_ab) && trust_shares_desk(&of_none, &of_c));
	assert_false(trust_shares_desk(&of_ab, &of_c) || trust_shares_desk(&of_b, &of_none));
}

static void v_nothing(Rk__OrgDevices *o) { (void)o; }
static void v_serial(Rk__OrgDevices *o) { o->serial = 2; }
static void v_prev(Rk__OrgDevices *o) { o->prev_oh = fixed_data(arena, 32, "past"); }
static void v_id(Rk__OrgDevices *o) { o->devices[0]->device_id.data[0] ^= 1; }
static void v_sign_zero(Rk__OrgDevices *o) { o->devices[0]->sign_pk = zeros(32); }
static void v_curve_zero(Rk__OrgDevices *o) { o->devices[0]->curve_pk = zeros(32); }
static void v_one_key(Rk__OrgDevices *o) { o->devices[0]->curve_pk = o->devices[0]->sign_pk; }
static void v_long(Rk__OrgDevices *o) { o->valid_until++; }
static void v_over(Rk__OrgDevices *o) { o->valid_until = o->issued_at; }
static void v_empty(Rk__OrgDevices *o) { o->n_devices = 0; }
static void v_retired(Rk__OrgDevices *o) { o->devices[0]->retired_at = FIXED_TIME_MS; }
static void v_accepts(Rk__OrgDevices *o) { o->devices[0]->accepts_max = 0; }

static void add_device(Rk__OrgDevices *o, int of_org)
{
	Rk__Device **list = fixed_alloc(arena, 2 * sizeof(*list));

	list[0] = o->devices[0];
	list[1] = fixed_org_devices(&f, of_org, arena)->devices[0];
	o->devices = list;
	o->n_devices = 2;
}

static void v_two(Rk__OrgDevices *o) { add_device(o, 2); }
static void v_twice(Rk__OrgDevices *o) { add_device(o, 1); }
static void v_one_left(Rk__OrgDevices *o) { add_device(o, 2); o->devices[0]->retired_at = FIXED_TIME_MS; }
static void v_curve_shared(Rk__OrgDevices *o) { add_device(o, 2); o->devices[1]->curve_pk = o->devices[0]->curve_pk; }

static void v_ext(Rk__OrgDevices *o)
{
	static Rk__Ext ext = RK__EXT__INIT, *list[] = {&ext};

	ext.id = 1;
	ext.critical = 1;
	o->devices[0]->ext = list;
	o->devices[0]->n_ext = 1;
}

/* Desks 3 and 7, and names for as many; `critical` and such are v_ext's. */
static Rk__Ext *desks(Rk__OrgDevices *o, uint32_t first, uint32_t second, const char *names[], size_t n)
{
	static Rk__Ext ext, *list[1];
	static uint32_t numbers[2];
	Rk__DeskNames m = RK__DESK_NAMES__INIT;
	struct bytes packed;

	numbers[0] = first;
	numbers[1] = second;
	o->devices[0]->desks = numbers;
	o->devices[0]->n_desks = 2;
	if (n == 0)
		return NULL;
	m.names = (char **)(uintptr_t)names;
	m.n_names = n;
	assert_int_equal(STRICT_PACK(&m, arena, &packed), RK_OK);
	rk__ext__init(&ext);
	list[0] = &ext;
	ext.id = TRUST_EXT_DESK_NAMES;
	ext.value = pb_of(packed);
	o->devices[0]->ext = list;
	o->devices[0]->n_ext = 1;
	return &ext;
}

static const char *desk_names[] = {"Lab A", "実験室 B", "C"};
static void v_desks(Rk__OrgDevices *o) { desks(o, 3, 7, desk_names, 2); }
static void v_desks_unnamed(Rk__OrgDevices *o) { desks(o, 3, 7, desk_names, 0); }
static void v_desks_few_names(Rk__OrgDevices *o) { desks(o, 3, 7, desk_names, 1); }
static void v_desks_many_names(Rk__OrgDevices *o) { desks(o, 3, 7, desk_names, 3); }
static void v_desk_0(Rk__OrgDevices *o) { desks(o, 0, 7, desk_names, 2); }
static void v_desks_order(Rk__OrgDevices *o) { desks(o, 7, 3, desk_names, 2); }
static void v_desks_twice(Rk__OrgDevices *o) { desks(o, 3, 3, desk_names, 2); }
static void v_desks_garbage(Rk__OrgDevices *o) { desks(o, 3, 7, desk_names, 2)->value.len--; }
static void v_names_alone(Rk__OrgDevices *o) { desks(o, 3, 7, desk_names, 2); o->devices[0]->n_desks = 0; }

static void device_list_rules(void **state)
{
	static const struct {
		void (*bend)(Rk__OrgDevices *);
		int expected;
	} rows[] = {
		{v_nothing, RK_OK}, {v_serial, RK_CONFLICT}, {v_prev, RK_CONFLICT}, {v_id, RK_MALFORMED}, {v_sign_zero, RK_MALFORMED},
		{v_curve_zero, RK_MALFORMED}, {v_one_key, RK_MALFORMED}, {v_long, RK_MALFORMED}, {v_over, RK_MALFORMED},
		{v_empty, RK_MALFORMED}, {v_retired, RK_MALFORMED}, {v_accepts, RK_MALFORMED}, {v_two, RK_OK},
		{v_twice, RK_MALFORMED}, {v_one_left, RK_OK}, {v_curve_shared, RK_MALFORMED}, {v_ext, RK_UNSUPPORTED},
		{v_desks, RK_OK}, {v_desks_unnamed, RK_OK}, {v_desks_few_names, RK_MALFORMED}, {v_desks_many_names, RK_MALFORMED},
		{v_desk_0, RK_MALFORMED}, {v_desks_order, RK_MALFORMED}, {v_desks_twice, RK_MALFORMED}, {v_desks_garbage, RK_MALFORMED},
		{v_names_alone, RK_MALFORMED},
	};
	struct trust_prev prev = {.serial = 1};
	Rk__OrgDevices *next = fixed_org_devices(&f, 1, arena);
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Rk__OrgDevices *o = fixed_org_devices(&f, 1, arena);

		rows[i].bend(o);
		CHECK_ROW(i, trust_check_org_devices(o, none), rows[i].expected);
	}
	fixed_bytes(prev.oh, 32, "past");
	next->serial = 2;
	assert_int_equal(trust_check_org_devices(next, prev), RK_CONFLICT);
	next->prev_oh = fixed_data(arena, 32, "past");
	assert_int_equal(trust_check_org_devices(next, prev), RK_OK);
	next->serial = 3;
	assert_int_equal(trust_check_org_devices(next, prev), RK_CONFLICT);
}

static void device_acts_until_it_is_retired(void **state)
{
	Rk__OrgDevices *o = fixed_org_devices(&f, 1, arena);
	Rk__Device *d = o->devices[0];
	(void)state;

	assert_ptr_equal(trust_find_device(o, f.orgs[1].device_id), d);
	assert_null(trust_find_device(o, f.orgs[2].device_id));
	assert_true(trust_device_is_active(d, INT64_MAX));
	d->retired_at = 100;
	assert_true(trust_device_is_active(d, 99));
	assert_false(trust_device_is_active(d, 100));
}

static void kx_and_epoch_rules(void **state)
{
	Rk__DeviceKx *kx = fixed_device_kx(&f, 1, arena);
	Rk__FeedEpoch *e = fixed_feed_epoch(&f, arena);
	struct trust_prev prev = {.serial = 1};
	(void)state;

	assert_int_equal(trust_check_device_kx(kx, 0), RK_OK);
	assert_int_equal(trust_check_device_kx(kx, 1), RK_CONFLICT);
	kx->serial = 2;
	assert_int_equal(trust_check_device_kx(kx, 1), RK_OK);
	kx->not_after++;
	assert_int_equal(trust_check_device_kx(kx, 1), RK_MALFORMED);
	kx->not_after = kx->not_before;
	assert_int_equal(trust_check_device_kx(kx, 1), RK_MALFORMED);
	kx->not_after++;
	assert_int_equal(trust_check_device_kx(kx, 1), RK_OK);
	kx->kx_pk = zeros(32);
	assert_int_equal(trust_check_device_kx(kx, 1), RK_MALFORMED);
	kx->serial = 0;
	assert_int_equal(trust_check_device_kx(kx, UINT32_MAX), RK_CONFLICT);

	assert_int_equal(trust_check_feed_epoch(e, none), RK_OK);
	e->not_after = e->not_before + TRUST_EPOCH_AGE_MS;
	assert_int_equal(trust_check_feed_epoch(e, none), RK_OK);
	e->not_after++;
	assert_int_equal(trust_check_feed_epoch(e, none), RK_MALFORMED);
	e->not_after = e->not_before + 1;
	e->feed_id = 1;
	assert_int_equal(trust_check_feed_epoch(e, none), RK_UNSUPPORTED);
	e->feed_id = 0;
	assert_int_equal(trust_check_feed_epoch(e, prev), RK_CONFLICT);
	e->n = 2;
	assert_int_equal(trust_check_feed_epoch(e, prev), RK_CONFLICT);
	e->prev_oh = zeros(32);
	assert_int_equal(trust_check_feed_epoch(e, prev), RK_OK);
}

/* ---- enrolment */

static const uint8_t mac_key[32] = {42};

static int open_enrol(const Rk__Enrol *e, const struct fixed_sign *signer, const uint8_t exchange_id[32])
{
	struct bytes request = fixed_enrol_request(&f, e, mac_key, signer, arena);
	struct trust_enrol t;
	int r = trust_open_enrol(request, exchange_id, arena, &t);

	assert_int_equal(t.enrol != NULL, r == RK_OK);
	return r;
}

static Rk__Signed *resign(enum object_kind kind, const ProtobufCMessage *m, const struct fixed_sign *signer)
{
	struct bytes wire;
	Rk__Signed *s;

	assert_int_equal(object_make(kind, f.exchange_id, signer->sk, m, arena, &wire), RK_OK);
	assert_int_equal(STRICT_PARSE(signed, wire, arena, &s), RK_OK);
	return s;
}

static void enrolment_agrees_with_itself(void **state)
{
	struct bytes request = fixed_enrol_request(&f, fixed_enrol(&f, 1, arena), mac_key, &f.orgs[1].org, arena);
	struct trust_enrol t;
	struct object o;
	uint8_t oh[32];
	(void)state;

	assert_int_equal(trust_open_enrol(request, f.exchange_id, arena, &t), RK_OK);
	assert_memory_equal(t.enrol->org_id.data, f.orgs[1].org_id, 16);
	assert_memory_equal(t.devices->devices[0]->device_id.data, f.orgs[1].device_id, 16);
	assert_memory_equal(t.kx->kx_pk.data, f.orgs[1].kx.pk, 32);
	/* The wire bytes are whole objects by themselves. */
	assert_int_equal(object_parse(OBJECT_KIND_ORG_DEVICES, t.devices_wire, arena, &o), RK_OK);
	assert_int_equal(object_check(&o, f.exchange_id, f.orgs[1].org.pk), RK_OK);
	object_oh(oh, &o, f.exchange_id);
	assert_memory_equal(oh, t.devices_oh, 32);
	assert_int_equal(object_parse(OBJECT_KIND_ENROL, t.enrol_wire, arena, &o), RK_OK);
	object_oh(oh, &o, f.exchange_id);
	assert_memory_equal(oh, t.enrol_oh, 32);
	assert_int_equal(object_parse(OBJECT_KIND_DEVICE_KX, t.kx_wire, arena, &o), RK_OK);
}

static void enrolment_of_anothers_things_is_refused(void **state)
{
	const struct fixed_org *me = &f.orgs[1], *other = &f.orgs[2];
	uint8_t exchange[32] = {1};
	Rk__OrgDevices *list;
	Rk__DeviceKx *kx;
	Rk__Enrol *e = fixed_enrol(&f, 1, arena);
	(void)state;

	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_OK);
	assert_int_equal(open_enrol(e, &me->org, exchange), RK_BAD_SIGNATURE);
	assert_int_equal(open_enrol(e, &other->org, f.exchange_id), RK_BAD_SIGNATURE);
	/* The devices of another organisation, signed by it; the same under our name. */
	e->org_devices = fixed_enrol(&f, 2, arena)->org_devices;
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
	list = fixed_org_devices(&f, 1, arena);
	e->org_devices = resign(OBJECT_KIND_ORG_DEVICES, &list->base, &other->org);
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_BAD_SIGNATURE);
	/* Two devices, a second serial, the organisation's key as a device's. */
	add_device(list, 2);
	e->org_devices = resign(OBJECT_KIND_ORG_DEVICES, &list->base, &me->org);
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
	list = fixed_org_devices(&f, 1, arena);
	list->serial = 2;
	e->org_devices = resign(OBJECT_KIND_ORG_DEVICES, &list->base, &me->org);
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_CONFLICT);
	list = fixed_org_devices(&f, 1, arena);
	memcpy(list->devices[0]->sign_pk.data, me->org.pk, 32);
	ids_device(list->devices[0]->device_id.data, me->org.pk);
	e->org_devices = resign(OBJECT_KIND_ORG_DEVICES, &list->base, &me->org);
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
	/* The kx of another device, of ours but signed by another, or equal to the transport key. */
	e = fixed_enrol(&f, 1, arena);
	e->device_kx = fixed_enrol(&f, 2, arena)->device_kx;
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
	kx = fixed_device_kx(&f, 1, arena);
	e->device_kx = resign(OBJECT_KIND_DEVICE_KX, &kx->base, &other->device);
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_BAD_SIGNATURE);
	memcpy(kx->kx_pk.data, me->curve.pk, 32);
	e->device_kx = resign(OBJECT_KIND_DEVICE_KX, &kx->base, &me->device);
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
	/* Parts that are not there. */
	e->device_kx = NULL;
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
	e = fixed_enrol(&f, 1, arena);
	e->org_devices = NULL;
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
	e = fixed_enrol(&f, 1, arena);
	e->kind = RK__ORG_KIND__ORG_KIND_NONE;
	assert_int_equal(open_enrol(e, &me->org, f.exchange_id), RK_MALFORMED);
}

/* ---- feed keys */

static void feed_key_opens_for_its_epoch_and_device_only(void **state)
{
	uint8_t sealed[136], ek[32], low[32] = {0};
	Rk__FeedEpoch *e = fixed_feed_epoch(&f, arena), *other = fixed_feed_epoch(&f, arena);
	Rk__FeedKey *k;
	(void)state;

	assert_int_equal(trust_feed_key_seal(sealed, 1, f.ek, low), RK_NO_RECIPIENT_KEY);
	assert_int_equal(trust_feed_key_seal(sealed, 1, f.ek, f.orgs[1].kx.pk), RK_OK);
	k = fixed_feed_key(&f, 1, sealed, arena);
	assert_int_equal(trust_feed_key_open(ek, k, e, f.orgs[1].kx.pk, f.orgs[1].kx.sk), RK_OK);
	assert_memory_equal(ek, f.ek, 32);
	assert_int_equal(trust_feed_key_open(ek, k, e, f.orgs[2].kx.pk, f.orgs[2].kx.sk), RK_BAD_SIGNATURE);
	assert_true(bytes_is_zero(ek, 32));
	/* An epoch of another number or another commitment. */
	other->n = 2;
	assert_int_equal(trust_feed_key_open(ek, k, other, f.orgs[1].kx.pk, f.orgs[1].kx.sk), RK_BAD_SIGNATURE);
	k->n = 2;
	assert_int_equal(trust_feed_key_open(ek, k, other, f.orgs[1].kx.pk, f.orgs[1].kx.sk), RK_BAD_SIGNATURE);
	k->n = other->n = 1;
	other->ek_commit.data[0] ^= 1;
	assert_int_equal(trust_feed_key_open(ek, k, other, f.orgs[1].kx.pk, f.orgs[1].kx.sk), RK_BAD_SIGNATURE);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		k->sealed.data[i] ^= 1;
		assert_int_equal(trust_feed_key_open(ek, k, e, f.orgs[1].kx.pk, f.orgs[1].kx.sk), RK_BAD_SIGNATURE);
		k->sealed.data[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(charter_rules, clear), cmocka_unit_test_setup(a_charter_follows_another, clear),
		cmocka_unit_test_setup(a_gap_is_stepped_over_after_another_log_only, clear),
		cmocka_unit_test_setup(secretariat_key_counts_within_its_window, clear),
		cmocka_unit_test_setup(directory_rules, clear),
		cmocka_unit_test_setup(directory_follows_the_one_before, clear),
		cmocka_unit_test_setup(rows_are_found_by_id, clear),
		cmocka_unit_test_setup(desks_decide_who_opens, clear),
		cmocka_unit_test_setup(device_list_rules, clear),
		cmocka_unit_test_setup(device_acts_until_it_is_retired, clear),
		cmocka_unit_test_setup(kx_and_epoch_rules, clear),
		cmocka_unit_test_setup(enrolment_agrees_with_itself, clear),
		cmocka_unit_test_setup(enrolment_of_anothers_things_is_refused, clear),
		cmocka_unit_test_setup(feed_key_opens_for_its_epoch_and_device_only, clear),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
