#include "client/cli/receipt_show.h"

#include <stdio.h>

#include "proto/strict.h"

#define LINE_CHARS 512
#define SIZE_CHARS 48

/* Of the file where the content names it, else of what was sent. */
static const char *size_text(const struct cli *c, const struct receipt *x, size_t i, char buf[SIZE_CHARS])
{
	unsigned long long bytes = x->attachments[i] ? x->attachments[i]->plain_len : x->header->blobs[i]->len;

	snprintf(buf, SIZE_CHARS, text(TEXT_ATTACHMENT_BYTES, c->lang), bytes);
	return buf;
}

void receipt_show_attachments(struct cli *c, const struct receipt *x)
{
	char line[LINE_CHARS], size[SIZE_CHARS];

	for (size_t i = 0; i < x->header->n_blobs; i++) {
		const char *name = x->attachments[i] ? x->attachments[i]->name : text(TEXT_ATTACHMENT_UNNAMED, c->lang);

		snprintf(line, sizeof(line), text(x->has_attachments ? TEXT_ATTACHMENT_SHOWN : TEXT_ATTACHMENT_NOT_SHOWN, c->lang), name,
		         size_text(c, x, i, size));
		out_field(c, TEXT_F_ATTACHMENT, line);
	}
	if (x->header->n_blobs > 0 && !x->has_attachments)
		out_say(c, x->message ? TEXT_ATTACHMENTS_NOT_SHOWN : TEXT_ATTACHMENTS_UNKNOWN);
}

void receipt_show_set_attachments(json_t *j, const struct receipt *x)
{
	json_t *all = json_array();

	for (size_t i = 0; i < x->header->n_blobs; i++) {
		const Rk__DossierFile *f = x->attachments[i];
		json_t *one = json_object();

		out_set_text(one, "name", f ? f->name : NULL);
		if (f)
			out_set_number(one, "bytes", (int64_t)f->plain_len);
		else
			json_object_set_new(one, "bytes", json_null());
		out_set_id(one, "plain_sha256", f ? bytes_of(f->plain_sha256) : (struct bytes){0});
		out_set_number(one, "blob_bytes", (int64_t)x->header->blobs[i]->len);
		out_set_id(one, "blob_sha256", bytes_of(x->header->blobs[i]->sha256));
		out_set_bool(one, "shown", x->has_attachments);
		json_array_append_new(all, one);
	}
	json_object_set_new(j, "attachments", all);
}
