/*
 * An enrolment: the keys are inside, so a stranger can sign whatever he likes.  First byte 0: the request as it comes.  Else three
 * payloads, OrgDevices and DeviceKx with their lengths before them and Enrol, which are signed here.  What is taken agrees with itself.
 */
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/fuzz/fuzz_kit.h"

static Rk__Signed *sign(enum object_kind kind, const struct fixed_sign *key, struct bytes payload, struct arena *a)
{
	Rk__Signed *s = fixed_alloc(a, sizeof(*s));
	uint8_t *sig = fixed_alloc(a, 64);

	rk__signed__init(s);
	MUST(object_sign(kind, fuzz_exchange()->exchange_id, key->sk, payload, sig) == RK_OK);
	s->payload = pb_of(payload);
	s->sig = pb_of(bytes_make(sig, 64));
	return s;
}

/* False if the payload is no Enrol, or nothing that can be packed comes of it. */
static bool sign_all(struct bytes in, struct arena *a, struct bytes *out)
{
	const struct fixed_org *o = &fuzz_exchange()->orgs[1];
	struct bytes devices = fuzz_take_part(&in), kx = fuzz_take_part(&in), payload;
	uint8_t tag[32] = {0};
	Rk__EnrolRequest request = RK__ENROL_REQUEST__INIT;
	Rk__Enrol *enrol;

	if (STRICT_PARSE(enrol, in, a, &enrol) != RK_OK)
		return false;
	enrol->org_devices = sign(OBJECT_KIND_ORG_DEVICES, &o->org, devices, a);
	enrol->device_kx = sign(OBJECT_KIND_DEVICE_KX, &o->device, kx, a);
	if (STRICT_PACK(enrol, a, &payload) != RK_OK)
		return false;
	request.enrol = sign(OBJECT_KIND_ENROL, &o->org, payload, a);
	request.tag = pb_of(BYTES_OF(tag));
	return STRICT_PACK(&request, a, out) == RK_OK;
}

static void check(const struct trust_enrol *e)
{
	uint8_t id[16];

	fuzz_accepted++;
	MUST(e->devices->n_devices == 1 && bytes_equal(bytes_of(e->devices->org_id), bytes_of(e->enrol->org_id)));
	ids_device(id, e->devices->devices[0]->sign_pk.data);
	MUST(bytes_equal(bytes_of(e->kx->device_id), BYTES_OF(id)));
	MUST(ids_is_valid_sign_pk(e->enrol->org_pk.data) && ids_is_valid_box_pk(e->kx->kx_pk.data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	struct arena *made = fuzz_arena(64 * 1024), *a = fuzz_arena(0);
	struct trust_enrol e;

	if (fuzz_take_u8(&in) == 0 || sign_all(in, made, &in)) {
		int r = trust_open_enrol(in, fuzz_exchange()->exchange_id, a, &e);

		/* The request, three signed objects and three payloads, each within the last, and those that are packed again. */
		MUST(arena_used(a) <= 7 * arena_budget(in.len) + 3 * in.len);
		MUST((r == RK_OK) == (e.enrol != NULL));
		if (r == RK_OK)
			check(&e);
	}
	arena_free(made);
	arena_free(a);
	return 0;
}
