/* A header is a function of name and size: the reader takes these two, makes the header again and compares it. */
#include "proto/ustar.h"

#include <assert.h>
#include <stdio.h>

#include "proto/errcode.h"

#define BLOCK_BYTES USTAR_BLOCK_BYTES
#define END_BYTES USTAR_END_BYTES
#define SIZE_DIGITS 11
#define OCTAL_MAX (((uint64_t)1 << 3 * SIZE_DIGITS) - 1)

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};

_Static_assert(sizeof(struct header) == BLOCK_BYTES, "a header is one block");

static size_t padded(size_t len)
{
	return (len + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

static bool is_name(const char *name, size_t len)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	return len >= 1 && len < USTAR_NAME_CHARS && strspn(name, allowed) == len;
}

/* Octal digits; from 8 GiB on, which no receipt has, the form of GNU and of every tar since: big-endian behind a byte 0x80. */
static void put_size(char field[12], uint64_t size)
{
	if (size <= OCTAL_MAX) {
		snprintf(field, 12, "%011llo", (unsigned long long)size);
		return;
	}
	field[0] = (char)0x80;
	put_u64be((uint8_t *)field + 4, size);
}

static void make_header(struct header *h, const char *name, size_t name_len, uint64_t size)
{
	unsigned sum = 0;

	memset(h, 0, sizeof(*h));
	memcpy(h->name, name, name_len);
	memcpy(h->mode, "0000644", 8);
	memcpy(h->uid, "0000000", 8);
	memcpy(h->gid, "0000000", 8);
	put_size(h->size, size);
	memcpy(h->mtime, "00000000000", 12);
	memset(h->chksum, ' ', sizeof(h->chksum));
	h->typeflag = '0';
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memcpy(h->devmajor, "0000000", 8);
	memcpy(h->devminor, "0000000", 8);
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const uint8_t *)h)[i];
	snprintf(h->chksum, sizeof(h->chksum) - 1, "%06o", sum); /* six digits, NUL, and the space that stands there */
}

static bool is_name_new(const struct ustar_member *members, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(members[i].name, name) == 0)
			return false;
	return true;
}

/* Length of the archive, or a refusal. */
static int measure(const struct ustar_member *members, size_t n, size_t *total)
{
	*total = END_BYTES;
	if (n > USTAR_MEMBERS_MAX)
		return RK_TOO_LARGE;
	for (size_t i = 0; i < n; i++) {
		if (!is_name(members[i].name, strlen(members[i].name)) || !is_name_new(members, i, members[i].name))
			return RK_MALFORMED;
		if (members[i].data.len > USTAR_MAX_BYTES)
			return RK_TOO_LARGE;
		*total += BLOCK_BYTES + padded(members[i].data.len);
		if (*total > USTAR_MAX_BYTES)
			return RK_TOO_LARGE;
	}
	return RK_OK;
}

int ustar_write(const struct ustar_member *members, size_t n, struct arena *a, struct bytes *out)
{
	uint8_t *archive, *at;
	size_t total;
	int r;

	*out = bytes_make(NULL, 0);
	if ((r = measure(members, n, &total)) != RK_OK)
		return r;
	arena_raise(a, total + 16);
	if ((archive = at = arena_alloc(a, total)) == NULL)
		return RK_ENOMEM;
	memset(archive, 0, total);
	for (size_t i = 0; i < n; i++) {
		struct bytes data = members[i].data;
		struct header h;

		make_header(&h, members[i].name, strlen(members[i].name), data.len);
		memcpy(at, &h, sizeof(h));
		if (data.len > 0)
			memcpy(at + BLOCK_BYTES, data.data, data.len);
		at += BLOCK_BYTES + padded(data.len);
	}
	*out = bytes_make(archive, total);
	return RK_OK;
}

static bool take_size(const char digits[SIZE_DIGITS], size_t *out)
{
	size_t size = 0;

	for (int i = 0; i < SIZE_DIGITS; i++) {
		if (digits[i] < '0' || digits[i] > '7' || size > USTAR_MAX_BYTES)
			return false;
		size = size * 8 + (size_t)(digits[i] - '0');
	}
	*out = size;
	return size <= USTAR_MAX_BYTES;
}

/* One member off the front of rest, which holds at least the end after it. */
static int take_member(struct bytes *rest, struct ustar_member *out)
{
	const struct header *found = (const struct header *)rest->data;
	struct header again;
	size_t size, name_len;

	if (rest->len < BLOCK_BYTES + END_BYTES)
		return RK_MALFORMED;
	name_len = strnlen(found->name, sizeof(found->name));
	if (name_len == sizeof(found->name) || !is_name(found->name, name_len) || !take_size(found->size, &size))
		return RK_MALFORMED;
	make_header(&again, found->name, name_len, size);
	if (memcmp(&again, found, sizeof(again)) != 0 || rest->len - BLOCK_BYTES - END_BYTES < padded(size))
		return RK_MALFORMED;
	*out = (struct ustar_member){found->name, bytes_make(rest->data + BLOCK_BYTES, size)};
	if (!bytes_is_zero(out->data.data + size, padded(size) - size))
		return RK_MALFORMED;
	*rest = bytes_make(out->data.data + padded(size), rest->len - BLOCK_BYTES - padded(size));
	return RK_OK;
}

/* Members up to the end, or up to one of the name `stop` (NULL: to the end). */
static int take_members(struct bytes *rest, const char *stop, struct ustar_member *out, size_t max, size_t *n)
{
	int r;

	*n = 0;
	/* A zero block can only be the end: a header starts with a name. */
	while (rest->len >= BLOCK_BYTES && rest->data[0] != 0) {
		if (stop && strncmp((const char *)rest->data, stop, USTAR_NAME_CHARS) == 0)
			return RK_OK;
		if (*n == max || *n == USTAR_MEMBERS_MAX)
			return RK_TOO_LARGE;
		if ((r = take_member(rest, &out[*n])) != RK_OK)
			return r;
		if (!is_name_new(out, *n, out[*n].name))
			return RK_MALFORMED;
		(*n)++;
	}
	return rest->len >= BLOCK_BYTES ? RK_OK : RK_MALFORMED;
}

int ustar_read(struct bytes archive, struct ustar_member *out, size_t max, size_t *n)
{
	struct bytes rest = archive;
	int r;

	*n = 0;
	if (archive.len > USTAR_MAX_BYTES)
		return RK_TOO_LARGE;
	if (archive.len < END_BYTES || archive.len % BLOCK_BYTES != 0)
		return RK_MALFORMED;
	if ((r = take_members(&rest, NULL, out, max, n)) != RK_OK)
		return r;
	return rest.len == END_BYTES && bytes_is_zero(rest.data, END_BYTES) ? RK_OK : RK_MALFORMED;
}

/* ---- streamed */

int ustar_read_start(struct bytes start, const char *stop, struct ustar_member *out, size_t max, size_t *n, size_t *used)
{
	struct bytes rest = start;
	int r;

	*n = *used = 0;
	if (start.len > USTAR_MAX_BYTES)
		return RK_TOO_LARGE;
	if ((r = take_members(&rest, stop, out, max, n)) == RK_OK)
		*used = start.len - rest.len;
	return r;
}

size_t ustar_padding(uint64_t size)
{
	return (size_t)((BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES);
}

/* Nothing that leads out of the folder that an archive is unpacked into. */
static bool is_path(const char *name, size_t len)
{
	while (len > 0) {
		const char *slash = memchr(name, '/', len);
		size_t part = slash ? (size_t)(slash - name) : len;
		char copy[USTAR_NAME_CHARS];

		if (part == 0 || part >= sizeof(copy) || name[0] == '.')
			return false;
		memcpy(copy, name, part);
		copy[part] = 0;
		if (!is_name(copy, part))
			return false;
		if (!slash)
			return true;
		name += part + 1;
		len -= part + 1;
	}
	return false;
}

int ustar_header_write(uint8_t block[USTAR_BLOCK_BYTES], const char *name, uint64_t size)
{
	size_t len = strlen(name);

	if (len >= USTAR_NAME_CHARS || !is_path(name, len))
		return RK_MALFORMED;
	make_header((struct header *)block, name, len, size);
	return RK_OK;
}

static uint64_t any_size(const char field[12])
{
	uint64_t size = 0;

	if ((uint8_t)field[0] == 0x80)
		return get_u64be((const uint8_t *)field + 4);
	for (int i = 0; i < SIZE_DIGITS; i++)
		size = size * 8 + (uint64_t)(field[i] & 7); /* another digit is found when the header is compared */
	return size;
}

int ustar_header_read(const uint8_t block[USTAR_BLOCK_BYTES], char name[USTAR_NAME_CHARS], uint64_t *size)
{
	const struct header *found = (const struct header *)block;
	struct header again;
	size_t len = strnlen(found->name, sizeof(found->name));

	if (bytes_is_zero(block, USTAR_BLOCK_BYTES))
		return RK_ENOTFOUND;
	if (len == sizeof(found->name) || !is_path(found->name, len))
		return RK_MALFORMED;
	memcpy(name, found->name, len + 1);
	*size = any_size(found->size);
	make_header(&again, name, len, *size);
	return memcmp(&again, found, sizeof(again)) == 0 ? RK_OK : RK_MALFORMED;
}
