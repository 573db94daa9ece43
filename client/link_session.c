/*
 * link_session: connecting, HELLO and what follows from its answer, pings, and the refusals that end a session.
 */
#include <sodium.h>

#include "client/link_internal.h"
#include "proto/strict.h"

#define PING_AFTER_MS 10000
#define PINGS_MAX 3
#define HELLO_WAIT_MS 15000
#define RETRY_MAX_MS 20000
#define CLOCK_WARN_MS ((int64_t)2 * 60 * 1000)

uint64_t link_tag(struct link *l)
{
	return LINK_TAG_OWN | ++l->next_tag;
}

void link_drop(struct link *l)
{
	/* Uniform in a window that doubles: after a restart of the broker its members do not come back all at once. */
	int64_t window = l->attempts < 8 ? (int64_t)100 << l->attempts : RETRY_MAX_MS;

	if (window > RETRY_MAX_MS)
		window = RETRY_MAX_MS;
	wire_close(l->wire);
	l->wire = NULL;
	if (l->state == LINK_UP)
		l->down_since = monotonic_ms();
	l->state = LINK_DOWN;
	l->attempts++;
	l->retry_at = monotonic_ms() + 20 + randombytes_uniform((uint32_t)window);
	streams_forget(l);
	send_forget(l);
	link_log_forget(l);
	blob_forget(l);
}

void link_again(struct link *l, int64_t delay_ms)
{
	if (l->state != LINK_UP)
		return;
	l->state = LINK_HELLO;
	l->hello_tag = 0;
	l->hello_answered = false;
	l->hello_at = monotonic_ms() + delay_ms;
	l->down_since = monotonic_ms();
	streams_forget(l);
	send_forget(l);
	link_log_forget(l);
	blob_forget(l);
}

static int mark_stale(struct link *l)
{
	static const uint8_t yes = 1;
	struct txn *txn;
	int r;

	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	if ((r = meta_put(txn, META_STALE, bytes_make(&yes, 1))) != RK_OK) {
		env_abort(txn);
		return r;
	}
	r = env_commit(txn);
	return r == RK_OK ? RK_EOTHERHOME : r;
}

int link_session_refusal(struct link *l, int code)
{
	switch (code) {
	case RK_STALE_WRITER:
		return mark_stale(l);
	case RK_SUPERSEDED:
	case RK_REVOKED:
	case RK_NOT_ADMITTED:
		return code;
	default:
		return RK_OK;
	}
}

/* ---- connecting */

int link_place(struct client *c, struct link_place *p)
{
	struct txn *txn;
	struct bytes endpoint, pk;
	int r;

	if ((r = env_begin(c->env, false, &txn)) != RK_OK)
		return r;
	r = RK_ENOTJOINED;
	if (meta_get(txn, META_ENDPOINT, &endpoint) == RK_OK && endpoint.len <= ENDPOINT_MAX_CHARS &&
	    meta_get(txn, META_BROKER_PK, &pk) == RK_OK && pk.len == sizeof(p->broker_pk)) {
		memcpy(p->endpoint, endpoint.data, endpoint.len);
		p->endpoint[endpoint.len] = '\0';
		memcpy(p->broker_pk, pk.data, pk.len);
		r = RK_OK;
	}
	env_abort(txn);
	return r;
}

static int connect_now(struct link *l)
{
	uint8_t curve_pk[32];
	struct link_place place;
	int r;

	if ((r = link_place(l->c, &place)) != RK_OK)
		return r;
	keys_curve_pk(l->c, curve_pk);
	r = wire_open(l->c, place.endpoint, place.broker_pk, curve_pk, keys_curve_sk(l->c), &l->wire);
	if (r != RK_OK)
		return r;
	l->state = LINK_HELLO;
	l->hello_at = monotonic_ms();
	l->hello_tag = 0;
	l->hello_answered = false;
	return RK_OK;
}

/* A broker that sees its own signature on more than it has knows that it was restored from an older copy. */
static int seen_checkpoint(struct link *l, struct arena *a, struct bytes *note)
{
	struct txn *txn;
	int r = env_begin(l->c->env, false, &txn);

	if (r != RK_OK)
		return r;
	r = log_seen(l->c, txn, a, note);
	env_abort(txn);
	return r;
}

static int say_hello(struct link *l)
{
	static char software[] = "renkei 1.0";
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Hello hello = RK__HELLO__INIT;
	struct arena *a = arena_new(0);
	struct bytes note;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = seen_checkpoint(l, a, &note)) != RK_OK)
		goto out;
	hello.seen_checkpoint = pb_of(note);
	hello.protocol_min = hello.protocol_max = 1;
	hello.bundles = true;
	hello.software = software;
	q.op = RK__OP__OP_HELLO;
	q.writer_epoch = pb_of(BYTES_OF(l->writer));
	q.tag = link_tag(l);
	q.hello = &hello;
	if (wire_request(l->wire, &q, (struct bytes){0}) == RK_OK) {
		l->hello_tag = q.tag;
		l->hello_at = monotonic_ms();
	}
out:
	arena_free(a);
	return r;
}

/* The broker takes and releases nothing: said to people once, until it is over. */
static int note_read_only(struct link *l, bool read_only)
{
	struct txn *txn;
	int r;

	l->read_only = read_only;
	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	if (read_only == (meta_u64(txn, META_READ_ONLY) != 0)) {
		env_abort(txn);
		return RK_OK;
	}
	r = meta_put_u64(txn, META_READ_ONLY, read_only);
	if (r == RK_OK && read_only) {
		client_count(txn, "read-only");
		r = inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, (struct bytes){0}, NULL, client_now(l->c), "read-only");
	}
	if (r != RK_OK) {
		env_abort(txn);
		return r;
	}
	return env_commit(txn);
}

int session_on_hello(struct link *l, const Rk__Reply *reply)
{
	const Rk__HelloReply *h = reply->hello;
	int r;

	l->hello_tag = 0;
	if (reply->code >= 300 && reply->code < 400) {
		l->hello_at = monotonic_ms() + 500 + randombytes_uniform(1000);
		return RK_OK;
	}
	if (reply->code != RK_OK)
		return (r = link_session_refusal(l, (int)reply->code)) != RK_OK ? r : (int)reply->code;
	if (h == NULL || h->protocol_min > 1 || h->protocol_max < 1)
		return RK_VERSION;
	if (!bytes_equal(bytes_of(h->exchange_id), bytes_make(l->c->exchange_id, ID32_BYTES)))
		return RK_WRONG_EXCHANGE;
	l->hello_answered = true;
	l->broker_last = h->last_number;
	memcpy(l->broker_generation, h->generation.data, sizeof(l->broker_generation));
	l->rate = h->rate_per_s > 0 ? h->rate_per_s : 100;
	l->burst = h->burst > 1 ? h->burst : 2;
	if ((r = note_read_only(l, h->read_only)) != RK_OK)
		return r;
	return link_log_told(l, h);
}

/* Every stream from its start, durably.  Where the restored store has grown past our cursor by now, nothing else would show that the
 * entries before it are others than those that we read: a charter, a directory. */
static int forget_cursors(struct txn *txn)
{
	struct env_cursor *cursor;
	struct bytes key, value;
	int r = env_cursor_open(txn, C_CURSOR, &cursor);

	if (r != RK_OK)
		return r;
	while ((r = env_cursor_seek(cursor, bytes_make(NULL, 0), &key, &value)) == RK_OK)
		if ((r = env_cursor_del(cursor)) != RK_OK)
			break;
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* Another generation: the broker's store was restored from a copy, and what came after that copy is not there any more. */
static int check_generation(struct link *l)
{
	static const uint8_t zero[16];
	bool is_known = memcmp(l->generation, zero, sizeof(zero)) != 0;
	struct txn *txn;
	int r;

	if (memcmp(l->generation, l->broker_generation, sizeof(l->generation)) == 0)
		return RK_OK;
	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	r = meta_put(txn, META_GENERATION, BYTES_OF(l->broker_generation));
	if (r == RK_OK && is_known) {
		client_count(txn, "generation");
		r = inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, BYTES_OF(l->broker_generation), NULL, client_now(l->c),
			      "generation");
	}
	if (r == RK_OK && is_known)
		r = forget_cursors(txn);
	if (r != RK_OK) {
		env_abort(txn);
		return r;
	}
	if ((r = env_commit(txn)) != RK_OK)
		return r;
	memcpy(l->generation, l->broker_generation, sizeof(l->generation));
	for (size_t i = 0; is_known && i < l->stream_count; i++)
		l->streams[i].cursor = l->streams[i].received = 0;
	return RK_OK;
}

int session_come_up(struct link *l)
{
	int r;

	l->hello_answered = false;
	l->state = LINK_UP;
	if ((r = check_generation(l)) != RK_OK || (r = send_reconcile(l)) != RK_OK || (r = streams_refresh(l)) != RK_OK)
		return r;
	l->was_up = true;
	l->attempts = 0;
	l->pings = 0;
	l->pinged_at = monotonic_ms();
	return RK_OK;
}

int session_tick(struct link *l)
{
	int64_t now = monotonic_ms();
	Rk__Request q = RK__REQUEST__INIT;
	int r = RK_OK;

	switch (l->state) {
	case LINK_DOWN:
		/* HELLO at once: it waits in the socket for the handshake, not for our next round. */
		if (now < l->retry_at || (r = connect_now(l)) != RK_OK)
			return r;
		return say_hello(l);
	case LINK_HELLO:
		if (l->hello_tag == 0 && !l->hello_answered && now >= l->hello_at)
			return say_hello(l);
		if (l->hello_tag != 0 && now - l->hello_at > HELLO_WAIT_MS)
			link_drop(l);
		return RK_OK;
	default:
		if (now - l->heard_at < PING_AFTER_MS || now - l->pinged_at < PING_AFTER_MS)
			return RK_OK;
		if (l->pings++ >= PINGS_MAX) {
			link_drop(l);
			return RK_OK;
		}
		q.op = RK__OP__OP_PING;
		q.tag = link_tag(l);
		l->pinged_at = now;
		(void)wire_request(l->wire, &q, (struct bytes){0});
		return RK_OK;
	}
}

/* ---- clocks */

int session_check_clock(struct link *l, int64_t time_ms)
{
	int64_t off = time_ms - client_now(l->c);
	struct txn *txn;

	if (time_ms == 0)
		return RK_OK;
	off = off < 0 ? -off : off;
	if (off > LINK_CLOCK_REFUSE_MS)
		return RK_CLOCK;
	if (off > CLOCK_WARN_MS && !l->clock_warned) {
		l->clock_warned = true;
		client_log(l->c, "link: clock is %lld ms off the broker's", (long long)off);
		/* Only a hint for doctor: not written, nothing is lost. */
		if (env_begin(l->c->env, true, &txn) == RK_OK) {
			client_count(txn, "clock");
			(void)!env_commit(txn);
		}
	}
	return RK_OK;
}
