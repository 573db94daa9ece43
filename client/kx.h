/*
 * kx: the keys to which others seal for this device: a new one every 30 days, valid for 40, its secret destroyed after 60 (CRYPTO 2.1
 * row K, 2.2).  The secret is durable before the public key leaves; the public key leaves as an item of the outbox.
 *
 * Only whoever has the link does this, and decides in one write transaction: two processes never both make a key.  A key that was
 * made and did not get out, because the process was killed or the broker refused it, is the one that is offered next.
 */
#ifndef RENKEI_CLIENT_KX_H
#define RENKEI_CLIENT_KX_H

#include "client/client.h"

enum kx_due {
	KX_NOT_DUE,
	KX_FIRST,    /* the exchange knows none of this device */
	KX_AGE,      /* 30 days */
	KX_LATE,     /* it has ended: nobody could seal to this device */
	KX_LOST,     /* its secret is not here: an older copy of this home was put back */
	KX_LOG,      /* the exchange was put back from a copy, which may not know it */
};
/** Pure.  published: the newest that the exchange knows, or NULL; has_secret: its secret is here. */
enum kx_due kx_due(const Rk__DeviceKx *published, bool has_secret, const Rk__Charter *, int64_t now_ms);

/** Did `next` follow `before` as a device does that is in use: so that it read what was sealed to `before` in time?  Pure. */
bool kx_is_in_turn(const Rk__DeviceKx *before, const Rk__DeviceKx *next);

/**
 * Makes and queues the next key if it is due; needs the device key, and control caught up.  *queued: there is an item of the outbox now.
 * What was sealed to a device that was late or lost its key cannot be read: an alert says so (KX_ALERT).
 */
int kx_tick(struct client *, bool *queued);
/** kx.key without what is over. */
int kx_forget(struct client *);

#define KX_ALERT "kx-late"            /* detail of the inbox entry */
#define META_KX_ITEM "kx/item"        /* u64be: outbox item of the last one offered */
#define META_KX_SERIAL "kx/serial"    /* u64be: its serial */
#define META_KX_TRIED "kx/tried"      /* u64be: when, ms */

#endif
