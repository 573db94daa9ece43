/*
 * crowd_kit: an exchange of thousands of devices, made in seconds: the keys of the secretariat, of organisations and of their devices follow
 * from names (fixed_kit), so every program that is told the broker's folder knows them.  All of them enter by the protocol: invite,
 * enrolment, directory, list of devices.  An organisation has CROWD_ORG_DEVICES of them, the most that a list may have.
 */
#ifndef RENKEI_BENCH_CROWD_KIT_H
#define RENKEI_BENCH_CROWD_KIT_H

#include "proto/invite.h"
#include "tests/unit/fixed_kit.h"

#define CROWD_ORG_DEVICES 32
#define CROWD_DIRECTORY_SERIAL 2   /* the one that names all of them; the first names the secretariat alone */

struct crowd {
	struct fixed f;           /* root, secretariat, key of epoch 1; the broker's keys are those of the card */
	struct broker_card card;
};

struct crowd_org {
	uint8_t id[16];
	struct fixed_sign key;
};

struct crowd_device {
	uint8_t org_id[16], id[16];
	struct fixed_sign sign;
	struct fixed_box curve, kx;
};

/** Reads the card in the broker's folder; ends the program with a sentence if there is none. */
void crowd_open(struct crowd *, const char *data);
/** The n-th organisation and the n-th device of all, from 0; device n is one of organisation n / CROWD_ORG_DEVICES. */
void crowd_org(struct crowd_org *, unsigned n);
void crowd_device(struct crowd_device *, unsigned n);

/** Ends the program with a sentence unless the code is RK_OK. */
void crowd_must(int code, const char *what);

/** A FEED post (channel OFFER, NEW) with a body of 1,072 bytes: its text padded to 1 KiB, and what sealing adds.  As a whole SUBMIT in the
 *  arena: header frame and body frame. */
struct crowd_post {
	struct bytes header, body;
};
void crowd_seal(const struct crowd *, const struct crowd_device *, const uint8_t writer_epoch[8], uint64_t number, int64_t now_ms,
		int64_t life_ms, struct arena *, struct crowd_post *);

#endif
