#include "client/dossier_pack.h"

#include <strings.h>
#include <unistd.h>

#include <sodium.h>

void dossier_pack_init(struct dossier_pack *p)
{
	memset(p, 0, sizeof(*p));
	p->lock_fd = -1;
}

void dossier_pack_free(struct dossier_pack *p)
{
	for (size_t i = 0; i < p->count; i++)
		source_close(p->source[i]);
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	sodium_memzero(p, sizeof(*p));
	p->lock_fd = -1;
}

int dossier_pack_add(struct dossier_pack *p, const char *path, char *problem)
{
	int r;

	if (p->count == DOSSIER_FILES_MAX)
		return RK_QUOTA;
	if ((r = source_open(path, AGE_PLAIN_MAX_BYTES, problem, &p->source[p->count])) == RK_OK)
		p->count++;
	return r;
}

/* The smallest one that is not decided yet; count if all are. */
static size_t smallest(const struct dossier_pack *p, const bool *decided)
{
	size_t best = p->count;

	for (size_t i = 0; i < p->count; i++)
		if (!decided[i] && (best == p->count || source_len(p->source[i]) < source_len(p->source[best])))
			best = i;
	return best;
}

int dossier_pack_plan(struct dossier_pack *p, struct client *c, size_t text_len, size_t *which, uint64_t *need)
{
	bool decided[DOSSIER_FILES_MAX] = {false};
	uint64_t left = text_len < DOSSIER_MAX_BYTES ? DOSSIER_MAX_BYTES - text_len : 0;
	int dir_fd, r;

	*need = 0;
	for (*which = 0; *which < p->count; (*which)++)
		for (size_t j = 0; j < *which; j++)
			if (strcasecmp(source_name(p->source[*which]), source_name(p->source[j])) == 0)
				return RK_EUSAGE;
	for (size_t i; (i = smallest(p, decided)) < p->count; decided[i] = true) {
		uint64_t len = source_len(p->source[i]);

		p->is_blob[i] = len > left;
		left -= p->is_blob[i] ? 0 : len;
		p->blobs += p->is_blob[i];
		*need += p->is_blob[i] ? age_x25519_len(len) : 0;
	}
	if (p->blobs == 0)
		return RK_OK;
	if ((r = spool_open(c, &dir_fd)) != RK_OK)
		return r;
	r = spool_check_room(dir_fd, *need, SPOOL_SPARE_BYTES);
	close(dir_fd);
	return r;
}

static int read_whole(struct source *s, struct arena *a, struct bytes *out)
{
	size_t len = (size_t)source_len(s), n = 0;
	uint8_t *room;
	int r;

	arena_raise(a, len + 64);
	if ((room = arena_alloc(a, len)) == NULL)
		return RK_ENOMEM;
	if ((r = source_read(s, room, len, &n)) != RK_OK || (r = source_check(s)) != RK_OK)
		return r;
	*out = bytes_make(room, n);
	return RK_OK;
}

struct reading {
	dossier_pack_progress_fn *progress;
	void *user;
	const struct source *source;
};

static int pass_on(void *user, uint64_t done)
{
	const struct reading *r = user;

	return r->progress == NULL ? RK_OK : r->progress(r->user, source_name(r->source), done, source_len(r->source));
}

int dossier_pack_read(struct dossier_pack *p, struct client *c, struct arena *a, dossier_pack_progress_fn *progress, void *user, size_t *which)
{
	struct reading reading = {progress, user, NULL};
	int dir_fd = -1, r = RK_OK;

	if (p->blobs > 0 && ((r = spool_lock(c, &p->lock_fd)) != RK_OK || (r = spool_open(c, &dir_fd)) != RK_OK))
		return r;
	for (*which = 0; *which < p->count; (*which)++) {
		struct source *s = p->source[*which];
		struct dossier_part *part = &p->parts[*which];

		*part = (struct dossier_part){.name = source_name(s), .media_type = dossier_media_type(source_name(s))};
		reading.source = s;
		if (p->is_blob[*which]) {
			r = spool_seal(dir_fd, s, pass_on, &reading, &p->blob[*which]);
			part->blob = &p->blob[*which];
		} else {
			r = read_whole(s, a, &part->data);
		}
		if (r != RK_OK)
			break;
	}
	if (dir_fd >= 0)
		close(dir_fd);
	return r;
}
