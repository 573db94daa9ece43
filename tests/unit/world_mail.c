/* The world's envelopes and agreements. */
#include "tests/unit/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/strict.h"

#define NEW_MESSAGE(var, type, Type, arena) \
	Rk__##Type *var = fixed_alloc((arena), sizeof(*var)); \
	rk__##type##__init(var)
#define need world_need

static const struct bytes nothing = {NULL, 0};

/* ---- envelopes */
Rk__EnvelopeHeader *world_header(struct world *w, Rk__Kind kind, int org, int device, unsigned to)
{
	NEW_MESSAGE(h, envelope_header, EnvelopeHeader, w->arena);

	h->kind = kind;
	h->exchange_id = world_copy(w, w->f.exchange_id, 32);
	h->sender_org = world_copy(w, w->orgs[org].id, 16);
	h->sender_device = world_copy(w, w->orgs[org].devices[device].id, 16);
	h->created_at = w->now_ms;
	h->expires_at = w->now_ms + 20 * WORLD_DAY_MS;
	h->directory_serial = w->directory_serial;
	h->recipients = fixed_alloc(w->arena, WORLD_ORGS * sizeof(*h->recipients));
	for (int i = 0; i < WORLD_ORGS && kind != RK__KIND__FEED; i++) {
		if (!(to >> i & 1))
			continue;
		NEW_MESSAGE(r, recipient, Recipient, w->arena);
		r->org_id = world_copy(w, w->orgs[i].id, 16);
		h->recipients[h->n_recipients++] = r;
	}
	return h;
}

Rk__EnvelopeHeader *world_post_header(struct world *w, int org, Rk__Channel channel, Rk__PostOp op, uint64_t post_seq,
				      uint32_t version)
{
	Rk__EnvelopeHeader *h = world_header(w, RK__KIND__FEED, org, 0, 0);

	h->channel = channel;
	h->feed_epoch = w->epoch;
	h->post_op = op;
	h->post_version = version;
	if (op != RK__POST_OP__NEW) {
		h->post_id = world_fresh(w, 32);
		h->post_seq = post_seq;
	}
	return h;
}

static struct bytes message(struct world *w)
{
	char *text;

	if (w->message_bytes == 0)
		return fixed_message("1,200 a kilogram", w->arena);
	text = fixed_alloc(w->arena, w->message_bytes + 1);
	memset(text, 'x', w->message_bytes);
	text[w->message_bytes] = '\0';
	return fixed_message(text, w->arena);
}

static void seal(struct world *w, int org, int device, Rk__EnvelopeHeader *h, unsigned wraps_to,
		 struct envelope_wire *out)
{
	bool is_feed = h->kind == RK__KIND__FEED;
	struct envelope_target targets[WORLD_ORGS * WORLD_DEVICES];
	struct envelope_random random;
	char name[32];
	size_t n = 0;

	for (int o = 0; o < WORLD_ORGS && !is_feed; o++)
		for (int d = 0; d < WORLD_DEVICES; d++) {
			struct world_device *to = &w->orgs[o].devices[d];

			if (!(wraps_to >> o & 1) && o != org)
				continue;
			if (!to->is_listed || to->kx_serial == 0 || to->gets_no_wrap)
				continue;
			memcpy(targets[n].device_id, to->id, 16);
			memcpy(targets[n].kx_pk, to->kx[(to->kx_serial + 2) % 3].pk, 32);
			targets[n++].kx_serial = to->kx_serial;
		}
	snprintf(name, sizeof(name), "seal %u", w->names++);
	fixed_random(&random, name);
	need(envelope_seal(h, message(w), is_feed ? w->f.ek : NULL, targets, n,
	                   w->orgs[org].devices[device].sign.sk, &random, w->arena, out) == RK_OK);
}

static Rk__Signed *signed_head(struct world *w, const struct envelope_wire *e)
{
	Rk__Signed *head;

	need(STRICT_PARSE(signed, e->head, w->arena, &head) == RK_OK);
	return head;
}

struct command *world_submit_command(struct world *w, int org, int device, Rk__EnvelopeHeader *h, unsigned wraps_to)
{
	Rk__Request *req = world_request(w, org, device, RK__OP__OP_SUBMIT);
	struct envelope_wire e;

	seal(w, org, device, h, wraps_to, &e);
	req->head = signed_head(w, &e);
	return world_command(w, org, device, req, nothing, e.wraps, e.body);
}

int world_submit(struct world *w, int org, int device, Rk__EnvelopeHeader *h, unsigned wraps_to)
{
	return world_run(w, world_submit_command(w, org, device, h, wraps_to));
}

int world_post(struct world *w, int org, Rk__Channel channel, Rk__PostOp op, uint64_t post_seq, uint32_t version)
{
	return world_submit(w, org, 0, world_post_header(w, org, channel, op, post_seq, version), 0);
}

/* ---- agreements */
Rk__NdaTerms *world_terms(struct world *w, unsigned parties)
{
	NEW_MESSAGE(t, nda_terms, NdaTerms, w->arena);

	t->version = 1;
	t->exchange_id = world_copy(w, w->f.exchange_id, 32);
	t->nonce16 = world_fresh(w, 16);
	t->parties = fixed_alloc(w->arena, WORLD_ORGS * sizeof(*t->parties));
	for (int i = 0; i < WORLD_ORGS; i++) {
		uint8_t fp[32];

		if (!(parties >> i & 1))
			continue;
		NEW_MESSAGE(p, party, Party, w->arena);
		ids_sha256(fp, BYTES_OF(w->orgs[i].key.pk));
		p->org_id = world_copy(w, w->orgs[i].id, 16);
		p->org_key_fp = world_copy(w, fp, 32);
		p->may_disclose = p->may_receive = 1;
		t->parties[t->n_parties++] = p;
	}
	t->first_day = 20251009;
	t->last_day = 20260117;
	t->zone = (char *)world_copy(w, "Asia/Tokyo", 10).data;
	t->not_before = w->now_ms;
	t->not_after = w->now_ms + 100 * WORLD_DAY_MS;
	t->accept_by = w->now_ms + 10 * WORLD_DAY_MS;
	t->exit_rule = RK__EXIT_RULE__END_ALL;
	t->notice_window_days = 30;
	t->doc_commit = world_fresh(w, 32);
	t->cover_len = 1000;
	t->doc_len = 2000;
	return t;
}

static unsigned others(const struct nda_row *nda, const struct world *w, int org)
{
	unsigned bits = 0;

	for (int i = 0; i < WORLD_ORGS; i++)
		if (i != org && nda_party_index(nda, w->orgs[i].id) >= 0)
			bits |= 1u << i;
	return bits;
}

static struct envelope_wire party_envelope(struct world *w, int org, const struct nda_row *nda)
{
	unsigned to = others(nda, w, org);
	Rk__EnvelopeHeader *h = world_header(w, RK__KIND__PROPOSAL, org, 0, to);
	struct envelope_wire e;

	h->nda_id = world_copy(w, nda->nda_id, 32);
	seal(w, org, 0, h, to, &e);
	return e;
}

struct command *world_propose_command(struct world *w, int org, const Rk__NdaTerms *terms, uint8_t nda_id[32])
{
	Rk__Request *req = world_request(w, org, 0, RK__OP__OP_NDA_PROPOSE);
	Rk__NdaProposal proposal = RK__NDA_PROPOSAL__INIT;
	struct envelope_wire e;
	struct nda_row nda;
	struct bytes terms_bytes, object;

	need(STRICT_PACK(terms, w->arena, &terms_bytes) == RK_OK);
	ids_nda(nda_id, w->f.exchange_id, terms_bytes);
	nda_row_init(&nda, nda_id, terms);
	proposal.terms = pb_of(terms_bytes);
	need(STRICT_PARSE(signed,
			  world_sign(w, OBJECT_KIND_NDA_ACT, &w->orgs[org].key,
				     &world_act(w, org, nda_id, RK__ACT_KIND__ACCEPT)->base),
			  w->arena, &proposal.accept) == RK_OK);
	need(STRICT_PACK(&proposal, w->arena, &object) == RK_OK);
	e = party_envelope(w, org, &nda);
	req->head = signed_head(w, &e);
	return world_command(w, org, 0, req, object, e.wraps, e.body);
}

int world_propose(struct world *w, int org, const Rk__NdaTerms *terms, uint8_t nda_id[32])
{
	return world_run(w, world_propose_command(w, org, terms, nda_id));
}

Rk__NdaAct *world_act(struct world *w, int org, const uint8_t nda_id[32], Rk__ActKind kind)
{
	NEW_MESSAGE(act, nda_act, NdaAct, w->arena);

	act->version = 1;
	act->nda_id = world_copy(w, nda_id, 32);
	act->org_id = world_copy(w, w->orgs[org].id, 16);
	act->kind = kind;
	act->signed_at = w->now_ms;
	if (kind == RK__ACT_KIND__HOLD)
		act->device_id = world_copy(w, w->orgs[org].devices[0].id, 16);
	if (kind == RK__ACT_KIND__ACCEPT)
		act->sigpage_commit = world_fresh(w, 32);
	return act;
}

struct command *world_act_command(struct world *w, int org, const Rk__NdaAct *act)
{
	Rk__Request *req = world_request(w, org, 0, RK__OP__OP_NDA_ACT);
	bool is_hold = act->kind == RK__ACT_KIND__HOLD;
	const struct fixed_sign *key = is_hold ? &w->orgs[org].devices[0].sign : &w->orgs[org].key;
	struct bytes object = world_sign(w, is_hold ? OBJECT_KIND_NDA_HOLD : OBJECT_KIND_NDA_ACT, key, &act->base);
	struct envelope_wire e = {0};
	struct nda_row nda;

	if (act->kind == RK__ACT_KIND__ACCEPT) {
		world_nda(w, act->nda_id.data, &nda);
		e = party_envelope(w, org, &nda);
		req->head = signed_head(w, &e);
	}
	return world_command(w, org, 0, req, object, e.wraps, e.body);
}

int world_do_act(struct world *w, int org, const uint8_t nda_id[32], Rk__ActKind kind)
{
	return world_run(w, world_act_command(w, org, world_act(w, org, nda_id, kind)));
}

void world_agree(struct world *w, unsigned parties, uint8_t nda_id[32])
{
	bool is_proposed = false;

	for (int i = 0; i < WORLD_ORGS; i++) {
		if (!(parties >> i & 1))
			continue;
		if (!is_proposed)
			need(world_propose(w, i, world_terms(w, parties), nda_id) == RK_OK);
		else
			need(world_do_act(w, i, nda_id, RK__ACT_KIND__ACCEPT) == RK_OK);
		is_proposed = true;
	}
}

struct command *world_disclose_command(struct world *w, Rk__Kind kind, int org, unsigned to, const uint8_t nda_id[32],
				       uint8_t env_id[32])
{
	Rk__EnvelopeHeader *h = world_header(w, kind, org, 0, to);
	struct command *c;
	struct nda_row nda;

	world_nda(w, nda_id, &nda);
	h->nda_id = world_copy(w, nda_id, 32);
	h->nda_set = world_copy(w, nda.nda_set, 32);
	h->marking = RK__MARKING__CONFIDENTIAL;
	c = world_submit_command(w, org, 0, h, to);
	if (env_id)
		memcpy(env_id, c->env_id, 32);
	return c;
}

int world_disclose(struct world *w, Rk__Kind kind, int org, unsigned to, const uint8_t nda_id[32], uint8_t env_id[32])
{
	return world_run(w, world_disclose_command(w, kind, org, to, nda_id, env_id));
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const ProtobufCBinaryData *)a)->data, ((const ProtobufCBinaryData *)b)->data, 32);
}

struct command *world_pickup_command(struct world *w, int org, int device, const uint8_t nda_id[32],
				     const uint8_t (*env_ids)[32], size_t n)
{
	struct world_device *d = &w->orgs[org].devices[device];
	Rk__Request *req = world_request(w, org, device, RK__OP__OP_PICKUP);
	struct nda_row nda;
	NEW_MESSAGE(p, pickup, Pickup, w->arena);

	world_nda(w, nda_id, &nda);
	p->version = 1;
	p->env_ids = fixed_alloc(w->arena, n * sizeof(*p->env_ids));
	for (size_t i = 0; i < n; i++)
		p->env_ids[i] = world_copy(w, env_ids[i], 32);
	qsort(p->env_ids, n, sizeof(*p->env_ids), by_id);
	p->n_env_ids = n;
	p->nda_id = world_copy(w, nda_id, 32);
	p->nda_set = world_copy(w, nda.nda_set, 32);
	p->device_id = world_copy(w, d->id, 16);
	p->time = w->now_ms;
	return world_command(w, org, device, req, world_sign(w, OBJECT_KIND_PICKUP, &d->sign, &p->base), nothing,
			     nothing);
}

int world_pickup(struct world *w, int org, int device, const uint8_t nda_id[32], const uint8_t env_id[32])
{
	return world_run(w, world_pickup_command(w, org, device, nda_id, (const uint8_t(*)[32])env_id, 1));
}

struct command *world_fetch_command(struct world *w, int org, int device, const uint8_t env_id[32])
{
	Rk__Request *req = world_request(w, org, device, RK__OP__OP_FETCH);
	NEW_MESSAGE(f, fetch, Fetch, w->arena);

	f->env_id = world_copy(w, env_id, 32);
	req->fetch = f;
	return world_command(w, org, device, req, nothing, nothing, nothing);
}

int world_fetch(struct world *w, int org, int device, const uint8_t env_id[32])
{
	return world_run(w, world_fetch_command(w, org, device, env_id));
}

Rk__Nack *world_nack_of(struct world *w, int org, int device, const uint8_t nda_id[32], const uint8_t env_id[32],
			Rk__NackReason reason)
{
	NEW_MESSAGE(n, nack, Nack, w->arena);

	n->version = 1;
	n->env_id = world_copy(w, env_id, 32);
	n->nda_id = world_copy(w, nda_id, 32);
	n->device_id = world_copy(w, w->orgs[org].devices[device].id, 16);
	n->reason = reason;
	n->time = w->now_ms;
	return n;
}

struct command *world_nack_command(struct world *w, int org, int device, const Rk__Nack *n)
{
	struct bytes wire = world_sign(w, OBJECT_KIND_NACK, &w->orgs[org].devices[device].sign, &n->base);

	return world_command(w, org, device, world_request(w, org, device, RK__OP__OP_NACK), wire, nothing, nothing);
}

int world_nack(struct world *w, int org, int device, const uint8_t nda_id[32], const uint8_t env_id[32],
	       Rk__NackReason reason)
{
	return world_run(w, world_nack_command(w, org, device, world_nack_of(w, org, device, nda_id, env_id, reason)));
}

Rk__Deposit *world_deposit_of(struct world *w, int org, int device)
{
	NEW_MESSAGE(d, deposit, Deposit, w->arena);

	d->version = 1;
	d->org_id = world_copy(w, w->orgs[org].id, 16);
	d->device_id = world_copy(w, w->orgs[org].devices[device].id, 16);
	d->commit = world_fresh(w, 32);
	d->time = w->now_ms;
	return d;
}

struct command *world_deposit_command(struct world *w, int org, int device, const Rk__Deposit *d)
{
	struct bytes wire = world_sign(w, OBJECT_KIND_DEPOSIT, &w->orgs[org].devices[device].sign, &d->base);

	return world_command(w, org, device, world_request(w, org, device, RK__OP__OP_DEPOSIT), wire, nothing, nothing);
}

int world_deposit(struct world *w, int org, int device)
{
	return world_run(w, world_deposit_command(w, org, device, world_deposit_of(w, org, device)));
}

/* ---- looking at the store */
static struct txn *look(struct world *w)
{
	struct txn *t;

	need(env_begin(w->env, false, &t) == RK_OK);
	return t;
}

/* Zero, with its id, for an agreement that is not there: tests ask about those too. */
void world_nda(struct world *w, const uint8_t nda_id[32], struct nda_row *nda)
{
	struct txn *t = look(w);
	int rc = rows_get_nda(t, nda_id, nda);

	need(rc == RK_OK || rc == RK_ENOTFOUND);
	if (rc == RK_ENOTFOUND) {
		memset(nda, 0, sizeof(*nda));
		memcpy(nda->nda_id, nda_id, 32);
	}
	env_abort(t);
}

uint64_t world_head(struct world *w, struct stream_id s)
{
	struct txn *t = look(w);
	uint64_t first, head;

	need(stream_bounds(t, &s, &first, &head) == RK_OK);
	env_abort(t);
	return head;
}

void world_entry(struct world *w, struct stream_id s, uint64_t seq, struct stream_entry *e)
{
	struct txn *t = look(w);
	uint64_t position;

	need(stream_position(t, &s, seq, &position) == RK_OK && stream_read(t, position, true, e) == RK_OK);
	e->object = bytes_of(world_copy(w, e->object.data, e->object.len));
	e->wraps = bytes_of(world_copy(w, e->wraps.data, e->wraps.len));
	e->body = bytes_of(world_copy(w, e->body.data, e->body.len));
	env_abort(t);
}

uint64_t world_quota(struct world *w, enum rows_quota_kind kind, int org, int other)
{
	struct txn *t = look(w);
	uint64_t value;

	need(rows_get_quota(t, kind, w->orgs[org].id, other >= 0 ? w->orgs[other].id : NULL, &value) == RK_OK);
	env_abort(t);
	return value;
}

struct count {
	unsigned table;
	size_t n;
};

static int count_row(void *user, unsigned table, struct bytes key, struct bytes value)
{
	struct count *c = user;

	(void)key;
	(void)value;
	c->n += table == c->table;
	return 0;
}

size_t world_count(struct world *w, unsigned table)
{
	struct count c = {.table = table};

	need(env_walk(w->env, count_row, &c) == RK_OK);
	return c.n;
}
