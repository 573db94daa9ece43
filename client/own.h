/*
 * own: the first objects of an organisation and its first device, as `exchange create` and `join` make them.
 */
#ifndef RENKEI_CLIENT_OWN_H
#define RENKEI_CLIENT_OWN_H

#include "client/client.h"

/* What an organisation says of itself. */
struct own_form {
	const char *name;              /* 1..200 bytes */
	const char *lang;              /* "ja" */
	const char *reading;           /* "" if none */
	Rk__OrgKind kind;
	const char *country;           /* "JP" */
	const char *region;            /* "" or "JP-01" */
	const char *corporate_number;  /* "" or 13 digits */
	const char *device_label;
};

/** RK_OK, or RK_EUSAGE with *field = the name of the first field that cannot stand ("name", "reading" …). */
int own_check_form(const struct own_form *, const char **field);

/** The names of a row or an Enrol, in the arena; NULL without memory. */
Rk__OrgName **own_names(const struct own_form *, struct arena *);

/** Writes the ids of a new home, its fresh writer epoch and its state; keys device and org are unlocked. */
int own_write_meta(struct client *, struct txn *, const uint8_t exchange_id[32], const uint8_t org_id[16], const char *endpoint,
                   const uint8_t broker_pk[32], enum client_state);

/** OrgDevices 1 with this device, signed by O; DeviceKx of the newest kx key, signed by D.  Signed bytes in the arena. */
int own_make_devices(struct client *, const uint8_t exchange_id[32], const uint8_t org_id[16], const char *label, struct arena *,
                     struct bytes *wire);
int own_make_kx(struct client *, const uint8_t exchange_id[32], struct arena *, struct bytes *wire);

#endif
