#include "tests/bench/crowd_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define TEXT_CHARS 960         /* with the Message around it less than 1,024, which is what it is padded to */

void crowd_must(int code, const char *what)
{
	if (code == RK_OK)
		return;
	fprintf(stderr, "crowd: %s: %s\n", what, code < 0 ? "no reply" : errcode_name(code));
	exit(1);
}

void crowd_open(struct crowd *c, const char *data)
{
	char path[512], text[INVITE_TEXT_CHARS] = "";

	crowd_must(sodium_init() < 0 ? RK_EINTERNAL : RK_OK, "libsodium");
	fixed_init(&c->f);
	snprintf(path, sizeof(path), "%s/card", data);
	FILE *f = fopen(path, "r");
	crowd_must(f != NULL && fgets(text, sizeof(text), f) != NULL ? RK_OK : RK_ENOTFOUND, path);
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	crowd_must(invite_card_parse(&c->card, text), path);
	memcpy(c->f.broker.pk, c->card.curve_pk, 32);
	memcpy(c->f.log.pk, c->card.log_pk, 32);
}

void crowd_org(struct crowd_org *o, unsigned n)
{
	char name[64];

	memset(o->id, 0, sizeof(o->id));
	o->id[0] = 0x20; /* after the secretariat's: directories are sorted */
	o->id[1] = (uint8_t)(n >> 8);
	o->id[2] = (uint8_t)n;
	snprintf(name, sizeof(name), "crowd org %u", n);
	fixed_sign_key(&o->key, name);
}

void crowd_device(struct crowd_device *d, unsigned n)
{
	struct crowd_org org;
	char name[64];

	crowd_org(&org, n / CROWD_ORG_DEVICES);
	memcpy(d->org_id, org.id, sizeof(d->org_id));
	snprintf(name, sizeof(name), "crowd device %u", n);
	fixed_sign_key(&d->sign, name);
	ids_device(d->id, d->sign.pk);
	snprintf(name, sizeof(name), "crowd curve %u", n);
	fixed_box_key(&d->curve, name);
	snprintf(name, sizeof(name), "crowd kx %u", n);
	fixed_box_key(&d->kx, name);
}

static struct envelope_wire seal(const struct crowd *c, const struct crowd_device *d, int64_t now_ms, int64_t life_ms, struct arena *a)
{
	Rk__EnvelopeHeader e = RK__ENVELOPE_HEADER__INIT;
	Rk__Message message = RK__MESSAGE__INIT;
	struct envelope_random random;
	struct envelope_wire wire;
	struct bytes packed;
	char text[TEXT_CHARS + 1];

	memset(text, 'x', TEXT_CHARS);
	text[TEXT_CHARS] = '\0';
	message.msg_version = 1;
	message.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	message.text = text;
	crowd_must(STRICT_PACK(&message, a, &packed), "message");
	e.kind = RK__KIND__FEED;
	e.exchange_id = pb_of(BYTES_OF(c->f.exchange_id));
	e.sender_org = pb_of(BYTES_OF(d->org_id));
	e.sender_device = pb_of(BYTES_OF(d->id));
	e.created_at = now_ms;
	e.expires_at = now_ms + life_ms;
	e.channel = RK__CHANNEL__OFFER;
	e.feed_epoch = 1;
	e.post_op = RK__POST_OP__NEW;
	e.post_version = 1;
	e.directory_serial = CROWD_DIRECTORY_SERIAL;
	envelope_random(&random);
	crowd_must(envelope_seal(&e, packed, c->f.ek, NULL, 0, d->sign.sk, &random, a, &wire), "sealing");
	return wire;
}

void crowd_seal(const struct crowd *c, const struct crowd_device *d, const uint8_t writer_epoch[8], uint64_t number, int64_t now_ms,
		int64_t life_ms, struct arena *a, struct crowd_post *out)
{
	Rk__Request q = RK__REQUEST__INIT;
	struct arena *scratch = arena_new(64 * 1024);
	struct envelope_wire wire;
	uint8_t *header, *body;

	crowd_must(scratch == NULL ? RK_ENOMEM : RK_OK, "memory");
	wire = seal(c, d, now_ms, life_ms, scratch);
	q.protocol = 1;
	q.op = RK__OP__OP_SUBMIT;
	q.writer_epoch.data = (uint8_t *)(uintptr_t)writer_epoch;
	q.writer_epoch.len = 8;
	q.number = q.tag = number;
	crowd_must(STRICT_PARSE(signed, wire.head, scratch, &q.head), "head");
	out->header.len = rk__request__get_packed_size(&q);
	header = arena_alloc(a, out->header.len);
	body = arena_copy(a, wire.body.data, wire.body.len);
	crowd_must(header == NULL || body == NULL ? RK_ENOMEM : RK_OK, "memory");
	rk__request__pack(&q, header);
	out->header.data = header;
	out->body = bytes_make(body, wire.body.len);
	arena_free(scratch);
}
