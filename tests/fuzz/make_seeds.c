/*
 * make_seeds FOLDER: writes the seeds of every target that are not typed by hand, FOLDER/TARGET/NAME.  The same bytes each time: to be
 * run, and its result kept, when a format changes.  Seeds of text (days, config, postfile, jsonl) are files of their own.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/age.h"
#include "proto/device_text.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/note.h"
#include "proto/keyfile.h"
#include "proto/strict.h"
#include "proto/ustar.h"
#include "tests/fuzz/fuzz_kit.h"
#include "tests/fuzz/seed_kit.h"
#include "tests/unit/schema_kit.h"

static const char *folder;

void seed_write(const char *target, const char *name, struct seed *s)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, target);
	MUST(mkdir(path, 0777) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s", folder, target, name);
	f = fopen(path, "we");
	MUST(f != NULL && fwrite(s->data, 1, s->len, f) == s->len && fclose(f) == 0);
	s->len = 0;
}

void seed_add(struct seed *s, struct bytes b)
{
	MUST(b.len <= sizeof(s->data) - s->len);
	if (b.len > 0)
		memcpy(s->data + s->len, b.data, b.len);
	s->len += b.len;
}

void seed_add_u8(struct seed *s, unsigned v)
{
	uint8_t b = (uint8_t)v;

	seed_add(s, bytes_make(&b, 1));
}

void seed_add_part(struct seed *s, struct bytes b)
{
	uint8_t len[4];

	put_u32be(len, (uint32_t)b.len);
	seed_add(s, BYTES_OF(len));
	seed_add(s, b);
}

/* libsodium's randomness, from a count: seeds must be the same on every machine. */
static uint32_t next_random(void)
{
	static uint32_t count;
	uint8_t out[4], seed[randombytes_SEEDBYTES] = {0};

	put_u32be(seed, count++);
	randombytes_buf_deterministic(out, sizeof(out), seed);
	return get_u32be(out);
}

static void fill_random(void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)next_random();
}

static const char *random_name(void)
{
	return "counted";
}

static struct randombytes_implementation counted = {random_name, next_random, NULL, NULL, fill_random, NULL};

/* ---- by reflection */

#define RANDOM_MAX_BYTES 1500

/* A random message that is not long. */
static struct bytes random_packed(const ProtobufCMessageDescriptor *desc, struct arena *a)
{
	struct bytes best = {NULL, SIZE_MAX};

	for (int i = 0; i < 60 && best.len > RANDOM_MAX_BYTES; i++) {
		struct bytes packed;

		MUST(strict_pack(schema_kit_random(desc, a), a, &packed) == RK_OK);
		if (packed.len < best.len)
			best = packed;
	}
	return best;
}

#define TYPE(name) &rk__##name##__descriptor,
static const ProtobufCMessageDescriptor *const types[] = {
#include "tests/fuzz/strict_types.inc"
};

static void make_strict(struct seed *s, struct arena *a)
{
	char name[80];

	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const ProtobufCMessageDescriptor *desc = types[i];

		for (int k = 0; k < 2; k++) {
			seed_add_u8(s, i);
			seed_add(s, random_packed(desc, a));
			snprintf(name, sizeof(name), "%s-%d", desc->short_name, k + 1);
			seed_write("strict", name, s);
		}
	}
}

/* One Message of each type, with the one part that belongs to it. */
static void make_message(struct seed *s, struct arena *a)
{
	const ProtobufCEnumDescriptor *kinds = &rk__message_type__descriptor;
	Rk__Message *read;
	char name[80];

	for (unsigned i = 0; i < kinds->n_values; i++) {
		for (int tries = 0; tries < 3000; tries++) {
			Rk__Message *m = (Rk__Message *)schema_kit_random(&rk__message__descriptor, a);
			void *parts[] = {&m->post, &m->interest, &m->interest_reply, &m->proposal, &m->signature_page, &m->dossier, &m->notice};
			struct bytes packed;

			m->type = (Rk__MessageType)kinds->values[i].value;
			m->msg_version = 1;
			m->n_ext = 0;
			for (int k = 0; k < 7; k++)
				if (k != tries % 7)
					*(void **)parts[k] = NULL;
			if (m->post)
				m->post->n_ext = 0;
			if (m->dossier)
				m->dossier->n_ext = 0;
			if (STRICT_PACK(m, a, &packed) != RK_OK || packed.len > 4096 || message_read(packed, a, &read) != MESSAGE_OK)
				continue;
			seed_add(s, packed);
			snprintf(name, sizeof(name), "%s", kinds->values[i].name);
			seed_write("message", name, s);
			break;
		}
	}
}

/* What a newer Renkei may have sent: a critical extension, an unknown type. */
static void make_newer(struct seed *s, struct arena *a)
{
	Rk__Message m = RK__MESSAGE__INIT, *read;
	Rk__Ext ext = RK__EXT__INIT, *list[] = {&ext};
	char text[] = "text";
	struct bytes packed;
	static const uint8_t unknown[] = {0x08, 0x01, 0x10, 0xe8, 0x07, 0x7a, 0x01, 0x00};

	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	m.text = text;
	m.n_ext = 1;
	m.ext = list;
	ext.id = 1;
	ext.critical = 1;
	MUST(STRICT_PACK(&m, a, &packed) == RK_OK && message_read(packed, a, &read) == MESSAGE_NEWER);
	seed_add(s, packed);
	seed_write("message", "critical-extension", s);
	MUST(message_read(BYTES_OF(unknown), a, &read) == MESSAGE_NEWER);
	seed_add(s, BYTES_OF(unknown));
	seed_write("message", "unknown-type", s);
}

/* ---- by hand */

static void make_object(struct seed *s, struct arena *a)
{
	for (enum object_kind kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		seed_add_u8(s, kind);
		seed_add(s, fuzz_golden(kind, a));
		seed_write("object", object_info(kind)->name, s);
	}
}

static void make_envelope(struct seed *s, struct arena *a)
{
	const ProtobufCEnumDescriptor *kinds = &rk__kind__descriptor;

	for (unsigned i = 0; i < kinds->n_values; i++) {
		struct envelope_wire w;

		if (!seed_envelope((Rk__Kind)kinds->values[i].value, NULL, a, &w))
			continue;
		seed_add_part(s, w.head);
		seed_add_part(s, w.wraps);
		seed_add(s, w.body);
		seed_write("envelope", kinds->values[i].name, s);
	}
}

static void make_text(struct seed *s)
{
	const struct fixed *f = fuzz_exchange();
	struct broker_card card = {.endpoint = FIXED_ENDPOINT};
	struct invite invite = {.expires_at = FIXED_TIME_MS, .endpoint = FIXED_ENDPOINT};
	struct org_card org = {.endpoint = FIXED_ENDPOINT};
	struct device_request request = {.accepts_max = 1, .label = "Lab A", .kx_len = 150};
	char text[INVITE_TEXT_CHARS], name[NOTE_NAME_CHARS];
	uint8_t life[8];

	memcpy(card.curve_pk, f->broker.pk, 32);
	memcpy(card.log_pk, f->log.pk, 32);
	memcpy(invite.exchange_id, f->exchange_id, 32);
	memcpy(invite.broker_curve_pk, f->broker.pk, 32);
	fixed_bytes(invite.seed, 32, "invite");
	MUST(invite_card_text(text, &card) == RK_OK);
	seed_add_u8(s, 0);
	seed_add(s, bytes_str(text));
	seed_write("text", "card", s);
	MUST(invite_text(text, &invite) == RK_OK);
	seed_add_u8(s, 0);
	seed_add(s, bytes_str(text));
	seed_write("text", "invite", s);
	MUST(org_card_text(text, &org) == RK_OK);
	seed_add_u8(s, 0);
	seed_add(s, bytes_str(text));
	seed_write("text", "org-card", s);
	MUST(device_request_text(text, &request) == RK_OK);
	seed_add_u8(s, 0);
	seed_add(s, bytes_str(text));
	seed_write("text", "device-request", s);
	note_origin(name, f->exchange_id, 1);
	MUST(note_vkey(text, name, 1, f->log.pk) == RK_OK);
	seed_add_u8(s, 0);
	seed_add(s, bytes_str(text));
	seed_write("text", "vkey", s);
	/* The layouts before the check sum. */
	seed_add_u8(s, 1);
	seed_add(s, BYTES_OF(card.curve_pk));
	seed_add(s, BYTES_OF(card.log_pk));
	seed_add_u8(s, 0);
	seed_add_u8(s, (unsigned)strlen(card.endpoint));
	seed_add(s, bytes_str(card.endpoint));
	seed_write("text", "card-layout", s);
	seed_add_u8(s, 3);
	seed_add(s, BYTES_OF(invite.exchange_id));
	seed_add(s, BYTES_OF(invite.broker_curve_pk));
	seed_add(s, BYTES_OF(invite.seed));
	put_u64be(life, (uint64_t)invite.expires_at);
	seed_add(s, BYTES_OF(life));
	seed_add(s, bytes_str(invite.endpoint));
	seed_write("text", "invite-layout", s);
}

void seed_note(struct note *plain, struct note *cosigned)
{
	const struct fixed *f = fuzz_exchange();
	struct note_key witness = {.type = NOTE_TYPE_WITNESS};
	struct checkpoint c = {.size = 1237};

	note_origin(c.origin, f->exchange_id, 1);
	fixed_bytes(c.root, sizeof(c.root), "root");
	note_witness_name(witness.name, f->exchange_id);
	memcpy(witness.pk, f->witness.pk, 32);
	note_sign(plain, &c, f->log.sk);
	MUST(note_cosign(cosigned, bytes_make(plain->text, plain->len), &witness, f->witness.sk, FIXED_TIME_MS / 1000) == RK_OK);
}

static void make_note(struct seed *s)
{
	static uint8_t text[NOTE_PROOF_MAX_BYTES];
	merkle_hash proof[11];
	struct note plain, cosigned;

	seed_note(&plain, &cosigned);
	seed_add_u8(s, 0);
	seed_add(s, bytes_make(plain.text, plain.len));
	seed_write("note", "checkpoint", s);
	seed_add_u8(s, 0);
	seed_add(s, bytes_make(cosigned.text, cosigned.len));
	seed_write("note", "cosigned", s);
	seed_add_u8(s, 0);
	seed_add(s, bytes_make(cosigned.text, cosigned.len));
	seed_add(s, bytes_str("\xe2\x80\x94 unknown.example AAAAAAAAAA==\n"));
	seed_write("note", "unknown-line", s);
	fixed_bytes((uint8_t *)proof, sizeof(proof), "proof");
	seed_add_u8(s, 1);
	seed_add(s, bytes_make(text, note_proof_write(text, sizeof(text), 42, proof, 11, bytes_make(cosigned.text, cosigned.len))));
	seed_write("note", "proof", s);
	seed_add_u8(s, 1);
	seed_add(s, bytes_make(text, note_proof_write(text, sizeof(text), 0, proof, 0, bytes_make(plain.text, plain.len))));
	seed_write("note", "proof-of-one", s);
}

static void make_keyfile(struct seed *s)
{
	static const uint8_t zero_key[32];
	const struct keyfile_params none = {KEYFILE_NONE, 0, 0}, raw = {KEYFILE_RAW, 0, 0};
	uint8_t file[KEYFILE_OVERHEAD + 11];

	MUST(keyfile_seal(file, &none, bytes_make(NULL, 0), bytes_str("a secret 01")) == RK_OK);
	seed_add(s, BYTES_OF(file));
	seed_write("keyfile", "none", s);
	MUST(keyfile_seal(file, &raw, BYTES_OF(zero_key), bytes_str("a secret 02")) == RK_OK);
	seed_add(s, BYTES_OF(file));
	seed_write("keyfile", "raw", s);
	/* Headers that ask for Argon2id, within the limits and for four terabytes. */
	file[8] = KEYFILE_ARGON2ID;
	put_u32be(file + 9, 3);
	put_u32be(file + 13, 256);
	seed_add(s, BYTES_OF(file));
	seed_write("keyfile", "argon2id", s);
	put_u32be(file + 13, 4194304);
	seed_add(s, BYTES_OF(file));
	seed_write("keyfile", "argon2id-huge", s);
}

static void make_enrol(struct seed *s, struct arena *a)
{
	const struct fixed *f = fuzz_exchange();
	struct bytes devices, kx, enrol;

	MUST(STRICT_PACK(fixed_org_devices(f, 1, a), a, &devices) == RK_OK);
	MUST(STRICT_PACK(fixed_device_kx(f, 1, a), a, &kx) == RK_OK);
	MUST(STRICT_PACK(fixed_enrol(f, 1, a), a, &enrol) == RK_OK);
	seed_add_u8(s, 0);
	seed_add(s, seed_enrol(a));
	seed_write("enrol", "request", s);
	seed_add_u8(s, 1);
	seed_add_part(s, devices);
	seed_add_part(s, kx);
	seed_add(s, enrol);
	seed_write("enrol", "payloads", s);
}

/* An archive that is no receipt; then each genuine one as it is, and with one edit of each kind. */
static void make_receipt(struct seed *s, struct arena *a)
{
	static const struct ustar_member members[] = {{"README.txt", {(const uint8_t *)"x", 1}}, {"charter.tbs", {(const uint8_t *)"", 0}}};
	struct bytes archive;
	char name[32];

	MUST(ustar_write(members, 2, a, &archive) == RK_OK);
	seed_add_u8(s, 0);
	seed_add(s, archive);
	seed_write("receipt", "archive", s);
	for (unsigned sample = 1; sample <= 4; sample++) {
		snprintf(name, sizeof(name), "genuine-%u", sample);
		seed_add_u8(s, sample);
		seed_write("receipt", name, s);
		for (unsigned what = 0; what < 5; what++) {
			snprintf(name, sizeof(name), "edit-%u-%u", sample, what);
			seed_add_u8(s, sample);
			seed_add_u8(s, 4 * sample + what);
			seed_add_u8(s, what);
			seed_add_u8(s, 0);
			seed_add_u8(s, 40);
			seed_add_part(s, bytes_str("edit"));
			seed_write("receipt", name, s);
		}
	}
}

/* Of both forms with the identity and the code of fuzz_age; and one that asks for a gigabyte of scrypt. */
static void make_age(struct seed *s)
{
	static const char *const plains[] = {"", "a short dossier"};
	uint8_t file[AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES + 64], identity[32], pk[32];
	struct age_random random;
	char name[32];
	struct age age;
	size_t len;

	memset(identity, 5, sizeof(identity));
	MUST(crypto_scalarmult_base(pk, identity) == 0);
	for (unsigned i = 0; i < 4; i++) {
		struct bytes plain = bytes_str(plains[i / 2]);
		bool is_scrypt = i % 2;

		age_random(&random);
		MUST((is_scrypt ? age_begin_scrypt(&age, &random, bytes_str("code"), 3, file, &len) : age_begin_x25519(&age, &random, pk, file, &len)) ==
		     RK_OK);
		MUST(age_seal_chunk(&age, plain, true, file + len) == RK_OK);
		snprintf(name, sizeof(name), "%s-%zu", is_scrypt ? "scrypt" : "x25519", plain.len);
		seed_add_u8(s, is_scrypt);
		seed_add(s, bytes_make(file, len + plain.len + AGE_TAG_BYTES));
		seed_write("age", name, s);
	}
	/* The cost stands behind version line, stanza and salt. */
	seed_add_u8(s, 1);
	seed_add(s, bytes_make(file, 22 + 10 + 22 + 1));
	seed_add(s, bytes_str("20"));
	seed_add(s, bytes_make(file + 22 + 10 + 22 + 2, len - (22 + 10 + 22 + 2)));
	seed_write("age", "scrypt-huge", s);
}

int main(int argc, char **argv)
{
	struct seed *s = calloc(1, sizeof(*s));
	struct arena *a = fuzz_arena(16 << 20);

	if (argc != 2 || s == NULL) {
		fprintf(stderr, "usage: make_seeds FOLDER\n");
		return EXIT_FAILURE;
	}
	folder = argv[1];
	MUST(randombytes_set_implementation(&counted) == 0);
	(void)fuzz_exchange();
	make_object(s, a);
	make_enrol(s, a);
	make_envelope(s, a);
	seed_requests(s, a);
	make_text(s);
	make_keyfile(s);
	make_note(s);
	make_strict(s, a);
	make_message(s, a);
	make_newer(s, a);
	make_receipt(s, a);
	make_age(s);
	arena_free(a);
	free(s);
	return EXIT_SUCCESS;
}
