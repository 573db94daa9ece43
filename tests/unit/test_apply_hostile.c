/*
 * A member who sends what no client would: other people's names, other people's agreements, wraps for strangers.  Each
 * must be refused by apply's own look at the state, also where verify has let it pass (the command is bent behind
 * verify's back).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/strict.h"
#include "tests/unit/world.h"

#define A 1
#define B 2
#define C 3
#define TO_A 2u
#define TO_B 4u
#define TO_C 8u

static struct world w;
static uint8_t nda[32], env[32];

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	for (int i = A; i <= C; i++)
		world_admit(&w, i);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

/* The session of one device with the words of another. */
static void speak_as(struct command *c, int org)
{
	Rk__Request *req = world_request(&w, org, 0, c->req->op);

	req->head = c->req->head;
	c->req = req;
	memcpy(c->peer.id, w.orgs[org].devices[0].id, 16);
}

static Rk__EnvelopeHeader *bend(struct command *c)
{
	return (Rk__EnvelopeHeader *)(uintptr_t)c->envelope.header;
}

static void an_envelope_of_another(void **state)
{
	struct command *c = world_submit_command(&w, A, 0, world_header(&w, RK__KIND__OPEN, A, 0, TO_C), TO_C);
	(void)state;

	speak_as(c, B);
	assert_int_equal(world_run(&w, c), RK_NOT_PERMITTED);
	/* The own device, another's organisation. */
	c = world_submit_command(&w, A, 0, world_header(&w, RK__KIND__OPEN, A, 0, TO_C), TO_C);
	bend(c)->sender_org = world_copy(&w, w.orgs[B].id, 16);
	assert_int_equal(world_run(&w, c), RK_NOT_PERMITTED);
}

static void an_act_for_another_organisation(void **state)
{
	struct command *c;
	(void)state;

	world_agree(&w, TO_A | TO_B, nda);
	/* B's TERMINATE over A's session: not B's word on A's connection, and not A's either. */
	c = world_act_command(&w, B, world_act(&w, B, nda, RK__ACT_KIND__TERMINATE));
	speak_as(c, A);
	assert_int_equal(world_run(&w, c), RK_NOT_PERMITTED);
	/* A stranger's act: no word on whether there is such an agreement. */
	assert_int_equal(world_do_act(&w, C, nda, RK__ACT_KIND__TERMINATE), RK_NO_NDA);
	assert_int_equal(world_do_act(&w, C, nda, RK__ACT_KIND__HOLD), RK_NO_NDA);
	memset(env, 9, 32);
	assert_int_equal(world_do_act(&w, C, env, RK__ACT_KIND__TERMINATE), RK_NO_NDA);
	/* Long ago, too: the stranger learns nothing from the clock either. */
	Rk__NdaAct *late = world_act(&w, C, nda, RK__ACT_KIND__REJECT);

	late->signed_at = 1;
	assert_int_equal(world_run(&w, world_act_command(&w, C, late)), RK_NO_NDA);
}

static void a_hold_by_somebody_elses_device(void **state)
{
	Rk__NdaAct *act;
	(void)state;

	world_agree(&w, TO_A | TO_B, nda);
	act = world_act(&w, A, nda, RK__ACT_KIND__HOLD);
	act->device_id = world_copy(&w, w.orgs[B].devices[0].id, 16);
	assert_int_equal(world_run(&w, world_act_command(&w, A, act)), RK_NOT_PERMITTED);
	/* A device may hold; it may not terminate under the device's label. */
	struct command *c = world_act_command(&w, A, world_act(&w, A, nda, RK__ACT_KIND__HOLD));

	((Rk__NdaAct *)c->signed_object.message)->kind = RK__ACT_KIND__TERMINATE;
	((Rk__NdaAct *)c->signed_object.message)->device_id = pb_of((struct bytes){0});
	assert_int_equal(world_run(&w, c), RK_MALFORMED);
}

static void wraps_for_strangers(void **state)
{
	(void)state;
	world_agree(&w, TO_A | TO_B, nda);
	/* To B, but readable by C. */
	Rk__EnvelopeHeader *h = world_header(&w, RK__KIND__NDA, A, 0, TO_B);
	struct nda_row row;

	world_nda(&w, nda, &row);
	h->nda_id = world_copy(&w, nda, 32);
	h->nda_set = world_copy(&w, row.nda_set, 32);
	assert_int_equal(world_submit(&w, A, 0, h, TO_B | TO_C), RK_STALE_DIRECTORY);
	assert_int_equal(world_count(&w, T_WRAP), 0);
}

static void a_proposal_that_leaves_a_party_out(void **state)
{
	struct command *c;
	(void)state;

	c = world_propose_command(&w, A, world_terms(&w, TO_A | TO_B | TO_C), nda);
	bend(c)->n_recipients = 1;
	assert_int_equal(world_run(&w, c), RK_MALFORMED);
	/* One party exchanged for another. */
	c = world_propose_command(&w, A, world_terms(&w, TO_A | TO_B), nda);
	bend(c)->recipients[0]->org_id = world_copy(&w, w.orgs[C].id, 16);
	assert_int_equal(world_run(&w, c), RK_MALFORMED);
	/* Terms among others. */
	c = world_propose_command(&w, A, world_terms(&w, TO_B | TO_C), nda);
	assert_int_equal(world_run(&w, c), RK_NOT_PERMITTED);
	/* An envelope of another agreement. */
	c = world_propose_command(&w, A, world_terms(&w, TO_A | TO_B), nda);
	bend(c)->nda_id = world_fresh(&w, 32);
	assert_int_equal(world_run(&w, c), RK_MALFORMED);
	assert_int_equal(world_count(&w, T_NDA), 0);
	assert_int_equal(world_count(&w, T_NDA_TERMS), 0);
}

static void terms_that_bind_another_key(void **state)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);
	(void)state;

	t->parties[1]->org_key_fp = world_fresh(&w, 32);
	assert_int_equal(world_propose(&w, A, t, nda), RK_STALE_DIRECTORY);
}

static void an_nda_of_two_for_three(void **state)
{
	(void)state;
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B | TO_C, nda, NULL), RK_NO_NDA);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_C, nda, NULL), RK_NO_NDA);
}

static void a_one_way_agreement_reversed_by_a_reply(void **state)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);
	struct nda_row row;
	Rk__EnvelopeHeader *h;
	(void)state;

	t->parties[1]->may_disclose = t->parties[0]->may_receive = 0;
	assert_int_equal(world_propose(&w, A, t, nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, B, TO_A, nda, NULL), RK_DIRECTION);
	/* A declared question passes, and is released under the same rule. */
	world_nda(&w, nda, &row);
	h = world_header(&w, RK__KIND__NDA, B, 0, TO_A);
	h->nda_id = world_copy(&w, nda, 32);
	h->nda_set = world_copy(&w, row.nda_set, 32);
	h->reply_only = 1;
	h->thread_id = world_fresh(&w, 16);
	h->marking = RK__MARKING__NO_OWN_SECRETS;
	struct command *c = world_submit_command(&w, B, 0, h, TO_A);

	assert_int_equal(world_run(&w, c), RK_OK);
	assert_int_equal(world_pickup(&w, A, 0, nda, c->env_id), RK_OK);
	assert_int_equal(world_fetch(&w, A, 0, c->env_id), RK_OK);
}

static void a_pickup_of_anothers_envelope(void **state)
{
	uint8_t three[32];
	struct command *c;
	(void)state;

	world_agree(&w, TO_A | TO_B | TO_C, three);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, three, env), RK_OK);
	/* C is a party, and this letter is not C's. */
	assert_int_equal(world_pickup(&w, C, 0, three, env), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_fetch(&w, C, 0, env), RK_UNKNOWN_OBJECT);
	/* The sender picks nothing up. */
	assert_int_equal(world_pickup(&w, A, 0, three, env), RK_UNKNOWN_OBJECT);
	/* Under another agreement of the same parties. */
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_UNKNOWN_OBJECT);
	/* B's signed Pickup over C's session. */
	c = world_pickup_command(&w, B, 0, three, (const uint8_t(*)[32])env, 1);
	speak_as(c, C);
	assert_int_equal(world_run(&w, c), RK_NOT_PERMITTED);
	/* A stranger to the agreement. */
	assert_int_equal(world_pickup(&w, C, 0, nda, env), RK_NO_NDA);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_NOT_PERMITTED);
}

static void a_proposal_is_no_dossier(void **state)
{
	struct command *c;
	(void)state;

	c = world_propose_command(&w, A, world_terms(&w, TO_A | TO_B), nda);
	assert_int_equal(world_run(&w, c), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, c->env_id), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_fetch(&w, B, 0, c->env_id), RK_OK);
	assert_int_equal(world_fetch(&w, C, 0, c->env_id), RK_UNKNOWN_OBJECT);
}

static void a_mailbox_of_another(void **state)
{
	(void)state;
	assert_int_equal(world_ack(&w, A, stream_mailbox(w.orgs[B].id), 0), RK_NOT_PERMITTED);
	assert_int_equal(world_ack(&w, A, stream_mailbox(w.orgs[A].id), 0), RK_OK);
}

/* Accepted while C was in, asked for by a device that was wrapped for then and removed since. */
static void a_removed_device_fetches_nothing(void **state)
{
	(void)state;
	w.orgs[B].devices[1].is_listed = true;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	assert_int_equal(world_hello(&w, B, 1), RK_OK);
	assert_int_equal(world_put_kx(&w, B, 1, world_kx(&w, B, 1)), RK_OK);
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_pickup(&w, B, 1, nda, env), RK_OK);
	w.orgs[B].devices[1].is_listed = false;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	assert_int_equal(world_fetch(&w, B, 1, env), RK_REVOKED);
	/* And nobody wraps for it any more. */
	w.orgs[B].devices[1].is_listed = true;
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL), RK_STALE_DIRECTORY);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_envelope_of_another),
		TEST(an_act_for_another_organisation),
		TEST(a_hold_by_somebody_elses_device),
		TEST(wraps_for_strangers),
		TEST(a_proposal_that_leaves_a_party_out),
		TEST(terms_that_bind_another_key),
		TEST(an_nda_of_two_for_three),
		TEST(a_one_way_agreement_reversed_by_a_reply),
		TEST(a_pickup_of_anothers_envelope),
		TEST(a_proposal_is_no_dossier),
		TEST(a_mailbox_of_another),
		TEST(a_removed_device_fetches_nothing),
	};
	return cmocka_run_group_tests_name("apply hostile", tests, NULL, NULL);
}
