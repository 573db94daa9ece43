/*
 * log_kit: a broker's log in memory, that answers truly; a test bends what it says.
 */
#ifndef RENKEI_TESTS_LOG_KIT_H
#define RENKEI_TESTS_LOG_KIT_H

#include "client/log.h"
#include "tests/unit/fixed_kit.h"

#define LOG_KIT_MAX 512

struct log_kit {
	const struct fixed *f;
	unsigned number;              /* of its origin */
	merkle_hash nodes[2 * LOG_KIT_MAX];
	uint64_t node_count;
	struct merkle_edge edge;
};

void log_kit_init(struct log_kit *, const struct fixed *, unsigned number);
/** Appends a leaf; returns its index. */
uint64_t log_kit_add(struct log_kit *, unsigned type, int64_t time_ms, const uint8_t oh[32]);
/** Appends n leaves that nobody knows; `salt` makes two logs differ. */
void log_kit_fill(struct log_kit *, unsigned n, uint8_t salt);

void log_kit_checkpoint(struct log_kit *, uint64_t size, struct checkpoint *);
/** Signed by the log key; with time_s > 0 also by the witness. */
struct bytes log_kit_note(struct log_kit *, uint64_t size, int64_t time_s, struct arena *);

/* An answer to GET_PROOF, to be bent. */
struct log_kit_answer {
	int code;
	Rk__ProofReply reply;
	Rk__ProofSet set;
	uint8_t proofs[65][MERKLE_PROOF_MAX * 32];
	ProtobufCBinaryData inclusion[64];
};
/** What an honest broker says: RK_OK, or RK_UNKNOWN_OBJECT for what its log does not have. */
void log_kit_answer(struct log_kit *, uint64_t size, uint64_t from_size, const uint64_t *indexes, size_t n, struct arena *,
                    struct log_kit_answer *);
/** The set as a frame. */
struct bytes log_kit_pack(const struct log_kit_answer *, struct arena *);

#endif
