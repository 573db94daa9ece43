/*
 * signer: the log key, and the one thing that it signs: checkpoints.  What it may sign is said by apply after the commit, and so after
 * the fsync; each tree is signed once, when somebody asks for the newest one.  CRYPTO 2.1 (L), 2.10, mistake 12.
 * Any thread.
 */
#ifndef RENKEI_BROKER_SIGNER_H
#define RENKEI_BROKER_SIGNER_H

#include "proto/note.h"

struct signer;

/** log_sk (64 bytes) is borrowed.  NULL without memory. */
struct signer *signer_new(const uint8_t log_sk[64]);
void signer_free(struct signer *);

/** This tree is durable: from now on it is the newest one. */
void signer_commit(struct signer *, const struct checkpoint *);
/** Nothing is signed any more: the store is older than what was signed before. */
void signer_stop(struct signer *);
/** The newest durable tree and its note.  False: there is none yet, or no more. */
bool signer_newest(struct signer *, struct checkpoint *, struct note *);
/** The size of the newest durable tree: what proofs may be about. */
uint64_t signer_size(struct signer *);
/** The last note that was signed, to be kept beside the store; false if none was. */
bool signer_last(struct signer *, struct note *);

#endif
