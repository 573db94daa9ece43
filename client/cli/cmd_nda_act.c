/* nda decline, withdraw, hold, resume, terminate, export. */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/cli/shared.h"
#include "client/savefile.h"
#include "proto/orgkey.h"
#include "proto/strict.h"

#define FILE_NAME_CHARS 96
#define DAY_MS ((int64_t)86400000)

/* ---- acts */

static int report_act(struct cli *c, const struct agreement *ag, int r)
{
	if (r == RK_CONFLICT || r == RK_DUPLICATE)
		return cli_refuse(c, r, TEXT_HINT_VIEW, TEXT_ACT_NOT_NOW, text(shared_state_text(ag->state), c->lang));
	/* The one act that terms can rule out. */
	if (r == RK_NOT_PERMITTED)
		return cli_refuse(c, r, TEXT_HINT_HOLD, TEXT_NO_EXIT);
	return shared_fail(c, r, TEXT_CANNOT_ACT);
}

/* What the act means from now on. */
static void say_done(struct cli *c, Rk__ActKind kind, int64_t notice_days, int64_t time_ms)
{
	char when[OUT_TIME_CHARS];

	if (kind == RK__ACT_KIND__TERMINATE && notice_days > 0)
		out_say(c, TEXT_NOTICE_GIVEN, out_time(when, time_ms + notice_days * DAY_MS));
	else if (kind == RK__ACT_KIND__TERMINATE)
		out_say(c, TEXT_ENDED);
	else if (kind == RK__ACT_KIND__HOLD)
		out_say(c, TEXT_ON_HOLD);
	else
		out_say(c, TEXT_ACT_DONE, text(shared_act_text(kind), c->lang));
}

static int act(struct cli *c, const char *given, Rk__ActKind kind, const char *reason)
{
	struct agreement *ag;
	uint8_t nda_id[32];
	int64_t notice_days = 0;
	struct outcome out;
	struct shared s;
	uint64_t item;
	json_t *json;
	int r;

	if (kind != RK__ACT_KIND__HOLD && (r = shared_org_key(c)) != RK_OK)
		return r;
	if ((r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = shared_agreement(&s, given, false, RK_ENOTFOUND, &ag)) == RK_OK) {
		memcpy(nda_id, ag->nda_id, 32);
		notice_days = ag->row.notice_days;
		if ((r = agreement_act(c->client, s.t, ag, kind, reason, &item)) != RK_OK)
			r = report_act(c, ag, r);
	}
	if ((r = shared_end(&s, r)) != RK_OK || (r = cli_finish(c, item, TEXT_CANNOT_ACT, &out)) != RK_OK)
		return r;
	if (!c->json) {
		say_done(c, kind, notice_days, out.time_ms);
		return RK_OK;
	}
	json = json_object();
	out_set_id(json, "nda_id", BYTES_OF(nda_id));
	out_set_text(json, "act", agreement_act_name(kind));
	out_set_time(json, "time", out.time_ms);
	return out_json(json);
}

static int act_verb(struct cli *c, int argc, char **argv, Rk__ActKind kind, bool asks)
{
	const char *reason = NULL;
	bool yes = false;
	const struct cli_option options[] = {
		{"reason", CLI_TEXT, &reason, "TEXT", TEXT_OPT_REASON, false},
		{"yes", CLI_FLAG, &yes, NULL, TEXT_OPT_YES, false},
		{0},
	};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NONE};
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = shared_open(c)) != RK_OK)
		return r;
	if (asks && !yes && (r = cli_confirm(c, TEXT_ASK_TERMINATE)) != RK_OK)
		return r;
	return act(c, args.arg[0], kind, reason);
}

int cmd_nda_decline(struct cli *c, int argc, char **argv)
{
	return act_verb(c, argc, argv, RK__ACT_KIND__REJECT, false);
}

int cmd_nda_withdraw(struct cli *c, int argc, char **argv)
{
	return act_verb(c, argc, argv, RK__ACT_KIND__WITHDRAW_NDA, false);
}

int cmd_nda_hold(struct cli *c, int argc, char **argv)
{
	return act_verb(c, argc, argv, RK__ACT_KIND__HOLD, false);
}

int cmd_nda_resume(struct cli *c, int argc, char **argv)
{
	return act_verb(c, argc, argv, RK__ACT_KIND__RESUME, false);
}

int cmd_nda_terminate(struct cli *c, int argc, char **argv)
{
	return act_verb(c, argc, argv, RK__ACT_KIND__TERMINATE, true);
}

/* ---- export */

struct export {
	struct shared *s;
	const struct agreement *ag;
	int dir_fd;
	unsigned files;
};

static int put(struct export *x, const char *name, struct bytes content)
{
	int r = savefile_write(x->dir_fd, name, content);

	x->files += r == RK_OK;
	return r;
}

static int put_document(struct export *x)
{
	char given[SAVEFILE_NAME_MAX], name[SAVEFILE_NAME_MAX + 16];
	const Rk__Proposal *p = x->ag->proposal;
	int r;

	if (p == NULL)
		return RK_OK;
	savefile_name(given, p->document_name);
	snprintf(name, sizeof(name), "document-%s", given);
	if ((r = put(x, "cover.bin", bytes_of(p->cover))) != RK_OK || (r = put(x, name, bytes_of(p->document))) != RK_OK)
		return r;
	return put(x, "doc.salt", bytes_of(p->doc_salt));
}

static int put_pages(struct export *x)
{
	for (int i = 0; i < x->ag->row.party_count; i++) {
		const uint8_t *org = x->ag->row.parties[i].org_id;
		char id[OUT_ID_CHARS], name[FILE_NAME_CHARS];
		Rk__SignaturePage *page;
		Rk__PageReveal *reveal;
		int r;

		if (agreement_page(x->s->client, x->ag, org, x->s->a, &page, &reveal) != RK_OK)
			continue;
		snprintf(name, sizeof(name), "page-%s.bin", out_short(id, bytes_make(org, 16)));
		if ((r = put(x, name, bytes_of(reveal->page))) != RK_OK)
			return r;
		snprintf(name, sizeof(name), "page-%s.salt", id);
		if ((r = put(x, name, bytes_of(reveal->page_salt))) != RK_OK)
			return r;
	}
	return RK_OK;
}

/* A key in the form that openssl reads: a fixed head of SubjectPublicKeyInfo, then the key. */
static int put_pem(struct export *x, const uint8_t *org_id, const char *suffix, const uint8_t pk[32])
{
	static const uint8_t head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
	uint8_t der[sizeof(head) + 32];
	char base64[sodium_base64_ENCODED_LEN(sizeof(der), sodium_base64_VARIANT_ORIGINAL)], id[OUT_ID_CHARS], name[FILE_NAME_CHARS];
	const char *pem;

	memcpy(der, head, sizeof(head));
	memcpy(der + sizeof(head), pk, 32);
	sodium_bin2base64(base64, sizeof(base64), der, sizeof(der), sodium_base64_VARIANT_ORIGINAL);
	pem = shared_text(x->s, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", base64);
	snprintf(name, sizeof(name), "key-%s%s.pem", out_short(id, bytes_make(org_id, 16)), suffix);
	return put(x, name, bytes_str(pem));
}

/* The key to which the terms bind a party, and where another one counts as it now, that one: it may have signed later acts. */
static int put_key(struct export *x, const struct nda_party *p)
{
	uint8_t pk[32];
	Rk__Org *org;
	int r;

	if (book_org(x->s->client, x->s->t, p->org_id, x->s->a, &org) != RK_OK || !orgkey_find(org, p->org_key_fp, pk))
		return RK_OK;
	if ((r = put_pem(x, p->org_id, "", pk)) != RK_OK || memcmp(pk, org->org_pk.data, 32) == 0)
		return r;
	return put_pem(x, p->org_id, "-now", org->org_pk.data);
}

/* What was signed: label, a zero byte, the exchange, the act; so that common tools verify it. */
static int put_act(struct export *x, size_t i)
{
	const struct agreement_act *d = &x->ag->details[i];
	enum object_kind kind = d->act->kind == RK__ACT_KIND__HOLD ? OBJECT_KIND_NDA_HOLD : OBJECT_KIND_NDA_ACT;
	const char *label = object_info(kind)->label;
	size_t label_len = strlen(label) + 1;
	char id[OUT_ID_CHARS], name[FILE_NAME_CHARS];
	struct object o;
	uint8_t *tbs;
	int r;

	if ((r = object_parse(OBJECT_KIND_NDA_ACT, d->wire, x->s->a, &o)) != RK_OK)
		return RK_ESTORE;
	arena_raise(x->s->a, label_len + 32 + o.payload.len + 32);
	if ((tbs = arena_alloc(x->s->a, label_len + 32 + o.payload.len)) == NULL)
		return RK_ENOMEM;
	memcpy(tbs, label, label_len);
	memcpy(tbs + label_len, client_exchange_id(x->s->client), 32);
	memcpy(tbs + label_len + 32, o.payload.data, o.payload.len);
	out_short(id, bytes_of(d->act->org_id));
	snprintf(name, sizeof(name), "act-%02zu-%s-%s.tbs", i + 1, agreement_act_name(d->act->kind), id);
	if ((r = put(x, name, bytes_make(tbs, label_len + 32 + o.payload.len))) != RK_OK)
		return r;
	snprintf(name, sizeof(name), "act-%02zu-%s-%s.sig", i + 1, agreement_act_name(d->act->kind), id);
	return put(x, name, o.sig);
}

static int export_all(struct export *x)
{
	int r;

	if ((r = put(x, "README.txt", bytes_str(text(TEXT_EXPORT_README, x->s->c->lang)))) != RK_OK ||
	    (r = put(x, "terms.bin", bytes_of(x->ag->record->terms))) != RK_OK || (r = put_document(x)) != RK_OK ||
	    (r = put_pages(x)) != RK_OK)
		return r;
	for (int i = 0; i < x->ag->row.party_count && r == RK_OK; i++)
		r = put_key(x, &x->ag->row.parties[i]);
	for (size_t i = 0; i < x->ag->act_count && r == RK_OK; i++)
		r = put_act(x, i);
	return r;
}

int cmd_nda_export(struct cli *c, int argc, char **argv)
{
	const char *output = NULL;
	const struct cli_option options[] = {{"output", CLI_TEXT, &output, "DIR", TEXT_OPT_OUTPUT, true}, {0}};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NONE};
	struct cli_args args;
	struct agreement *ag;
	struct shared s;
	struct export x = {.dir_fd = -1};
	json_t *json;
	int r, closed;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = shared_agreement(&s, args.arg[0], true, RK_ENOTFOUND, &ag)) != RK_OK)
		return shared_end(&s, r);
	x.s = &s;
	x.ag = ag;
	if ((r = savefile_open(output, &x.dir_fd)) == RK_OK) {
		r = export_all(&x);
		closed = savefile_close(x.dir_fd);
		r = r == RK_OK ? closed : r;
	}
	if (r != RK_OK)
		return shared_end(&s, cli_fail(c, r, TEXT_CANNOT_EXPORT, output));
	if (c->json) {
		json = json_object();
		out_set_id(json, "nda_id", bytes_make(ag->nda_id, 32));
		out_set_text(json, "output", output);
		out_set_number(json, "files", x.files);
		r = out_json(json);
	} else {
		out_say(c, TEXT_EXPORTED, output);
	}
	return shared_end(&s, r);
}
