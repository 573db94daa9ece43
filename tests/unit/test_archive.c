/*
 * archive: members of every kind of length there and back through one age file; the same seen by tar; every cut at and around a chunk or
 * a block and a changed byte in each chunk; what was sealed but is no archive; headers of streamed archives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/archive.h"
#include "tests/unit/age_kit.h"

#define CODE bytes_str("a code of these tests")
#define MEMBERS 7

static const struct { const char *name; size_t len; } members[MEMBERS] = {
	{"renkei-test", 5}, {"store/data.mdb", 200000}, {"empty", 0}, {"blobs/one", 511}, {"blobs/two", 512}, {"blobs/three", 513}, {"big", 65536},
};

static uint8_t content[200000];

static int memory_file(void)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* The same plaintext at less cost: there are many readers here. */
static int cheaper(int fd)
{
	struct bytes file, plain;
	struct stat st;
	uint8_t *data;

	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	assert_int_equal(pread(fd, data, (size_t)st.st_size, 0), st.st_size);
	assert_int_equal(age_kit_open(bytes_make(data, (size_t)st.st_size), NULL, CODE, &plain), RK_OK);
	file = age_kit_seal(plain, NULL, CODE, AGE_KIT_LOG_N);
	close(fd);
	fd = memory_file();
	assert_int_equal(write(fd, file.data, file.len), file.len);
	free(data);
	free((void *)(uintptr_t)plain.data);
	free((void *)(uintptr_t)file.data);
	return fd;
}

/* All members; every second one from a file. */
static int make(void)
{
	struct archive_writer *w;
	int fd = memory_file();

	assert_int_equal(archive_begin(fd, CODE, NULL, NULL, &w), RK_OK);
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct bytes data = bytes_make(content + i, members[i].len > i ? members[i].len - i : members[i].len);

		if (i % 2) {
			int from = memory_file();

			assert_true(write(from, data.data, data.len) == (ssize_t)data.len);
			assert_int_equal(archive_add_file(w, members[i].name, from), RK_OK);
			close(from);
		} else {
			assert_int_equal(archive_add_bytes(w, members[i].name, data), RK_OK);
		}
	}
	assert_int_equal(archive_end(w), RK_OK);
	archive_writer_free(w);
	return fd;
}

static int open_at_start(int fd, struct bytes code, struct archive_reader **a)
{
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return archive_open(fd, code, NULL, NULL, a);
}

/* Reads to the end, odd parts at a time; *seen: whole members. */
static int read_all(int fd, unsigned *seen)
{
	struct archive_reader *a;
	char name[USTAR_NAME_CHARS];
	uint8_t *part = malloc(sizeof(content));
	uint64_t len;
	size_t n;
	int r = open_at_start(fd, CODE, &a);

	*seen = 0;
	while (r == RK_OK && (r = archive_next(a, name, &len)) == RK_OK) {
		unsigned i = *seen;
		size_t at = 0, want = i < MEMBERS ? members[i].len > i ? members[i].len - i : members[i].len : 0;

		assert_true(i < MEMBERS);
		assert_string_equal(name, members[i].name);
		assert_int_equal(len, want);
		while ((r = archive_read(a, part + at, sizeof(content) - at < 999 ? sizeof(content) - at : 999, &n)) == RK_OK && n > 0)
			at += n;
		if (r == RK_OK) {
			assert_int_equal(at, want);
			assert_memory_equal(part, content + i, at);
			(*seen)++;
		}
	}
	archive_reader_free(a);
	free(part);
	return r;
}

static void members_come_back(void **state)
{
	unsigned seen;
	int fd = make();
	(void)state;

	assert_int_equal(read_all(fd, &seen), RK_ENOTFOUND);
	assert_int_equal(seen, MEMBERS);
	close(fd);
}

static void unread_members_are_passed_over_and_saved_ones_are_whole(void **state)
{
	struct archive_reader *a;
	char name[USTAR_NAME_CHARS];
	uint8_t back[600];
	uint64_t len;
	int fd = make(), to = memory_file();
	(void)state;

	assert_int_equal(open_at_start(fd, CODE, &a), RK_OK);
	for (unsigned i = 0; i < MEMBERS; i++) {
		assert_int_equal(archive_next(a, name, &len), RK_OK);
		if (i == 5)
			assert_int_equal(archive_save(a, to), RK_OK);
	}
	assert_int_equal(archive_next(a, name, &len), RK_ENOTFOUND);
	assert_int_equal(archive_next(a, name, &len), RK_ENOTFOUND);
	assert_int_equal(pread(to, back, sizeof(back), 0), 508);
	assert_memory_equal(back, content + 5, 508);
	archive_reader_free(a);
	close(fd);
	close(to);
}

static void another_code_is_said_apart_from_damage(void **state)
{
	struct archive_reader *a;
	int fd = make(), other = memory_file();
	(void)state;

	assert_int_equal(open_at_start(fd, bytes_str("another code"), &a), RK_EPASSPHRASE);
	assert_null(a);
	assert_int_equal(open_at_start(other, CODE, &a), RK_MALFORMED);
	assert_int_equal(write(other, content, 5000), 5000);
	assert_int_equal(open_at_start(other, CODE, &a), RK_MALFORMED);
	close(fd);
	close(other);
}

static void no_cut_and_no_changed_byte_passes(void **state)
{
	const size_t chunk = AGE_CHUNK_BYTES + AGE_TAG_BYTES;
	struct stat st;
	uint8_t *file;
	unsigned seen;
	int fd = cheaper(make()), bent;
	size_t start, len;
	(void)state;

	assert_int_equal(fstat(fd, &st), 0);
	len = (size_t)st.st_size;
	file = malloc(len);
	assert_int_equal(pread(fd, file, len, 0), len);
	start = (size_t)((const uint8_t *)memmem(file, len, "\n---", 4) - file) + 1 + 48 + AGE_NONCE_BYTES;
	for (size_t at = start; at <= len; at += at + chunk < len || at == len ? chunk : len - at) {
		for (int off = -17; off <= 17; off++) {
			size_t cut = at + (size_t)(off < 0 && at < 17 ? 0 : off);

			if (cut >= len)
				continue;
			bent = memory_file();
			assert_int_equal(write(bent, file, cut), cut);
			if (read_all(bent, &seen) != RK_EINTEGRITY && cut >= start)
				fail_msg("cut at %zu of %zu", cut, len);
			close(bent);
		}
		if (at < len) {
			file[at + 5] ^= 1;
			bent = memory_file();
			assert_int_equal(write(bent, file, len), len);
			assert_int_equal(read_all(bent, &seen), RK_EINTEGRITY);
			assert_true(seen < MEMBERS);
			close(bent);
			file[at + 5] ^= 1;
		}
	}
	/* More behind it, a whole second file or one byte. */
	bent = memory_file();
	assert_int_equal(write(bent, file, len), len);
	assert_int_equal(write(bent, file, 1), 1);
	assert_int_equal(read_all(bent, &seen), RK_EINTEGRITY);
	close(bent);
	free(file);
	close(fd);
}

/* A plaintext of somebody who has the code. */
static int read_sealed(struct bytes plain)
{
	struct bytes file = age_kit_seal(plain, NULL, CODE, AGE_KIT_LOG_N);
	struct archive_reader *a;
	char name[USTAR_NAME_CHARS];
	uint64_t len;
	int fd = memory_file(), r;

	assert_int_equal(write(fd, file.data, file.len), file.len);
	r = open_at_start(fd, CODE, &a);
	while (r == RK_OK)
		r = archive_next(a, name, &len);
	archive_reader_free(a);
	free((void *)(uintptr_t)file.data);
	close(fd);
	return r;
}

static void what_is_no_archive_is_refused(void **state)
{
	static uint8_t plain[4 * USTAR_BLOCK_BYTES];
	uint8_t *big = calloc(1, AGE_CHUNK_BYTES + 4096);
	(void)state;

	assert_int_equal(read_sealed(bytes_make(plain, 1024)), RK_ENOTFOUND);
	assert_int_equal(read_sealed(bytes_make(plain, 1536)), RK_MALFORMED);
	assert_int_equal(read_sealed(bytes_make(plain, 512)), RK_EINTEGRITY);
	assert_int_equal(read_sealed(bytes_make(plain, 0)), RK_EINTEGRITY);
	assert_int_equal(read_sealed(bytes_str("a text")), RK_EINTEGRITY);
	assert_int_equal(ustar_header_write(plain, "a", 5), RK_OK);
	assert_int_equal(read_sealed(bytes_make(plain, 2048)), RK_ENOTFOUND);
	plain[512 + 5] = 1;
	assert_int_equal(read_sealed(bytes_make(plain, 2048)), RK_MALFORMED);
	plain[512 + 5] = 0;
	plain[300] = 1;
	assert_int_equal(read_sealed(bytes_make(plain, 2048)), RK_MALFORMED);
	plain[300] = 0;
	assert_int_equal(ustar_header_write(plain, "a", 513), RK_OK);
	assert_int_equal(read_sealed(bytes_make(plain, 2048)), RK_EINTEGRITY);
	/* An end, and a chunk more. */
	assert_int_equal(read_sealed(bytes_make(big, AGE_CHUNK_BYTES + 4096)), RK_MALFORMED);
	free(big);
}

static void the_writer_keeps_its_word_about_lengths(void **state)
{
	struct archive_writer *w;
	int fd = memory_file();
	(void)state;

	assert_int_equal(archive_begin(fd, CODE, NULL, NULL, &w), RK_OK);
	assert_int_equal(archive_member(w, "../up", 1), RK_MALFORMED);
	archive_writer_free(w);
	assert_int_equal(archive_begin(fd, CODE, NULL, NULL, &w), RK_OK);
	assert_int_equal(archive_member(w, "a", 3), RK_OK);
	assert_int_equal(archive_write(w, bytes_str("four")), RK_EINTERNAL);
	assert_int_equal(archive_end(w), RK_EINTERNAL);
	archive_writer_free(w);
	assert_int_equal(archive_begin(fd, CODE, NULL, NULL, &w), RK_OK);
	assert_int_equal(archive_member(w, "a", 3), RK_OK);
	assert_int_equal(archive_end(w), RK_EINTERNAL);
	archive_writer_free(w);
	close(fd);
}

static int stop_at(void *user, uint64_t bytes)
{
	return bytes >= *(const uint64_t *)user ? RK_EINTERRUPTED : RK_OK;
}

static void a_step_can_end_it(void **state)
{
	uint64_t limit = 100000;
	struct archive_writer *w;
	struct archive_reader *a;
	char name[USTAR_NAME_CHARS];
	uint64_t len;
	int fd = memory_file(), r;
	(void)state;

	assert_int_equal(archive_begin(fd, CODE, stop_at, &limit, &w), RK_OK);
	assert_int_equal(archive_add_bytes(w, "a", BYTES_OF(content)), RK_EINTERRUPTED);
	assert_int_equal(archive_end(w), RK_EINTERRUPTED);
	archive_writer_free(w);
	close(fd);
	fd = make();
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(archive_open(fd, CODE, stop_at, &limit, &a), RK_OK);
	while ((r = archive_next(a, name, &len)) == RK_OK)
		;
	assert_int_equal(r, RK_EINTERRUPTED);
	archive_reader_free(a);
	close(fd);
}

static void headers_of_streams(void **state)
{
	static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/.b", "a b", "a\n", "\xc3\xa9",
	                                  "a123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"};
	static const uint64_t sizes[] = {0, 1, 07777777777, 077777777777, 0100000000000, (uint64_t)1 << 40, UINT64_MAX};
	uint8_t block[USTAR_BLOCK_BYTES];
	char name[USTAR_NAME_CHARS];
	uint64_t size;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ustar_header_write(block, bad[i], 0), RK_MALFORMED);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(ustar_header_write(block, "blobs/a.age", sizes[i]), RK_OK);
		assert_int_equal(ustar_header_read(block, name, &size), RK_OK);
		assert_string_equal(name, "blobs/a.age");
		assert_int_equal(size, sizes[i]);
		for (size_t bit = 0; bit < 8 * sizeof(block); bit++) {
			block[bit / 8] = (uint8_t)(block[bit / 8] ^ 1 << bit % 8);
			if (ustar_header_read(block, name, &size) != RK_MALFORMED)
				fail_msg("size %zu bit %zu of byte %zu", i, bit % 8, bit / 8);
			block[bit / 8] = (uint8_t)(block[bit / 8] ^ 1 << bit % 8);
		}
	}
	memset(block, 0, sizeof(block));
	assert_int_equal(ustar_header_read(block, name, &size), RK_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_back),
		cmocka_unit_test(unread_members_are_passed_over_and_saved_ones_are_whole),
		cmocka_unit_test(another_code_is_said_apart_from_damage),
		cmocka_unit_test(no_cut_and_no_changed_byte_passes),
		cmocka_unit_test(what_is_no_archive_is_refused),
		cmocka_unit_test(the_writer_keeps_its_word_about_lengths),
		cmocka_unit_test(a_step_can_end_it),
		cmocka_unit_test(headers_of_streams),
	};

	if (sodium_init() < 0)
		return 1;
	randombytes_buf_deterministic(content, sizeof(content), (const uint8_t[randombytes_SEEDBYTES]){3});
	return cmocka_run_group_tests(tests, NULL, NULL);
}
