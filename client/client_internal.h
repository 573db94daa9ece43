/*
 * client_internal: what a struct client is made of, for home.c, keys.c, book.c, evidence.c, spool.c and link*.c only.
 */
#ifndef RENKEI_CLIENT_CLIENT_INTERNAL_H
#define RENKEI_CLIENT_CLIENT_INTERNAL_H

#include "client/client.h"

#define CLIENT_PATH_MAX 4096

struct keys;
struct book_cache;

struct client {
	char home[CLIENT_PATH_MAX];
	struct env *env;
	client_passphrase_fn *passphrase;
	void *user;
	int64_t (*now_ms)(void);
	void (*log)(void *user, const char *line);
	/* Copies of META_EXCHANGE, META_ORG, META_DEVICE; zero until they are written. */
	uint8_t exchange_id[32], org_id[16], device_id[16];
	struct keys *keys;       /* keys.c; NULL until a key is touched */
	struct book_cache *book; /* book.c; NULL until a directory is read */
	void *zmq;               /* link_session.c: the context; NULL until a link is run */
};

/** Fills the ids of the client from a transaction that may have just written them. */
void home_load_ids(struct client *, struct txn *);
void keys_free(struct keys *);
void book_cache_free(struct book_cache *);
/** Ends the ZeroMQ context. */
void link_context_free(struct client *);

/* C_OBJECT also holds what is not an rk.ObjectType. */
#define BOOK_EVIDENCE 0x80u  /* type | this: a second object of the same serial, kept as evidence */
#define BOOK_DEVICE_ORG 0xF0u /* device_id || 0 -> org_id of the newest list that named the device */
#define BOOK_EXPELLED 0xF1u   /* org_id || 0 -> u64be: the entry of control whose directory expelled it */
#define BOOK_REPLACED_KEY 0xF2u /* org_id || entry of control whose directory replaced it -> org_pk || 1 byte: by its own word */
#define BOOK_WAITING_KX 0xF3u   /* device_id || 0 -> Signed DeviceKx of a device that stands in no list yet */
#define BOOK_KEY_BYTES 25
void book_key(uint8_t key[BOOK_KEY_BYTES], unsigned type, const uint8_t *id, uint64_t serial);
/* ---- book_keys.c, for book_take.c */
/** Before `now` becomes the newest directory: remembers the organisation keys that it replaces, in force until control_seq. */
int book_note_replaced(struct client *, struct txn *, const Rk__Directory *now, uint64_t control_seq);
/** Has a key of this organisation been replaced since this home came? */
bool book_knows_replaced(struct txn *, const uint8_t org_id[16]);
/** Keeps a kx key until a list names its device (book_waiting_kx); the newest of each device. */
int book_keep_kx(struct txn *, const Rk__DeviceKx *, struct bytes wire);
/** Takes it out again, into the arena; RK_ENOTFOUND. */
int book_waiting_kx(struct txn *, const uint8_t device_id[16], struct arena *, struct bytes *wire);

/** The newest object of (type, id): its serial, oh and Signed bytes (borrowed). */
int book_newest(struct txn *, unsigned type, const uint8_t *id, uint64_t *serial, uint8_t oh[32], struct bytes *wire);
/** The one before it: the newest with a serial below *serial, which becomes its own.  RK_ENOTFOUND. */
int book_older(struct txn *, unsigned type, const uint8_t *id, uint64_t *serial, uint8_t oh[32], struct bytes *wire);

/* ---- outbox.c, for the link */
int outbox_load(struct txn *, uint64_t id, struct arena *, Rkl__OutboxItem **item);
/** Writes an item; was: its state before, for the counters. */
int outbox_store(struct txn *, const Rkl__OutboxItem *item, Rkl__ItemState was);
/** The key of sealed_compose; wipe it.  create: made if it is one of the item's own.  RK_ENOTFOUND: it went with the item. */
int outbox_key(struct client *, const Rkl__OutboxItem *, bool create, uint8_t key[32]);
/** Destroys it, if it is the item's own. */
int outbox_key_destroy(struct client *, const Rkl__OutboxItem *);
void outbox_moved(struct txn *, Rkl__ItemState from, Rkl__ItemState to);
#define META_QUEUED "outbox_queued" /* u64be: items of that state */
#define META_SENT "outbox_sent"

/** Our own post, taken in by the broker: known at once, also in a channel that this home does not follow.  Told when it comes. */
int feed_on_sent(struct client *, struct txn *, const struct delivery *);
/** A device is listed no more: its posts are shown as withdrawn from now on. */
int feed_on_device_dropped(struct client *, struct txn *, const uint8_t device_id[16]);

/* Keys of C_META that only the link uses. */
#define META_SYNC_ASKED "sync_asked" /* u64be: a process without the link wants to be told that all is caught up */
#define META_SYNC_DONE "sync_done"   /* u64be: the last such wish that the link has fulfilled */
#define META_WAITING "waiting_posts" /* u64be: entries of C_WAITING */

#endif
