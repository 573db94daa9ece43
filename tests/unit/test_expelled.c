/*
 * A member is expelled in the middle of a download, also of an attachment, of an upload, of posts and of a live subscription, at a random moment.  After the directory is
 * acknowledged nothing reaches it: what it asks from then on is answered `revoked` or not at all, and no entry that the broker took in
 * after the directory is ever delivered to it.  What counts is order, as it stands in the broker's store, and what was asked after the
 * acknowledgement by CLOCK_MONOTONIC of the one host; frames that were in the network by then may still arrive (SECURITY.md).
 *
 * RENKEI_EXPEL_ROUNDS (4), RENKEI_SEED.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/downloader.h"
#include "tests/unit/exchange_verbs.h"

static struct exchange x;
static unsigned sender, writer;      /* homes of two members that stay */

/* ---- the secretariat's side */

struct expulsion {
	struct downloader *w;
	uint64_t item;
	int64_t acked_ms;
};

/* The moment at which the answer stands in the secretariat's home. */
static int watch(struct client *c, void *user)
{
	struct expulsion *e = user;
	struct outcome out;
	struct txn *t;

	if (e->acked_ms != 0 || env_begin(client_env(c), false, &t) != RK_OK)
		return RK_OK;
	if (outbox_outcome(t, e->item, &out) == RK_OK) {
		exchange_must(out.code, "the directory");
		e->acked_ms = downloader_now_ms();
		atomic_store(&e->w->acked, true);
	}
	env_abort(t);
	return RK_OK;
}

static void expel(struct downloader *w, unsigned home, struct expulsion *e)
{
	struct client *s = exchange_client(&x, EXCHANGE_SECRETARIAT);
	struct link_options o = {.timeout_ms = 30000, .step = watch, .user = e, .until_synced = true};

	*e = (struct expulsion){.w = w};
	exchange_must(secretariat_set_status(s, x.home[home].org_id, RK__ORG_STATUS__EXPELLED, &e->item), "member expel");
	exchange_must(link_run(s, &o), "the secretariat's link");
	exchange_need(e->acked_ms != 0, "an acknowledgement");
}

/* ---- what must hold */

/* Where the directory stands among the entries of control: everything after it was taken in when the member was out. */
static uint64_t directory_seq(struct arena *a)
{
	struct stream_id control = stream_control();
	struct stream_entry e;
	uint64_t seq = exchange_broker_head(&x.broker, &control);

	while (seq > 0 && !(exchange_broker_entry(&x.broker, &control, seq, a, &e) && e.kind == RK__ENTRY_KIND__ENTRY_DIRECTORY))
		seq--;
	return seq;
}

static const struct asked *asked_for_post(const struct downloader *w, unsigned post)
{
	for (unsigned i = 0; i < w->asked_count; i++)
		if (w->asked[i].is_post && w->asked[i].post == post)
			return &w->asked[i];
	return NULL;
}

/* Each of its posts stands in the channel from before the directory, or not at all; all that were acknowledged do. */
static void check_posts(struct downloader *w, uint64_t directory, struct arena *a, unsigned *taken, uint64_t *first_after)
{
	struct stream_id offers = stream_channel(RK__CHANNEL__OFFER);
	uint64_t head = exchange_broker_head(&x.broker, &offers);
	bool is_there[DOWNLOADER_POSTS] = {false};

	*taken = 0;
	*first_after = head + 1;
	for (uint64_t seq = head; seq > 0; seq--) {
		struct stream_entry e;

		assert_true(exchange_broker_entry(&x.broker, &offers, seq, a, &e));
		if (e.control_seq >= directory)
			*first_after = seq;
		for (unsigned i = 0; i < w->posted; i++)
			if (bytes_equal(e.object, w->posts[i].head)) {
				assert_true(e.control_seq < directory);
				is_there[i] = true;
				(*taken)++;
			}
	}
	for (unsigned i = 0; i < w->posted; i++) {
		const struct asked *q = asked_for_post(w, i);

		if (q->is_answered)
			assert_int_equal(q->code == RK_OK, is_there[i]);
		assert_false(q->is_late && is_there[i]);
	}
}

static void check_replies(const struct downloader *w)
{
	unsigned late_pieces = 0;

	assert_int_equal(w->late_count, DOWNLOADER_LATE_ASKS);
	for (unsigned i = 0; i < w->asked_count; i++) {
		const struct asked *q = &w->asked[i];

		late_pieces += q->is_late && q->is_piece;
		if (!q->is_answered)
			continue;
		if (q->is_late)
			assert_int_equal(q->code, RK_REVOKED);
		else
			/* busy: the connection had no room for the bulk at that moment, which says nothing of it. */
			assert_true(q->code == RK_OK || q->code == RK_REVOKED || (q->code == RK_BUSY && !q->is_post));
	}
	assert_int_equal(w->after_quiet, 0);
	assert_true(late_pieces > 0);
}

/* The next epoch is there at once, without a key for it, and what is posted under it does not open with the one it has. */
static void check_epoch(struct downloader *w, unsigned home, uint64_t marker_seq, struct arena *a)
{
	struct stream_id offers = stream_channel(RK__CHANNEL__OFFER);
	struct client *c = exchange_client(&x, home), *b = exchange_client(&x, writer);
	struct envelope envelope;
	struct stream_entry e;
	struct bytes message;
	uint8_t ek[32];
	struct txn *t;

	assert_true(exchange_broker_entry(&x.broker, &offers, marker_seq, a, &e));
	assert_int_equal(envelope_parse(e.object, a, &envelope), RK_OK);
	assert_int_equal(envelope.header->feed_epoch, w->m.epoch + 1);
	arena_raise(a, 1024 * 1024);
	assert_int_equal(envelope_open(&envelope, NULL, e.body, w->m.ek, NULL, NULL, NULL, a, &message, NULL), RK_BAD_SIGNATURE);
	exchange_must(env_begin(client_env(c), false, &t), "begin");
	assert_int_equal(book_epoch_key(c, t, w->m.epoch + 1, ek), RK_ENOTFOUND);
	env_abort(t);
	/* Whoever stays has it. */
	exchange_must(env_begin(client_env(b), false, &t), "begin");
	assert_int_equal(book_epoch_key(b, t, w->m.epoch + 1, ek), RK_OK);
	env_abort(t);
	assert_int_equal(envelope_open(&envelope, NULL, e.body, ek, NULL, NULL, NULL, a, &message, NULL), RK_OK);
}

/* ---- somebody else posts all the while */

static atomic_bool is_over;

static void *keep_posting(void *user)
{
	uint8_t post_id[32];

	(void)user;
	while (!atomic_load(&is_over))
		exchange_must(verb_post(&x, writer, "Meanwhile", 0, post_id), "the writer's post");
	return NULL;
}

/* ---- one round */

struct round {
	unsigned home;
	uint8_t nda[32];
	uint8_t taken[32], attached[32], waiting[32];  /* dossiers: picked up, the same with an attachment, and not */
	uint64_t queued;                 /* a post in the outbox of its home */
	uint64_t mailbox;                /* how long its mailbox is */
};

static void set_up(struct round *r, unsigned i)
{
	const struct agreement_new terms = {.last_day = 20271231, .window_days = -1, .survival_months = -1};
	char name[32];

	snprintf(name, sizeof(name), "Member %u", i);
	r->home = exchange_join(&x, name, RK__ORG_KIND__SME);
	exchange_must(verb_sync(&x, sender, NULL), "sync");
	exchange_must(verb_agree(&x, sender, r->home, &terms, r->nda), "agree");
	exchange_must(verb_send(&x, sender, r->nda, "large", DOWNLOADER_BODY_BYTES, r->taken), "send");
	exchange_must(verb_send(&x, sender, r->nda, "waits", 1000, r->waiting), "send");
	exchange_must(verb_send_attached(&x, sender, r->nda, "attached", DOWNLOADER_ATTACHED_BYTES, r->attached), "send");
	exchange_must(verb_get(&x, r->home, r->taken, "large", DOWNLOADER_BODY_BYTES), "get");
	exchange_must(verb_pickup(&x, r->home, r->attached), "pickup");
	verb_post_later(&x, r->home, "Never sent", 0, &r->queued);
}

static void check_home(const struct round *r)
{
	struct stream_id box = stream_mailbox(x.home[r->home].org_id);
	struct outcome out;
	int code = link_sync(exchange_client(&x, r->home), NULL);

	assert_true(code == RK_REVOKED || code == RK_NOT_ADMITTED);
	assert_int_equal(verb_outcome(&x, r->home, r->queued, &out), RK_BUSY);
	assert_int_equal(exchange_broker_head(&x.broker, &box), r->mailbox);
	exchange_must(verb_sync(&x, sender, NULL), "sync");
	assert_string_equal(verb_fate(&x, sender, r->taken), "picked_up");
	assert_string_equal(verb_fate(&x, sender, r->waiting), "returned");
}

static void run_round(unsigned i, struct downloader *w)
{
	struct arena *a = arena_new((size_t)64 * 1024 * 1024);
	uint8_t marker[32];
	struct round r = {0};
	struct stream_id box, offers = stream_channel(RK__CHANNEL__OFFER);
	struct expulsion e;
	pthread_t thread, other;
	uint64_t directory, first_after;
	unsigned taken, phase_us;

	memset(w, 0, sizeof(*w));
	set_up(&r, i);
	box = stream_mailbox(x.home[r.home].org_id);
	r.mailbox = exchange_broker_head(&x.broker, &box);
	w->is_silent = i % 2 == 0;
	downloader_prepare(w, &x, r.home, r.nda, r.taken, r.attached, a);
	phase_us = (unsigned)rand() % 20000;
	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&other, NULL, keep_posting, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, downloader_run, w), 0);
	while (!downloader_is_under_way(w))
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	nanosleep(&(struct timespec){.tv_nsec = phase_us * 1000L}, NULL);
	assert_true(exchange_broker_has_upload(&x.broker, x.home[r.home].org_id, w->blob));
	expel(w, r.home, &e);
	while (!atomic_load(&w->stop)) {
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		atomic_store(&w->stop, downloader_now_ms() - e.acked_ms > 4 * DOWNLOADER_QUIET_MS);
	}
	pthread_join(thread, NULL);
	atomic_store(&is_over, true);
	pthread_join(other, NULL);
	rawpeer_free(w->peer);
	exchange_must(verb_post(&x, writer, "Only for those who stay", 0, marker), "post");

	directory = directory_seq(a);
	check_replies(w);
	check_posts(w, directory, a, &taken, &first_after);
	/* The subscription was live, and ended with the directory. */
	assert_true(w->channel_seq > 0 && w->channel_seq < first_after);
	assert_int_equal(w->mailbox_count, r.mailbox);
	check_epoch(w, r.home, exchange_broker_head(&x.broker, &offers), a);
	check_home(&r);
	assert_false(exchange_broker_has_upload(&x.broker, x.home[r.home].org_id, w->blob));
	printf("round %u%s: after %u us; %u posts taken of %u, bulk %u times, %u pieces, %u parts sent; of the channel %llu before and %llu after\n", i,
	       w->is_silent ? ", silent" : "", phase_us, taken, w->posted, atomic_load(&w->got_bulk), atomic_load(&w->got_pieces), atomic_load(&w->got_parts), (unsigned long long)(first_after - 1),
	       (unsigned long long)(exchange_broker_head(&x.broker, &offers) + 1 - first_after));
	exchange_close(&x, r.home);
	arena_free(a);
}

static void test_nothing_reaches_an_expelled_member(void **state)
{
	const char *rounds = getenv("RENKEI_EXPEL_ROUNDS"), *given = getenv("RENKEI_SEED");
	unsigned n = rounds != NULL ? (unsigned)atoi(rounds) : 4, seed = given != NULL ? (unsigned)atoi(given) : (unsigned)time(NULL);
	struct downloader *w = calloc(1, sizeof(*w));

	(void)state;
	printf("seed %u\n", seed);
	srand(seed);
	assert_non_null(w);
	exchange_begin(&x, EXCHANGE_START_MS, "Asia/Tokyo");
	sender = exchange_join(&x, "Sender", RK__ORG_KIND__SME);
	writer = exchange_join(&x, "Writer", RK__ORG_KIND__SME);
	for (unsigned i = 1; i <= n && i + 4 < EXCHANGE_HOMES_MAX; i++)
		run_round(i, w);
	exchange_end(&x);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_reaches_an_expelled_member)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
