/* book_signer: whose signature an object of the book needs, at the time of its entry. */
#include "client/book_internal.h"
#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/strict.h"
#include "proto/trust.h"

static int secretariat_key(struct taking *t, ProtobufCBinaryData signer_id, const uint8_t **pk)
{
	Rk__Charter *charter;
	int r = book_charter(t->c, t->txn, t->arena, &charter);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_BAD_SIGNATURE : r;
	*pk = trust_secretariat_pk(charter, signer_id.data, t->time_ms);
	return *pk == NULL ? RK_BAD_SIGNATURE : RK_OK;
}

int book_org_of_device(struct txn *txn, const uint8_t device_id[16], uint8_t org_id[16])
{
	uint8_t key[BOOK_KEY_BYTES];
	struct bytes value;
	int r;

	book_key(key, BOOK_DEVICE_ORG, device_id, 0);
	if ((r = env_get(txn, C_OBJECT, BYTES_OF(key), &value)) != RK_OK)
		return r;
	if (value.len != ID16_BYTES)
		return RK_ESTORE;
	memcpy(org_id, value.data, ID16_BYTES);
	return RK_OK;
}

static int device_key(struct taking *t, const uint8_t *device_id, const uint8_t **pk)
{
	uint8_t org_id[ID16_BYTES];
	const Rk__Device *device;
	Rk__OrgDevices *list;
	int r;

	if ((r = book_org_of_device(t->txn, device_id, org_id)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_BAD_SIGNATURE : r;
	/* Also from a list below the directory's pin: while a home catches up, the pinned one comes after this key. */
	if ((r = book_org_devices(t->c, t->txn, org_id, t->arena, &list, NULL)) != RK_OK)
		return r;
	if ((device = trust_find_device(list, device_id)) == NULL)
		return RK_BAD_SIGNATURE;
	*pk = device->sign_pk.data;
	return RK_OK;
}

static int signer_of(struct taking *t, const uint8_t **pk)
{
	const ProtobufCMessage *m = t->o.message;
	int r;

	*pk = NULL;
	switch (t->o.kind) {
	case OBJECT_KIND_CHARTER:
		*pk = ((const Rk__Charter *)m)->root_pk.data;
		return RK_OK;
	case OBJECT_KIND_DIRECTORY:
		return secretariat_key(t, ((const Rk__Directory *)m)->signer_id, pk);
	case OBJECT_KIND_FEED_EPOCH:
		return secretariat_key(t, ((const Rk__FeedEpoch *)m)->signer_id, pk);
	case OBJECT_KIND_ORG_DEVICES:
		r = book_org_key_at(t->c, t->txn, t->id, t->control_seq, t->org_pk);
		*pk = t->org_pk;
		return r == RK_UNKNOWN_RECIPIENT ? RK_BAD_SIGNATURE : r;
	default:
		return device_key(t, t->id, pk);
	}
}

/*
 * A list of before this home came, by a key that had been replaced by then: it counts if that key leads to the one of our first
 * directory and the directory pins it.  What came later has a key of its time.
 */
static int check_before_us(struct taking *t)
{
	struct orgkey_line line;
	Rk__Org *org;
	int r = book_org(t->c, t->txn, t->id, t->arena, &org);

	if (r != RK_OK || t->serial > org->min_devices_serial || book_knows_replaced(t->txn, t->id))
		return r == RK_OK || r == RK_UNKNOWN_RECIPIENT ? RK_BAD_SIGNATURE : r;
	if ((r = orgkey_read(org, &line)) != RK_OK)
		return r;
	r = RK_BAD_SIGNATURE;
	for (size_t i = 0; i < line.count && r == RK_BAD_SIGNATURE; i++)
		r = object_check(&t->o, t->c->exchange_id, line.pk[i]);
	return r;
}

int book_check_signature(struct taking *t)
{
	const uint8_t *pk;
	int r = signer_of(t, &pk);

	if (r == RK_OK)
		r = object_check(&t->o, t->c->exchange_id, pk);
	return r == RK_BAD_SIGNATURE && t->o.kind == OBJECT_KIND_ORG_DEVICES ? check_before_us(t) : r;
}
