/* book: objects enter only proven and never backwards; what is looked up follows the newest of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/ids.h"
#include "proto/note.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/bare_home.h"

#define DAY_MS ((int64_t)86400000)

static int setup(void **state)
{
	struct bare *h = malloc(sizeof(*h));

	bare_begin(h, 1);
	bare_fill_book(h);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	bare_end(*state);
	free(*state);
	return 0;
}

static struct bytes sign_devices(struct bare *h, int org, const Rk__OrgDevices *o)
{
	return bare_sign(h, OBJECT_KIND_ORG_DEVICES, h->f.orgs[org].org.sk, &o->base);
}

static void the_whole_chain(void **state)
{
	struct bare *h = *state;
	Rk__Charter *charter;
	Rk__Directory *d;
	Rk__DeviceKx *kx;
	Rk__FeedEpoch *e;
	Rk__Device *device;
	uint8_t oh[32];

	bare_write(h);
	assert_int_equal(book_charter(h->c, h->t, h->a, &charter), RK_OK);
	assert_int_equal(book_directory(h->c, h->t, h->a, &d, oh), RK_OK);
	assert_int_equal(d->n_orgs, FIXED_ORGS);
	assert_int_equal(book_device_kx(h->c, h->t, h->f.orgs[2].device_id, h->a, &kx), RK_OK);
	assert_int_equal(book_epoch(h->c, h->t, 0, h->a, &e, oh), RK_OK);
	assert_int_equal(e->n, 1);
	assert_int_equal(book_device(h->c, h->t, h->f.orgs[2].device_id, h->f.orgs[2].org_id, h->a, &device), RK_OK);
	/* A device is looked up in the organisation that claims it, never elsewhere. */
	assert_int_equal(book_device(h->c, h->t, h->f.orgs[2].device_id, h->f.orgs[1].org_id, h->a, &device), RK_ENOTFOUND);
}

static void nothing_without_a_charter(void **state)
{
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	bare_write(&h);
	assert_int_equal(bare_take_directory(&h, fixed_directory(&h.f, h.a)), RK_BAD_SIGNATURE);
	assert_int_equal(bare_table_count(&h, C_OBJECT), 0);
	bare_end(&h);
}

static void another_exchange(void **state)
{
	struct bare *h = *state;
	struct fixed other = h->f;
	Rk__Charter *charter;

	bare_write(h);
	fixed_sign_key(&other.root, "another root");
	ids_exchange(other.exchange_id, other.root.pk);
	charter = fixed_charter(&other, h->a);
	assert_int_equal(bare_take(h, OBJECT_KIND_CHARTER, bare_sign(h, OBJECT_KIND_CHARTER, other.root.sk, &charter->base)),
			 RK_WRONG_EXCHANGE);
}

/* ---- charters */

static int take_charter(struct bare *h, const Rk__Charter *c)
{
	return bare_take(h, OBJECT_KIND_CHARTER, bare_sign(h, OBJECT_KIND_CHARTER, h->f.root.sk, &c->base));
}

static Rk__Charter *next_charter(struct bare *h, uint64_t serial, const char *name)
{
	Rk__Charter *c = fixed_charter(&h->f, h->a);

	c->serial = serial;
	c->name = (char *)(uintptr_t)name;
	c->issued_at += (int64_t)serial * DAY_MS;
	return c;
}

/* The charter of log 2, after a checkpoint of log 1 that `signer` made. */
static Rk__Charter *another_log(struct bare *h, const struct fixed_sign *signer)
{
	Rk__Charter *c = next_charter(h, 2, "Another log");
	struct checkpoint last = {.size = 9, .root = {7}};
	char name[NOTE_NAME_CHARS];
	struct note note;

	note_origin(last.origin, h->f.exchange_id, 1);
	note_sign(&note, &last, signer->sk);
	c->prev_checkpoint = pb_of(bytes_make(arena_copy(h->a, note.text, note.len), note.len));
	note_origin(name, h->f.exchange_id, 2);
	c->log_vkey = fixed_alloc(h->a, NOTE_VKEY_CHARS);
	assert_int_equal(note_vkey(c->log_vkey, name, NOTE_TYPE_LOG, h->f.log.pk), RK_OK);
	return c;
}

static void assert_charter(struct bare *h, uint64_t serial, const char *name)
{
	Rk__Charter *c;

	assert_int_equal(book_charter(h->c, h->t, h->a, &c), RK_OK);
	assert_int_equal(c->serial, serial);
	assert_string_equal(c->name, name);
}

static void a_charter_follows_the_one_held(void **state)
{
	struct bare *h = *state;
	Rk__Charter *c;

	bare_write(h);
	c = next_charter(h, 3, "Skips one");
	assert_int_equal(take_charter(h, c), RK_CONFLICT);
	c = next_charter(h, 2, "Another broker");
	c->curve_pk = pb_of(BYTES_OF(h->f.orgs[1].curve.pk));
	assert_int_equal(take_charter(h, c), RK_UNSUPPORTED);
	c = next_charter(h, 2, "Another root's");
	assert_int_equal(bare_take(h, OBJECT_KIND_CHARTER, bare_sign(h, OBJECT_KIND_CHARTER, h->f.secretariat.sk, &c->base)),
			 RK_BAD_SIGNATURE);
	assert_int_equal(take_charter(h, another_log(h, &h->f.witness)), RK_BAD_SIGNATURE);
	assert_charter(h, 1, "Test exchange");

	assert_int_equal(take_charter(h, another_log(h, &h->f.log)), RK_OK);
	assert_charter(h, 2, "Another log");
	/* Read once more from the start: what is known changes nothing. */
	assert_int_equal(take_charter(h, fixed_charter(&h->f, h->a)), RK_OK);
	assert_int_equal(take_charter(h, another_log(h, &h->f.log)), RK_OK);
	/* Back to the log that was left: never. */
	assert_int_equal(take_charter(h, next_charter(h, 3, "Back")), RK_CONFLICT);
	/* Two charters of one serial: evidence, and the first one stays. */
	assert_int_equal(take_charter(h, next_charter(h, 2, "Second truth")), RK_CONFLICT);
	assert_int_equal(bare_counter(h, "two-objects"), 1);
	assert_charter(h, 2, "Another log");
}

static void a_late_home_begins_with_the_newest_charter(void **state)
{
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	bare_write(&h);
	assert_int_equal(take_charter(&h, another_log(&h, &h.f.log)), RK_OK);
	assert_int_equal(take_charter(&h, fixed_charter(&h.f, h.a)), RK_OK);
	assert_charter(&h, 2, "Another log");
	bare_end(&h);
}

/* Epochs that a restored broker has lost nobody can send: the first one after another log's charter steps over them, once. */
static void epochs_step_over_a_gap_after_another_log(void **state)
{
	struct bare *h = *state;
	Rk__FeedEpoch *e = fixed_feed_epoch(&h->f, h->a);

	bare_write(h);
	e->n = 4;
	e->prev_oh = fixed_data(h->a, 32, "what came before");
	e->not_before += 30 * DAY_MS;
	e->not_after += 30 * DAY_MS;
	assert_int_equal(bare_take(h, OBJECT_KIND_FEED_EPOCH, bare_sign(h, OBJECT_KIND_FEED_EPOCH, h->f.secretariat.sk, &e->base)),
			 RK_CONFLICT);
	assert_int_equal(take_charter(h, another_log(h, &h->f.log)), RK_OK);
	assert_int_equal(bare_take(h, OBJECT_KIND_FEED_EPOCH, bare_sign(h, OBJECT_KIND_FEED_EPOCH, h->f.secretariat.sk, &e->base)),
			 RK_OK);
	e->n = 6;
	assert_int_equal(bare_take(h, OBJECT_KIND_FEED_EPOCH, bare_sign(h, OBJECT_KIND_FEED_EPOCH, h->f.secretariat.sk, &e->base)),
			 RK_CONFLICT);
}

static void only_its_signer(void **state)
{
	struct bare *h = *state;
	Rk__Directory *d;
	Rk__OrgDevices *o;
	Rk__DeviceKx *kx = fixed_device_kx(&h->f, 2, h->a);

	bare_write(h);
	d = bare_next_directory(h, 2);
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.root.sk, &d->base)),
			 RK_BAD_SIGNATURE);
	o = bare_next_devices(h, 2, 2);
	assert_int_equal(bare_take(h, OBJECT_KIND_ORG_DEVICES, sign_devices(h, 1, o)), RK_BAD_SIGNATURE);
	kx->serial = 2;
	assert_int_equal(bare_take(h, OBJECT_KIND_DEVICE_KX, bare_sign(h, OBJECT_KIND_DEVICE_KX, h->f.orgs[1].device.sk, &kx->base)),
			 RK_BAD_SIGNATURE);
	assert_int_equal(bare_take(h, OBJECT_KIND_DEVICE_KX, bare_sign(h, OBJECT_KIND_DEVICE_KX, h->f.orgs[2].device.sk, &kx->base)),
			 RK_OK);
}

static void never_backwards(void **state)
{
	struct bare *h = *state;
	struct bytes first, second, fork;
	Rk__Directory *d, *newest;
	uint8_t oh[32];

	bare_write(h);
	first = bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &fixed_directory(&h->f, h->a)->base);
	d = bare_next_directory(h, 2);
	second = bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &d->base);
	d->issued_at++;
	fork = bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &d->base);
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, second), RK_OK);
	/* The same ones again are no harm, and change nothing. */
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, first), RK_OK);
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, second), RK_OK);
	/* Two truths of one serial: the first stays, the second is kept as evidence, once. */
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, fork), RK_CONFLICT);
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, fork), RK_CONFLICT);
	assert_int_equal(bare_counter(h, "two-objects"), 1);
	assert_int_equal(bare_table_count(h, C_INBOX), 1);
	assert_int_equal(book_directory(h->c, h->t, h->a, &newest, oh), RK_OK);
	assert_int_equal(newest->serial, 2);
	assert_int_equal(newest->issued_at, d->issued_at - 1);
}

/* A home that joined late: serials are stepped over forwards, and what came before it is passed by. */
static void late_comers(void **state)
{
	struct bare *h = *state;
	Rk__Directory *d, *newest;
	struct bytes third, fifth;
	uint8_t oh[32];

	bare_write(h);
	d = bare_next_directory(h, 3);
	third = bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &d->base);
	d = bare_next_directory(h, 5);
	fifth = bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &d->base);
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, fifth), RK_OK);
	assert_int_equal(bare_take(h, OBJECT_KIND_DIRECTORY, third), RK_CONFLICT);
	assert_int_equal(book_directory(h->c, h->t, h->a, &newest, oh), RK_OK);
	assert_int_equal(newest->serial, 5);
	/* Epochs are a chain without holes. */
	Rk__FeedEpoch *e = fixed_feed_epoch(&h->f, h->a);
	e->n = 3;
	e->prev_oh = fixed_data(h->a, 32, "no such epoch");
	assert_int_equal(bare_take(h, OBJECT_KIND_FEED_EPOCH,
				   bare_sign(h, OBJECT_KIND_FEED_EPOCH, h->f.secretariat.sk, &e->base)), RK_CONFLICT);
}

/* The directory pins a newer device list than the one we have: the old one serves for nothing. */
static void pinned_lists(void **state)
{
	struct bare *h = *state;
	struct envelope_target targets[8];
	Rk__Directory *d;
	Rk__Device *device;
	Rk__OrgDevices *o;
	size_t n = 0;

	bare_write(h);
	assert_int_equal(book_targets(h->c, h->t, h->f.orgs[2].org_id, targets, 8, &n), RK_OK);
	assert_int_equal(n, 1);
	d = bare_next_directory(h, 2);
	d->orgs[2]->min_devices_serial = 2;
	assert_int_equal(bare_take_directory(h, d), RK_OK);
	n = 0;
	assert_int_equal(book_targets(h->c, h->t, h->f.orgs[2].org_id, targets, 8, &n), RK_NO_RECIPIENT_KEY);
	assert_int_equal(book_device(h->c, h->t, h->f.orgs[2].device_id, h->f.orgs[2].org_id, h->a, &device), RK_ENOTFOUND);
	o = bare_next_devices(h, 2, 2);
	assert_int_equal(bare_take(h, OBJECT_KIND_ORG_DEVICES, sign_devices(h, 2, o)), RK_OK);
	assert_int_equal(book_targets(h->c, h->t, h->f.orgs[2].org_id, targets, 8, &n), RK_OK);
	assert_int_equal(n, 1);
}

/* Nobody may list another organisation's device as its own. */
static void stolen_devices(void **state)
{
	struct bare *h = *state;
	Rk__OrgDevices *o;

	bare_write(h);
	o = bare_next_devices(h, 2, 2);
	o->devices = fixed_org_devices(&h->f, 1, h->a)->devices;
	assert_int_equal(bare_take(h, OBJECT_KIND_ORG_DEVICES, sign_devices(h, 2, o)), RK_CONFLICT);
}

static void who_gets_a_wrap(void **state)
{
	struct bare *h = *state;
	struct envelope_target targets[8];
	Rk__OrgDevices *o;
	size_t n = 0;

	bare_write(h);
	/* Five minutes before its end a kx key is used no more. */
	bare_now_ms = FIXED_TIME_MS + TRUST_KX_AGE_MS - 5 * 60 * 1000;
	assert_int_equal(book_targets(h->c, h->t, h->f.orgs[0].org_id, targets, 8, &n), RK_OK);
	assert_int_equal(n, 0);
	bare_now_ms--;
	assert_int_equal(book_targets(h->c, h->t, h->f.orgs[0].org_id, targets, 8, &n), RK_OK);
	assert_int_equal(n, 1);
	bare_now_ms = FIXED_TIME_MS + DAY_MS;
	n = 0;
	assert_int_equal(book_targets(h->c, h->t, h->f.orgs[2].org_id, targets, 0, &n), RK_TOO_LARGE);
	/* A retired device gets none; a list with no other is not even legal, so a second one stands beside it. */
	o = bare_next_devices(h, 2, 2);
	Rk__Device **two = fixed_alloc(h->a, 2 * sizeof(*two));
	struct fixed_sign sign;
	struct fixed_box box;
	uint8_t id[16];
	fixed_sign_key(&sign, "second device");
	fixed_box_key(&box, "second device");
	ids_device(id, sign.pk);
	two[0] = o->devices[0];
	two[0]->retired_at = FIXED_TIME_MS + 1;
	two[1] = fixed_org_devices(&h->f, 2, h->a)->devices[0];
	two[1]->device_id = pb_of(BYTES_OF(id));
	two[1]->sign_pk = pb_of(BYTES_OF(sign.pk));
	two[1]->curve_pk = pb_of(BYTES_OF(box.pk));
	o->devices = two;
	o->n_devices = 2;
	assert_int_equal(bare_take(h, OBJECT_KIND_ORG_DEVICES, sign_devices(h, 2, o)), RK_OK);
	n = 0;
	assert_int_equal(book_targets(h->c, h->t, h->f.orgs[2].org_id, targets, 8, &n), RK_OK);
	assert_int_equal(n, 0);
}

static void names(void **state)
{
	struct bare *h = *state;
	uint8_t id[16];
	char hex[33];
	Rk__Directory *d;

	bare_write(h);
	d = bare_next_directory(h, 2);
	d->orgs[1]->names[0]->name = (char *)(uintptr_t)"Kawasaki Seiki";
	d->orgs[2]->names[0]->name = (char *)(uintptr_t)"Kawasaki";
	assert_int_equal(bare_take_directory(h, d), RK_OK);
	ids_hex(hex, BYTES_OF(h->f.orgs[1].org_id));
	assert_int_equal(book_find_org(h->c, h->t, hex, id), RK_OK);
	assert_memory_equal(id, h->f.orgs[1].org_id, 16);
	hex[6] = '\0';
	assert_int_equal(book_find_org(h->c, h->t, hex, id), RK_OK);
	assert_int_equal(book_find_org(h->c, h->t, "seiki", id), RK_OK);
	assert_memory_equal(id, h->f.orgs[1].org_id, 16);
	/* A whole name is not ambiguous, a part of two is. */
	assert_int_equal(book_find_org(h->c, h->t, "kawasaki", id), RK_OK);
	assert_memory_equal(id, h->f.orgs[2].org_id, 16);
	assert_int_equal(book_find_org(h->c, h->t, "kawa", id), RK_CONFLICT);
	assert_int_equal(book_find_org(h->c, h->t, "Osaka", id), RK_ENOTFOUND);
	assert_int_equal(book_find_org(h->c, h->t, "", id), RK_ENOTFOUND);
	assert_string_equal(book_org_name(h->c, h->t, h->f.orgs[2].org_id, LANG_EN, h->a), "Kawasaki");
	memset(id, 0xee, sizeof(id));
	assert_string_equal(book_org_name(h->c, h->t, id, LANG_EN, h->a), "(unknown)");
}

/* A directory of a transaction that was given up is not remembered. */
static void aborted(void **state)
{
	struct bare *h = *state;
	Rk__Directory *d;
	uint8_t oh[32];

	bare_write(h);
	assert_int_equal(bare_take_directory(h, bare_next_directory(h, 2)), RK_OK);
	assert_int_equal(book_directory(h->c, h->t, h->a, &d, oh), RK_OK);
	assert_int_equal(d->serial, 2);
	env_abort(h->t);
	h->t = NULL;
	bare_write(h);
	assert_int_equal(book_directory(h->c, h->t, h->a, &d, oh), RK_OK);
	assert_int_equal(d->serial, 1);
}

static void control_entries(void **state)
{
	struct bare *h = *state;
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_DIRECTORY, .time_ms = FIXED_TIME_MS, .seq = 1};

	bare_write(h);
	d.stream = stream_control();
	d.object = bytes_str("not an object");
	assert_int_equal(book_on_control(h->c, h->t, &d), RK_OK);
	assert_int_equal(bare_counter(h, "bad-object"), 1);
	d.object = bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &bare_next_directory(h, 2)->base);
	assert_int_equal(book_on_control(h->c, h->t, &d), RK_OK);
	assert_int_equal(bare_counter(h, "bad-object"), 1);
	/* Directory bytes under another kind of entry. */
	d.kind = RK__ENTRY_KIND__ENTRY_FEED_EPOCH;
	assert_int_equal(book_on_control(h->c, h->t, &d), RK_OK);
	assert_int_equal(bare_counter(h, "bad-object"), 2);
}

static void epoch_keys(void **state)
{
	struct bare *h = *state;
	uint8_t ek[32];

	bare_write(h);
	assert_int_equal(book_epoch_key(h->c, h->t, 1, ek), RK_ENOTFOUND);
	assert_int_equal(book_epoch_key_put(h->c, h->t, 1, h->f.ek), RK_OK);
	assert_int_equal(book_epoch_key(h->c, h->t, 1, ek), RK_OK);
	assert_memory_equal(ek, h->f.ek, 32);
	bare_commit(h);
	assert_false(bare_files_hold(h, BYTES_OF(h->f.ek)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_whole_chain), TEST(a_charter_follows_the_one_held), TEST(epochs_step_over_a_gap_after_another_log),
		cmocka_unit_test(a_late_home_begins_with_the_newest_charter), cmocka_unit_test(nothing_without_a_charter), TEST(another_exchange), TEST(only_its_signer),
		TEST(never_backwards), TEST(late_comers), TEST(pinned_lists), TEST(stolen_devices), TEST(who_gets_a_wrap),
		TEST(names), TEST(aborted), TEST(control_entries), TEST(epoch_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
