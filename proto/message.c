/*
 * Reading what was sealed.  A newer Renkei may send types and critical extensions that this one does not know; those
 * are kept sealed, not refused.  So the type is looked up before the strict parse, which would call their fields unknown.
 */
#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/strict.h"

#define FIELD_MSG_VERSION 1
#define FIELD_TYPE 2
#define MSG_VERSION 1

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* The bytes still to be walked. */
struct walk {
	struct bytes rest;
};

static bool take_varint(struct walk *w, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b;

		if (w->rest.len == 0)
			return false;
		b = *w->rest.data++;
		w->rest.len--;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*out = v;
			return true;
		}
	}
	return false;
}

static bool skip(struct walk *w, uint64_t n)
{
	if (n > w->rest.len)
		return false;
	w->rest.data += n;
	w->rest.len -= (size_t)n;
	return true;
}

/* One top-level field: its number, and its value where it is a varint. */
static bool take_field(struct walk *w, uint64_t *number, uint64_t *value)
{
	uint64_t tag, len;

	*value = 0;
	if (!take_varint(w, &tag) || tag >> 3 == 0)
		return false;
	*number = tag >> 3;
	switch (tag & 7) {
	case WIRE_VARINT:
		return take_varint(w, value);
	case WIRE_64:
		return skip(w, 8);
	case WIRE_BYTES:
		return take_varint(w, &len) && skip(w, len);
	case WIRE_32:
		return skip(w, 4);
	default:
		return false;
	}
}

/* msg_version and type of anything that is protobuf at its top level, or false. */
static bool peek(struct bytes packed, uint64_t *version, uint64_t *type)
{
	struct walk w = {packed};

	*version = *type = 0;
	while (w.rest.len > 0) {
		uint64_t number, value;

		if (!take_field(&w, &number, &value))
			return false;
		if (number == FIELD_MSG_VERSION)
			*version = value;
		if (number == FIELD_TYPE)
			*type = value;
	}
	return *version != 0 && *type != 0;
}

static bool is_known_type(uint64_t type)
{
	if (type >= RK__MESSAGE_TYPE__MESSAGE_POST && type <= RK__MESSAGE_TYPE__MESSAGE_TEXT)
		return true;
	return type >= RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION &&
	       type <= RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE;
}

/* The part that `type` names is present, and no other.  Free text may go with any. */
static bool has_its_part(const Rk__Message *m)
{
	const void *parts[] = {m->post, m->interest, m->interest_reply, m->proposal, m->signature_page, m->dossier,
	                       m->notice};
	const void *wanted = NULL;

	switch (m->type) {
	case RK__MESSAGE_TYPE__MESSAGE_POST: wanted = m->post; break;
	case RK__MESSAGE_TYPE__MESSAGE_INTEREST: wanted = m->interest; break;
	case RK__MESSAGE_TYPE__MESSAGE_INTEREST_REPLY: wanted = m->interest_reply; break;
	case RK__MESSAGE_TYPE__MESSAGE_PROPOSAL: wanted = m->proposal; break;
	case RK__MESSAGE_TYPE__MESSAGE_SIGNATURE_PAGE: wanted = m->signature_page; break;
	case RK__MESSAGE_TYPE__MESSAGE_DOSSIER: wanted = m->dossier; break;
	case RK__MESSAGE_TYPE__MESSAGE_TEXT: break;
	default: wanted = m->notice; break;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (parts[i] && parts[i] != wanted)
			return false;
	if (m->type == RK__MESSAGE_TYPE__MESSAGE_TEXT)
		return m->text[0] != '\0';
	return wanted != NULL;
}

/* MESSAGE_BAD unless ascending; no extension is known in version 1, so a critical one needs a newer Renkei. */
static enum message_status check_ext(Rk__Ext *const *ext, size_t n)
{
	bool is_newer = false;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && ext[i - 1]->id >= ext[i]->id)
			return MESSAGE_BAD;
		is_newer |= ext[i]->critical != 0;
	}
	return is_newer ? MESSAGE_NEWER : MESSAGE_OK;
}

static enum message_status check_all_ext(const Rk__Message *m)
{
	enum message_status own = check_ext(m->ext, m->n_ext), inner = MESSAGE_OK;

	if (m->post)
		inner = check_ext(m->post->ext, m->post->n_ext);
	else if (m->dossier)
		inner = check_ext(m->dossier->ext, m->dossier->n_ext);
	if (own == MESSAGE_BAD || inner == MESSAGE_BAD)
		return MESSAGE_BAD;
	return own == MESSAGE_NEWER ? own : inner;
}

enum message_status message_read(struct bytes packed, struct arena *a, Rk__Message **out)
{
	enum message_status status;
	uint64_t version, type;
	Rk__Message *m;

	*out = NULL;
	if (packed.len > ENVELOPE_MESSAGE_MAX_BYTES || !peek(packed, &version, &type))
		return MESSAGE_BAD;
	if (version > MSG_VERSION || !is_known_type(type))
		return MESSAGE_NEWER;
	if (STRICT_PARSE(message, packed, a, &m) != RK_OK || !has_its_part(m))
		return MESSAGE_BAD;
	if ((status = check_all_ext(m)) == MESSAGE_OK)
		*out = m;
	return status;
}
