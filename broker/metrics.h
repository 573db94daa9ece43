/*
 * metrics: what the broker counts.  One array of atomic numbers, named in one table.  Counters only grow; gauges say
 * how things stand.  Any thread.  A periodic log line shows those that changed.
 */
#ifndef RENKEI_BROKER_METRICS_H
#define RENKEI_BROKER_METRICS_H

#include <stdint.h>

/* X(identifier, name): everything that is dropped or refused has a counter of its own.  commit_us: making batches durable, by commits or in the journal
 * (batches_saved); stores and store_us: the commits that brought saved ones to the tables; commit_max_us: the longest of all. */
#define METRICS_COUNTERS(X)                          \
	X(FRONT_MESSAGES, "front_messages")          \
	X(FRONT_BYTES, "front_bytes")                \
	X(DROP_NO_USER_ID, "drop_no_user_id")        \
	X(DROP_FRAMES, "drop_frames")                \
	X(DROP_RATE, "drop_rate")                    \
	X(DROP_INVITE_BYTES, "drop_invite_bytes")    \
	X(DROP_RING, "drop_ring")                    \
	X(DROP_MEMORY, "drop_memory")                \
	X(DROP_SLOTS, "drop_slots")                  \
	X(SEND_MESSAGES, "send_messages")            \
	X(SEND_DEFERRED, "send_deferred")            \
	X(SEND_LOST, "send_lost")                    \
	X(SEND_GONE, "send_gone")                    \
	X(SEND_CUT, "send_cut")                      \
	X(CUTS, "cuts")                              \
	X(ZAP_ADMITTED, "zap_admitted")              \
	X(ZAP_REFUSED, "zap_refused")                \
	X(ADMIT_REFUSED, "admit_refused")            \
	X(VERIFY_DONE, "verify_done")                \
	X(VERIFY_REFUSED, "verify_refused")          \
	X(SEEN_FOREIGN, "seen_foreign_checkpoints")  \
	X(SIGNED, "checkpoints_signed")              \
	X(PROOFS, "proofs")                          \
	X(BATCHES, "batches")                        \
	X(SAVED, "batches_saved")                    \
	X(STORES, "stores")                          \
	X(STORE_US, "store_us")                      \
	X(COMMANDS, "commands")                      \
	X(REFUSED, "refused")                        \
	X(DUE_DONE, "due_done")                      \
	X(COMMIT_US, "commit_us")                    \
	X(COMMIT_FAILED, "commit_failed")            \
	X(BLOB_IN_BYTES, "blob_in_bytes")            \
	X(BLOB_OUT_BYTES, "blob_out_bytes")          \
	X(BLOB_SYNCS, "blob_syncs")                  \
	X(BLOB_COMPLETE, "blobs_complete")           \
	X(BLOB_WRONG, "blobs_wrong_hash")            \
	X(BLOB_ORPHANS, "blob_orphans")              \
	X(BLOB_DROPPED, "blob_files_dropped")        \
	X(BLOB_FAILED, "blob_io_errors")             \
	X(LOADS, "page_loads")                       \
	X(DELIVERED, "delivered")                    \
	X(DELIVER_RETRY, "deliver_retry")            \
	X(DELIVER_DROPPED, "deliver_dropped_sessions")

#define METRICS_GAUGES(X)                            \
	X(SESSIONS, "sessions")                      \
	X(SLOTS, "slots")                            \
	X(BLOB_ROOM, "blob_room_mib")                \
	X(BLOB_HELD, "blob_held_bytes")              \
	X(BLOB_PARTS, "blob_uploads")                \
	X(IN_FLIGHT, "in_flight")                    \
	X(IN_FLIGHT_BYTES, "in_flight_bytes")        \
	X(COMMIT_MAX_US, "commit_max_us")            \
	X(BATCH_MAX, "batch_max")

#define METRICS_ID(id, name) M_##id,
enum metric { METRICS_COUNTERS(METRICS_ID) METRICS_GAUGES(METRICS_ID) METRIC_COUNT };
#undef METRICS_ID

void metrics_add(enum metric, uint64_t);
void metrics_set(enum metric, uint64_t);
/** Raises a gauge to at least the value. */
void metrics_max(enum metric, uint64_t);
uint64_t metrics_get(enum metric);
const char *metrics_name(enum metric);

/** Counts a refusal by its code; RK_OK is not counted. */
void metrics_refusal(int code);
uint64_t metrics_refusals(int code);

/** Writes one info line with every number that changed since the last call, and one with refusals by name; nothing if
 * nothing did. One thread. */
void metrics_log(void);

#endif
