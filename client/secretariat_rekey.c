/* Another key for a member: what its request says against the directory, and the row that follows. */
#include "client/secretariat.h"

#include <stdlib.h>

#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/strict.h"

#define ARENA_BYTES ((size_t)1024 * 1024)

/* Is the request about the key that the directory has now, of a member that may have another one? */
static int check_request(const Rk__Org *row, const struct orgkey_request *q)
{
	if (row->status == RK__ORG_STATUS__EXPELLED)
		return RK_NOT_PERMITTED;
	return memcmp(row->org_id.data, q->org_id, ID16_BYTES) == 0 && memcmp(row->org_pk.data, q->old_pk, KEY_BYTES) == 0 ? RK_OK
															    : RK_CONFLICT;
}

static int queue(struct client *c, struct txn *txn, const uint8_t org_id[16], const struct orgkey_request *q, struct arena *a,
		 uint64_t *item)
{
	Rk__Org *row, changed;
	int rc = book_org(c, txn, org_id, a, &row);
	if (rc == RK_OK)
		rc = check_request(row, q);
	if (rc == RK_OK)
		rc = orgkey_replace(row, q->new_pk, q->link, a, &changed);
	return rc == RK_OK ? secretariat_queue_row(c, txn, &changed, item) : rc;
}

int secretariat_rekey(struct client *c, const uint8_t org_id[16], const struct orgkey_request *q, const char *fingerprint,
		      uint64_t *item)
{
	char expected[IDS_ORG_FINGERPRINT_CHARS];
	struct txn *txn = NULL;
	ids_org_fingerprint(expected, q->new_pk);
	if (!ids_fingerprint_matches(fingerprint, expected))
		return RK_EINTEGRITY;
	struct arena *a = arena_new(ARENA_BYTES);
	int rc = a ? secretariat_unlock(c) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = queue(c, txn, org_id, q, a, item);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free(a);
	return rc;
}
