/*
 * device_text: the two texts by which an organisation takes in another device, carried by people: where to go, from a machine
 * that is in, and who asks, from the one that will be.  Neither holds a secret; neither is authentic by itself: what counts is the
 * fingerprint that both machines show.  CRYPTO 2.3, "New device".  A wrong sum is RK_MALFORMED.  Pure; any thread.
 */
#ifndef RENKEI_PROTO_DEVICE_TEXT_H
#define RENKEI_PROTO_DEVICE_TEXT_H

#include "proto/arena.h"
#include "proto/invite.h"
#include "renkei.pb-c.h"

#define DEVICE_LABEL_MAX 64
#define DEVICE_KX_MAX 256 /* a Signed DeviceKx takes about 150 */

/* Where to go, and for whom. */
struct org_card {
	uint8_t exchange_id[32];
	uint8_t broker_curve_pk[32];
	uint8_t org_id[16];
	char endpoint[ENDPOINT_MAX_CHARS + 1];
};

/** `rk-org:` base64url(exchange_id || B || org_id || endpoint || 4-byte SHA-256 of all before). */
int org_card_text(char out[INVITE_TEXT_CHARS], const struct org_card *);
int org_card_parse(struct org_card *, const char *text);

/* Who asks. */
struct device_request {
	uint8_t exchange_id[32];
	uint8_t org_id[16];
	uint8_t sign_pk[32], curve_pk[32];
	uint8_t accepts_max;            /* newest message version that it understands */
	char label[DEVICE_LABEL_MAX + 1];
	uint8_t kx[DEVICE_KX_MAX];      /* Signed DeviceKx 1, by sign_pk: whoever asks holds that key */
	size_t kx_len;
};

/** `rk-dev:` base64url(exchange_id || org_id || sign_pk || curve_pk || accepts_max u8 || length u8 || label || Signed DeviceKx || sum). */
int device_request_text(char out[INVITE_TEXT_CHARS], const struct device_request *);
int device_request_parse(struct device_request *, const char *text);

/**
 * Both keys fit to be admitted (RK_MALFORMED), the DeviceKx is the first of this device, by its own rules, and signed by it
 * (RK_BAD_SIGNATURE).  device_id is written, *kx stands in the arena.
 */
int device_request_check(const struct device_request *, struct arena *, uint8_t device_id[16], Rk__DeviceKx **kx);

#endif
