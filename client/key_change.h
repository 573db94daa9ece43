/*
 * key_change: another key for our own organisation, or for an officer, of which this home keeps the next one beside the one in use.  The
 * next key takes its place when what we believe names it: the directory the organisation's, the charter the officer's.  Until then the
 * old one signs, so that a request that is never granted costs nothing.  CRYPTO 2.2, 2.13.
 */
#ifndef RENKEI_CLIENT_KEY_CHANGE_H
#define RENKEI_CLIENT_KEY_CHANGE_H

#include "client/client.h"
#include "proto/orgkey.h"

/**
 * Makes org-next.key, or opens the one that is there, and the request for the secretariat.  lost: the old key does not sign.  RK_ENOTJOINED
 * (no org.key: another home of the organisation has it), RK_NOT_PERMITTED (org.key is not the key of the directory), RK_EPASSPHRASE …
 */
int key_change_begin(struct client *, bool lost, const struct key_new *, char text[ORGKEY_TEXT_CHARS], uint8_t new_pk[32]);

/** Makes secretariat.key, or where there is one secretariat-next.key, or opens the one that was made for a request before. */
int key_change_officer(struct client *, const struct key_new *, uint8_t pk[32]);

/** Puts next keys that have come into force in their places.  *changed: the roles, a bit each.  Needs no passphrase. */
int key_change_settle(struct client *, unsigned *changed);

/** Is our newest device list still signed by a key that was replaced, and no new one on its way?  Needs no passphrase. */
bool key_change_is_list_due(struct client *, struct txn *);
/** Signs the next list, of the same devices, by the key of now.  RK_NOT_PERMITTED: org.key is not the key of the directory. */
int key_change_queue_list(struct client *, uint64_t *item);

/** Unlocks org.key; RK_NOT_PERMITTED if it is not the key of the directory (any more). */
int key_change_unlock_org(struct client *);

/* A key of this home, for people. */
struct key_facts {
	enum key_role role;
	bool has_pk;
	uint8_t pk[32];       /* as this home knows it without its passphrase */
	int64_t made_at;      /* of the file */
	int64_t until;        /* 0: no end */
	bool is_current;      /* as the directory, list or charter that we believe names it */
};
#define KEY_FACTS_MAX 8
int key_change_facts(struct client *, struct txn *, struct key_facts out[KEY_FACTS_MAX], size_t *count);

#endif
