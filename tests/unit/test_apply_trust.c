/* Who comes in, who is cut off, what is logged: invites, directories, device lists, keys, the roster (P6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/strict.h"
#include "tests/unit/world.h"

#define A 1
#define B 2
#define TO_B 4u

static struct world w;

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static bool is_cut(int org, int device)
{
	for (size_t i = 0; i < w.cut_count; i++)
		if (memcmp(w.cuts[i], w.orgs[org].devices[device].id, 16) == 0)
			return true;
	return false;
}

static bool may_shake_hands(int org, int device)
{
	char id[ROSTER_USER_ID_CHARS];

	return roster_user_id(w.roster, w.orgs[org].devices[device].curve.pk, w.now_ms, id);
}

static uint8_t kind_at(struct stream_id s, uint64_t seq)
{
	struct stream_entry e;

	world_entry(&w, s, seq, &e);
	return e.kind;
}

/* ---- adoption */
static void adoption_writes_what_protocol_says(void **state)
{
	static const uint8_t control[] = {RK__ENTRY_KIND__ENTRY_CHARTER, RK__ENTRY_KIND__ENTRY_DIRECTORY,
		RK__ENTRY_KIND__ENTRY_ORG_DEVICES, RK__ENTRY_KIND__ENTRY_DEVICE_KX, RK__ENTRY_KIND__ENTRY_FEED_EPOCH};
	struct stream_entry e;
	uint64_t log[] = {0, 1, 2, 0, 3};
	(void)state;

	for (uint64_t i = 0; i < 5; i++) {
		world_entry(&w, stream_control(), i + 1, &e);
		assert_int_equal(e.kind, control[i]);
		assert_int_equal(e.control_seq, i + 1);
		if (control[i] == RK__ENTRY_KIND__ENTRY_DEVICE_KX)
			assert_int_equal(e.flags & STREAM_LOGGED, 0);
		else
			assert_int_equal(e.log_index, log[i]);
	}
	assert_int_equal(kind_at(stream_mailbox(w.orgs[0].id), 1), RK__ENTRY_KIND__ENTRY_FEED_KEY);
}

static void adoption_takes_only_what_holds_together(void **state)
{
	Rk__CharterFile file = RK__CHARTER_FILE__INIT;
	uint8_t generation[16] = {1};
	(void)state;

	assert_int_equal(apply_adopt(w.env, &file, generation, w.now_ms), RK_MALFORMED);
}

/* ---- enrolment */
static void an_enrolment_waits_and_is_approved(void **state)
{
	struct bytes request;
	uint64_t log_before, control_before;
	(void)state;

	assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_OK);
	request = world_enrol(&w, 3);
	log_before = apply_log_size(w.apply);
	assert_int_equal(world_put_enrol(&w, 3, request), RK_OK);
	assert_int_equal(w.reply->enrol, RK__ENROL_STATE__ENROL_PENDING);
	assert_int_equal(kind_at(stream_mailbox(w.orgs[0].id), world_head(&w, stream_mailbox(w.orgs[0].id))),
	                 RK__ENTRY_KIND__ENTRY_ENROLMENT);
	assert_true(apply_log_size(w.apply) == log_before);
	assert_false(may_shake_hands(3, 0));
	w.orgs[3].devices_serial = 1;
	w.orgs[3].devices[0].is_listed = true;
	w.orgs[3].devices[0].kx_serial = 1;
	control_before = world_head(&w, stream_control());
	assert_int_equal(world_set_status(&w, 3, RK__ORG_STATUS__ACTIVE), RK_OK);
	assert_int_equal(kind_at(stream_control(), control_before + 1), RK__ENTRY_KIND__ENTRY_DIRECTORY);
	assert_int_equal(kind_at(stream_control(), control_before + 2), RK__ENTRY_KIND__ENTRY_ORG_DEVICES);
	assert_int_equal(kind_at(stream_control(), control_before + 3), RK__ENTRY_KIND__ENTRY_DEVICE_KX);
	assert_true(apply_log_size(w.apply) == log_before + 2);
	assert_true(may_shake_hands(3, 0));
	assert_int_equal(world_put_enrol(&w, 3, request), RK_OK);
	assert_int_equal(w.reply->enrol, RK__ENROL_STATE__ENROL_APPROVED);
	assert_int_equal(world_hello(&w, 3, 0), RK_OK);
}

static void a_pending_enrolment_can_be_rejected(void **state)
{
	struct bytes request;
	Rk__InviteReg *end;
	(void)state;

	assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_OK);
	request = world_enrol(&w, 3);
	assert_int_equal(world_put_enrol(&w, 3, request), RK_OK);
	end = world_invite(&w, 3);
	end->expires_at = 0;
	assert_int_equal(world_put_invite(&w, end), RK_OK);
	assert_int_equal(world_put_enrol(&w, 3, request), RK_OK);
	assert_int_equal(w.reply->enrol, RK__ENROL_STATE__ENROL_REJECTED);
	w.orgs[3].devices_serial = 1;
	assert_int_equal(world_set_status(&w, 3, RK__ORG_STATUS__ACTIVE), RK_CONFLICT);
	/* Its keys are spent: a second invite does not bring them back. */
	assert_int_equal(world_put_invite(&w, world_invite(&w, 4)), RK_OK);
	memcpy(w.orgs[3].invite_id, w.orgs[4].invite_id, 16);
	memcpy(w.orgs[3].mac_key, w.orgs[4].mac_key, 32);
	w.orgs[3].devices_serial = 0;
	assert_int_equal(world_put_enrol(&w, 3, world_enrol(&w, 3)), RK_CONFLICT);
}

static void an_ended_invite_lets_nobody_in(void **state)
{
	char id[ROSTER_USER_ID_CHARS];
	Rk__InviteReg *end;
	(void)state;

	assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_OK);
	assert_true(roster_user_id(w.roster, w.orgs[3].invite_pk, w.now_ms, id));
	assert_int_equal(memcmp(id, "inv:", 4), 0);
	assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_CONFLICT);
	end = world_invite(&w, 3);
	end->expires_at = 0;
	assert_int_equal(world_put_invite(&w, end), RK_OK);
	assert_false(roster_user_id(w.roster, w.orgs[3].invite_pk, w.now_ms, id));
	assert_int_equal(world_put_enrol(&w, 3, world_enrol(&w, 3)), RK_INVITE_EXPIRED);
}

static void nobody_enrols_with_keys_of_another(void **state)
{
	(void)state;
	assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_OK);
	w.orgs[3].key = w.orgs[A].key;
	assert_int_equal(world_put_enrol(&w, 3, world_enrol(&w, 3)), RK_CONFLICT);
	fixed_sign_key(&w.orgs[3].key, "again");
	memcpy(w.orgs[3].id, w.orgs[A].id, 16);
	assert_int_equal(world_put_enrol(&w, 3, world_enrol(&w, 3)), RK_CONFLICT);
	memset(w.orgs[3].id, 0x77, 16);
	w.orgs[3].devices[0].curve = w.orgs[A].devices[0].kx[0];
	assert_int_equal(world_put_enrol(&w, 3, world_enrol(&w, 3)), RK_CONFLICT);
}

static void an_invite_peer_may_only_enrol(void **state)
{
	Rk__Request *req = world_request(&w, A, 0, RK__OP__OP_HELLO);
	Rk__Hello hello = RK__HELLO__INIT;
	(void)state;

	assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_OK);
	hello.protocol_min = hello.protocol_max = 1;
	req->hello = &hello;
	assert_int_equal(world_run(&w, world_invite_command(&w, 3, req, (struct bytes){0})), RK_NOT_PERMITTED);
	/* The enrolment made for one invite does not pass over another's connection. */
	assert_int_equal(world_put_invite(&w, world_invite(&w, 4)), RK_OK);
	assert_int_equal(
	    world_run(&w, world_invite_command(&w, 4, world_request(&w, 3, 0, RK__OP__OP_ENROL), world_enrol(&w, 3))),
	    RK_NOT_PERMITTED);
}

static void a_directory_lists_nobody_who_did_not_enrol(void **state)
{
	struct fixed_sign other;
	(void)state;

	w.orgs[5].devices_serial = 1;
	assert_int_equal(world_set_status(&w, 5, RK__ORG_STATUS__ACTIVE), RK_CONFLICT);
	assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_OK);
	assert_int_equal(world_put_enrol(&w, 3, world_enrol(&w, 3)), RK_OK);
	other = w.orgs[3].key;
	fixed_sign_key(&w.orgs[3].key, "the broker's own");
	assert_int_equal(world_set_status(&w, 3, RK__ORG_STATUS__ACTIVE), RK_CONFLICT);
	w.orgs[3].key = other;
	w.orgs[3].min_devices_serial = 2;
	assert_int_equal(world_set_status(&w, 3, RK__ORG_STATUS__ACTIVE), RK_CONFLICT);
	w.orgs[3].min_devices_serial = 1;
	assert_int_equal(world_set_status(&w, 3, RK__ORG_STATUS__ACTIVE), RK_OK);
}

/* ---- leaving */
static void expulsion_cuts_and_forgets(void **state)
{
	struct command *late;
	(void)state;

	assert_int_equal(world_ack(&w, A, stream_control(), 3), RK_OK);
	late = world_submit_command(&w, A, 0, world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), 0);
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__EXPELLED), RK_OK);
	assert_true(is_cut(A, 0));
	assert_false(is_cut(B, 0));
	assert_false(may_shake_hands(A, 0));
	assert_true(may_shake_hands(B, 0));
	assert_int_equal(world_count(&w, T_CURSOR), 0);
	/* Verified before, applied after: the state of now counts. */
	assert_int_equal(late->refusal, RK_OK);
	assert_int_equal(world_run(&w, late), RK_REVOKED);
	assert_int_equal(world_hello(&w, A, 0), RK_REVOKED);
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__ACTIVE), RK_CONFLICT);
	world_restart(&w);
	assert_false(may_shake_hands(A, 0));
	assert_int_equal(world_hello(&w, A, 0), RK_REVOKED);
}

static void expulsion_counts_within_its_batch(void **state)
{
	struct command *batch[2];
	Rk__Directory *d;
	int codes[2];
	(void)state;

	w.orgs[A].status = RK__ORG_STATUS__EXPELLED;
	d = world_directory(&w);
	batch[0] = world_put_command(&w, 0, 0, RK__OBJECT_TYPE__OBJECT_DIRECTORY,
	                             world_sign(&w, OBJECT_KIND_DIRECTORY, &w.f.secretariat, &d->base));
	batch[1] = world_submit_command(&w, A, 0, world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1),
					0);
	world_run_batch(&w, batch, 2, codes);
	assert_int_equal(codes[0], RK_OK);
	assert_int_equal(codes[1], RK_REVOKED);
}

static void the_cut_comes_before_its_reply(void **state)
{
	const struct effect *e;
	struct command *c;
	size_t count;
	(void)state;

	w.orgs[A].status = RK__ORG_STATUS__SUSPENDED;
	c = world_put_command(&w, 0, 0, RK__OBJECT_TYPE__OBJECT_DIRECTORY,
	                      world_sign(&w, OBJECT_KIND_DIRECTORY, &w.f.secretariat, &world_directory(&w)->base));
	assert_int_equal(world_run(&w, c), RK_OK);
	e = apply_effects(w.apply, &count);
	assert_true(count >= 3);
	assert_int_equal(e[0].kind, EFFECT_CUT);
	assert_int_equal(e[1].kind, EFFECT_REPLY);
	assert_int_equal(e[2].kind, EFFECT_STREAM);
}

static void a_suspended_member_comes_back(void **state)
{
	(void)state;
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__SUSPENDED), RK_OK);
	assert_true(is_cut(A, 0));
	assert_false(may_shake_hands(A, 0));
	assert_int_equal(world_hello(&w, A, 0), RK_REVOKED);
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__ACTIVE), RK_OK);
	assert_true(may_shake_hands(A, 0));
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
}

/* ---- devices */
static void a_device_comes_and_goes_for_ever(void **state)
{
	struct world_device *d = &w.orgs[A].devices[1];
	(void)state;

	d->is_listed = true;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_true(w.reply->logged);
	assert_true(may_shake_hands(A, 1));
	assert_int_equal(world_hello(&w, A, 1), RK_OK);
	assert_int_equal(world_put_kx(&w, A, 1, world_kx(&w, A, 1)), RK_OK);
	d->is_listed = false;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_true(is_cut(A, 1));
	assert_false(may_shake_hands(A, 1));
	assert_int_equal(world_hello(&w, A, 1), RK_REVOKED);
	d->is_listed = true;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_CONFLICT);
	/* Nor in another organisation. */
	d->is_listed = false;
	w.orgs[B].devices[1] = *d;
	w.orgs[B].devices[1].is_listed = true;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_CONFLICT);
}

static void a_retired_device_is_cut_when_its_time_comes(void **state)
{
	struct world_device *d = &w.orgs[A].devices[1];
	(void)state;

	d->is_listed = true;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_int_equal(world_hello(&w, A, 1), RK_OK);
	d->retired_at = w.now_ms + 1000;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_false(is_cut(A, 1));
	assert_true(apply_next_due(w.apply) == d->retired_at);
	w.now_ms += 999;
	assert_int_equal(world_hello(&w, A, 1), RK_OK);
	w.now_ms += 1;
	world_tick(&w);
	assert_true(is_cut(A, 1));
	assert_false(may_shake_hands(A, 1));
	assert_int_equal(world_hello(&w, A, 1), RK_REVOKED);
	/* A retirement is never taken back. */
	d->retired_at = 0;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_CONFLICT);
}

static void a_list_is_its_own_organisations(void **state)
{
	struct bytes wire;
	(void)state;

	/* B's list over A's session; A's list under B's key. */
	wire = world_sign(&w, OBJECT_KIND_ORG_DEVICES, &w.orgs[A].key, &world_devices(&w, B)->base);
	assert_int_equal(world_put(&w, A, 0, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, wire), RK_NOT_PERMITTED);
	wire = world_sign(&w, OBJECT_KIND_ORG_DEVICES, &w.orgs[B].key, &world_devices(&w, A)->base);
	assert_int_equal(world_put(&w, A, 0, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, wire), RK_BAD_SIGNATURE);
}

static void removal_does_not_wait_for_a_directory(void **state)
{
	struct world_device *d = &w.orgs[A].devices[1];
	(void)state;

	d->is_listed = true;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	w.now_ms += 15 * WORLD_DAY_MS;
	w.orgs[A].devices[2].is_listed = true;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_DIRECTORY_EXPIRED);
	w.orgs[A].devices[2].is_listed = d->is_listed = false;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_int_equal(world_put_kx(&w, A, 0, world_kx(&w, A, 0)), RK_DIRECTORY_EXPIRED);
}

static void kx_keys_follow_each_other(void **state)
{
	Rk__DeviceKx *kx;
	(void)state;

	/* A device does not publish another's key. */
	kx = world_kx(&w, B, 0);
	assert_int_equal(world_put(&w, A, 0, RK__OBJECT_TYPE__OBJECT_DEVICE_KX,
				   world_sign(&w, OBJECT_KIND_DEVICE_KX, &w.orgs[A].devices[0].sign, &kx->base)),
			 RK_NOT_PERMITTED);
	kx = world_kx(&w, A, 0);
	kx->kx_pk = world_copy(&w, w.orgs[A].devices[0].kx[0].pk, 32);
	assert_int_equal(world_put_kx(&w, A, 0, kx), RK_CONFLICT);
	kx = world_kx(&w, A, 0);
	kx->serial++;
	assert_int_equal(world_put_kx(&w, A, 0, kx), RK_CONFLICT);
	assert_int_equal(world_put_kx(&w, A, 0, world_kx(&w, A, 0)), RK_OK);
	/* Mail wrapped to the one before still passes while that is in force, and not after. */
	w.orgs[A].devices[0].kx_serial = 1;
	assert_int_equal(world_submit(&w, B, 0, world_header(&w, RK__KIND__OPEN, B, 0, 2u), 2u), RK_OK);
	w.now_ms += TRUST_KX_AGE_MS - 20 * WORLD_DAY_MS;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	w.now_ms += 20 * WORLD_DAY_MS;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	assert_int_equal(world_put_kx(&w, B, 0, world_kx(&w, B, 0)), RK_OK);
	assert_int_equal(world_submit(&w, B, 0, world_header(&w, RK__KIND__OPEN, B, 0, 2u), 2u), RK_STALE_DIRECTORY);
}

/* ---- feed epochs */
/* What all members receive and the store keeps for good cannot be made without end; what takes a device out can. */
static void lists_and_kx_keys_have_a_day(void **state)
{
	Rk__DeviceKx *kx;
	uint8_t seed[32] = {7}, secret[32], pk[32];
	int code = RK_OK, n;
	(void)state;

	w.orgs[A].devices[1].is_listed = true;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	for (n = 1; code == RK_OK && n < 1000; n++)
		code = world_put_devices(&w, A, 0, world_devices(&w, A));
	assert_int_equal(code, RK_QUOTA);
	assert_int_equal(n, 101);
	w.orgs[A].devices[1].is_listed = false;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	for (n = 0, code = RK_OK; code == RK_OK && n < 1000; n++) {
		put_u32be(seed + 4, (uint32_t)n);
		assert_int_equal(crypto_box_seed_keypair(pk, secret, seed), 0);
		kx = world_kx(&w, A, 0);
		kx->kx_pk = world_copy(&w, pk, 32);
		code = world_put_kx(&w, A, 0, kx);
	}
	assert_int_equal(code, RK_QUOTA);
	assert_int_equal(n, 51);
	w.now_ms += WORLD_DAY_MS;
	kx = world_kx(&w, A, 0);
	kx->kx_pk = world_copy(&w, pk, 32);
	assert_int_equal(world_put_kx(&w, A, 0, kx), RK_OK);
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
}

static void feed_keys_reach_the_devices_mailbox(void **state)
{
	struct stream_id box = stream_mailbox(w.orgs[A].id);
	uint64_t head = world_head(&w, box);
	(void)state;

	assert_int_equal(world_put_feed_key(&w, world_feed_key(&w, A, 0, 1)), RK_OK);
	assert_int_equal(kind_at(box, head + 1), RK__ENTRY_KIND__ENTRY_FEED_KEY);
	assert_int_equal(world_put_feed_key(&w, world_feed_key(&w, A, 0, 1)), RK_DUPLICATE);
	assert_int_equal(world_put_feed_key(&w, world_feed_key(&w, A, 0, 2)), RK_EPOCH_UNKNOWN);
	assert_int_equal(world_put_feed_key(&w, world_feed_key(&w, 5, 0, 1)), RK_UNKNOWN_RECIPIENT);
	w.orgs[A].devices[1].is_listed = true;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_int_equal(world_put_feed_key(&w, world_feed_key(&w, A, 1, 1)), RK_NO_RECIPIENT_KEY);
}

static void epochs_follow_each_other(void **state)
{
	Rk__FeedEpoch *e;
	struct fixed_sign real = w.f.secretariat;
	(void)state;

	e = world_epoch(&w);
	e->directory_serial--;
	assert_int_equal(world_put_epoch(&w, e), RK_STALE_DIRECTORY);
	e = world_epoch(&w);
	e->not_before += 11 * 60000;
	assert_int_equal(world_put_epoch(&w, e), RK_CLOCK);
	fixed_sign_key(&w.f.secretariat, "not the charter's");
	assert_int_equal(world_put_epoch(&w, world_epoch(&w)), RK_BAD_SIGNATURE);
	w.f.secretariat = real;
	assert_int_equal(world_put_epoch(&w, world_epoch(&w)), RK_OK);
	assert_true(w.reply->logged);
}

/* ---- objects */
static void objects_are_found(void **state)
{
	struct bytes oh, wire, a = BYTES_OF(w.orgs[A].id), dev = BYTES_OF(w.orgs[A].devices[0].id), none = {0};
	uint64_t serial;
	struct txn *t;
	(void)state;

	assert_int_equal(env_begin(w.env, false, &t), RK_OK);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_CHARTER, none, 0, &serial, &oh, &wire), RK_OK);
	assert_int_equal(serial, 1);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_DIRECTORY, none, 0, &serial, &oh, &wire), RK_OK);
	assert_true(serial == w.directory_serial);
	assert_memory_equal(oh.data, w.directory_oh, 32);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_DIRECTORY, none, 1, &serial, &oh, &wire), RK_OK);
	assert_int_equal(serial, 1);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_DIRECTORY, none, 99, &serial, &oh, &wire),
			 RK_UNKNOWN_OBJECT);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, a, 0, &serial, &oh, &wire), RK_OK);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_DEVICE_KX, dev, 0, &serial, &oh, &wire), RK_OK);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, none, 0, &serial, &oh, &wire),
			 RK_UNKNOWN_OBJECT);
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_CHARTER, a, 0, &serial, &oh, &wire),
			 RK_UNKNOWN_OBJECT);
	/* Feed keys go by mailbox, never by asking. */
	assert_int_equal(apply_object(t, RK__OBJECT_TYPE__OBJECT_FEED_KEY, dev, 0, &serial, &oh, &wire),
			 RK_UNKNOWN_OBJECT);
	env_abort(t);
}

static void parts_of_a_directory_use_numbers_only(void **state)
{
	struct bytes wire = world_sign(&w, OBJECT_KIND_DIRECTORY, &w.f.secretariat, &world_directory(&w)->base);
	size_t half = wire.len / 2;
	struct object o;
	uint8_t oh[32];
	(void)state;

	assert_int_equal(object_parse(OBJECT_KIND_DIRECTORY, wire, w.arena, &o), RK_OK);
	object_oh(oh, &o, w.f.exchange_id);
	for (int part = 0; part < 2; part++) {
		Rk__Request *req = world_request(&w, 0, 0, RK__OP__OP_PUT_OBJECT);
		Rk__PutObject put = RK__PUT_OBJECT__INIT;

		put.type = RK__OBJECT_TYPE__OBJECT_DIRECTORY;
		put.oh = world_copy(&w, oh, 32);
		put.total = (uint32_t)wire.len;
		put.offset = part ? (uint32_t)half : 0;
		req->put_object = &put;
		assert_int_equal(world_run(&w, world_command(&w, 0, 0, req,
							     part ? bytes_make(wire.data + half, wire.len - half)
								  : bytes_make(wire.data, half),
							     (struct bytes){0}, (struct bytes){0})),
				 RK_OK);
		assert_int_equal(w.reply->logged, part);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(adoption_writes_what_protocol_says),
		TEST(adoption_takes_only_what_holds_together),
		TEST(an_enrolment_waits_and_is_approved),
		TEST(a_pending_enrolment_can_be_rejected),
		TEST(an_ended_invite_lets_nobody_in),
		TEST(nobody_enrols_with_keys_of_another),
		TEST(an_invite_peer_may_only_enrol),
		TEST(a_directory_lists_nobody_who_did_not_enrol),
		TEST(expulsion_cuts_and_forgets),
		TEST(expulsion_counts_within_its_batch),
		TEST(the_cut_comes_before_its_reply),
		TEST(a_suspended_member_comes_back),
		TEST(a_device_comes_and_goes_for_ever),
		TEST(a_retired_device_is_cut_when_its_time_comes),
		TEST(a_list_is_its_own_organisations),
		TEST(removal_does_not_wait_for_a_directory),
		TEST(kx_keys_follow_each_other),
		TEST(lists_and_kx_keys_have_a_day),
		TEST(feed_keys_reach_the_devices_mailbox),
		TEST(epochs_follow_each_other),
		TEST(objects_are_found),
		TEST(parts_of_a_directory_use_numbers_only),
	};
	return cmocka_run_group_tests_name("apply trust", tests, NULL, NULL);
}
