/*
 * Numbers: a writer is (device, writer epoch); its numbered requests are 1, 2, 3 …  Its rows hold the last number and
 * the outcomes of the last 256, are kept in memory during a batch and written once.  FIELDS "Numbers".
 */
#include "broker/apply_internal.h"

#include <assert.h>

static unsigned slot_of(const uint8_t device_id[16])
{
	/* A device_id is a hash: its bytes spread by themselves. */
	return get_u32be(device_id) & (APPLY_MEMBER_SLOTS - 1);
}

static int read_member(struct apply *a, struct member *m)
{
	int rc = rows_get_device(a->txn, m->device_id, &m->device);

	if (rc == RK_OK)
		rc = rows_get_org(a->txn, m->device.org_id, &m->org);
	if (rc != RK_OK)
		return rc;
	m->is_active = apply_device_is_active(&m->device, a->now_ms) && m->org.status == ORG_ACTIVE;
	m->trust_stamp = a->trust_stamp;
	return RK_OK;
}

bool apply_device_is_active(const struct rows_device *d, int64_t t_ms)
{
	return d->state == DEVICE_LISTED && (d->retired_at == 0 || t_ms < d->retired_at);
}

/* RK_REVOKED for a device that was never listed, too: the handshake let it in, so it was a member's once. */
int apply_writer_member(struct apply *a, const uint8_t device_id[16], struct member **out)
{
	unsigned i = slot_of(device_id);
	struct member *m;
	int rc;

	while ((m = a->members[i]) && memcmp(m->device_id, device_id, 16) != 0)
		i = (i + 1) & (APPLY_MEMBER_SLOTS - 1);
	if (!m) {
		/* The batch's bound on commands is far below; a caller that gives more pays with re-reading. */
		if (a->member_count >= APPLY_MEMBER_SLOTS / 2) {
			if ((rc = apply_writer_flush(a)) != RK_OK)
				return rc;
			apply_writer_forget(a);
			i = slot_of(device_id);
		}
		if (!(m = apply_batch_alloc(a, sizeof(*m))))
			return RK_ENOMEM;
		memset(m, 0, sizeof(*m));
		memcpy(m->device_id, device_id, 16);
		m->at = i;
		m->older = a->newest_member;
		a->newest_member = a->members[i] = m;
		a->member_count++;
		m->trust_stamp = a->trust_stamp - 1;
	}
	if (m->trust_stamp != a->trust_stamp) {
		m->is_active = false;
		rc = read_member(a, m);
		if (rc != RK_OK && rc != RK_ENOTFOUND)
			return rc;
	}
	*out = m;
	return m->is_active ? RK_OK : RK_REVOKED;
}

int apply_writer_flush(struct apply *a)
{
	for (struct member *m = a->newest_member; m != NULL; m = m->older) {
		int rc;

		if (!m->is_dirty)
			continue;
		/* Not apply_w: numbers are no trace of the command that happens to make room. */
		a->batch_wrote = true;
		if ((rc = rows_put_writer(a->txn, m->device_id, m->device.writer_epoch, m->writer)) != RK_OK)
			return rc;
		m->is_dirty = false;
	}
	return RK_OK;
}

void apply_writer_forget(struct apply *a)
{
	for (struct member *m = a->newest_member; m != NULL; m = m->older)
		a->members[m->at] = NULL;
	a->newest_member = NULL;
	a->member_count = 0;
}

/* The current writer's row in memory. */
static int load_writer(struct apply *a, struct member *m)
{
	int rc;

	if (m->writer)
		return RK_OK;
	if (!(m->writer = apply_batch_alloc(a, sizeof(*m->writer))))
		return RK_ENOMEM;
	rc = rows_get_writer(a->txn, m->device_id, m->device.writer_epoch, m->writer);
	return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
}

static int start_writer(struct apply *a, struct member *m, const uint8_t epoch[8])
{
	int rc;

	if (rows_has_writer(a->txn, m->device_id, epoch))
		return RK_STALE_WRITER;
	if (m->device.writer_count >= a->limits.writers_per_device)
		return RK_QUOTA;
	/* The old writer's numbers of this batch, before its row leaves memory. */
	if (m->is_dirty && (rc = rows_put_writer(apply_w(a), m->device_id, m->device.writer_epoch, m->writer)) != RK_OK)
		return rc;
	m->is_dirty = false;
	if (!m->writer && !(m->writer = apply_batch_alloc(a, sizeof(*m->writer))))
		return RK_ENOMEM;
	rows_writer_init(m->writer);
	memcpy(m->device.writer_epoch, epoch, 8);
	m->device.writer_count++;
	if ((rc = rows_put_device(apply_w(a), m->device_id, &m->device)) != RK_OK)
		return rc;
	return rows_put_writer(apply_w(a), m->device_id, epoch, m->writer);
}

static bool is_current(const struct member *m, ProtobufCBinaryData epoch)
{
	return m->device.writer_count > 0 && memcmp(m->device.writer_epoch, epoch.data, 8) == 0;
}

int apply_writer_hello(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__Request *req = c->req;
	int rc;

	if (!req->hello || req->writer_epoch.len != 8)
		return RK_MALFORMED;
	if (req->hello->protocol_min > 1 || req->hello->protocol_max < 1)
		return RK_VERSION;
	if (is_current(m, req->writer_epoch))
		rc = load_writer(a, m);
	else
		rc = start_writer(a, m, req->writer_epoch.data);
	if (rc != RK_OK)
		return rc;
	r->is_hello = true;
	r->last_number = m->writer->last;
	return apply_log_seen(a, &c->note.checkpoint);
}

int apply_writer_check(struct apply *a, struct command *c, struct member *m, bool *repeated, int *code,
		       struct result *r)
{
	const Rk__Request *req = c->req;
	struct rows_outcome o;
	uint64_t last;
	int rc;

	*repeated = false;
	if (req->writer_epoch.len != 8 || req->number == 0)
		return RK_MALFORMED;
	if (!is_current(m, req->writer_epoch)) {
		/* Never seen: an older backup of this store is running, and a new HELLO will tell the home so. */
		return rows_has_writer(a->txn, m->device_id, req->writer_epoch.data) ? RK_STALE_WRITER : RK_GENERATION;
	}
	if ((rc = load_writer(a, m)) != RK_OK)
		return rc;
	last = m->writer->last;
	if (req->number > last + 1)
		return RK_OUT_OF_ORDER;
	if ((rc = rows_writer_load(a->txn, m->device_id, m->device.writer_epoch, m->writer, req->number)) != RK_OK || req->number == last + 1)
		return rc;
	if (!rows_writer_find(m->writer, req->number, &o) || memcmp(o.header_hash, c->header_hash, 8) != 0)
		return RK_NUMBER_CONFLICT;
	*repeated = true;
	*code = o.code;
	r->seq = o.seq;
	r->logged = o.logged;
	r->log_index = o.log_index;
	return RK_OK;
}

void apply_writer_done(struct command *c, struct member *m, int code, const struct result *r)
{
	struct rows_outcome o = {.code = (uint16_t)code};

	assert(code >= RK_OK && code < 1000);
	memcpy(o.header_hash, c->header_hash, 8);
	if (code == RK_OK) {
		o.seq = r->seq;
		o.logged = r->logged;
		o.log_index = r->log_index;
	}
	rows_writer_push(m->writer, &o);
	m->is_dirty = true;
}
