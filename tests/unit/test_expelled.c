/*
 * A member is expelled in the middle of a download, of posts and of a live subscription, at a random moment.  After the directory is
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

#include "tests/unit/exchange_verbs.h"
#include "tests/unit/member.h"

#define POSTS 400
#define DEPTH 8                 /* unanswered requests at a time */
#define ASKED_MAX 4096
#define BODY_BYTES (150 * 1024)
#define QUIET_MS 60             /* of silence, after which nothing is under way to the member any more */
#define LATE_ASKS 20            /* sent on purpose after the acknowledgement */

static struct exchange x;
static unsigned sender, writer;      /* homes of two members that stay */

struct asked {
	uint64_t tag;
	bool is_post, is_late, is_answered;
	unsigned post;
	int code;
	uint64_t seq;
};

/* What the member that will be expelled does, in a thread of its own, with nothing of our client between it and the broker. */
struct downloader {
	struct member m;
	struct rawpeer *peer;
	uint8_t env_id[32];
	struct member_post posts[POSTS];
	unsigned posted;
	struct asked asked[ASKED_MAX];
	unsigned asked_count, late_count, bulk_count, open_count;
	uint64_t channel_seq;            /* the last delivered of OFFER */
	unsigned mailbox_count;
	unsigned after_quiet;            /* messages that came after QUIET_MS of silence, and were no `revoked` */
	bool is_quiet;
	bool is_silent;                  /* of the kind that only listens in the end, so that nothing it says lets the broker notice it */
	int64_t heard_ms;
	atomic_uint got_bulk, got_acks;
	atomic_bool acked, stop;         /* set by the test's own thread */
};

static int64_t monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the member's side */

static void on_delivery(void *user, const Rk__Delivery *d, const struct bytes *frames, size_t n)
{
	struct downloader *w = user;

	(void)frames;
	(void)n;
	w->heard_ms = monotonic_ms();
	w->after_quiet += w->is_quiet;
	if (d->stream->type == RK__STREAM_TYPE__STREAM_CHANNEL && d->seq > w->channel_seq)
		w->channel_seq = d->seq;
	w->mailbox_count += d->stream->type == RK__STREAM_TYPE__STREAM_MAILBOX;
}

static void on_reply(void *user, const Rk__Reply *r, const struct bytes *frames, size_t n)
{
	struct downloader *w = user;

	w->heard_ms = monotonic_ms();
	w->after_quiet += w->is_quiet && r->code != RK_REVOKED;
	for (unsigned i = 0; i < w->asked_count; i++) {
		struct asked *q = &w->asked[i];

		if (q->tag != r->tag || q->is_answered)
			continue;
		q->is_answered = true;
		q->code = (int)r->code;
		q->seq = r->seq;
		w->open_count -= !q->is_late;
		if (r->code == RK_OK && q->is_post)
			atomic_fetch_add(&w->got_acks, 1);
		if (r->code == RK_OK && !q->is_post && n > 0 && frames[n - 1].len > BODY_BYTES / 2)
			atomic_fetch_add(&w->got_bulk, 1);
		return;
	}
}

/* is_late: the acknowledgement was known before this is sent. */
static struct asked *new_asked(struct downloader *w, bool is_late)
{
	struct asked *q = &w->asked[w->asked_count++];

	exchange_need(w->asked_count < ASKED_MAX, "room for what was asked");
	*q = (struct asked){.is_late = is_late};
	w->open_count += !q->is_late;
	w->late_count += q->is_late;
	return q;
}

static void ask_fetch(struct downloader *w, bool is_late)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Fetch fetch = RK__FETCH__INIT;
	struct asked *q = new_asked(w, is_late);

	fetch.env_id = (ProtobufCBinaryData){32, w->env_id};
	r.op = RK__OP__OP_FETCH;
	r.fetch = &fetch;
	q->tag = rawpeer_post(w->peer, &r, NULL, 0);
}

static void ask_post(struct downloader *w, bool is_late)
{
	struct member_post *post = &w->posts[w->posted];
	Rk__Request r = RK__REQUEST__INIT;
	struct asked *q = new_asked(w, is_late);

	q->is_post = true;
	q->post = w->posted++;
	r.op = RK__OP__OP_SUBMIT;
	r.head = post->signed_head;
	r.writer_epoch = (ProtobufCBinaryData){8, (uint8_t *)(uintptr_t)rawpeer_epoch(w->peer)};
	r.number = w->posted;
	q->tag = rawpeer_post(w->peer, &r, &post->body, 1);
}

static void subscribe_mailbox(struct downloader *w)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Subscribe sub = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_MAILBOX;
	id.org_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)client_org_id(w->m.client)};
	sub.stream = &id;
	r.op = RK__OP__OP_SUBSCRIBE;
	r.subscribe = &sub;
	exchange_must(rawpeer_call(w->peer, &r, NULL, 0, NULL), "subscribing to the mailbox");
}

/* May it ask for something more now? */
static bool may_ask(const struct downloader *w, bool is_late)
{
	if (is_late)
		return w->late_count < LATE_ASKS && (!w->is_silent || w->is_quiet);
	if (w->is_silent && atomic_load(&w->got_bulk) >= 3 && atomic_load(&w->got_acks) >= 3)
		return false;
	return w->open_count < DEPTH && w->asked_count < ASKED_MAX - LATE_ASKS - 1;
}

static void *work(void *user)
{
	struct downloader *w = user;

	rawpeer_on_delivery(w->peer, on_delivery, w);
	rawpeer_on_reply(w->peer, on_reply, w);
	exchange_must(rawpeer_hello(w->peer), "hello");
	exchange_must(rawpeer_subscribe(w->peer, RK__CHANNEL__OFFER, 0, NULL), "subscribing");
	subscribe_mailbox(w);
	exchange_must(rawpeer_credit(w->peer, 4000, 64 * 1024 * 1024), "credit");
	while (!atomic_load(&w->stop)) {
		bool is_late = atomic_load(&w->acked);

		while (may_ask(w, is_late)) {
			if (w->asked_count % 2 == 0 && w->posted < POSTS)
				ask_post(w, is_late);
			else
				ask_fetch(w, is_late);
		}
		rawpeer_listen(w->peer, 1);
		if (is_late && !w->is_quiet && monotonic_ms() - w->heard_ms > QUIET_MS)
			w->is_quiet = true;
	}
	return NULL;
}

/* The keys of its home, which our client has let go of, and posts sealed beforehand. */
static void prepare(struct downloader *w, unsigned home, struct arena *a)
{
	struct client *c = exchange_client(&x, home);
	Rk__Directory *directory;
	Rk__FeedEpoch *epoch;
	struct bytes pk;
	struct txn *t;

	w->m.client = c;
	w->m.arena = a;
	snprintf(w->m.endpoint, sizeof(w->m.endpoint), "%s", x.broker.endpoint);
	exchange_must(keys_unlock(c, KEY_DEVICE), "the device's key");
	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(meta_get(t, META_BROKER_PK, &pk), "broker key");
	memcpy(w->m.broker_pk, pk.data, 32);
	exchange_must(book_directory(c, t, a, &directory, NULL), "directory");
	exchange_must(book_epoch(c, t, 0, a, &epoch, NULL), "epoch");
	exchange_must(book_epoch_key(c, t, epoch->n, w->m.ek), "epoch key");
	w->m.directory_serial = directory->serial;
	w->m.epoch = epoch->n;
	env_abort(t);
	keys_curve_pk(c, w->m.curve_pk);
	for (unsigned i = 0; i < POSTS; i++) {
		arena_raise(a, 64 * 1024);
		member_seal(&w->m, exchange_now(), 900, a, &w->posts[i]);
	}
	w->peer = member_connect(&w->m);
}

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
		e->acked_ms = monotonic_ms();
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
	bool is_there[POSTS] = {false};

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
	assert_int_equal(w->late_count, LATE_ASKS);
	for (unsigned i = 0; i < w->asked_count; i++) {
		const struct asked *q = &w->asked[i];

		if (!q->is_answered)
			continue;
		if (q->is_late)
			assert_int_equal(q->code, RK_REVOKED);
		else
			/* busy: the connection had no room for the bulk at that moment, which says nothing of it. */
			assert_true(q->code == RK_OK || q->code == RK_REVOKED || (q->code == RK_BUSY && !q->is_post));
	}
	assert_int_equal(w->after_quiet, 0);
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
	uint8_t taken[32], waiting[32];  /* dossiers: picked up, and not */
	uint64_t queued;                 /* a post in the outbox of its home */
	uint64_t mailbox;                /* how long its mailbox is */
};

static void set_up(struct round *r, unsigned i)
{
	const struct agreement_new terms = {.last_day = 20271231, .window_days = -1, .survival_months = -1};
	uint8_t nda[32];
	char name[32];

	snprintf(name, sizeof(name), "Member %u", i);
	r->home = exchange_join(&x, name, RK__ORG_KIND__SME);
	exchange_must(verb_sync(&x, sender, NULL), "sync");
	exchange_must(verb_agree(&x, sender, r->home, &terms, nda), "agree");
	exchange_must(verb_send(&x, sender, nda, "large", BODY_BYTES, r->taken), "send");
	exchange_must(verb_send(&x, sender, nda, "waits", 1000, r->waiting), "send");
	exchange_must(verb_get(&x, r->home, r->taken, "large", BODY_BYTES), "get");
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
	memcpy(w->env_id, r.taken, 32);
	w->is_silent = i % 2 == 0;
	prepare(w, r.home, a);
	phase_us = (unsigned)rand() % 20000;
	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&other, NULL, keep_posting, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, work, w), 0);
	while (atomic_load(&w->got_bulk) < 3 || atomic_load(&w->got_acks) < 3)
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	nanosleep(&(struct timespec){.tv_nsec = phase_us * 1000L}, NULL);
	expel(w, r.home, &e);
	while (!atomic_load(&w->stop)) {
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		atomic_store(&w->stop, monotonic_ms() - e.acked_ms > 4 * QUIET_MS);
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
	printf("round %u%s: after %u us; %u posts taken of %u, bulk %u times; of the channel %llu before and %llu after\n", i,
	       w->is_silent ? ", silent" : "", phase_us, taken, w->posted, atomic_load(&w->got_bulk), (unsigned long long)(first_after - 1),
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
