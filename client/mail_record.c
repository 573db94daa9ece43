/* Records of envelopes and their content. */
#include <stdlib.h>

#include "client/mail_internal.h"
#include "proto/strict.h"
#include "proto/trust.h"

const char *mail_outcome_name(enum mail_outcome outcome)
{
	static const char *const names[MAIL_OUTCOME_COUNT] = {
		[MAIL_LODGED] = "lodged", [MAIL_PICKED_UP] = "picked_up", [MAIL_REFUSED] = "refused", [MAIL_DECLINED] = "declined",
		[MAIL_RETURNED] = "returned",
	};

	return (size_t)outcome < MAIL_OUTCOME_COUNT ? names[outcome] : "";
}

const char *mail_state_name(const Rkl__EnvelopeRecord *record)
{
	if (record->outgoing)
		return mail_outcome_name(mail_outcome(record));
	if (record->destroyed_at != 0)
		return "destroyed";
	switch (record->state) {
	case RKL__ENVELOPE_STATE__LODGED:
		return "waiting";
	case RKL__ENVELOPE_STATE__PICKED_UP:
		return "picked_up";
	case RKL__ENVELOPE_STATE__OPENED:
		return "opened";
	case RKL__ENVELOPE_STATE__DECLINED_HERE:
		return "declined";
	case RKL__ENVELOPE_STATE__NEWER:
		return "needs_newer";
	default:
		return "failed";
	}
}

const char *mail_return_name(uint32_t reason)
{
	switch (reason) {
	case RK__RETURN_REASON__RETURN_EXPIRED:
		return "expired";
	case RK__RETURN_REASON__RETURN_NDA_ENDED:
		return "nda_ended";
	case RK__RETURN_REASON__RETURN_RECIPIENT_LEFT:
		return "recipient_left";
	case RK__RETURN_REASON__RETURN_DECLINED:
		return "declined";
	default:
		return "";
	}
}

const char *mail_nack_name(uint32_t reason)
{
	return reason == RK__NACK_REASON__NACK_UNOPENED ? "unopened" : reason == RK__NACK_REASON__NACK_DECLINED ? "declined" : "";
}

bool mail_has_own_key(uint32_t kind)
{
	return kind == RK__KIND__NDA || kind == RK__KIND__NDA_NOTICE;
}

uint32_t mail_own_desk(struct client *c, const Rkl__EnvelopeRecord *record)
{
	for (size_t i = 0; !record->outgoing && i < record->n_recipients && i < record->n_recipient_desks; i++)
		if (memcmp(record->recipients[i].data, client_org_id(c), ID16_BYTES) == 0)
			return record->recipient_desks[i];
	return 0;
}

bool mail_is_for_this_device(struct client *c, struct txn *t, const Rkl__EnvelopeRecord *record)
{
	uint32_t desk = mail_own_desk(c, record);
	struct arena *a;
	Rk__Device *self;
	bool yes;

	if (desk == 0)
		return true;
	if ((a = arena_new(0)) == NULL)
		return false;
	yes = book_device(c, t, client_device_id(c), client_org_id(c), a, &self) == RK_OK && trust_is_at_desk(self, desk);
	arena_free(a);
	return yes;
}

int mail_load(struct txn *t, const uint8_t env_id[32], struct arena *a, Rkl__EnvelopeRecord **out)
{
	return record_get(t, C_ENVELOPE, bytes_make(env_id, 32), &rkl__envelope_record__descriptor, a, (ProtobufCMessage **)out);
}

int mail_store(struct txn *t, const Rkl__EnvelopeRecord *record)
{
	return record_put(t, C_ENVELOPE, bytes_of(record->env_id), &record->base);
}

static int newest_first(const void *a, const void *b)
{
	const Rkl__EnvelopeRecord *x = *(Rkl__EnvelopeRecord *const *)a, *y = *(Rkl__EnvelopeRecord *const *)b;

	return x->seq == y->seq ? 0 : x->seq < y->seq ? 1 : -1;
}

int mail_list(struct txn *t, struct arena *a, bool (*wants)(const Rkl__EnvelopeRecord *), size_t max, Rkl__EnvelopeRecord ***out,
              size_t *count)
{
	struct env_cursor *cursor = NULL;
	Rkl__EnvelopeRecord **list = NULL;
	struct bytes key, value;
	size_t n = 0, room = 0;
	int r;

	*out = NULL;
	*count = 0;
	if ((r = env_cursor_open(t, C_ENVELOPE, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, bytes_make("", 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__EnvelopeRecord *record;

		arena_raise(a, arena_budget(value.len));
		record = rkl__envelope_record__unpack(arena_allocator(a), value.len, value.data);
		if (record == NULL) {
			r = RK_ESTORE;
			break;
		}
		if (!wants(record))
			continue;
		if (n == room) {
			Rkl__EnvelopeRecord **grown;

			room = room == 0 ? 64 : room * 2;
			arena_raise(a, room * sizeof(*list) + 32);
			if ((grown = arena_alloc(a, room * sizeof(*list))) == NULL) {
				r = RK_ENOMEM;
				break;
			}
			if (n > 0)
				memcpy(grown, list, n * sizeof(*list));
			list = grown;
		}
		list[n++] = record;
	}
	env_cursor_free(cursor);
	if (r != RK_ENOTFOUND)
		return r;
	if (n > 1)
		qsort(list, n, sizeof(*list), newest_first);
	*out = list;
	*count = max != 0 && n > max ? max : n;
	return RK_OK;
}

int mail_message(struct client *c, struct txn *t, const Rkl__EnvelopeRecord *record, struct arena *a, Rk__Message **out)
{
	struct bytes packed;
	int r = content_get(c, t, record->env_id.data, mail_has_own_key(record->kind), a, &packed);

	*out = NULL;
	if (r != RK_OK)
		return r;
	switch (message_read(packed, a, out)) {
	case MESSAGE_OK:
		return RK_OK;
	case MESSAGE_NEWER:
		return RK_ENEWER;
	default:
		return RK_EINTEGRITY;
	}
}
