/* receipt export: writes the evidence of one envelope or deposit of this home into a file, for others to check. */
#include <stdio.h>
#include <string.h>

#include "client/cli/receipt_show.h"
#include "client/cli/shared.h"
#include "client/cli/show.h"
#include "client/evidence.h"
#include "client/log.h"
#include "client/savefile.h"
#include "proto/ids.h"
#include "proto/note.h"
#include "proto/strict.h"

#define FOLDER_MAX 4096

/* An envelope or a deposit, by id or prefix. */
static int find_subject(struct shared *s, const char *given, uint8_t id[32])
{
	int r = cli_find_id(s->t, C_ENVELOPE, given, id, 32);

	if (r == RK_ENOTFOUND)
		r = cli_find_id(s->t, C_DEPOSIT, given, id, 32);
	return r == RK_OK ? RK_OK : cli_fail(s->c, r, TEXT_CANNOT_EXPORT_RECEIPT, given);
}

static enum text_id why_not(enum evidence_why why)
{
	switch (why) {
	case EVIDENCE_NO_PROOF:
		return TEXT_LACK_NO_PROOF;
	case EVIDENCE_NO_LEAF:
		return TEXT_LACK_NO_LEAF;
	default:
		return TEXT_LACK_NO_COPY;
	}
}

/* When the content of it was destroyed here; 0: it was not. */
static int64_t destroyed_at(struct shared *s, const uint8_t id[32])
{
	Rkl__EnvelopeRecord *record;

	return mail_load(s->t, id, s->a, &record) == RK_OK ? record->destroyed_at : 0;
}

static int report_failure(struct shared *s, int r, const char *given, const uint8_t id[32], const struct receipt *x,
                          const struct evidence_lack *lack)
{
	struct cli *c = s->c;
	char when[OUT_TIME_CHARS];

	if (r == RK_ENOTFOUND && strcmp(lack->part, "body_plain") == 0 && destroyed_at(s, id) != 0)
		return cli_refuse(c, r, TEXT_NONE, TEXT_LACK_DESTROYED, out_time(when, destroyed_at(s, id)));
	if (r == RK_ENOTFOUND && strcmp(lack->part, "attachment") == 0)
		return cli_refuse(c, r, TEXT_HINT_ATTACHMENTS, why_not(lack->why), lack->part);
	if (r == RK_ENOTFOUND && lack->part[0] != '\0')
		return cli_refuse(c, r, lack->why == EVIDENCE_NO_PROOF ? TEXT_HINT_SYNC_AGAIN : TEXT_NONE, why_not(lack->why), lack->part);
	if (r == RK_EINTEGRITY && x->check_count > 0) {
		const struct receipt_check *last = &x->checks[x->check_count - 1];

		return cli_refuse(c, r, TEXT_NONE, TEXT_RECEIPT_WOULD_FAIL, receipt_step_name(last->step), last->member,
		                  errcode_name(last->code));
	}
	return cli_fail(c, r, TEXT_CANNOT_EXPORT_RECEIPT, given);
}

/* Beside what is there, never over it. */
static int write_receipt(struct shared *s, const char *path, struct bytes archive, struct receipt *x, const struct evidence_blobs *blobs)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t len = slash ? (size_t)(slash - path) : 0;
	struct cli *c = s->c;
	char folder[FOLDER_MAX];
	int fd, r;

	if (len >= sizeof(folder) || name[0] == '\0' || strlen(name) >= SAVEFILE_NAME_MAX)
		return cli_fail(c, RK_EUSAGE, TEXT_CANNOT_WRITE, path);
	snprintf(folder, sizeof(folder), "%.*s", (int)len, path);
	if ((r = savefile_open(slash == path ? "/" : slash ? folder : ".", &fd)) == RK_OK) {
		int closed;

		r = savefile_exists(fd, name) ? RK_EEXISTS : evidence_write(fd, name, archive, x, s->a, blobs);
		closed = savefile_close(fd);
		r = r == RK_OK ? closed : r;
	}
	if (r == RK_EEXISTS)
		return cli_refuse(c, r, TEXT_HINT_OTHER_OUTPUT, TEXT_OUT_EXISTS, path);
	if (r == RK_EINTEGRITY)
		return cli_refuse(c, r, TEXT_HINT_ATTACHMENTS, TEXT_ATTACHMENT_DAMAGED, x->checks[x->check_count - 1].member);
	return r == RK_OK ? RK_OK : cli_fail(c, r, TEXT_CANNOT_WRITE, path);
}

/* Names the attachments that are not here. */
static int report_missing(struct shared *s, const struct receipt *x, uint32_t missing)
{
	const char *names = "";

	for (size_t i = 0; i < x->header->n_blobs; i++)
		if (missing >> i & 1)
			names = shared_text(s, "%s%s%s", names, names[0] ? text(TEXT_COMMA, s->c->lang) : "", x->attachments[i]->name);
	return cli_refuse(s->c, RK_ENOTFOUND, TEXT_HINT_ATTACHMENTS, TEXT_ATTACHMENTS_MISSING, names);
}

/* Does it stand in a log that was replaced?  Nobody countersigns that one any more. */
static bool is_of_old_log(struct shared *s, const uint8_t id[32], const struct receipt *x)
{
	char name[NOTE_NAME_CHARS];
	Rkl__EnvelopeRecord *record;
	struct log_leaf leaf;
	Rk__Charter *charter;
	uint8_t pk[32], type;
	struct bytes oh = bytes_make(id, 32);

	if (!x->is_deposit) {
		if (mail_load(s->t, id, s->a, &record) != RK_OK)
			return false;
		oh = bytes_of(record->oh);
	}
	return oh.len == 32 && log_leaf_of(s->t, oh.data, &leaf) == RK_OK && book_charter(s->client, s->t, s->a, &charter) == RK_OK &&
	       note_vkey_parse(charter->log_vkey, name, &type, pk) == RK_OK &&
	       leaf.origin != note_origin_number(name, client_exchange_id(s->client));
}

static int print_result(struct shared *s, bool is_of_old, const char *path, struct bytes archive, const struct receipt *x,
                        const struct evidence_lack *lack)
{
	char fingerprint[IDS_ROOT_FINGERPRINT_CHARS];
	struct cli *c = s->c;

	ids_root_fingerprint(fingerprint, client_exchange_id(c->client));
	if (c->json) {
		json_t *j = json_object();

		out_set_text(j, "output", path);
		out_set_number(j, "bytes", (int64_t)evidence_size(x, archive));
		out_set_text(j, "level", receipt_level_name(x->level));
		if (x->header)
			receipt_show_set_attachments(j, x);
		out_set_number(j, "left_out", lack->left_out);
		out_set_number(j, "unsound_pickups", lack->bad_pickups);
		out_set_number(j, "unsound_nacks", lack->bad_nacks);
		out_set_time(j, "witnessed_at", x->event.witness_ms);
		out_set_text(j, "root_fingerprint", fingerprint);
		return out_json(j);
	}
	out_field(c, TEXT_F_RECEIPT, path);
	out_field(c, TEXT_F_LEVEL, text(show_receipt_level(x), c->lang));
	out_field(c, TEXT_F_ROOT_FINGERPRINT, fingerprint);
	if (x->event.witness_ms == 0)
		out_say(c, is_of_old ? TEXT_RECEIPT_UNWITNESSED_EVER : TEXT_RECEIPT_UNWITNESSED);
	if (x->message && x->header->n_blobs > 0 && !x->has_attachments)
		out_say(c, TEXT_RECEIPT_WITHOUT_ATTACHMENTS, (unsigned)x->header->n_blobs);
	if (lack->left_out > 0)
		out_say(c, TEXT_RECEIPT_LEFT_OUT, lack->left_out);
	if (lack->bad_pickups > 0)
		out_say(c, TEXT_RECEIPT_BAD_PICKUPS, lack->bad_pickups);
	if (lack->bad_nacks > 0)
		out_say(c, TEXT_RECEIPT_BAD_NACKS, lack->bad_nacks);
	return RK_OK;
}

static int write_and_print(struct shared *s, const uint8_t id[32], const char *path, struct bytes archive, struct receipt *x,
                           const struct evidence_lack *lack)
{
	bool is_of_old = is_of_old_log(s, id, x);
	struct evidence_blobs blobs;
	uint32_t missing;
	int r;

	if ((r = evidence_blobs_open(s->client, x, &blobs, &missing)) == RK_ENOTFOUND) {
		r = report_missing(s, x, missing);
	} else {
		/* Many gigabytes may be copied now: the store is not held in its present state for so long. */
		env_abort(s->t);
		s->t = NULL;
		r = write_receipt(s, path, archive, x, &blobs);
	}
	evidence_blobs_close(&blobs);
	return r == RK_OK ? print_result(s, is_of_old, path, archive, x, lack) : r;
}

static int export(struct shared *s, const char *given, const char *path, enum evidence_content content)
{
	struct evidence_lack lack = {.part = ""};
	struct bytes archive;
	struct receipt x = {0};
	uint8_t id[32];
	int r = find_subject(s, given, id);

	if (r != RK_OK)
		return r;
	r = evidence_receipt(s->client, s->t, id, content, bytes_make(NULL, 0), s->a, &archive, &x, &lack);
	if (r != RK_OK)
		return report_failure(s, r, given, id, &x, &lack);
	if ((r = write_and_print(s, id, path, archive, &x, &lack)) == RK_OK && content != EVIDENCE_BARE && x.is_deposit)
		out_say(s->c, TEXT_RECEIPT_GIVE_ORIGINAL);
	return r;
}

int cmd_receipt_export(struct cli *c, int argc, char **argv)
{
	const char *output = NULL;
	bool with_content = false, without_attachments = false;
	const struct cli_option options[] = {
		{"output", CLI_TEXT, &output, "FILE", TEXT_OPT_RECEIPT_OUTPUT, true},
		{"with-content", CLI_FLAG, &with_content, NULL, TEXT_OPT_WITH_CONTENT, false},
		{"without-attachments", CLI_FLAG, &without_attachments, NULL, TEXT_OPT_WITHOUT_ATTACHMENTS, false},
		{0},
	};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NOTES_RECEIPT_EXPORT};
	enum evidence_content content;
	struct cli_args args;
	struct shared s;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	content = !with_content ? EVIDENCE_BARE : without_attachments ? EVIDENCE_MESSAGE : EVIDENCE_ATTACHMENTS;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	return shared_end(&s, export(&s, args.arg[0], output, content));
}
