/* The world's attachments: there are no files here, so what the blobs thread would have found is said. */
#include "tests/unit/world.h"

#include "proto/strict.h"

#define NEW_MESSAGE(var, type, Type, arena) \
	Rk__##Type *var = fixed_alloc((arena), sizeof(*var)); \
	rk__##type##__init(var)
#define need world_need

static const struct bytes nothing = {NULL, 0};

Rk__BlobRef *world_blob(struct world *w, uint64_t len)
{
	NEW_MESSAGE(b, blob_ref, BlobRef, w->arena);

	b->sha256 = world_fresh(w, 32);
	b->len = len;
	return b;
}

struct command *world_blob_open_command(struct world *w, int org, const uint8_t nda_id[32], const Rk__BlobRef *b)
{
	Rk__Request *req = world_request(w, org, 0, RK__OP__OP_BLOB_OPEN);
	NEW_MESSAGE(open, blob_open, BlobOpen, w->arena);

	open->nda_id = world_copy(w, nda_id, 32);
	open->sha256 = b->sha256;
	open->len = b->len;
	req->blob_open = open;
	return world_command(w, org, 0, req, nothing, nothing, nothing);
}

int world_blob_open(struct world *w, int org, const uint8_t nda_id[32], const Rk__BlobRef *b)
{
	return world_run(w, world_blob_open_command(w, org, nda_id, b));
}

struct command *world_blob_put_command(struct world *w, int org, const Rk__BlobRef *b, uint64_t have, bool is_complete)
{
	Rk__Request *req = world_request(w, org, 0, RK__OP__OP_BLOB_PUT);
	NEW_MESSAGE(put, blob_put, BlobPut, w->arena);
	struct command *c;

	put->sha256 = b->sha256;
	put->offset = have;
	req->blob_put = put;
	c = world_command(w, org, 0, req, nothing, nothing, nothing);
	c->blob = (struct command_blob){.have = have, .is_complete = is_complete};
	return c;
}

int world_blob_put(struct world *w, int org, const Rk__BlobRef *b, uint64_t have, bool is_complete)
{
	return world_run(w, world_blob_put_command(w, org, b, have, is_complete));
}

Rk__BlobRef *world_blob_ready(struct world *w, int org, const uint8_t nda_id[32], uint64_t len)
{
	Rk__BlobRef *b = world_blob(w, len);

	need(world_blob_open(w, org, nda_id, b) == RK_OK);
	need(world_blob_put(w, org, b, len, true) == RK_OK);
	return b;
}

struct command *world_blob_disclose_command(struct world *w, int org, unsigned to, const uint8_t nda_id[32], Rk__BlobRef **blobs, size_t n,
					    uint8_t env_id[32])
{
	Rk__EnvelopeHeader *h = world_header(w, RK__KIND__NDA, org, 0, to);
	struct command *c;
	struct nda_row nda;

	world_nda(w, nda_id, &nda);
	h->nda_id = world_copy(w, nda_id, 32);
	h->nda_set = world_copy(w, nda.nda_set, 32);
	h->marking = RK__MARKING__CONFIDENTIAL;
	h->blobs = blobs;
	h->n_blobs = n;
	c = world_submit_command(w, org, 0, h, to);
	if (env_id)
		memcpy(env_id, c->env_id, 32);
	return c;
}

int world_blob_disclose(struct world *w, int org, unsigned to, const uint8_t nda_id[32], Rk__BlobRef **blobs, size_t n, uint8_t env_id[32])
{
	return world_run(w, world_blob_disclose_command(w, org, to, nda_id, blobs, n, env_id));
}

struct command *world_blob_fetch_command(struct world *w, int org, int device, const uint8_t env_id[32], uint32_t blob, uint64_t offset,
					 uint32_t len)
{
	Rk__Request *req = world_request(w, org, device, RK__OP__OP_FETCH);
	NEW_MESSAGE(f, fetch, Fetch, w->arena);
	struct command *c;

	f->env_id = world_copy(w, env_id, 32);
	f->blob = blob;
	f->offset = offset;
	f->len = len;
	req->fetch = f;
	c = world_command(w, org, device, req, nothing, nothing, nothing);
	if (len > 0)
		c->blob = (struct command_blob){.is_read = true, .bulk = bytes_of(world_fresh(w, len))};
	return c;
}

int world_blob_fetch(struct world *w, int org, int device, const uint8_t env_id[32], uint32_t blob, uint64_t offset, uint32_t len)
{
	return world_run(w, world_blob_fetch_command(w, org, device, env_id, blob, offset, len));
}
