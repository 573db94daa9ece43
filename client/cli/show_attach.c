#include "client/cli/show_attach.h"

#include "client/attach.h"
#include "client/cli/progress.h"
#include "proto/envelope.h"
#include "proto/strict.h"

unsigned show_attach_of(struct shared *s, const Rkl__EnvelopeRecord *record, uint64_t *bytes)
{
	struct envelope e;
	unsigned n = 0;

	*bytes = 0;
	arena_raise(s->a, 64 * 1024);
	if (record->kind != RK__KIND__NDA || envelope_parse(bytes_of(record->head), s->a, &e) != RK_OK)
		return 0;
	for (; n < e.header->n_blobs; n++)
		*bytes += e.header->blobs[n]->len;
	return n;
}

const char *show_attach_title(struct shared *s, const Rkl__EnvelopeRecord *record, const char *title)
{
	char size[PROGRESS_BYTES_CHARS];
	uint64_t bytes;
	unsigned n = show_attach_of(s, record, &bytes);

	return n == 0 ? title : shared_fill(s, TEXT_TITLE_ATTACHED, title, n, progress_bytes(size, bytes));
}

const char *show_attach_size(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	char size[PROGRESS_BYTES_CHARS];
	uint64_t bytes;
	unsigned n = show_attach_of(s, record, &bytes);

	if (n == 0)
		return shared_text(s, "%u %s", record->body_len, text(TEXT_BYTES, s->c->lang));
	return shared_fill(s, TEXT_SIZE_ATTACHED, record->body_len, n, progress_bytes(size, bytes));
}

const char *show_attach_file(struct shared *s, const Rk__DossierFile *f)
{
	return shared_fill(s, attach_is(f) ? TEXT_FILE_ATTACHED : TEXT_FILE_LINE, f->name, f->media_type, (unsigned long long)f->plain_len);
}

json_t *show_attach_file_json(const Rk__DossierFile *f)
{
	json_t *o = json_object();

	out_set_text(o, "name", f->name);
	out_set_text(o, "media_type", f->media_type);
	out_set_number(o, "bytes", (int64_t)f->plain_len);
	out_set_bool(o, "attached", attach_is(f));
	return o;
}

void show_attach_json(struct shared *s, const Rkl__EnvelopeRecord *record, json_t *o)
{
	uint64_t bytes, wanted, here = 0;
	unsigned n = show_attach_of(s, record, &bytes);

	out_set_number(o, "attachments", n);
	out_set_number(o, "attachment_bytes", (int64_t)bytes);
	if (n > 0 && attach_progress(s->client, s->t, record->env_id.data, &wanted, &here) != RK_OK)
		here = 0;
	out_set_number(o, "attachment_bytes_here", (int64_t)here);
}

void show_attach_under_way(struct shared *s)
{
	unsigned n = attach_held(s->t);

	if (n > 0)
		out_say(s->c, TEXT_UPLOADS_SOME, n);
}
