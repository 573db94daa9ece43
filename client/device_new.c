/* The machine that asks to be added, and what it publishes when it was; words between the devices of one organisation. */
#include "client/device.h"

#include <sodium.h>

#include "client/own.h"
#include "proto/nda.h"
#include "proto/strict.h"

#define ACCEPTS_MAX 1 /* newest message version that this program understands */
#define REQUEST_ARENA ((size_t)256 * 1024)
#define KX_FRESH_MS (TRUST_KX_AGE_MS / 2)
#define META_KX_ITEM "device/kx"      /* u64be: outbox item of the first kx key */
#define MESSAGE_LIFETIME_MS ((int64_t)20 * NDA_DAY_MS)

int device_card(struct client *c, char text[INVITE_TEXT_CHARS])
{
	struct org_card card = {.endpoint = ""};
	struct bytes endpoint, pk;
	struct txn *txn;
	int r;

	if ((r = env_begin(client_env(c), false, &txn)) != RK_OK)
		return r;
	r = RK_ESTORE;
	if (meta_get(txn, META_BROKER_PK, &pk) == RK_OK && pk.len == 32 && meta_get(txn, META_ENDPOINT, &endpoint) == RK_OK &&
	    endpoint.len <= ENDPOINT_MAX_CHARS) {
		memcpy(card.exchange_id, client_exchange_id(c), 32);
		memcpy(card.org_id, client_org_id(c), 16);
		memcpy(card.broker_curve_pk, pk.data, 32);
		memcpy(card.endpoint, endpoint.data, endpoint.len);
		r = org_card_text(text, &card);
	}
	env_abort(txn);
	return r;
}

/* ---- asking */

static int fill_request(struct client *c, const struct org_card *card, const char *label, struct arena *a, struct device_request *q)
{
	struct bytes kx;
	int r;

	memset(q, 0, sizeof(*q));
	if (strlen(label) > DEVICE_LABEL_MAX)
		return RK_MALFORMED;
	memcpy(q->exchange_id, card->exchange_id, 32);
	memcpy(q->org_id, card->org_id, 16);
	keys_sign_pk(c, KEY_DEVICE, q->sign_pk);
	keys_curve_pk(c, q->curve_pk);
	q->accepts_max = ACCEPTS_MAX;
	memcpy(q->label, label, strlen(label));
	if ((r = own_make_kx(c, card->exchange_id, a, &kx)) != RK_OK)
		return r;
	if (kx.len > sizeof(q->kx))
		return RK_EINTERNAL;
	memcpy(q->kx, kx.data, kx.len);
	q->kx_len = kx.len;
	return RK_OK;
}

int device_request_create(struct client *c, const struct org_card *card, const char *label, const struct key_new *new,
			  char text[INVITE_TEXT_CHARS], char fingerprint[IDS_ORG_FINGERPRINT_CHARS])
{
	struct arena *a = arena_new(REQUEST_ARENA);
	struct device_request q;
	struct txn *txn = NULL;
	int r = a != NULL ? keys_create(c, KEY_DEVICE, new) : RK_ENOMEM;

	if (r == RK_OK && (r = fill_request(c, card, label, a, &q)) == RK_OK)
		r = device_request_text(text, &q);
	if (r == RK_OK)
		r = env_begin(client_env(c), true, &txn);
	if (r == RK_OK)
		r = own_write_meta(c, txn, card->exchange_id, card->org_id, card->endpoint, card->broker_curve_pk, CLIENT_PENDING);
	if (r == RK_OK)
		r = meta_put(txn, META_DEVICE_REQUEST, bytes_str(text));
	if (r == RK_OK)
		r = env_commit(txn);
	else
		env_abort(txn);
	if (r == RK_OK)
		ids_device_fingerprint(fingerprint, q.sign_pk, q.curve_pk);
	arena_free(a);
	return r;
}

int device_own_request(struct client *c, struct txn *txn, struct device_request *q)
{
	char text[INVITE_TEXT_CHARS];
	struct bytes value;
	int r = meta_get(txn, META_DEVICE_REQUEST, &value);

	(void)c;
	memset(q, 0, sizeof(*q));
	if (r != RK_OK)
		return r;
	if (value.len >= sizeof(text))
		return RK_ESTORE;
	memcpy(text, value.data, value.len);
	text[value.len] = '\0';
	return device_request_parse(q, text) == RK_OK ? RK_OK : RK_ESTORE;
}

/* ---- let in */

static int queue_kx(struct client *c, struct txn *txn, struct bytes wire, struct arena *a, uint64_t *item)
{
	struct outbox_request request = {.op = RK__OP__OP_PUT_OBJECT, .what = "device key", .object = wire,
					 .object_type = RK__OBJECT_TYPE__OBJECT_DEVICE_KX};
	struct object o;
	uint8_t oh[32];
	int r = object_parse(OBJECT_KIND_DEVICE_KX, wire, a, &o);

	if (r != RK_OK)
		return r;
	object_oh(oh, &o, client_exchange_id(c));
	request.object_oh = oh;
	if ((r = outbox_add(c, txn, &request, item)) != RK_OK)
		return r;
	return meta_put_u64(txn, META_KX_ITEM, *item);
}

/* Not published, and not on its way. */
static bool lacks_kx(struct client *c, struct txn *txn, struct arena *a)
{
	uint64_t last = meta_u64(txn, META_KX_ITEM);
	struct outcome outcome;
	Rk__DeviceKx *kx;
	Rk__Device *self;

	if (book_device(c, txn, client_device_id(c), client_org_id(c), a, &self) != RK_OK ||
	    book_device_kx(c, txn, client_device_id(c), a, &kx) == RK_OK)
		return false;
	return last == 0 || outbox_outcome(txn, last, &outcome) != RK_BUSY;
}

/* The key of the request while most of its life is left; else the same one, signed for the time that begins now. */
static int choose_kx(struct client *c, const struct device_request *q, struct arena *a, struct bytes *wire)
{
	uint8_t device_id[16];
	Rk__DeviceKx *kx;
	int r = device_request_check(q, a, device_id, &kx);

	if (r != RK_OK)
		return RK_ESTORE;
	if (kx->not_after - client_now(c) < KX_FRESH_MS)
		return own_make_kx(c, client_exchange_id(c), a, wire);
	*wire = bytes_make(q->kx, q->kx_len);
	return RK_OK;
}

static int publish(struct client *c, struct txn *txn, struct arena *a, uint64_t *item)
{
	struct device_request q;
	struct bytes wire;
	Rk__DeviceKx *kx;
	int r = device_own_request(c, txn, &q);

	if (r != RK_OK)
		return r;
	if (book_device_kx(c, txn, client_device_id(c), a, &kx) == RK_OK)
		return env_del(txn, C_META, bytes_str(META_DEVICE_REQUEST));
	if (!lacks_kx(c, txn, a))
		return RK_ENOTFOUND;
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK || (r = choose_kx(c, &q, a, &wire)) != RK_OK)
		return r;
	return queue_kx(c, txn, wire, a, item);
}

int device_publish_kx(struct client *c, uint64_t *item)
{
	struct arena *a;
	struct bytes value;
	struct txn *txn;
	int r;

	*item = 0;
	if ((r = env_begin(client_env(c), false, &txn)) != RK_OK)
		return r;
	r = meta_get(txn, META_DEVICE_REQUEST, &value);
	env_abort(txn);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if ((a = arena_new(REQUEST_ARENA)) == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(client_env(c), true, &txn)) == RK_OK) {
		if ((r = publish(c, txn, a, item)) == RK_OK)
			r = env_commit(txn);
		else
			env_abort(txn);
	}
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

enum device_wait device_waits_for(struct client *c, struct txn *txn)
{
	struct arena *a = arena_new(REQUEST_ARENA);
	enum device_wait wait = DEVICE_READY;
	Rk__DeviceKx *kx;
	Rk__FeedEpoch *epoch;
	uint8_t oh[32], key[4];

	if (a == NULL)
		return wait;
	if (book_device_kx(c, txn, client_device_id(c), a, &kx) == RK_ENOTFOUND) {
		wait = DEVICE_WAITS_KX;
	} else if (book_epoch(c, txn, 0, a, &epoch, oh) == RK_OK) {
		put_u32be(key, epoch->n);
		wait = env_has(txn, C_EPOCH, BYTES_OF(key)) ? DEVICE_READY : DEVICE_WAITS_FEED;
	}
	arena_free(a);
	return wait;
}

/* ---- words between devices */

int device_message(struct client *c, struct txn *txn, uint32_t desk_id, const char *words, struct arena *a, uint64_t *item)
{
	Rk__EnvelopeHeader header = RK__ENVELOPE_HEADER__INIT;
	Rk__Recipient recipient = RK__RECIPIENT__INIT, *list = &recipient;
	struct outbox_request request = {.op = RK__OP__OP_SUBMIT, .what = "device message", .header = &header,
					 .lifetime_ms = MESSAGE_LIFETIME_MS};
	Rk__Message m = RK__MESSAGE__INIT;
	int r;

	if (words[0] == '\0')
		return RK_EUSAGE;
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	m.text = pb_text(words);
	if ((r = STRICT_PACK(&m, a, &request.message)) != RK_OK)
		return r;
	header.kind = RK__KIND__INTERNAL;
	recipient.org_id = pb_of(bytes_make(client_org_id(c), ID16_BYTES));
	recipient.desk_id = desk_id;
	header.recipients = &list;
	header.n_recipients = 1;
	return outbox_add(c, txn, &request, item);
}
