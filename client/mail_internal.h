/*
 * mail_internal: what the files of mail share.
 */
#ifndef RENKEI_CLIENT_MAIL_INTERNAL_H
#define RENKEI_CLIENT_MAIL_INTERNAL_H

#include "client/mail.h"

#define MAIL_ARENA ((size_t)256 * 1024)

/** Content of these kinds lies under a key of its own, so that it can be destroyed by itself. */
bool mail_has_own_key(uint32_t kind);

int mail_store(struct txn *, const Rkl__EnvelopeRecord *);

/* Who signed, and where it stands in the log. */
struct mail_mark {
	const uint8_t *org_id, *device_id;
	int64_t time_ms;
	uint64_t log_index;
	bool by_reply;               /* not by the entry, which overwrites it: a repeated reply has the time of the repetition */
};
/** Each once a device; stored, and told to the sender.  The record's lists grow in the arena. */
int mail_mark_pickup(struct txn *, Rkl__EnvelopeRecord *, const struct mail_mark *, struct arena *);
int mail_mark_nack(struct txn *, Rkl__EnvelopeRecord *, const struct mail_mark *, Rk__NackReason, struct arena *);

/** Queues our Nack and notes its item in the record, which the caller stores. */
int mail_queue_nack(struct client *, struct txn *, Rkl__EnvelopeRecord *, Rk__NackReason, const char *what);

#endif
