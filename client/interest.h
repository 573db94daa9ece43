/*
 * interest: first contact about a post, and its answer.  Kind OPEN: sealed to the recipient, but no confidentiality agreement applies;
 * whoever shows it must say so.  FIELDS "Interest".
 */
#ifndef RENKEI_CLIENT_INTEREST_H
#define RENKEI_CLIENT_INTEREST_H

#include "client/client.h"

struct interest_new {
	const uint8_t *post_id;     /* 32 */
	const char *message, *about, *contact; /* may be NULL, but not all */
	uint32_t cooperation;       /* bits of Sought.cooperation */
};

/** Queues an Interest to the author of the post.  RK_ENOTFOUND (post), RK_CONFLICT (not live), RK_NOT_PERMITTED (our own post),
 *  RK_EUSAGE (nothing said), RK_TOO_LARGE. */
int interest_send(struct client *, struct txn *, const struct interest_new *, struct arena *, uint64_t *item);

/** Queues the answer to an Interest that came.  RK_NOT_PERMITTED (it is our own), RK_CONFLICT (answered already). */
int interest_answer(struct client *, struct txn *, const uint8_t env_id[32], Rk__InterestOutcome, uint32_t reason, const char *note,
                    struct arena *, uint64_t *item);

/** Reason codes of a decline: "not-a-fit" …; RK_EUSAGE for an unknown name.  interest_reason_name: "" for 0, "other" for unknown ones. */
int interest_reason(const char *name, uint32_t *reason);
const char *interest_reason_name(uint32_t reason);

/** Bits of "licence,joint-rd,manufacture,test,sales,assistance,investment,venture"; RK_EUSAGE. */
int interest_cooperation(const char *name, uint32_t *bit);
const char *interest_cooperation_at(unsigned bit);

#endif
