#include "client/attach_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client_internal.h"
#include "proto/strict.h"

/* ---- any record */

int attach_walk(const struct attach_walk *w, struct bytes from, attach_walk_fn *each, void *user)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	if ((r = env_cursor_open(w->t, w->table, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, from, &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		ProtobufCMessage *m;

		arena_raise(w->a, arena_budget(value.len));
		if ((m = protobuf_c_message_unpack(w->desc, arena_allocator(w->a), value.len, value.data)) == NULL)
			r = RK_ESTORE;
		else
			r = each(user, key, m);
		if (r != RK_OK)
			break;
	}
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND || r == RK_EEXISTS ? RK_OK : r;
}

struct search {
	struct bytes sha256;
	bool found;
};

static int is_upload_of(void *user, struct bytes key, ProtobufCMessage *m)
{
	struct search *s = user;

	(void)key;
	s->found = bytes_equal(bytes_of(((Rkl__UploadRecord *)(void *)m)->sha256), s->sha256);
	return s->found ? RK_EEXISTS : RK_OK;
}

static int is_blob_of(void *user, struct bytes key, ProtobufCMessage *m)
{
	struct search *s = user;

	(void)key;
	s->found = bytes_equal(bytes_of(((Rkl__BlobRecord *)(void *)m)->sha256), s->sha256);
	return s->found ? RK_EEXISTS : RK_OK;
}

bool attach_names(struct txn *t, const uint8_t sha256[32])
{
	struct search s = {.sha256 = bytes_make(sha256, 32)};
	struct attach_walk w = {t, C_UPLOAD, &rkl__upload_record__descriptor, arena_new(ATTACH_ARENA)};
	int r;

	if (w.a == NULL)
		return true;
	r = attach_walk(&w, (struct bytes){0}, is_upload_of, &s);
	w.table = C_BLOB;
	w.desc = &rkl__blob_record__descriptor;
	if (r == RK_OK && !s.found)
		r = attach_walk(&w, (struct bytes){0}, is_blob_of, &s);
	arena_free(w.a);
	return s.found || r != RK_OK;
}

/* ---- what header and message say */

static bool is_file_right(const Rk__DossierFile *f)
{
	if (!attach_is(f))
		return f->blob_len == 0 && f->blob_sha256.len == 0 && f->age_identity.len == 0 && f->data.len == f->plain_len;
	return f->data.len == 0 && f->plain_len <= AGE_PLAIN_MAX_BYTES &&
	       f->blob_len == age_x25519_len(f->plain_len);
}

int attach_check(const Rk__EnvelopeHeader *h, const Rk__Message *m)
{
	const Rk__Dossier *d = m->dossier;
	size_t n = 0;

	for (size_t i = 0; d != NULL && i < d->n_files; i++) {
		const Rk__DossierFile *f = d->files[i];

		if (!is_file_right(f))
			return RK_MALFORMED;
		if (!attach_is(f))
			continue;
		if (n == h->n_blobs || h->blobs[n]->len != f->blob_len || !bytes_equal(bytes_of(h->blobs[n]->sha256), bytes_of(f->blob_sha256)))
			return RK_MALFORMED;
		for (size_t j = 0; j < n; j++)
			if (bytes_equal(bytes_of(h->blobs[j]->sha256), bytes_of(f->blob_sha256)))
				return RK_MALFORMED;
		n++;
	}
	return n == h->n_blobs ? RK_OK : RK_MALFORMED;
}

/* ---- on record */

void attach_blob_key(uint8_t key[ATTACH_BLOB_KEY_BYTES], const uint8_t env_id[32], size_t index)
{
	memcpy(key, env_id, 32);
	key[32] = (uint8_t)index;
}

int attach_load_blob(struct txn *t, const uint8_t key[ATTACH_BLOB_KEY_BYTES], struct arena *a, Rkl__BlobRecord **out)
{
	return record_get(t, C_BLOB, bytes_make(key, ATTACH_BLOB_KEY_BYTES), &rkl__blob_record__descriptor, a, (ProtobufCMessage **)out);
}

int attach_store_blob(struct txn *t, const uint8_t key[ATTACH_BLOB_KEY_BYTES], const Rkl__BlobRecord *record)
{
	return record_put(t, C_BLOB, bytes_make(key, ATTACH_BLOB_KEY_BYTES), &record->base);
}

struct wanted {
	uint8_t *key;
	Rkl__BlobRecord **out;
	bool found;
};

static int find_wanted(void *user, struct bytes key, ProtobufCMessage *m)
{
	struct wanted *w = user;
	Rkl__BlobRecord *record = (Rkl__BlobRecord *)(void *)m;

	if (key.len != ATTACH_BLOB_KEY_BYTES || record->sha256.len != 32)
		return RK_ESTORE;
	if (record->state != RKL__FETCH_STATE__WANTED || memcmp(key.data, w->key, key.len) <= 0)
		return RK_OK;
	memcpy(w->key, key.data, key.len);
	*w->out = record;
	w->found = true;
	return RK_EEXISTS;
}

int attach_next_wanted(struct txn *t, uint8_t key[ATTACH_BLOB_KEY_BYTES], struct arena *a, Rkl__BlobRecord **out)
{
	struct attach_walk w = {t, C_BLOB, &rkl__blob_record__descriptor, a};
	struct wanted s = {.key = key, .out = out};
	int r = attach_walk(&w, bytes_make(key, ATTACH_BLOB_KEY_BYTES), find_wanted, &s);

	return r == RK_OK && !s.found ? RK_ENOTFOUND : r;
}

/* Somebody may have made room by hand. */
static bool is_on_disk(int dir_fd, const Rkl__BlobRecord *record)
{
	char name[SPOOL_NAME_CHARS];

	if (record->state == RKL__FETCH_STATE__PROVEN)
		spool_name(name, record->sha256.data);
	else if (record->state == RKL__FETCH_STATE__FETCHED)
		spool_part_name(name, record->sha256.data);
	else
		return false;
	return faccessat(dir_fd, name, R_OK, 0) == 0;
}

int attach_want(struct client *c, struct txn *t, const uint8_t env_id[32], const Rk__Message *m)
{
	struct arena *a = arena_new(ATTACH_ARENA);
	const Rk__Dossier *d = m->dossier;
	size_t n = 0;
	int dir_fd = -1, r = a == NULL ? RK_ENOMEM : spool_open(c, &dir_fd);

	for (size_t i = 0; d != NULL && i < d->n_files && r == RK_OK; i++) {
		Rkl__BlobRecord fresh = RKL__BLOB_RECORD__INIT, *record;
		uint8_t key[ATTACH_BLOB_KEY_BYTES];

		if (!attach_is(d->files[i]))
			continue;
		attach_blob_key(key, env_id, n++);
		r = attach_load_blob(t, key, a, &record);
		if (r == RK_ENOTFOUND) {
			fresh.sha256 = d->files[i]->blob_sha256;
			fresh.len = d->files[i]->blob_len;
			record = &fresh;
		} else if (r != RK_OK || is_on_disk(dir_fd, record)) {
			continue;
		}
		record->state = RKL__FETCH_STATE__WANTED;
		record->code = RK_OK;
		r = attach_store_blob(t, key, record);
	}
	if (dir_fd >= 0)
		close(dir_fd);
	arena_free(a);
	return r;
}

/* The records of an envelope, for what changes them or looks at the disk. */
struct of_envelope {
	Rkl__BlobRecord *record[ATTACH_MAX];
	uint8_t key[ATTACH_MAX][ATTACH_BLOB_KEY_BYTES];
	size_t count;
	struct arena *a;
};

static int load_envelope(struct txn *t, const uint8_t env_id[32], struct of_envelope *out)
{
	int r = RK_OK;

	out->count = 0;
	if ((out->a = arena_new(ATTACH_ARENA)) == NULL)
		return RK_ENOMEM;
	while (out->count < ATTACH_MAX) {
		attach_blob_key(out->key[out->count], env_id, out->count);
		if ((r = attach_load_blob(t, out->key[out->count], out->a, &out->record[out->count])) != RK_OK)
			break;
		out->count++;
	}
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int attach_wanted(struct txn *t, const uint8_t env_id[32], bool *any, int *code)
{
	struct of_envelope all;
	int r = load_envelope(t, env_id, &all);

	*any = false;
	*code = RK_OK;
	for (size_t i = 0; i < all.count; i++) {
		*any |= all.record[i]->state == RKL__FETCH_STATE__WANTED;
		if (all.record[i]->state == RKL__FETCH_STATE__REFUSED)
			*code = all.record[i]->code;
	}
	arena_free(all.a);
	return r;
}

int attach_on_proven(struct txn *t, const uint8_t env_id[32])
{
	struct of_envelope all;
	int r = load_envelope(t, env_id, &all);

	for (size_t i = 0; i < all.count && r == RK_OK; i++) {
		if (all.record[i]->state != RKL__FETCH_STATE__FETCHED)
			continue;
		all.record[i]->state = RKL__FETCH_STATE__PROVEN;
		r = attach_store_blob(t, all.key[i], all.record[i]);
	}
	arena_free(all.a);
	return r;
}

int attach_on_wrong(struct client *c, struct txn *t, const uint8_t env_id[32], size_t index)
{
	char name[SPOOL_NAME_CHARS];
	uint8_t key[ATTACH_BLOB_KEY_BYTES];
	struct arena *a = arena_new(ATTACH_ARENA);
	Rkl__BlobRecord *record;
	int dir_fd = -1, r;

	if (a == NULL)
		return RK_ENOMEM;
	attach_blob_key(key, env_id, index);
	if ((r = attach_load_blob(t, key, a, &record)) != RK_OK || (r = spool_open(c, &dir_fd)) != RK_OK)
		goto out;
	/* Under either name: a disk can damage what was proven once. */
	spool_part_name(name, record->sha256.data);
	(void)unlinkat(dir_fd, name, 0);
	spool_name(name, record->sha256.data);
	(void)unlinkat(dir_fd, name, 0);
	close(dir_fd);
	record->mismatches++;
	record->state = RKL__FETCH_STATE__WANTED;
	r = attach_store_blob(t, key, record);
out:
	arena_free(a);
	return r;
}

int attach_forget(struct txn *t, const uint8_t env_id[32])
{
	struct of_envelope all;
	int r = load_envelope(t, env_id, &all);

	for (size_t i = 0; i < all.count && r == RK_OK; i++)
		r = env_del(t, C_BLOB, BYTES_OF(all.key[i]));
	arena_free(all.a);
	return r;
}

int attach_progress(struct client *c, struct txn *t, const uint8_t env_id[32], uint64_t *total, uint64_t *here)
{
	struct of_envelope all;
	int dir_fd, r = load_envelope(t, env_id, &all);

	*total = *here = 0;
	if (r != RK_OK || (r = spool_open(c, &dir_fd)) != RK_OK)
		goto out;
	for (size_t i = 0; i < all.count; i++) {
		char name[SPOOL_NAME_CHARS];
		struct stat st;

		*total += all.record[i]->len;
		spool_part_name(name, all.record[i]->sha256.data);
		if (all.record[i]->state == RKL__FETCH_STATE__PROVEN)
			*here += all.record[i]->len;
		else if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			*here += (uint64_t)st.st_size < all.record[i]->len ? (uint64_t)st.st_size : all.record[i]->len;
	}
	close(dir_fd);
out:
	arena_free(all.a);
	return r;
}
