/* Which members a receipt has, in which order, under which names. */
#include <assert.h>
#include <stdio.h>

#include "proto/errcode.h"
#include "proto/receipt_internal.h"

#define LETTERS 26

_Static_assert(RECEIPT_DEVICES_MAX <= LETTERS + LETTERS * LETTERS, "two letters name every list");
_Static_assert(RECEIPT_ACTS_MAX <= 999, "three digits name every act");

/* How the parts of one kind are told apart. */
enum naming { BY_NAME, BY_LETTER, BY_NUMBER, BY_THREE_DIGITS };

static const struct part {
	const char *name;
	enum naming naming;
	size_t min, max;
} parts[RECEIPT_PART_COUNT] = {
	[RECEIPT_PART_CHARTER] = {"charter", BY_NAME, 1, 1},
	[RECEIPT_PART_DIRECTORY] = {"directory", BY_NAME, 1, 1},
	[RECEIPT_PART_DEVICES] = {"orgdevices", BY_LETTER, 1, RECEIPT_DEVICES_MAX},
	[RECEIPT_PART_TERMS] = {"terms", BY_NAME, 1, 1},
	[RECEIPT_PART_ACT] = {"act", BY_THREE_DIGITS, 1, RECEIPT_ACTS_MAX},
	[RECEIPT_PART_ENVELOPE] = {"envelope", BY_NAME, 1, 1},
	[RECEIPT_PART_PICKUP] = {"pickup", BY_NUMBER, 0, RECEIPT_PICKUPS_MAX},
	[RECEIPT_PART_NACK] = {"nack", BY_NUMBER, 0, RECEIPT_PICKUPS_MAX},
	[RECEIPT_PART_DEPOSIT] = {"deposit", BY_NAME, 1, 1},
};

static const char *const files[RECEIPT_FILE_COUNT] = {
	[RECEIPT_FILE_BODY] = "body_plain",
	[RECEIPT_FILE_COVER] = "nda-cover",
	[RECEIPT_FILE_DOCUMENT] = "nda-document",
	[RECEIPT_FILE_SALT] = "nda-salt",
	[RECEIPT_FILE_DEPOSIT_PLAIN] = "deposit_plain",
	[RECEIPT_FILE_DEPOSIT] = "deposit-file",
};

const char *receipt_file_name(enum receipt_file file)
{
	return files[file];
}

void receipt_attachment_name(char out[RECEIPT_NAME_CHARS], size_t i, const char *suffix)
{
	snprintf(out, RECEIPT_NAME_CHARS, "attachment-%02zu%s", i + 1, suffix);
}

void receipt_part_name(char out[RECEIPT_NAME_CHARS], enum receipt_part part, size_t i)
{
	const struct part *p = &parts[part];
	unsigned n = (unsigned)i;

	assert(i < p->max);
	switch (p->naming) {
	case BY_NAME:
		snprintf(out, RECEIPT_NAME_CHARS, "%s", p->name);
		break;
	case BY_LETTER:
		if (n < LETTERS)
			snprintf(out, RECEIPT_NAME_CHARS, "%s-%c", p->name, (char)('A' + n));
		else
			snprintf(out, RECEIPT_NAME_CHARS, "%s-%c%c", p->name, (char)('A' + n / LETTERS - 1), (char)('A' + n % LETTERS));
		break;
	case BY_NUMBER:
		snprintf(out, RECEIPT_NAME_CHARS, "%s-%u", p->name, n + 1);
		break;
	case BY_THREE_DIGITS:
		snprintf(out, RECEIPT_NAME_CHARS, "%s-%03u", p->name, n + 1);
		break;
	}
}

struct receipt_item *receipt_item_at(struct receipt_work *w, enum receipt_part part, size_t i)
{
	assert(i < w->count[part]);
	return &w->items[w->first[part] + i];
}

/* The members not yet taken. */
struct cursor {
	const struct receipt_work *work;
	size_t at;
};

static bool is_next(const struct cursor *c, const char *name)
{
	return c->at < c->work->member_count && strcmp(c->work->members[c->at].name, name) == 0;
}

static bool take(struct cursor *c, const char *name, const char *suffix, struct bytes *out)
{
	char full[2 * RECEIPT_NAME_CHARS];

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	if (!is_next(c, full))
		return false;
	*out = c->work->members[c->at++].data;
	return true;
}

/* True with one more item if the next members are it; *is_broken if they are only a part of it. */
static bool take_item(struct receipt_work *w, struct cursor *c, enum receipt_part part, size_t i, bool *is_broken)
{
	struct receipt_item *item = &w->items[w->item_count];

	memset(item, 0, sizeof(*item));
	item->part = part;
	receipt_part_name(item->name, part, i);
	if (!take(c, item->name, ".tbs", &item->tbs))
		return false;
	*is_broken = true;
	if (part != RECEIPT_PART_TERMS && !take(c, item->name, ".sig", &item->sig))
		return false;
	if (!take(c, item->name, ".entry", &item->entry) || !take(c, item->name, ".tlog-proof", &item->proof))
		return false;
	*is_broken = false;
	w->item_count++;
	return true;
}

static int take_part(struct receipt_work *w, struct cursor *c, enum receipt_part part)
{
	bool is_broken = false;

	w->first[part] = w->item_count;
	while (w->count[part] < parts[part].max && w->item_count < RECEIPT_ITEMS_MAX) {
		if (!take_item(w, c, part, w->count[part], &is_broken))
			break;
		w->count[part]++;
	}
	return is_broken || w->count[part] < parts[part].min ? RK_MALFORMED : RK_OK;
}

static int take_parts(struct receipt_work *w, struct cursor *c)
{
	enum receipt_part first = RECEIPT_PART_CHARTER, last = RECEIPT_PART_NACK;
	int r = RK_OK;

	for (enum receipt_part part = first; part <= last && r == RK_OK; part++) {
		r = take_part(w, c, part);
		if (part == RECEIPT_PART_DEVICES && is_next(c, "deposit.tbs")) {
			w->out->is_deposit = true;
			return r != RK_OK ? r : take_part(w, c, RECEIPT_PART_DEPOSIT);
		}
	}
	return r;
}

static void take_keys(struct receipt_work *w, struct cursor *c)
{
	char name[RECEIPT_NAME_CHARS];

	while (w->key_count < RECEIPT_ATTACHMENTS_MAX && c->at < w->member_count) {
		receipt_attachment_name(name, w->key_count, ".key");
		if (!is_next(c, name))
			break;
		w->keys[w->key_count++] = w->members[c->at++];
	}
}

static int take_files(struct receipt_work *w, struct cursor *c)
{
	enum receipt_file first = w->out->is_deposit ? RECEIPT_FILE_DEPOSIT_PLAIN : RECEIPT_FILE_BODY;
	enum receipt_file last = w->out->is_deposit ? RECEIPT_FILE_DEPOSIT : RECEIPT_FILE_SALT;
	bool has_cover, has_document, has_salt;

	for (enum receipt_file file = first; file <= last; file++)
		take(c, files[file], "", &w->files[file]);
	if (w->out->is_deposit)
		return w->files[RECEIPT_FILE_DEPOSIT_PLAIN].data ? RK_OK : RK_MALFORMED;
	take_keys(w, c);
	has_cover = w->files[RECEIPT_FILE_COVER].data != NULL;
	has_document = w->files[RECEIPT_FILE_DOCUMENT].data != NULL;
	has_salt = w->files[RECEIPT_FILE_SALT].data != NULL;
	return has_cover == has_document && has_cover == has_salt ? RK_OK : RK_MALFORMED;
}

int receipt_take_members(struct receipt_work *w, const char **at)
{
	struct cursor c = {w, 0};
	struct bytes readme;
	int r = RK_MALFORMED;

	if (take(&c, RECEIPT_README, "", &readme) && bytes_equal(readme, receipt_readme()) &&
	    (r = take_parts(w, &c)) == RK_OK)
		r = take_files(w, &c);
	*at = c.at < w->member_count ? w->members[c.at].name : "";
	return r == RK_OK && c.at < w->member_count ? RK_MALFORMED : r;
}
