/*
 * command: one message on its way through the broker.  Each step of the path fills its part and hands on; nobody goes back.
 * front: peer and frames.  admit: request.  verify: what was proven.  apply reads all and writes only the store.
 * It knows no socket: `owner` is the front's frame storage, given back with the command.
 */
#ifndef RENKEI_BROKER_COMMAND_H
#define RENKEI_BROKER_COMMAND_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "proto/envelope.h"
#include "proto/note.h"
#include "proto/object.h"
#include "proto/trust.h"

#define COMMAND_FRAMES_MAX 4
#define ROUTING_ID_MAX_BYTES 255

/* Who sent it, and where a reply goes.  Copied, so it outlives the connection. */
struct peer {
	uint8_t id[16];              /* device_id, or invite_id when is_invite: from User-Id, nothing else */
	bool is_invite;
	bool bundles;                /* admit: its HELLO asked for them */
	uint8_t routing_id_len;
	uint8_t routing_id[ROUTING_ID_MAX_BYTES];
	uint32_t slot;               /* front's session slot */
};

/* What the files of attachments said.  Apply takes it as it stands, so it is part of the command as its frames are. */
struct command_blob {
	int code;                    /* BLOB_PUT: RK_OK or why nothing more was taken; FETCH: RK_BUSY, RK_UNKNOWN_OBJECT, RK_OK */
	uint64_t have;               /* BLOB_PUT: durable from the start */
	bool is_complete;            /* BLOB_PUT: all are there, with the right hash */
	bool is_read;                /* FETCH: `bulk` is what was asked for */
	struct bytes bulk;           /* owned by the message */
};

struct command {
	/* -- front -- */
	struct peer peer;
	struct bytes frames[COMMAND_FRAMES_MAX];
	unsigned frame_count;
	void *owner;                 /* front's zmq_msg_t storage; NULL in tests */

	/* -- admit -- */
	struct arena *arena;         /* everything parsed lives here */
	const Rk__Request *req;
	uint8_t header_hash[8];      /* of the header frame (request_hash): the number's */
	struct bytes head;           /* Request.head as it came: a slice of the header frame; empty where there is none */
	struct bytes object;         /* object frame, hash checked against the header */
	struct bytes wraps, body;    /* bulk frames where the operation has them; BLOB_PUT: body, until blobs has written it */

	/* -- verify: parsed and proven by pure functions of bytes and key -- */
	int refusal;                 /* RK_OK, or what verify found; apply answers it and consumes the number */
	/* The keys that verified; apply compares them with the state.  signer_pk: of the envelope, or of signed_object where
	 * there is no envelope.  object_pk: of signed_object (NDA_PROPOSE and an ACCEPT have both: device and organisation). */
	uint8_t signer_pk[32], object_pk[32];
	struct envelope envelope;    /* SUBMIT, NDA_PROPOSE, NDA_ACT with an envelope */
	uint8_t env_id[32], env_oh[32]; /* not for FEED */
	const Rk__WrapList *wrap_list;
	struct object signed_object; /* PUT_OBJECT, INVITE_REG, PICKUP, NACK, DEPOSIT, NDA_ACT; NDA_PROPOSE: the ACCEPT */
	uint8_t object_oh[32];
	struct bytes terms_bytes;    /* NDA_PROPOSE */
	const Rk__NdaTerms *terms;
	uint8_t nda_id[32];
	struct trust_enrol enrol;    /* ENROL */
	struct note_opened note;     /* PUT_CHECKPOINT; HELLO: size 0 unless our log key has signed what it showed */

	/* -- blobs -- */
	struct command_blob blob;    /* BLOB_PUT; FETCH of an attachment */
};

#endif
