/*
 * downloader: what a member does that is about to be expelled, in a thread of its own, with nothing of our client between it and the
 * broker: FETCH of one dossier and of parts of an attachment in a loop, posts one after the other, an upload that goes on, a live subscription to
 * OFFER and to its mailbox.  Everything that it asks and that is answered is written down.
 */
#ifndef RENKEI_TESTS_DOWNLOADER_H
#define RENKEI_TESTS_DOWNLOADER_H

#include <stdatomic.h>

#include "tests/unit/exchange_kit.h"
#include "tests/unit/member.h"

#define DOWNLOADER_POSTS 400
#define DOWNLOADER_DEPTH 8                 /* unanswered requests at a time */
#define DOWNLOADER_ASKED 4096
#define DOWNLOADER_BODY_BYTES (150 * 1024)
#define DOWNLOADER_QUIET_MS 60             /* of silence, after which nothing is under way to the member any more */
#define DOWNLOADER_LATE_ASKS 20            /* sent on purpose after the acknowledgement */

#define DOWNLOADER_BLOB_BYTES ((uint64_t)512 * 1024 * 1024)
#define DOWNLOADER_PART_BYTES (64 * 1024)
#define DOWNLOADER_ATTACHED_BYTES (1024 * 1024) /* of the attachment, fetched in parts of DOWNLOADER_PART_BYTES */

struct asked {
	uint64_t tag;
	bool is_post, is_part, is_piece, is_late, is_answered;
	unsigned post;
	int code;
	uint64_t seq;
};

struct downloader {
	struct member m;
	struct rawpeer *peer;
	uint8_t nda_id[32];
	uint8_t env_id[32], attached[32]; /* dossiers; `attached` has an attachment */
	uint8_t blob[32];                /* of the upload: DOWNLOADER_BLOB_BYTES announced, never all of it sent */
	uint64_t blob_have;
	bool is_part_under_way;
	struct member_post posts[DOWNLOADER_POSTS];
	unsigned posted;
	struct asked asked[DOWNLOADER_ASKED];
	unsigned asked_count, late_count, bulk_count, open_count;
	uint64_t channel_seq;            /* the last delivered of OFFER */
	unsigned mailbox_count;
	unsigned after_quiet;            /* messages that came after DOWNLOADER_QUIET_MS of silence, and were no `revoked` */
	bool is_quiet;
	bool is_silent;                  /* of the kind that only listens in the end, so that nothing it says lets the broker notice it */
	int64_t heard_ms;
	atomic_uint got_bulk, got_acks, got_parts, got_pieces; /* parts: of the upload; pieces: of the attachment */
	atomic_bool acked, stop;         /* set by the test's own thread */
};

/** CLOCK_MONOTONIC. */
int64_t downloader_now_ms(void);
/** Takes the keys of an open home, which our client has let go of, seals its posts beforehand, and connects.  env_id and attached: picked
 *  up already; nda_id: under which it uploads. */
void downloader_prepare(struct downloader *, struct exchange *, unsigned home, const uint8_t nda_id[32], const uint8_t env_id[32],
                        const uint8_t attached[32], struct arena *);
/** Has it got enough of everything that one may begin? */
bool downloader_is_under_way(const struct downloader *);
/** The thread: until `stop`. */
void *downloader_run(void *downloader);

#endif
