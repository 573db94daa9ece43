/*
 * A signed object.  First byte: its kind.  Nothing verifies but what was signed: the object of fuzz_golden of that very kind.
 * What parses goes through the rules of its kind, by itself and as successor.
 */
#include "proto/errcode.h"
#include "proto/nda.h"
#include "proto/trust.h"
#include "tests/fuzz/fuzz_kit.h"

/* The rules may say anything, and what passed can be looked up. */
static void check_rules(const struct object *o, struct arena *a)
{
	const struct fixed *f = fuzz_exchange();
	const Rk__Directory *golden = fixed_directory(f, a), *d = (const Rk__Directory *)o->message;
	const Rk__OrgDevices *devices = (const Rk__OrgDevices *)o->message;
	struct trust_prev none = {0}, one = {.serial = 1};

	switch (o->kind) {
	case OBJECT_KIND_CHARTER:
		(void)trust_check_charter((const Rk__Charter *)o->message);
		break;
	case OBJECT_KIND_DIRECTORY:
		(void)trust_check_directory(d, fixed_charter(f, a), one, golden);
		if (trust_check_directory(d, fixed_charter(f, a), none, NULL) == RK_OK)
			for (size_t i = 0; i < d->n_orgs; i++)
				MUST(trust_find_org(d, d->orgs[i]->org_id.data) == d->orgs[i]);
		break;
	case OBJECT_KIND_ORG_DEVICES:
		(void)trust_check_org_devices(devices, one);
		if (trust_check_org_devices(devices, none) == RK_OK)
			for (size_t i = 0; i < devices->n_devices; i++)
				MUST(trust_find_device(devices, devices->devices[i]->device_id.data) == devices->devices[i]);
		break;
	case OBJECT_KIND_DEVICE_KX:
		(void)trust_check_device_kx((const Rk__DeviceKx *)o->message, 0);
		break;
	case OBJECT_KIND_FEED_EPOCH:
		(void)trust_check_feed_epoch((const Rk__FeedEpoch *)o->message, none);
		break;
	case OBJECT_KIND_NDA_ACT:
	case OBJECT_KIND_NDA_HOLD:
		(void)nda_check_act_form((const Rk__NdaAct *)o->message);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	enum object_kind kind = fuzz_take_u8(&in) % OBJECT_KIND_COUNT;
	struct arena *a = fuzz_arena(0);
	struct object o;

	if (object_parse(kind, in, a, &o) == RK_OK) {
		MUST(o.payload.len <= object_info(kind)->payload_max_bytes && o.sig.len == 64 && bytes_equal(o.wire, in));
		MUST(arena_used(a) <= arena_budget(in.len) + arena_budget(o.payload.len));
		arena_raise(a, 1 << 20);
		if (object_check(&o, fuzz_exchange()->exchange_id, fuzz_golden_pk(kind)) == RK_OK) {
			fuzz_accepted++;
			MUST(bytes_equal(fuzz_golden(kind, a), in));
		}
		check_rules(&o, a);
	}
	arena_free(a);
	return 0;
}
