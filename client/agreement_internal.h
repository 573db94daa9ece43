/*
 * agreement_internal: what the files of agreement share.
 */
#ifndef RENKEI_CLIENT_AGREEMENT_INTERNAL_H
#define RENKEI_CLIENT_AGREEMENT_INTERNAL_H

#include "client/agreement.h"

#define AGREEMENT_ARENA ((size_t)256 * 1024)

/** Memory of an arena whose budget is raised by as much; NULL without memory. */
void *agreement_alloc(struct arena *, size_t len);
void *agreement_copy(struct arena *, const void *src, size_t len);

/** Does the key to which the terms bind this party still count as its own, by the directory of now (proto/orgkey.h)? */
bool agreement_has_key(struct client *, struct txn *, const struct nda_party *, struct arena *);

/** Parses the cover of a proposal, and proves cover and document against the terms.  RK_OK, RK_ENEWER (with *cover), RK_EINTEGRITY. */
int agreement_prove(const Rk__NdaTerms *, const Rk__Proposal *, struct arena *, Rk__NdaCover **cover);

#endif
