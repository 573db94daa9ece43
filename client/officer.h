/*
 * officer: the secretariat keys that the charter names, one for each person who does its duties.  Who comes makes a key and sends it as a
 * text; the holder of the root key names it in the next charter, which the operator adopts.  Who leaves stays named, to the day: what
 * they signed before is judged by it.  CRYPTO 2.1, 2.2.
 */
#ifndef RENKEI_CLIENT_OFFICER_H
#define RENKEI_CLIENT_OFFICER_H

#include "client/renew.h"

#define OFFICER_TEXT_PREFIX "rk-officer:"
#define OFFICER_TEXT_CHARS 96
#define OFFICER_LABEL_MAX 64

/** `rk-officer:` base64url(key (32) || first 4 bytes of its SHA-256). */
int officer_text(char out[OFFICER_TEXT_CHARS], const uint8_t pk[32]);
/** RK_MALFORMED. */
int officer_parse(const char *text, uint8_t pk[32]);

/**
 * The charter that names pk as `label`, until the charter's own end.  replaces: the label of a key that ends with it, or NULL.
 * Codes of renew_with; RK_EEXISTS (the key or the label is named already), RK_ENOTFOUND (no key in force has the label
 * `replaces`), RK_QUOTA (eight keys are in force).
 */
int officer_add(struct client *, const uint8_t pk[32], const char *label, const char *replaces, struct arena *, struct renewal *out);
/** The charter in which this key ends now.  RK_ENOTFOUND; RK_CONFLICT: nobody would be left. */
int officer_remove(struct client *, const char *label, struct arena *, struct renewal *out);

/** Is the key in force at t_ms? */
bool officer_is_in_force(const Rk__SecretariatKey *, int64_t t_ms);
/** The key in force of this label, or NULL. */
const Rk__SecretariatKey *officer_find(const Rk__Charter *, const char *label, int64_t t_ms);

#endif
