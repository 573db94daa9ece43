/* keys_file: files of secret keys, read whole and replaced whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/keys_internal.h"
#include "proto/keyfile.h"

void keys_path(char path[KEYS_PATH_MAX], const struct client *c, const char *name)
{
	snprintf(path, KEYS_PATH_MAX, "%s/%s", c->home, name);
}

static int io_error(void)
{
	return errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : RK_EIO;
}

static int write_all(int fd, struct bytes b)
{
	while (b.len > 0) {
		ssize_t n = write(fd, b.data, b.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return io_error();
		b.data += n;
		b.len -= (size_t)n;
	}
	return RK_OK;
}

int keys_folder_sync(const struct client *c)
{
	int dir = open(c->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 || fsync(dir) != 0 ? io_error() : RK_OK;

	if (dir >= 0)
		close(dir);
	return r;
}

int keys_file_move(const struct client *c, const char *from, const char *to)
{
	char from_path[KEYS_PATH_MAX], to_path[KEYS_PATH_MAX];

	keys_path(from_path, c, from);
	keys_path(to_path, c, to);
	if (rename(from_path, to_path) != 0)
		return errno == ENOENT ? RK_ENOTFOUND : io_error();
	return RK_OK;
}

/* Temp file, fsync, rename, fsync of the folder: the file is wholly the old or wholly the new one, also after a power cut. */
int keys_file_replace(const struct client *c, const char *name, struct bytes content)
{
	char path[KEYS_PATH_MAX], temp[KEYS_PATH_MAX + 32];
	int fd, r;

	keys_path(path, c, name);
	snprintf(temp, sizeof(temp), "%s.%ld.tmp", path, (long)getpid());
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return io_error();
	r = write_all(fd, content);
	if (r == RK_OK && fsync(fd) != 0)
		r = io_error();
	if (close(fd) != 0 && r == RK_OK)
		r = io_error();
	if (r == RK_OK && rename(temp, path) != 0)
		r = io_error();
	if (r != RK_OK) {
		unlink(temp);
		return r;
	}
	return keys_folder_sync(c);
}

/* *file is malloc'ed.  st may be NULL. */
int keys_file_read(const struct client *c, const char *name, uint8_t **file, size_t *len, struct stat *st_out)
{
	char path[KEYS_PATH_MAX];
	struct stat st;
	size_t got = 0;
	int fd, r = RK_EIO;

	*file = NULL;
	keys_path(path, c, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? RK_ENOTFOUND : RK_EIO;
	if (fstat(fd, &st) != 0)
		goto out;
	r = RK_EKEYFILE;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > KEYFILE_SECRET_MAX + KEYFILE_OVERHEAD)
		goto out;
	*len = (size_t)st.st_size;
	r = RK_ENOMEM;
	if ((*file = malloc(*len)) == NULL)
		goto out;
	while (got < *len) {
		ssize_t n = read(fd, *file + got, *len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	r = got == *len ? RK_OK : RK_EIO;
	if (st_out != NULL)
		*st_out = st;
out:
	close(fd);
	if (r != RK_OK) {
		free(*file);
		*file = NULL;
	}
	return r;
}
