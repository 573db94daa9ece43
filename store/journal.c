#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/tag.h"

#define MAGIC "renkei journal 1"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)
#define TAG_TABLE 0xffu           /* of tag_make: no table of a store has this number */

/* Of a record: tag, then what it says of itself, then rows. */
#define AT_STORE TAG_BYTES
#define AT_NUMBER (AT_STORE + JOURNAL_STORE_ID_BYTES)
#define AT_INDEX (AT_NUMBER + 8)
#define AT_BYTES (AT_INDEX + 8)   /* of rows */
#define AT_ROWS (AT_BYTES + 8)
/* Of a row: table, length of key, length of value, key, value. */
#define ROW_HEAD_BYTES (2 + 2 + 4)

struct journal {
	int fd;
	uint8_t store_id[JOURNAL_STORE_ID_BYTES];
	uint64_t bytes;          /* of the file */
	uint64_t number;         /* of the transaction whose records these are; 0: none */
	uint64_t count, end;     /* of its records; where the next one goes */
	size_t len;              /* of the record that is being gathered, with AT_ROWS */
	size_t len_before;       /* without its last row */
	uint8_t *record;         /* JOURNAL_RECORD_MAX_BYTES: it, or the one that was read */
};

static int code_of_errno(void)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return RK_EDISKFULL;
	case ENOMEM:
		return RK_ENOMEM;
	default:
		return RK_EIO;
	}
}

static uint64_t whole_pages(uint64_t len)
{
	return (len + JOURNAL_PAGE_BYTES - 1) / JOURNAL_PAGE_BYTES * JOURNAL_PAGE_BYTES;
}

/* RK_EDISKFULL: there was room for a part of it. */
static int write_all(int fd, const uint8_t *data, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? code_of_errno() : RK_EDISKFULL;
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return RK_OK;
}

/* False: the file ends before, or cannot be read (then *code says so). */
static bool read_all(int fd, uint8_t *data, size_t len, uint64_t at, int *code)
{
	while (len > 0) {
		ssize_t n = pread(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n < 0)
				*code = code_of_errno();
			return false;
		}
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

/* ---- the file */

/* In place: a disk that is full has room for the journal that was there.  The first page last, when all behind it is durable: a new file without it
 * is none yet. */
static int fill(struct journal *j, uint64_t bytes)
{
	uint64_t at = JOURNAL_PAGE_BYTES;
	int code = RK_OK;

	memset(j->record, 0, JOURNAL_RECORD_MAX_BYTES);
	j->len = AT_ROWS;
	if (j->bytes > bytes && ftruncate(j->fd, (off_t)bytes) != 0)
		return code_of_errno();
	while (at < bytes && code == RK_OK) {
		size_t len = bytes - at < JOURNAL_RECORD_MAX_BYTES ? (size_t)(bytes - at) : JOURNAL_RECORD_MAX_BYTES;

		code = write_all(j->fd, j->record, len, at);
		at += len;
	}
	if (code == RK_OK && fdatasync(j->fd) != 0)
		code = code_of_errno();
	if (code == RK_OK) {
		memcpy(j->record, MAGIC, MAGIC_BYTES);
		memcpy(j->record + MAGIC_BYTES, j->store_id, JOURNAL_STORE_ID_BYTES);
		code = write_all(j->fd, j->record, JOURNAL_PAGE_BYTES, 0);
	}
	if (code == RK_OK && fdatasync(j->fd) != 0)
		code = code_of_errno();
	j->bytes = code == RK_OK ? bytes : 0;
	j->number = j->count = 0;
	j->end = JOURNAL_PAGE_BYTES;
	return code;
}

/* The first page is written last (fill), and the first record stands right behind it.  So zeros in both are a file that was being made; zeros before
 * anything else are a page that was lost. */
static int look(struct journal *j)
{
	uint8_t page[JOURNAL_PAGE_BYTES] = {0}, behind[JOURNAL_PAGE_BYTES] = {0};
	struct stat st;
	int code = RK_OK;

	if (fstat(j->fd, &st) != 0)
		return code_of_errno();
	j->bytes = 0;
	j->end = JOURNAL_PAGE_BYTES;
	if (!read_all(j->fd, page, sizeof(page), 0, &code))
		return code;
	if (bytes_is_zero(page, sizeof(page))) {
		(void)read_all(j->fd, behind, sizeof(behind), JOURNAL_PAGE_BYTES, &code); /* or there is not even that */
		return code == RK_OK && !bytes_is_zero(behind, sizeof(behind)) ? RK_ESTORE : code;
	}
	if (memcmp(page, MAGIC, MAGIC_BYTES) != 0)
		return RK_ESTORE;
	if (memcmp(page + MAGIC_BYTES, j->store_id, JOURNAL_STORE_ID_BYTES) != 0)
		return RK_CONFLICT;
	j->bytes = (uint64_t)st.st_size / JOURNAL_PAGE_BYTES * JOURNAL_PAGE_BYTES;
	return RK_OK;
}

int journal_open(const char *folder, const uint8_t store_id[JOURNAL_STORE_ID_BYTES], struct journal **out)
{
	char file[PATH_MAX];
	struct journal *j;
	int code;

	*out = NULL;
	if (snprintf(file, sizeof(file), "%s/" JOURNAL_NAME, folder) >= (int)sizeof(file))
		return RK_EUSAGE;
	if ((j = calloc(1, sizeof(*j))) == NULL)
		return RK_ENOMEM;
	memcpy(j->store_id, store_id, sizeof(j->store_id));
	j->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	j->record = calloc(1, JOURNAL_RECORD_MAX_BYTES);
	code = j->fd < 0 ? code_of_errno() : j->record == NULL ? RK_ENOMEM : look(j);
	if (code != RK_OK) {
		journal_close(j);
		return code;
	}
	*out = j;
	return RK_OK;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	if (j->fd >= 0)
		close(j->fd);
	free(j->record);
	free(j);
}

int journal_renew(struct journal *j, uint64_t bytes)
{
	return fill(j, whole_pages(bytes > JOURNAL_MIN_BYTES ? bytes : JOURNAL_MIN_BYTES));
}

/* ---- reading */

/* Is there a whole record at `at`, of this transaction?  Leaves it in j->record. */
static bool read_record(struct journal *j, uint64_t at, uint64_t number, uint64_t *index, uint64_t *rows_bytes, int *code)
{
	uint8_t tag[TAG_BYTES];

	if (at + JOURNAL_PAGE_BYTES > j->bytes || !read_all(j->fd, j->record, JOURNAL_PAGE_BYTES, at, code))
		return false;
	*index = get_u64be(j->record + AT_INDEX);
	*rows_bytes = get_u64be(j->record + AT_BYTES);
	if (memcmp(j->record + AT_STORE, j->store_id, JOURNAL_STORE_ID_BYTES) != 0 || get_u64be(j->record + AT_NUMBER) != number ||
	    *rows_bytes > JOURNAL_RECORD_MAX_BYTES - AT_ROWS || AT_ROWS + *rows_bytes > j->bytes - at)
		return false;
	if (AT_ROWS + *rows_bytes > JOURNAL_PAGE_BYTES &&
	    !read_all(j->fd, j->record + JOURNAL_PAGE_BYTES, (size_t)(AT_ROWS + *rows_bytes) - JOURNAL_PAGE_BYTES, at + JOURNAL_PAGE_BYTES, code))
		return false;
	tag_make(tag, TAG_TABLE, at, bytes_make(j->record + AT_STORE, (size_t)(AT_ROWS + *rows_bytes) - AT_STORE));
	return memcmp(tag, j->record, TAG_BYTES) == 0;
}

static int read_rows(const uint8_t *at, size_t len, int (*fn)(void *, unsigned table, struct bytes key, struct bytes value), void *user)
{
	int code = RK_OK;

	while (len > 0 && code == RK_OK) {
		size_t key_len, value_len;

		if (len < ROW_HEAD_BYTES)
			return RK_EINTEGRITY;
		key_len = get_u16be(at + 2);
		value_len = get_u32be(at + 4);
		if (key_len > len - ROW_HEAD_BYTES || value_len > len - ROW_HEAD_BYTES - key_len)
			return RK_EINTEGRITY;
		code = fn(user, get_u16be(at), bytes_make(at + ROW_HEAD_BYTES, key_len), bytes_make(at + ROW_HEAD_BYTES + key_len, value_len));
		at += ROW_HEAD_BYTES + key_len + value_len;
		len -= ROW_HEAD_BYTES + key_len + value_len;
	}
	return code;
}

/* Records are written one after the other, each durable before the next: where one is missing and a later one is there, the disk has lost it. */
static int check_behind(struct journal *j, uint64_t at, uint64_t number, uint64_t count)
{
	uint64_t index, bytes;
	int code = RK_OK;

	for (; at < j->bytes && code == RK_OK; at += JOURNAL_PAGE_BYTES)
		if (read_record(j, at, number, &index, &bytes, &code) && index >= count)
			return RK_EINTEGRITY;
	return code;
}

int journal_read(struct journal *j, uint64_t number, int (*fn)(void *, unsigned table, struct bytes key, struct bytes value), void *user)
{
	uint64_t at = JOURNAL_PAGE_BYTES, count = 0, index, bytes;
	int code = RK_OK;

	while (read_record(j, at, number, &index, &bytes, &code) && index == count) {
		if ((code = read_rows(j->record + AT_ROWS, (size_t)bytes, fn, user)) != RK_OK)
			return code;
		at += whole_pages(AT_ROWS + bytes);
		count++;
	}
	if (code == RK_OK)
		code = check_behind(j, at, number, count);
	/* What this process itself made durable. */
	if (code == RK_OK && j->number == number && count < j->count)
		code = RK_EINTEGRITY;
	if (code != RK_OK)
		return code;
	j->number = number;
	j->count = count;
	j->end = at;
	j->len = AT_ROWS;
	return RK_OK;
}

bool journal_holds(const struct journal *j, uint64_t number)
{
	return journal_count(j, number) > 0;
}

uint64_t journal_count(const struct journal *j, uint64_t number)
{
	return j->number == number ? j->count : 0;
}

/* ---- writing */

void journal_begin(struct journal *j, uint64_t number)
{
	if (j->number != number) {
		j->number = number;
		j->count = 0;
		j->end = JOURNAL_PAGE_BYTES;
	}
	j->len = AT_ROWS;
}

static bool fits(const struct journal *j, size_t more)
{
	return more <= JOURNAL_RECORD_MAX_BYTES - j->len && j->end < j->bytes && j->len + more <= j->bytes - j->end;
}

bool journal_add(struct journal *j, unsigned table, struct bytes key, size_t value_len, uint8_t **room)
{
	uint8_t *at = j->record + j->len;

	if (value_len > JOURNAL_RECORD_MAX_BYTES || !fits(j, ROW_HEAD_BYTES + key.len + value_len))
		return false;
	put_u16be(at, (uint16_t)table);
	put_u16be(at + 2, (uint16_t)key.len);
	put_u32be(at + 4, (uint32_t)value_len);
	memcpy(at + ROW_HEAD_BYTES, key.data, key.len);
	*room = at + ROW_HEAD_BYTES + key.len;
	j->len_before = j->len;
	j->len += ROW_HEAD_BYTES + key.len + value_len;
	return true;
}

void journal_take_back(struct journal *j)
{
	j->len = j->len_before;
}

int journal_write(struct journal *j)
{
	size_t padded = (size_t)whole_pages(j->len);
	int code;

	if (j->len <= AT_ROWS)
		return RK_OK;
	memcpy(j->record + AT_STORE, j->store_id, JOURNAL_STORE_ID_BYTES);
	put_u64be(j->record + AT_NUMBER, j->number);
	put_u64be(j->record + AT_INDEX, j->count);
	put_u64be(j->record + AT_BYTES, j->len - AT_ROWS);
	tag_make(j->record, TAG_TABLE, j->end, bytes_make(j->record + AT_STORE, j->len - AT_STORE));
	memset(j->record + j->len, 0, padded - j->len);
	if ((code = write_all(j->fd, j->record, padded, j->end)) != RK_OK)
		return code;
	if (fdatasync(j->fd) != 0)
		return RK_EIO; /* whatever errno says: the pages may be anywhere by now */
	j->end += padded;
	j->count++;
	journal_begin(j, j->number);
	return RK_OK;
}
