/* Layouts of fixed parts, then what varies; see invite.c for their siblings. */
#include "proto/device_text.h"

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite_internal.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define CARD_PREFIX "rk-org:"
#define REQUEST_PREFIX "rk-dev:"
#define CARD_FIXED_BYTES (32 + 32 + 16)
#define CARD_MAX_BYTES (CARD_FIXED_BYTES + ENDPOINT_MAX_CHARS + INVITE_SUM_BYTES)
#define REQUEST_FIXED_BYTES (32 + 16 + 32 + 32 + 1 + 1)
#define REQUEST_MAX_BYTES (REQUEST_FIXED_BYTES + DEVICE_LABEL_MAX + DEVICE_KX_MAX + INVITE_SUM_BYTES)

_Static_assert((REQUEST_MAX_BYTES * 4 + 2) / 3 + sizeof(REQUEST_PREFIX) <= INVITE_TEXT_CHARS, "the text fits");

int org_card_text(char out[INVITE_TEXT_CHARS], const struct org_card *card)
{
	uint8_t raw[CARD_MAX_BYTES];
	size_t len = strnlen(card->endpoint, sizeof(card->endpoint));

	out[0] = '\0';
	if (!invite_is_endpoint((const uint8_t *)card->endpoint, len))
		return RK_MALFORMED;
	memcpy(raw, card->exchange_id, 32);
	memcpy(raw + 32, card->broker_curve_pk, 32);
	memcpy(raw + 64, card->org_id, 16);
	memcpy(raw + CARD_FIXED_BYTES, card->endpoint, len);
	invite_add_sum(raw, CARD_FIXED_BYTES + len);
	return ids_text(out, INVITE_TEXT_CHARS, CARD_PREFIX, bytes_make(raw, CARD_FIXED_BYTES + len + INVITE_SUM_BYTES));
}

int org_card_parse(struct org_card *card, const char *text)
{
	uint8_t raw[CARD_MAX_BYTES];
	size_t len;

	memset(card, 0, sizeof(*card));
	if (invite_from_text(raw, sizeof(raw), &len, CARD_FIXED_BYTES + 1, CARD_PREFIX, text) != RK_OK)
		return RK_MALFORMED;
	len -= CARD_FIXED_BYTES;
	if (!invite_is_endpoint(raw + CARD_FIXED_BYTES, len))
		return RK_MALFORMED;
	memcpy(card->exchange_id, raw, 32);
	memcpy(card->broker_curve_pk, raw + 32, 32);
	memcpy(card->org_id, raw + 64, 16);
	memcpy(card->endpoint, raw + CARD_FIXED_BYTES, len);
	return RK_OK;
}

int device_request_text(char out[INVITE_TEXT_CHARS], const struct device_request *q)
{
	uint8_t raw[REQUEST_MAX_BYTES];
	size_t label_len = strnlen(q->label, sizeof(q->label)), at = 0;

	out[0] = '\0';
	if (label_len > DEVICE_LABEL_MAX || !strict_is_name(bytes_make(q->label, label_len)) || q->accepts_max == 0 ||
	    q->kx_len == 0 || q->kx_len > sizeof(q->kx))
		return RK_MALFORMED;
	memcpy(raw, q->exchange_id, 32);
	memcpy(raw + 32, q->org_id, 16);
	memcpy(raw + 48, q->sign_pk, 32);
	memcpy(raw + 80, q->curve_pk, 32);
	raw[112] = q->accepts_max;
	raw[113] = (uint8_t)label_len;
	at = REQUEST_FIXED_BYTES;
	memcpy(raw + at, q->label, label_len);
	at += label_len;
	memcpy(raw + at, q->kx, q->kx_len);
	at += q->kx_len;
	invite_add_sum(raw, at);
	return ids_text(out, INVITE_TEXT_CHARS, REQUEST_PREFIX, bytes_make(raw, at + INVITE_SUM_BYTES));
}

int device_request_parse(struct device_request *q, const char *text)
{
	uint8_t raw[REQUEST_MAX_BYTES];
	size_t len, label_len;

	memset(q, 0, sizeof(*q));
	if (invite_from_text(raw, sizeof(raw), &len, REQUEST_FIXED_BYTES + 1, REQUEST_PREFIX, text) != RK_OK)
		return RK_MALFORMED;
	label_len = raw[113];
	len -= REQUEST_FIXED_BYTES;
	if (raw[112] == 0 || label_len > DEVICE_LABEL_MAX || label_len >= len || len - label_len > sizeof(q->kx) ||
	    !strict_is_name(bytes_make(raw + REQUEST_FIXED_BYTES, label_len)))
		return RK_MALFORMED;
	memcpy(q->exchange_id, raw, 32);
	memcpy(q->org_id, raw + 32, 16);
	memcpy(q->sign_pk, raw + 48, 32);
	memcpy(q->curve_pk, raw + 80, 32);
	q->accepts_max = raw[112];
	memcpy(q->label, raw + REQUEST_FIXED_BYTES, label_len);
	q->kx_len = len - label_len;
	memcpy(q->kx, raw + REQUEST_FIXED_BYTES + label_len, q->kx_len);
	return RK_OK;
}

int device_request_check(const struct device_request *q, struct arena *a, uint8_t device_id[16], Rk__DeviceKx **kx)
{
	struct object o;
	int r;

	*kx = NULL;
	if (!ids_is_valid_sign_pk(q->sign_pk) || !ids_is_valid_box_pk(q->curve_pk) || memcmp(q->sign_pk, q->curve_pk, 32) == 0)
		return RK_MALFORMED;
	ids_device(device_id, q->sign_pk);
	if ((r = object_parse(OBJECT_KIND_DEVICE_KX, bytes_make(q->kx, q->kx_len), a, &o)) != RK_OK)
		return r == RK_ENOMEM ? r : RK_MALFORMED;
	*kx = (Rk__DeviceKx *)o.message;
	if (!bytes_equal(bytes_of((*kx)->device_id), bytes_make(device_id, 16)) || trust_check_device_kx(*kx, 0) != RK_OK ||
	    memcmp((*kx)->kx_pk.data, q->curve_pk, 32) == 0)
		return RK_MALFORMED;
	return object_check(&o, q->exchange_id, q->sign_pk);
}
