/*
 * What an organisation sends to its secretariat when its key is to be replaced:
 *   form u8 (1: the old key is lost, 2: it has signed) || u16be length || OrgKey || signature of the new key || signature of the old key
 * Both sign the same OrgKey under the same label.  The new key's signature is no link, since a link is verified by old_pk: it only
 * shows that who asks has the key.
 */
#include <stdlib.h>

#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/orgkey.h"
#include "proto/strict.h"

#define FORM_LOST 1
#define FORM_SIGNED 2
#define SIG_BYTES ((size_t)crypto_sign_BYTES)
#define HEAD_BYTES 3
#define PAYLOAD_MAX 160
#define REQUEST_MAX (HEAD_BYTES + PAYLOAD_MAX + 2 * SIG_BYTES)

int orgkey_request_make(const Rk__OrgKey *m, const uint8_t exchange_id[32], const uint8_t new_sk[64], const uint8_t *old_sk,
                        struct arena *a, char text[ORGKEY_TEXT_CHARS])
{
	uint8_t b[REQUEST_MAX];
	struct bytes payload;
	size_t len;
	int r = STRICT_PACK(m, a, &payload);

	if (r != RK_OK)
		return r;
	if (payload.len > PAYLOAD_MAX)
		return RK_TOO_LARGE;
	b[0] = old_sk ? FORM_SIGNED : FORM_LOST;
	put_u16be(b + 1, (uint16_t)payload.len);
	memcpy(b + HEAD_BYTES, payload.data, payload.len);
	len = HEAD_BYTES + payload.len;
	if ((r = object_sign(OBJECT_KIND_ORG_KEY, exchange_id, new_sk, payload, b + len)) != RK_OK)
		return r;
	len += SIG_BYTES;
	if (old_sk) {
		if ((r = object_sign(OBJECT_KIND_ORG_KEY, exchange_id, old_sk, payload, b + len)) != RK_OK)
			return r;
		len += SIG_BYTES;
	}
	return ids_text(text, ORGKEY_TEXT_CHARS, ORGKEY_TEXT_PREFIX, bytes_make(b, len));
}

/* The old key's signature, as the link of a row; verified. */
static int take_link(struct bytes payload, const uint8_t *sig, const uint8_t exchange_id[32], const uint8_t *old_pk, struct arena *a,
                     struct bytes *link)
{
	Rk__Signed s = RK__SIGNED__INIT;
	int r = object_verify(OBJECT_KIND_ORG_KEY, exchange_id, old_pk, payload, bytes_make(sig, SIG_BYTES));

	s.payload = pb_of(payload);
	s.sig = pb_of(bytes_make(sig, SIG_BYTES));
	return r == RK_OK ? STRICT_PACK(&s, a, link) : r;
}

int orgkey_request_read(const char *text, const uint8_t exchange_id[32], struct arena *a, struct orgkey_request *out)
{
	uint8_t b[REQUEST_MAX];
	struct bytes payload;
	size_t len, want;
	Rk__OrgKey *m;
	int r;

	memset(out, 0, sizeof(*out));
	if (ids_from_text(b, sizeof(b), &len, ORGKEY_TEXT_PREFIX, text) != RK_OK || len < HEAD_BYTES)
		return RK_MALFORMED;
	payload = bytes_make(b + HEAD_BYTES, get_u16be(b + 1));
	want = HEAD_BYTES + payload.len + (b[0] == FORM_SIGNED ? 2 : 1) * SIG_BYTES;
	if ((b[0] != FORM_LOST && b[0] != FORM_SIGNED) || len != want)
		return RK_MALFORMED;
	if ((r = STRICT_PARSE(org_key, payload, a, &m)) != RK_OK)
		return r == RK_ENOMEM ? r : RK_MALFORMED;
	if (!ids_is_valid_sign_pk(m->new_pk.data) || bytes_equal(bytes_of(m->old_pk), bytes_of(m->new_pk)))
		return RK_MALFORMED;
	r = object_verify(OBJECT_KIND_ORG_KEY, exchange_id, m->new_pk.data, payload,
	                  bytes_make(b + HEAD_BYTES + payload.len, SIG_BYTES));
	if (r == RK_OK && b[0] == FORM_SIGNED)
		r = take_link(payload, b + HEAD_BYTES + payload.len + SIG_BYTES, exchange_id, m->old_pk.data, a, &out->link);
	memcpy(out->org_id, m->org_id.data, sizeof(out->org_id));
	memcpy(out->old_pk, m->old_pk.data, sizeof(out->old_pk));
	memcpy(out->new_pk, m->new_pk.data, sizeof(out->new_pk));
	return r;
}
