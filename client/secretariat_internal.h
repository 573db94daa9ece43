/*
 * secretariat_internal: what the files of the secretariat share.
 */
#ifndef RENKEI_CLIENT_SECRETARIAT_INTERNAL_H
#define RENKEI_CLIENT_SECRETARIAT_INTERNAL_H

#include "client/secretariat.h"
#include "proto/ids.h"

#define VAULT_INVITE "renkei/home/invite"            /* C_INVITE.sealed_seed, id invite_id */
#define META_DIRECTORY_ITEM "secretariat/directory"  /* u64be: outbox item of the last directory */
#define META_EPOCH_ITEM "secretariat/epoch"          /* of the last feed epoch */
#define REQUEST_ARENA_BYTES (1024 * 1024)
#define BIG_ARENA_BYTES ((size_t)16 * 1024 * 1024)

/* ---- secretariat_invite.c */
int secretariat_get_invite(struct txn *, const uint8_t *invite_id, struct arena *, Rkl__InviteRecord **out);
/** Ends the invite at the broker, and with it a request that came by it.  Keys are unlocked. */
int secretariat_queue_end(struct client *, struct txn *, const uint8_t *invite_id, struct arena *, uint64_t *item);

/* ---- secretariat_directory.c */
/** Of our S key, which is unlocked. */
void secretariat_signer_id(struct client *, uint8_t id[16]);
/** RK_BUSY while the item that a meta key names has no answer. */
int secretariat_must_be_answered(struct txn *, const char *meta_key);
/** A signed object to the broker. */
int secretariat_queue_object(struct client *, struct txn *, enum object_kind, struct bytes wire, const char *what, struct arena *,
			     uint64_t *item);
/**
 * The directory after the newest one known here, unsigned, in the arena: rows as there, with min_devices_serial at the newest lists, and
 * `extra` and a status as secretariat_queue_directory says, `changed` as secretariat_queue_row.  issued_at is now.
 */
int secretariat_fill_directory(struct client *, struct txn *, const Rk__Org *extra, const Rk__Org *changed, const uint8_t *org_id,
			       Rk__OrgStatus, struct arena *, Rk__Directory *out);

/* ---- secretariat_feed.c */
/** A new epoch for all but `but_org` (or NULL): object, our own copy of the key, then everybody's.  *issued grows. */
int secretariat_rotate(struct client *, struct txn *, uint64_t directory_serial, const uint8_t *but_org, unsigned *issued);
/** Keys of all live epochs for all active devices that lack one. */
int secretariat_queue_all_keys(struct client *, struct txn *, unsigned *issued);
/** Who holds the key of epoch n by our doing and may have no next one: of an expelled member, or a device that its organisation removed. */
struct secretariat_leavers { bool expelled, removed; };
int secretariat_find_leavers(struct client *, struct txn *, uint32_t n, struct secretariat_leavers *);

#endif
