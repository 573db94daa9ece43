#include "client/notice.h"

#include <stdlib.h>

#include "client/agreement_internal.h"
#include "client/days.h"
#include "client/duty.h"
#include "client/mail.h"
#include "proto/strict.h"

#define NOTICE_LIFETIME_MS ((int64_t)20 * NDA_DAY_MS)

/* ---- the table */

static const struct notice_type types[] = {
	{RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION, "marking-confirmation", NOTICE_OCCURRED_AT | NOTICE_SUMMARY,
	 NOTICE_PLACE | NOTICE_DISCLOSER | NOTICE_PRESENT, 0, NOTICE_BY_DISCLOSER, false},
	{RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, "return-request", NOTICE_SCOPE | NOTICE_CHOICE,
	 NOTICE_DUE, 0, NOTICE_BY_DISCLOSER, false},
	{RK__MESSAGE_TYPE__MESSAGE_DESTRUCTION_CERTIFICATE, "destruction-certificate",
	 NOTICE_SCOPE | NOTICE_METHOD | NOTICE_DONE_AT | NOTICE_SIGNER, NOTICE_EXCEPTIONS, 0, NOTICE_BY_RECEIVER, false},
	{RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, "next-step", NOTICE_CHOICE, 0, NOTICE_EXTEND, NOTICE_BY_DECIDER, false},
	{RK__MESSAGE_TYPE__MESSAGE_CONSENT, "consent", NOTICE_SUMMARY, 0, 0, NOTICE_BY_DISCLOSER, false},
	{RK__MESSAGE_TYPE__MESSAGE_COMPELLED_DISCLOSURE, "compelled-disclosure", NOTICE_SUMMARY, NOTICE_DUE, 0, NOTICE_BY_RECEIVER, false},
	{RK__MESSAGE_TYPE__MESSAGE_PRIOR_KNOWLEDGE, "prior-knowledge", NOTICE_SUMMARY, NOTICE_OCCURRED_AT, 0, NOTICE_BY_RECEIVER, false},
	{RK__MESSAGE_TYPE__MESSAGE_SAMPLE, "sample", NOTICE_TITLE, NOTICE_SUMMARY, 0, NOTICE_ANY_PARTY, false},
	{RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE, "dossier-notice", NOTICE_TITLE, NOTICE_ABSTRACT | NOTICE_SUMMARY, 0, NOTICE_ANY_PARTY,
	 true},
};
#define TYPES (sizeof(types) / sizeof(types[0]))

const struct notice_type *notice_types(size_t *count)
{
	*count = TYPES;
	return types;
}

const struct notice_type *notice_type(uint32_t type)
{
	for (size_t i = 0; i < TYPES; i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

const struct notice_type *notice_type_named(const char *name)
{
	for (size_t i = 0; i < TYPES; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

/* ---- fields */

static unsigned fields_of(const Rk__NdaNotice *n)
{
	const struct {
		bool is_set;
		unsigned field;
	} rows[] = {
		{n->n_env_ids > 0 || n->all, NOTICE_SCOPE}, {n->occurred_at != 0, NOTICE_OCCURRED_AT}, {n->place[0] != '\0', NOTICE_PLACE},
		{n->discloser[0] != '\0', NOTICE_DISCLOSER}, {n->n_present > 0, NOTICE_PRESENT}, {n->summary[0] != '\0', NOTICE_SUMMARY},
		{n->choice != 0, NOTICE_CHOICE}, {n->due_day != 0, NOTICE_DUE}, {n->method[0] != '\0', NOTICE_METHOD},
		{n->done_at != 0, NOTICE_DONE_AT}, {n->exceptions[0] != '\0', NOTICE_EXCEPTIONS}, {n->signer[0] != '\0', NOTICE_SIGNER},
		{n->title[0] != '\0', NOTICE_TITLE}, {n->abstract[0] != '\0', NOTICE_ABSTRACT},
	};
	unsigned fields = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].is_set)
			fields |= rows[i].field;
	return fields;
}

static int at_fault(struct notice_problem *p, enum notice_fault fault, unsigned field)
{
	*p = (struct notice_problem){fault, field};
	return RK_MALFORMED;
}

/* The lowest bit: one field to name. */
static unsigned first_of(unsigned fields)
{
	return fields & (~fields + 1);
}

static int check_scope(const Rk__NdaNotice *n, struct notice_problem *p)
{
	if ((n->all && n->n_env_ids > 0) || n->n_env_ids > NOTICE_ENVS_MAX)
		return at_fault(p, NOTICE_FAULT_SCOPE, NOTICE_SCOPE);
	for (size_t i = 1; i < n->n_env_ids; i++)
		if (memcmp(n->env_ids[i - 1].data, n->env_ids[i].data, 32) >= 0)
			return at_fault(p, NOTICE_FAULT_SCOPE, NOTICE_SCOPE);
	return RK_OK;
}

int notice_check(const struct notice_type *type, const Rk__NdaNotice *n, const char *text, int64_t t_ms, struct notice_problem *p)
{
	unsigned fields = fields_of(n), required = type->required, allowed = required | type->optional;

	*p = (struct notice_problem){NOTICE_FAULT_NONE, 0};
	if (type->due_choice != 0 && n->choice == type->due_choice)
		required |= NOTICE_DUE;
	allowed |= required;
	if (required & ~fields)
		return at_fault(p, NOTICE_FAULT_MISSING, first_of(required & ~fields));
	if (fields & ~allowed)
		return at_fault(p, NOTICE_FAULT_FOREIGN, first_of(fields & ~allowed));
	if (n->due_day != 0 && !days_is_day(n->due_day))
		return at_fault(p, NOTICE_FAULT_DAY, NOTICE_DUE);
	/* Clocks may differ by as much as an envelope's may. */
	if (n->occurred_at > t_ms + ENVELOPE_CLOCK_MS)
		return at_fault(p, NOTICE_FAULT_FUTURE, NOTICE_OCCURRED_AT);
	if (n->done_at > t_ms + ENVELOPE_CLOCK_MS)
		return at_fault(p, NOTICE_FAULT_FUTURE, NOTICE_DONE_AT);
	if (strlen(text) > NOTICE_TEXT_MAX)
		return at_fault(p, NOTICE_FAULT_TEXT, 0);
	return check_scope(n, p);
}

/* A cover that is not here restricts nobody: the sender has one, and was asked. */
static bool has_role(const struct agreement *ag, int party, enum notice_role role)
{
	const struct nda_party *who = &ag->row.parties[party];

	switch (role) {
	case NOTICE_BY_DISCLOSER:
		return who->may_disclose;
	case NOTICE_BY_RECEIVER:
		return who->may_receive;
	case NOTICE_BY_DECIDER:
		return ag->cover == NULL || ag->cover->next_step_org.len != 16 ||
		       memcmp(ag->cover->next_step_org.data, who->org_id, 16) == 0;
	default:
		return true;
	}
}

/* ---- received */

int notice_check_received(const struct agreement *ag, const Rk__EnvelopeHeader *h, const Rk__Message *m, uint64_t log_index,
                          int64_t time_ms)
{
	const struct notice_type *type = notice_type(m->type);
	Rk__EnvelopeHeader as_dossier = *h;
	struct notice_problem problem;
	int party = nda_party_index(&ag->row, h->sender_org.data), r;

	if (type == NULL || m->notice == NULL || party < 0)
		return RK_NOT_PERMITTED;
	if ((r = notice_check(type, m->notice, m->text, time_ms, &problem)) != RK_OK)
		return r;
	if (!has_role(ag, party, type->role))
		return RK_NOT_PERMITTED;
	as_dossier.kind = RK__KIND__NDA;
	return type->in_force_only ? agreement_gate_then(ag, &as_dossier, log_index, time_ms) : RK_OK;
}

/* ---- sending */

/* What one sending is made of. */
struct sending {
	struct client *c;
	struct txn *t;
	const struct notice_new *n;
	struct arena *a;
	struct agreement *ag;
	const struct notice_type *type;
	struct notice_made *made;
	struct notice_problem *problem;
	Rk__EnvelopeHeader header;
};

static int refuse(struct sending *s, int code, enum notice_fault fault, unsigned field)
{
	at_fault(s->problem, fault, field);
	return code;
}

static int by_env(const void *a, const void *b)
{
	return memcmp(((const ProtobufCBinaryData *)a)->data, ((const ProtobufCBinaryData *)b)->data, 32);
}

/* As asked; else every other party that is active. */
static int choose_recipients(struct sending *s)
{
	const struct nda_row *row = &s->ag->row;
	struct agreement_recipients *to = agreement_alloc(s->a, sizeof(*to));
	uint8_t ids[NDA_PARTIES_MAX][16];
	size_t count = 0;
	int r;

	if (to == NULL)
		return RK_ENOMEM;
	for (int i = 0; i < row->party_count; i++)
		if (i != s->ag->self && (s->ag->active & 1u << i))
			memcpy(ids[count++], row->parties[i].org_id, 16);
	if (s->n->to_count > 0)
		r = agreement_address(&s->header, to, s->n->to, NULL, s->n->to_count);
	else
		r = count == 0 ? RK_NDA_SUSPENDED : agreement_address(&s->header, to, (const uint8_t(*)[16])ids, NULL, count);
	s->made->to = (const uint8_t(*)[16])to->ids;
	s->made->to_count = r == RK_OK ? to->count : 0;
	return r;
}

/* For what goes in force only: the gate of a dossier. */
static int check_in_force(struct client *c, struct txn *t, const struct notice_type *type, const Rk__EnvelopeHeader *h, struct arena *a)
{
	Rk__EnvelopeHeader as_dossier = *h;

	as_dossier.kind = RK__KIND__NDA;
	return type->in_force_only ? agreement_check_send(c, t, &as_dossier, a) : RK_OK;
}

int notice_check_seal(struct client *c, struct txn *t, const Rk__EnvelopeHeader *h, struct bytes message, struct arena *a)
{
	const struct notice_type *type;
	Rk__Message *m;

	if (message_read(message, a, &m) != MESSAGE_OK || (type = notice_type(m->type)) == NULL)
		return RK_MALFORMED;
	return check_in_force(c, t, type, h, a);
}

/* The gate of its own kind leaves nda_set in the header. */
static int ask_gate(struct sending *s)
{
	int r = check_in_force(s->c, s->t, s->type, &s->header, s->a);

	return r == RK_OK ? agreement_check_send(s->c, s->t, &s->header, s->a) : r;
}

/* A copy whose dossiers are in order, each once, and all of this agreement. */
static int take_notice(struct sending *s)
{
	Rk__NdaNotice *n = agreement_copy(s->a, s->n->notice, sizeof(*n));
	size_t count = s->n->notice->n_env_ids;

	if (n == NULL || (n->env_ids = agreement_alloc(s->a, count * sizeof(*n->env_ids))) == NULL)
		return RK_ENOMEM;
	if (count > 0)
		memcpy(n->env_ids, s->n->notice->env_ids, count * sizeof(*n->env_ids));
	if (count > 1)
		qsort(n->env_ids, count, sizeof(*n->env_ids), by_env);
	n->n_env_ids = 0;
	for (size_t i = 0; i < count; i++) {
		Rkl__EnvelopeRecord *record;

		if (mail_load(s->t, n->env_ids[i].data, s->a, &record) != RK_OK || record->kind != RK__KIND__NDA ||
		    memcmp(record->nda_id.data, s->n->nda_id, 32) != 0)
			return refuse(s, RK_EUSAGE, NOTICE_FAULT_DOSSIER, NOTICE_SCOPE);
		if (n->n_env_ids == 0 || by_env(&n->env_ids[n->n_env_ids - 1], &n->env_ids[i]) != 0)
			n->env_ids[n->n_env_ids++] = n->env_ids[i];
	}
	s->made->notice = n;
	return RK_OK;
}

/* The model agreement protects what was told only if it is confirmed in time; later is no use unless the other side agrees. */
static int check_late(struct sending *s)
{
	int64_t at;
	int r;

	if (s->type->type != RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION)
		return RK_OK;
	if ((r = duty_confirm_by(s->ag, s->made->notice->occurred_at, &s->made->confirm_by, &at)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	s->made->is_late = client_now(s->c) >= at;
	return s->made->is_late && !s->n->late ? refuse(s, RK_EUSAGE, NOTICE_FAULT_LATE, NOTICE_OCCURRED_AT) : RK_OK;
}

/* Nothing can be asked for by a day that is over, nor before there was an agreement. */
static int check_due(struct sending *s)
{
	uint32_t due = s->made->notice->due_day, today;

	if (due == 0 || (s->type->type != RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST && s->type->type != RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP))
		return RK_OK;
	/* Where the zone is not known here, the instant of the day is not either. */
	if (due < s->ag->terms->first_day || (days_of(client_now(s->c), s->ag->terms->zone, &today) == RK_OK && due < today))
		return refuse(s, RK_EUSAGE, NOTICE_FAULT_PAST, NOTICE_DUE);
	return RK_OK;
}

static int compose(struct sending *s, struct bytes *message)
{
	const char *text = s->n->text != NULL ? s->n->text : "";
	Rk__Message m = RK__MESSAGE__INIT;
	int r;

	if ((r = take_notice(s)) != RK_OK)
		return r;
	if (notice_check(s->type, s->made->notice, text, client_now(s->c), s->problem) != RK_OK)
		return RK_EUSAGE;
	if ((r = check_due(s)) != RK_OK || (r = check_late(s)) != RK_OK)
		return r;
	m.msg_version = 1;
	m.type = s->type->type;
	m.notice = (Rk__NdaNotice *)(uintptr_t)s->made->notice;
	m.text = pb_text(text);
	return STRICT_PACK(&m, s->a, message);
}

int notice_send(struct client *c, struct txn *t, const struct notice_new *n, struct arena *a, struct notice_made *made,
                struct notice_problem *problem, uint64_t *item)
{
	struct sending s = {.c = c, .t = t, .n = n, .a = a, .made = made, .problem = problem, .header = RK__ENVELOPE_HEADER__INIT};
	struct outbox_request request = {.op = RK__OP__OP_SUBMIT, .what = "nda notice", .header = &s.header,
	                                 .lifetime_ms = NOTICE_LIFETIME_MS, .ref = bytes_make(n->nda_id, 32)};
	int r;

	*made = (struct notice_made){0};
	*problem = (struct notice_problem){NOTICE_FAULT_NONE, 0};
	if ((s.type = notice_type(n->type)) == NULL)
		return RK_EUSAGE;
	if ((r = agreement_load(c, t, n->nda_id, true, a, &s.ag)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_NO_NDA : r;
	s.header.kind = RK__KIND__NDA_NOTICE;
	s.header.sender_org = pb_of(bytes_make(client_org_id(c), 16));
	s.header.nda_id = pb_of(bytes_make(n->nda_id, 32));
	s.header.marking = RK__MARKING__CONFIDENTIAL;
	if ((r = choose_recipients(&s)) != RK_OK || (r = ask_gate(&s)) != RK_OK)
		return r;
	if (!has_role(s.ag, s.ag->self, s.type->role))
		return refuse(&s, RK_NOT_PERMITTED, NOTICE_FAULT_ROLE, 0);
	if ((r = compose(&s, &request.message)) != RK_OK || item == NULL)
		return r;
	return outbox_add(c, t, &request, item);
}
