#include "client/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/strict.h"

#define BLOCK 512u
#define USTAR_NAME 100u
#define USTAR_PREFIX 155u
#define NOT_BLOCKING (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) /* a pipe under the name must not hang us */

struct member {
	char *path;              /* from the root; "" is the root itself */
	bool is_folder;
	struct stat st;          /* as it was first seen */
};

struct source {
	int root;                /* the file, or the folder */
	bool is_folder;
	char name[SOURCE_NAME_MAX_BYTES + 8];
	char base[SOURCE_NAME_MAX_BYTES + 1];
	uint64_t len, at;
	struct member *members;
	size_t count, room;
	/* The one being read. */
	size_t current;
	int fd;
	uint64_t left;           /* bytes of its content still to come */
	uint8_t block[BLOCK];    /* header, or zeros */
	size_t block_left;
	bool has_header;         /* of `current`, given out or in `block` */
};

static uint64_t padding(uint64_t len)
{
	return (BLOCK - len % BLOCK) % BLOCK;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* ---- the archive's headers */

/* "base/path" cut at a slash so that both fields hold it; false if none does. */
static bool split_path(const char *base, const struct member *m, char prefix[USTAR_PREFIX + 1], char name[USTAR_NAME + 1])
{
	char whole[SOURCE_PATH_CHARS];
	int n = snprintf(whole, sizeof(whole), "%s%s%s%s", base, m->path[0] != '\0' ? "/" : "", m->path, m->is_folder ? "/" : "");
	size_t len = (size_t)n;

	prefix[0] = '\0';
	if (n < 0 || len >= sizeof(whole))
		return false;
	if (len <= USTAR_NAME) {
		memcpy(name, whole, len + 1);
		return true;
	}
	for (size_t i = len - USTAR_NAME - 1; i < len - 1 && i <= USTAR_PREFIX; i++)
		if (whole[i] == '/' && i > 0) {
			memcpy(prefix, whole, i);
			prefix[i] = '\0';
			memcpy(name, whole + i + 1, len - i);
			return true;
		}
	return false;
}

static void octal(uint8_t *field, size_t width, uint64_t value)
{
	field[width - 1] = '\0';
	for (size_t i = width - 1; i-- > 0; value >>= 3)
		field[i] = (uint8_t)('0' + (value & 7));
}

/* POSIX ustar: owner 0, no names of users, modes 0644 and 0755; the time of the file stays, it is part of what is sent. */
static void make_header(const struct source *s, const struct member *m, uint8_t block[BLOCK])
{
	char prefix[USTAR_PREFIX + 1], name[USTAR_NAME + 1];
	unsigned sum = 0;

	memset(block, 0, BLOCK);
	if (!split_path(s->base, m, prefix, name))
		return; /* source_open has looked at all of them */
	memcpy(block, name, strlen(name));
	octal(block + 100, 8, m->is_folder ? 0755 : 0644);
	octal(block + 108, 8, 0);
	octal(block + 116, 8, 0);
	octal(block + 124, 12, m->is_folder ? 0 : (uint64_t)m->st.st_size);
	octal(block + 136, 12, m->st.st_mtim.tv_sec > 0 ? (uint64_t)m->st.st_mtim.tv_sec : 0);
	memset(block + 148, ' ', 8);
	block[156] = m->is_folder ? '5' : '0';
	memcpy(block + 257, "ustar\0" "00", 8);
	memcpy(block + 345, prefix, strlen(prefix));
	for (size_t i = 0; i < BLOCK; i++)
		sum += block[i];
	octal(block + 148, 7, sum);
	block[155] = ' ';
}

/* ---- looking */

struct walk {
	struct source *s;
	uint64_t max_bytes;
	char *problem;
};

static int add_member(struct walk *w, const char *path, const struct stat *st)
{
	struct source *s = w->s;
	struct member *grown, *m;
	char prefix[USTAR_PREFIX + 1], name[USTAR_NAME + 1];

	if (s->count == SOURCE_MEMBERS_MAX)
		return RK_TOO_LARGE;
	if (s->count == s->room) {
		size_t room = s->room == 0 ? 64 : 2 * s->room;

		if ((grown = realloc(s->members, room * sizeof(*grown))) == NULL)
			return RK_ENOMEM;
		s->members = grown;
		s->room = room;
	}
	m = &s->members[s->count];
	*m = (struct member){.path = strdup(path), .is_folder = S_ISDIR(st->st_mode), .st = *st};
	if (m->path == NULL)
		return RK_ENOMEM;
	s->count++;
	if (!split_path(s->base, m, prefix, name))
		return RK_UNSUPPORTED;
	s->len += BLOCK + (m->is_folder ? 0 : (uint64_t)st->st_size + padding((uint64_t)st->st_size));
	return s->len + 2 * BLOCK > w->max_bytes ? RK_TOO_LARGE : RK_OK;
}

/* By bytes: the same folder gives the same archive, whatever the locale is. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_entry(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int walk_folder(struct walk *w, const char *path, unsigned depth);

static int walk_entry(struct walk *w, const char *folder, const char *name, unsigned depth)
{
	char path[SOURCE_PATH_CHARS];
	struct stat st;
	int r;

	if (snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name) >= (int)sizeof(path))
		return RK_UNSUPPORTED;
	snprintf(w->problem, SOURCE_PATH_CHARS, "%s/%.*s", w->s->base, SOURCE_PATH_CHARS - SOURCE_NAME_MAX_BYTES - 3, path);
	if (fstatat(w->s->root, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? RK_CONFLICT : RK_EIO;
	if ((!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) || !strict_is_name(bytes_str(name)))
		return RK_UNSUPPORTED;
	if ((r = add_member(w, path, &st)) != RK_OK || !S_ISDIR(st.st_mode))
		return r;
	return depth == SOURCE_DEPTH_MAX ? RK_UNSUPPORTED : walk_folder(w, path, depth + 1);
}

static int walk_folder(struct walk *w, const char *path, unsigned depth)
{
	struct dirent **list;
	int n = scandirat(w->s->root, path[0] != '\0' ? path : ".", &list, is_entry, by_name), r = RK_OK;

	if (n < 0)
		return errno == ENOMEM ? RK_ENOMEM : RK_EIO;
	for (int i = 0; i < n; i++) {
		if (r == RK_OK)
			r = walk_entry(w, path, list[i]->d_name, depth);
		free(list[i]);
	}
	free(list);
	return r;
}

/* "a/b/" is called b; "." and ".." are called as the folder that they are. */
static int base_of(const char *path, char base[SOURCE_NAME_MAX_BYTES + 1])
{
	char *whole = NULL;
	const char *last;
	size_t len = strlen(path);
	int r = RK_EUSAGE;

	while (len > 1 && path[len - 1] == '/')
		len--;
	last = path + len;
	while (last > path && last[-1] != '/')
		last--;
	len -= (size_t)(last - path);
	if ((len == 1 && last[0] == '.') || (len == 2 && memcmp(last, "..", 2) == 0)) {
		if ((whole = realpath(path, NULL)) == NULL)
			return RK_EIO;
		last = strrchr(whole, '/') + 1;
		len = strlen(last);
	}
	if (len > 0 && len <= SOURCE_NAME_MAX_BYTES - 4 && last[0] != '/' && strict_is_name(bytes_make(last, len))) {
		memcpy(base, last, len);
		base[len] = '\0';
		r = RK_OK;
	}
	free(whole);
	return r;
}

static int look_at_file(struct source *s, const struct stat *st, uint64_t max_bytes)
{
	if (st->st_size == 0)
		return RK_EUSAGE;
	if ((uint64_t)st->st_size > max_bytes)
		return RK_TOO_LARGE;
	if ((s->members = calloc(1, sizeof(*s->members))) == NULL || (s->members[0].path = strdup("")) == NULL)
		return RK_ENOMEM;
	s->members[0].st = *st;
	s->count = 1;
	s->len = (uint64_t)st->st_size;
	return RK_OK;
}

static int look_at_folder(struct source *s, const struct stat *st, uint64_t max_bytes, char *problem)
{
	struct walk w = {s, max_bytes, problem};
	size_t files = 0;
	int r;

	s->is_folder = true;
	snprintf(s->name, sizeof(s->name), "%s.tar", s->base);
	if ((r = add_member(&w, "", st)) != RK_OK || (r = walk_folder(&w, "", 1)) != RK_OK)
		return r;
	for (size_t i = 0; i < s->count; i++)
		files += !s->members[i].is_folder;
	s->len += 2 * BLOCK;
	return files > 0 ? RK_OK : RK_EUSAGE;
}

int source_open(const char *path, uint64_t max_bytes, char problem[SOURCE_PATH_CHARS], struct source **out)
{
	struct source *s = calloc(1, sizeof(*s));
	struct stat st;
	int r;

	*out = NULL;
	snprintf(problem, SOURCE_PATH_CHARS, "%s", path);
	if (s == NULL)
		return RK_ENOMEM;
	s->root = s->fd = -1;
	if ((r = base_of(path, s->base)) != RK_OK)
		goto out;
	snprintf(s->name, sizeof(s->name), "%s", s->base);
	if ((s->root = open(path, NOT_BLOCKING)) < 0 || fstat(s->root, &st) != 0) {
		r = errno == ENOENT || errno == ENOTDIR ? RK_ENOTFOUND : RK_EIO;
		goto out;
	}
	r = S_ISREG(st.st_mode) ? look_at_file(s, &st, max_bytes) : S_ISDIR(st.st_mode) ? look_at_folder(s, &st, max_bytes, problem) : RK_EUSAGE;
	if (r == RK_EUSAGE)
		snprintf(problem, SOURCE_PATH_CHARS, "%s", path);
out:
	if (r != RK_OK) {
		source_close(s);
		return r;
	}
	*out = s;
	return RK_OK;
}

void source_close(struct source *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->members[i].path);
	free(s->members);
	if (s->fd >= 0)
		close(s->fd);
	if (s->root >= 0)
		close(s->root);
	free(s);
}

const char *source_name(const struct source *s)
{
	return s->name;
}

uint64_t source_len(const struct source *s)
{
	return s->len;
}

bool source_is_folder(const struct source *s)
{
	return s->is_folder;
}

/* ---- reading */

/* The content of a member: the very file that was looked at, or it has changed. */
static int open_member(struct source *s, const struct member *m)
{
	struct stat st;

	s->fd = s->is_folder ? openat(s->root, m->path, NOT_BLOCKING | O_NOFOLLOW) : dup(s->root);
	if (s->fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? RK_CONFLICT : RK_EIO;
	if (fstat(s->fd, &st) != 0)
		return RK_EIO;
	s->left = (uint64_t)m->st.st_size;
	return is_same(&st, &m->st) ? RK_OK : RK_CONFLICT;
}

static int close_member(struct source *s)
{
	const struct member *m = &s->members[s->current];
	struct stat st;
	int r = RK_OK;

	if (s->fd >= 0) {
		r = fstat(s->fd, &st) != 0 ? RK_EIO : is_same(&st, &m->st) ? RK_OK : RK_CONFLICT;
		close(s->fd);
		s->fd = -1;
	}
	s->current++;
	s->has_header = false;
	return r;
}

/* What comes after what was given out: a header, content, zeros.  Sets up either block or fd; neither at the end. */
static int next_piece(struct source *s)
{
	const struct member *m;
	int r;

	while (s->block_left == 0 && s->left == 0 && s->current < s->count) {
		m = &s->members[s->current];
		if (s->is_folder && !s->has_header) {
			make_header(s, m, s->block);
			s->block_left = BLOCK;
			s->has_header = true;
			return RK_OK;
		}
		if (s->fd < 0 && !m->is_folder && m->st.st_size > 0)
			return open_member(s, m);
		if ((r = close_member(s)) != RK_OK)
			return r;
		if (s->is_folder && !m->is_folder && padding((uint64_t)m->st.st_size) > 0) {
			memset(s->block, 0, BLOCK);
			s->block_left = padding((uint64_t)m->st.st_size);
		}
	}
	/* Two blocks of zeros end an archive. */
	if (s->block_left == 0 && s->left == 0 && s->at < s->len) {
		memset(s->block, 0, BLOCK);
		s->block_left = BLOCK;
	}
	return RK_OK;
}

/* Content; a file that ends early has changed. */
static int read_content(struct source *s, uint8_t *out, size_t room, size_t *n)
{
	ssize_t got;

	room = s->left < room ? (size_t)s->left : room;
	do
		got = read(s->fd, out, room);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? RK_EIO : RK_CONFLICT;
	*n = (size_t)got;
	s->left -= (uint64_t)got;
	return RK_OK;
}

int source_read(struct source *s, uint8_t *out, size_t room, size_t *n)
{
	int r;

	for (*n = 0; *n < room && s->at < s->len;) {
		size_t take = 0;

		if ((r = next_piece(s)) != RK_OK)
			return r;
		if (s->block_left > 0) {
			take = s->block_left < room - *n ? s->block_left : room - *n;
			memcpy(out + *n, s->block + BLOCK - s->block_left, take);
			s->block_left -= take;
		} else if ((r = read_content(s, out + *n, room - *n, &take)) != RK_OK) {
			return r;
		}
		*n += take;
		s->at += take;
	}
	return RK_OK;
}

int source_check(struct source *s)
{
	struct stat st;

	if (s->at != s->len)
		return RK_EINTERNAL;
	while (s->current < s->count) {
		int r = close_member(s);

		if (r != RK_OK)
			return r;
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];
		int bad = !s->is_folder || m->path[0] == '\0' ? fstat(s->root, &st) : fstatat(s->root, m->path, &st, AT_SYMLINK_NOFOLLOW);

		if (bad != 0 || !is_same(&st, &m->st))
			return RK_CONFLICT;
	}
	return RK_OK;
}
