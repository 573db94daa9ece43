#include "client/dossier_destroy.h"

#include <limits.h>
#include <stdlib.h>

#include "client/attach.h"
#include "client/mail.h"
#include "client/notice.h"
#include "proto/nda.h"
#include "proto/strict.h"

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
	if ((r = env_del(t, C_CONTENT, bytes_of(record->env_id))) != RK_OK || (r = attach_forget(t, record->env_id.data)) != RK_OK)
		return r;
	record->destroyed_at = client_now(c);
	return store(t, record);
}

bool dossier_is_received(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__NDA && !record->outgoing;
}

int dossier_received(struct txn *t, const uint8_t nda_id[32], struct arena *a, Rkl__EnvelopeRecord ***out, size_t *count)
{
	size_t n = 0;
	int r = mail_list(t, a, dossier_is_received, 0, out, count);

	for (size_t i = 0; r == RK_OK && i < *count; i++) {
		Rkl__EnvelopeRecord *record = (*out)[i];

		if (bytes_equal(bytes_of(record->nda_id), bytes_make(nda_id, ID32_BYTES)) && dossier_check_destroy(t, record) == RK_OK)
			(*out)[n++] = record;
	}
	*count = n;
	return r;
}

/* ---- the certificate */

/* Each of those who had sent something of it, once. */
static int add_sender(uint8_t (*senders)[16], size_t *n, const uint8_t *org_id)
{
	for (size_t i = 0; i < *n; i++)
		if (memcmp(senders[i], org_id, ID16_BYTES) == 0)
			return RK_OK;
	if (*n == NDA_PARTIES_MAX)
		return RK_TOO_LARGE;
	memcpy(senders[(*n)++], org_id, ID16_BYTES);
	return RK_OK;
}

int dossier_certify(struct client *c, struct txn *t, const struct dossier_certificate *d, struct arena *a, uint64_t *item)
{
	Rk__NdaNotice notice = RK__NDA_NOTICE__INIT;
	ProtobufCBinaryData env_ids[NOTICE_ENVS_MAX];
	uint8_t senders[NDA_PARTIES_MAX][16];
	struct notice_new n = {.nda_id = d->nda_id, .to = (const uint8_t(*)[16])senders, .notice = &notice,
	                       .type = RK__MESSAGE_TYPE__MESSAGE_DESTRUCTION_CERTIFICATE};
	struct notice_problem problem;
	struct notice_made made;
	int r;

	notice.env_ids = env_ids;
	notice.all = d->all;
	for (size_t i = 0; i < d->count; i++) {
		const Rkl__EnvelopeRecord *record = d->records[i];

		if (!dossier_is_received(record))
			continue;
		if ((r = add_sender(senders, &n.to_count, record->sender_org.data)) != RK_OK)
			return r;
		if (d->all)
			continue;
		if (notice.n_env_ids == NOTICE_ENVS_MAX)
			return RK_TOO_LARGE;
		env_ids[notice.n_env_ids++] = record->env_id;
	}
	if (n.to_count == 0)
		return RK_ENOTFOUND;
	notice.method = pb_text(d->method);
	notice.exceptions = pb_text(d->exceptions);
	notice.signer = pb_text(d->signer);
	notice.done_at = d->done_at;
	r = notice_send(c, t, &n, a, &made, &problem, item);
	/* Scope and day are ours: what can be at fault are the texts, one of them empty. */
	return r == RK_EUSAGE ? RK_MALFORMED : r;
}
