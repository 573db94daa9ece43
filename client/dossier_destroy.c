#include "client/dossier_destroy.h"

#include <limits.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/mail.h"
#include "proto/nda.h"
#include "proto/strict.h"

#define CERTIFICATE_LIFETIME_MS ((int64_t)20 * NDA_DAY_MS)
#define CERTIFICATE_IDS_MAX 64

static char *pb_text(const char *s)
{
	return (char *)(uintptr_t)(s != NULL ? s : "");
}

static int store(struct txn *t, const Rkl__EnvelopeRecord *record)
{
	return record_put(t, C_ENVELOPE, bytes_of(record->env_id), &record->base);
}

/* ---- copies outside */

int dossier_note_saved(struct client *c, struct txn *t, Rkl__EnvelopeRecord *record, const char *folder, const struct dossier_saved *saved,
                       size_t count, struct arena *a)
{
	size_t kept = record->n_copies, drop;
	Rkl__SavedCopy **list, *copies;
	char *path, *where;

	if (count == 0)
		return RK_OK;
	drop = kept + count > DOSSIER_COPIES_MAX ? kept + count - DOSSIER_COPIES_MAX : 0;
	drop = drop > kept ? kept : drop;
	arena_raise(a, (kept + count) * (sizeof(*list) + sizeof(*copies)) + PATH_MAX + 128);
	list = arena_alloc(a, (kept - drop + count) * sizeof(*list));
	copies = arena_alloc(a, count * sizeof(*copies));
	path = realpath(folder, NULL);
	where = arena_copy(a, path != NULL ? path : folder, strlen(path != NULL ? path : folder));
	free(path);
	if (list == NULL || copies == NULL || where == NULL)
		return RK_ENOMEM;
	if (kept > drop)
		memcpy(list, record->copies + drop, (kept - drop) * sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		rkl__saved_copy__init(&copies[i]);
		copies[i].name = pb_text(saved[i].name);
		copies[i].folder = where;
		copies[i].time_ms = client_now(c);
		list[kept - drop + i] = &copies[i];
	}
	record->copies = list;
	record->n_copies = kept - drop + count;
	return store(t, record);
}

/* ---- destroying */

int dossier_check_destroy(struct txn *t, const Rkl__EnvelopeRecord *record)
{
	if (record->destroyed_at != 0)
		return RK_EEXISTS;
	return env_has(t, C_CONTENT, bytes_of(record->env_id)) ? RK_OK : RK_ENOTFOUND;
}

int dossier_destroy(struct client *c, struct txn *t, Rkl__EnvelopeRecord *record)
{
	int r = dossier_check_destroy(t, record);

	if (r != RK_OK)
		return r;
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	if ((r = keys_dossier_destroy(c, record->env_id.data)) != RK_OK && r != RK_ENOTFOUND)
		return r;
	if ((r = env_del(t, C_CONTENT, bytes_of(record->env_id))) != RK_OK)
		return r;
	record->destroyed_at = client_now(c);
	return store(t, record);
}

static bool is_received(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__NDA && !record->outgoing && record->destroyed_at == 0;
}

int dossier_received(struct txn *t, const uint8_t nda_id[32], struct arena *a, Rkl__EnvelopeRecord ***out, size_t *count)
{
	size_t n = 0;
	int r = mail_list(t, a, is_received, 0, out, count);

	for (size_t i = 0; r == RK_OK && i < *count; i++) {
		Rkl__EnvelopeRecord *record = (*out)[i];

		if (bytes_equal(bytes_of(record->nda_id), bytes_make(nda_id, ID32_BYTES)) && dossier_check_destroy(t, record) == RK_OK)
			(*out)[n++] = record;
	}
	*count = n;
	return r;
}

/* ---- the certificate */

struct certifying {
	Rk__EnvelopeHeader header;
	Rk__Recipient recipients[NDA_PARTIES_MAX], *list[NDA_PARTIES_MAX];
	ProtobufCBinaryData env_ids[CERTIFICATE_IDS_MAX];
	size_t id_count;
	uint8_t thread_id[16];
};

/* Sorted, each once, as headers require; the same insertion serves organisations and ids. */
static int insert(ProtobufCBinaryData *list, size_t *n, size_t max, ProtobufCBinaryData fresh)
{
	size_t at = 0;

	while (at < *n && memcmp(list[at].data, fresh.data, fresh.len) < 0)
		at++;
	if (at < *n && memcmp(list[at].data, fresh.data, fresh.len) == 0)
		return RK_OK;
	if (*n == max)
		return RK_TOO_LARGE;
	memmove(list + at + 1, list + at, (*n - at) * sizeof(*list));
	list[at] = fresh;
	(*n)++;
	return RK_OK;
}

static int address(struct certifying *k, const struct dossier_certificate *d)
{
	ProtobufCBinaryData orgs[NDA_PARTIES_MAX];
	size_t n = 0;
	int r = RK_OK;

	for (size_t i = 0; i < d->count && r == RK_OK; i++) {
		const Rkl__EnvelopeRecord *record = d->records[i];

		if (record->outgoing)
			continue;
		if ((r = insert(orgs, &n, NDA_PARTIES_MAX, record->sender_org)) == RK_OK && !d->all)
			r = insert(k->env_ids, &k->id_count, CERTIFICATE_IDS_MAX, record->env_id);
	}
	if (r != RK_OK)
		return r;
	for (size_t i = 0; i < n; i++) {
		rk__recipient__init(&k->recipients[i]);
		k->recipients[i].org_id = orgs[i];
		k->list[i] = &k->recipients[i];
	}
	k->header.recipients = k->list;
	k->header.n_recipients = n;
	return n > 0 ? RK_OK : RK_ENOTFOUND;
}

/* FIELDS "Notices": DESTRUCTION_CERTIFICATE{env_ids | ALL, method, done_at, exceptions, signer}. */
static int write_notice(struct certifying *k, const struct dossier_certificate *d, struct arena *a, struct bytes *message)
{
	Rk__NdaNotice notice = RK__NDA_NOTICE__INIT;
	Rk__Message m = RK__MESSAGE__INIT;

	notice.env_ids = k->env_ids;
	notice.n_env_ids = k->id_count;
	notice.all = d->all;
	notice.method = pb_text(d->method);
	notice.done_at = d->done_at;
	notice.exceptions = pb_text(d->exceptions);
	notice.signer = pb_text(d->signer);
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_DESTRUCTION_CERTIFICATE;
	m.notice = &notice;
	return STRICT_PACK(&m, a, message);
}

int dossier_certify(struct client *c, struct txn *t, const struct dossier_certificate *d, struct arena *a, uint64_t *item)
{
	struct certifying k = {.header = RK__ENVELOPE_HEADER__INIT};
	struct outbox_request request = {.op = RK__OP__OP_SUBMIT, .what = "dossier destroy", .header = &k.header,
	                                 .lifetime_ms = CERTIFICATE_LIFETIME_MS, .ref = bytes_make(d->nda_id, ID32_BYTES)};
	int r;

	if ((r = address(&k, d)) != RK_OK)
		return r;
	k.header.kind = RK__KIND__NDA_NOTICE;
	k.header.sender_org = pb_of(bytes_make(client_org_id(c), ID16_BYTES));
	k.header.nda_id = pb_of(bytes_make(d->nda_id, ID32_BYTES));
	k.header.marking = RK__MARKING__UNMARKED;
	randombytes_buf(k.thread_id, sizeof(k.thread_id));
	k.header.thread_id = pb_of(BYTES_OF(k.thread_id));
	if ((r = agreement_check_send(c, t, &k.header, a)) != RK_OK)
		return r;
	if ((r = write_notice(&k, d, a, &request.message)) != RK_OK || item == NULL)
		return r;
	return outbox_add(c, t, &request, item);
}
