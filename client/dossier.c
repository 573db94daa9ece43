#include "client/dossier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "client/agreement.h"
#include "client/attach.h"
#include "client/desk.h"
#include "client/mail.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define DOSSIER_LIFETIME_MS ((int64_t)20 * NDA_DAY_MS)
#define NAME_MAX_BYTES 200
#define ARENA_BUDGET ((size_t)256 * 1024)

static const struct {
	const char *suffix, *type;
} media_types[] = {
	{".txt", "text/plain"}, {".md", "text/markdown"}, {".csv", "text/csv"}, {".html", "text/html"}, {".json", "application/json"},
	{".xml", "application/xml"}, {".pdf", "application/pdf"}, {".png", "image/png"}, {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"},
	{".gif", "image/gif"}, {".svg", "image/svg+xml"}, {".tif", "image/tiff"}, {".tiff", "image/tiff"}, {".zip", "application/zip"},
	{".tar", "application/x-tar"}, {".mp4", "video/mp4"}, {".mov", "video/quicktime"},
	{".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	{".step", "model/step"}, {".stp", "model/step"}, {".stl", "model/stl"}, {".dxf", "image/vnd.dxf"}, {".dwg", "image/vnd.dwg"},
};

const char *dossier_media_type(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++) {
		size_t n = strlen(media_types[i].suffix);

		if (len > n && strcasecmp(name + len - n, media_types[i].suffix) == 0)
			return media_types[i].type;
	}
	return "application/octet-stream";
}

/* ---- sending */

static int read_all(int fd, uint8_t *room, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = read(fd, room + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return RK_EIO;
		have += (size_t)n;
	}
	return RK_OK;
}

int dossier_read(const char *path, struct arena *a, struct dossier_part *out)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	int fd, r = RK_EIO;
	struct stat st;
	uint8_t *room;

	if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES || !strict_is_name(bytes_str(name)))
		return RK_EUSAGE;
	/* Not blocking: a pipe under the name must not hang us. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
		return errno == ENOENT ? RK_ENOTFOUND : RK_EIO;
	if (fstat(fd, &st) != 0)
		goto out;
	r = RK_EUSAGE;
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		goto out;
	r = RK_TOO_LARGE;
	if (st.st_size > DOSSIER_MAX_BYTES)
		goto out;
	arena_raise(a, (size_t)st.st_size + 64);
	r = RK_ENOMEM;
	if ((room = arena_alloc(a, (size_t)st.st_size)) == NULL)
		goto out;
	if ((r = read_all(fd, room, (size_t)st.st_size)) != RK_OK)
		goto out;
	out->name = name;
	out->media_type = dossier_media_type(name);
	out->data = bytes_make(room, (size_t)st.st_size);
out:
	close(fd);
	return r;
}

/* What one sending is made of. */
struct sending {
	struct client *c;
	struct txn *t;
	const struct dossier_new *n;
	struct arena *a;
	struct agreement *ag;
	Rk__EnvelopeHeader header;
	struct agreement_recipients to;
	uint8_t thread_id[16];
	ProtobufCBinaryData prev;
};

/* As asked; else whom we answer, at the desk that it came from; else every other party that may receive. */
static int choose_recipients(struct sending *s, const Rkl__EnvelopeRecord *answered)
{
	const struct nda_row *row = &s->ag->row;
	uint32_t desks[NDA_PARTIES_MAX] = {0};
	uint8_t ids[NDA_PARTIES_MAX][16];
	size_t count = 0;
	int r;

	if (s->n->to_count > 0) {
		r = agreement_address(&s->header, &s->to, s->n->to, s->n->to_desks, s->n->to_count);
		return r == RK_EUSAGE ? RK_CONFLICT : r;
	}
	if (answered != NULL && !answered->outgoing) {
		r = desk_of_device(s->c, s->t, answered->sender_device.data, answered->sender_org.data, s->a, &desks[0]);
		if (r != RK_OK)
			return r;
		memcpy(ids[count++], answered->sender_org.data, 16);
	} else {
		for (int i = 0; i < row->party_count; i++)
			if (i != s->ag->self && row->parties[i].may_receive)
				memcpy(ids[count++], row->parties[i].org_id, 16);
	}
	return count == 0 ? RK_DIRECTION : agreement_address(&s->header, &s->to, (const uint8_t(*)[16])ids, desks, count);
}

static int set_thread(struct sending *s, Rkl__EnvelopeRecord **answered)
{
	const struct dossier_new *n = s->n;
	int r;

	*answered = NULL;
	randombytes_buf(s->thread_id, sizeof(s->thread_id));
	s->header.thread_id = pb_of(BYTES_OF(s->thread_id));
	if (n->reply_to == NULL)
		return n->reply_only ? RK_EUSAGE : RK_OK;
	if ((r = mail_load(s->t, n->reply_to, s->a, answered)) != RK_OK)
		return r;
	if (memcmp((*answered)->nda_id.data, n->nda_id, 32) != 0)
		return RK_ENOTFOUND;
	if ((*answered)->thread_id.len == 16)
		memcpy(s->thread_id, (*answered)->thread_id.data, 16);
	s->prev = pb_of(bytes_make(n->reply_to, 32));
	s->header.prev = &s->prev;
	s->header.n_prev = 1;
	s->header.reply_only = n->reply_only;
	return RK_OK;
}

static int check_parts(const struct dossier_new *n)
{
	size_t total = n->text != NULL ? strlen(n->text) : 0;

	if (n->part_count == 0 && total == 0)
		return RK_EUSAGE;
	if (n->part_count > DOSSIER_FILES_MAX || total > 65536)
		return RK_TOO_LARGE;
	for (size_t i = 0; i < n->part_count; i++) {
		total += n->parts[i].blob == NULL ? n->parts[i].data.len : 0;
		for (size_t j = 0; j < i; j++)
			if (strcasecmp(n->parts[i].name, n->parts[j].name) == 0)
				return RK_EUSAGE;
	}
	return total > DOSSIER_MAX_BYTES ? RK_TOO_LARGE : RK_OK;
}

/* One file: its bytes, or where they are and what opens them. */
static void make_file(const struct dossier_part *part, Rk__DossierFile *f, uint8_t digest[32])
{
	rk__dossier_file__init(f);
	f->name = pb_text(part->name);
	f->media_type = pb_text(part->media_type);
	if (part->blob == NULL) {
		ids_sha256(digest, part->data);
		f->plain_len = part->data.len;
		f->plain_sha256 = pb_of(bytes_make(digest, 32));
		f->data = pb_of(part->data);
		return;
	}
	f->plain_len = part->blob->plain_len;
	f->plain_sha256 = pb_of(BYTES_OF(part->blob->plain_sha256));
	f->blob_len = part->blob->len;
	f->blob_sha256 = pb_of(BYTES_OF(part->blob->sha256));
	f->age_identity = pb_of(BYTES_OF(part->blob->identity));
}

/* What the broker may see of them, in the order of the files. */
static int put_blobs(struct sending *s)
{
	const struct dossier_new *n = s->n;
	Rk__BlobRef *refs;

	arena_raise(s->a, n->part_count * (sizeof(*refs) + sizeof(refs)) + 64);
	refs = arena_alloc(s->a, (n->part_count + 1) * sizeof(*refs));
	s->header.blobs = arena_alloc(s->a, (n->part_count + 1) * sizeof(*s->header.blobs));
	if (refs == NULL || s->header.blobs == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < n->part_count; i++) {
		Rk__BlobRef *ref = &refs[s->header.n_blobs];

		if (n->parts[i].blob == NULL)
			continue;
		rk__blob_ref__init(ref);
		ref->sha256 = pb_of(BYTES_OF(n->parts[i].blob->sha256));
		ref->len = n->parts[i].blob->len;
		s->header.blobs[s->header.n_blobs++] = ref;
	}
	return RK_OK;
}

static int make_message(struct sending *s, struct bytes *message)
{
	const struct dossier_new *n = s->n;
	Rk__Message m = RK__MESSAGE__INIT;
	Rk__Dossier d = RK__DOSSIER__INIT;
	Rk__DossierFile files[DOSSIER_FILES_MAX], *list[DOSSIER_FILES_MAX];
	uint8_t digests[DOSSIER_FILES_MAX][32];

	for (size_t i = 0; i < n->part_count; i++) {
		make_file(&n->parts[i], &files[i], digests[i]);
		list[i] = &files[i];
	}
	d.title = pb_text(n->title);
	d.text = pb_text(n->text);
	d.files = list;
	d.n_files = n->part_count;
	if (n->marking == RK__MARKING__CONFIDENTIAL)
		d.marking_legend = pb_text("秘 CONFIDENTIAL");
	else if (n->marking == RK__MARKING__STRICT)
		d.marking_legend = pb_text("極秘 STRICTLY CONFIDENTIAL");
	if (n->reply_to != NULL)
		d.in_reply_to = s->prev;
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_DOSSIER;
	m.dossier = &d;
	return STRICT_PACK(&m, s->a, message);
}

/* Up to our own gate, which comes first: who may not send learns that, not that the files are too large. */
static int prepare(struct sending *s)
{
	const struct dossier_new *n = s->n;
	Rkl__EnvelopeRecord *answered;
	int r;

	if ((r = agreement_load(s->c, s->t, n->nda_id, false, s->a, &s->ag)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_NO_NDA : r;
	s->header.kind = RK__KIND__NDA;
	s->header.sender_org = pb_of(bytes_make(client_org_id(s->c), 16));
	s->header.nda_id = pb_of(bytes_make(n->nda_id, 32));
	s->header.marking = n->marking;
	if ((r = set_thread(s, &answered)) != RK_OK)
		return r;
	if ((r = choose_recipients(s, answered)) != RK_OK)
		return r;
	return agreement_check_send(s->c, s->t, &s->header, s->a);
}

int dossier_check_send(struct client *c, struct txn *t, const struct dossier_new *n, struct arena *a)
{
	struct sending s = {.c = c, .t = t, .n = n, .a = a, .header = RK__ENVELOPE_HEADER__INIT};

	return prepare(&s);
}

static int add_uploads(struct sending *s, uint64_t item)
{
	struct spooled list[DOSSIER_FILES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < s->n->part_count; i++) {
		if (s->n->parts[i].blob == NULL)
			continue;
		list[n] = *s->n->parts[i].blob;
		sodium_memzero(list[n++].identity, 32);
	}
	return attach_add(s->c, s->t, item, s->n->nda_id, list, n);
}

int dossier_send(struct client *c, struct txn *t, const struct dossier_new *n, struct arena *a, uint64_t *item)
{
	struct sending s = {.c = c, .t = t, .n = n, .a = a, .header = RK__ENVELOPE_HEADER__INIT};
	struct outbox_request request = {.op = RK__OP__OP_SUBMIT, .what = "dossier send", .header = &s.header,
	                                 .lifetime_ms = DOSSIER_LIFETIME_MS, .ref = bytes_make(n->nda_id, 32)};
	int r;

	if ((r = prepare(&s)) != RK_OK || (r = check_parts(n)) != RK_OK || (r = put_blobs(&s)) != RK_OK ||
	    (r = make_message(&s, &request.message)) != RK_OK)
		return r;
	/* A file that large is somebody's own content. */
	if (s.header.n_blobs > 0 && n->reply_only)
		return RK_UNSUPPORTED;
	request.attachments = (unsigned)s.header.n_blobs;
	if ((r = outbox_add(c, t, &request, item)) != RK_OK)
		return r;
	return add_uploads(&s, *item);
}

/* ---- getting */

int dossier_check_get(struct client *c, struct txn *t, const Rkl__EnvelopeRecord *record)
{
	struct arena *a = arena_new(ARENA_BUDGET);
	struct agreement *ag;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = agreement_load(c, t, record->nda_id.data, false, a, &ag)) != RK_OK)
		goto out;
	if (client_now(c) >= record->expires_at) {
		r = RK_ENVELOPE_EXPIRED;
		goto out;
	}
	if (record->outgoing) {
		struct nda_question q = {.sender_org = record->sender_org.data, .t_ms = client_now(c), .active = ag->active,
		                         .recipient_count = record->n_recipients, .reply_only = record->reply_only};
		const uint8_t *ids[64];

		for (size_t i = 0; i < record->n_recipients && i < 64; i++)
			ids[i] = record->recipients[i].data;
		q.recipients = ids;
		r = record->kind == RK__KIND__NDA_NOTICE ? nda_gate_notice(&ag->row, &q) : nda_gate(&ag->row, &q);
	} else {
		r = agreement_gate_release(ag, (Rk__Kind)record->kind, record->sender_org.data, record->reply_only, client_now(c));
	}
out:
	arena_free(a);
	return r;
}

int dossier_pickup(struct client *c, struct txn *t, const Rkl__EnvelopeRecord *record, uint64_t *item)
{
	uint8_t env_ids[1][32];
	struct outbox_request request = {.op = RK__OP__OP_PICKUP, .what = "dossier get", .env_ids = (const uint8_t(*)[32])env_ids,
	                                 .env_id_count = 1, .nda_id = record->nda_id.data, .ref = bytes_of(record->env_id)};

	memcpy(env_ids[0], record->env_id.data, 32);
	return outbox_add(c, t, &request, item);
}

int dossier_fetch(struct client *c, struct txn *t, const uint8_t env_id[32], uint64_t *item)
{
	struct outbox_request request = {.op = RK__OP__OP_FETCH, .what = "dossier get", .env_id = env_id,
	                                 .ref = bytes_make(env_id, 32)};

	return outbox_add(c, t, &request, item);
}
