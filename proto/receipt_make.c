/* From parts to an archive; the verifier then says whether it is a receipt. */
#include <assert.h>
#include <stdio.h>

#include "proto/age.h"
#include "proto/errcode.h"
#include "proto/receipt_internal.h"
#include "proto/strict.h"

#define MEMBER_NAME_CHARS (RECEIPT_NAME_CHARS + 16)

/* The members so far; full or without memory, r says so and nothing more is added. */
struct builder {
	const struct receipt_parts *parts;
	struct arena *arena;
	struct ustar_member members[USTAR_MEMBERS_MAX];
	size_t count;
	int r;
};

static void add(struct builder *b, const char *name, const char *suffix, struct bytes data)
{
	char *full;

	if (b->r == RK_OK && b->count == USTAR_MEMBERS_MAX)
		b->r = RK_TOO_LARGE;
	if (b->r != RK_OK)
		return;
	arena_raise(b->arena, MEMBER_NAME_CHARS);
	if ((full = arena_alloc(b->arena, MEMBER_NAME_CHARS)) == NULL) {
		b->r = RK_ENOMEM;
		return;
	}
	snprintf(full, MEMBER_NAME_CHARS, "%s%s", name, suffix);
	b->members[b->count++] = (struct ustar_member){full, data};
}

/* An act's label follows from its kind: a hold is a device's. */
static int act_label(struct builder *b, struct bytes payload, const char **label)
{
	Rk__NdaAct *act;
	int r = STRICT_PARSE(nda_act, payload, b->arena, &act);

	if (r == RK_OK)
		*label = object_info(act->kind == RK__ACT_KIND__HOLD ? OBJECT_KIND_NDA_HOLD : OBJECT_KIND_NDA_ACT)->label;
	return r;
}

static void add_tbs(struct builder *b, const char *name, const char *label, struct bytes payload)
{
	size_t label_len = strlen(label) + 1, len = label_len + ID32_BYTES + payload.len;
	uint8_t *tbs;

	arena_raise(b->arena, len + 16);
	if (b->r == RK_OK && (tbs = arena_alloc(b->arena, len)) == NULL)
		b->r = RK_ENOMEM;
	if (b->r != RK_OK)
		return;
	memcpy(tbs, label, label_len);
	memcpy(tbs + label_len, b->parts->exchange_id, ID32_BYTES);
	memcpy(tbs + label_len + ID32_BYTES, payload.data, payload.len);
	add(b, name, ".tbs", bytes_make(tbs, len));
}

static const char *label_of(enum receipt_part part)
{
	static const enum object_kind kinds[RECEIPT_PART_COUNT] = {
		[RECEIPT_PART_CHARTER] = OBJECT_KIND_CHARTER, [RECEIPT_PART_DIRECTORY] = OBJECT_KIND_DIRECTORY,
		[RECEIPT_PART_DEVICES] = OBJECT_KIND_ORG_DEVICES, [RECEIPT_PART_ENVELOPE] = OBJECT_KIND_ENVELOPE,
		[RECEIPT_PART_PICKUP] = OBJECT_KIND_PICKUP, [RECEIPT_PART_NACK] = OBJECT_KIND_NACK,
		[RECEIPT_PART_DEPOSIT] = OBJECT_KIND_DEPOSIT};

	return part == RECEIPT_PART_TERMS ? RECEIPT_TERMS_LABEL : object_info(kinds[part])->label;
}

static void add_object(struct builder *b, enum receipt_part part, size_t i, const struct receipt_object *o)
{
	const char *label = part == RECEIPT_PART_ACT ? NULL : label_of(part);
	char name[RECEIPT_NAME_CHARS];

	if (b->r == RK_OK && o->payload.len == 0)
		b->r = RK_MALFORMED;
	if (b->r == RK_OK && part == RECEIPT_PART_ACT)
		b->r = act_label(b, o->payload, &label);
	if (b->r != RK_OK)
		return;
	receipt_part_name(name, part, i);
	add_tbs(b, name, label, o->payload);
	if (part != RECEIPT_PART_TERMS)
		add(b, name, ".sig", o->sig);
	add(b, name, ".entry", o->entry);
	add(b, name, ".tlog-proof", o->proof);
}

static void add_objects(struct builder *b, enum receipt_part part, const struct receipt_object *list, size_t n, size_t max)
{
	if (b->r == RK_OK && n > max)
		b->r = RK_TOO_LARGE;
	for (size_t i = 0; i < n && b->r == RK_OK; i++)
		add_object(b, part, i, &list[i]);
}

static void add_file(struct builder *b, enum receipt_file file, struct bytes data)
{
	if (data.data)
		add(b, receipt_file_name(file), "", data);
}

static void add_keys(struct builder *b, const uint8_t (*identities)[32], size_t n)
{
	char name[RECEIPT_NAME_CHARS], *text;

	if (b->r == RK_OK && n > RECEIPT_ATTACHMENTS_MAX)
		b->r = RK_TOO_LARGE;
	for (size_t i = 0; i < n && b->r == RK_OK; i++) {
		arena_raise(b->arena, RECEIPT_KEY_BYTES + 32);
		if ((text = arena_alloc(b->arena, RECEIPT_KEY_BYTES)) == NULL) {
			b->r = RK_ENOMEM;
			return;
		}
		age_identity_text(text, identities[i]);
		text[RECEIPT_KEY_BYTES - 1] = '\n';
		receipt_attachment_name(name, i, ".key");
		add(b, name, "", bytes_make(text, RECEIPT_KEY_BYTES));
	}
}

static void add_disclosure(struct builder *b, const struct receipt_parts *p)
{
	add_object(b, RECEIPT_PART_TERMS, 0, &p->terms);
	add_objects(b, RECEIPT_PART_ACT, p->acts, p->act_count, RECEIPT_ACTS_MAX);
	add_object(b, RECEIPT_PART_ENVELOPE, 0, &p->envelope);
	add_objects(b, RECEIPT_PART_PICKUP, p->pickups, p->pickup_count, RECEIPT_PICKUPS_MAX);
	add_objects(b, RECEIPT_PART_NACK, p->nacks, p->nack_count, RECEIPT_PICKUPS_MAX);
	add_file(b, RECEIPT_FILE_BODY, p->body_plain);
	add_file(b, RECEIPT_FILE_COVER, p->cover);
	add_file(b, RECEIPT_FILE_DOCUMENT, p->document);
	add_file(b, RECEIPT_FILE_SALT, p->doc_salt);
	add_keys(b, p->identities, p->identity_count);
}

int receipt_make(const struct receipt_parts *p, struct arena *a, struct bytes *archive, struct receipt *out)
{
	struct builder b = {.parts = p, .arena = a, .r = RK_OK};
	struct bytes made;
	size_t used;
	int r;

	*archive = bytes_make(NULL, 0);
	memset(out, 0, sizeof(*out));
	add(&b, RECEIPT_README, "", receipt_readme());
	add_object(&b, RECEIPT_PART_CHARTER, 0, &p->charter);
	add_object(&b, RECEIPT_PART_DIRECTORY, 0, &p->directory);
	add_objects(&b, RECEIPT_PART_DEVICES, p->devices, p->device_count, RECEIPT_DEVICES_MAX);
	if (p->deposit.payload.len == 0) {
		add_disclosure(&b, p);
	} else {
		add_object(&b, RECEIPT_PART_DEPOSIT, 0, &p->deposit);
		add_file(&b, RECEIPT_FILE_DEPOSIT_PLAIN, p->deposit_plain);
		add_file(&b, RECEIPT_FILE_DEPOSIT, p->file);
	}
	if (b.r != RK_OK || (r = ustar_write(b.members, b.count, a, &made)) != RK_OK)
		return b.r != RK_OK ? b.r : r;
	/* The end we have just written; attachments stand before it. */
	if ((r = receipt_verify_start(made, p->exchange_id, a, out, &used)) == RK_OK)
		*archive = out->has_attachments ? bytes_make(made.data, used) : made;
	return r;
}
