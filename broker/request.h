/*
 * request: what a message must be before anybody looks at who may do what: one strict-parsed header, the frames and
 * fields of its operation and no others, an object frame that is the one the header names.  A pure function of the
 * frames.
 */
#ifndef RENKEI_BROKER_REQUEST_H
#define RENKEI_BROKER_REQUEST_H

#include "broker/command.h"

#define REQUEST_HEADER_MAX_BYTES 8192
#define REQUEST_OBJECT_MAX_BYTES (256 * 1024)
#define REQUEST_PART_MAX_BYTES (256 * 1024) /* of BLOB_PUT */

/* Where a request goes from admit. */
enum request_route {
	REQUEST_ANSWER,  /* admit answers (PING) */
	REQUEST_DELIVER, /* reads: deliver's thread */
	REQUEST_APPLY,   /* in order, without verification */
	REQUEST_VERIFY,  /* then apply */
	REQUEST_BLOBS,   /* files of attachments, then apply */
};

/**
 * Fills the admit part of the command (and its envelope, where the header holds one).  The arena must be there.
 * RK_OK; else the refusal: RK_MALFORMED, RK_TOO_LARGE, RK_VERSION, RK_UNSUPPORTED, or what a wrong envelope gives.
 * After a failure req is NULL if even the header could not be read; otherwise a reply can name the request.
 */
int request_parse(struct command *);
/** What the writer's row keeps of a numbered request, to know it again: XXH3, 64 bits, big endian.  Only against a client's own mistake of sending another
 *  request under a used number, which costs nobody but its organisation: so no keyed hash is needed. */
void request_hash(uint8_t hash[8], struct bytes header);

/** Of a parsed request.  A FEED post goes to apply unverified: its readers verify (CRYPTO 2.8). */
enum request_route request_route(const struct command *);
/** RK_OK or RK_NOT_PERMITTED: which operations an invite may use, and which only an invite. */
int request_check_peer(const struct command *);

#endif
