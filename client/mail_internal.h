/*
 * mail_internal: what the files of mail share.
 */
#ifndef RENKEI_CLIENT_MAIL_INTERNAL_H
#define RENKEI_CLIENT_MAIL_INTERNAL_H

#include "client/mail.h"

#define MAIL_ARENA ((size_t)256 * 1024)

/** Content of these kinds lies under a key of its own, so that it can be destroyed by itself. */
bool mail_has_own_key(uint32_t kind);

int mail_store(struct txn *, const Rkl__EnvelopeRecord *);

#endif
