/* trust_internal: form rules that directory rows and enrolments share. */
#ifndef RENKEI_PROTO_TRUST_INTERNAL_H
#define RENKEI_PROTO_TRUST_INTERNAL_H

#include "renkei.pb-c.h"

/** Kind set, country two capitals, corporate number 13 digits or none, each language once.  RK_MALFORMED. */
int trust_check_org_form(Rk__OrgName *const *names, size_t n_names, Rk__OrgKind, const char *country,
                         const char *corporate_number);

/** Ascending ids (RK_MALFORMED) and none critical (RK_UNSUPPORTED): no row extension is known in version 1. */
int trust_check_row_ext(Rk__Ext *const *ext, size_t n);

/** Desk numbers ascending and not 0; names, if told, one for each. */
int trust_check_desks(const Rk__Device *);

#endif
