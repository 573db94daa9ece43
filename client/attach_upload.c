/* Attachments on their way to the exchange: records of what an item of the outbox waits for. */
#include "client/attach_internal.h"
#include "client/client_internal.h"
#include "proto/strict.h"

static void upload_key(uint8_t key[ATTACH_UPLOAD_KEY_BYTES], uint64_t item, size_t index)
{
	put_u64be(key, item);
	key[8] = (uint8_t)index;
}

int attach_load_upload(struct txn *t, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], struct arena *a, Rkl__UploadRecord **out)
{
	return record_get(t, C_UPLOAD, bytes_make(key, ATTACH_UPLOAD_KEY_BYTES), &rkl__upload_record__descriptor, a, (ProtobufCMessage **)out);
}

int attach_store_upload(struct txn *t, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], const Rkl__UploadRecord *record)
{
	return record_put(t, C_UPLOAD, bytes_make(key, ATTACH_UPLOAD_KEY_BYTES), &record->base);
}

int attach_open(struct client *c, struct txn *t, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct outbox_request request = {.op = RK__OP__OP_BLOB_OPEN, .what = "dossier send", .nda_id = record->nda_id.data,
	                                 .blob_sha256 = record->sha256.data, .blob_len = record->len, .ref = bytes_of(record->sha256)};
	int r;

	if (record->open_item != 0)
		return RK_OK;
	if (record->sha256.len != 32 || record->nda_id.len != 32)
		return RK_ESTORE;
	if ((r = outbox_add(c, t, &request, &record->open_item)) != RK_OK)
		return r;
	record->opened_at = 0;
	return attach_store_upload(t, key, record);
}

int attach_add(struct client *c, struct txn *t, uint64_t item, const uint8_t nda_id[32], const struct spooled *list, size_t n)
{
	int r = RK_OK;

	for (size_t i = 0; i < n && r == RK_OK; i++) {
		Rkl__UploadRecord record = RKL__UPLOAD_RECORD__INIT;
		uint8_t key[ATTACH_UPLOAD_KEY_BYTES];

		upload_key(key, item, i);
		record.sha256 = pb_of(BYTES_OF(list[i].sha256));
		record.len = list[i].len;
		record.plain_len = list[i].plain_len;
		record.nda_id = pb_of(bytes_make(nda_id, 32));
		record.moved_at = client_now(c);
		r = attach_open(c, t, key, &record);
	}
	return r;
}

struct each_upload {
	attach_upload_fn *fn;
	void *user;
};

static int pass_upload(void *user, struct bytes key, ProtobufCMessage *m)
{
	struct each_upload *e = user;

	return key.len != ATTACH_UPLOAD_KEY_BYTES ? RK_ESTORE : e->fn(e->user, key.data, (Rkl__UploadRecord *)(void *)m);
}

int attach_each_upload(struct txn *t, struct arena *a, attach_upload_fn *fn, void *user)
{
	struct attach_walk w = {t, C_UPLOAD, &rkl__upload_record__descriptor, a};
	struct each_upload e = {fn, user};

	return attach_walk(&w, (struct bytes){0}, pass_upload, &e);
}

/* The uploads of one item; at most ATTACH_MAX, so that a table that is changed meanwhile is walked by index. */
struct of_item {
	Rkl__UploadRecord *record[ATTACH_MAX];
	uint8_t key[ATTACH_MAX][ATTACH_UPLOAD_KEY_BYTES];
	size_t count;
	struct arena *a;
};

static int load_item(struct txn *t, uint64_t item, struct of_item *out)
{
	int r = RK_OK;

	out->count = 0;
	if ((out->a = arena_new(ATTACH_ARENA)) == NULL)
		return RK_ENOMEM;
	while (out->count < ATTACH_MAX) {
		upload_key(out->key[out->count], item, out->count);
		if ((r = attach_load_upload(t, out->key[out->count], out->a, &out->record[out->count])) != RK_OK)
			break;
		out->count++;
	}
	return r == RK_ENOTFOUND ? RK_OK : r;
}

bool attach_is_held(struct txn *t, uint64_t item)
{
	struct of_item all;
	bool held = false;
	int r = load_item(t, item, &all);

	for (size_t i = 0; i < all.count; i++)
		held |= !all.record[i]->complete;
	arena_free(all.a);
	return held || r != RK_OK;
}

struct held {
	uint64_t last;
	unsigned count;
};

static int count_held(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct held *h = user;

	if (!record->complete && get_u64be(key) != h->last) {
		h->last = get_u64be(key);
		h->count++;
	}
	return RK_OK;
}

unsigned attach_held(struct txn *t)
{
	struct arena *a = arena_new(ATTACH_ARENA);
	struct held h = {0};

	if (a != NULL)
		(void)attach_each_upload(t, a, count_held, &h);
	arena_free(a);
	return h.count;
}

struct opened {
	struct bytes sha256;
	uint64_t open_item, item;
	uint8_t key[ATTACH_UPLOAD_KEY_BYTES];
	bool found;
};

static int find_opened(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct opened *o = user;

	if (record->open_item != o->open_item || !bytes_equal(bytes_of(record->sha256), o->sha256))
		return RK_OK;
	memcpy(o->key, key, sizeof(o->key));
	o->item = get_u64be(key);
	o->found = true;
	return RK_EEXISTS;
}

int attach_on_opened(struct client *c, struct txn *t, uint64_t open_item, struct bytes sha256, int code, uint64_t *waits)
{
	struct opened o = {.sha256 = sha256, .open_item = open_item};
	struct arena *a = arena_new(ATTACH_ARENA);
	Rkl__UploadRecord *record;
	int r;

	*waits = 0;
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = attach_each_upload(t, a, find_opened, &o)) != RK_OK || !o.found)
		goto out;
	if (code != RK_OK) {
		*waits = o.item;
		goto out;
	}
	if ((r = attach_load_upload(t, o.key, a, &record)) == RK_OK) {
		record->open_item = 0;
		record->opened_at = client_now(c);
		r = attach_store_upload(t, o.key, record);
	}
out:
	arena_free(a);
	return r;
}

int attach_on_missing(struct txn *t, uint64_t item)
{
	struct of_item all;
	int r = load_item(t, item, &all);

	for (size_t i = 0; i < all.count && r == RK_OK; i++) {
		all.record[i]->complete = false;
		all.record[i]->opened_at = 0;
		r = attach_store_upload(t, all.key[i], all.record[i]);
	}
	arena_free(all.a);
	return r;
}

int attach_on_sent(struct txn *t, uint64_t item, const uint8_t env_id[32])
{
	struct of_item all;
	int r = load_item(t, item, &all);

	for (size_t i = 0; i < all.count && r == RK_OK; i++) {
		Rkl__BlobRecord blob = RKL__BLOB_RECORD__INIT;
		uint8_t key[ATTACH_BLOB_KEY_BYTES];

		attach_blob_key(key, env_id, i);
		blob.sha256 = all.record[i]->sha256;
		blob.len = all.record[i]->len;
		blob.state = RKL__FETCH_STATE__PROVEN;
		if ((r = attach_store_blob(t, key, &blob)) == RK_OK)
			r = env_del(t, C_UPLOAD, BYTES_OF(all.key[i]));
	}
	arena_free(all.a);
	return r;
}

/* A BLOB_OPEN that has not left need not: it would set room aside for nothing. */
static int drop_open(struct txn *t, uint64_t id, struct arena *a)
{
	Rkl__OutboxItem *item;
	int r = outbox_load(t, id, a, &item);

	if (r != RK_OK || item->state != RKL__ITEM_STATE__QUEUED)
		return r == RK_ENOTFOUND ? RK_OK : r;
	item->state = RKL__ITEM_STATE__DONE;
	item->code = RK_EINTERRUPTED;
	item->sealed_compose = (ProtobufCBinaryData){0};
	return outbox_store(t, item, RKL__ITEM_STATE__QUEUED);
}

int attach_drop(struct txn *t, uint64_t item)
{
	struct of_item all;
	int r = load_item(t, item, &all);

	for (size_t i = 0; i < all.count && r == RK_OK; i++) {
		if (all.record[i]->open_item != 0)
			r = drop_open(t, all.record[i]->open_item, all.a);
		if (r == RK_OK)
			r = env_del(t, C_UPLOAD, BYTES_OF(all.key[i]));
	}
	arena_free(all.a);
	return r;
}

int attach_cancel(struct client *c, struct txn *t, uint64_t id)
{
	struct arena *a = arena_new(ATTACH_ARENA);
	Rkl__OutboxItem *item;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	/* The key of what waits here goes too. */
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK || (r = outbox_load(t, id, a, &item)) != RK_OK)
		goto out;
	if (item->attachments == 0 || item->state == RKL__ITEM_STATE__DONE)
		r = RK_ENOTFOUND;
	else if (item->state != RKL__ITEM_STATE__QUEUED)
		r = RK_CONFLICT;
	if (r != RK_OK || (r = outbox_key_destroy(c, item)) != RK_OK)
		goto out;
	item->state = RKL__ITEM_STATE__DONE;
	item->code = RK_EINTERRUPTED;
	item->time_ms = client_now(c);
	item->sealed_compose = (ProtobufCBinaryData){0};
	if ((r = outbox_store(t, item, RKL__ITEM_STATE__QUEUED)) == RK_OK)
		r = attach_drop(t, id);
out:
	arena_free(a);
	return r;
}
