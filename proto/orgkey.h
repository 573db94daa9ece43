/*
 * orgkey: another key of an organisation.  The old key signs an OrgKey that names the new one; the row of the directory carries these links,
 * the newest as ext 1, those before it as ext 2 to 8, none critical.  The keys from the row's own back along them are one line: an
 * agreement that names one of them goes on under the newest.  A key replaced without its old one's word begins a new line, and what names an
 * older key is suspended: else the secretariat could put itself in a member's place.  CRYPTO 2.2, 2.9.  Pure; any thread.
 */
#ifndef RENKEI_PROTO_ORGKEY_H
#define RENKEI_PROTO_ORGKEY_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "renkei.pb-c.h"

#define ORGKEY_LINKS_MAX 8 /* older ones fall out of the line */

/* The keys that came before the row's own and still count as the organisation's, newest first. */
struct orgkey_line {
	size_t count;
	uint8_t pk[ORGKEY_LINKS_MAX][32];
};

/** The line of a row, by form: links follow on each other and end at org_pk.  Signatures are not looked at.  RK_MALFORMED. */
int orgkey_read(const Rk__Org *, struct orgkey_line *out);

/**
 * Every link of every row, each by the key that it replaces.  known (may be NULL) is a directory that was verified: links that it has
 * are not verified again.  RK_MALFORMED, RK_BAD_SIGNATURE, RK_ENOMEM.
 */
int orgkey_verify(const Rk__Directory *, const Rk__Directory *known, const uint8_t exchange_id[32]);

/**
 * What may become of key and line from one directory to another; is_next: no directory lies between.  The same key keeps its links.
 * Another one has the old one in its line, with what stood behind it, or begins a line without links.  RK_CONFLICT, RK_MALFORMED.
 */
int orgkey_check_change(const Rk__Org *old, const Rk__Org *now, bool is_next);

/** Rows that the directory before (old; NULL: there is none) had not bring no links: who comes in was nobody before.  RK_CONFLICT. */
int orgkey_check_newcomers(const Rk__Directory *old, const Rk__Directory *now);

/** The row's key, or the one of its line, whose SHA-256 is fp; false if there is none.  Of a row that was checked. */
bool orgkey_find(const Rk__Org *, const uint8_t fp[32], uint8_t pk[32]);
bool orgkey_counts(const Rk__Org *, const uint8_t fp[32]);

/** A copy of `row` under a new key, in the arena; link: Signed OrgKey by the row's key, or empty: the line ends here. */
int orgkey_replace(const Rk__Org *row, const uint8_t new_pk[32], struct bytes link, struct arena *, Rk__Org *out);

/* ---- the text that travels to the secretariat (orgkey_request.c) */
#define ORGKEY_TEXT_PREFIX "rk-orgkey:"
#define ORGKEY_TEXT_CHARS 512

struct orgkey_request {
	uint8_t org_id[16], old_pk[32], new_pk[32];
	struct bytes link; /* Signed OrgKey by the old key, in the arena; empty: the old key is lost */
};

/** new_sk proves that the asker has the new key; old_sk NULL: lost.  RK_ENOMEM, RK_TOO_LARGE. */
int orgkey_request_make(const Rk__OrgKey *, const uint8_t exchange_id[32], const uint8_t new_sk[64], const uint8_t *old_sk,
                        struct arena *, char text[ORGKEY_TEXT_CHARS]);
/** RK_MALFORMED, RK_BAD_SIGNATURE (of another exchange too), RK_ENOMEM. */
int orgkey_request_read(const char *text, const uint8_t exchange_id[32], struct arena *, struct orgkey_request *out);

#endif
