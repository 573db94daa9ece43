/*
 * apply as a table: each refusal that apply, or verify before it, can give has a row here by its name; those that the
 * steps before give are listed with the place of their test.  A refusal that stands in neither list fails the build's
 * tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/world.h"

#define SECRETARIAT 1u
#define A 1
#define B 2
#define C 3
#define TO_A 2u
#define TO_B 4u
#define TO_C 8u
#define MINUTE_MS ((int64_t)60000)

/* A fresh exchange with members A, B and C for every row. */
static struct world w;
static uint8_t nda[32], env[32];

static int run_posts(int org, Rk__Channel channel)
{
	return world_post(&w, org, channel, RK__POST_OP__NEW, 0, 1);
}

static Rk__EnvelopeHeader *open_header(int org, unsigned to)
{
	return world_header(&w, RK__KIND__OPEN, org, 0, to);
}

/* The parsed header of a command, to be changed behind verify's back. */
static Rk__EnvelopeHeader *bend(struct command *c)
{
	return (Rk__EnvelopeHeader *)(uintptr_t)c->envelope.header;
}

static void at(int64_t ms_from_now)
{
	w.now_ms += ms_from_now;
}

/* ---- 1xx identity */
static int not_admitted_unknown_invite(void)
{
	return world_put_enrol(&w, 4, world_enrol(&w, 4));
}

static int revoked_removed_device(void)
{
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__EXPELLED), RK_OK);
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int revoked_suspended(void)
{
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__SUSPENDED), RK_OK);
	return world_hello(&w, A, 0);
}

static int stale_writer_old_epoch(void)
{
	uint8_t old[8];

	memcpy(old, w.orgs[A].devices[0].epoch, 8);
	w.orgs[A].devices[0].epoch[0] ^= 1;
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
	memcpy(w.orgs[A].devices[0].epoch, old, 8);
	assert_int_equal(run_posts(A, RK__CHANNEL__OFFER), RK_STALE_WRITER);
	return world_hello(&w, A, 0);
}

static int not_permitted_notice(void)
{
	assert_int_equal(run_posts(0, RK__CHANNEL__NOTICE), RK_OK);
	return run_posts(A, RK__CHANNEL__NOTICE);
}

static int not_permitted_other_sender(void)
{
	Rk__EnvelopeHeader *h = world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1);

	h->sender_org = world_copy(&w, w.orgs[B].id, 16);
	return world_submit(&w, A, 0, h, 0);
}

static int not_permitted_submit_proposal(void)
{
	Rk__EnvelopeHeader *h = world_header(&w, RK__KIND__PROPOSAL, A, 0, TO_B);

	h->nda_id = world_fresh(&w, 32);
	return world_submit(&w, A, 0, h, TO_B);
}

static int not_permitted_directory(void)
{
	struct bytes wire = world_sign(&w, OBJECT_KIND_DIRECTORY, &w.f.secretariat, &world_directory(&w)->base);

	return world_put(&w, A, 0, RK__OBJECT_TYPE__OBJECT_DIRECTORY, wire);
}

static int not_permitted_charter(void)
{
	struct bytes wire = world_sign(&w, OBJECT_KIND_CHARTER, &w.f.root, &fixed_charter(&w.f, w.arena)->base);

	return world_put(&w, 0, 0, RK__OBJECT_TYPE__OBJECT_CHARTER, wire);
}

static int not_permitted_exit_none(void)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);

	t->exit_rule = RK__EXIT_RULE__EXIT_NONE;
	assert_int_equal(world_propose(&w, A, t, nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	return world_do_act(&w, A, nda, RK__ACT_KIND__TERMINATE);
}

static int not_permitted_fetch_before_pickup(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	return world_fetch(&w, B, 0, env);
}

static int not_permitted_deposit_for_another(void)
{
	Rk__Deposit *d = world_deposit_of(&w, A, 0);

	d->org_id = world_copy(&w, w.orgs[B].id, 16);
	return world_run(&w, world_deposit_command(&w, A, 0, d));
}

static int quota_deposits(void)
{
	for (int i = 0; i < 100; i++)
		assert_int_equal(world_deposit(&w, A, 0), RK_OK);
	return world_deposit(&w, A, 0);
}

static int duplicate_deposit(void)
{
	Rk__Deposit *d = world_deposit_of(&w, A, 0);

	assert_int_equal(world_run(&w, world_deposit_command(&w, A, 0, d)), RK_OK);
	return world_run(&w, world_deposit_command(&w, A, 0, d));
}

static int duplicate_nack(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_nack(&w, B, 0, nda, env, RK__NACK_REASON__NACK_DECLINED), RK_OK);
	return world_nack(&w, B, 0, nda, env, RK__NACK_REASON__NACK_DECLINED);
}

static int conflict_declined_after_pickup(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	return world_nack(&w, B, 0, nda, env, RK__NACK_REASON__NACK_DECLINED);
}

static int unknown_object_nack_of_a_third(void)
{
	world_agree(&w, TO_A | TO_B | TO_C, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	return world_nack(&w, C, 0, nda, env, RK__NACK_REASON__NACK_DECLINED);
}

static int wrong_exchange(void)
{
	struct command *c = world_submit_command(
	    &w, A, 0, world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), 0);

	bend(c)->exchange_id.data[0] ^= 1;
	return world_run(&w, c);
}

/* ---- 2xx form */
static int malformed_pickup_unsorted(void)
{
	struct command *c;
	uint8_t ids[2][32] = {{1}, {1}};

	world_agree(&w, TO_A | TO_B, nda);
	c = world_pickup_command(&w, B, 0, nda, ids, 2);
	return world_run(&w, c);
}

static int malformed_act_with_envelope_of_other(void)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B | TO_C);
	struct command *c = world_propose_command(&w, A, t, nda);

	/* One party of the terms is left out of the letter. */
	bend(c)->n_recipients--;
	return world_run(&w, c);
}

static int bad_signature_of_other_org_key(void)
{
	struct world_org real = w.orgs[A];
	int code;

	fixed_sign_key(&w.orgs[A].key, "somebody else's");
	code = world_put_devices(&w, A, 0, world_devices(&w, A));
	w.orgs[A] = real;
	return code;
}

/* The key that verified is no longer the device's when apply looks. */
static int bad_signature_key_changed_since(void)
{
	struct command *c = world_submit_command(&w, A, 0, open_header(A, TO_B), TO_B);

	assert_int_equal(c->refusal, RK_OK);
	c->signer_pk[0] ^= 1;
	return world_run(&w, c);
}

static int too_large_accept(void)
{
	struct command *c;

	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	c = world_act_command(&w, B, world_act(&w, B, nda, RK__ACT_KIND__ACCEPT));
	bend(c)->body_len = ENVELOPE_SMALL_BODY_MAX_BYTES + 1;
	return world_run(&w, c);
}

static int version_hello(void)
{
	Rk__Request *req = world_request(&w, A, 0, RK__OP__OP_HELLO);
	Rk__Hello hello = RK__HELLO__INIT;

	hello.protocol_min = hello.protocol_max = 2;
	req->hello = &hello;
	return world_run(&w, world_command(&w, A, 0, req, (struct bytes){0}, (struct bytes){0}, (struct bytes){0}));
}

static int unsupported_critical_ext(void)
{
	Rk__Directory *d = world_directory(&w);
	Rk__Ext ext = RK__EXT__INIT, *list[1] = {&ext};

	ext.id = 9;
	ext.critical = true;
	d->orgs[A]->ext = list;
	d->orgs[A]->n_ext = 1;
	return world_put_directory(&w, d);
}

static int unmarked(void)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);
	Rk__EnvelopeHeader *h = world_header(&w, RK__KIND__NDA, A, 0, TO_B);
	struct nda_row row;

	t->marking_required = 1;
	assert_int_equal(world_propose(&w, A, t, nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	world_nda(&w, nda, &row);
	h->nda_id = world_copy(&w, nda, 32);
	h->nda_set = world_copy(&w, row.nda_set, 32);
	return world_submit(&w, A, 0, h, TO_B);
}

/* ---- 3xx limits */
static int quota_open_to_strangers(void)
{
	for (int i = 0; i < 20; i++)
		assert_int_equal(world_submit(&w, A, 0, open_header(A, TO_B), TO_B), RK_OK);
	return world_submit(&w, A, 0, open_header(A, TO_B), TO_B);
}

static int quota_stored(void)
{
	struct apply_limits l = w.limits;

	l.org_stored_bytes = 1000;
	world_limits(&w, &l);
	assert_int_equal(run_posts(A, RK__CHANNEL__OFFER), RK_OK);
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int quota_pending(void)
{
	struct apply_limits l = w.limits;

	l.pair_pending_bytes = 1000;
	world_limits(&w, &l);
	assert_int_equal(world_submit(&w, A, 0, open_header(A, TO_B), TO_B), RK_OK);
	return world_submit(&w, A, 0, open_header(A, TO_B), TO_B);
}

static int quota_unsigned(void)
{
	for (int i = 0; i < 20; i++)
		assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	return world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda);
}

static int quota_notices(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	for (int i = 0; i < 20; i++)
		assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_B, nda, NULL), RK_OK);
	return world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_B, nda, NULL);
}

static int quota_writers(void)
{
	for (uint8_t i = 1; i < 64; i++) {
		w.orgs[A].devices[0].epoch[7] ^= i;
		w.orgs[A].devices[0].epoch[6] = i;
		assert_int_equal(world_hello(&w, A, 0), RK_OK);
	}
	w.orgs[A].devices[0].epoch[5] ^= 0x55;
	return world_hello(&w, A, 0);
}

static int store_full_soft(void)
{
	struct apply_limits l = w.limits;

	l.soft_percent = 0;
	world_limits(&w, &l);
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int store_full_hard(void)
{
	struct apply_limits l = w.limits;

	l.soft_percent = l.hard_percent = 0;
	world_limits(&w, &l);
	return world_put_epoch(&w, world_epoch(&w));
}

/* 256 times 66 kB is more than one batch may hand out; the next batch gives again. */
static int busy_fetches(void)
{
	struct command *c[256];
	int codes[256];

	world_agree(&w, TO_A | TO_B, nda);
	w.message_bytes = 65500;
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	for (int i = 0; i < 256; i++)
		c[i] = world_fetch_command(&w, A, 0, env);
	world_run_batch(&w, c, 256, codes);
	assert_int_equal(codes[250], RK_OK);
	assert_int_equal(world_fetch(&w, A, 0, env), RK_OK);
	world_run_batch(&w, c, 256, codes);
	return codes[255];
}

/* Nothing is decided and no number used. */
static int busy_verify_without_memory(void)
{
	struct command *c = world_submit_command(&w, A, 0, open_header(A, TO_B), TO_B);

	c->refusal = RK_ENOMEM;
	assert_int_equal(world_run(&w, c), RK_BUSY);
	c->refusal = RK_OK;
	assert_int_equal(world_run(&w, c), RK_OK);
	c = world_submit_command(&w, A, 0, open_header(A, TO_B), TO_B);
	c->refusal = RK_ENOMEM;
	return world_run(&w, c);
}

/* ---- 4xx state */
static int number_conflict(void)
{
	assert_int_equal(run_posts(A, RK__CHANNEL__OFFER), RK_OK);
	w.orgs[A].devices[0].number--;
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int out_of_order(void)
{
	w.orgs[A].devices[0].number += 5;
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int duplicate_envelope(void)
{
	struct command *c = world_submit_command(&w, A, 0, open_header(A, TO_B), TO_B);
	Rk__Request *req = world_request(&w, A, 0, RK__OP__OP_SUBMIT);

	assert_int_equal(world_run(&w, c), RK_OK);
	*req = *c->req;
	req->number++;
	return world_run(&w, world_command(&w, A, 0, req, (struct bytes){0}, c->wraps, c->body));
}

static int duplicate_accept(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	return world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT);
}

static int conflict_directory_serial(void)
{
	Rk__Directory *d = world_directory(&w);

	d->serial++;
	return world_put_directory(&w, d);
}

static int conflict_post_version(void)
{
	uint64_t seq;

	assert_int_equal(run_posts(A, RK__CHANNEL__OFFER), RK_OK);
	seq = w.reply->seq;
	return world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__REVISE, seq, 3);
}

static int generation_unknown_writer(void)
{
	w.orgs[A].devices[0].epoch[0] ^= 1;
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int generation_ack_beyond_head(void)
{
	return world_ack(&w, A, stream_control(), 1000);
}

static int stale_epoch(void)
{
	assert_int_equal(world_put_epoch(&w, world_epoch(&w)), RK_OK);
	w.epoch = 1;
	at(10 * MINUTE_MS - 1);
	assert_int_equal(run_posts(A, RK__CHANNEL__OFFER), RK_OK);
	at(1);
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int epoch_unknown(void)
{
	w.epoch = 2;
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int stale_directory_serial(void)
{
	Rk__EnvelopeHeader *h = open_header(A, TO_B);

	h->directory_serial--;
	return world_submit(&w, A, 0, h, TO_B);
}

static int stale_directory_wrap_for_stranger(void)
{
	return world_submit(&w, A, 0, open_header(A, TO_B), TO_B | TO_C);
}

static int stale_nda(void)
{
	struct command *c;

	world_agree(&w, TO_A | TO_B, nda);
	c = world_disclose_command(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__RESUME), RK_OK);
	return world_run(&w, c);
}

static int directory_expired(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	at(15 * WORLD_DAY_MS);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int charter_expired(void)
{
	at(TRUST_CHARTER_AGE_MS);
	return run_posts(A, RK__CHANNEL__OFFER);
}

static int envelope_expired(void)
{
	Rk__EnvelopeHeader *h = open_header(A, TO_B);
	struct command *c;

	h->expires_at = w.now_ms + MINUTE_MS;
	c = world_submit_command(&w, A, 0, h, TO_B);
	at(MINUTE_MS);
	return world_run(&w, c);
}

static int clock_created_at(void)
{
	Rk__EnvelopeHeader *h = open_header(A, TO_B);

	h->created_at += 10 * MINUTE_MS + 1;
	return world_submit(&w, A, 0, h, TO_B);
}

static int clock_signed_at(void)
{
	Rk__NdaAct *act;

	world_agree(&w, TO_A | TO_B, nda);
	act = world_act(&w, A, nda, RK__ACT_KIND__TERMINATE);
	act->signed_at -= 7 * WORLD_DAY_MS + 1;
	return world_run(&w, world_act_command(&w, A, act));
}

static int not_owner(void)
{
	assert_int_equal(run_posts(A, RK__CHANNEL__OFFER), RK_OK);
	return world_post(&w, B, RK__CHANNEL__OFFER, RK__POST_OP__WITHDRAW, w.reply->seq, 2);
}

static int no_recipient_key(void)
{
	return world_submit(&w, A, 0, open_header(A, TO_B | TO_C), TO_B);
}

static int invite_used(void)
{
	struct bytes first, other;

	assert_int_equal(world_put_invite(&w, world_invite(&w, 4)), RK_OK);
	first = world_enrol(&w, 4);
	at(1);
	other = world_enrol(&w, 4);
	assert_int_equal(world_put_enrol(&w, 4, first), RK_OK);
	assert_int_equal(world_put_enrol(&w, 4, first), RK_OK);
	return world_put_enrol(&w, 4, other);
}

static int invite_expired(void)
{
	assert_int_equal(world_put_invite(&w, world_invite(&w, 4)), RK_OK);
	at(7 * WORLD_DAY_MS);
	return world_put_enrol(&w, 4, world_enrol(&w, 4));
}

/* ---- 5xx gate */
static int no_nda_unknown(void)
{
	Rk__EnvelopeHeader *h = world_header(&w, RK__KIND__NDA, A, 0, TO_B);

	h->nda_id = world_fresh(&w, 32);
	h->nda_set = world_fresh(&w, 32);
	return world_submit(&w, A, 0, h, TO_B);
}

static int no_nda_stranger(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	return world_disclose(&w, RK__KIND__NDA, C, TO_B, nda, NULL);
}

static int no_nda_recipient_stranger(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B | TO_C, nda, NULL);
}

static int nda_proposed(void)
{
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int nda_not_yet(void)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);

	t->not_before = w.now_ms + 1;
	assert_int_equal(world_propose(&w, A, t, nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int nda_held(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__HOLD), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int nda_suspended(void)
{
	world_agree(&w, TO_A | TO_B | TO_C, nda);
	assert_int_equal(world_set_status(&w, C, RK__ORG_STATUS__SUSPENDED), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int nda_declined(void)
{
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__REJECT), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int nda_withdrawn(void)
{
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__WITHDRAW_NDA), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int nda_lapsed(void)
{
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	at(10 * WORLD_DAY_MS);
	return world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT);
}

static int nda_expired(void)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);

	t->not_after = w.now_ms + WORLD_DAY_MS;
	assert_int_equal(world_propose(&w, A, t, nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	at(WORLD_DAY_MS - 1);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL), RK_OK);
	at(1);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int nda_terminated(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int direction(void)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);

	t->parties[1]->may_disclose = t->parties[0]->may_receive = 0;
	assert_int_equal(world_propose(&w, A, t, nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL), RK_OK);
	return world_disclose(&w, RK__KIND__NDA, B, TO_A, nda, NULL);
}

/* ---- 6xx things */
static int unknown_object_fetch(void)
{
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	/* A stranger and an id that nobody has answer alike. */
	assert_int_equal(world_fetch(&w, C, 0, env), RK_UNKNOWN_OBJECT);
	return world_fetch(&w, B, 0, nda);
}

static int unknown_object_post(void)
{
	return world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__REVISE, 99, 2);
}

static int unknown_recipient(void)
{
	assert_int_equal(world_set_status(&w, B, RK__ORG_STATUS__SUSPENDED), RK_OK);
	return world_submit(&w, A, 0, open_header(A, TO_B), TO_B);
}

static const struct row {
	const char *name;
	int code;
	int (*run)(void);
} rows[] = {
#define ROW(code, fn) {#fn, code, fn}
	ROW(RK_NOT_ADMITTED, not_admitted_unknown_invite),
	ROW(RK_REVOKED, revoked_removed_device),
	ROW(RK_REVOKED, revoked_suspended),
	ROW(RK_STALE_WRITER, stale_writer_old_epoch),
	ROW(RK_NOT_PERMITTED, not_permitted_notice),
	ROW(RK_NOT_PERMITTED, not_permitted_other_sender),
	ROW(RK_NOT_PERMITTED, not_permitted_submit_proposal),
	ROW(RK_NOT_PERMITTED, not_permitted_directory),
	ROW(RK_NOT_PERMITTED, not_permitted_charter),
	ROW(RK_NOT_PERMITTED, not_permitted_exit_none),
	ROW(RK_NOT_PERMITTED, not_permitted_fetch_before_pickup),
	ROW(RK_NOT_PERMITTED, not_permitted_deposit_for_another),
	ROW(RK_WRONG_EXCHANGE, wrong_exchange),
	ROW(RK_MALFORMED, malformed_pickup_unsorted),
	ROW(RK_MALFORMED, malformed_act_with_envelope_of_other),
	ROW(RK_BAD_SIGNATURE, bad_signature_of_other_org_key),
	ROW(RK_BAD_SIGNATURE, bad_signature_key_changed_since),
	ROW(RK_TOO_LARGE, too_large_accept),
	ROW(RK_VERSION, version_hello),
	ROW(RK_UNSUPPORTED, unsupported_critical_ext),
	ROW(RK_UNMARKED, unmarked),
	ROW(RK_QUOTA, quota_open_to_strangers),
	ROW(RK_QUOTA, quota_stored),
	ROW(RK_QUOTA, quota_pending),
	ROW(RK_QUOTA, quota_unsigned),
	ROW(RK_QUOTA, quota_notices),
	ROW(RK_QUOTA, quota_writers),
	ROW(RK_QUOTA, quota_deposits),
	ROW(RK_STORE_FULL, store_full_soft),
	ROW(RK_STORE_FULL, store_full_hard),
	ROW(RK_BUSY, busy_fetches),
	ROW(RK_BUSY, busy_verify_without_memory),
	ROW(RK_NUMBER_CONFLICT, number_conflict),
	ROW(RK_OUT_OF_ORDER, out_of_order),
	ROW(RK_DUPLICATE, duplicate_envelope),
	ROW(RK_DUPLICATE, duplicate_accept),
	ROW(RK_DUPLICATE, duplicate_nack),
	ROW(RK_DUPLICATE, duplicate_deposit),
	ROW(RK_CONFLICT, conflict_directory_serial),
	ROW(RK_CONFLICT, conflict_post_version),
	ROW(RK_CONFLICT, conflict_declined_after_pickup),
	ROW(RK_GENERATION, generation_unknown_writer),
	ROW(RK_GENERATION, generation_ack_beyond_head),
	ROW(RK_STALE_EPOCH, stale_epoch),
	ROW(RK_EPOCH_UNKNOWN, epoch_unknown),
	ROW(RK_STALE_DIRECTORY, stale_directory_serial),
	ROW(RK_STALE_DIRECTORY, stale_directory_wrap_for_stranger),
	ROW(RK_STALE_NDA, stale_nda),
	ROW(RK_DIRECTORY_EXPIRED, directory_expired),
	ROW(RK_CHARTER_EXPIRED, charter_expired),
	ROW(RK_ENVELOPE_EXPIRED, envelope_expired),
	ROW(RK_CLOCK, clock_created_at),
	ROW(RK_CLOCK, clock_signed_at),
	ROW(RK_NOT_OWNER, not_owner),
	ROW(RK_NO_RECIPIENT_KEY, no_recipient_key),
	ROW(RK_INVITE_USED, invite_used),
	ROW(RK_INVITE_EXPIRED, invite_expired),
	ROW(RK_NO_NDA, no_nda_unknown),
	ROW(RK_NO_NDA, no_nda_stranger),
	ROW(RK_NO_NDA, no_nda_recipient_stranger),
	ROW(RK_NDA_PROPOSED, nda_proposed),
	ROW(RK_NDA_NOT_YET, nda_not_yet),
	ROW(RK_NDA_HELD, nda_held),
	ROW(RK_NDA_SUSPENDED, nda_suspended),
	ROW(RK_NDA_DECLINED, nda_declined),
	ROW(RK_NDA_WITHDRAWN, nda_withdrawn),
	ROW(RK_NDA_LAPSED, nda_lapsed),
	ROW(RK_NDA_EXPIRED, nda_expired),
	ROW(RK_NDA_TERMINATED, nda_terminated),
	ROW(RK_DIRECTION, direction),
	ROW(RK_UNKNOWN_OBJECT, unknown_object_fetch),
	ROW(RK_UNKNOWN_OBJECT, unknown_object_post),
	ROW(RK_UNKNOWN_OBJECT, unknown_object_nack_of_a_third),
	ROW(RK_UNKNOWN_RECIPIENT, unknown_recipient),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* Given by the steps before apply, or by no version-1 input at all. */
static const struct {
	int code;
	const char *where;
} elsewhere[] = {
	{RK_SUPERSEDED, "admit: the session table"},
	{RK_RATE_LIMITED, "front: token buckets"},
	{RK_MOVING, "admit: draining"},
	{RK_READ_ONLY, "a store older than its own log: test_apply_log"},
	{RK_NDA_SUPERSEDED, "reserved: terms of version 1 cannot supersede (nda_check_terms)"},
};

static bool is_covered(int code)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].code == code)
			return true;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (elsewhere[i].code == code)
			return true;
	return false;
}

static void every_refusal_has_a_row(void **state)
{
	(void)state;
	for (unsigned i = 0, code; (code = (unsigned)errcode_at(i)) != RK_OK; i++)
		if ((int)code > RK_OK && !is_covered((int)code))
			fail_msg("%s has no row", errcode_name((int)code));
}

/* What a refusal may change: the number of the one who asked, and nothing else. */
struct digest {
	unsigned rows[BROKER_TABLE_COUNT];
	uint64_t log_size;
};

static struct digest digest(void)
{
	struct digest d = {.log_size = apply_log_size(w.apply)};

	for (unsigned t = 0; t < BROKER_TABLE_COUNT; t++)
		d.rows[t] = (unsigned)world_count(&w, t);
	return d;
}

static void each_row_refuses(void **state)
{
	const struct row *row = *state;
	struct digest before, after;
	size_t last;

	world_open(&w);
	for (int org = A; org <= C; org++)
		world_admit(&w, org);
	assert_int_equal(row->run(), row->code);
	assert_int_equal(w.reply->code, row->code);
	/* The same request once more, while nothing else has happened: no trace. */
	before = digest();
	last = w.record_count - 1;
	world_run(&w, w.records[last].command);
	after = digest();
	assert_memory_equal(&before, &after, sizeof(before));
	/* And after a restart: what was answered is remembered. */
	world_restart(&w);
	if (w.records[last].command->req && w.records[last].command->req->number > 0 && row->code != RK_BUSY)
		assert_int_equal(world_run(&w, w.records[last].command), row->code);
	world_close(&w);
}

int main(void)
{
	struct CMUnitTest tests[ROW_COUNT + 1] = {cmocka_unit_test(every_refusal_has_a_row)};

	for (size_t i = 0; i < ROW_COUNT; i++)
		tests[i + 1] = (struct CMUnitTest){rows[i].name, each_row_refuses, NULL, NULL,
						   (void *)(uintptr_t)&rows[i]};
	return _cmocka_run_group_tests("apply refuses", tests, ROW_COUNT + 1, NULL, NULL);
}
