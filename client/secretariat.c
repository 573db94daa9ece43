/* secretariat: who asks, and whom we let in. */
#include "client/secretariat_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#include "client/days.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define OFFICE_CLOCK_MS ((int64_t)10 * 60 * 1000)

bool secretariat_is_here(struct client *c)
{
	return keys_exists(c, KEY_SECRETARIAT);
}

/* Whose key the charter does not name, or has ended, is no officer (any more): nothing that they sign would be taken. */
static int check_office(struct client *c)
{
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	struct txn *txn = NULL;
	Rk__Charter *charter;
	uint8_t pk[32], id[16];
	keys_sign_pk(c, KEY_SECRETARIAT, pk);
	ids_signer(id, pk);
	int rc = a ? env_begin(client_env(c), false, &txn) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = book_charter(c, txn, a, &charter);
	/* With the leave of clocks that differ: who was named a moment ago is named. */
	if (rc == RK_OK && !trust_secretariat_pk(charter, id, client_now(c)) &&
	    !trust_secretariat_pk(charter, id, client_now(c) + OFFICE_CLOCK_MS))
		rc = RK_NOT_PERMITTED;
	env_abort(txn);
	arena_free(a);
	return rc;
}

int secretariat_unlock(struct client *c)
{
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	struct txn *txn = NULL;
	Rk__Org *own;
	if (!a)
		return RK_ENOMEM;
	int rc = env_begin(client_env(c), false, &txn);
	if (rc == RK_OK)
		rc = book_org(c, txn, client_org_id(c), a, &own);
	if (rc == RK_OK && (!(own->roles & TRUST_ROLE_SECRETARIAT) || !secretariat_is_here(c)))
		rc = RK_NOT_PERMITTED;
	env_abort(txn);
	arena_free(a);
	if (rc == RK_OK)
		rc = keys_unlock(c, KEY_DEVICE);
	if (rc == RK_OK)
		rc = keys_unlock(c, KEY_SECRETARIAT);
	return rc == RK_OK ? check_office(c) : rc;
}

/* ---- enrolments that arrive */

/* Does the tag prove that whoever asks holds the invite? */
static int check_tag(struct client *c, const Rkl__InviteRecord *invite, struct bytes request, struct arena *a)
{
	struct bytes seed;
	Rk__EnrolRequest *r;
	uint8_t curve_pk[32], curve_sk[32], mac_key[32], invite_id[16];
	int rc = STRICT_PARSE(enrol_request, request, a, &r);
	if (rc == RK_OK)
		rc = keys_unlock(c, KEY_DEVICE);
	if (rc == RK_OK)
		rc = vault_open(keys_home_key(c), VAULT_INVITE, bytes_of(invite->invite_id), bytes_of(invite->sealed_seed), a, &seed);
	if (rc != RK_OK || seed.len != 32)
		return rc == RK_OK ? RK_ESTORE : rc;
	invite_keys(seed.data, curve_pk, curve_sk, mac_key, invite_id);
	rc = invite_check_tag(r->tag.data, mac_key, client_exchange_id(c), bytes_of(r->enrol->payload), bytes_of(r->enrol->sig));
	sodium_memzero(curve_sk, sizeof(curve_sk));
	sodium_memzero(mac_key, sizeof(mac_key));
	return rc;
}

/* Why it cannot be approved here, or RK_OK. */
static int judge(struct client *c, struct txn *txn, const struct trust_enrol *e, struct bytes request, struct arena *a,
		 Rkl__InviteRecord **invite)
{
	int rc = secretariat_get_invite(txn, e->enrol->invite_id.data, a, invite);
	if (rc != RK_OK)
		return rc;
	if ((rc = check_tag(c, *invite, request, a)) != RK_OK)
		return rc;
	if ((*invite)->used_by.len && !bytes_equal(bytes_of((*invite)->used_by), bytes_of(e->enrol->org_id)))
		return RK_INVITE_USED;
	return RK_OK;
}

/* The first request with a right tag has the invite; remembers who. */
static int mark_used(struct txn *txn, Rkl__InviteRecord *invite, const Rk__Enrol *enrol)
{
	if (invite->used_by.len)
		return RK_OK;
	invite->used_by = enrol->org_id;
	return record_put(txn, C_INVITE, bytes_of(invite->invite_id), &invite->base);
}

static int take_enrolment(struct client *c, struct txn *txn, const struct delivery *d, const struct trust_enrol *e,
			  struct arena *a)
{
	struct bytes org_id = bytes_of(e->enrol->org_id);
	Rkl__InviteRecord *invite;
	Rk__Org *known;
	int rc = judge(c, txn, e, d->object, a, &invite);
	if (rc == RK_BAD_SIGNATURE || rc == RK_INVITE_USED) {
		client_count(txn, rc == RK_BAD_SIGNATURE ? "enrolment-bad-tag" : "enrolment-second");
		return RK_OK;
	}
	if (rc != RK_OK && rc != RK_ENOTFOUND)
		return rc;
	if (rc == RK_OK && (rc = mark_used(txn, invite, e->enrol)) != RK_OK)
		return rc;
	if (env_has(txn, C_ENROLMENT, org_id))
		return RK_OK;
	Rkl__EnrolmentRecord record = RKL__ENROLMENT_RECORD__INIT;
	record.org_id = e->enrol->org_id;
	record.request = pb_of(d->object);
	record.time_ms = d->time_ms;
	record.invite_id = e->enrol->invite_id;
	/* A home that reads its mailbox again finds the request of somebody who was let in long ago. */
	bool member = book_org(c, txn, org_id.data, a, &known) == RK_OK;
	record.state = member ? RKL__ENROLMENT_STATE__APPROVED : RKL__ENROLMENT_STATE__WAITING;
	rc = record_put(txn, C_ENROLMENT, org_id, &record.base);
	if (rc == RK_OK && !member)
		rc = inbox_add(txn, RKL__INBOX_KIND__INBOX_ENROLMENT, org_id, org_id.data, d->time_ms, "enrolment");
	return rc;
}

int secretariat_on_enrolment(struct client *c, struct txn *txn, const struct delivery *d)
{
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	struct trust_enrol e;
	if (!a)
		return RK_ENOMEM;
	int rc = RK_OK;
	if (trust_open_enrol(d->object, client_exchange_id(c), a, &e) != RK_OK)
		client_count(txn, "enrolment-malformed");
	else
		rc = take_enrolment(c, txn, d, &e, a);
	arena_free_wiped(a);
	return rc;
}

/* ---- enrolments that wait */

int secretariat_open(struct client *c, struct txn *txn, const uint8_t org_id[16], struct arena *a, struct secretariat_request *out)
{
	ProtobufCMessage *m;
	Rkl__InviteRecord *invite = NULL;
	memset(out, 0, sizeof(*out));
	out->note = "";
	int rc = record_get(txn, C_ENROLMENT, bytes_make(org_id, ID16_BYTES), &rkl__enrolment_record__descriptor, a, &m);
	if (rc != RK_OK)
		return rc;
	out->record = (Rkl__EnrolmentRecord *)m;
	rc = trust_open_enrol(bytes_of(out->record->request), client_exchange_id(c), a, &out->enrol);
	if (rc != RK_OK)
		return rc == RK_ENOMEM ? rc : RK_EINTEGRITY;
	ids_org_fingerprint(out->fingerprint, out->enrol.enrol->org_pk.data);
	out->problem = judge(c, txn, &out->enrol, bytes_of(out->record->request), a, &invite);
	if (invite)
		out->note = invite->note;
	return RK_OK;
}

int secretariat_each(struct client *c, struct txn *txn, Rkl__EnrolmentState state,
		     int (*fn)(void *, const struct secretariat_request *), void *user)
{
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	struct env_cursor *cur = NULL;
	struct bytes key, value;
	int rc = a ? env_cursor_open(txn, C_ENROLMENT, &cur) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = env_cursor_seek(cur, bytes_make(NULL, 0), &key, &value);
	while (rc == RK_OK) {
		struct secretariat_request request;
		arena_reset(a, REQUEST_ARENA_BYTES);
		rc = key.len == ID16_BYTES ? secretariat_open(c, txn, key.data, a, &request) : RK_ESTORE;
		if (rc == RK_OK && request.record->state == state)
			rc = fn(user, &request);
		if (rc == RK_OK)
			rc = env_cursor_next(cur, &key, &value);
	}
	env_cursor_free(cur);
	arena_free_wiped(a);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

struct search { const char *text; uint8_t *org_id; unsigned found; bool exact; };

/* By id prefix, by whole name, or by a part of one; a whole name beats parts. */
static int match_request(void *user, const struct secretariat_request *r)
{
	struct search *s = user;
	const Rk__Enrol *e = r->enrol.enrol;
	char hex[33];
	ids_hex(hex, bytes_of(e->org_id));
	bool exact = false, part = strlen(s->text) >= 4 && strncasecmp(hex, s->text, strlen(s->text)) == 0;
	for (size_t i = 0; i < e->n_names; i++) {
		exact |= strcmp(e->names[i]->name, s->text) == 0;
		part |= strcasestr(e->names[i]->name, s->text) != NULL;
	}
	if ((!exact && !part) || (s->exact && !exact))
		return RK_OK;
	s->found = exact && !s->exact ? 1 : s->found + 1;
	s->exact |= exact;
	memcpy(s->org_id, e->org_id.data, ID16_BYTES);
	return RK_OK;
}

int secretariat_find(struct client *c, struct txn *txn, const char *text, uint8_t org_id[16])
{
	struct search s = {.text = text, .org_id = org_id};
	if (!*text)
		return RK_ENOTFOUND;
	int rc = secretariat_each(c, txn, RKL__ENROLMENT_STATE__WAITING, match_request, &s);
	if (rc != RK_OK)
		return rc;
	return s.found == 0 ? RK_ENOTFOUND : s.found == 1 ? RK_OK : RK_CONFLICT;
}

/* ---- decisions */

/* The row of a new member, borrowed from its request. */
static void row_of(struct client *c, const Rk__Enrol *e, Rk__Org *org, Rk__Proofing *proofing)
{
	static char method[] = "fingerprint-read-aloud";
	uint32_t day = 0;
	(void)days_of(client_now(c), "UTC", &day);
	rk__proofing__init(proofing);
	proofing->method = method;
	proofing->day = day;
	proofing->by_org = pb_of(bytes_make(client_org_id(c), ID16_BYTES));
	rk__org__init(org);
	org->org_id = e->org_id;
	org->names = e->names;
	org->n_names = e->n_names;
	org->kind = e->kind;
	org->roles = e->kind == RK__ORG_KIND__COORDINATOR ? TRUST_ROLE_COORDINATOR : 0;
	org->country = e->country;
	org->region = e->region;
	org->corporate_number = e->corporate_number;
	org->org_pk = e->org_pk;
	org->status = RK__ORG_STATUS__ACTIVE;
	org->since = client_now(c);
	org->proofing = proofing;
	org->min_devices_serial = 1;
}

static int queue_approval(struct client *c, struct txn *txn, const struct secretariat_request *r, uint64_t *item)
{
	Rk__Org org;
	Rk__Proofing proofing;
	uint64_t serial;
	unsigned issued = 0;
	row_of(c, r->enrol.enrol, &org, &proofing);
	int rc = secretariat_queue_directory(c, txn, &org, NULL, RK__ORG_STATUS__ORG_STATUS_NONE, &serial, item);
	if (rc != RK_OK)
		return rc;
	/* Numbered requests are taken in order: by the time the keys arrive, the device is known. */
	return secretariat_queue_keys(c, txn, r->enrol.kx->device_id.data, r->enrol.kx->serial, r->enrol.kx->kx_pk.data, &issued);
}

/* A request that still waits, in a write transaction; *txn is the caller's to end, whatever is returned. */
static int open_waiting(struct client *c, const uint8_t org_id[16], struct arena *a, struct txn **txn, struct secretariat_request *r)
{
	int rc = secretariat_unlock(c);
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, txn);
	if (rc == RK_OK)
		rc = secretariat_open(c, *txn, org_id, a, r);
	return rc == RK_OK && r->record->state != RKL__ENROLMENT_STATE__WAITING ? RK_CONFLICT : rc;
}

int secretariat_approve(struct client *c, const uint8_t org_id[16], const char *fingerprint, uint64_t *item)
{
	struct secretariat_request r;
	struct txn *txn = NULL;
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	int rc = a ? open_waiting(c, org_id, a, &txn, &r) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = r.problem;
	if (rc == RK_OK && !ids_fingerprint_matches(fingerprint, r.fingerprint))
		rc = RK_EINTEGRITY;
	if (rc == RK_OK)
		rc = queue_approval(c, txn, &r, item);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free_wiped(a);
	return rc;
}

int secretariat_reject(struct client *c, const uint8_t org_id[16], uint64_t *item)
{
	struct secretariat_request r;
	struct txn *txn = NULL;
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	int rc = a ? open_waiting(c, org_id, a, &txn, &r) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = secretariat_queue_end(c, txn, r.enrol.enrol->invite_id.data, a, item);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free_wiped(a);
	return rc;
}

/* Decided: its record says so, and its line in the inbox asks for nothing any more.  RK_ENOTFOUND; RK_CONFLICT: it did not wait. */
static int decide(struct txn *txn, const uint8_t org_id[16], Rkl__EnrolmentState state, struct arena *a)
{
	Rkl__EnrolmentRecord *record;
	ProtobufCMessage *m;
	int rc = record_get(txn, C_ENROLMENT, bytes_make(org_id, ID16_BYTES), &rkl__enrolment_record__descriptor, a, &m);
	if (rc != RK_OK)
		return rc;
	record = (Rkl__EnrolmentRecord *)m;
	if (record->state != RKL__ENROLMENT_STATE__WAITING)
		return RK_CONFLICT;
	record->state = state;
	rc = record_put(txn, C_ENROLMENT, bytes_make(org_id, ID16_BYTES), m);
	return rc == RK_OK ? inbox_settle(txn, bytes_make(org_id, ID16_BYTES)) : rc;
}

int secretariat_settle(struct client *c, const uint8_t org_id[16], Rkl__EnrolmentState state)
{
	struct txn *txn = NULL;
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	int rc = a ? env_begin(client_env(c), true, &txn) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = decide(txn, org_id, state, a);
	/* By the directory that came with the answer. */
	if (rc == RK_CONFLICT)
		rc = RK_OK;
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free(a);
	return rc;
}

int secretariat_on_directory(struct txn *txn, const Rk__Directory *d)
{
	struct arena *a = NULL;
	int rc = RK_OK;
	for (size_t i = 0; i < d->n_orgs && rc == RK_OK; i++) {
		if (!env_has(txn, C_ENROLMENT, bytes_of(d->orgs[i]->org_id)))
			continue;
		if (!a && !(a = arena_new(REQUEST_ARENA_BYTES)))
			return RK_ENOMEM;
		arena_reset(a, REQUEST_ARENA_BYTES);
		rc = decide(txn, d->orgs[i]->org_id.data, RKL__ENROLMENT_STATE__APPROVED, a);
		rc = rc == RK_CONFLICT ? RK_OK : rc;
	}
	arena_free(a);
	return rc;
}
