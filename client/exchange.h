/*
 * exchange: founding one.  Makes the six objects of charter.rk: Charter 1, Directory 1, the secretariat's OrgDevices 1 and DeviceKx 1,
 * FeedEpoch 1 and its FeedKey; takes them into the book of this home, which is joined at once.  CRYPTO 2.3 "Bootstrap".
 */
#ifndef RENKEI_CLIENT_EXCHANGE_H
#define RENKEI_CLIENT_EXCHANGE_H

#include "client/own.h"
#include "proto/invite.h"

struct exchange_form {
	const char *name;
	const char *time_zone;         /* known to this machine: the caller checks */
	struct broker_card card;
	struct own_form org;           /* the secretariat */
};

/**
 * In a home fresh from client_create.  Makes the keys root, witness, secretariat, org and device (asking for passphrases), writes
 * everything in one transaction.  *file = packed CharterFile, in the arena; exchange_id and org_id are filled.
 * RK_EUSAGE, RK_EPASSPHRASE, RK_EIO …: the home is not usable and may be deleted.
 */
int exchange_create(struct client *, const struct exchange_form *, const struct key_new *, struct arena *, struct bytes *file,
                    uint8_t exchange_id[32], uint8_t org_id[16]);

#endif
