/* history_internal: the members of the archive, which writing and taking in share. */
#ifndef RENKEI_CLIENT_HISTORY_INTERNAL_H
#define RENKEI_CLIENT_HISTORY_INTERNAL_H

#include "client/archive.h"
#include "client/history.h"

/* Kinds of members in the order in which they come; the name is KIND/HEX of the id. */
enum history_kind { HISTORY_OBJECT, HISTORY_EVIDENCE, HISTORY_ENVELOPE, HISTORY_POST, HISTORY_DEPOSIT, HISTORY_KINDS };
extern const char *const history_kinds[HISTORY_KINDS];

#define HISTORY_ITEM_MAX ((size_t)4 * 1024 * 1024)
#define HISTORY_HEAD_BYTES (sizeof(HISTORY_FORMAT) + 32 + 16) /* format and NUL, exchange_id, org_id */

/** One member into the home, in the caller's write transaction.  *taken: something was missing.  RK_EINTEGRITY: it does not prove itself, or
 *  what it belongs to is not here; other codes: this home cannot go on. */
int history_take(struct client *, struct txn *, enum history_kind, const uint8_t id[32], const Rkl__HistoryItem *, bool *taken);

#endif
