/* secretariat: what is due, and signing ahead.  `serve` is cmd_agent.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/out.h"
#include "client/cli/shared.h"
#include "client/cli/show.h"
#include "client/days.h"
#include "client/secretariat_ahead.h"
#include "client/secretariat_duty.h"
#include "proto/ids.h"

#define DEVICES_SHOWN 64

static int open_here(struct cli *c)
{
	int rc = cli_open_joined(c);
	if (rc == RK_OK && !secretariat_is_here(c->client))
		return cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_SECRETARIAT, TEXT_NOT_SECRETARIAT);
	return rc;
}

/* ---- duty */

struct listing {
	struct secretariat_duty duty[OFFICE_COUNT];
	uint8_t device[DEVICES_SHOWN][16], org[DEVICES_SHOWN][16];
	char org_name[DEVICES_SHOWN][201];
	size_t devices;
};

static int note_device(void *user, const uint8_t device_id[16])
{
	struct listing *l = user;
	if (l->devices < DEVICES_SHOWN)
		memcpy(l->device[l->devices++], device_id, 16);
	return RK_OK;
}

static int gather(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct listing *l = user;
	int rc = secretariat_list(c->client, txn, l->duty);
	if (rc == RK_OK)
		rc = secretariat_each_missing(c->client, txn, note_device, l);
	for (size_t i = 0; rc == RK_OK && i < l->devices; i++) {
		if (book_org_of_device(txn, l->device[i], l->org[i]) == RK_OK)
			snprintf(l->org_name[i], sizeof(l->org_name[i]), "%s", book_org_name(c->client, txn, l->org[i], c->lang, a));
	}
	return rc;
}

static const enum text_id duty_texts[OFFICE_COUNT] = {
	[OFFICE_DIRECTORY] = TEXT_OFFICE_DIRECTORY, [OFFICE_COSIGN] = TEXT_OFFICE_COSIGN, [OFFICE_EPOCH] = TEXT_OFFICE_EPOCH,
	[OFFICE_FEED_KEYS] = TEXT_OFFICE_FEED_KEYS, [OFFICE_CHARTER] = TEXT_OFFICE_CHARTER, [OFFICE_ENROLMENTS] = TEXT_OFFICE_ENROLMENTS,
	[OFFICE_INVITES] = TEXT_OFFICE_INVITES, [OFFICE_AHEAD] = TEXT_OFFICE_AHEAD,
};

static enum text_id why_text(enum secretariat_why why)
{
	switch (why) {
	case OFFICE_WHY_EXPELLED:
		return TEXT_OFFICE_WHY_EXPELLED;
	case OFFICE_WHY_REMOVED:
		return TEXT_OFFICE_WHY_REMOVED;
	case OFFICE_WHY_LOG:
		return TEXT_OFFICE_WHY_LOG;
	case OFFICE_WHY_OFFICER:
		return TEXT_OFFICE_WHY_OFFICER;
	default:
		return TEXT_NONE;
	}
}

static json_t *devices_json(const struct listing *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < l->devices; i++) {
		json_t *j = json_object();
		out_set_id(j, "device_id", BYTES_OF(l->device[i]));
		out_set_id(j, "org_id", BYTES_OF(l->org[i]));
		out_set_text(j, "org_name", l->org_name[i]);
		json_array_append_new(list, j);
	}
	return list;
}

static int duty_json(const struct listing *l, const struct secretariat_duty *d)
{
	json_t *j = json_object();
	out_set_text(j, "duty", secretariat_duty_name(d->kind));
	out_set_bool(j, "due", d->is_due);
	out_set_bool(j, "by_hand", d->by_hand);
	out_set_time(j, "due_at", d->due_at);
	out_set_time(j, "until", d->until);
	out_set_text(j, "why", d->why != OFFICE_WHY_NONE ? secretariat_why_name(d->why) : NULL);
	out_set_number(j, "count", d->count);
	if (d->kind == OFFICE_FEED_KEYS)
		json_object_set_new(j, "devices", devices_json(l));
	return out_json(j);
}

static void duty_row(struct cli *c, struct out_table *table, const struct secretariat_duty *d)
{
	char when[OUT_TIME_CHARS], what[300], count[16] = "";
	const char *why = text(why_text(d->why), c->lang);
	bool counts = d->kind == OFFICE_FEED_KEYS || d->kind == OFFICE_ENROLMENTS || d->kind == OFFICE_INVITES || d->kind == OFFICE_AHEAD;
	if (counts)
		snprintf(count, sizeof(count), "%u", d->count);
	snprintf(what, sizeof(what), "%s%s%s", text(duty_texts[d->kind], c->lang), *why ? text(TEXT_OFFICE_BECAUSE, c->lang) : "", why);
	out_table_row(table);
	out_table_cell(table, text(d->is_due ? TEXT_OFFICE_DUE : TEXT_OFFICE_NOT_DUE, c->lang));
	out_table_cell(table, what);
	out_table_cell(table, count);
	out_table_cell(table, out_time(when, d->due_at));
	out_table_cell(table, out_time(when, d->until));
}

static int print_listing(struct cli *c, const struct listing *l)
{
	static const enum text_id headings[] = {TEXT_H_OFFICE_DUE, TEXT_H_OFFICE_WHAT, TEXT_H_OFFICE_COUNT, TEXT_H_OFFICE_AT, TEXT_H_OFFICE_UNTIL};
	struct out_table *table = c->json ? NULL : out_table_new(c, 5, headings);
	int rc = RK_OK;
	for (size_t i = 0; i < OFFICE_COUNT && rc == RK_OK; i++) {
		if (c->json)
			rc = duty_json(l, &l->duty[i]);
		else
			duty_row(c, table, &l->duty[i]);
	}
	out_table_end(table, TEXT_NONE);
	for (size_t i = 0; i < l->devices && !c->json; i++) {
		char shown[OUT_ID_CHARS];
		out_say(c, TEXT_OFFICE_LACKS, out_short(shown, BYTES_OF(l->device[i])), l->org_name[i]);
	}
	return rc;
}

/* The one mechanism of sync and serve; and then what stands behind it in the outbox. */
static int do_now(struct cli *c)
{
	struct secretariat_done done;
	if (!secretariat_is_due(c->client))
		return RK_OK;
	int rc = secretariat_duties(c->client, &done);
	if (rc == RK_OK)
		rc = link_sync(c->client, &c->stop);
	return rc == RK_OK ? rc : cli_fail(c, rc, TEXT_CANNOT_DO_DUTIES);
}

int cmd_secretariat_duty(struct cli *c, int argc, char **argv)
{
	bool act = false;
	const struct cli_option options[] = {{"do", CLI_FLAG, &act, NULL, TEXT_OPT_DO, false}, {0}};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_DUTY};
	struct listing *l = NULL;
	struct cli_args args;
	bool due = false;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = open_here(c);
	if (rc != RK_OK)
		return rc;
	if (!act)
		rc = cli_refresh(c);
	else if ((rc = link_sync(c->client, &c->stop)) != RK_OK)
		rc = cli_fail(c, rc, TEXT_CANNOT_SYNC);
	else
		rc = do_now(c);
	if (rc != RK_OK)
		return rc;
	if (!(l = calloc(1, sizeof(*l))))
		return RK_ENOMEM;
	if ((rc = show_read(c, gather, l)) == RK_OK)
		rc = print_listing(c, l);
	for (size_t i = 0; i < OFFICE_COUNT; i++)
		due |= l->duty[i].is_due;
	free(l);
	return rc == RK_OK && due ? CLI_PARTIAL : rc;
}

/* ---- ahead */

static int view_ahead(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	(void)a;
	return ahead_view(c->client, txn, user);
}

static int refuse_ahead(struct cli *c, int code, const char *until)
{
	if (code == RK_EUSAGE)
		return cli_refuse(c, code, TEXT_HINT_AHEAD, TEXT_BAD_AHEAD, until, AHEAD_WEEKS_MAX);
	return cli_fail(c, code, TEXT_CANNOT_AHEAD);
}

int cmd_secretariat_ahead(struct cli *c, int argc, char **argv)
{
	const char *until = NULL;
	const struct cli_option options[] = {{"until", CLI_TEXT, &until, "DATE", TEXT_OPT_UNTIL, true}, {0}};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_AHEAD};
	struct ahead_view v = {0};
	struct cli_args args;
	uint32_t day = 0;
	int64_t end;
	unsigned count;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = open_here(c);
	if (rc == RK_OK)
		rc = shared_day(c, "until", until, &day);
	if (rc != RK_OK)
		return rc;
	if (days_end(day, out_zone(), &end) != RK_OK)
		return refuse_ahead(c, RK_EUSAGE, until);
	/* What is due now is done first: the first one that is signed ahead follows a week after the newest. */
	if ((rc = link_sync(c->client, &c->stop)) != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SYNC);
	if ((rc = do_now(c)) != RK_OK)
		return rc;
	if ((rc = secretariat_ahead(c->client, end, &count)) != RK_OK)
		return refuse_ahead(c, rc, until);
	if ((rc = show_read(c, view_ahead, &v)) != RK_OK)
		return rc;
	if (c->json) {
		json_t *j = json_object();
		out_set_number(j, "signed", count);
		out_set_time(j, "next_at", v.next_at);
		out_set_time(j, "covers_until", v.covers_until);
		return out_json(j);
	}
	char covers[OUT_TIME_CHARS];
	if (count)
		out_line(c, TEXT_AHEAD_SIGNED, count, out_time(covers, v.covers_until));
	else
		out_line(c, TEXT_AHEAD_NONE);
	if (count)
		out_say(c, TEXT_AHEAD_LIMITS);
	return RK_OK;
}
