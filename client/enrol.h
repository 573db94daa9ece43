/*
 * enrol: asking to be let in.  Makes the keys of an organisation and its first device in a fresh home, and the one request that the
 * invite allows; link_enrol sends it and asks how it stands.  CRYPTO 2.3.
 */
#ifndef RENKEI_CLIENT_ENROL_H
#define RENKEI_CLIENT_ENROL_H

#include "client/own.h"
#include "proto/invite.h"

/**
 * In a home fresh from client_create; leaves it CLIENT_PENDING.  fingerprint (64 chars of room) is what is read aloud to the
 * secretariat.  RK_INVITE_EXPIRED; what keys_create says; a store's error: the home may then be deleted.
 */
int enrol_create(struct client *, const struct invite *, const struct own_form *, const struct key_new *, uint8_t org_id[16],
                 char *fingerprint);

#endif
