/* dossier decline and destroy: not taking one, and getting rid of one. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "client/cli/cmd_dossier.h"
#include "client/cli/shared.h"
#include "client/cli/show_dossier.h"
#include "client/backup.h"
#include "client/dossier_destroy.h"
#include "proto/strict.h"

#define EXCEPTIONS_MAX 1000 /* FIELDS "Notices" */
#define EXCEPTION_ROOM 320  /* of one copy: a name of 255 bytes, a day, words */

static int load(struct shared *s, const char *given, Rkl__EnvelopeRecord **record)
{
	return show_envelope_load(s, given, show_is_dossier, TEXT_DOSSIER_UNKNOWN, record);
}

/* ---- decline */

static int report_decline(struct cli *c, const Rkl__EnvelopeRecord *record, int r, const char *given)
{
	if (r != RK_CONFLICT)
		return cli_fail(c, r, TEXT_CANNOT_DECLINE, given);
	return cli_refuse(c, r, TEXT_NONE, record->outgoing ? TEXT_DECLINE_OWN
	                  : record->state == RKL__ENVELOPE_STATE__FAILED ? TEXT_DECLINE_REFUSED : TEXT_DECLINE_LATE, given);
}

static int say_declined(struct cli *c, const char *given)
{
	Rkl__EnvelopeRecord *record;
	struct shared s;
	struct mail_fate f;
	json_t *json;
	int r;

	out_say(c, TEXT_DECLINED_DOSSIER);
	if (!c->json)
		return RK_OK;
	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = load(&s, given, &record)) == RK_OK) {
		mail_fate(record, client_org_id(c->client), &f);
		json = json_object();
		out_set_id(json, "dossier_id", bytes_of(record->env_id));
		out_set_text(json, "state", "declined");
		out_set_time(json, "time", f.nack != NULL ? f.nack->time_ms : 0);
		if (f.nack != NULL)
			out_set_number(json, "log_index", (int64_t)f.nack->log_index);
		r = out_json(json);
	}
	return shared_end(&s, r);
}

int cmd_dossier_decline(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "ID", 1, 1, TEXT_NONE};
	Rkl__EnvelopeRecord *record;
	struct cli_args args;
	struct outcome out;
	struct shared s;
	uint64_t item = 0;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = load(&s, args.arg[0], &record)) == RK_OK &&
	    (r = mail_decline(c->client, s.t, record->env_id.data, &item)) != RK_OK)
		r = report_decline(c, record, r, args.arg[0]);
	else if (r == RK_OK)
		r = inbox_settle(s.t, bytes_of(record->env_id));
	if ((r = shared_end(&s, r)) != RK_OK)
		return r;
	r = item != 0 ? link_finish(c->client, item, &c->stop, &out) : RK_OK;
	if (r == RK_NO_RECIPIENT_KEY)
		return cmd_dossier_sealed_before(c, args.arg[0]);
	if (r != RK_OK)
		return cli_fail_finish(c, r, TEXT_DECLINE_WAITS);
	return say_declined(c, args.arg[0]);
}

/* ---- destroy */

struct ending {
	const char *nda, *method, *exceptions, *signer;
	bool yes, certificate;
	bool is_listed;             /* the copies outside were shown before the question */
	uint8_t (*ids)[32];         /* malloc'ed */
	size_t count;
	uint8_t nda_id[32];         /* of the certificate; of what was destroyed before, if nothing is left */
};

static int keep_ids(struct ending *e, Rkl__EnvelopeRecord *const *records, size_t n)
{
	e->ids = calloc(n + 1, sizeof(*e->ids));
	if (e->ids == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < n; i++)
		memcpy(e->ids[i], records[i]->env_id.data, 32);
	e->count = n;
	return RK_OK;
}

/* Named a second time, or destroyed before: the state is told, as if it had been done now. */
static int say_gone(struct shared *s, struct ending *e, const Rkl__EnvelopeRecord *record, const char *given)
{
	char when[OUT_TIME_CHARS];

	if (record->destroyed_at == 0)
		return RK_OK;
	memcpy(e->nda_id, record->nda_id.data, 32);
	if (s->c->json)
		return out_json(show_dossier_json(s, record, NULL));
	out_say(s->c, TEXT_DOSSIER_DESTROYED, given, out_time(when, record->destroyed_at));
	return RK_OK;
}

/* What the arguments name and what can be destroyed; what is gone already is said and left out. */
static int named(struct shared *s, struct ending *e, const struct cli_args *args, Rkl__EnvelopeRecord **records, size_t *n)
{
	int r = RK_OK;

	*n = 0;
	for (unsigned i = 0; i < args->count && r == RK_OK; i++) {
		Rkl__EnvelopeRecord *record;

		if ((r = load(s, args->arg[i], &record)) != RK_OK)
			break;
		r = dossier_check_destroy(s->t, record);
		for (size_t j = 0; r == RK_OK && j < *n; j++)
			if (bytes_equal(bytes_of(records[j]->env_id), bytes_of(record->env_id)))
				r = RK_EEXISTS;
		if (r == RK_OK)
			records[(*n)++] = record;
		else if (r == RK_ENOTFOUND)
			return cli_refuse(s->c, RK_CONFLICT, TEXT_NONE, TEXT_DESTROY_NOT_HERE, args->arg[i]);
		else if (r == RK_EEXISTS)
			r = say_gone(s, e, record, args->arg[i]);
	}
	return r;
}

static int choose(struct shared *s, struct ending *e, const struct cli_args *args, Rkl__EnvelopeRecord ***records, size_t *n)
{
	struct agreement *ag;
	int r;

	if (e->nda == NULL) {
		arena_raise(s->a, CLI_ARGS_MAX * sizeof(**records) + 32);
		*records = arena_alloc(s->a, CLI_ARGS_MAX * sizeof(**records));
		return *records == NULL ? RK_ENOMEM : named(s, e, args, *records, n);
	}
	if ((r = shared_agreement(s, e->nda, false, RK_ENOTFOUND, &ag)) != RK_OK)
		return r;
	memcpy(e->nda_id, ag->nda_id, 32);
	return dossier_received(s->t, ag->nda_id, s->a, records, n);
}

/* Where it was written to; only there can it be looked for. */
static bool is_still_there(struct shared *s, const Rkl__SavedCopy *copy)
{
	struct stat st;

	return lstat(shared_text(s, "%s/%s", copy->folder, copy->name), &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* Backups since they came hold them too, and their keys.  Only the day of the newest is known here. */
static int64_t backed_up_at(struct shared *s, Rkl__EnvelopeRecord *const *records, size_t n)
{
	int64_t made_at = (int64_t)meta_u64(s->t, META_BACKUP_AT);

	for (size_t i = 0; i < n; i++)
		if (records[i]->time_ms <= made_at)
			return made_at;
	return 0;
}

/* "report.pdf (saved 2026-11-27); …": names and days, not folders: those are nobody else's business. */
static const char *exceptions_of(struct shared *s, Rkl__EnvelopeRecord *const *records, size_t n)
{
	int64_t made_at = backed_up_at(s, records, n);
	char day[OUT_TIME_CHARS];
	const char *all = made_at != 0 ? shared_fill(s, TEXT_EXCEPTION_BACKUP, out_day(day, made_at)) : "";

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < records[i]->n_copies; j++) {
			const Rkl__SavedCopy *copy = records[i]->copies[j];

			if (!is_still_there(s, copy))
				continue;
			if (strlen(all) + EXCEPTION_ROOM > EXCEPTIONS_MAX)
				return shared_text(s, "%s%s", all, text(TEXT_AND_MORE, s->c->lang));
			all = shared_text(s, "%s%s%s", all, all[0] != '\0' ? "; " : "",
			                  shared_fill(s, TEXT_EXCEPTION, copy->name, out_day(day, copy->time_ms)));
		}
	return all;
}

static int certify(struct shared *s, const struct ending *e, Rkl__EnvelopeRecord *const *records, size_t n, uint64_t *item)
{
	struct dossier_certificate d = {.nda_id = e->nda_id, .records = records, .count = n, .all = e->nda != NULL,
	                                .done_at = client_now(s->client)};

	d.method = e->method != NULL ? e->method : text(TEXT_DESTROY_METHOD, s->c->lang);
	d.exceptions = e->exceptions != NULL ? e->exceptions : exceptions_of(s, records, n);
	d.signer = e->signer != NULL ? e->signer : shared_name(s, client_org_id(s->client));
	return dossier_certify(s->client, s->t, &d, s->a, item);
}

/* Before anything is destroyed: one agreement, and its gate for notices is open. */
static int check_certificate(struct shared *s, struct ending *e, Rkl__EnvelopeRecord *const *records, size_t n)
{
	const Rkl__EnvelopeRecord *first = NULL;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (!dossier_is_received(records[i]))
			continue;
		if (first != NULL && !bytes_equal(bytes_of(first->nda_id), bytes_of(records[i]->nda_id)))
			return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_CERTIFICATE_ONE);
		first = records[i];
	}
	if (first == NULL)
		return cli_refuse(s->c, RK_EUSAGE, TEXT_NONE, TEXT_CERTIFICATE_NONE);
	memcpy(e->nda_id, first->nda_id.data, 32);
	r = certify(s, e, records, n, NULL);
	if (r == RK_TOO_LARGE)
		return cli_refuse(s->c, r, TEXT_NONE, TEXT_CERTIFICATE_MANY);
	return r == RK_OK ? r : shared_fail(s->c, r, TEXT_CANNOT_CERTIFY);
}

/* Copies that are still outside: one a line, with the whole path.  True if there are any. */
static bool show_copies(struct shared *s, Rkl__EnvelopeRecord *const *records, size_t n)
{
	char when[OUT_TIME_CHARS];
	bool is_any = false;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < records[i]->n_copies; j++) {
			const Rkl__SavedCopy *copy = records[i]->copies[j];

			if (!is_still_there(s, copy))
				continue;
			if (!is_any)
				out_line(s->c, TEXT_COPIES_OUTSIDE);
			is_any = true;
			out_line(s->c, TEXT_COPY_LINE, copy->folder, copy->name, out_time(when, copy->time_ms));
		}
	return is_any;
}

static int plan(struct cli *c, struct ending *e, const struct cli_args *args)
{
	Rkl__EnvelopeRecord **records = NULL;
	struct shared s;
	size_t n = 0;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = choose(&s, e, args, &records, &n)) == RK_OK && n > 0 && e->certificate)
		r = check_certificate(&s, e, records, n);
	/* While there is still somebody to ask, so that they can be deleted before the certificate names them. */
	if (r == RK_OK && !e->yes && !c->json)
		e->is_listed = show_copies(&s, records, n);
	if (r == RK_OK)
		r = keep_ids(e, records, n);
	return shared_end(&s, r);
}

static int say_destroyed(struct shared *s, const struct ending *e, Rkl__EnvelopeRecord *const *records, size_t n)
{
	const char *exceptions = exceptions_of(s, records, n);
	char id[OUT_ID_CHARS];
	int r = RK_OK;

	for (size_t i = 0; i < n && s->c->json && r == RK_OK; i++)
		r = out_json(show_dossier_json(s, records[i], NULL));
	if (s->c->json)
		return r;
	for (size_t i = 0; i < n; i++)
		out_line(s->c, TEXT_DESTROYED, out_short(id, bytes_of(records[i]->env_id)));
	if (!e->is_listed)
		(void)show_copies(s, records, n);
	if (exceptions[0] != '\0')
		out_say(s->c, e->certificate && e->exceptions == NULL ? TEXT_EXCEPTIONS_NAMED : TEXT_EXCEPTIONS_TEXT, exceptions);
	return RK_OK;
}

static int destroy_all(struct shared *s, struct ending *e, uint64_t *item)
{
	Rkl__EnvelopeRecord **records;
	int r = RK_OK;

	arena_raise(s->a, e->count * sizeof(*records) + 32);
	if ((records = arena_alloc(s->a, e->count * sizeof(*records))) == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < e->count && r == RK_OK; i++) {
		r = mail_load(s->t, e->ids[i], s->a, &records[i]);
		/* Another process was quicker: as good. */
		if (r == RK_OK && (r = dossier_destroy(s->client, s->t, records[i])) == RK_EEXISTS)
			r = RK_OK;
		if (r == RK_OK)
			r = inbox_settle(s->t, BYTES_OF(e->ids[i]));
	}
	if (r != RK_OK)
		return cli_fail(s->c, r, TEXT_CANNOT_DESTROY);
	if (e->certificate && (r = certify(s, e, records, e->count, item)) != RK_OK)
		return shared_fail(s->c, r, TEXT_CANNOT_CERTIFY);
	return say_destroyed(s, e, records, e->count);
}

static int finish_certificate(struct cli *c, uint64_t item)
{
	struct outcome out;
	int r;

	if ((r = cli_finish(c, item, TEXT_CANNOT_CERTIFY, &out)) != RK_OK)
		return r;
	out_say(c, TEXT_CERTIFIED);
	return c->json ? out_json(shared_outcome_json("certificate_id", &out)) : RK_OK;
}

/* A certificate that was asked for and not sent is no success. */
static int say_nothing(struct cli *c, const struct ending *e)
{
	char id[OUT_ID_CHARS];

	if (e->certificate)
		return cli_refuse(c, RK_CONFLICT, TEXT_NONE, TEXT_DESTROY_UNCERTIFIED, out_short(id, BYTES_OF(e->nda_id)));
	out_say(c, TEXT_DESTROY_NOTHING);
	return RK_OK;
}

static int run_destroy(struct cli *c, struct ending *e, const struct cli_args *args)
{
	struct shared s;
	uint64_t item = 0;
	int r;

	if ((r = shared_open(c)) != RK_OK || (r = plan(c, e, args)) != RK_OK)
		return r;
	if (e->count == 0)
		return say_nothing(c, e);
	if (!e->yes && (r = cli_confirm(c, e->is_listed ? TEXT_DESTROY_ASK_COPIES : TEXT_DESTROY_ASK, (int)e->count)) != RK_OK)
		return r;
	if ((r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	r = destroy_all(&s, e, &item);
	if ((r = shared_end(&s, r)) != RK_OK)
		return r;
	spool_sweep(c->client);
	return item != 0 ? finish_certificate(c, item) : RK_OK;
}

int cmd_dossier_destroy(struct cli *c, int argc, char **argv)
{
	struct ending e = {0};
	const struct cli_option options[] = {
		{"nda", CLI_TEXT, &e.nda, "ID", TEXT_OPT_DESTROY_NDA, false},
		{"certificate", CLI_FLAG, &e.certificate, NULL, TEXT_OPT_CERTIFICATE, false},
		{"method", CLI_TEXT, &e.method, "TEXT", TEXT_OPT_CERT_METHOD, false},
		{"exceptions", CLI_TEXT, &e.exceptions, "TEXT", TEXT_OPT_CERT_EXCEPTIONS, false},
		{"signer", CLI_TEXT, &e.signer, "NAME", TEXT_OPT_SIGNER, false},
		{"yes", CLI_FLAG, &e.yes, NULL, TEXT_OPT_DESTROY_YES, false},
		{0},
	};
	const struct cli_usage usage = {options, "[ID…]", 0, CLI_ARGS_MAX, TEXT_HELP_DESTROY};
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((e.nda != NULL) == (args.count > 0))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_DESTROY_WHICH);
	r = run_destroy(c, &e, &args);
	free(e.ids);
	return r;
}
