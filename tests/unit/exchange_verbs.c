/* exchange_verbs: see exchange_verbs.h; exchange_dossier.c has what goes under agreements. */
#include "tests/unit/exchange_verbs.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/client_internal.h"
#include "client/device.h"
#include "client/interest.h"
#include "client/post.h"
#include "proto/strict.h"
#include "tests/unit/exchange_act.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

struct act act_begin(struct exchange *x, unsigned home, bool write)
{
	struct act v = {.c = exchange_client(x, home), .a = arena_new(ARENA_BYTES)};

	exchange_must(v.a != NULL ? RK_OK : RK_ENOMEM, "memory");
	exchange_must(env_begin(client_env(v.c), write, &v.t), "a home's store");
	return v;
}

int act_end(struct act *v, int r)
{
	if (r == RK_OK)
		r = env_commit(v->t);
	else
		env_abort(v->t);
	arena_free_wiped(v->a);
	return r;
}

void act_drop(struct act *v)
{
	env_abort(v->t);
	arena_free_wiped(v->a);
}

void act_catch_up(struct exchange *x, unsigned home)
{
	const struct link_options o = {.timeout_ms = 6000, .until_synced = true};

	exchange_must(keys_unlock(exchange_client(x, home), KEY_DEVICE), "the device's key");
	(void)link_run(exchange_client(x, home), &o);
}

int act_finish(struct exchange *x, unsigned home, int queued, uint64_t item, struct outcome *out)
{
	struct outcome own;

	return queued != RK_OK ? queued : link_finish(exchange_client(x, home), item, NULL, out != NULL ? out : &own);
}

int verb_sync(struct exchange *x, unsigned home, struct secretariat_done *done)
{
	struct client *c = exchange_client(x, home);
	struct secretariat_done own = {0};
	int r = link_sync(c, NULL);

	done = done != NULL ? done : &own;
	memset(done, 0, sizeof(*done));
	if (r != RK_OK || !secretariat_is_here(c) || !secretariat_is_due(c))
		return r;
	if ((r = secretariat_duties(c, done)) != RK_OK)
		return r;
	return done->directory || done->epoch || done->checkpoint || done->feed_keys ? link_sync(c, NULL) : RK_OK;
}

int verb_sync_for(struct exchange *x, unsigned home, int ms)
{
	const struct link_options o = {.timeout_ms = ms, .until_synced = true};

	return link_run(exchange_client(x, home), &o);
}

/* ---- posts */

static int queue_post(struct exchange *x, unsigned home, const char *title, int64_t life_ms, uint64_t *item)
{
	Rk__PostText text = RK__POST_TEXT__INIT, *texts[1] = {&text};
	Rk__Post post = RK__POST__INIT;
	uint8_t post_id[32];
	enum post_queued how;
	struct act v;

	text.lang = pb_text("en");
	text.title = pb_text(title);
	text.body = pb_text(title);
	post.type = RK__CHANNEL__OFFER;
	post.texts = texts;
	post.n_texts = 1;
	v = act_begin(x, home, true);
	exchange_must(keys_unlock(v.c, KEY_DEVICE), "the device's key");
	return act_end(&v, post_queue(v.c, v.t, &post, life_ms, &how, item, post_id));
}

int verb_post(struct exchange *x, unsigned home, const char *title, int64_t life_ms, uint8_t post_id[32])
{
	struct outcome out = {0};
	uint64_t item = 0;
	int r;

	act_catch_up(x, home);
	r = queue_post(x, home, title, life_ms, &item);
	r = act_finish(x, home, r, item, &out);
	memcpy(post_id, out.env_id, 32);
	return r;
}

void verb_post_later(struct exchange *x, unsigned home, const char *title, int64_t life_ms, uint64_t *item)
{
	exchange_must(queue_post(x, home, title, life_ms, item), "queueing a post");
}

void verb_seal_and_stop(struct exchange *x, unsigned home, uint64_t id)
{
	struct client *c = exchange_client(x, home);
	struct arena *a = arena_new(1024 * 1024);
	Rkl__OutboxItem *item;
	struct bytes writer;
	struct txn *t;

	exchange_must(env_begin(client_env(c), true, &t), "begin");
	exchange_must(outbox_load(t, id, a, &item), "outbox_load");
	exchange_must(meta_get(t, META_WRITER, &writer), "writer");
	item->writer_epoch = (ProtobufCBinaryData){writer.len, arena_copy(a, writer.data, writer.len)};
	exchange_must(seal_item(c, t, item, meta_u64(t, META_NUMBER) + 1, a), "seal_item");
	item->state = RKL__ITEM_STATE__SENT;
	exchange_must(outbox_store(t, item, RKL__ITEM_STATE__QUEUED), "outbox_store");
	exchange_must(meta_put_u64(t, META_NUMBER, item->number), "number");
	exchange_must(env_commit(t), "commit");
	arena_free(a);
	exchange_reopen(x, home);
}

int verb_outcome(struct exchange *x, unsigned home, uint64_t item, struct outcome *out)
{
	struct act v = act_begin(x, home, false);
	int r = outbox_outcome(v.t, item, out);

	act_drop(&v);
	return r == RK_OK ? out->code : r;
}

Rkl__PostStatus verb_post_status(struct exchange *x, unsigned home, const uint8_t post_id[32], bool *is_readable)
{
	struct act v = act_begin(x, home, false);
	struct post_view view = {0};
	Rkl__PostStatus status = RKL__POST_STATUS__POST_NONE;

	*is_readable = false;
	if (post_load(v.c, v.t, post_id, v.a, &view) == RK_OK) {
		status = view.status;
		*is_readable = view.post != NULL;
	}
	act_drop(&v);
	return status;
}

int verb_interest(struct exchange *x, unsigned home, const uint8_t post_id[32])
{
	const struct interest_new n = {.post_id = post_id, .message = "May we talk?"};
	uint64_t item = 0;
	struct act v;
	int r;

	act_catch_up(x, home);
	v = act_begin(x, home, true);
	r = act_end(&v, interest_send(v.c, v.t, &n, v.a, &item));
	return act_finish(x, home, r, item, NULL);
}

/* ---- agreements */

/* What the program does once the organisation's key is open anyway. */
static int renew_if_due(struct exchange *x, unsigned home, int r)
{
	return r == RK_OK && verb_list_is_due(x, home) ? verb_renew_list(x, home) : r;
}

int verb_propose(struct exchange *x, unsigned a, unsigned b, const struct agreement_new *terms, uint8_t nda_id[32])
{
	struct agreement_new n = *terms;
	enum agreement_fault fault;
	uint8_t other[1][16];
	uint64_t item = 0;
	struct act v;
	int r;

	memcpy(other[0], x->home[b].org_id, 16);
	n.others = (const uint8_t(*)[16])other;
	n.other_count = 1;
	n.purpose = n.purpose != NULL ? n.purpose : "A trial";
	n.language = "en";
	n.signatory.name = "A. Signer";
	act_catch_up(x, a);
	v = act_begin(x, a, true);
	if ((r = keys_unlock(v.c, KEY_ORG)) == RK_OK)
		r = agreement_propose(v.c, v.t, &n, &fault, nda_id, &item);
	r = act_end(&v, r);
	return renew_if_due(x, a, act_finish(x, a, r, item, NULL));
}

int verb_sign(struct exchange *x, unsigned home, const uint8_t nda_id[32])
{
	const struct agreement_signatory who = {.name = "B. Signer"};
	struct agreement *ag;
	uint64_t item = 0;
	struct act v;
	int r;

	act_catch_up(x, home);
	v = act_begin(x, home, true);
	if ((r = keys_unlock(v.c, KEY_ORG)) == RK_OK && (r = agreement_load(v.c, v.t, nda_id, true, v.a, &ag)) == RK_OK &&
	    (r = agreement_check_act(ag, RK__ACT_KIND__ACCEPT, client_now(v.c))) == RK_OK &&
	    (r = agreement_check_sign(v.c, v.t, ag, v.a)) == RK_OK)
		r = agreement_sign(v.c, v.t, ag, &who, &item);
	r = act_end(&v, r);
	return renew_if_due(x, home, act_finish(x, home, r, item, NULL));
}

int verb_agree(struct exchange *x, unsigned a, unsigned b, const struct agreement_new *terms, uint8_t nda_id[32])
{
	int r = verb_propose(x, a, b, terms, nda_id);

	if (r == RK_OK && (r = verb_sign(x, b, nda_id)) == RK_OK)
		r = link_sync(exchange_client(x, a), NULL);
	return r;
}

int verb_act(struct exchange *x, unsigned home, const uint8_t nda_id[32], Rk__ActKind kind)
{
	struct agreement *ag;
	uint64_t item = 0;
	struct act v;
	int r;

	act_catch_up(x, home);
	v = act_begin(x, home, true);
	if ((r = keys_unlock(v.c, KEY_ORG)) == RK_OK && (r = agreement_load(v.c, v.t, nda_id, false, v.a, &ag)) == RK_OK)
		r = agreement_act(v.c, v.t, ag, kind, NULL, &item);
	r = act_end(&v, r);
	return renew_if_due(x, home, act_finish(x, home, r, item, NULL));
}

enum nda_state verb_state(struct exchange *x, unsigned home, const uint8_t nda_id[32])
{
	struct act v = act_begin(x, home, false);
	struct agreement *ag;
	enum nda_state state;

	exchange_must(agreement_load(v.c, v.t, nda_id, false, v.a, &ag), "loading an agreement");
	state = ag->state;
	act_drop(&v);
	return state;
}

/* ---- members */

bool verb_list_is_due(struct exchange *x, unsigned home)
{
	struct act v = act_begin(x, home, false);
	bool due = device_list_is_due(v.c, v.t);

	act_drop(&v);
	return due;
}

int verb_renew_list(struct exchange *x, unsigned home)
{
	const struct device_change renew = {.kind = DEVICE_RENEW};
	struct client *c = exchange_client(x, home);
	uint8_t oh[32];
	uint64_t item = 0;
	int r;

	if ((r = keys_unlock(c, KEY_ORG)) == RK_OK)
		r = device_change(c, &renew, oh, &item);
	return act_finish(x, home, r, item, NULL);
}

int verb_status(struct exchange *x, unsigned org, Rk__OrgStatus status)
{
	struct client *c = exchange_client(x, EXCHANGE_SECRETARIAT);
	struct outcome out;
	uint64_t item;
	int r;

	act_catch_up(x, EXCHANGE_SECRETARIAT);
	if ((r = secretariat_set_status(c, x->home[org].org_id, status, &item)) == RK_OK)
		r = link_finish(c, item, NULL, &out);
	return r == RK_OK ? link_sync(c, NULL) : r;
}

/* ---- looking */

uint64_t verb_count(struct exchange *x, unsigned home, const char *name)
{
	struct act v = act_begin(x, home, false);
	char key[80];
	uint64_t n;

	snprintf(key, sizeof(key), "count/%s", name);
	n = meta_u64(v.t, key);
	act_drop(&v);
	return n;
}

unsigned verb_alerts(struct exchange *x, unsigned home, const char *detail)
{
	struct act v = act_begin(x, home, false);
	struct env_cursor *cursor;
	struct bytes key, value;
	unsigned n = 0;

	exchange_must(env_cursor_open(v.t, C_INBOX, &cursor), "the inbox");
	for (int r = env_cursor_seek(cursor, bytes_make(NULL, 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__InboxRecord *rec = rkl__inbox_record__unpack(NULL, value.len, value.data);

		n += rec != NULL && rec->kind == RKL__INBOX_KIND__INBOX_ALERT && (detail == NULL || strcmp(rec->detail, detail) == 0);
		rkl__inbox_record__free_unpacked(rec, NULL);
	}
	env_cursor_free(cursor);
	act_drop(&v);
	return n;
}

unsigned verb_unanswered(struct exchange *x, unsigned home)
{
	struct act v = act_begin(x, home, false);
	unsigned queued, sent;

	exchange_must(outbox_count(v.t, &queued, &sent), "the outbox");
	act_drop(&v);
	return queued + sent;
}

unsigned verb_refused(struct exchange *x, unsigned home, const char *what)
{
	struct act v = act_begin(x, home, false);
	struct env_cursor *cursor;
	struct bytes key, value;
	unsigned n = 0;

	exchange_must(env_cursor_open(v.t, C_OUTBOX, &cursor), "the outbox");
	for (int r = env_cursor_seek(cursor, bytes_make(NULL, 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__OutboxItem *item = rkl__outbox_item__unpack(NULL, value.len, value.data);

		n += item != NULL && item->state == RKL__ITEM_STATE__DONE && item->code != RK_OK && strcmp(item->what, what) == 0;
		rkl__outbox_item__free_unpacked(item, NULL);
	}
	env_cursor_free(cursor);
	act_drop(&v);
	return n;
}
