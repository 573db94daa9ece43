/*
 * trust: the rules of the four full snapshots and of feed epochs, by themselves and against their predecessor.
 * Signatures are object.h's; who is looked up where is the caller's (the broker's state, the client's store).
 * CRYPTO 2.2, 2.3, 2.6.  Pure; any thread.
 */
#ifndef RENKEI_PROTO_TRUST_H
#define RENKEI_PROTO_TRUST_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "renkei.pb-c.h"

#define TRUST_ROLE_COORDINATOR 1u
#define TRUST_ROLE_REGISTRAR 2u
#define TRUST_ROLE_REVIEWER 4u
#define TRUST_ROLE_SECRETARIAT 8u

#define TRUST_DIRECTORY_AGE_MS ((int64_t)14 * 86400000)
#define TRUST_CHARTER_AGE_MS ((int64_t)5 * 365 * 86400000)
#define TRUST_DEVICES_AGE_MS ((int64_t)180 * 86400000)
#define TRUST_KX_AGE_MS ((int64_t)40 * 86400000)
#define TRUST_KX_RENEW_MS ((int64_t)30 * 86400000)       /* after not_before the next one is due */
#define TRUST_KX_KEPT_MS ((int64_t)60 * 86400000)        /* after not_before nothing valid can be sealed to it: 40 d, and 20 d of an envelope */
#define TRUST_EPOCH_AGE_MS ((int64_t)180 * 86400000)     /* the most a FeedEpoch may last */
#define TRUST_EPOCH_DEFAULT_MS ((int64_t)90 * 86400000)
#define TRUST_EPOCH_GRACE_MS ((int64_t)10 * 60 * 1000)
#define TRUST_RETIRED_KEPT_MS ((int64_t)180 * 86400000)

/* What is remembered of the newest accepted snapshot of a kind; serial 0 = none yet. */
struct trust_prev {
	uint64_t serial;
	uint8_t oh[32];
};

/**
 * A charter by itself: exchange_id = H(root), valid and distinct keys, windows, the log's origin renkei/<hex>/log<n> with n <= serial, and
 * prev_checkpoint: empty for log1, else a checkpoint of log<n-1>.  RK_MALFORMED, RK_WRONG_EXCHANGE, RK_UNSUPPORTED (suite).
 */
int trust_check_charter(const Rk__Charter *);

/**
 * The charter after `prev`; both have passed trust_check_charter.  serial + 1 (RK_CONFLICT), the same exchange; root, broker and log
 * keys unchanged (RK_UNSUPPORTED: version 1 replaces none).  The log goes on (same origin, same prev_checkpoint), or the next one begins
 * (number + 1) and prev_checkpoint is a checkpoint that the one before signed: RK_CONFLICT, RK_BAD_SIGNATURE.
 */
int trust_check_charter_next(const Rk__Charter *next, const Rk__Charter *prev);

/**
 * What a restored store has lost leaves a gap in the serials of directories, epochs and device lists.  The first of each after a charter of a further log
 * may step over it: true while the newest one known, made at made_ms, is older than such a charter.  Until then it is due.
 */
bool trust_may_step_over(const Rk__Charter *, int64_t made_ms);
/** The same for a step from one serial to another: forward, and no farther than what can have been lost. */
#define TRUST_STEP_MAX ((uint64_t)1 << 20)
bool trust_may_step(const Rk__Charter *, int64_t made_ms, uint64_t from, uint64_t to);

/** The secretariat key of the charter that `signer_id` names and that is valid at t_ms; NULL if none. */
const uint8_t *trust_secretariat_pk(const Rk__Charter *, const uint8_t *signer_id, int64_t t_ms);

/**
 * A directory by itself and as successor of `prev` (whose parsed form is prev_dir, NULL for serial 1): serial = prev + 1
 * and prev_oh (RK_CONFLICT), rows sorted and unique, valid distinct keys, status and kind set, lifetime <= charter's
 * max age, no organisation disappears, EXPELLED is final and keeps its key, min_devices_serial never falls, one ACTIVE organisation has
 * role SECRETARIAT, no critical ext (RK_UNSUPPORTED); another org_pk and its links: orgkey.h, whose orgkey_verify is the caller's to call.
 */
int trust_check_directory(const Rk__Directory *, const Rk__Charter *, struct trust_prev prev, const Rk__Directory *prev_dir);

/**
 * A device list by itself and as successor: serial (RK_CONFLICT), valid distinct keys, device_id = H(sign_pk), at least one device
 * not retired, desks ascending with a name each or none, lifetime <= 180 d.  Uniqueness of keys over the whole exchange is the caller's.
 */
int trust_check_org_devices(const Rk__OrgDevices *, struct trust_prev prev);

/** A kx key by itself: lifetime <= 40 d, valid point.  serial must be prev_serial + 1 (RK_CONFLICT). */
int trust_check_device_kx(const Rk__DeviceKx *, uint32_t prev_serial);

/** An epoch by itself and as successor: n = prev + 1, prev_oh, lifetime. */
int trust_check_feed_epoch(const Rk__FeedEpoch *, struct trust_prev prev);

/** Row of org_id (binary search), or NULL. */
const Rk__Org *trust_find_org(const Rk__Directory *, const uint8_t *org_id);
const Rk__Device *trust_find_device(const Rk__OrgDevices *, const uint8_t *device_id);

/** True if the device may act at t_ms: listed and not retired. */
bool trust_device_is_active(const Rk__Device *, int64_t t_ms);

/* ---- desks (trust_desk.c).  Numbers ascend and are never 0; names are an extension that nobody needs to understand. */
#define TRUST_EXT_DESK_NAMES 1u
#define TRUST_DESKS_MAX 16
/** The names of a device's desks in the order of its numbers; *out NULL if it tells none.  RK_MALFORMED: not one for each number. */
int trust_desk_names(const Rk__Device *, struct arena *, Rk__DeskNames **out);
/** Is the device at this desk?  0 is the whole organisation: always. */
bool trust_is_at_desk(const Rk__Device *, uint32_t desk_id);
/** May `b` of the same organisation open what `a` sends?  A device without desks sends for all. */
bool trust_shares_desk(const Rk__Device *a, const Rk__Device *b);

/** Enrolment form: names, country, keys; org_devices is serial 1 with one device, the kx is of that device.  Parses the inner objects
 *  into the arena and verifies all three signatures by the keys inside.  The tag is the secretariat's to check. */
struct trust_enrol {
	const Rk__Enrol *enrol;
	const Rk__OrgDevices *devices;
	const Rk__DeviceKx *kx;
	struct bytes enrol_wire, devices_wire, kx_wire; /* Signed bytes */
	uint8_t enrol_oh[32], devices_oh[32], kx_oh[32];
};
int trust_open_enrol(struct bytes enrol_request, const uint8_t exchange_id[32], struct arena *, struct trust_enrol *out);

/* Feed epoch keys. */
void trust_ek_commit(uint8_t out[32], const uint8_t ek[32]);
int trust_feed_key_seal(uint8_t sealed[136], uint32_t n, const uint8_t ek[32], const uint8_t kx_pk[32]);
/** RK_BAD_SIGNATURE unless label, feed 0, n and commit match `epoch`. */
int trust_feed_key_open(uint8_t ek[32], const Rk__FeedKey *, const Rk__FeedEpoch *, const uint8_t kx_pk[32],
                        const uint8_t kx_sk[32]);

#endif
