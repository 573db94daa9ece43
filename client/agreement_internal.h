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

/* ---- agreement_act.c, for agreement_make.c */
/** Empty without memory. */
ProtobufCBinaryData agreement_random(struct arena *, size_t len);
/** Of a language tag, that of our own texts. */
enum lang agreement_lang(const char *language);
/** The page, its salt, and the commitment for the ACCEPT. */
int agreement_make_page(struct client *, struct txn *, const struct agreement_signatory *, const char *language, struct bytes cover,
                        struct arena *, Rk__PageReveal *, uint8_t commit[32]);
/** Signs an act with the key that its kind asks for. */
int agreement_make_act(struct client *, const uint8_t nda_id[32], Rk__ActKind, const char *reason, const uint8_t *page_commit,
                       struct arena *, struct bytes *wire);
/** Queues a PROPOSAL envelope to all other parties, with the object that the broker reads. */
int agreement_queue_letter(struct client *, struct txn *, Rk__Op, const char *what, const Rk__NdaTerms *, const uint8_t nda_id[32],
                           const Rk__Message *, struct bytes object, struct arena *, uint64_t *item);

#endif
