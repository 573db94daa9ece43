/* evidence_internal: the records that taking in and assembling share. */
#ifndef RENKEI_CLIENT_EVIDENCE_INTERNAL_H
#define RENKEI_CLIENT_EVIDENCE_INTERNAL_H

#include "client/evidence.h"

enum evidence_kind { EVIDENCE_RECORD = 'R', EVIDENCE_OBJECT = 'O', EVIDENCE_SALT = 'S' };

#define EVIDENCE_KEY_BYTES 33
void evidence_key(uint8_t key[EVIDENCE_KEY_BYTES], enum evidence_kind, const uint8_t id[32]);

/** RK_ENOTFOUND. */
int evidence_load(struct txn *, const uint8_t id[32], struct arena *, Rkl__EvidenceRecord **out);

/** Opens what evidence_on_salt or evidence_on_deposit sealed.  RK_ENOTFOUND (not here, or its key was destroyed), RK_EINTEGRITY. */
int evidence_open_salt(struct client *, struct txn *, const uint8_t id[32], bool is_deposit, struct arena *, struct bytes *out);

#endif
