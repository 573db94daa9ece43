/* State rows of members: organisations, devices, keys, invites, writers.  Formats: rows.h. */
#include "broker/rows.h"
#include "broker/rows_pack.h"

/* ---- organisations */
#define ORG_BYTES 133

static void walk_org(struct pack *p, struct rows_org *r)
{
	field_u8(p, &r->status);
	field_u32(p, &r->roles);
	field(p, r->org_pk, 32);
	field(p, r->key_fp, 32);
	field(p, r->invite_id, 16);
	field_u64(p, &r->devices_serial);
	field(p, r->devices_oh, 32);
	field_u64(p, &r->min_devices_serial);
	assert(p->at == ORG_BYTES);
}

bool rows_read_org(struct bytes value, struct rows_org *r)
{
	struct pack p = {.in = value.data};

	memset(r, 0, sizeof(*r));
	if (value.len != ORG_BYTES)
		return false;
	walk_org(&p, r);
	return true;
}

int rows_get_org(struct txn *t, const uint8_t org_id[16], struct rows_org *r)
{
	struct bytes value;
	int rc = env_get(t, T_ORG, bytes_make(org_id, 16), &value);

	if (rc != RK_OK)
		return rc;
	return rows_read_org(value, r) ? RK_OK : RK_ESTORE;
}

int rows_put_org(struct txn *t, const uint8_t org_id[16], const struct rows_org *r)
{
	uint8_t b[ORG_BYTES];
	struct rows_org copy = *r;
	struct pack p = {.out = b};

	walk_org(&p, &copy);
	return env_put(t, T_ORG, bytes_make(org_id, 16), BYTES_OF(b), ENV_PUT);
}

int rows_get_line(struct txn *t, const uint8_t org_id[16], struct rows_line *line)
{
	struct bytes value;
	int rc = env_get(t, T_ORG_LINE, bytes_make(org_id, 16), &value);

	line->count = 0;
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	if (value.len == 0 || value.len % 32 != 0 || value.len > sizeof(line->fp))
		return RK_ESTORE;
	memcpy(line->fp, value.data, value.len);
	line->count = value.len / 32;
	return RK_OK;
}

int rows_put_line(struct txn *t, const uint8_t org_id[16], const struct rows_line *line)
{
	int rc;

	if (line->count > 0)
		return env_put(t, T_ORG_LINE, bytes_make(org_id, 16), bytes_make(line->fp, line->count * 32), ENV_PUT);
	rc = env_del(t, T_ORG_LINE, bytes_make(org_id, 16));
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

/* ---- devices */
#define DEVICE_BYTES 118

static void walk_device(struct pack *p, struct rows_device *r)
{
	field_u8(p, &r->state);
	field(p, r->org_id, 16);
	field(p, r->sign_pk, 32);
	field(p, r->curve_pk, 32);
	field_i64(p, &r->retired_at);
	field_u32(p, &r->kx_serial);
	field_i64(p, &r->kx_not_after);
	field_i64(p, &r->kx_before_not_after);
	field_u8(p, &r->writer_count);
	field(p, r->writer_epoch, 8);
	assert(p->at == DEVICE_BYTES);
}

bool rows_read_device(struct bytes value, struct rows_device *r)
{
	struct pack p = {.in = value.data};

	memset(r, 0, sizeof(*r));
	if (value.len != DEVICE_BYTES)
		return false;
	walk_device(&p, r);
	return true;
}

int rows_get_device(struct txn *t, const uint8_t device_id[16], struct rows_device *r)
{
	struct bytes value;
	int rc = env_get(t, T_DEVICE, bytes_make(device_id, 16), &value);

	if (rc != RK_OK)
		return rc;
	return rows_read_device(value, r) ? RK_OK : RK_ESTORE;
}

int rows_put_device(struct txn *t, const uint8_t device_id[16], const struct rows_device *r)
{
	uint8_t b[DEVICE_BYTES];
	struct rows_device copy = *r;
	struct pack p = {.out = b};

	walk_device(&p, &copy);
	return env_put(t, T_DEVICE, bytes_make(device_id, 16), BYTES_OF(b), ENV_PUT);
}

/* ---- desks */
#define DESKS_MAX 16

int rows_is_at_desk(struct txn *t, const uint8_t device_id[16], uint32_t desk_id, bool *yes)
{
	struct bytes value;
	int rc;

	*yes = desk_id == 0;
	if (*yes)
		return RK_OK;
	rc = env_get(t, T_DESK, bytes_make(device_id, 16), &value);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	if (value.len == 0 || value.len % 4 != 0 || value.len > 4 * DESKS_MAX)
		return RK_ESTORE;
	for (size_t i = 0; i < value.len; i += 4)
		*yes |= get_u32be(value.data + i) == desk_id;
	return RK_OK;
}

int rows_put_desks(struct txn *t, const uint8_t device_id[16], const uint32_t *desks, size_t n)
{
	uint8_t b[4 * DESKS_MAX];
	int rc;

	assert(n <= DESKS_MAX); /* the strict parser counts them */
	if (n == 0) {
		rc = env_del(t, T_DESK, bytes_make(device_id, 16));
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	}
	for (size_t i = 0; i < n; i++)
		put_u32be(b + 4 * i, desks[i]);
	return env_put(t, T_DESK, bytes_make(device_id, 16), bytes_make(b, 4 * n), ENV_PUT);
}

/* ---- keys */
bool rows_has_key(struct txn *t, const uint8_t pk[32])
{
	return env_has(t, T_KEY, bytes_make(pk, 32));
}

int rows_get_key(struct txn *t, const uint8_t pk[32], enum rows_key_use *use)
{
	struct bytes value;
	int rc = env_get(t, T_KEY, bytes_make(pk, 32), &value);

	if (rc != RK_OK)
		return rc;
	if (value.len != 17)
		return RK_ESTORE;
	*use = (enum rows_key_use)value.data[0];
	return RK_OK;
}

int rows_put_key(struct txn *t, const uint8_t pk[32], enum rows_key_use use, const uint8_t owner[16])
{
	uint8_t b[17];

	b[0] = (uint8_t)use;
	memcpy(b + 1, owner, 16);
	return env_put(t, T_KEY, bytes_make(pk, 32), BYTES_OF(b), ENV_PUT);
}

/* ---- invites */
#define INVITE_BYTES 161

static void walk_invite(struct pack *p, struct rows_invite *r, uint32_t *devices_len, uint32_t *kx_len)
{
	field_u8(p, &r->state);
	field(p, r->curve_pk, 32);
	field_i64(p, &r->expires_at);
	field(p, r->org_id, 16);
	field(p, r->request_sha256, 32);
	field(p, r->devices_oh, 32);
	field(p, r->kx_oh, 32);
	field_u32(p, devices_len);
	field_u32(p, kx_len);
	assert(p->at == INVITE_BYTES);
}

bool rows_read_invite(struct bytes value, struct rows_invite *r)
{
	struct pack p = {.in = value.data};
	uint32_t devices_len = 0, kx_len = 0;

	memset(r, 0, sizeof(*r));
	if (value.len < INVITE_BYTES)
		return false;
	walk_invite(&p, r, &devices_len, &kx_len);
	if (value.len != (size_t)INVITE_BYTES + devices_len + kx_len)
		return false;
	r->devices = bytes_make(value.data + INVITE_BYTES, devices_len);
	r->kx = bytes_make(value.data + INVITE_BYTES + devices_len, kx_len);
	return true;
}

int rows_get_invite(struct txn *t, const uint8_t invite_id[16], struct rows_invite *r)
{
	struct bytes value;
	int rc = env_get(t, T_INVITE, bytes_make(invite_id, 16), &value);

	if (rc != RK_OK)
		return rc;
	return rows_read_invite(value, r) ? RK_OK : RK_ESTORE;
}

int rows_put_invite(struct txn *t, const uint8_t invite_id[16], const struct rows_invite *r)
{
	struct rows_invite copy = *r;
	uint8_t fixed[INVITE_BYTES], *room;
	uint32_t devices_len = (uint32_t)r->devices.len, kx_len = (uint32_t)r->kx.len;
	struct pack p = {.out = fixed};
	int rc;

	walk_invite(&p, &copy, &devices_len, &kx_len);
	rc = env_reserve(t, T_INVITE, bytes_make(invite_id, 16), INVITE_BYTES + r->devices.len + r->kx.len, ENV_PUT,
			 &room);
	if (rc != RK_OK)
		return rc;
	memcpy(room, fixed, INVITE_BYTES);
	if (r->devices.len > 0)
		memcpy(room + INVITE_BYTES, r->devices.data, r->devices.len);
	if (r->kx.len > 0)
		memcpy(room + INVITE_BYTES + r->devices.len, r->kx.data, r->kx.len);
	return RK_OK;
}

/* ---- writers: outcomes in parts, so that a number writes one of them and not all */
#define WRITER_PARTS 8u
#define PART_SLOTS (ROWS_WRITER_SLOTS / WRITER_PARTS)
#define WRITER_KEY_BYTES 24
_Static_assert(WRITER_PARTS <= 8, "loaded and dirty have a bit for each");

static void writer_key(uint8_t key[WRITER_KEY_BYTES + 1], const uint8_t device_id[16], const uint8_t epoch[8], unsigned part)
{
	memcpy(key, device_id, 16);
	memcpy(key + 16, epoch, 8);
	key[WRITER_KEY_BYTES] = (uint8_t)part;
}

static struct bytes head_key(const uint8_t key[WRITER_KEY_BYTES + 1])
{
	return bytes_make(key, WRITER_KEY_BYTES);
}

static unsigned part_of(uint64_t number)
{
	return (unsigned)((number - 1) / PART_SLOTS % WRITER_PARTS);
}

/* Until the ring is full, a part has what has come so far. */
static size_t part_bytes(unsigned part, uint64_t last)
{
	uint64_t before = (uint64_t)part * PART_SLOTS, slots = last <= before ? 0 : last - before;

	return (size_t)(slots < PART_SLOTS ? slots : PART_SLOTS) * ROWS_SLOT_BYTES;
}

static uint8_t *part_at(struct rows_writer *w, unsigned part)
{
	return w->slots + (size_t)part * PART_SLOTS * ROWS_SLOT_BYTES;
}

void rows_writer_init(struct rows_writer *w)
{
	w->last = 0;
	w->loaded = UINT8_MAX; /* nothing is there */
	w->dirty = 0;
}

int rows_get_writer(struct txn *t, const uint8_t device_id[16], const uint8_t epoch[8], struct rows_writer *w)
{
	uint8_t key[WRITER_KEY_BYTES + 1];
	struct bytes value;
	int rc;

	writer_key(key, device_id, epoch, 0);
	rows_writer_init(w);
	if ((rc = env_get(t, T_WRITER, head_key(key), &value)) != RK_OK)
		return rc;
	if (value.len != 8)
		return RK_ESTORE;
	w->last = get_u64be(value.data);
	w->loaded = 0;
	return RK_OK;
}

int rows_writer_load(struct txn *t, const uint8_t device_id[16], const uint8_t epoch[8], struct rows_writer *w, uint64_t number)
{
	unsigned part = part_of(number);
	size_t len = part_bytes(part, w->last);
	uint8_t key[WRITER_KEY_BYTES + 1];
	struct bytes value = {0};
	int rc;

	if ((w->loaded & 1u << part) != 0)
		return RK_OK;
	writer_key(key, device_id, epoch, part);
	if (len > 0 && (rc = env_get(t, T_WRITER, BYTES_OF(key), &value)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	if (value.len != len)
		return RK_ESTORE;
	if (len > 0)
		memcpy(part_at(w, part), value.data, len);
	w->loaded |= (uint8_t)(1u << part);
	return RK_OK;
}

bool rows_has_writer(struct txn *t, const uint8_t device_id[16], const uint8_t epoch[8])
{
	uint8_t key[WRITER_KEY_BYTES + 1];

	writer_key(key, device_id, epoch, 0);
	return env_has(t, T_WRITER, head_key(key));
}

int rows_put_writer(struct txn *t, const uint8_t device_id[16], const uint8_t epoch[8], struct rows_writer *w)
{
	uint8_t key[WRITER_KEY_BYTES + 1], last[8];
	int rc;

	writer_key(key, device_id, epoch, 0);
	put_u64be(last, w->last);
	rc = env_put(t, T_WRITER, head_key(key), BYTES_OF(last), ENV_PUT);
	for (unsigned part = 0; rc == RK_OK && part < WRITER_PARTS; part++) {
		if ((w->dirty & 1u << part) == 0)
			continue;
		key[WRITER_KEY_BYTES] = (uint8_t)part;
		rc = env_put(t, T_WRITER, BYTES_OF(key), bytes_make(part_at(w, part), part_bytes(part, w->last)), ENV_PUT);
	}
	w->dirty = 0;
	return rc;
}

static size_t slot_at(uint64_t number)
{
	return (size_t)((number - 1) % ROWS_WRITER_SLOTS) * ROWS_SLOT_BYTES;
}

bool rows_writer_find(const struct rows_writer *w, uint64_t number, struct rows_outcome *o)
{
	const uint8_t *s;

	if (number == 0 || number > w->last || w->last - number >= ROWS_WRITER_SLOTS)
		return false;
	assert((w->loaded & 1u << part_of(number)) != 0);
	s = w->slots + slot_at(number);
	memcpy(o->header_hash, s, 8);
	o->code = get_u16be(s + 8);
	o->logged = s[10] != 0;
	o->seq = get_u64be(s + 11);
	o->log_index = get_u64be(s + 19);
	return true;
}

void rows_writer_push(struct rows_writer *w, const struct rows_outcome *o)
{
	uint64_t number = w->last + 1;
	uint8_t *s = w->slots + slot_at(number);

	assert((w->loaded & 1u << part_of(number)) != 0);
	w->last = number;
	w->dirty |= (uint8_t)(1u << part_of(number));
	memcpy(s, o->header_hash, 8);
	put_u16be(s + 8, o->code);
	s[10] = o->logged;
	put_u64be(s + 11, o->seq);
	put_u64be(s + 19, o->log_index);
}
