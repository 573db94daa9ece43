/* post: composing posts into the outbox, and reading the posts of this home. */
#include "client/post.h"

#include <stdlib.h>
#include <strings.h>

#include "proto/ids.h"
#include "proto/strict.h"

#define EACH_ARENA_BYTES (1024 * 1024)

/* ---- sending */

/* Packs the message and hands the template to the outbox. */
static int queue_message(struct client *c, struct txn *txn, const Rk__EnvelopeHeader *h, const Rk__Message *m,
			 int64_t lifetime_ms, const char *what, struct bytes ref, uint64_t *item)
{
	struct arena *a = arena_new(65536);
	struct bytes packed;
	int rc = a ? STRICT_PACK(m, a, &packed) : RK_ENOMEM;
	if (rc == RK_OK && packed.len > ENVELOPE_MESSAGE_MAX_BYTES)
		rc = RK_TOO_LARGE;
	if (rc == RK_OK) {
		struct outbox_request request = {.op = RK__OP__OP_SUBMIT, .what = what, .header = h,
						 .lifetime_ms = lifetime_ms, .message = packed, .ref = ref};
		rc = outbox_add(c, txn, &request, item);
	}
	arena_free_wiped(a);
	return rc;
}

static int check_lifetime(int64_t *lifetime_ms)
{
	if (*lifetime_ms == 0)
		*lifetime_ms = POST_LIFETIME_MS;
	return *lifetime_ms > 0 && *lifetime_ms <= POST_LIFETIME_MAX_MS ? RK_OK : RK_EUSAGE;
}

/* Was this external_id posted or queued before?  The value is a post_id, or the number of an outbox item. */
static int look_up_external(struct txn *txn, struct bytes key, enum post_queued *how, uint64_t *item, uint8_t post_id[32])
{
	struct bytes value;
	struct outcome outcome;
	int rc = env_get(txn, C_EXTERNAL, key, &value);
	if (rc == RK_ENOTFOUND)
		return RK_OK;
	if (rc != RK_OK)
		return rc;
	if (value.len == ID32_BYTES) {
		memcpy(post_id, value.data, ID32_BYTES);
		*how = POST_ALREADY;
		return RK_OK;
	}
	*item = value.len == 8 ? get_u64be(value.data) : 0;
	rc = outbox_outcome(txn, *item, &outcome);
	if (rc == RK_BUSY)
		*how = POST_WAITING;
	/* Done: its env_id is the post's id.  Refused, or gone: it may be posted again. */
	if (rc == RK_OK && outcome.code == RK_OK) {
		memcpy(post_id, outcome.env_id, ID32_BYTES);
		*how = POST_ALREADY;
	}
	return RK_OK;
}

int post_queue(struct client *c, struct txn *txn, const Rk__Post *post, int64_t lifetime_ms, enum post_queued *how,
	       uint64_t *item, uint8_t post_id[32])
{
	uint8_t key[32], number[8];
	*how = POST_QUEUED;
	*item = 0;
	int rc = check_lifetime(&lifetime_ms);
	bool named = *post->external_id != '\0';
	if (rc == RK_OK && named) {
		ids_sha256(key, bytes_str(post->external_id));
		rc = look_up_external(txn, BYTES_OF(key), how, item, post_id);
	}
	if (rc != RK_OK || *how != POST_QUEUED)
		return rc;
	Rk__EnvelopeHeader h = RK__ENVELOPE_HEADER__INIT;
	h.kind = RK__KIND__FEED;
	h.channel = post->type;
	h.post_op = RK__POST_OP__NEW;
	h.post_version = 1;
	Rk__Message m = RK__MESSAGE__INIT;
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_POST;
	m.post = (Rk__Post *)(uintptr_t)post;
	struct bytes ref = named ? BYTES_OF(key) : bytes_make(NULL, 0);
	rc = queue_message(c, txn, &h, &m, lifetime_ms, "post publish", ref, item);
	if (rc != RK_OK || !named)
		return rc;
	put_u64be(number, *item);
	return env_put(txn, C_EXTERNAL, BYTES_OF(key), BYTES_OF(number), ENV_PUT);
}

/* One of our own posts that is still live; the header that changes it. */
static int own_post(struct client *c, struct txn *txn, const uint8_t post_id[32], Rk__PostOp op, struct arena *a,
		    struct post_view *v, Rk__EnvelopeHeader *h)
{
	int rc = post_load(c, txn, post_id, a, v);
	if (rc != RK_OK)
		return rc;
	if (!v->mine)
		return RK_NOT_OWNER;
	/* An expired post may live again; a withdrawn one is gone. */
	if (v->status == RKL__POST_STATUS__WITHDRAWN)
		return RK_CONFLICT;
	rk__envelope_header__init(h);
	h->kind = RK__KIND__FEED;
	h->channel = (Rk__Channel)v->record->channel;
	h->post_op = op;
	h->post_id = pb_of(bytes_of(v->record->post_id));
	h->post_seq = v->record->first_seq;
	h->post_version = v->record->version + 1;
	return RK_OK;
}

int post_revise(struct client *c, struct txn *txn, const uint8_t post_id[32], const Rk__Post *post, int64_t lifetime_ms,
		uint64_t *item)
{
	struct arena *a = arena_new(EACH_ARENA_BYTES);
	struct post_view v;
	Rk__EnvelopeHeader h;
	int rc = a ? check_lifetime(&lifetime_ms) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = own_post(c, txn, post_id, RK__POST_OP__REVISE, a, &v, &h);
	/* The channel is part of where it stands: another type is another post. */
	if (rc == RK_OK && post->type != h.channel)
		rc = RK_CONFLICT;
	if (rc == RK_OK) {
		Rk__Message m = RK__MESSAGE__INIT;
		m.msg_version = 1;
		m.type = RK__MESSAGE_TYPE__MESSAGE_POST;
		m.post = (Rk__Post *)(uintptr_t)post;
		rc = queue_message(c, txn, &h, &m, lifetime_ms, "post revise", bytes_make(post_id, ID32_BYTES), item);
	}
	arena_free_wiped(a);
	return rc;
}

int post_renew(struct client *c, struct txn *txn, const uint8_t post_id[32], int64_t lifetime_ms, uint64_t *item)
{
	struct arena *a = arena_new(EACH_ARENA_BYTES);
	struct post_view v;
	Rk__EnvelopeHeader h;
	struct bytes message;
	int rc = a ? check_lifetime(&lifetime_ms) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = own_post(c, txn, post_id, RK__POST_OP__RENEW, a, &v, &h);
	/* The bytes go again as they are: also extensions that this program does not know. */
	if (rc == RK_OK && content_get(c, txn, v.record->env_id.data, false, a, &message) != RK_OK)
		rc = RK_ENEWER;
	if (rc == RK_OK) {
		struct outbox_request request = {.op = RK__OP__OP_SUBMIT, .what = "post renew", .header = &h,
						 .lifetime_ms = lifetime_ms, .message = message,
						 .ref = bytes_make(post_id, ID32_BYTES)};
		rc = outbox_add(c, txn, &request, item);
	}
	arena_free_wiped(a);
	return rc;
}

int post_withdraw(struct client *c, struct txn *txn, const uint8_t post_id[32], uint64_t *item)
{
	struct arena *a = arena_new(EACH_ARENA_BYTES);
	struct post_view v;
	Rk__EnvelopeHeader h;
	int rc = a ? own_post(c, txn, post_id, RK__POST_OP__WITHDRAW, a, &v, &h) : RK_ENOMEM;
	if (rc == RK_OK) {
		Rk__Message m = RK__MESSAGE__INIT;
		m.msg_version = 1;
		m.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
		/* An envelope has a body, and a text is not empty; no reader shows it. */
		static char none[] = "-";
		m.text = none;
		rc = queue_message(c, txn, &h, &m, POST_LIFETIME_MS, "post withdraw", bytes_make(post_id, ID32_BYTES), item);
	}
	arena_free_wiped(a);
	return rc;
}

/* ---- reading */

static void load_content(struct client *c, struct txn *txn, struct arena *a, struct post_view *v)
{
	struct bytes packed;
	Rk__Message *m;
	v->post = NULL;
	if (v->record->env_id.len != ID32_BYTES || v->status == RKL__POST_STATUS__WITHDRAWN)
		return;
	/* What cannot be read is shown as sealed; it stays where it is. */
	if (content_get(c, txn, v->record->env_id.data, false, a, &packed) == RK_OK &&
	    message_read(packed, a, &m) == MESSAGE_OK && m->type == RK__MESSAGE_TYPE__MESSAGE_POST)
		v->post = m->post;
}

static void fill_view(struct client *c, struct txn *txn, struct arena *a, Rkl__PostRecord *record, struct post_view *v)
{
	v->record = record;
	v->status = record->status;
	if (v->status == RKL__POST_STATUS__LIVE && record->expires_at && record->expires_at <= client_now(c))
		v->status = RKL__POST_STATUS__EXPIRED;
	v->mine = bytes_equal(bytes_of(record->sender_org), bytes_make(client_org_id(c), ID16_BYTES));
	load_content(c, txn, a, v);
}

int post_load(struct client *c, struct txn *txn, const uint8_t post_id[32], struct arena *a, struct post_view *v)
{
	ProtobufCMessage *m;
	int rc = record_get(txn, C_POST, bytes_make(post_id, ID32_BYTES), &rkl__post_record__descriptor, a, &m);
	if (rc == RK_OK)
		fill_view(c, txn, a, (Rkl__PostRecord *)m, v);
	return rc;
}

bool post_has_topic(const Rk__Post *post, const char *prefix)
{
	size_t len = strlen(prefix);
	for (size_t i = 0; i < post->n_codes; i++)
		if (post->codes[i]->scheme == RK__CODE_SCHEME__TOPIC && strncasecmp(post->codes[i]->value, prefix, len) == 0)
			return true;
	return false;
}

bool post_matches(const struct post_view *v, const struct post_filter *f)
{
	if (f->channel != RK__CHANNEL__CHANNEL_NONE && v->record->channel != (uint32_t)f->channel)
		return false;
	if (f->mine && !v->mine)
		return false;
	if (!f->all && (v->status == RKL__POST_STATUS__WITHDRAWN || v->status == RKL__POST_STATUS__EXPIRED))
		return false;
	return !f->topic || (v->post && post_has_topic(v->post, f->topic));
}

/* Keys of C_POST with their times, to be sorted: an exchange has thousands of posts, not millions. */
struct dated { int64_t time_ms; uint8_t post_id[32]; };

static int newest_first(const void *a, const void *b)
{
	const struct dated *x = a, *y = b;
	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? 1 : -1;
	return memcmp(x->post_id, y->post_id, ID32_BYTES);
}

static int collect(struct txn *txn, struct arena *a, struct dated **out, size_t *count)
{
	struct env_cursor *cur;
	struct bytes key, value;
	struct dated *list = NULL;
	size_t n = 0, room = 0;
	int rc = env_cursor_open(txn, C_POST, &cur);
	if (rc != RK_OK)
		return rc;
	for (rc = env_cursor_seek(cur, bytes_make(NULL, 0), &key, &value); rc == RK_OK; rc = env_cursor_next(cur, &key, &value)) {
		if (n == room) {
			room = room ? 2 * room : 256;
			struct dated *grown = reallocarray(list, room, sizeof(*list));
			if (!grown) {
				rc = RK_ENOMEM;
				break;
			}
			list = grown;
		}
		arena_reset(a, EACH_ARENA_BYTES);
		Rkl__PostRecord *r = rkl__post_record__unpack(arena_allocator(a), value.len, value.data);
		if (!r || key.len != ID32_BYTES) {
			rc = RK_ESTORE;
			break;
		}
		list[n].time_ms = r->time_ms;
		memcpy(list[n++].post_id, key.data, ID32_BYTES);
	}
	env_cursor_free(cur);
	*out = list;
	*count = n;
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int post_each(struct client *c, struct txn *txn, const struct post_filter *f, int (*fn)(void *, const struct post_view *),
	      void *user)
{
	struct arena *a = arena_new(EACH_ARENA_BYTES);
	struct dated *list = NULL;
	size_t count = 0;
	int rc = a ? collect(txn, a, &list, &count) : RK_ENOMEM;
	if (rc == RK_OK && count)
		qsort(list, count, sizeof(*list), newest_first);
	for (size_t i = 0; i < count && rc == RK_OK; i++) {
		struct post_view v;
		arena_reset(a, EACH_ARENA_BYTES);
		rc = post_load(c, txn, list[i].post_id, a, &v);
		if (rc == RK_OK && post_matches(&v, f))
			rc = fn(user, &v);
	}
	free(list);
	arena_free_wiped(a);
	return rc;
}

int post_next_arrival(struct txn *txn, uint64_t after, struct post_arrival *out)
{
	struct env_cursor *cur;
	struct bytes key, value;
	uint8_t from[8];
	put_u64be(from, after + 1);
	int rc = env_cursor_open(txn, C_ARRIVAL, &cur);
	if (rc != RK_OK)
		return rc;
	rc = env_cursor_seek(cur, BYTES_OF(from), &key, &value);
	if (rc == RK_OK && (key.len != 8 || value.len != 1 + ID32_BYTES + 8))
		rc = RK_ESTORE;
	if (rc == RK_OK) {
		out->no = get_u64be(key.data);
		out->channel = (Rk__Channel)value.data[0];
		memcpy(out->post_id, value.data + 1, ID32_BYTES);
		out->seq = get_u64be(value.data + 1 + ID32_BYTES);
	}
	env_cursor_free(cur);
	return rc;
}

const char *post_arrival_op(const struct post_view *v, uint64_t seq)
{
	if (seq == v->record->first_seq)
		return "new";
	return v->status == RKL__POST_STATUS__WITHDRAWN && seq == v->record->newest_seq ? "withdraw" : "revise";
}

const Rk__PostText *post_text(const Rk__Post *post, const char *lang)
{
	for (size_t i = 0; i < post->n_texts; i++)
		if (strncasecmp(post->texts[i]->lang, lang, 2) == 0)
			return post->texts[i];
	return post->texts[0];
}

unsigned post_followed(struct txn *txn)
{
	unsigned mask = 0;
	for (uint8_t channel = RK__CHANNEL__OFFER; channel <= RK__CHANNEL__NOTICE; channel++)
		if (env_has(txn, C_FOLLOW, bytes_make(&channel, 1)))
			mask |= 1u << channel;
	return mask;
}
