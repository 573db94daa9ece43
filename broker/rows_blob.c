/* State rows of attachments: whose they are and how far, never their bytes.  Formats: rows.h. */
#include "broker/rows.h"
#include "broker/rows_pack.h"

/* ---- attachments */
#define BLOB_BYTES 97

static void walk_blob(struct pack *p, struct rows_blob *r)
{
	field_u8(p, &r->state);
	field(p, r->org_id, 16);
	field(p, r->nda_id, 32);
	field_u64(p, &r->len);
	field_i64(p, &r->opened_at);
	field(p, r->env_id, 32);
	assert(p->at == BLOB_BYTES);
}

bool rows_read_blob(struct bytes value, struct rows_blob *r)
{
	struct pack p = {.in = value.data};

	memset(r, 0, sizeof(*r));
	if (value.len != BLOB_BYTES)
		return false;
	walk_blob(&p, r);
	return r->state <= BLOB_DROPPED;
}

int rows_get_blob(struct txn *t, const uint8_t sha256[32], struct rows_blob *r)
{
	struct bytes value;
	int rc = env_get(t, T_BLOB, bytes_make(sha256, 32), &value);

	if (rc != RK_OK)
		return rc;
	return rows_read_blob(value, r) ? RK_OK : RK_ESTORE;
}

int rows_put_blob(struct txn *t, const uint8_t sha256[32], const struct rows_blob *r)
{
	uint8_t b[BLOB_BYTES];
	struct rows_blob copy = *r;
	struct pack p = {.out = b};

	walk_blob(&p, &copy);
	return env_put(t, T_BLOB, bytes_make(sha256, 32), BYTES_OF(b), ENV_PUT);
}

int rows_del_blob(struct txn *t, const uint8_t sha256[32])
{
	return env_del(t, T_BLOB, bytes_make(sha256, 32));
}

/* ---- those that no envelope has yet */
static void upload_key(uint8_t key[48], const uint8_t org_id[16], const uint8_t *sha256)
{
	memcpy(key, org_id, 16);
	if (sha256)
		memcpy(key + 16, sha256, 32);
	else
		memset(key + 16, 0, 32);
}

int rows_put_upload(struct txn *t, const uint8_t org_id[16], const uint8_t sha256[32])
{
	static const uint8_t nothing[1] = {0};
	uint8_t key[48];

	upload_key(key, org_id, sha256);
	return env_put(t, T_UPLOAD, BYTES_OF(key), BYTES_OF(nothing), ENV_PUT);
}

int rows_del_upload(struct txn *t, const uint8_t org_id[16], const uint8_t sha256[32])
{
	uint8_t key[48];
	int rc;

	upload_key(key, org_id, sha256);
	rc = env_del(t, T_UPLOAD, BYTES_OF(key));
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int rows_next_upload(struct txn *t, const uint8_t org_id[16], const uint8_t *after, uint8_t sha256[32])
{
	struct env_cursor *c = NULL;
	struct bytes key, value;
	uint8_t from[48];
	int rc;

	upload_key(from, org_id, after);
	if ((rc = env_cursor_open(t, T_UPLOAD, &c)) != RK_OK)
		return rc;
	rc = env_cursor_seek(c, BYTES_OF(from), &key, &value);
	if (rc == RK_OK && after && bytes_equal(key, BYTES_OF(from)))
		rc = env_cursor_next(c, &key, &value);
	if (rc == RK_OK && key.len != 48)
		rc = RK_ESTORE;
	if (rc == RK_OK && memcmp(key.data, org_id, 16) != 0)
		rc = RK_ENOTFOUND;
	if (rc == RK_OK)
		memcpy(sha256, key.data + 16, 32);
	env_cursor_free(c);
	return rc;
}

/* ---- attachments of an envelope */
#define ATTACHED_BYTES 40

static void attached_key(uint8_t key[33], const uint8_t env_id[32], uint8_t index)
{
	memcpy(key, env_id, 32);
	key[32] = index;
}

int rows_get_attached(struct txn *t, const uint8_t env_id[32], uint8_t index, struct rows_attached *r)
{
	struct bytes value;
	uint8_t key[33];
	int rc;

	attached_key(key, env_id, index);
	if ((rc = env_get(t, T_ATTACHED, BYTES_OF(key), &value)) != RK_OK)
		return rc;
	if (value.len != ATTACHED_BYTES)
		return RK_ESTORE;
	memcpy(r->sha256, value.data, 32);
	r->len = get_u64be(value.data + 32);
	return RK_OK;
}

int rows_put_attached(struct txn *t, const uint8_t env_id[32], uint8_t index, const struct rows_attached *r)
{
	uint8_t key[33], b[ATTACHED_BYTES];

	attached_key(key, env_id, index);
	memcpy(b, r->sha256, 32);
	put_u64be(b + 32, r->len);
	return env_put(t, T_ATTACHED, BYTES_OF(key), BYTES_OF(b), ENV_PUT);
}

int rows_del_attached(struct txn *t, const uint8_t env_id[32], uint8_t index)
{
	uint8_t key[33];

	attached_key(key, env_id, index);
	return env_del(t, T_ATTACHED, BYTES_OF(key));
}
