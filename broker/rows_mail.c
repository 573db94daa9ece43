/* State rows of what members send: posts, envelopes, counters, agreements.  Formats: rows.h. */
#include "broker/rows.h"
#include "broker/rows_pack.h"

_Static_assert(sizeof(struct nda_row) == 136 + NDA_PARTIES_MAX * 72, "nda_row is stored as it is: no implicit padding");

/* ---- posts */
#define POST_BYTES 41

static void walk_post(struct pack *p, struct rows_post *r)
{
	field(p, r->sender_org, 16);
	field_u32(p, &r->version);
	field_bool(p, &r->withdrawn);
	field_u64(p, &r->position);
	field_i64(p, &r->expires_at);
	field_u32(p, &r->bulk);
	assert(p->at == POST_BYTES);
}

static void post_key(uint8_t key[9], uint8_t channel, uint64_t seq)
{
	key[0] = channel;
	put_u64be(key + 1, seq);
}

int rows_get_post(struct txn *t, uint8_t channel, uint64_t seq, struct rows_post *r)
{
	uint8_t key[9];
	struct bytes value;
	struct pack p = {0};
	int rc;

	post_key(key, channel, seq);
	if ((rc = env_get(t, T_POST, BYTES_OF(key), &value)) != RK_OK)
		return rc;
	if (value.len != POST_BYTES)
		return RK_ESTORE;
	p.in = value.data;
	memset(r, 0, sizeof(*r));
	walk_post(&p, r);
	return RK_OK;
}

int rows_put_post(struct txn *t, uint8_t channel, uint64_t seq, const struct rows_post *r)
{
	uint8_t key[9], b[POST_BYTES];
	struct rows_post copy = *r;
	struct pack p = {.out = b};

	post_key(key, channel, seq);
	walk_post(&p, &copy);
	return env_put(t, T_POST, BYTES_OF(key), BYTES_OF(b), ENV_PUT);
}

/* ---- envelopes */
#define ENVELOPE_BYTES 71
#define RECIPIENT_BYTES 17

static void walk_envelope(struct pack *p, struct rows_envelope *r)
{
	field_u8(p, &r->kind);
	field_bool(p, &r->reply_only);
	field(p, r->sender_org, 16);
	field(p, r->nda_id, 32);
	field_u64(p, &r->position);
	field_i64(p, &r->expires_at);
	field_u32(p, &r->bulk);
	field_u8(p, &r->recipient_count);
	assert(p->at == ENVELOPE_BYTES);
}

static void walk_recipients(struct pack *p, struct rows_envelope *r)
{
	for (unsigned i = 0; i < r->recipient_count; i++) {
		field(p, r->recipients[i].org_id, 16);
		field_u8(p, &r->recipients[i].state);
	}
}

int rows_get_envelope(struct txn *t, const uint8_t env_id[32], struct rows_envelope *r)
{
	struct bytes value;
	struct pack p = {0};
	int rc = env_get(t, T_ENVELOPE, bytes_make(env_id, 32), &value);

	if (rc != RK_OK)
		return rc;
	if (value.len < ENVELOPE_BYTES)
		return RK_ESTORE;
	p.in = value.data;
	memset(r, 0, sizeof(*r));
	walk_envelope(&p, r);
	if (r->recipient_count > ROWS_RECIPIENTS_MAX ||
	    value.len != ENVELOPE_BYTES + (size_t)r->recipient_count * RECIPIENT_BYTES)
		return RK_ESTORE;
	walk_recipients(&p, r);
	return RK_OK;
}

int rows_put_envelope(struct txn *t, const uint8_t env_id[32], const struct rows_envelope *r)
{
	uint8_t b[ENVELOPE_BYTES + ROWS_RECIPIENTS_MAX * RECIPIENT_BYTES];
	struct rows_envelope copy = *r;
	struct pack p = {.out = b};

	assert(r->recipient_count <= ROWS_RECIPIENTS_MAX);
	walk_envelope(&p, &copy);
	walk_recipients(&p, &copy);
	return env_put(t, T_ENVELOPE, bytes_make(env_id, 32), bytes_make(b, p.at), ENV_PUT);
}

int rows_recipient_index(const struct rows_envelope *r, const uint8_t org_id[16])
{
	for (int i = 0; i < r->recipient_count; i++)
		if (memcmp(r->recipients[i].org_id, org_id, 16) == 0)
			return i;
	return -1;
}

#define WRAP_BYTES 13
#define WRAP_RELEASED 1u
#define WRAP_NACKED 2u

static void wrap_key(uint8_t key[48], const uint8_t env_id[32], const uint8_t device_id[16])
{
	memcpy(key, env_id, 32);
	memcpy(key + 32, device_id, 16);
}

int rows_get_wrap(struct txn *t, const uint8_t env_id[32], const uint8_t device_id[16], struct rows_wrap *r)
{
	uint8_t key[48];
	struct bytes value;
	int rc;

	wrap_key(key, env_id, device_id);
	if ((rc = env_get(t, T_WRAP, BYTES_OF(key), &value)) != RK_OK)
		return rc;
	if (value.len != WRAP_BYTES || (value.data[4] & ~(WRAP_RELEASED | WRAP_NACKED)) != 0)
		return RK_ESTORE;
	r->kx_serial = get_u32be(value.data);
	r->released = (value.data[4] & WRAP_RELEASED) != 0;
	r->nacked = (value.data[4] & WRAP_NACKED) != 0;
	r->log_index = get_u64be(value.data + 5);
	return RK_OK;
}

int rows_put_wrap(struct txn *t, const uint8_t env_id[32], const uint8_t device_id[16], const struct rows_wrap *r)
{
	uint8_t key[48], b[WRAP_BYTES];

	wrap_key(key, env_id, device_id);
	put_u32be(b, r->kx_serial);
	b[4] = (uint8_t)((r->released ? WRAP_RELEASED : 0) | (r->nacked ? WRAP_NACKED : 0));
	put_u64be(b + 5, r->log_index);
	return env_put(t, T_WRAP, BYTES_OF(key), BYTES_OF(b), ENV_PUT);
}

void rows_pending_key(uint8_t out[ROWS_PENDING_KEY_BYTES], const uint8_t nda_id[32], const uint8_t env_id[32],
                      const uint8_t org_id[16])
{
	memcpy(out, nda_id, 32);
	memcpy(out + 32, env_id, 32);
	memcpy(out + 64, org_id, 16);
}

int rows_put_pending(struct txn *t, const uint8_t key[ROWS_PENDING_KEY_BYTES], uint32_t bytes, uint8_t kind)
{
	uint8_t b[5];

	put_u32be(b, bytes);
	b[4] = kind;
	return env_put(t, T_PENDING, bytes_make(key, ROWS_PENDING_KEY_BYTES), BYTES_OF(b), ENV_PUT);
}

bool rows_read_pending(struct bytes value, uint32_t *bytes, uint8_t *kind)
{
	if (value.len != 5)
		return false;
	*bytes = get_u32be(value.data);
	*kind = value.data[4];
	return true;
}

/* ---- counters */
static struct bytes quota_key(uint8_t key[33], enum rows_quota_kind kind, const uint8_t *a, const uint8_t *b)
{
	key[0] = (uint8_t)kind;
	memcpy(key + 1, a, 16);
	if (b)
		memcpy(key + 17, b, 16);
	return bytes_make(key, b ? 33 : 17);
}

int rows_get_quota(struct txn *t, enum rows_quota_kind kind, const uint8_t a[16], const uint8_t *b, uint64_t *out)
{
	uint8_t key[33];
	struct bytes value;
	int rc = env_get(t, T_QUOTA, quota_key(key, kind, a, b), &value);

	*out = 0;
	if (rc == RK_ENOTFOUND)
		return RK_OK;
	if (rc != RK_OK)
		return rc;
	if (value.len != 8)
		return RK_ESTORE;
	*out = get_u64be(value.data);
	return RK_OK;
}

int rows_put_quota(struct txn *t, enum rows_quota_kind kind, const uint8_t a[16], const uint8_t *b, uint64_t value)
{
	uint8_t key[33], v[8];
	struct bytes k = quota_key(key, kind, a, b);
	int rc;

	if (value == 0) {
		rc = env_del(t, T_QUOTA, k);
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	}
	put_u64be(v, value);
	return env_put(t, T_QUOTA, k, BYTES_OF(v), ENV_HOLD);
}

/* ---- agreements */
int rows_get_nda(struct txn *t, const uint8_t nda_id[32], struct nda_row *row)
{
	struct bytes value;
	int rc = env_get(t, T_NDA, bytes_make(nda_id, 32), &value);

	if (rc != RK_OK)
		return rc;
	if (value.len != sizeof(*row))
		return RK_ESTORE;
	memcpy(row, value.data, sizeof(*row));
	return row->party_count <= NDA_PARTIES_MAX && memcmp(row->nda_id, nda_id, 32) == 0 ? RK_OK : RK_ESTORE;
}

int rows_put_nda(struct txn *t, const struct nda_row *row)
{
	return env_put(t, T_NDA, bytes_make(row->nda_id, 32), bytes_make(row, sizeof(*row)), ENV_PUT);
}

#define ACT_BYTES 74

static bool read_act(struct bytes key, struct bytes value, struct nda_act *act)
{
	struct pack p = {.in = value.data};

	memset(act, 0, sizeof(*act));
	if (key.len != 40 || value.len < ACT_BYTES)
		return false;
	act->log_index = get_u64be(key.data + 32);
	field_i64(&p, &act->time_ms);
	field(&p, act->payload_sha256, 32);
	field(&p, act->oh, 32);
	field_u8(&p, &act->party);
	field_u8(&p, &act->kind);
	return true;
}

int rows_get_acts(struct txn *t, const uint8_t nda_id[32], struct nda_act *acts, size_t *n)
{
	struct env_cursor *c = NULL;
	struct bytes key, value;
	int rc;

	*n = 0;
	if ((rc = env_cursor_open(t, T_NDA_ACT, &c)) != RK_OK)
		return rc;
	rc = env_cursor_seek(c, bytes_make(nda_id, 32), &key, &value);
	while (rc == RK_OK && key.len >= 32 && memcmp(key.data, nda_id, 32) == 0) {
		if (*n >= NDA_ACTS_MAX || !read_act(key, value, &acts[*n])) {
			rc = RK_ESTORE;
			break;
		}
		(*n)++;
		rc = env_cursor_next(c, &key, &value);
	}
	env_cursor_free(c);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int rows_put_act(struct txn *t, const uint8_t nda_id[32], const struct nda_act *act, struct bytes signed_act)
{
	uint8_t key[40], fixed[ACT_BYTES], *room;
	struct nda_act copy = *act;
	struct pack p = {.out = fixed};
	int rc;

	memcpy(key, nda_id, 32);
	put_u64be(key + 32, act->log_index);
	field_i64(&p, &copy.time_ms);
	field(&p, copy.payload_sha256, 32);
	field(&p, copy.oh, 32);
	field_u8(&p, &copy.party);
	field_u8(&p, &copy.kind);
	assert(p.at == ACT_BYTES);
	if ((rc = env_reserve(t, T_NDA_ACT, BYTES_OF(key), ACT_BYTES + signed_act.len, ENV_NEW, &room)) != RK_OK)
		return rc;
	memcpy(room, fixed, ACT_BYTES);
	memcpy(room + ACT_BYTES, signed_act.data, signed_act.len);
	return RK_OK;
}
