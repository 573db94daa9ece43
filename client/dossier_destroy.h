/*
 * dossier_destroy: the end of what was received or sent under an agreement.  The key of the content is written out of kx.key, so that
 * nothing that the store or an old page of it still holds can be opened (CRYPTO 2.13); the record of the disclosure stays.  What was
 * written outside this home is remembered from then on, because no program can promise to have found every copy.
 */
#ifndef RENKEI_CLIENT_DOSSIER_DESTROY_H
#define RENKEI_CLIENT_DOSSIER_DESTROY_H

#include "client/dossier.h"
#include "client/dossier_save.h"

#define DOSSIER_COPIES_MAX 1024     /* remembered of one dossier; later ones take the place of the oldest */

/** Notes in the record, which is stored, where `dossier get` wrote the content; the folder as an absolute path. */
int dossier_note_saved(struct client *, struct txn *, Rkl__EnvelopeRecord *, const char *folder, const struct dossier_saved *saved,
                       size_t count, struct arena *);

/**
 * May it be destroyed?  RK_ENOTFOUND: its content is not here and never was; RK_EEXISTS: it was destroyed already.  RK_OK.
 */
int dossier_check_destroy(struct txn *, const Rkl__EnvelopeRecord *);

/**
 * Destroys key and content of what dossier_check_destroy allows, and stores the record with the time.  The key goes first and for good,
 * whatever becomes of the transaction: done again, it ends what a crash left half done.
 */
int dossier_destroy(struct client *, struct txn *, Rkl__EnvelopeRecord *);

/** A dossier that came: what a certificate is about.  What we sent is our own, and notices stay: they are about the duties. */
bool dossier_is_received(const Rkl__EnvelopeRecord *);

/** Every dossier that came under the agreement and whose content is here, in the arena. */
int dossier_received(struct txn *, const uint8_t nda_id[32], struct arena *, Rkl__EnvelopeRecord ***out, size_t *count);

/* The certificate of it, a notice under the agreement (client/notice). */
struct dossier_certificate {
	const uint8_t *nda_id;
	Rkl__EnvelopeRecord *const *records; /* destroyed; what is not dossier_is_received() is not in the certificate */
	size_t count;
	bool all;                   /* everything received under the agreement: names no ids */
	const char *method, *exceptions, *signer; /* exceptions may be "" */
	int64_t done_at;
};

/**
 * Queues the certificate to those who had sent what was destroyed.  With item NULL it only asks whether that is possible now.
 * RK_ENOTFOUND: none of it was received; RK_TOO_LARGE: more than NOTICE_ENVS_MAX, so it must be `all`; RK_MALFORMED: a text that cannot
 * be sent, or is missing; or the refusal of our own gate.
 */
int dossier_certify(struct client *, struct txn *, const struct dossier_certificate *, struct arena *, uint64_t *item);

#endif
