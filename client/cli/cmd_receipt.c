/* receipt verify: checks a receipt offline.  Opens no home: whoever was never a member can run it. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/out.h"
#include "client/cli/receipt_show.h"
#include "client/cli/show.h"
#include "client/days.h"
#include "proto/ids.h"
#include "proto/receipt_tail.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define WHO_CHARS 1024

static const enum text_id steps[RECEIPT_STEP_COUNT] = {
	[RECEIPT_ARCHIVE] = TEXT_STEP_ARCHIVE, [RECEIPT_MEMBERS] = TEXT_STEP_MEMBERS, [RECEIPT_FORM] = TEXT_STEP_FORM,
	[RECEIPT_EXCHANGE] = TEXT_STEP_EXCHANGE, [RECEIPT_ENTRY] = TEXT_STEP_ENTRY, [RECEIPT_PROOF] = TEXT_STEP_PROOF,
	[RECEIPT_SIGNATURE] = TEXT_STEP_SIGNATURE, [RECEIPT_RULES] = TEXT_STEP_RULES, [RECEIPT_LOG] = TEXT_STEP_LOG,
	[RECEIPT_WITNESS] = TEXT_STEP_WITNESS, [RECEIPT_ORDER] = TEXT_STEP_ORDER, [RECEIPT_PARTY] = TEXT_STEP_PARTY,
	[RECEIPT_ACT] = TEXT_STEP_ACT, [RECEIPT_NDA_SET] = TEXT_STEP_NDA_SET, [RECEIPT_GATE] = TEXT_STEP_GATE,
	[RECEIPT_PICKUP] = TEXT_STEP_PICKUP, [RECEIPT_NACK] = TEXT_STEP_NACK, [RECEIPT_NEEDED] = TEXT_STEP_NEEDED,
	[RECEIPT_CONTENT] = TEXT_STEP_CONTENT, [RECEIPT_ATTACHMENT] = TEXT_STEP_ATTACHMENT, [RECEIPT_DOCUMENT] = TEXT_STEP_DOCUMENT, [RECEIPT_FILE] = TEXT_STEP_FILE,
};

/* ---- input */

/* 64 hex digits; what people put between groups does not count. */
static bool take_fingerprint(const char *typed, uint8_t exchange_id[32])
{
	char hex[65];
	size_t n = 0;

	for (const char *p = typed; *p; p++) {
		if (strchr(" -:\t", *p))
			continue;
		if (n == 64)
			return false;
		hex[n++] = *p;
	}
	hex[n] = '\0';
	return n == 64 && ids_from_hex(exchange_id, 32, hex);
}

static int open_regular(const char *path, int *fd, off_t *len)
{
	struct stat st;

	/* Not blocking: a pipe under the name must not hang us. */
	if ((*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
		return errno == ENOENT ? RK_ENOTFOUND : RK_EIO;
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*len = st.st_size;
		return RK_OK;
	}
	close(*fd);
	return RK_EUSAGE;
}

/* Up to len bytes; *got fewer only at the end. */
static int read_some(int fd, uint8_t *room, size_t len, size_t *got)
{
	*got = 0;
	while (*got < len) {
		ssize_t n = read(fd, room + *got, len - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return RK_EIO;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return RK_OK;
}

/* Opens it and reads as much as the part has that is checked in memory, or less. */
static int read_start(const char *path, struct arena *a, struct bytes *out, int *fd)
{
	uint8_t *room;
	size_t got, want;
	off_t len;
	int r = open_regular(path, fd, &len);

	if (r != RK_OK)
		return r;
	want = (uint64_t)len < USTAR_MAX_BYTES ? (size_t)len : USTAR_MAX_BYTES;
	arena_raise(a, want + 32);
	if ((room = arena_alloc(a, want + 1)) == NULL)
		r = RK_ENOMEM;
	else if ((r = read_some(*fd, room, want, &got)) == RK_OK)
		*out = bytes_make(room, got);
	if (r != RK_OK)
		close(*fd);
	return r;
}

/* What follows: the rest of what was read, and of the file. */
static int feed_tail(struct receipt_tail *tail, struct bytes rest, int fd)
{
	static uint8_t part[256 * 1024];
	size_t got;
	int r = receipt_tail_feed(tail, rest);

	while (r == RK_OK && (r = read_some(fd, part, sizeof(part), &got)) == RK_OK && got > 0)
		r = receipt_tail_feed(tail, bytes_make(part, got));
	return r;
}

static int fail_file(struct cli *c, int code, const char *path)
{
	if (code == RK_ENOTFOUND)
		return cli_refuse(c, code, TEXT_HINT_FILE, TEXT_FILE_MISSING, path);
	return cli_fail(c, code, TEXT_CANNOT_READ_RECEIPT, path);
}

static int hash_file(const char *path, uint8_t hash[32])
{
	uint8_t part[64 * 1024];
	crypto_hash_sha256_state s;
	size_t got;
	off_t len;
	int fd, r = open_regular(path, &fd, &len);

	if (r != RK_OK)
		return r;
	crypto_hash_sha256_init(&s);
	while ((r = read_some(fd, part, sizeof(part), &got)) == RK_OK && got > 0)
		crypto_hash_sha256_update(&s, part, got);
	close(fd);
	crypto_hash_sha256_final(&s, hash);
	return r;
}

/* ---- words */

static const char *org_name(const struct cli *c, const struct receipt *x, const uint8_t *org_id)
{
	const Rk__Org *org = trust_find_org(x->directory, org_id);

	for (size_t i = 0; org && i < org->n_names; i++)
		if (strcmp(org->names[i]->lang, c->lang == LANG_JA ? "ja" : "en") == 0)
			return org->names[i]->name;
	return org ? org->names[0]->name : "";
}

static const char *who(struct cli *c, const struct receipt *x, const uint8_t *org_id, const Rk__Device *device, char buf[WHO_CHARS])
{
	char id[OUT_ID_CHARS];

	out_short(id, bytes_make(device->device_id.data, 16));
	if (device->label[0] == '\0')
		snprintf(buf, WHO_CHARS, text(TEXT_RECEIPT_WHO_UNNAMED, c->lang), org_name(c, x, org_id), id);
	else
		snprintf(buf, WHO_CHARS, text(TEXT_RECEIPT_WHO, c->lang), org_name(c, x, org_id), device->label, id);
	return buf;
}

static const char *when(struct cli *c, const struct receipt_event *e, char buf[WHO_CHARS])
{
	char logged[OUT_TIME_CHARS], witnessed[OUT_TIME_CHARS];
	unsigned long long index = e->index;

	if (e->witness_ms == 0)
		snprintf(buf, WHO_CHARS, text(TEXT_RECEIPT_WHEN_UNSEEN, c->lang), out_time(logged, e->time_ms), index);
	else
		snprintf(buf, WHO_CHARS, text(TEXT_RECEIPT_WHEN, c->lang), out_time(logged, e->time_ms), index,
		         out_time(witnessed, e->witness_ms));
	return buf;
}

static void print_answer(struct cli *c, const struct receipt *x, enum text_id field, const struct receipt_answer *answer)
{
	char buf[WHO_CHARS];

	out_field(c, field, who(c, x, answer->org_id, answer->device, buf));
	out_field(c, TEXT_F_LOGGED, when(c, &answer->event, buf));
}

/* One kind of check: what it was made of.  Names of members are of letters that cannot do harm: the archive's form says so. */
static void print_step(struct cli *c, const struct receipt *x, size_t first, size_t end)
{
	const struct receipt_check *k = &x->checks[first];
	const char *between = ": ";

	printf("%s  %s", k->code == RK_OK ? "ok" : "!!", text(steps[k->step], c->lang));
	for (size_t i = first; i < end; i++)
		if (x->checks[i].step == k->step && x->checks[i].member[0] != '\0') {
			printf("%s%s", between, x->checks[i].member);
			between = ", ";
		}
	printf("\n");
}

/* Every check that was made, a row for each kind of them; the one that failed, which is the last, in a row of its own. */
static void print_steps(struct cli *c, const struct receipt *x)
{
	size_t passed = x->check_count;
	bool is_shown[RECEIPT_STEP_COUNT] = {false};

	if (passed > 0 && x->checks[passed - 1].code != RK_OK)
		passed--;
	for (size_t i = 0; i < passed; i++) {
		if (!is_shown[x->checks[i].step])
			print_step(c, x, i, passed);
		is_shown[x->checks[i].step] = true;
	}
	if (passed < x->check_count)
		print_step(c, x, passed, x->check_count);
}

static void print_receipt(struct cli *c, const struct receipt *x)
{
	char buf[WHO_CHARS], hex[OUT_ID_CHARS];

	out_field(c, TEXT_F_LEVEL, text(show_receipt_level(x), c->lang));
	out_field(c, TEXT_F_EXCHANGE, x->charter->name);
	out_field(c, x->is_deposit ? TEXT_F_DEPOSITED_BY : TEXT_F_DISCLOSED_BY, who(c, x, x->sender_org, x->sender_device, buf));
	for (size_t i = 0; x->header && i < x->header->n_recipients; i++)
		out_field(c, TEXT_F_DISCLOSED_TO, org_name(c, x, x->header->recipients[i]->org_id.data));
	out_field(c, TEXT_F_LOGGED, when(c, &x->event, buf));
	for (size_t i = 0; i < x->pickup_count; i++)
		print_answer(c, x, TEXT_F_PICKED_UP_BY, &x->pickups[i]);
	for (size_t i = 0; i < x->nack_count; i++)
		print_answer(c, x, x->nacks[i].is_declined ? TEXT_F_DECLINED_BY : TEXT_F_NOT_OPENED_BY, &x->nacks[i]);
	if (x->header)
		receipt_show_attachments(c, x);
	if (x->is_deposit)
		out_field(c, TEXT_F_FILE_SHA256, out_hex(hex, BYTES_OF(x->file_sha256)));
}

/* ---- JSON */

static void set_event(json_t *j, const struct receipt_event *e)
{
	out_set_time(j, "logged_at", e->time_ms);
	out_set_number(j, "log_index", (int64_t)e->index);
	out_set_time(j, "witnessed_at", e->witness_ms);
}

static json_t *who_json(struct cli *c, const struct receipt *x, const uint8_t *org_id, const Rk__Device *device)
{
	json_t *j = json_object();

	out_set_id(j, "org_id", bytes_make(org_id, 16));
	out_set_text(j, "name", org_name(c, x, org_id));
	if (device)
		out_set_id(j, "device_id", bytes_make(device->device_id.data, 16));
	return j;
}

static json_t *answers_json(struct cli *c, const struct receipt *x, const struct receipt_answer *list, size_t n, bool is_nack)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *j = who_json(c, x, list[i].org_id, list[i].device);

		set_event(j, &list[i].event);
		if (is_nack)
			out_set_text(j, "reason", list[i].is_declined ? "declined" : "unopened");
		json_array_append_new(all, j);
	}
	return all;
}

static json_t *steps_json(const struct receipt *x)
{
	json_t *all = json_array();

	for (size_t i = 0; i < x->check_count; i++) {
		json_t *j = json_object();

		out_set_text(j, "step", receipt_step_name(x->checks[i].step));
		out_set_text(j, "member", x->checks[i].member);
		out_set_bool(j, "ok", x->checks[i].code == RK_OK);
		if (x->checks[i].code != RK_OK)
			out_set_text(j, "code", errcode_name(x->checks[i].code));
		json_array_append_new(all, j);
	}
	return all;
}

static void set_receipt(struct cli *c, json_t *j, const struct receipt *x)
{
	json_t *to = json_array();

	out_set_text(j, "kind", x->is_deposit ? "deposit" : "disclosure");
	out_set_id(j, "exchange_id", bytes_of(x->charter->exchange_id));
	out_set_text(j, "exchange", x->charter->name);
	out_set_id(j, x->is_deposit ? "oh" : "env_id", BYTES_OF(x->id));
	json_object_set_new(j, "sender", who_json(c, x, x->sender_org, x->sender_device));
	set_event(j, &x->event);
	if (x->is_deposit) {
		out_set_id(j, "file_sha256", BYTES_OF(x->file_sha256));
		json_decref(to);
		return;
	}
	out_set_id(j, "nda_id", bytes_of(x->header->nda_id));
	for (size_t i = 0; i < x->header->n_recipients; i++)
		json_array_append_new(to, who_json(c, x, x->header->recipients[i]->org_id.data, NULL));
	json_object_set_new(j, "recipients", to);
	json_object_set_new(j, "pickups", answers_json(c, x, x->pickups, x->pickup_count, false));
	receipt_show_set_attachments(j, x);
	json_object_set_new(j, "nacks", answers_json(c, x, x->nacks, x->nack_count, true));
}

/* ---- the verb */

/* What people look for comes first; what it rests on below. */
static void print_report(struct cli *c, const struct receipt *x, bool is_proven, bool is_sound)
{
	out_field(c, TEXT_F_RESULT, text(is_proven ? TEXT_RESULT_PROVEN : is_sound ? TEXT_RESULT_OTHER_FILE : TEXT_RESULT_NOT_PROVEN,
	                                 c->lang));
	if (is_sound)
		print_receipt(c, x);
	printf("\n");
	print_steps(c, x);
	if (is_proven)
		out_say(c, x->is_deposit ? TEXT_DEPOSIT_NOT_SAID : TEXT_RECEIPT_NOT_SAID);
}

static int print_json(struct cli *c, const struct receipt *x, bool is_proven, bool is_sound)
{
	json_t *j = json_object();

	out_set_bool(j, "proven", is_proven);
	out_set_text(j, "level", receipt_level_name(x->level));
	json_object_set_new(j, "steps", steps_json(x));
	if (is_sound)
		set_receipt(c, j, x);
	return out_json(j);
}

/* is_sound: the receipt by itself holds, whatever the file beside it is. */
static int report(struct cli *c, const struct receipt *x, bool is_sound, const char *original)
{
	const struct receipt_check *last = &x->checks[x->check_count - 1];
	bool is_proven = last->code == RK_OK;
	int r = RK_OK;

	if (is_sound && days_knows_zone(x->charter->time_zone))
		out_set_zone(x->charter->time_zone);
	if (c->json)
		r = print_json(c, x, is_proven, is_sound);
	else
		print_report(c, x, is_proven, is_sound);
	if (r != RK_OK || is_proven)
		return r;
	if (is_sound)
		return cli_refuse(c, RK_EINTEGRITY, TEXT_NONE, TEXT_RECEIPT_OTHER_FILE, original);
	return cli_refuse(c, RK_EINTEGRITY, TEXT_HINT_RECEIPT, TEXT_RECEIPT_NOT_PROVEN, receipt_step_name(last->step),
	                  last->member[0] ? last->member : text(TEXT_RECEIPT_WHOLE, c->lang), errcode_name(last->code));
}

/* The original that the verifier has: one check more.  It makes a deposit as open as its copy in the archive would. */
static int compare_original(struct cli *c, struct receipt *x, const char *path)
{
	uint8_t hash[32];
	bool is_same;
	int r;

	if (!x->is_deposit)
		return cli_refuse(c, RK_EUSAGE, TEXT_NONE, TEXT_RECEIPT_NO_DEPOSIT);
	if ((r = hash_file(path, hash)) != RK_OK)
		return fail_file(c, r, path);
	is_same = memcmp(hash, x->file_sha256, 32) == 0;
	x->checks[x->check_count++] = (struct receipt_check){RECEIPT_FILE, "--file", is_same ? RK_OK : RK_EINTEGRITY};
	if (is_same)
		x->level = RECEIPT_OPENED;
	return RK_OK;
}

/* RK_OK, RK_EINTEGRITY: *x says it all; else the file cannot be read. */
static int verify_file(const char *path, const uint8_t exchange_id[32], struct arena *a, struct receipt *x)
{
	struct receipt_tail *tail;
	struct bytes start;
	size_t used;
	int fd, done, r = read_start(path, a, &start, &fd);

	if (r != RK_OK)
		return r;
	if ((r = receipt_verify_start(start, exchange_id, a, x, &used)) != RK_OK)
		goto out;
	r = RK_ENOMEM;
	if ((tail = receipt_tail_new(x, a)) == NULL)
		goto out;
	r = feed_tail(tail, bytes_make(start.data + used, start.len - used), fd);
	done = receipt_tail_end(tail);
	r = r == RK_OK ? done : r;
out:
	close(fd);
	return r;
}

static int verify(struct cli *c, const char *path, const uint8_t exchange_id[32], const char *original, struct arena *a)
{
	struct receipt x;
	int r;

	if ((r = verify_file(path, exchange_id, a, &x)) == RK_EINTEGRITY)
		return report(c, &x, false, NULL);
	if (r != RK_OK)
		return fail_file(c, r, path);
	if (original && (r = compare_original(c, &x, original)) != RK_OK)
		return r;
	return report(c, &x, true, original);
}

int cmd_receipt_verify(struct cli *c, int argc, char **argv)
{
	const char *root = NULL, *original = NULL;
	const struct cli_option options[] = {
		{"root", CLI_TEXT, &root, "FINGERPRINT", TEXT_OPT_ROOT, true},
		{"file", CLI_TEXT, &original, "ORIGINAL", TEXT_OPT_ORIGINAL, false},
		{0},
	};
	const struct cli_usage usage = {options, "FILE", 1, 1, TEXT_NOTES_RECEIPT_VERIFY};
	uint8_t exchange_id[32];
	struct cli_args args;
	struct arena *a;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if (!take_fingerprint(root, exchange_id))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_ROOT, TEXT_BAD_ROOT, root);
	if ((a = arena_new(0)) == NULL)
		return RK_ENOMEM;
	r = verify(c, args.arg[0], exchange_id, original, a);
	arena_free_wiped(a);
	return r;
}
