#include "tests/fuzz/fuzz_kit.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"

unsigned fuzz_accepted;

_Noreturn void fuzz_broken(const char *fact, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, fact);
	abort();
}

struct bytes fuzz_take(struct bytes *in, size_t n)
{
	struct bytes out = bytes_make(in->data, n < in->len ? n : in->len);

	*in = bytes_make(in->data + out.len, in->len - out.len);
	return out;
}

uint8_t fuzz_take_u8(struct bytes *in)
{
	struct bytes b = fuzz_take(in, 1);

	return b.len == 1 ? b.data[0] : 0;
}

struct bytes fuzz_take_part(struct bytes *in)
{
	struct bytes len = fuzz_take(in, 4);

	return fuzz_take(in, len.len == 4 ? get_u32be(len.data) : 0);
}

char *fuzz_text(struct bytes b)
{
	char *out = malloc(b.len + 1);

	MUST(out != NULL);
	if (b.len > 0)
		memcpy(out, b.data, b.len);
	out[b.len] = '\0';
	return out;
}

struct arena *fuzz_arena(size_t budget)
{
	struct arena *a = arena_new(budget);

	MUST(a != NULL);
	return a;
}

const struct fixed *fuzz_exchange(void)
{
	static struct fixed exchange;
	static bool is_made;

	if (!is_made) {
		MUST(sodium_init() >= 0);
		fixed_init(&exchange);
		is_made = true;
	}
	return &exchange;
}

static const ProtobufCMessage *golden_message(const struct fixed *f, enum object_kind kind, struct arena *a)
{
	uint8_t sealed[136];

	switch (kind) {
	case OBJECT_KIND_CHARTER: return &fixed_charter(f, a)->base;
	case OBJECT_KIND_DIRECTORY: return &fixed_directory(f, a)->base;
	case OBJECT_KIND_ORG_DEVICES: return &fixed_org_devices(f, 1, a)->base;
	case OBJECT_KIND_DEVICE_KX: return &fixed_device_kx(f, 1, a)->base;
	case OBJECT_KIND_FEED_EPOCH: return &fixed_feed_epoch(f, a)->base;
	case OBJECT_KIND_FEED_KEY:
		fixed_bytes(sealed, sizeof(sealed), "sealed");
		return &fixed_feed_key(f, 1, sealed, a)->base;
	case OBJECT_KIND_INVITE_REG: return &fixed_invite_reg(f, a)->base;
	case OBJECT_KIND_ENROL: return &fixed_enrol(f, 1, a)->base;
	case OBJECT_KIND_PICKUP: return &fixed_pickup(f, 1, a)->base;
	case OBJECT_KIND_NDA_ACT: return &fixed_act(f, 1, RK__ACT_KIND__ACCEPT, a)->base;
	case OBJECT_KIND_NDA_HOLD: return &fixed_act(f, 1, RK__ACT_KIND__HOLD, a)->base;
	case OBJECT_KIND_NACK: return &fixed_nack(f, 1, RK__NACK_REASON__NACK_DECLINED, a)->base;
	case OBJECT_KIND_DEPOSIT: return &fixed_deposit(f, 1, a)->base;
	case OBJECT_KIND_ORG_KEY: return &fixed_org_key(f, 1, &f->orgs[2].org, a)->base;
	case OBJECT_KIND_ENVELOPE:
	case OBJECT_KIND_COUNT: break;
	}
	return NULL;
}

static const struct fixed_sign *golden_key(enum object_kind kind)
{
	const struct fixed *f = fuzz_exchange();

	switch (object_info(kind)->signer) {
	case SIGNER_ROOT: return &f->root;
	case SIGNER_SECRETARIAT: return &f->secretariat;
	case SIGNER_ORG: return &f->orgs[1].org;
	case SIGNER_DEVICE: break;
	}
	return &f->orgs[1].device;
}

const uint8_t *fuzz_golden_pk(enum object_kind kind)
{
	return golden_key(kind)->pk;
}

struct bytes fuzz_golden(enum object_kind kind, struct arena *a)
{
	const struct fixed *f = fuzz_exchange();
	struct envelope_wire envelope;
	struct bytes wire;

	if (kind == OBJECT_KIND_ENVELOPE) {
		MUST(fixed_seal(f, fixed_header(f, RK__KIND__FEED, 1, 0, a), 1, 0, fixed_message("text", a), a, &envelope) == RK_OK);
		return envelope.head;
	}
	MUST(object_make(kind, f->exchange_id, golden_key(kind)->sk, golden_message(f, kind, a), a, &wire) == RK_OK);
	return wire;
}
