/* Which key of an organisation stood when, as a home knows it: from directories as they come, and for a home that comes late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "client/key_change.h"
#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/strict.h"
#include "tests/unit/bare_home.h"

static struct bare h;
static struct fixed_sign keys[4]; /* of org 2, oldest first */
static uint64_t control_seq;

/* Only the charter is in the book; what comes, comes by the control stream. */
static int set_up(void **state)
{
	(void)state;
	bare_begin(&h, 1);
	keys[0] = h.f.orgs[2].org;
	fixed_sign_key(&keys[1], "second key");
	fixed_sign_key(&keys[2], "third key");
	fixed_sign_key(&keys[3], "fourth key");
	control_seq = 0;
	bare_write(&h);
	return bare_take(&h, OBJECT_KIND_CHARTER, bare_sign(&h, OBJECT_KIND_CHARTER, h.f.root.sk, &fixed_charter(&h.f, h.a)->base));
}

static int tear_down(void **state)
{
	(void)state;
	bare_end(&h);
	return 0;
}

/* One entry of control. */
static uint64_t deliver(Rk__EntryKind kind, struct bytes wire)
{
	struct delivery d = {.kind = kind, .time_ms = FIXED_TIME_MS, .seq = ++control_seq, .object = wire};

	d.stream = stream_control();
	assert_int_equal(book_on_control(h.c, h.t, &d), RK_OK);
	return control_seq;
}

static struct bytes link_of(int from, int to)
{
	Rk__OrgKey *m = fixed_org_key(&h.f, 2, &keys[to], h.a);

	m->old_pk = pb_of(bytes_make(keys[from].pk, 32));
	return bare_sign(&h, OBJECT_KIND_ORG_KEY, keys[from].sk, &m->base);
}

/* The row of org 2 as it is now; each change works on it. */
static Rk__Org row;

static void change(int to, struct bytes link)
{
	Rk__Org next;

	assert_int_equal(orgkey_replace(&row, keys[to].pk, link, h.a, &next), RK_OK);
	row = next;
}

static struct bytes directory(uint64_t serial, uint64_t min_devices)
{
	Rk__Directory *d = fixed_directory(&h.f, h.a), *newest;
	uint8_t *oh = fixed_alloc(h.a, 32);

	if (serial == 1)
		row = *d->orgs[2];
	row.min_devices_serial = min_devices;
	d->orgs[2] = &row;
	d->serial = serial;
	d->issued_at = FIXED_TIME_MS + (int64_t)serial;
	d->expires_at = d->issued_at + 86400000;
	if (serial > 1) {
		if (book_directory(h.c, h.t, h.a, &newest, oh) != RK_OK)
			fixed_bytes(oh, 32, "not ours to see");
		d->prev_oh = pb_of(bytes_make(oh, 32));
	}
	return bare_sign(&h, OBJECT_KIND_DIRECTORY, h.f.secretariat.sk, &d->base);
}

static struct bytes list(uint64_t serial, int key)
{
	Rk__OrgDevices *o = fixed_org_devices(&h.f, 2, h.a), *before;
	uint8_t *oh = fixed_alloc(h.a, 32);

	o->serial = serial;
	if (book_org_devices(h.c, h.t, h.f.orgs[2].org_id, h.a, &before, oh) != RK_OK)
		fixed_bytes(oh, 32, "not ours to see");
	if (serial > 1)
		o->prev_oh = pb_of(bytes_make(oh, 32));
	return bare_sign(&h, OBJECT_KIND_ORG_DEVICES, keys[key].sk, &o->base);
}

static struct bytes kx(void)
{
	return bare_sign(&h, OBJECT_KIND_DEVICE_KX, h.f.orgs[2].device.sk, &fixed_device_kx(&h.f, 2, h.a)->base);
}

static void stands(int key, uint64_t seq)
{
	uint8_t pk[32];

	assert_int_equal(book_org_key_at(h.c, h.t, h.f.orgs[2].org_id, seq, pk), RK_OK);
	assert_memory_equal(pk, keys[key].pk, 32);
}

static bool counts(int key, uint64_t seq)
{
	uint8_t fp[32];

	ids_sha256(fp, BYTES_OF(keys[key].pk));
	return book_key_counts_at(h.c, h.t, h.f.orgs[2].org_id, fp, seq);
}

static uint64_t newest_list(void)
{
	Rk__OrgDevices *o;
	uint8_t oh[32];

	return book_org_devices(h.c, h.t, h.f.orgs[2].org_id, h.a, &o, oh) == RK_OK ? o->serial : 0;
}

static bool has_kx(void)
{
	Rk__DeviceKx *found;

	return book_device_kx(h.c, h.t, h.f.orgs[2].device_id, h.a, &found) == RK_OK;
}

/* keys[0], by its word keys[1], then without a word keys[2], by its word keys[3]. */
static void each_entry_has_the_key_of_its_time(void **state)
{
	uint64_t at[4];
	(void)state;

	at[0] = deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, directory(1, 1));
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(1, 0));
	change(1, link_of(0, 1));
	at[1] = deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, directory(2, 1));
	assert_int_equal(book_key_lost_at(h.c, h.t, h.f.orgs[2].org_id), 0);
	change(2, (struct bytes){0});
	at[2] = deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, directory(3, 1));
	change(3, link_of(2, 3));
	at[3] = deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, directory(4, 1));
	assert_int_equal(bare_counter(&h, "bad-object"), 0);
	for (int k = 0; k < 4; k++) {
		stands(k, at[k]);
		stands(k, k < 3 ? at[k + 1] - 1 : at[3] + 100);
	}
	stands(3, 0);
	for (int k = 0; k < 4; k++)
		for (int t = 0; t < 4; t++)
			assert_int_equal(counts(k, at[t]), k <= t && (k < 2) == (t < 2));
	assert_false(counts(0, 0) || counts(1, 0));
	assert_true(counts(2, 0) && counts(3, 0));
	assert_true(book_key_lost_at(h.c, h.t, h.f.orgs[2].org_id) == FIXED_TIME_MS + 3);
	/* The list that the first key signed stays the standing one; that key signs no other, and an unlinked one neither. */
	assert_int_equal(newest_list(), 1);
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(2, 0));
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(2, 2));
	assert_int_equal(newest_list(), 1);
	assert_int_equal(bare_counter(&h, "bad-object"), 2);
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(2, 3));
	assert_int_equal(newest_list(), 2);
}

static void directories_with_false_links_are_not_taken(void **state)
{
	Rk__Directory *d;
	Rk__OrgKey *m;
	uint8_t oh[32];
	(void)state;

	deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, directory(1, 1));
	m = fixed_org_key(&h.f, 2, &keys[1], h.a);
	change(1, bare_sign(&h, OBJECT_KIND_ORG_KEY, keys[1].sk, &m->base));
	deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, directory(2, 1));
	assert_int_equal(bare_counter(&h, "bad-object"), 1);
	assert_int_equal(book_directory(h.c, h.t, h.a, &d, oh), RK_OK);
	assert_int_equal(d->serial, 1);
	stands(0, 0);
}

/* A home that begins with directory 3 and then reads control from its start. */
static void late(int how)
{
	struct bytes newest, first, second;

	first = directory(1, 1);
	change(1, how == 0 ? link_of(0, 1) : (struct bytes){0});
	second = directory(2, 1);
	newest = directory(3, 1);
	assert_int_equal(bare_take(&h, OBJECT_KIND_DIRECTORY, newest), RK_OK);
	deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, first);
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(1, 0));
	deliver(RK__ENTRY_KIND__ENTRY_DEVICE_KX, kx());
	deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, second);
	deliver(RK__ENTRY_KIND__ENTRY_DIRECTORY, newest);
}

static void a_late_home_follows_the_links(void **state)
{
	(void)state;
	late(0);
	assert_int_equal(newest_list(), 1);
	assert_true(has_kx());
	/* What the directory does not pin, the old key cannot bring in any more. */
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(2, 0));
	assert_int_equal(newest_list(), 1);
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(2, 1));
	assert_int_equal(newest_list(), 2);
	assert_int_equal(bare_counter(&h, "bad-object"), 1);
}

/* Where there is no link, the first list under the new key names the devices again; their kx keys have waited for it. */
static void a_late_home_waits_for_the_next_list(void **state)
{
	struct envelope_target targets[4];
	size_t n = 0;
	(void)state;

	late(1);
	assert_int_equal(newest_list(), 0);
	assert_false(has_kx());
	assert_int_equal(book_targets(h.c, h.t, h.f.orgs[2].org_id, targets, 4, &n), RK_NO_RECIPIENT_KEY);
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(2, 1));
	assert_int_equal(newest_list(), 2);
	assert_true(has_kx());
	assert_int_equal(bare_counter(&h, "bad-object"), 0);
}

/* A kx key that waits is proven when its list comes; one that is not the device's is dropped. */
static void a_false_kx_key_waits_in_vain(void **state)
{
	(void)state;
	assert_int_equal(bare_take(&h, OBJECT_KIND_DIRECTORY, directory(1, 1)), RK_OK);
	deliver(RK__ENTRY_KIND__ENTRY_DEVICE_KX,
		bare_sign(&h, OBJECT_KIND_DEVICE_KX, h.f.orgs[0].device.sk, &fixed_device_kx(&h.f, 2, h.a)->base));
	deliver(RK__ENTRY_KIND__ENTRY_ORG_DEVICES, list(1, 0));
	assert_int_equal(newest_list(), 1);
	assert_false(has_kx());
	deliver(RK__ENTRY_KIND__ENTRY_DEVICE_KX, kx());
	assert_true(has_kx());
}

/* ---- the next key of our own organisation */

static void the_next_key_takes_its_place_when_it_is_named(void **state)
{
	const struct key_new cheap = {.mem_mib = 64, .ops = 2};
	char text[ORGKEY_TEXT_CHARS], again[ORGKEY_TEXT_CHARS];
	struct orgkey_request q;
	unsigned changed;
	uint8_t pk[32], same[32], own[32];
	Rk__Directory *d;
	Rk__Org *mine, next;
	(void)state;

	bare_commit(&h);
	h.passphrase = "correct horse";
	assert_int_equal(keys_create(h.c, KEY_ORG, &cheap), RK_OK);
	keys_sign_pk(h.c, KEY_ORG, own);
	bare_write(&h);
	d = fixed_directory(&h.f, h.a);
	d->orgs[1]->org_pk = pb_of(BYTES_OF(own));
	assert_int_equal(bare_take_directory(&h, d), RK_OK);
	bare_commit(&h);

	assert_int_equal(key_change_begin(h.c, false, &cheap, text, pk), RK_OK);
	assert_int_equal(orgkey_request_read(text, h.f.exchange_id, h.a, &q), RK_OK);
	assert_memory_equal(q.old_pk, own, 32);
	assert_true(q.link.len > 0);
	/* Asked for again it is the same key; and while nothing names it, the old one stays. */
	assert_int_equal(key_change_begin(h.c, true, &cheap, again, same), RK_OK);
	assert_memory_equal(pk, same, 32);
	assert_int_equal(key_change_settle(h.c, &changed), RK_OK);
	assert_int_equal(changed, 0);
	assert_true(keys_exists(h.c, KEY_ORG_NEXT));
	assert_int_equal(key_change_unlock_org(h.c), RK_OK);

	bare_write(&h);
	d = bare_next_directory(&h, 2);
	mine = d->orgs[1];
	mine->org_pk = pb_of(BYTES_OF(own));
	assert_int_equal(orgkey_replace(mine, pk, q.link, h.a, &next), RK_OK);
	d->orgs[1] = &next;
	assert_int_equal(bare_take_directory(&h, d), RK_OK);
	bare_commit(&h);
	assert_int_equal(key_change_settle(h.c, &changed), RK_OK);
	assert_int_equal(changed, 1u << KEY_ORG);
	assert_false(keys_exists(h.c, KEY_ORG_NEXT));
	assert_int_equal(key_change_settle(h.c, &changed), RK_OK);
	assert_int_equal(changed, 0);
	bare_reopen(&h);
	assert_int_equal(key_change_unlock_org(h.c), RK_OK);
	keys_sign_pk(h.c, KEY_ORG, same);
	assert_memory_equal(pk, same, 32);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_entry_has_the_key_of_its_time), TEST(directories_with_false_links_are_not_taken),
		TEST(a_late_home_follows_the_links), TEST(a_late_home_waits_for_the_next_list), TEST(a_false_kx_key_waits_in_vain),
		TEST(the_next_key_takes_its_place_when_it_is_named),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
