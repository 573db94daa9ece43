/*
 * attach_internal: what the two files of attach share.
 */
#ifndef RENKEI_CLIENT_ATTACH_INTERNAL_H
#define RENKEI_CLIENT_ATTACH_INTERNAL_H

#include "client/attach.h"

#define ATTACH_ARENA ((size_t)64 * 1024)

/* Walks a table from a key on, and reads each record into the arena; `each` says RK_OK to go on, RK_EEXISTS to end well. */
struct attach_walk {
	struct txn *t;
	unsigned table;
	const ProtobufCMessageDescriptor *desc;
	struct arena *a;
};
typedef int attach_walk_fn(void *user, struct bytes key, ProtobufCMessage *);
int attach_walk(const struct attach_walk *, struct bytes from, attach_walk_fn *each, void *user);

#endif
