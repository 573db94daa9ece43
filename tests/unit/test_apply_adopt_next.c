/* A later charter: the log goes on, or after a restore the next one begins; and every charter that does neither is refused whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/note.h"
#include "proto/strict.h"
#include "tests/unit/store_kit.h"
#include "tests/unit/world.h"

#define A 1

static struct world w;
static const uint8_t generation[16] = {9, 9, 9};

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	w.now_ms += WORLD_DAY_MS; /* charters are later than what they find */
	return 0;
}

static int set_up_going(void **state)
{
	static bool going = true;

	set_up(state);
	*state = &going;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static Rk__Charter *next_charter(uint64_t serial)
{
	Rk__Charter *c = fixed_charter(&w.f, w.arena);

	c->serial = serial;
	c->issued_at = w.now_ms;
	c->not_after = c->secretariat_keys[0]->not_after = w.now_ms + 5 * 365 * WORLD_DAY_MS;
	return c;
}

static Rk__Charter *another_log(uint64_t serial, unsigned number)
{
	Rk__Charter *c = next_charter(serial);
	struct checkpoint last = {.size = 5, .root = {1}};
	char name[NOTE_NAME_CHARS];
	struct note note;

	note_origin(last.origin, w.f.exchange_id, number - 1);
	note_sign(&note, &last, w.f.log.sk);
	c->prev_checkpoint = world_copy(&w, note.text, note.len);
	note_origin(name, w.f.exchange_id, number);
	c->log_vkey = fixed_alloc(w.arena, NOTE_VKEY_CHARS);
	assert_int_equal(note_vkey(c->log_vkey, name, NOTE_TYPE_LOG, w.f.log.pk), RK_OK);
	return c;
}

static Rk__CharterFile file_of(const Rk__Charter *c, const struct fixed_sign *signer)
{
	Rk__CharterFile file = RK__CHARTER_FILE__INIT;

	assert_int_equal(STRICT_PARSE(signed, world_sign(&w, OBJECT_KIND_CHARTER, signer, &c->base), w.arena, &file.charter),
			 RK_OK);
	return file;
}

static int adopt(const Rk__Charter *c)
{
	Rk__CharterFile file = file_of(c, &w.f.root);

	return apply_adopt_next(w.env, &file, generation, w.now_ms);
}

static bool has_new_generation(void)
{
	uint8_t now[16];

	assert_true(apply_generation(w.apply, now));
	return memcmp(now, generation, 16) == 0;
}

static bool is_marked(void)
{
	struct txn *t;
	bool is;

	assert_int_equal(env_begin(w.env, false, &t), RK_OK);
	is = env_has(t, T_META, bytes_str("fork"));
	env_abort(t);
	return is;
}

/* As a broker that has been shown its own signature under a longer log `number`. */
static void mark_fork(unsigned number)
{
	struct txn *t;

	assert_int_equal(env_begin(w.env, true, &t), RK_OK);
	assert_int_equal(rows_put_fork(t, &(struct rows_fork){.log = number, .size = 1000}), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

/* The newest charter of the store, its entry and its leaf. */
static void assert_charter(const Rk__Charter *c, uint64_t log_index)
{
	struct stream_entry e;
	struct bytes packed;
	struct object o;

	world_entry(&w, stream_control(), world_head(&w, stream_control()), &e);
	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_CHARTER);
	assert_int_equal(e.flags, STREAM_LOGGED);
	assert_true(e.log_index == log_index && apply_log_size(w.apply) == log_index + 1);
	assert_int_equal(object_parse(OBJECT_KIND_CHARTER, e.object, w.arena, &o), RK_OK);
	assert_int_equal(STRICT_PACK(c, w.arena, &packed) == RK_OK && bytes_equal(packed, o.payload), true);
}

static void assert_origin(unsigned number)
{
	char origin[NOTE_NAME_CHARS];

	note_origin(origin, w.f.exchange_id, number);
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
	assert_string_equal(w.reply->hello->log_origin, origin);
}

static void a_renewal_goes_on_with_the_log(void **state)
{
	uint64_t log = apply_log_size(w.apply);
	Rk__Charter *c = next_charter(2);
	(void)state;

	assert_int_equal(adopt(c), RK_OK);
	world_restart(&w);
	assert_charter(c, log);
	assert_origin(1);
	assert_false(has_new_generation());
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	/* What it prolongs: the first charter would have ended by now. */
	w.now_ms = c->not_after - 1;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	w.now_ms += 1;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CHARTER_EXPIRED);
}

static void another_log_begins_over_what_is_there(void **state)
{
	uint64_t log;
	Rk__Charter *c;
	(void)state;

	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	log = apply_log_size(w.apply);
	mark_fork(1);
	c = another_log(2, 2);
	assert_int_equal(adopt(c), RK_OK);
	world_restart(&w);
	assert_false(is_marked());
	assert_true(has_new_generation());
	assert_charter(c, log);
	assert_origin(2);
	assert_true(world_head(&w, stream_channel(RK__CHANNEL__OFFER)) == 1);
	/* And once more, as often as need be. */
	c = another_log(3, 3);
	assert_int_equal(adopt(c), RK_OK);
	world_restart(&w);
	assert_charter(c, log + 1);
	assert_origin(3);
}

/* What a member says on the first HELLO after another log began. */
static void the_log_that_was_closed_says_nothing(void **state)
{
	struct world_device *d = &w.orgs[A].devices[0];
	Rk__Request *q;
	Rk__Hello hello = RK__HELLO__INIT;
	(void)state;

	hello.protocol_min = hello.protocol_max = 1;
	hello.seen_checkpoint = another_log(2, 2)->prev_checkpoint;
	assert_int_equal(adopt(another_log(2, 2)), RK_OK);
	world_restart(&w);
	q = world_request(&w, A, 0, RK__OP__OP_HELLO);
	q->hello = &hello;
	q->writer_epoch = pb_of(BYTES_OF(d->epoch));
	assert_int_equal(world_run(&w, world_command(&w, A, 0, q, (struct bytes){0}, (struct bytes){0}, (struct bytes){0})), RK_OK);
	assert_false(w.reply->hello->read_only || is_marked());
}

/* A copy from before the charters that were adopted since: all of them come again, in their order. */
static void the_mark_goes_with_the_first_log_that_was_not_signed(void **state)
{
	(void)state;
	mark_fork(2);
	/* It stays over a renewal, and over the log that was signed already. */
	assert_int_equal(adopt(next_charter(2)), RK_OK);
	assert_true(is_marked());
	assert_int_equal(adopt(another_log(3, 2)), RK_OK);
	world_restart(&w);
	assert_true(is_marked() && apply_is_read_only(w.apply));
	assert_int_equal(adopt(another_log(5, 3)), RK_CONFLICT);
	assert_int_equal(adopt(another_log(4, 3)), RK_OK);
	world_restart(&w);
	assert_false(is_marked() || apply_is_read_only(w.apply));
	assert_origin(3);
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
}

static void another_officers_key_counts_from_then_on(void **state)
{
	Rk__Charter *c = next_charter(2);
	struct fixed_sign other;
	Rk__Directory *d;
	(void)state;

	fixed_sign_key(&other, "another officer");
	c->secretariat_keys[0]->pk = world_copy(&w, other.pk, 32);
	assert_int_equal(adopt(c), RK_OK);
	world_restart(&w);
	d = world_directory(&w);
	assert_int_equal(world_put_directory(&w, d), RK_BAD_SIGNATURE);
	w.f.secretariat = other;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
}

/* As a secretariat whose last two directories the copy does not have. */
static void lose_directories(void)
{
	w.directory_serial += 2;
	memset(w.directory_oh, 7, 32);
}

static void lost_directories_are_stepped_over_once(void **state)
{
	uint64_t before = w.directory_serial;
	uint8_t oh[32];
	(void)state;

	memcpy(oh, w.directory_oh, 32);
	lose_directories();
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	/* A plain renewal does not permit it. */
	assert_int_equal(adopt(next_charter(2)), RK_OK);
	world_restart(&w);
	w.now_ms += 1;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	assert_int_equal(adopt(another_log(3, 2)), RK_OK);
	world_restart(&w);
	w.now_ms += 1;
	/* Never backwards, and not without a name for what came before. */
	w.directory_serial = before - 1;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	w.directory_serial = before;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT); /* the next one names its predecessor truly */
	/* Nor so far that serials run out. */
	w.directory_serial = before + TRUST_STEP_MAX;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	w.directory_serial = before;
	lose_directories();
	Rk__Directory *d = world_directory(&w);
	d->prev_oh.len = 0;
	assert_int_equal(world_put_directory(&w, d), RK_CONFLICT);
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	assert_true(w.directory_serial == before + 3);
	/* From then on strictly again. */
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	lose_directories();
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
}

/* One whose enrolment the copy does not have: nobody here can vouch for it any more, and its id and key stay taken. */
static void a_lost_member_can_only_be_out(void **state)
{
	struct txn *t;
	struct rows_org row;
	(void)state;

	assert_int_equal(adopt(another_log(2, 2)), RK_OK);
	world_restart(&w);
	w.now_ms += 1;
	lose_directories();
	w.orgs[2].status = RK__ORG_STATUS__ACTIVE;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	w.orgs[2].status = RK__ORG_STATUS__SUSPENDED;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	w.orgs[2].status = RK__ORG_STATUS__EXPELLED;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	assert_int_equal(env_begin(w.env, false, &t), RK_OK);
	assert_int_equal(rows_get_org(t, w.orgs[2].id, &row), RK_OK);
	assert_int_equal(row.status, ORG_EXPELLED);
	assert_true(rows_has_key(t, w.orgs[2].key.pk));
	env_abort(t);
	assert_int_equal(world_put_invite(&w, world_invite(&w, 2)), RK_OK);
	assert_int_equal(world_put_enrol(&w, 2, world_enrol(&w, 2)), RK_CONFLICT);
	/* Its row goes on in every later directory; another unknown one comes in no more in this way. */
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	w.orgs[3].status = RK__ORG_STATUS__EXPELLED;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	w.orgs[3].status = RK__ORG_STATUS__ORG_STATUS_NONE;
	world_restart(&w);
	world_admit(&w, 4);
}

/* The directory demands a list of devices that the copy does not have: its organisation publishes it again, or one after it, or is out. */
static void a_lost_list_of_devices_comes_again_or_its_organisation_goes(void **state)
{
	const bool *is_expelled = *state;

	assert_int_equal(adopt(another_log(2, 2)), RK_OK);
	world_restart(&w);
	w.now_ms += 1;
	lose_directories();
	w.orgs[A].devices_serial = w.orgs[A].min_devices_serial = 3;
	memset(w.orgs[A].devices_oh, 7, 32);
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_CONFLICT);
	if (is_expelled != NULL) {
		w.orgs[A].status = RK__ORG_STATUS__EXPELLED;
		assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
		assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
		return;
	}
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_int_equal(w.orgs[A].devices_serial, 4);
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	/* From then on strictly again. */
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	w.orgs[A].devices_serial += 1;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_CONFLICT);
}

static void lost_epochs_are_stepped_over_once(void **state)
{
	(void)state;
	w.epoch += 2;
	memset(w.epoch_oh, 7, 32);
	assert_int_equal(world_put_epoch(&w, world_epoch(&w)), RK_CONFLICT);
	assert_int_equal(adopt(another_log(2, 2)), RK_OK);
	world_restart(&w);
	w.now_ms += 1;
	assert_int_equal(world_put_epoch(&w, world_epoch(&w)), RK_OK);
	assert_int_equal(w.epoch, 4);
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	assert_int_equal(world_put_epoch(&w, world_epoch(&w)), RK_OK);
	w.epoch += 2;
	assert_int_equal(world_put_epoch(&w, world_epoch(&w)), RK_CONFLICT);
}

static int put_kx(uint32_t serial)
{
	Rk__DeviceKx *kx = world_kx(&w, A, 0);

	kx->serial = serial;
	return world_put_kx(&w, A, 0, kx);
}

/* The device knows of keys that the store has lost: it makes one more, which steps over them. */
static void lost_kx_keys_are_stepped_over_once(void **state)
{
	uint32_t before = w.orgs[A].devices[0].kx_serial;
	(void)state;

	assert_int_equal(put_kx(before + 3), RK_CONFLICT);
	assert_int_equal(adopt(another_log(2, 2)), RK_OK);
	world_restart(&w);
	w.now_ms += 1;
	assert_int_equal(put_kx(before), RK_CONFLICT);
	assert_int_equal(put_kx(before + (uint32_t)TRUST_STEP_MAX + 1), RK_CONFLICT);
	assert_int_equal(put_kx(before + 3), RK_OK);
	assert_int_equal(put_kx(w.orgs[A].devices[0].kx_serial + 2), RK_CONFLICT);
}

static void what_does_not_follow_is_refused(void **state)
{
	Rk__CharterFile file = file_of(next_charter(2), &w.f.secretariat);
	uint64_t log = apply_log_size(w.apply), head = world_head(&w, stream_control());
	struct env *empty;
	char folder[256];
	Rk__Charter *c;
	(void)state;

	assert_int_equal(apply_adopt_next(w.env, &file, generation, w.now_ms), RK_BAD_SIGNATURE);
	file = file_of(next_charter(2), &w.f.root);
	file.directory = file.charter;
	assert_int_equal(apply_adopt_next(w.env, &file, generation, w.now_ms), RK_MALFORMED);
	file = (Rk__CharterFile)RK__CHARTER_FILE__INIT;
	assert_int_equal(apply_adopt_next(w.env, &file, generation, w.now_ms), RK_MALFORMED);
	assert_int_equal(adopt(fixed_charter(&w.f, w.arena)), RK_CONFLICT);
	assert_int_equal(adopt(next_charter(3)), RK_CONFLICT);
	c = next_charter(2);
	c->curve_pk = world_copy(&w, w.f.orgs[1].curve.pk, 32);
	assert_int_equal(adopt(c), RK_UNSUPPORTED);
	c = another_log(2, 2);
	c->prev_checkpoint.len = 0;
	assert_int_equal(adopt(c), RK_MALFORMED);
	c = next_charter(2);
	c->issued_at -= 1;
	c->not_after = w.now_ms;
	assert_int_equal(adopt(c), RK_CHARTER_EXPIRED);
	/* A key that is a member's is not the exchange's, nor the other way round. */
	c = next_charter(2);
	c->secretariat_keys[0]->pk = world_copy(&w, w.orgs[A].key.pk, 32);
	assert_int_equal(adopt(c), RK_CONFLICT);
	c = next_charter(2);
	c->exchange_id.data[0] ^= 1;
	assert_int_equal(adopt(c), RK_WRONG_EXCHANGE);
	world_restart(&w);
	assert_true(apply_log_size(w.apply) == log && world_head(&w, stream_control()) == head);
	assert_false(has_new_generation());
	/* Where nothing was founded, nothing can follow. */
	store_kit_folder(folder);
	empty = store_kit_open(folder, 0);
	file = file_of(next_charter(2), &w.f.root);
	assert_int_equal(apply_adopt_next(empty, &file, generation, w.now_ms), RK_ENOTFOUND);
	env_close(empty);
	store_kit_remove(folder);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_renewal_goes_on_with_the_log),
		TEST(another_log_begins_over_what_is_there),
		TEST(the_log_that_was_closed_says_nothing),
		TEST(the_mark_goes_with_the_first_log_that_was_not_signed),
		TEST(another_officers_key_counts_from_then_on),
		TEST(lost_directories_are_stepped_over_once),
		TEST(a_lost_member_can_only_be_out),
		TEST(a_lost_list_of_devices_comes_again_or_its_organisation_goes),
		{"a_lost_list_of_devices_of_one_that_goes", a_lost_list_of_devices_comes_again_or_its_organisation_goes, set_up_going, tear_down, NULL},
		TEST(lost_epochs_are_stepped_over_once),
		TEST(lost_kx_keys_are_stepped_over_once),
		TEST(what_does_not_follow_is_refused),
	};
	return cmocka_run_group_tests_name("apply a later charter", tests, NULL, NULL);
}
