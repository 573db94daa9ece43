/* attach, dossier_pack, dossier_save: what header and message must agree on, what goes where, what is on record, what is saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/dossier_pack.h"
#include "client/dossier_save.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/home_kit.h"

static struct home h;
static struct deal deal;
static char path[4][200];

static int set_up(void **state)
{
	(void)state;
	home_open(&h);
	deal_init(&h, &deal);
	deal_finish(&h, &deal);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	home_close(&h);
	return 0;
}

/* A file of so many bytes in the home's folder. */
static const char *make_file(int i, const char *name, size_t len)
{
	uint8_t *data = calloc(1, len + 1);
	int fd;

	snprintf(path[i], sizeof(path[i]), "%s/%s", h.folder, name);
	memset(data, 'a' + i, len);
	fd = open(path[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
	free(data);
	return path[i];
}

/* ---- what goes where */

static void the_smallest_stay_in_the_message(void **state)
{
	static const struct {
		size_t text, len[4];
		const char *blobs;   /* a character each: - in the message, x attached */
	} rows[] = {
		{0, {100, 200, 300, 400}, "----"},
		{0, {204800, 1, 1, 1}, "x---"},
		{0, {204797, 1, 1, 1}, "----"},
		{0, {150000, 150000, 10, 10}, "-x--"},
		{0, {150000, 40000, 10000, 10000}, "x---"},
		{65536, {139264, 139265, 300000, 1}, "xxx-"},
		{65536, {139263, 139265, 300000, 1}, "-xx-"},
	};

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct dossier_pack *p = malloc(sizeof(*p));
		char problem[SOURCE_PATH_CHARS], name[16];
		size_t which;
		uint64_t need;

		dossier_pack_init(p);
		for (int i = 0; i < 4; i++) {
			snprintf(name, sizeof(name), "file%d", i);
			assert_int_equal(dossier_pack_add(p, make_file(i, name, rows[row].len[i]), problem), RK_OK);
		}
		assert_int_equal(dossier_pack_plan(p, h.client, rows[row].text, &which, &need), RK_OK);
		for (int i = 0; i < 4; i++)
			assert_int_equal(p->is_blob[i], rows[row].blobs[i] == 'x');
		dossier_pack_free(p);
		free(p);
	}
}

static void a_dossier_of_large_files_waits_for_its_uploads(void **state)
{
	struct dossier_pack *p = malloc(sizeof(*p));
	struct dossier_new n = {.nda_id = deal.nda_id, .marking = RK__MARKING__CONFIDENTIAL};
	char problem[SOURCE_PATH_CHARS];
	uint64_t need, item, waits;
	uint8_t env_id[32] = {3}, key[ATTACH_UPLOAD_KEY_BYTES] = {0}, blob_key[ATTACH_BLOB_KEY_BYTES];
	Rkl__UploadRecord *record;
	Rkl__BlobRecord *blob;
	size_t which;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	dossier_pack_init(p);
	assert_int_equal(dossier_pack_add(p, make_file(0, "big", 300000), problem), RK_OK);
	assert_int_equal(dossier_pack_add(p, make_file(1, "small", 300), problem), RK_OK);
	assert_int_equal(dossier_pack_plan(p, h.client, 0, &which, &need), RK_OK);
	assert_int_equal(need, age_x25519_len(300000));
	assert_int_equal(dossier_pack_read(p, h.client, h.a, NULL, NULL, &which), RK_OK);
	n.parts = p->parts;
	n.part_count = p->count;
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	n.reply_only = true;
	assert_int_equal(dossier_check_send(h.client, t, &n, h.a), RK_EUSAGE);
	n.reply_only = false;
	assert_int_equal(dossier_send(h.client, t, &n, h.a, &item), RK_OK);
	assert_true(attach_is_held(t, item));
	assert_int_equal(attach_held(t), 1);
	put_u64be(key, item);
	assert_int_equal(attach_load_upload(t, key, h.a, &record), RK_OK);
	assert_memory_equal(record->sha256.data, p->blob[0].sha256, 32);
	assert_int_not_equal(record->open_item, 0);
	/* Opened, complete, missed there after all, and complete again. */
	assert_int_equal(attach_on_opened(h.client, t, record->open_item, BYTES_OF(p->blob[0].sha256), RK_OK, &waits), RK_OK);
	assert_int_equal(waits, 0);
	assert_int_equal(attach_load_upload(t, key, h.a, &record), RK_OK);
	assert_int_equal(record->opened_at, client_now(h.client));
	assert_int_equal(record->open_item, 0);
	record->complete = true;
	assert_int_equal(attach_store_upload(t, key, record), RK_OK);
	assert_false(attach_is_held(t, item));
	assert_int_equal(attach_on_missing(t, item), RK_OK);
	assert_true(attach_is_held(t, item));
	assert_int_equal(attach_load_upload(t, key, h.a, &record), RK_OK);
	assert_int_equal(record->opened_at, 0);
	assert_int_equal(attach_open(h.client, t, key, record), RK_OK);
	assert_int_equal(attach_on_opened(h.client, t, record->open_item, BYTES_OF(p->blob[0].sha256), RK_QUOTA, &waits), RK_OK);
	assert_int_equal(waits, item);
	/* The exchange took it: now it is the envelope's. */
	assert_int_equal(attach_on_sent(t, item, env_id), RK_OK);
	assert_int_equal(attach_held(t), 0);
	attach_blob_key(blob_key, env_id, 0);
	assert_int_equal(attach_load_blob(t, blob_key, h.a, &blob), RK_OK);
	assert_int_equal(blob->state, RKL__FETCH_STATE__PROVEN);
	assert_true(attach_names(t, p->blob[0].sha256));
	assert_int_equal(env_commit(t), RK_OK);
	dossier_pack_free(p);
	free(p);
}

/* ---- header and message */

struct pair {
	Rk__EnvelopeHeader header;
	Rk__BlobRef ref[3], *refs[3];
	Rk__DossierFile file[3], *files[3];
	Rk__Dossier dossier;
	Rk__Message message;
	uint8_t sha[3][32], identity[32];
};

/* Two attachments, and between them a file in the message. */
static void make_pair(struct pair *p)
{
	rk__envelope_header__init(&p->header);
	rk__dossier__init(&p->dossier);
	rk__message__init(&p->message);
	for (int i = 0; i < 3; i++) {
		memset(p->sha[i], i + 1, 32);
		rk__blob_ref__init(&p->ref[i]);
		rk__dossier_file__init(&p->file[i]);
		p->refs[i] = &p->ref[i];
		p->files[i] = &p->file[i];
		p->file[i].plain_len = 5;
		if (i == 1) {
			p->file[i].data = pb_of(bytes_str("bytes"));
			continue;
		}
		p->file[i].plain_len = 300000 + (unsigned)i;
		p->file[i].blob_len = age_x25519_len(p->file[i].plain_len);
		p->file[i].blob_sha256 = pb_of(BYTES_OF(p->sha[i]));
		p->file[i].age_identity = pb_of(BYTES_OF(p->identity));
		p->ref[i / 2].len = p->file[i].blob_len;
		p->ref[i / 2].sha256 = p->file[i].blob_sha256;
	}
	p->header.blobs = p->refs;
	p->header.n_blobs = 2;
	p->dossier.files = p->files;
	p->dossier.n_files = 3;
	p->message.dossier = &p->dossier;
}

static void header_and_message_agree(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	(void)state;
#define BENT(change, code)                                             \
	do {                                                           \
		make_pair(p);                                          \
		change;                                                \
		assert_int_equal(attach_check(&p->header, &p->message), code); \
	} while (0)
	BENT((void)0, RK_OK);
	BENT(p->header.n_blobs = 1, RK_MALFORMED);
	BENT((p->header.n_blobs = 3, p->ref[2] = p->ref[1]), RK_MALFORMED);
	BENT((p->refs[0] = &p->ref[1], p->refs[1] = &p->ref[0]), RK_MALFORMED);
	BENT(p->ref[0].len++, RK_MALFORMED);
	BENT(p->file[0].blob_len++, RK_MALFORMED);
	BENT((p->file[0].blob_len++, p->ref[0].len++), RK_MALFORMED);
	BENT(p->file[0].plain_len++, RK_MALFORMED);
	BENT(p->file[2].blob_sha256 = p->file[1].plain_sha256, RK_MALFORMED);
	BENT(p->ref[0].sha256 = pb_of(BYTES_OF(p->sha[1])), RK_MALFORMED);
	BENT((p->ref[1].sha256 = p->file[2].blob_sha256 = p->file[0].blob_sha256), RK_MALFORMED);
	BENT(p->file[0].data = pb_of(bytes_str("x")), RK_MALFORMED);
	BENT(p->file[0].age_identity.len = 0, RK_MALFORMED);
	BENT(p->file[1].age_identity = pb_of(BYTES_OF(p->identity)), RK_MALFORMED);
	BENT(p->file[1].blob_len = 200, RK_MALFORMED);
	BENT(p->file[1].plain_len++, RK_MALFORMED);
	BENT(p->message.dossier = NULL, RK_MALFORMED);
	BENT((p->message.dossier = NULL, p->header.n_blobs = 0), RK_OK);
	free(p);
}

/* A recipient's home: what came does not agree with its header, so it is refused in writing and never opened. */
static void a_message_that_names_other_attachments_is_refused(void **state)
{
	Rk__EnvelopeHeader *header;
	Rk__BlobRef ref = RK__BLOB_REF__INIT, *refs[] = {&ref};
	uint8_t sha[32] = {5};
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	header = home_header(&h, RK__KIND__NDA, 1, &deal);
	ref.sha256 = pb_of(BYTES_OF(sha));
	ref.len = 1000;
	header->blobs = refs;
	header->n_blobs = 1;
	home_seal(&h, header, 1, home_dossier(&h, "a.txt", "without any", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__LODGED);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__FAILED);
	assert_int_equal(home_record(&h, sent.wire.env_id)->problem, RK_MALFORMED);
	assert_int_not_equal(home_record(&h, sent.wire.env_id)->nack_item, 0);
	assert_false(home_has_content(&h, sent.wire.env_id));
}

/* ---- saving */

static void make_attached(struct pair *p, struct spooled *s, int blobs)
{
	char problem[SOURCE_PATH_CHARS];
	struct source *from;

	memset(p, 0, sizeof(*p));
	assert_int_equal(source_open(make_file(0, "big.bin", 300000), AGE_PLAIN_MAX_BYTES, problem, &from), RK_OK);
	assert_int_equal(spool_seal(blobs, from, NULL, NULL, s), RK_OK);
	source_close(from);
	rk__dossier__init(&p->dossier);
	rk__message__init(&p->message);
	rk__dossier_file__init(&p->file[0]);
	p->file[0].name = (char *)(uintptr_t)"big.bin";
	p->file[0].plain_len = s->plain_len;
	p->file[0].plain_sha256 = pb_of(BYTES_OF(s->plain_sha256));
	p->file[0].blob_len = s->len;
	p->file[0].blob_sha256 = pb_of(BYTES_OF(s->sha256));
	p->file[0].age_identity = pb_of(BYTES_OF(s->identity));
	p->files[0] = &p->file[0];
	p->dossier.files = p->files;
	p->dossier.n_files = 1;
	p->dossier.text = (char *)(uintptr_t)"as discussed";
	p->message.type = RK__MESSAGE_TYPE__MESSAGE_DOSSIER;
	p->message.dossier = &p->dossier;
}

static bool is_empty(const char *folder)
{
	char command[300];

	snprintf(command, sizeof(command), "[ -z \"$(ls -A %s)\" ]", folder);
	return system(command) == 0;
}

static void nothing_is_saved_of_what_does_not_prove_itself(void **state)
{
	struct dossier_saved *saved = calloc(DOSSIER_SAVED_MAX, sizeof(*saved));
	struct pair *p = malloc(sizeof(*p));
	struct dossier_saving how = {.message = &p->message};
	char folder[200], name[SPOOL_NAME_CHARS], part[SPOOL_NAME_CHARS];
	uint8_t byte;
	struct spooled s;
	size_t n;
	int fd, bad;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/out", h.folder);
	how.folder = folder;
	assert_int_equal(spool_open(h.client, &how.blobs_fd), RK_OK);
	make_attached(p, &s, how.blobs_fd);
	spool_name(name, s.sha256);
	spool_part_name(part, s.sha256);
	/* As it comes from a broker: not proven yet.  One byte of it is wrong. */
	assert_int_equal(renameat(how.blobs_fd, name, how.blobs_fd, part), 0);
	fd = openat(how.blobs_fd, part, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, 200000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 200000), 1);
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_EINTEGRITY);
	assert_int_equal(bad, 0);
	assert_true(is_empty(folder));
	assert_int_equal(faccessat(how.blobs_fd, name, F_OK, 0), -1);
	/* Right bytes, and a sender whose word about them is wrong: nothing of it stays. */
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 200000), 1);
	close(fd);
	s.plain_sha256[0] ^= 1;
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_EINTEGRITY);
	assert_int_equal(bad, -1);
	assert_int_equal(n, 0);
	assert_true(is_empty(folder));
	/* Nor as it is: whoever opens it later would find that out alone. */
	how.sealed = true;
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_EINTEGRITY);
	assert_true(n == 0 && is_empty(folder));
	s.plain_sha256[0] ^= 1;
	s.identity[0] ^= 8;
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_EINTEGRITY);
	assert_true(n == 0 && is_empty(folder));
	s.identity[0] ^= 8;
	s.plain_sha256[0] ^= 1;
	how.sealed = false;
	/* Its blob is proven, though. */
	assert_int_equal(faccessat(how.blobs_fd, name, F_OK, 0), 0);
	s.plain_sha256[0] ^= 1;
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_OK);
	assert_int_equal(n, 2);
	assert_int_equal(saved[0].len, 300000);
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_EEXISTS);
	how.sealed = true;
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_OK);
	assert_int_equal(n, 4);
	assert_string_equal(saved[1].name, "big.bin.age.key");
	assert_int_equal(unlinkat(how.blobs_fd, name, 0), 0);
	snprintf(folder, sizeof(folder), "%s/other", h.folder);
	assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_ENOTFOUND);
	assert_int_equal(bad, 0);
	assert_true(is_empty(folder));
	close(how.blobs_fd);
	free(saved);
	free(p);
}

/* What a sender calls its files must not keep them from being saved. */
static void names_that_are_one_here_are_told_apart(void **state)
{
	static const struct { const char *given, *saved; } rows[] = {
		{"a.txt", "a.txt"}, {"A.TXT", "2-A.TXT"}, {"a.txt", "3-a.txt"}, {"2-a.txt", "2-2-a.txt"}, {".x", "_x"}, {"_x", "2-_x"},
		{"message.txt", "message.txt"}, {"renkei-message.txt", "renkei-message.txt"},
	};
	enum { COUNT = sizeof(rows) / sizeof(rows[0]) };
	struct dossier_saved *saved = calloc(DOSSIER_SAVED_MAX, sizeof(*saved));
	Rk__DossierFile file[COUNT], *files[COUNT];
	Rk__Dossier dossier = RK__DOSSIER__INIT;
	Rk__Message message = RK__MESSAGE__INIT;
	struct dossier_saving how = {.message = &message, .blobs_fd = -1};
	char folder[200];
	uint8_t sha256[32];
	size_t n;
	int bad;

	(void)state;
	ids_sha256(sha256, bytes_str("x"));
	for (size_t i = 0; i < COUNT; i++) {
		rk__dossier_file__init(files[i] = &file[i]);
		file[i].name = (char *)(uintptr_t)rows[i].given;
		file[i].plain_len = 1;
		file[i].plain_sha256 = pb_of(BYTES_OF(sha256));
		file[i].data = pb_of(bytes_str("x"));
	}
	dossier.files = files;
	dossier.n_files = COUNT;
	dossier.text = (char *)(uintptr_t)"the text";
	message.dossier = &dossier;
	for (int sealed = 0; sealed < 2; sealed++) {
		snprintf(folder, sizeof(folder), "%s/names%d", h.folder, sealed);
		how.folder = folder;
		how.sealed = sealed;
		assert_int_equal(dossier_save(&how, saved, &n, &bad), RK_OK);
		assert_int_equal(n, (COUNT + 1) * (sealed ? 2 : 1));
		for (size_t i = 0; !sealed && i < COUNT; i++)
			assert_string_equal(saved[i].name, rows[i].saved);
		assert_string_equal(saved[n - 1].name, sealed ? "2-renkei-message.txt.age.key" : "2-renkei-message.txt");
	}
	free(saved);
}

static void a_wrong_attachment_is_refused_in_writing(void **state)
{
	struct sent sent;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, 1, &deal), 1, home_dossier(&h, "a.txt", "x", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__OPENED);
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(mail_refuse(h.client, t, sent.wire.env_id, RK_EINTEGRITY), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__FAILED);
	assert_int_not_equal(home_record(&h, sent.wire.env_id)->nack_item, 0);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_smallest_stay_in_the_message),
		TEST(a_dossier_of_large_files_waits_for_its_uploads),
		TEST(header_and_message_agree),
		TEST(a_message_that_names_other_attachments_is_refused),
		TEST(nothing_is_saved_of_what_does_not_prove_itself),
		TEST(names_that_are_one_here_are_told_apart),
		TEST(a_wrong_attachment_is_refused_in_writing),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
