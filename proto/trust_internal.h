/* trust_internal: form rules that the files of trust share. */
#ifndef RENKEI_PROTO_TRUST_INTERNAL_H
#define RENKEI_PROTO_TRUST_INTERNAL_H

#include "proto/note.h"
#include "proto/trust.h"
#include "renkei.pb-c.h"

#define TRUST_CHARTER_KEYS_MAX 12 /* root, broker, log, witness, 8 of the secretariat */

/** Kind set, country two capitals, corporate number 13 digits or none, each language once.  RK_MALFORMED. */
int trust_check_org_form(Rk__OrgName *const *names, size_t n_names, Rk__OrgKind, const char *country,
                         const char *corporate_number);

/** Ascending ids (RK_MALFORMED) and none critical (RK_UNSUPPORTED): no row extension is known in version 1. */
int trust_check_row_ext(Rk__Ext *const *ext, size_t n);

/** Desk numbers ascending and not 0; names, if told, one for each. */
int trust_check_desks(const Rk__Device *);

/** A window [from, to) that exists and is no longer than max_ms. */
bool trust_is_window(int64_t from, int64_t to, int64_t max_ms);
bool trust_is_sign_pk(ProtobufCBinaryData);
/** Sorts; n pointers to 32-byte keys. */
bool trust_are_distinct(const uint8_t **keys, size_t n);
/** serial is the next one, and prev_oh names the one before it.  RK_CONFLICT. */
int trust_check_successor(uint64_t serial, ProtobufCBinaryData prev_oh, struct trust_prev);
/** Log and witness of a charter, under the names that follow from the exchange; the log's has a number too.  RK_MALFORMED. */
int trust_take_note_keys(const Rk__Charter *, struct note_key *log, struct note_key *witness, unsigned *log_number);

#endif
