#include "client/savefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

static int io_code(void)
{
	return errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : errno == EEXIST ? RK_EEXISTS : RK_EIO;
}

int savefile_open(const char *folder, int *dir_fd)
{
	*dir_fd = -1;
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return io_code();
	*dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *dir_fd >= 0 ? RK_OK : io_code();
}

/* "a/b/" and "a/b" stand in "a", "b" in "."; false if it is too long. */
static bool parent_of(const char *folder, char *parent, size_t room)
{
	size_t len = strlen(folder);

	while (len > 1 && folder[len - 1] == '/')
		len--;
	while (len > 0 && folder[len - 1] != '/')
		len--;
	if (len + 1 >= room)
		return false;
	snprintf(parent, room, "%.*s", len > 0 ? (int)len : 1, len > 0 ? folder : ".");
	return true;
}

int savefile_check(const char *folder)
{
	char parent[PATH_MAX];
	struct stat st;

	if (stat(folder, &st) != 0) {
		if (errno != ENOENT || folder[0] == '\0' || !parent_of(folder, parent, sizeof(parent)) || stat(parent, &st) != 0)
			return RK_EIO;
		folder = parent;
	}
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return RK_EIO;
	}
	return access(folder, W_OK | X_OK) == 0 ? RK_OK : RK_EIO;
}

void savefile_name(char out[SAVEFILE_NAME_MAX], const char *given)
{
	size_t n = 0;

	/* The given name has at most 200 bytes (renkei.proto); what is longer is cut before a character begins. */
	for (const char *p = given; *p != '\0' && n < SAVEFILE_NAME_MAX - 16; p++) {
		unsigned char ch = (unsigned char)*p;

		out[n++] = ch < 0x20 || ch == 0x7f || ch == '/' || ch == '\\' || ch == ':' ? '_' : (char)ch;
	}
	while (n > 0 && ((unsigned char)given[n] & 0xC0) == 0x80)
		n--;
	out[n] = '\0';
	if (out[0] == '.')
		out[0] = '_';
	if (n == 0)
		snprintf(out, SAVEFILE_NAME_MAX, "_");
}

bool savefile_exists(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* File systems without RENAME_NOREPLACE: a hard link fails as well where the name is taken. */
int savefile_rename_new(int dir_fd, const char *from, const char *to)
{
	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
		return RK_OK;
	if (errno != EINVAL && errno != ENOSYS)
		return io_code();
	if (linkat(dir_fd, from, dir_fd, to, 0) != 0)
		return io_code();
	return unlinkat(dir_fd, from, 0) == 0 ? RK_OK : io_code();
}

/* Without a name until it is whole: a process that is killed leaves nothing of it.  The name comes by /proc. */
static int begin_nameless(int dir_fd)
{
	return access("/proc/self/fd", X_OK) == 0 ? openat(dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600) : -1;
}

static int give_name(const struct savefile *f, const char *name)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, link, f->dir_fd, name, AT_SYMLINK_FOLLOW) == 0 ? RK_OK : io_code();
}

int savefile_begin(int dir_fd, struct savefile *f)
{
	f->dir_fd = dir_fd;
	f->temporary[0] = '\0';
	if ((f->fd = begin_nameless(dir_fd)) >= 0)
		return RK_OK;
	/* A file system that knows no such files: a hidden name. */
	snprintf(f->temporary, sizeof(f->temporary), ".renkei-%08x%08x.part", randombytes_random(), randombytes_random());
	f->fd = openat(dir_fd, f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return f->fd >= 0 ? RK_OK : io_code();
}

int savefile_append(struct savefile *f, struct bytes content)
{
	while (content.len > 0) {
		ssize_t n = write(f->fd, content.data, content.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return io_code();
		content.data += n;
		content.len -= (size_t)n;
	}
	return RK_OK;
}

int savefile_finish(struct savefile *f, const char *name, int code)
{
	bool is_nameless = f->temporary[0] == '\0';
	int r = code;

	if (r == RK_OK && fsync(f->fd) != 0)
		r = io_code();
	if (r == RK_OK && is_nameless)
		r = give_name(f, name);
	if (close(f->fd) != 0 && r == RK_OK) {
		r = io_code();
		if (is_nameless)
			(void)unlinkat(f->dir_fd, name, 0);
	}
	if (is_nameless)
		return r;
	if (r == RK_OK)
		r = savefile_rename_new(f->dir_fd, f->temporary, name);
	if (r != RK_OK)
		(void)unlinkat(f->dir_fd, f->temporary, 0); /* half a file under a hidden name: nothing more can be done */
	return r;
}

int savefile_write(int dir_fd, const char *name, struct bytes content)
{
	struct savefile f;
	int r = savefile_begin(dir_fd, &f);

	return r == RK_OK ? savefile_finish(&f, name, savefile_append(&f, content)) : r;
}

void savefile_remove(int dir_fd, const char *name)
{
	(void)unlinkat(dir_fd, name, 0);
}

int savefile_close(int dir_fd)
{
	int r = fsync(dir_fd) == 0 ? RK_OK : io_code();

	return close(dir_fd) == 0 ? r : io_code();
}
