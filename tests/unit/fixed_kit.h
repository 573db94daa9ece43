/*
 * fixed_kit: one small exchange from fixed keys, for tests: the secretariat and two members, each with one device; legal
 * objects of every kind, which a test then bends.  Everything is a function of names, so bytes repeat.
 */
#ifndef RENKEI_TESTS_FIXED_KIT_H
#define RENKEI_TESTS_FIXED_KIT_H

#include "proto/envelope.h"
#include "renkei.pb-c.h"

#define FIXED_ORGS 3
#define FIXED_ORGS_MAX 17 /* the secretariat and as many parties as an agreement has */
#define FIXED_TIME_MS ((int64_t)1760000000000) /* 2025-10-09 */
#define FIXED_ENDPOINT "tcp://127.0.0.1:7400"

struct fixed_sign { uint8_t pk[32], sk[64]; };
struct fixed_box { uint8_t pk[32], sk[32]; };

struct fixed_org {
	uint8_t org_id[16];
	struct fixed_sign org;
	uint8_t device_id[16];
	struct fixed_sign device;
	struct fixed_box curve, kx;
};

struct fixed {
	uint8_t exchange_id[32];
	struct fixed_sign root, secretariat, log, witness;
	struct fixed_box broker;
	uint8_t ek[32];
	struct fixed_org orgs[FIXED_ORGS_MAX]; /* sorted by org_id; 0 is the secretariat */
	int org_count;                         /* FIXED_ORGS, or what fixed_init_many was told */
};

void fixed_init(struct fixed *);
/** The same with n organisations; those of fixed_init come first. */
void fixed_init_many(struct fixed *, int n);
void fixed_sign_key(struct fixed_sign *, const char *name);
void fixed_box_key(struct fixed_box *, const char *name);
/** len bytes that follow from a name. */
void fixed_bytes(uint8_t *out, size_t len, const char *name);
/** The same in the arena. */
ProtobufCBinaryData fixed_data(struct arena *, size_t len, const char *name);
/** Memory, or the test ends. */
void *fixed_alloc(struct arena *, size_t len);

Rk__Charter *fixed_charter(const struct fixed *, struct arena *);
Rk__Directory *fixed_directory(const struct fixed *, struct arena *);
Rk__OrgDevices *fixed_org_devices(const struct fixed *, int org, struct arena *);
Rk__DeviceKx *fixed_device_kx(const struct fixed *, int org, struct arena *);
Rk__FeedEpoch *fixed_feed_epoch(const struct fixed *, struct arena *);
/** sealed as given: a seal draws its own randomness, so golden bytes come from a file. */
Rk__FeedKey *fixed_feed_key(const struct fixed *, int org, const uint8_t sealed[136], struct arena *);
Rk__InviteReg *fixed_invite_reg(const struct fixed *, struct arena *);
/** With its signed OrgDevices and DeviceKx. */
Rk__Enrol *fixed_enrol(const struct fixed *, int org, struct arena *);
/** The whole request, with a tag by `mac_key`. */
struct bytes fixed_enrol_request(const struct fixed *, const Rk__Enrol *, const uint8_t mac_key[32],
                                 const struct fixed_sign *signer, struct arena *);
Rk__Pickup *fixed_pickup(const struct fixed *, int org, struct arena *);
Rk__Nack *fixed_nack(const struct fixed *, int org, Rk__NackReason, struct arena *);
Rk__Deposit *fixed_deposit(const struct fixed *, int org, struct arena *);
/** From org's key to `next`. */
Rk__OrgKey *fixed_org_key(const struct fixed *, int org, const struct fixed_sign *next, struct arena *);
/** Between orgs 1 and 2, mutual. */
Rk__NdaTerms *fixed_terms(const struct fixed *, struct arena *);
Rk__NdaAct *fixed_act(const struct fixed *, int org, Rk__ActKind, struct arena *);

/** A legal header of this kind from `sender` to the orgs whose bits are set (ignored for FEED). */
Rk__EnvelopeHeader *fixed_header(const struct fixed *, Rk__Kind, int sender, unsigned to, struct arena *);
/** A packed Message of type TEXT. */
struct bytes fixed_message(const char *text, struct arena *);
void fixed_random(struct envelope_random *, const char *name);
/** Seals to the devices of `to` and of the sender; the epoch key for FEED. */
int fixed_seal(const struct fixed *, Rk__EnvelopeHeader *, int sender, unsigned to, struct bytes message, struct arena *,
               struct envelope_wire *);
/** An envelope_kx_lookup; user is a struct fixed_org. */
bool fixed_lookup(void *user, uint32_t kx_serial, uint8_t pk[32], uint8_t sk[32]);

#endif
