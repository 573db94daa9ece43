/* invite_internal: what the texts that travel on paper have in common: a prefix, base64url, a sum against slips of the pen. */
#ifndef RENKEI_PROTO_INVITE_INTERNAL_H
#define RENKEI_PROTO_INVITE_INTERNAL_H

#include "proto/bytes.h"

#define INVITE_SUM_BYTES 4

/** Printable ASCII without spaces, 1..ENDPOINT_MAX_CHARS: it is shown to people and handed to the transport. */
bool invite_is_endpoint(const uint8_t *text, size_t len);

/** Writes the sum behind raw[len]. */
void invite_add_sum(uint8_t *raw, size_t len);

/** Text to raw bytes of at least min_len, proved by the sum behind them; *len without the sum.  RK_MALFORMED. */
int invite_from_text(uint8_t *raw, size_t room, size_t *len, size_t min_len, const char *prefix, const char *text);

#endif
