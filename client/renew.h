/*
 * renew: the next charter of an exchange, by the root key.  It says what the one held here says, for five years more; its log goes on, or,
 * after the broker's store was put back from a copy, the next one begins.  It enters no book here: it comes back by the control stream
 * once the operator has adopted it, as to every other home.  CRYPTO 2.2, 2.10.
 */
#ifndef RENKEI_CLIENT_RENEW_H
#define RENKEI_CLIENT_RENEW_H

#include "client/client.h"
#include "proto/note.h"

/* Everything lives in the arena. */
struct renewal {
	const Rk__Charter *charter;
	char log_origin[NOTE_NAME_CHARS];
	struct bytes file;             /* packed CharterFile, with nothing but the charter */
};

/**
 * Unlocks the root key and signs the charter after the newest one in the book.  last_checkpoint: empty, and the log goes on; else the signed
 * note with which the log ended, and the next one begins.  Secretariat keys that are in force are prolonged with the charter.
 * RK_ENOTJOINED (no root.key in this home), RK_NOT_PERMITTED (it is another exchange's), RK_EPASSPHRASE, RK_MALFORMED and
 * RK_BAD_SIGNATURE (the note is none of this log's), RK_TOO_LARGE (the note has too many signatures).
 */
int renew_charter(struct client *, struct bytes last_checkpoint, struct arena *, struct renewal *out);

/** The charter after the newest one in the book, with what `change` does to it (RK_OK or a code to return), signed by the root key; its log
 *  goes on.  Codes of renew_charter, and what the rules of charters say of the change. */
int renew_with(struct client *, int (*change)(Rk__Charter *next, int64_t now_ms, struct arena *, void *user), void *user, struct arena *,
               struct renewal *out);

#endif
