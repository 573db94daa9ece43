/*
 * deposit: proof of what one had before.  A salted hash of a file is signed by this device and logged by the exchange; file, name and
 * salt never leave the home, so the log tells nobody what it was, and whoever has the salt can show it later (CRYPTO 2.10).
 */
#ifndef RENKEI_CLIENT_DEPOSIT_H
#define RENKEI_CLIENT_DEPOSIT_H

#include "client/client.h"

#define DEPOSIT_NAME_MAX 200   /* bytes of a file's base name */
#define DEPOSIT_TITLE_MAX 300

/* What the Deposit commits to, and what only this home knows of it. */
struct deposit_secret {
	uint8_t salt[32], sha256[32];
	const char *name, *title;  /* in the arena; title may be "" */
	uint64_t size;
};

/**
 * Hashes a file of any size, a part at a time.  RK_ENOTFOUND, RK_EIO, RK_EUSAGE: not a regular file, or its base name cannot be shown.
 * RK_EINTERRUPTED if *stop becomes true; stop may be NULL.  The name is in the arena.
 */
int deposit_hash(const char *path, volatile bool *stop, struct arena *, struct deposit_secret *out);

/**
 * Draws the salt, signs the Deposit with the device's key, keeps both and queues it.  oh names it, unless it waits long (deposit_seal).  The device key must be
 * unlocked.  RK_EUSAGE: the title is too long or cannot be shown.
 */
int deposit_add(struct client *, struct txn *, struct deposit_secret *, uint8_t oh[32], uint64_t *item);

/**
 * What is sent of the deposit oh: a Deposit that has waited is signed anew, for the exchange takes none that says another hour than its own.
 * Salt and commitment stay; its hash does not, so (*out)->oh names it from now on.  RK_ENOTFOUND.
 */
int deposit_seal(struct client *, struct txn *, const uint8_t oh[32], struct arena *, Rkl__DepositRecord **out);

/** RK_ENOTFOUND. */
int deposit_load(struct txn *, const uint8_t oh[32], struct arena *, Rkl__DepositRecord **out);
/** All of them, oldest first; in the arena. */
int deposit_list(struct txn *, struct arena *, Rkl__DepositRecord ***out, size_t *count);
/** What it commits to.  RK_ENOTFOUND: another device of the organisation made it; RK_EINTEGRITY. */
int deposit_open(struct client *, const Rkl__DepositRecord *, struct arena *, struct deposit_secret *out);

/** What another home of the organisation knows of a deposit, sealed under this one's key; evidence too, once it is logged.  The device key
 *  must be unlocked. */
int deposit_take_secret(struct client *, struct txn *, Rkl__DepositRecord *, const struct deposit_secret *, struct arena *);

/** "queued", "logged", "refused". */
const char *deposit_state_name(struct txn *, const Rkl__DepositRecord *);

/** Our Deposit was taken in: `object` is the Signed frame as it was sent.  RK_EINTEGRITY if the broker names no place in its log. */
int deposit_on_answer(struct client *, struct txn *, struct bytes object, const struct outcome *);

#endif
