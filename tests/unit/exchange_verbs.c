/* exchange_verbs: see exchange_verbs.h. */
#include "tests/unit/exchange_verbs.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/device.h"
#include "client/dossier.h"
#include "client/evidence.h"
#include "client/interest.h"
#include "client/mail.h"
#include "client/notice.h"
#include "client/post.h"
#include "proto/strict.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

/* One transaction of one home, with an arena for what is read in it. */
struct act {
	struct client *c;
	struct txn *t;
	struct arena *a;
};

static struct act begin(struct exchange *x, unsigned home, bool write)
{
	struct act v = {.c = exchange_client(x, home), .a = arena_new(ARENA_BYTES)};

	exchange_must(v.a != NULL ? RK_OK : RK_ENOMEM, "memory");
	exchange_must(env_begin(client_env(v.c), write, &v.t), "a home's store");
	return v;
}

static int end(struct act *v, int r)
{
	if (r == RK_OK)
		r = env_commit(v->t);
	else
		env_abort(v->t);
	arena_free_wiped(v->a);
	return r;
}

/* As shared_open: whoever has no connection goes on with what it knows. */
static void catch_up(struct exchange *x, unsigned home)
{
	const struct link_options o = {.timeout_ms = 6000, .until_synced = true};

	exchange_must(keys_unlock(exchange_client(x, home), KEY_DEVICE), "the device's key");
	(void)link_run(exchange_client(x, home), &o);
}

static int finish(struct exchange *x, unsigned home, int queued, uint64_t item, struct outcome *out)
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
	v = begin(x, home, true);
	exchange_must(keys_unlock(v.c, KEY_DEVICE), "the device's key");
	return end(&v, post_queue(v.c, v.t, &post, life_ms, &how, item, post_id));
}

int verb_post(struct exchange *x, unsigned home, const char *title, int64_t life_ms, uint8_t post_id[32])
{
	struct outcome out = {0};
	uint64_t item = 0;
	int r;

	catch_up(x, home);
	r = queue_post(x, home, title, life_ms, &item);
	r = finish(x, home, r, item, &out);
	memcpy(post_id, out.env_id, 32);
	return r;
}

void verb_post_later(struct exchange *x, unsigned home, const char *title, int64_t life_ms, uint64_t *item)
{
	exchange_must(queue_post(x, home, title, life_ms, item), "queueing a post");
}

int verb_outcome(struct exchange *x, unsigned home, uint64_t item, struct outcome *out)
{
	struct act v = begin(x, home, false);
	int r = outbox_outcome(v.t, item, out);

	env_abort(v.t);
	arena_free(v.a);
	return r == RK_OK ? out->code : r;
}

Rkl__PostStatus verb_post_status(struct exchange *x, unsigned home, const uint8_t post_id[32], bool *is_readable)
{
	struct act v = begin(x, home, false);
	struct post_view view = {0};
	Rkl__PostStatus status = RKL__POST_STATUS__POST_NONE;

	*is_readable = false;
	if (post_load(v.c, v.t, post_id, v.a, &view) == RK_OK) {
		status = view.status;
		*is_readable = view.post != NULL;
	}
	env_abort(v.t);
	arena_free(v.a);
	return status;
}

int verb_interest(struct exchange *x, unsigned home, const uint8_t post_id[32])
{
	const struct interest_new n = {.post_id = post_id, .message = "May we talk?"};
	uint64_t item = 0;
	struct act v;
	int r;

	catch_up(x, home);
	v = begin(x, home, true);
	r = end(&v, interest_send(v.c, v.t, &n, v.a, &item));
	return finish(x, home, r, item, NULL);
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
	catch_up(x, a);
	v = begin(x, a, true);
	if ((r = keys_unlock(v.c, KEY_ORG)) == RK_OK)
		r = agreement_propose(v.c, v.t, &n, &fault, nda_id, &item);
	r = end(&v, r);
	return renew_if_due(x, a, finish(x, a, r, item, NULL));
}

int verb_sign(struct exchange *x, unsigned home, const uint8_t nda_id[32])
{
	const struct agreement_signatory who = {.name = "B. Signer"};
	struct agreement *ag;
	uint64_t item = 0;
	struct act v;
	int r;

	catch_up(x, home);
	v = begin(x, home, true);
	if ((r = keys_unlock(v.c, KEY_ORG)) == RK_OK && (r = agreement_load(v.c, v.t, nda_id, true, v.a, &ag)) == RK_OK &&
	    (r = agreement_check_act(ag, RK__ACT_KIND__ACCEPT, client_now(v.c))) == RK_OK &&
	    (r = agreement_check_sign(v.c, v.t, ag, v.a)) == RK_OK)
		r = agreement_sign(v.c, v.t, ag, &who, &item);
	r = end(&v, r);
	return renew_if_due(x, home, finish(x, home, r, item, NULL));
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

	catch_up(x, home);
	v = begin(x, home, true);
	if ((r = keys_unlock(v.c, KEY_ORG)) == RK_OK && (r = agreement_load(v.c, v.t, nda_id, false, v.a, &ag)) == RK_OK)
		r = agreement_act(v.c, v.t, ag, kind, NULL, &item);
	r = end(&v, r);
	return renew_if_due(x, home, finish(x, home, r, item, NULL));
}

enum nda_state verb_state(struct exchange *x, unsigned home, const uint8_t nda_id[32])
{
	struct act v = begin(x, home, false);
	struct agreement *ag;
	enum nda_state state;

	exchange_must(agreement_load(v.c, v.t, nda_id, false, v.a, &ag), "loading an agreement");
	state = ag->state;
	env_abort(v.t);
	arena_free(v.a);
	return state;
}

/* ---- dossiers */

/* Bytes that a title stands for. */
static struct bytes content_of(const char *title, size_t size, struct arena *a)
{
	uint8_t seed[randombytes_SEEDBYTES], *data;

	crypto_generichash(seed, sizeof(seed), (const uint8_t *)title, strlen(title), NULL, 0);
	arena_raise(a, size + 64);
	data = arena_alloc(a, size);
	exchange_must(data != NULL ? RK_OK : RK_ENOMEM, "memory");
	randombytes_buf_deterministic(data, size, seed);
	return bytes_make(data, size);
}

static int queue_dossier(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint64_t *item)
{
	struct dossier_part part = {.name = "data.bin", .media_type = "application/octet-stream"};
	struct dossier_new n = {.nda_id = nda_id, .title = title, .marking = RK__MARKING__CONFIDENTIAL, .parts = &part, .part_count = 1};
	struct act v = begin(x, home, true);
	int r = keys_unlock(v.c, KEY_DEVICE);

	part.data = content_of(title, size, v.a);
	return end(&v, r == RK_OK ? dossier_send(v.c, v.t, &n, v.a, item) : r);
}

int verb_send(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint8_t env_id[32])
{
	struct outcome out = {0};
	uint64_t item = 0;
	int r;

	catch_up(x, home);
	r = queue_dossier(x, home, nda_id, title, size, &item);
	r = finish(x, home, r, item, &out);
	memcpy(env_id, out.env_id, 32);
	return r;
}

int verb_send_later(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint64_t *item)
{
	return queue_dossier(x, home, nda_id, title, size, item);
}

/* Both are queued together: what is fetched is asked for once it was signed for. */
static int ask_for(struct exchange *x, unsigned home, const uint8_t env_id[32], uint64_t *pickup, uint64_t *fetch)
{
	struct act v = begin(x, home, true);
	Rkl__EnvelopeRecord *record;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK && (r = dossier_check_get(v.c, v.t, record)) == RK_OK &&
	    (r = dossier_pickup(v.c, v.t, record, pickup)) == RK_OK)
		r = dossier_fetch(v.c, v.t, env_id, fetch);
	return end(&v, r);
}

int verb_open(struct exchange *x, unsigned home, const uint8_t env_id[32], const char *title, size_t size)
{
	struct act v = begin(x, home, false);
	Rkl__EnvelopeRecord *record;
	struct bytes want;
	Rk__Message *m;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK && (r = mail_message(v.c, v.t, record, v.a, &m)) == RK_OK) {
		want = content_of(title, size, v.a);
		if (m->dossier == NULL || m->dossier->n_files != 1 || !bytes_equal(bytes_of(m->dossier->files[0]->data), want))
			r = RK_EINTEGRITY;
	}
	env_abort(v.t);
	arena_free_wiped(v.a);
	return r;
}

int verb_get(struct exchange *x, unsigned home, const uint8_t env_id[32], const char *title, size_t size)
{
	uint64_t pickup = 0, fetch = 0;
	struct outcome out;
	int r;

	catch_up(x, home);
	if ((r = ask_for(x, home, env_id, &pickup, &fetch)) != RK_OK || (r = link_sync(exchange_client(x, home), NULL)) != RK_OK ||
	    (r = verb_outcome(x, home, pickup, &out)) != RK_OK || (r = verb_outcome(x, home, fetch, &out)) != RK_OK)
		return r;
	return verb_open(x, home, env_id, title, size);
}

int verb_may_get(struct exchange *x, unsigned home, const uint8_t env_id[32])
{
	struct act v = begin(x, home, false);
	Rkl__EnvelopeRecord *record;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK)
		r = dossier_check_get(v.c, v.t, record);
	env_abort(v.t);
	arena_free(v.a);
	return r;
}

int verb_pickup(struct exchange *x, unsigned home, const uint8_t env_id[32])
{
	struct act v = begin(x, home, true);
	Rkl__EnvelopeRecord *record;
	uint64_t item = 0;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK)
		r = dossier_pickup(v.c, v.t, record, &item);
	r = end(&v, r);
	return finish(x, home, r, item, NULL);
}

int verb_note(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *text)
{
	Rk__NdaNotice notice = RK__NDA_NOTICE__INIT;
	struct notice_new n = {.nda_id = nda_id, .type = RK__MESSAGE_TYPE__MESSAGE_CONSENT, .notice = &notice};
	struct notice_problem problem;
	struct notice_made made;
	uint64_t item = 0;
	struct act v;
	int r;

	notice.summary = pb_text(text);
	catch_up(x, home);
	v = begin(x, home, true);
	r = notice_send(v.c, v.t, &n, v.a, &made, &problem, &item);
	r = end(&v, r);
	return finish(x, home, r, item, NULL);
}

const char *verb_fate(struct exchange *x, unsigned home, const uint8_t env_id[32])
{
	struct act v = begin(x, home, false);
	Rkl__EnvelopeRecord *record;
	const char *name = "";

	if (mail_load(v.t, env_id, v.a, &record) == RK_OK)
		name = mail_state_name(record);
	env_abort(v.t);
	arena_free(v.a);
	return name;
}

int verb_receipt(struct exchange *x, unsigned home, const uint8_t env_id[32], int *level)
{
	struct act v = begin(x, home, false);
	struct evidence_lack lack = {0};
	struct bytes archive;
	struct receipt out = {0}, again = {0};
	int r = keys_unlock(v.c, KEY_DEVICE);

	*level = RECEIPT_UNPROVEN;
	if (r == RK_OK)
		r = evidence_receipt(v.c, v.t, env_id, true, bytes_make(NULL, 0), v.a, &archive, &out, &lack);
	/* By somebody who has no home, only the printed fingerprint. */
	if (r == RK_OK)
		r = receipt_verify(archive, x->broker.exchange_id, v.a, &again);
	if (r == RK_OK)
		*level = (int)again.level;
	else
		fprintf(stderr, "receipt: %s, lacks %s (%d)\n", errcode_name(r), lack.part != NULL ? lack.part : "", (int)lack.why);
	env_abort(v.t);
	arena_free_wiped(v.a);
	return r;
}

/* ---- members */

bool verb_list_is_due(struct exchange *x, unsigned home)
{
	struct act v = begin(x, home, false);
	bool due = device_list_is_due(v.c, v.t);

	env_abort(v.t);
	arena_free(v.a);
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
	return finish(x, home, r, item, NULL);
}

int verb_status(struct exchange *x, unsigned org, Rk__OrgStatus status)
{
	struct client *c = exchange_client(x, EXCHANGE_SECRETARIAT);
	struct outcome out;
	uint64_t item;
	int r;

	catch_up(x, EXCHANGE_SECRETARIAT);
	if ((r = secretariat_set_status(c, x->home[org].org_id, status, &item)) == RK_OK)
		r = link_finish(c, item, NULL, &out);
	return r == RK_OK ? link_sync(c, NULL) : r;
}

/* ---- looking */

uint64_t verb_count(struct exchange *x, unsigned home, const char *name)
{
	struct act v = begin(x, home, false);
	char key[80];
	uint64_t n;

	snprintf(key, sizeof(key), "count/%s", name);
	n = meta_u64(v.t, key);
	env_abort(v.t);
	arena_free(v.a);
	return n;
}

unsigned verb_alerts(struct exchange *x, unsigned home, const char *detail)
{
	struct act v = begin(x, home, false);
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
	env_abort(v.t);
	arena_free(v.a);
	return n;
}

unsigned verb_unanswered(struct exchange *x, unsigned home)
{
	struct act v = begin(x, home, false);
	unsigned queued, sent;

	exchange_must(outbox_count(v.t, &queued, &sent), "the outbox");
	env_abort(v.t);
	arena_free(v.a);
	return queued + sent;
}

unsigned verb_refused(struct exchange *x, unsigned home, const char *what)
{
	struct act v = begin(x, home, false);
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
	env_abort(v.t);
	arena_free(v.a);
	return n;
}
