/*
 * inbox: what people should look at, in the order in which it came.  Never content: that stands behind the id.
 */
#include "client/client.h"

int inbox_add(struct txn *txn, Rkl__InboxKind kind, struct bytes id, const uint8_t *from_org, int64_t time_ms, const char *detail)
{
	Rkl__InboxRecord rec = RKL__INBOX_RECORD__INIT;
	uint8_t key[8];

	rec.no = meta_next_id(txn);
	rec.kind = kind;
	rec.id = (ProtobufCBinaryData){id.len, (uint8_t *)(uintptr_t)id.data};
	if (from_org != NULL)
		rec.from_org = (ProtobufCBinaryData){ID16_BYTES, (uint8_t *)(uintptr_t)from_org};
	rec.time_ms = time_ms;
	rec.detail = (char *)(uintptr_t)(detail != NULL ? detail : "");
	put_u64be(key, rec.no);
	return record_put(txn, C_INBOX, BYTES_OF(key), &rec.base);
}
