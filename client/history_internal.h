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

/* ---- history_prove.c */
/** Is this copy what its name says?  RK_EINTEGRITY. */
int history_prove_object(struct client *, struct arena *, const uint8_t id[32], struct bytes object);
/** May this evidence be kept?  It names copies, and proves nothing by itself. */
int history_check_evidence(struct arena *, struct bytes packed);
/** A record that this home never had: its head is the one that its name says, signed by the sender's device, of us or to us, and the record
 *  says of it what the head says. */
int history_prove_envelope(struct client *, struct txn *, struct arena *, const uint8_t id[32], const Rkl__EnvelopeRecord *);
/** A deposit: the one that its name says, of this commitment, by a device of ours. */
int history_prove_deposit(struct client *, struct txn *, struct arena *, const uint8_t id[32], struct bytes wire, const uint8_t commit[32]);
/** A content: what `told` says of it, and its attachments are those of the head. */
int history_check_message(struct arena *, const Rkl__EnvelopeRecord *head_of, const Rkl__EnvelopeRecord *told, struct bytes packed);

#endif
