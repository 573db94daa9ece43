/*
 * history: what a further device of an organisation cannot read at the exchange, carried by hand: contents that were sealed to other
 * devices, posts whose time is over, salts, evidence, what deposits commit to.  One age file under a recovery code (archive.h).  No
 * keys, nothing that waits to be sent, no attachments.
 * Taking it in adds what is missing and never replaces: what is here stays as it is, and what was destroyed stays destroyed.  Each
 * content proves itself again, as far as something here names it (pc in the signed head, the agreement's commitment); a head by its sender's
 * signature, its record by the head, a copy by its name.  Of posts and first contacts the file is believed: nobody keeps what proves them.
 */
#ifndef RENKEI_CLIENT_HISTORY_H
#define RENKEI_CLIENT_HISTORY_H

#include "client/client.h"

#define HISTORY_FORMAT "renkei-history 1"
#define HISTORY_HEAD "renkei-history"

struct history_result {
	unsigned envelopes, posts, deposits; /* in the file */
	unsigned taken;                      /* of these, what this home did not have; of an import */
	unsigned refused;                    /* what did not prove itself, or belongs to something that is not here */
	uint64_t bytes;                      /* of the file; of an export */
};

/** Writes it: temporary name beside, fsync, rename without replacing.  RK_EEXISTS, RK_EIO (errno says), RK_EDISKFULL, RK_EPASSPHRASE. */
int history_export(struct client *, const char *file, const char *code, struct history_result *);

/**
 * The whole file is read and proven first, then taken in, a part a transaction: what a kill leaves undone the same import does later.
 * RK_EPASSPHRASE: the code is wrong; RK_MALFORMED: no history; RK_EINTEGRITY: damaged or cut off; RK_WRONG_EXCHANGE, RK_NOT_PERMITTED:
 * of another exchange or organisation; RK_EIO.
 */
int history_import(struct client *, const char *file, const char *code, struct history_result *);

#endif
