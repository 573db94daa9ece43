/*
 * By which key of an organisation?  A receipt has one directory, that of the disclosure; what is older may bear a key that its row has
 * replaced by its own word since (proto/orgkey.h).
 */
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/receipt_internal.h"
#include "proto/strict.h"
#include "proto/trust.h"

/* Newest first. */
struct keys {
	size_t count;
	uint8_t pk[1 + ORGKEY_LINKS_MAX][KEY_BYTES];
};

/* The key of the directory; for what is older than the directory also those of its line, but none that had been replaced when it was made. */
static void find_keys(const struct receipt_by_org *by, struct keys *out)
{
	const Rk__Org *org = trust_find_org(by->directory, by->org_id);
	struct orgkey_line line = {.count = 0};

	out->count = 0;
	if (!org)
		return;
	if (by->index < by->directory_index && orgkey_read(org, &line) != RK_OK)
		line.count = 0;
	memcpy(out->pk[out->count++], org->org_pk.data, KEY_BYTES);
	for (size_t i = 0; i < line.count; i++)
		memcpy(out->pk[out->count++], line.pk[i], KEY_BYTES);
}

/* Those from the newest to the one of this hash; none, if it is not among them. */
static void cut_keys(struct keys *keys, const uint8_t fp[32])
{
	uint8_t hash[32];

	for (size_t i = 0; i < keys->count; i++) {
		ids_sha256(hash, BYTES_OF(keys->pk[i]));
		if (memcmp(hash, fp, sizeof(hash)) == 0) {
			keys->count = i + 1;
			return;
		}
	}
	keys->count = 0;
}

int receipt_check_by_org(const struct receipt_by_org *by)
{
	int r = RK_BAD_SIGNATURE;
	struct keys keys;

	find_keys(by, &keys);
	if (keys.count > 0 && by->first_fp && by->index < by->directory_index)
		cut_keys(&keys, by->first_fp);
	else if (keys.count > 0 && by->first_fp && !orgkey_counts(trust_find_org(by->directory, by->org_id), by->first_fp))
		keys.count = 0;
	for (size_t i = 0; i < keys.count && r == RK_BAD_SIGNATURE; i++)
		r = object_verify(by->kind, by->exchange_id, keys.pk[i], by->payload, by->sig);
	return r;
}

int receipt_check_item_by_org(struct receipt_work *w, const struct receipt_item *item)
{
	struct receipt_by_org by = {.directory = w->out->directory, .exchange_id = w->exchange_id, .kind = item->kind,
	                            .directory_index = receipt_item_at(w, RECEIPT_PART_DIRECTORY, 0)->event.index,
	                            .index = item->event.index, .payload = item->payload, .sig = item->sig};
	int party;

	if (item->part == RECEIPT_PART_DEVICES) {
		by.org_id = ((const Rk__OrgDevices *)item->message)->org_id.data;
		return receipt_check_by_org(&by);
	}
	/* An agreement binds the key, not the organisation's id. */
	by.org_id = ((const Rk__NdaAct *)item->message)->org_id.data;
	if ((party = nda_party_index(&w->row, by.org_id)) < 0)
		return RK_BAD_SIGNATURE;
	by.first_fp = w->row.parties[party].org_key_fp;
	return receipt_check_by_org(&by);
}
