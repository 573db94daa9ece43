/*
 * book_internal: one object on its way into the book: what book_take.c and book_signer.c share.
 */
#ifndef RENKEI_CLIENT_BOOK_INTERNAL_H
#define RENKEI_CLIENT_BOOK_INTERNAL_H

#include "client/client_internal.h"
#include "proto/trust.h"

struct taking {
	struct client *c;
	struct txn *txn;
	struct arena *arena;
	struct object o;
	int64_t time_ms;
	uint64_t control_seq;    /* of its entry; 0: it did not come by the control stream */
	const uint8_t *id;       /* NULL for those without one */
	uint64_t serial;
	uint8_t oh[32];
	uint8_t org_pk[32];      /* of whose list it is, as it stood at that entry */
	struct trust_prev prev;  /* what the rules compare with */
	bool is_first;           /* nothing of (type, id) is known */
};

/** RK_OK, RK_BAD_SIGNATURE (also where nobody is known who may sign it), a store's error. */
int book_check_signature(struct taking *);

#endif
