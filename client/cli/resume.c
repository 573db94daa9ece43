/* resume: a look at the end of the file that stdout is. */
#include "client/cli/resume.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_MAX (1024 * 1024)  /* longer than any line */
#define ROW_BYTES 24

/* stdout is open for writing only: its own path is opened for reading. */
static char *read_tail(uint64_t from, uint64_t to)
{
	size_t len = (size_t)(to - from);
	char *tail = to > from && to - from <= TAIL_MAX ? malloc(len + 1) : NULL;
	int fd = tail ? open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? pread(fd, tail, len, (off_t)from) : -1;
	if (fd >= 0)
		close(fd);
	if (n < 0 || (size_t)n != len) {
		free(tail);
		return NULL;
	}
	tail[len] = '\0';
	return tail;
}

void resume_begin(struct resume *r, struct txn *txn, const char *name)
{
	struct stat st;
	struct bytes row;
	snprintf(r->key, sizeof(r->key), "file/%s", name);
	r->is_file = fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode);
	if (!r->is_file)
		return;
	r->device = (uint64_t)st.st_dev;
	r->inode = (uint64_t)st.st_ino;
	if (meta_get(txn, r->key, &row) == RK_OK && row.len == ROW_BYTES && get_u64be(row.data) == r->device &&
	    get_u64be(row.data + 8) == r->inode)
		r->tail = read_tail(get_u64be(row.data + 16), (uint64_t)st.st_size);
}

void resume_end(struct resume *r)
{
	free(r->tail);
	r->tail = NULL;
}

int resume_print(struct resume *r, const char *line)
{
	size_t there = r->tail ? strlen(r->tail) : 0;
	/* The first line after a kill is the only one that may be there, wholly or in part. */
	if (there && strncmp(line, r->tail, there) == 0)
		line += there;
	resume_end(r);
	if (*line && (fputs(line, stdout) == EOF || fflush(stdout) != 0))
		return RK_EIO;
	return RK_OK;
}

int resume_remember(struct resume *r, struct txn *txn)
{
	uint8_t row[ROW_BYTES];
	struct stat st;
	if (!r->is_file)
		return RK_OK;
	if (fstat(STDOUT_FILENO, &st) != 0)
		return RK_EIO;
	put_u64be(row, r->device);
	put_u64be(row + 8, r->inode);
	put_u64be(row + 16, (uint64_t)st.st_size);
	return meta_put(txn, r->key, BYTES_OF(row));
}
