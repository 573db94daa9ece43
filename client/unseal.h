/*
 * unseal: from an age file in HOME/blobs to a file of somebody's.  The whole of it was hashed before (spool_prove): here each chunk is
 * opened, and the end, the length and the hash of the plaintext must be what the message says, before there is a name for it.
 */
#ifndef RENKEI_CLIENT_UNSEAL_H
#define RENKEI_CLIENT_UNSEAL_H

#include "client/savefile.h"
#include "client/spool.h"

/** Decrypts into an open savefile, which the caller finishes; NULL: only proves what it would be.  RK_EINTEGRITY; RK_EIO; RK_EDISKFULL; progress's code. */
int unseal_to(int fd, const Rk__DossierFile *, struct savefile *, spool_progress_fn *, void *user);

/** Copies a file as it is.  The same. */
int unseal_copy(int fd, uint64_t len, struct savefile *, spool_progress_fn *, void *user);

#endif
