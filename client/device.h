/*
 * device: the machines of one organisation.  A new one asks by a text, whoever holds the organisation's key adds it to the signed list,
 * and the broker lets it in by that list alone.  The list is always sent whole, under the next serial; it says which desks a device
 * stands at, and since when a retired one is not believed any more.  CRYPTO 2.2 (OrgDevices), 2.3 ("New device").
 */
#ifndef RENKEI_CLIENT_DEVICE_H
#define RENKEI_CLIENT_DEVICE_H

#include "client/desk.h"
#include "proto/device_text.h"
#include "proto/ids.h"

#define DEVICE_MAX 32
#define DEVICE_RENEW_MS ((int64_t)60 * 86400000) /* a list is signed anew when less of its 180 days is left */

/* ---- the new machine */

/**
 * In a home fresh from client_create: makes its keys and its request, and leaves it CLIENT_PENDING; link_enrol then asks whether it was
 * added.  fingerprint is what both machines show.  What keys_create says; RK_MALFORMED (label); a store's error: the home may be deleted.
 */
int device_request_create(struct client *, const struct org_card *, const char *label, const struct key_new *,
                          char text[INVITE_TEXT_CHARS], char fingerprint[IDS_ORG_FINGERPRINT_CHARS]);
/** The request of this home, as long as its first kx key is not published.  RK_ENOTFOUND. */
int device_own_request(struct client *, struct txn *, struct device_request *);

/**
 * Queues the first kx key of a device that was let in, once; RK_OK also where there is nothing to do (*item is 0 then).  The key is the
 * one of the request, as long as most of its life is left.
 */
int device_publish_kx(struct client *, uint64_t *item);

/** What this device still waits for. */
enum device_wait { DEVICE_READY, DEVICE_WAITS_KX /* its own key is not published */, DEVICE_WAITS_FEED /* the secretariat owes it a feed key */ };
enum device_wait device_waits_for(struct client *, struct txn *);

/* ---- a machine that is in */

/** Where another one has to go: `rk-org:` text. */
int device_card(struct client *, char text[INVITE_TEXT_CHARS]);

/** Our own device by id (hex, a unique prefix of at least 4) or by its whole label.  RK_ENOTFOUND, RK_CONFLICT. */
int device_find(struct client *, struct txn *, const char *text, struct arena *, Rk__Device **out);

/**
 * Each signs and queues the next list; the organisation's key must be open.  *item names it, oh (32) is what its leaf in the log will
 * stand for.  Rows whose 180 days after retiring are over leave the list by the way.
 * RK_BUSY: an earlier list is not answered yet.  RK_ENOTFOUND: no such device.
 */
struct device_change {
	enum device_change_kind { DEVICE_ADD, DEVICE_RETIRE, DEVICE_DROP, DEVICE_DESKS, DEVICE_RENEW } kind;
	const uint8_t *device_id;             /* of the one that is changed; not for ADD and RENEW */
	const struct device_request *request; /* ADD: checked here again */
	const char *const *desks;             /* ADD, DESKS: their names; new ones get the next free numbers */
	size_t desk_count;
};
/** ADD: RK_EEXISTS (listed), RK_WRONG_EXCHANGE, RK_NOT_PERMITTED (another organisation's), RK_TOO_LARGE (32 devices), as
 *  device_request_check.  RETIRE, DROP: RK_NOT_PERMITTED (this device itself, or the last in force), RK_CONFLICT (retired already).
 *  DESKS: RK_CONFLICT (retired), RK_TOO_LARGE (more than 16); RK_EUSAGE: no name of a desk, or one twice. */
int device_change(struct client *, const struct device_change *, uint8_t oh[32], uint64_t *item);
/** Was a list sent that is not answered yet? */
bool device_list_is_on_its_way(struct txn *);

/** Should the list be signed anew, by whoever has the key? */
bool device_list_is_due(struct client *, struct txn *);
/** Is the list with this oh proven to be in the log? */
bool device_is_proven(struct client *, const uint8_t oh[32]);

/** Seals words to the organisation's own devices, of one desk or all (0), and queues them.  RK_TOO_LARGE; RK_EUSAGE: nothing said. */
int device_message(struct client *, struct txn *, uint32_t desk_id, const char *words, struct arena *, uint64_t *item);

#endif
