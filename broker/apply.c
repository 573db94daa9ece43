/*
 * The state machine's frame: one batch is one write transaction, one command is one row of the table below and exactly
 * one reply. What each operation does stands in apply_*.c; the design, in words, in APPLY.md.
 */
#include "broker/apply_internal.h"

#include <assert.h>
#include <stdlib.h>

const struct apply_limits apply_default_limits = {
	.org_stored_bytes = (uint64_t)2 << 30,
	.pair_pending_bytes = (uint64_t)100 << 20,
	.unsigned_ndas_per_org = 20,
	.open_per_day = 20,
	.notices_per_day = 20,
	.writers_per_device = 64,
	.soft_percent = 80,
	.hard_percent = 90,
	.rate_per_s = 100,
	.burst = 500,
	.org_blob_bytes = (uint64_t)16 << 30,
	.blob_reserve_bytes = (uint64_t)1 << 30,
};

/* ---- opening */
int apply_open(struct env *env, const struct apply_limits *limits, struct roster *roster, struct apply **out)
{
	struct apply *a = calloc(1, sizeof(*a));
	int rc;

	*out = NULL;
	if (!a)
		return RK_ENOMEM;
	a->env = env;
	a->limits = limits ? *limits : apply_default_limits;
	a->roster = roster;
	a->next_due_ms = INT64_MAX;
	a->trust_stamp = 1;
	a->room = UINT64_MAX;
	if (!(a->scratch = arena_new(0))) {
		apply_close(a);
		return RK_ENOMEM;
	}
	if ((rc = apply_load(a, true)) != RK_OK || (rc = apply_log_catch_up(a)) != RK_OK) {
		apply_close(a);
		return rc;
	}
	*out = a;
	return RK_OK;
}

void apply_close(struct apply *a)
{
	if (!a)
		return;
	if (a->txn)
		env_abort(a->txn);
	apply_batch_free(a);
	arena_free(a->charter_arena);
	arena_free(a->scratch);
	free(a);
}

/* ---- checks that many operations share */
int apply_check_charter(const struct apply *a)
{
	return a->now_ms < a->charter->not_after ? RK_OK : RK_CHARTER_EXPIRED;
}

int apply_check_directory(const struct apply *a)
{
	return a->now_ms < a->directory.expires_at ? RK_OK : RK_DIRECTORY_EXPIRED;
}

int apply_check_room(const struct apply *a, enum mark refused_from)
{
	return a->mark >= refused_from ? RK_STORE_FULL : RK_OK;
}

int apply_check_stored(struct apply *a, const uint8_t org_id[16], uint64_t more)
{
	uint64_t stored;
	int rc = rows_get_quota(a->txn, QUOTA_STORED, org_id, NULL, &stored);

	if (rc != RK_OK)
		return rc;
	return stored + more > a->limits.org_stored_bytes ? RK_QUOTA : RK_OK;
}

bool apply_is_secretariat(const struct member *m)
{
	return m->is_active && m->org.roles & TRUST_ROLE_SECRETARIAT;
}

int apply_check_clock(const struct apply *a, int64_t t_ms)
{
	int64_t off = t_ms > a->now_ms ? t_ms - a->now_ms : a->now_ms - t_ms;

	return off <= APPLY_CLOCK_MS ? RK_OK : RK_CLOCK;
}

int apply_check_signer(const struct apply *a, const struct command *c, ProtobufCBinaryData signer_id)
{
	const uint8_t *pk = trust_secretariat_pk(a->charter, signer_id.data, a->now_ms);

	if (!pk)
		return RK_NOT_PERMITTED;
	return memcmp(pk, c->object_pk, 32) == 0 ? RK_OK : RK_BAD_SIGNATURE;
}

/* ---- the table: operation -> function */
static int ack(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__Ack *req = c->req->ack;
	struct stream_id s;
	uint64_t first, head, old;
	int rc;

	(void)r;
	if (!req || !req->stream || stream_from_wire(&s, req->stream) != RK_OK)
		return RK_MALFORMED;
	if (req->stream->type == RK__STREAM_TYPE__STREAM_MAILBOX &&
	    memcmp(req->stream->org_id.data, m->device.org_id, 16) != 0)
		return RK_NOT_PERMITTED;
	if ((rc = stream_bounds(a->txn, &s, &first, &head)) != RK_OK)
		return rc;
	if (req->seq > head)
		return RK_GENERATION;
	rc = stream_cursor_get(a->txn, m->device_id, &s, &old);
	if (rc == RK_OK && old >= req->seq)
		return RK_OK;
	if (rc != RK_OK && rc != RK_ENOTFOUND)
		return rc;
	return stream_cursor_put(apply_w(a), m->device_id, &s, req->seq);
}

static const struct op_rule {
	int (*run)(struct apply *, struct command *, struct member *, struct result *); /* NULL: not apply's */
	bool is_numbered;
	bool works_in_expired_charter;  /* of what a member has under agreements, nothing is locked away */
	bool works_read_only;           /* takes nothing and releases nothing: a lost termination may forbid it */
	bool may_save;                  /* touches nothing that others read in the tables without asking apply (path.h, "stored") */
} op_rules[] = {
	[RK__OP__OP_HELLO] = {apply_writer_hello, false, true, true, false},
	[RK__OP__OP_ACK] = {ack, false, true, true, true},
	[RK__OP__OP_FETCH] = {apply_release_fetch, false, true, false, false},
	[RK__OP__OP_INVITE_REG] = {apply_trust_invite, true, false, false, false},
	[RK__OP__OP_PUT_OBJECT] = {apply_trust_put, true, false, false, false},
	[RK__OP__OP_SUBMIT] = {apply_submit, true, false, false, true}, /* posts: it forbids it for others */
	[RK__OP__OP_NDA_PROPOSE] = {apply_nda_propose, true, false, false, false},
	[RK__OP__OP_NDA_ACT] = {apply_nda_act, true, true, false, false}, /* judges by the act */
	[RK__OP__OP_PICKUP] = {apply_release_pickup, true, false, false, false},
	[RK__OP__OP_PUT_CHECKPOINT] = {apply_log_put_checkpoint, true, false, false, false},
	[RK__OP__OP_NACK] = {apply_nack, true, false, false, false},
	[RK__OP__OP_DEPOSIT] = {apply_deposit, true, false, false, false},
	[RK__OP__OP_BLOB_OPEN] = {apply_blob_open, true, false, false, false},
	[RK__OP__OP_BLOB_PUT] = {apply_blob_put, false, false, false, false},
};

static int run_operation(struct apply *a, struct command *c, const struct op_rule *rule, struct member *m,
			 struct result *r)
{
	int rc;

	if (c->refusal != RK_OK)
		return c->refusal;
	if (!rule->works_in_expired_charter && (rc = apply_check_charter(a)) != RK_OK)
		return rc;
	return rule->run(a, c, m, r);
}

static int run_member(struct apply *a, struct command *c, struct result *r)
{
	const struct op_rule *rule = &op_rules[c->req->op];
	struct member *m = NULL;
	bool repeated = false;
	int code = RK_OK, rc;

	a->is_saving = a->is_saving && rule->may_save;
	if ((rc = apply_writer_member(a, c->peer.id, &m)) != RK_OK)
		return rc;
	if (a->fork.log != 0 && !rule->works_read_only)
		return RK_READ_ONLY; /* no number is used: everything waits until the operator has put it right */
	if (!rule->is_numbered)
		return run_operation(a, c, rule, m, r);
	if ((rc = apply_writer_check(a, c, m, &repeated, &code, r)) != RK_OK || repeated)
		return repeated ? code : rc;
	code = run_operation(a, c, rule, m, r);
	if (code >= RK_OK)
		apply_writer_done(c, m, code, r);
	return code;
}

static int run(struct apply *a, struct command *c, struct result *r)
{
	int rc;

	if (!a->has_exchange)
		return RK_NOT_ADMITTED;
	/* verify was out of memory, or gathers another device's Directory: nothing is decided and no number used. */
	if (c->refusal < RK_OK || c->refusal == RK_BUSY)
		return RK_BUSY;
	if (!c->req)
		return c->refusal > RK_OK ? c->refusal : RK_MALFORMED;
	if (c->peer.is_invite) {
		a->is_saving = false;
		if (c->req->op != RK__OP__OP_ENROL)
			return RK_NOT_PERMITTED;
		if (c->refusal != RK_OK)
			return c->refusal;
		if (a->fork.log != 0)
			return RK_READ_ONLY;
		return (rc = apply_check_charter(a)) != RK_OK ? rc : apply_trust_enrol(a, c, r);
	}
	if (c->req->op == RK__OP__OP_ENROL)
		return RK_NOT_PERMITTED;
	if ((size_t)c->req->op >= sizeof(op_rules) / sizeof(op_rules[0]) || !op_rules[c->req->op].run)
		return RK_UNSUPPORTED;
	return run_member(a, c, r);
}

/* ---- a batch */
static enum mark mark_of(struct apply *a)
{
	struct env_status s;
	uint64_t percent;

	if (env_status(a->env, &s) != RK_OK || s.map_bytes == 0)
		return MARK_NONE;
	percent = s.used_bytes / (s.map_bytes / 100 + 1);
	if (percent >= a->limits.hard_percent)
		return MARK_HARD;
	return percent >= a->limits.soft_percent ? MARK_SOFT : MARK_NONE;
}

void apply_set_room(struct apply *a, uint64_t bytes)
{
	assert(!a->in_batch);
	a->room = bytes;
}

int apply_begin(struct apply *a, int64_t time_ms)
{
	int rc;

	assert(!a->in_batch);
	apply_batch_reset(a);
	if (!a->txn) {
		if ((rc = env_begin(a->env, true, &a->txn)) != RK_OK)
			return rc;
		a->mark = mark_of(a); /* as of the last commit: batches that are saved do not change it */
	}
	a->in_batch = true;
	a->is_saving = false;
	a->now_ms = time_ms > a->last_time_ms ? time_ms : a->last_time_ms;
	a->next_head = a->head;
	return RK_OK;
}

void apply_gather(struct apply *a)
{
	assert(a->in_batch);
	/* What is saved must have room when it is taken up: near the end of the map each batch is committed. */
	if (a->mark != MARK_NONE)
		return;
	a->is_saving = true;
	env_gather(a->txn);
}

bool apply_is_saving(const struct apply *a)
{
	return a->is_saving;
}

void apply_command(struct apply *a, struct command *c)
{
	struct result r = {0};
	int code = RK_OK, rc;

	assert(a->in_batch);
	a->command_wrote = false;
	if (a->failed == RK_OK) {
		code = run(a, c, &r);
		/* A full map is a refusal by its number and a failure of the transaction by its nature. */
		a->failed = code < RK_OK ? code : env_error(a->txn);
	}
	/* A refusal leaves no trace but its number. */
	assert(a->failed != RK_OK || code == RK_OK || !a->command_wrote);
	/* After a failure every reply is replaced at the commit, if there are replies at all. */
	rc = apply_batch_reply(a, c, a->failed != RK_OK ? RK_STORE_FULL : code, &r);
	if (rc != RK_OK && a->failed == RK_OK)
		a->failed = rc;
}

int64_t apply_next_due(const struct apply *a)
{
	return a->next_due_ms;
}

const struct effect *apply_effects(const struct apply *a, size_t *count)
{
	*count = a->effect_count;
	return a->effects;
}

uint64_t apply_log_size(const struct apply *a)
{
	return a->edge.size;
}

void apply_head(const struct apply *a, struct checkpoint *head)
{
	memcpy(head->origin, a->log_key.name, sizeof(head->origin));
	head->size = a->head.size;
	memcpy(head->root, a->head.root, sizeof(head->root));
}

bool apply_is_read_only(const struct apply *a)
{
	return a->fork.log != 0;
}

int apply_show_signed(struct apply *a, const struct checkpoint *seen, int64_t time_ms)
{
	int rc = apply_begin(a, time_ms);

	if (rc != RK_OK)
		return rc;
	a->failed = apply_log_seen(a, seen);
	return apply_commit(a);
}

const Rk__Charter *apply_charter(const struct apply *a)
{
	return a->has_exchange ? a->charter : NULL;
}

bool apply_generation(const struct apply *a, uint8_t generation[16])
{
	if (a->has_exchange)
		memcpy(generation, a->generation, 16);
	return a->has_exchange;
}

/* ---- what needs no apply */
int apply_pack_refusal(struct command *c, int code, int64_t time_ms, struct bytes *header)
{
	size_t len = apply_batch_pack(c, code, time_ms, NULL, NULL, NULL);
	uint8_t *b;

	/* A frame that did not parse may have used the whole budget; its answer must fit nevertheless. */
	arena_raise(c->arena, len + 64);
	if (!(b = arena_alloc(c->arena, len)))
		return RK_ENOMEM;
	*header = bytes_make(b, apply_batch_pack(c, code, time_ms, NULL, NULL, b));
	return RK_OK;
}

int apply_object(struct txn *t, Rk__ObjectType type, struct bytes id, uint64_t serial, uint64_t *serial_out,
		 struct bytes *oh, struct bytes *wire)
{
	enum object_kind kind = object_kind_of(type);
	bool has_id = type == RK__OBJECT_TYPE__OBJECT_ORG_DEVICES || type == RK__OBJECT_TYPE__OBJECT_DEVICE_KX;
	int rc;

	if (kind == OBJECT_KIND_COUNT || !object_info(kind)->control_stream || id.len != (has_id ? 16u : 0u))
		return RK_UNKNOWN_OBJECT;
	rc = rows_get_object(t, (uint8_t)type, has_id ? id.data : NULL, serial, serial_out, oh, wire);
	return rc == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : rc;
}
