#include "client/dossier_save.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "client/attach.h"
#include "client/unseal.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define TEXT_FILE "message.txt"
#define KEY_CHARS 76 /* of an identity, with its line end */

/* One piece of the message, and what it is saved as. */
struct piece {
	const Rk__DossierFile *file;  /* NULL: the text */
	const char *label;            /* the sender's name for it */
	struct bytes data;            /* unless it is an attachment */
	int fd;                       /* of an attachment; -1 */
	char name[SAVEFILE_NAME_MAX];
};

struct saving {
	const struct dossier_saving *how;
	struct dossier_saved *saved;
	size_t *count;
	int dir_fd;
	struct piece piece[DOSSIER_FILES_MAX + 1];
	size_t piece_count;
	const struct piece *at;       /* for progress */
	enum dossier_stage stage;
	uint64_t total;
};

/* ---- names */

static bool is_taken(const struct saving *s, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(s->saved[i].name, name) == 0)
			return true;
	return savefile_exists(s->dir_fd, name);
}

/* A name that nothing has; RK_EEXISTS with it as the last of saved. */
static int reserve(struct saving *s, const char *name, const char *suffix)
{
	struct dossier_saved *to = &s->saved[*s->count];

	snprintf(to->name, sizeof(to->name), "%.*s%s", SAVEFILE_NAME_MAX - 9, name, suffix);
	if (is_taken(s, *s->count, to->name))
		return RK_EEXISTS;
	(*s->count)++;
	return RK_OK;
}

static int reserve_piece(struct saving *s, const struct piece *p)
{
	int r;

	if (!s->how->sealed)
		return reserve(s, p->name, "");
	r = reserve(s, p->name, ".age");
	return r == RK_OK ? reserve(s, p->name, ".age.key") : r;
}

static bool is_name_of_other(const struct saving *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcasecmp(s->piece[i].name, s->piece[k].name) == 0)
			return true;
	return false;
}

/* Names of a sender's that are one name here would keep the whole from being saved, in any folder: those after the first get a number. */
static void tell_apart(struct saving *s, size_t i)
{
	char given[SAVEFILE_NAME_MAX];

	memcpy(given, s->piece[i].name, sizeof(given));
	for (unsigned n = 2; n <= DOSSIER_FILES_MAX + 2 && is_name_of_other(s, i); n++)
		snprintf(s->piece[i].name, sizeof(given), "%u-%.*s", n, SAVEFILE_NAME_MAX - 16, given);
}

static int reserve_all(struct saving *s)
{
	int r = RK_OK;

	for (size_t i = 0; i < s->piece_count && r == RK_OK; i++) {
		struct piece *p = &s->piece[i];
		size_t before = *s->count;

		if (p->file != NULL)
			tell_apart(s, i);
		r = reserve_piece(s, p);
		if (r == RK_EEXISTS && p->file == NULL) {
			/* A file of theirs is called as our text is. */
			*s->count = before;
			snprintf(p->name, sizeof(p->name), "renkei-%s", TEXT_FILE);
			tell_apart(s, i);
			r = reserve_piece(s, p);
		}
	}
	return r;
}

/* ---- what there is */

static int gather(struct saving *s)
{
	const Rk__Message *m = s->how->message;
	const Rk__Dossier *d = m->dossier;
	const char *text = d != NULL ? d->text : m->text;

	for (size_t i = 0; d != NULL && i < d->n_files && i < DOSSIER_FILES_MAX; i++) {
		const Rk__DossierFile *f = d->files[i];
		struct piece *p = &s->piece[s->piece_count++];
		uint8_t digest[32];

		*p = (struct piece){.file = f, .label = f->name, .fd = -1, .data = bytes_of(f->data)};
		savefile_name(p->name, f->name);
		if (attach_is(f))
			continue;
		ids_sha256(digest, p->data);
		if (f->data.len != f->plain_len || memcmp(digest, f->plain_sha256.data, 32) != 0)
			return RK_EINTEGRITY;
	}
	if (text[0] != '\0') {
		struct piece *p = &s->piece[s->piece_count++];

		*p = (struct piece){.label = TEXT_FILE, .fd = -1, .data = bytes_str(text), .name = TEXT_FILE};
	}
	return RK_OK;
}

static int check_room(const struct saving *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->piece_count; i++) {
		const struct piece *p = &s->piece[i];
		uint64_t plain = p->file != NULL ? p->file->plain_len : p->data.len;

		bytes += s->how->sealed ? age_x25519_len(plain) : plain;
	}
	return spool_check_room(s->dir_fd, bytes, 0);
}

/* ---- proving */

static int pass_on(void *user, uint64_t done)
{
	const struct saving *s = user;

	return s->how->progress == NULL ? RK_OK : s->how->progress(s->how->user, s->stage, s->at->label, done, s->total);
}

/* A file that has come, whole: under its final name from then on, or gone. */
static int prove_part(struct saving *s, struct piece *p, const uint8_t *sha256)
{
	char part[SPOOL_NAME_CHARS], name[SPOOL_NAME_CHARS];
	int r, blobs = s->how->blobs_fd;

	spool_part_name(part, sha256);
	spool_name(name, sha256);
	if ((p->fd = openat(blobs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) >= 0)
		return spool_prove(p->fd, sha256, p->file->blob_len, pass_on, s);
	if ((p->fd = openat(blobs, part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return RK_ENOTFOUND;
	if ((r = spool_prove(p->fd, sha256, p->file->blob_len, pass_on, s)) != RK_OK)
		return r;
	return renameat(blobs, part, blobs, name) == 0 && fsync(blobs) == 0 ? RK_OK : RK_EIO;
}

/* All of them before anything is decrypted: no half of a dossier is saved because the other half is damaged. */
static int prove_all(struct saving *s, int *bad)
{
	int n = 0, r;

	s->stage = DOSSIER_PROVING;
	for (size_t i = 0; i < s->piece_count; i++) {
		struct piece *p = &s->piece[i];

		if (p->file == NULL || !attach_is(p->file))
			continue;
		s->at = p;
		s->total = p->file->blob_len;
		if ((r = prove_part(s, p, p->file->blob_sha256.data)) != RK_OK) {
			*bad = r == RK_EINTEGRITY || r == RK_ENOTFOUND ? n : -1;
			return r;
		}
		n++;
	}
	return RK_OK;
}

/* ---- writing */

/* Beside its file, which goes if that fails. */
static int write_key(const struct saving *s, const struct dossier_saved *to, const uint8_t identity[32])
{
	char text[KEY_CHARS];
	int r;

	age_identity_text(text, identity);
	memcpy(text + strlen(text), "\n", 2);
	r = savefile_write(s->dir_fd, to[1].name, bytes_str(text));
	sodium_memzero(text, sizeof(text));
	if (r != RK_OK)
		savefile_remove(s->dir_fd, to[0].name);
	return r;
}

static int write_blob(struct saving *s, const struct piece *p, struct dossier_saved *to)
{
	struct savefile f;
	int r;

	s->at = p;
	/* What is signed for must open, and be what was said, also where somebody else opens it. */
	if (s->how->sealed) {
		s->stage = DOSSIER_PROVING;
		s->total = p->file->plain_len;
		r = unseal_to(p->fd, p->file, NULL, pass_on, s);
		s->stage = DOSSIER_WRITING;
		if (r != RK_OK)
			return r;
	}
	to->len = s->total = s->how->sealed ? p->file->blob_len : p->file->plain_len;
	if ((r = savefile_begin(s->dir_fd, &f)) != RK_OK)
		return r;
	r = s->how->sealed ? unseal_copy(p->fd, p->file->blob_len, &f, pass_on, s) : unseal_to(p->fd, p->file, &f, pass_on, s);
	return savefile_finish(&f, to->name, r);
}

/* What came in the message itself is sealed here, to an identity of its own, so that all of it is in one form. */
static int write_sealed_bytes(struct saving *s, const struct piece *p, struct dossier_saved *to)
{
	uint8_t identity[32], *file;
	size_t len;
	int r = spool_seal_bytes(p->data, identity, &file, &len);

	if (r != RK_OK)
		return r;
	to[0].len = len;
	if ((r = savefile_write(s->dir_fd, to[0].name, bytes_make(file, len))) == RK_OK)
		r = write_key(s, to, identity);
	sodium_memzero(identity, sizeof(identity));
	free(file);
	return r;
}

static int write_piece(struct saving *s, const struct piece *p, struct dossier_saved *to)
{
	int r;

	if (s->how->sealed)
		to[1].len = KEY_CHARS - 1;
	if (p->fd < 0 && s->how->sealed)
		return write_sealed_bytes(s, p, to);
	if (p->fd < 0) {
		to->len = p->data.len;
		return savefile_write(s->dir_fd, to->name, p->data);
	}
	r = write_blob(s, p, to);
	return r == RK_OK && s->how->sealed ? write_key(s, to, p->file->age_identity.data) : r;
}

/* Everything, or nothing of it. */
static int write_all(struct saving *s)
{
	size_t each = s->how->sealed ? 2 : 1, i;
	int r = RK_OK;

	s->stage = DOSSIER_WRITING;
	for (i = 0; i < s->piece_count && r == RK_OK; i++)
		r = write_piece(s, &s->piece[i], &s->saved[i * each]);
	if (r == RK_OK)
		return r;
	for (size_t k = 0; k < (i - 1) * each; k++)
		savefile_remove(s->dir_fd, s->saved[k].name);
	*s->count = (i - 1) * each;
	return r;
}

/* bad NULL: only looks. */
static int run(const struct dossier_saving *how, struct dossier_saved *saved, size_t *count, int *bad)
{
	struct saving *s = calloc(1, sizeof(*s));
	int r, closed;

	*count = 0;
	if (s == NULL)
		return RK_ENOMEM;
	s->how = how;
	s->saved = saved;
	s->count = count;
	if ((r = savefile_open(how->folder, &s->dir_fd)) != RK_OK)
		goto out;
	if ((r = gather(s)) == RK_OK && (r = reserve_all(s)) == RK_OK && (r = check_room(s)) == RK_OK && bad != NULL &&
	    (r = prove_all(s, bad)) == RK_OK)
		r = write_all(s);
	for (size_t i = 0; i < s->piece_count; i++)
		if (s->piece[i].fd >= 0)
			close(s->piece[i].fd);
	closed = savefile_close(s->dir_fd);
	r = r != RK_OK ? r : closed;
out:
	free(s);
	return r;
}

int dossier_save(const struct dossier_saving *how, struct dossier_saved *saved, size_t *count, int *bad)
{
	*bad = -1;
	return run(how, saved, count, bad);
}

int dossier_save_check(const struct dossier_saving *how, struct dossier_saved *saved, size_t *count)
{
	return run(how, saved, count, NULL);
}
