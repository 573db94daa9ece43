/*
 * link_enrol: the invite connection: asking until the secretariat has said yes, and then taking in Charter and Directory.  The same
 * plain question and answer serves doctor's probe.
 */
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "client/link_internal.h"
#include "proto/invite.h"
#include "proto/strict.h"

#define ASK_MS 15000          /* in all, for one question */
#define ASK_AGAIN_MS 4000     /* an unanswered question was dropped on the way */
#define PROBE_AGAIN_MS 2000
#define ASK_PAUSE_MS 300
#define OBJECT_MAX (4 * 1024 * 1024)

struct asking {
	struct client *c;
	struct link_place place;
	uint8_t curve_pk[32], curve_sk[32];
	volatile bool *stop;
	struct wire *wire;
	struct incoming in;
	uint64_t tag;
	int64_t again_ms;
};

static void asking_end(struct asking *a)
{
	wire_close(a->wire);
	incoming_free(&a->in);
	sodium_memzero(a->curve_sk, sizeof(a->curve_sk));
}

/* The invite's own keys, from the seed that join left. */
static int invite_identity(struct client *c, struct asking *a)
{
	struct arena *arena = arena_new(0);
	struct bytes sealed, seed;
	uint8_t mac[32], id[16];
	struct txn *txn;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(c->env, false, &txn)) != RK_OK)
		goto out;
	r = meta_get(txn, META_INVITE_SEED, &sealed);
	if (r == RK_OK)
		r = vault_open(keys_home_key(c), VAULT_INVITE_SEED, (struct bytes){0}, sealed, arena, &seed);
	env_abort(txn);
	if (r == RK_OK && seed.len != 32)
		r = RK_EINTEGRITY;
	if (r == RK_OK)
		invite_keys(seed.data, a->curve_pk, a->curve_sk, mac, id);
	sodium_memzero(mac, sizeof(mac));
out:
	arena_free_wiped(arena);
	return r == RK_ENOTFOUND ? RK_ENOTJOINED : r;
}

static int asking_begin(struct asking *a, struct client *c, volatile bool *stop, bool by_invite)
{
	int r;

	memset(a, 0, sizeof(*a));
	a->c = c;
	a->stop = stop;
	a->again_ms = ASK_AGAIN_MS;
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK || (r = link_place(c, &a->place)) != RK_OK)
		return r;
	if (by_invite) {
		r = invite_identity(c, a);
	} else {
		keys_curve_pk(c, a->curve_pk);
		memcpy(a->curve_sk, keys_curve_sk(c), 32);
	}
	return r == RK_OK ? incoming_init(&a->in) : r;
}

/* Sends again on silence and on a new connection after an end: everything asked here may be asked twice. */
static int ask(struct asking *a, Rk__Request *q, struct bytes object, int timeout_ms, const Rk__Reply **reply)
{
	int64_t end = monotonic_ms() + timeout_ms, sent_at = 0;
	struct timespec pause = {.tv_nsec = ASK_PAUSE_MS * 1000000L};
	int r;

	*reply = NULL;
	q->tag = LINK_TAG_OWN | ++a->tag;
	while (monotonic_ms() < end) {
		if (a->stop != NULL && *a->stop)
			return RK_EINTERRUPTED;
		if (a->wire == NULL) {
			r = wire_open(a->c, a->place.endpoint, a->place.broker_pk, a->curve_pk, a->curve_sk, &a->wire);
			if (r != RK_OK)
				return r;
			sent_at = 0;
		}
		if (sent_at == 0 || monotonic_ms() - sent_at > a->again_ms) {
			(void)wire_request(a->wire, q, object);
			sent_at = monotonic_ms();
		}
		r = wire_receive(a->wire, 100, &a->in);
		if (r == RK_NOT_ADMITTED || r == RK_ENOMEM)
			return r;
		if (r == RK_EUNREACHABLE) {
			wire_close(a->wire);
			a->wire = NULL;
			nanosleep(&pause, NULL);
		}
		if (r != RK_OK || a->in.down->reply == NULL || a->in.down->reply->tag != q->tag)
			continue;
		/* The broker is busy or draining: the same question a little later. */
		if (a->in.down->reply->code >= 300 && a->in.down->reply->code < 400) {
			nanosleep(&pause, NULL);
			sent_at = 0;
			continue;
		}
		*reply = a->in.down->reply;
		return RK_OK;
	}
	return RK_EUNREACHABLE;
}

/* The newest object of a type, part by part; *out is malloc'ed. */
static int get_object(struct asking *a, Rk__ObjectType type, struct bytes *out)
{
	uint8_t *whole = NULL;
	size_t len = 0, total = 0;
	const Rk__Reply *reply;
	uint64_t serial = 0;
	int r;

	do {
		Rk__Request q = RK__REQUEST__INIT;
		Rk__GetObject get = RK__GET_OBJECT__INIT;
		struct bytes part;

		get.type = type;
		get.serial = serial;
		get.offset = (uint32_t)len;
		q.op = RK__OP__OP_GET_OBJECT;
		q.get_object = &get;
		if ((r = ask(a, &q, (struct bytes){0}, ASK_MS, &reply)) != RK_OK)
			break;
		r = (int)reply->code;
		if (r == RK_OK && (reply->object == NULL || a->in.frame_count != 1))
			r = RK_MALFORMED;
		if (r != RK_OK)
			break;
		part = a->in.frames[0];
		if (whole == NULL) {
			total = reply->object->total;
			serial = reply->object->serial;
			r = total == 0 || total > OBJECT_MAX ? RK_MALFORMED : (whole = malloc(total)) == NULL ? RK_ENOMEM : RK_OK;
		}
		/* A newer one may come between two parts: then its length or its hash will not fit, and all is asked again later. */
		if (r == RK_OK && (part.len == 0 || part.len > total - len))
			r = RK_MALFORMED;
		if (r != RK_OK)
			break;
		memcpy(whole + len, part.data, part.len);
		len += part.len;
	} while (len < total);
	if (r != RK_OK) {
		free(whole);
		return r;
	}
	*out = bytes_make(whole, len);
	return RK_OK;
}

/* Does the directory name us under our own key, and the charter this broker? */
static int check_membership(struct asking *a, struct txn *txn)
{
	struct arena *arena = arena_new(0);
	Rk__Charter *charter;
	Rk__Org *org;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	r = book_charter(a->c, txn, arena, &charter);
	if (r == RK_OK && !bytes_equal(bytes_of(charter->curve_pk), BYTES_OF(a->place.broker_pk)))
		r = RK_EINTEGRITY;
	if (r == RK_OK)
		r = book_org(a->c, txn, a->c->org_id, arena, &org);
	if (r == RK_OK && org->status != RK__ORG_STATUS__ACTIVE)
		r = RK_REVOKED;
	arena_free(arena);
	return r;
}

static int take_membership(struct asking *a, struct bytes charter, struct bytes directory, int64_t time_ms)
{
	static const uint8_t joined = CLIENT_JOINED;
	struct txn *txn;
	int r;

	if ((r = env_begin(a->c->env, true, &txn)) != RK_OK)
		return r;
	home_load_ids(a->c, txn);
	if ((r = book_take(a->c, txn, OBJECT_KIND_CHARTER, charter, time_ms)) == RK_OK &&
	    (r = book_take(a->c, txn, OBJECT_KIND_DIRECTORY, directory, time_ms)) == RK_OK &&
	    (r = check_membership(a, txn)) == RK_OK && (r = meta_put(txn, META_STATE, bytes_make(&joined, 1))) == RK_OK) {
		/* The seed has done its duty; with it goes the request. */
		(void)env_del(txn, C_META, bytes_str(META_INVITE_SEED));
		(void)env_del(txn, C_META, bytes_str(META_ENROL));
		return env_commit(txn);
	}
	env_abort(txn);
	return r;
}

static int join(struct asking *a, int64_t time_ms)
{
	struct bytes charter = {0}, directory = {0};
	int r;

	if ((r = get_object(a, RK__OBJECT_TYPE__OBJECT_CHARTER, &charter)) == RK_OK &&
	    (r = get_object(a, RK__OBJECT_TYPE__OBJECT_DIRECTORY, &directory)) == RK_OK)
		r = take_membership(a, charter, directory, time_ms);
	free((void *)(uintptr_t)charter.data);
	free((void *)(uintptr_t)directory.data);
	return r;
}

static int read_enrol(struct client *c, struct arena *arena, struct bytes *request)
{
	struct bytes v;
	struct txn *txn;
	int r;

	if ((r = env_begin(c->env, false, &txn)) != RK_OK)
		return r;
	if ((r = meta_get(txn, META_ENROL, &v)) == RK_OK) {
		arena_raise(arena, v.len + 64);
		*request = bytes_make(arena_copy(arena, v.data, v.len), v.len);
		r = request->data == NULL ? RK_ENOMEM : RK_OK;
	}
	env_abort(txn);
	return r == RK_ENOTFOUND ? RK_ENOTJOINED : r;
}

/* Asked once and told to wait: from then on a broker that does not know the invite has seen it end. */
static bool was_pending(struct client *c)
{
	struct bytes v;
	struct txn *txn;
	bool yes;

	if (env_begin(c->env, false, &txn) != RK_OK)
		return false;
	yes = meta_get(txn, META_ENROL_STATE, &v) == RK_OK;
	env_abort(txn);
	return yes;
}

static int note_state(struct client *c, Rk__EnrolState told)
{
	uint8_t v = (uint8_t)told;
	struct txn *txn;
	int r;

	if ((r = env_begin(c->env, true, &txn)) != RK_OK)
		return r;
	if ((r = meta_put(txn, META_ENROL_STATE, bytes_make(&v, 1))) != RK_OK) {
		env_abort(txn);
		return r;
	}
	return env_commit(txn);
}

/* A device that asks to be added has no invite: the list of its organisation lets its own key in. */
static bool is_device_request(struct client *c)
{
	struct bytes v;
	struct txn *txn;
	bool yes;

	if (env_begin(c->env, false, &txn) != RK_OK)
		return false;
	yes = meta_get(txn, META_DEVICE_REQUEST, &v) == RK_OK;
	env_abort(txn);
	return yes;
}

/* The invite has ended.  If the request was approved before that, our device's own key opens the door. */
static int ask_as_member(struct client *c, volatile bool *stop, int *state)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Hello hello = RK__HELLO__INIT;
	uint8_t writer[8] = {0};
	const Rk__Reply *reply;
	struct asking a;
	struct bytes v;
	struct txn *txn;
	int r;

	if ((r = env_begin(c->env, false, &txn)) != RK_OK)
		return r;
	if (meta_get(txn, META_WRITER, &v) == RK_OK && v.len == sizeof(writer))
		memcpy(writer, v.data, v.len);
	env_abort(txn);
	if (bytes_is_zero(writer, sizeof(writer)))
		return RK_INVITE_EXPIRED;
	hello.protocol_min = hello.protocol_max = 1;
	q.op = RK__OP__OP_HELLO;
	q.writer_epoch = pb_of(BYTES_OF(writer));
	q.hello = &hello;
	if ((r = asking_begin(&a, c, stop, false)) == RK_OK)
		r = ask(&a, &q, (struct bytes){0}, ASK_MS, &reply);
	if (r == RK_OK && (r = (int)reply->code) == RK_OK) {
		*state = RK__ENROL_STATE__ENROL_APPROVED;
		r = join(&a, reply->time_ms);
	}
	asking_end(&a);
	if (r != RK_NOT_ADMITTED)
		return r;
	if (is_device_request(c)) {
		*state = RK__ENROL_STATE__ENROL_PENDING;
		return RK_OK;
	}
	if (!was_pending(c))
		return RK_INVITE_EXPIRED;
	*state = RK__ENROL_STATE__ENROL_REJECTED;
	return note_state(c, RK__ENROL_STATE__ENROL_REJECTED);
}

int link_enrol(struct client *c, volatile bool *stop, int *state)
{
	Rk__Request q = RK__REQUEST__INIT;
	struct arena *arena;
	const Rk__Reply *reply;
	struct asking a;
	struct bytes request;
	int r;

	*state = RK__ENROL_STATE__ENROL_NONE;
	if (client_state(c) == CLIENT_JOINED) {
		*state = RK__ENROL_STATE__ENROL_APPROVED;
		return RK_OK;
	}
	if (is_device_request(c))
		return ask_as_member(c, stop, state);
	if ((arena = arena_new(0)) == NULL)
		return RK_ENOMEM;
	if ((r = asking_begin(&a, c, stop, true)) != RK_OK || (r = read_enrol(c, arena, &request)) != RK_OK)
		goto out;
	q.op = RK__OP__OP_ENROL;
	r = ask(&a, &q, request, ASK_MS, &reply);
	if (r == RK_NOT_ADMITTED) {
		r = ask_as_member(c, stop, state);
		goto out;
	}
	if (r == RK_OK)
		r = (int)reply->code;
	if (r != RK_OK)
		goto out;
	*state = (int)reply->enrol;
	r = note_state(c, reply->enrol);
	if (r == RK_OK && *state == RK__ENROL_STATE__ENROL_APPROVED)
		r = join(&a, reply->time_ms);
out:
	asking_end(&a);
	arena_free(arena);
	return r;
}

int link_probe(struct client *c, int timeout_ms, int64_t *rtt_ms, int64_t *broker_time_ms)
{
	const Rk__Reply *reply;
	struct asking a;
	int64_t sent_at = 0;
	int r = asking_begin(&a, c, NULL, client_state(c) == CLIENT_PENDING && !is_device_request(c));

	a.again_ms = PROBE_AGAIN_MS;
	/* Twice: the first one pays for the handshake. */
	for (unsigned i = 0; i < 2 && r == RK_OK; i++) {
		Rk__Request q = RK__REQUEST__INIT;

		q.op = RK__OP__OP_PING;
		sent_at = monotonic_ms();
		if ((r = ask(&a, &q, (struct bytes){0}, timeout_ms, &reply)) == RK_OK) {
			*rtt_ms = monotonic_ms() - sent_at;
			*broker_time_ms = reply->time_ms;
			/* A device that has not said HELLO is asked to: an answer all the same. */
			r = reply->code == RK_GENERATION ? RK_OK : (int)reply->code;
		}
	}
	asking_end(&a);
	return r;
}
