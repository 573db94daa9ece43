/*
 * desk: the desks of an organisation, as its newest device list tells them: numbers on the wire, names for people.  A desk is there as
 * long as a device in force stands at it.  What is sent to a desk is sealed to its devices only (need-to-know).  FIELDS "OrgDevices".
 */
#ifndef RENKEI_CLIENT_DESK_H
#define RENKEI_CLIENT_DESK_H

#include "client/client.h"
#include "proto/trust.h"

#define DESK_NAME_MAX 64

struct desk {
	uint32_t id;
	const char *name;   /* "#3" where none is told; in the arena */
	unsigned devices;   /* in force now */
};

/** All desks, by number; in the arena.  RK_ENOTFOUND: no list of this organisation is here. */
int desk_list(struct client *, struct txn *, const uint8_t org_id[16], struct arena *, struct desk **out, size_t *count);

/** The desk of that name (desk_same_name).  RK_ENOTFOUND; RK_CONFLICT: two have it. */
int desk_find(struct client *, struct txn *, const uint8_t org_id[16], const char *name, struct arena *, uint32_t *desk_id);

/** Name of a desk, as the newest list says that has it; "#3" if none of the last 200 does; in the arena. */
const char *desk_name(struct client *, struct txn *, const uint8_t org_id[16], uint32_t desk_id, struct arena *);

/** The one desk of a device, 0 if it has none or is not listed.  RK_CONFLICT: it has several. */
int desk_of_device(struct client *, struct txn *, const uint8_t device_id[16], const uint8_t org_id[16], struct arena *,
                   uint32_t *desk_id);

/** The same name for people: letters compare without case (ASCII and full-width), composed kana with kana and a mark of their own. */
bool desk_same_name(const char *, const char *);
/** A name that a desk may have: 1..64 bytes, fit to be shown, no '/' or ',' (they divide what people type). */
bool desk_is_name(const char *);

#endif
