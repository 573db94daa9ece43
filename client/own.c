/* own: first objects. */
#include "client/own.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define ACCEPTS_MAX 1  /* newest message version that this program understands */

static bool is_code(const char *s, const char *allowed, size_t len)
{
	return strlen(s) == len && strspn(s, allowed) == len;
}

int own_check_form(const struct own_form *f, const char **field)
{
	const struct { const char *name, *value; size_t max; } texts[] = {
		{"name", f->name, 200}, {"reading", f->reading, 200}, {"region", f->region, 64},
		{"label", f->device_label, 64},
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		*field = texts[i].name;
		if (strlen(texts[i].value) > texts[i].max || !strict_is_name(bytes_str(texts[i].value)))
			return RK_EUSAGE;
	}
	*field = "name";
	if (f->name[strspn(f->name, " ")] == '\0')
		return RK_EUSAGE;
	*field = "country";
	if (!is_code(f->country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 2))
		return RK_EUSAGE;
	*field = "corporate-number";
	if (*f->corporate_number && !is_code(f->corporate_number, "0123456789", 13))
		return RK_EUSAGE;
	*field = "kind";
	return f->kind == RK__ORG_KIND__ORG_KIND_NONE ? RK_EUSAGE : RK_OK;
}

Rk__OrgName **own_names(const struct own_form *f, struct arena *a)
{
	Rk__OrgName **list = arena_alloc(a, sizeof(*list)), *name = arena_alloc(a, sizeof(*name));
	if (!list || !name)
		return NULL;
	rk__org_name__init(name);
	name->lang = arena_copy(a, f->lang, strlen(f->lang));
	name->name = arena_copy(a, f->name, strlen(f->name));
	name->reading = arena_copy(a, f->reading, strlen(f->reading));
	list[0] = name;
	return name->lang && name->name && name->reading ? list : NULL;
}

int own_write_meta(struct client *c, struct txn *txn, const uint8_t exchange_id[32], const uint8_t org_id[16],
		   const char *endpoint, const uint8_t broker_pk[32], enum client_state state)
{
	uint8_t sign_pk[32], device_id[16], writer[8], state_byte = (uint8_t)state;
	keys_sign_pk(c, KEY_DEVICE, sign_pk);
	ids_device(device_id, sign_pk);
	randombytes_buf(writer, sizeof(writer));
	const struct { const char *key; struct bytes value; } facts[] = {
		{META_EXCHANGE, bytes_make(exchange_id, 32)}, {META_ORG, bytes_make(org_id, 16)},
		{META_DEVICE, BYTES_OF(device_id)}, {META_ENDPOINT, bytes_str(endpoint)},
		{META_BROKER_PK, bytes_make(broker_pk, 32)}, {META_WRITER, BYTES_OF(writer)},
		{META_STATE, bytes_make(&state_byte, 1)},
	};
	int rc = RK_OK;
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]) && rc == RK_OK; i++)
		rc = meta_put(txn, facts[i].key, facts[i].value);
	return rc == RK_OK ? meta_put_u64(txn, META_NUMBER, 0) : rc;
}

int own_make_devices(struct client *c, const uint8_t exchange_id[32], const uint8_t org_id[16], const char *label,
		     struct arena *a, struct bytes *wire)
{
	uint8_t sign_pk[32], curve_pk[32], device_id[16];
	keys_sign_pk(c, KEY_DEVICE, sign_pk);
	keys_curve_pk(c, curve_pk);
	ids_device(device_id, sign_pk);
	Rk__Device device = RK__DEVICE__INIT, *devices[1] = {&device};
	device.device_id = pb_of(BYTES_OF(device_id));
	device.sign_pk = pb_of(BYTES_OF(sign_pk));
	device.curve_pk = pb_of(BYTES_OF(curve_pk));
	device.label = pb_text(label);
	device.accepts_max = ACCEPTS_MAX;
	Rk__OrgDevices list = RK__ORG_DEVICES__INIT;
	list.version = 1;
	list.org_id = pb_of(bytes_make(org_id, 16));
	list.serial = 1;
	list.issued_at = client_now(c);
	list.valid_until = list.issued_at + TRUST_DEVICES_AGE_MS;
	list.devices = devices;
	list.n_devices = 1;
	return object_make(OBJECT_KIND_ORG_DEVICES, exchange_id, keys_sign_sk(c, KEY_ORG), &list.base, a, wire);
}

int own_make_kx(struct client *c, const uint8_t exchange_id[32], struct arena *a, struct bytes *wire)
{
	uint8_t sign_pk[32], device_id[16], kx_pk[32];
	uint32_t serial;
	if (!keys_kx_newest(c, &serial, kx_pk))
		return RK_EKEYFILE;
	keys_sign_pk(c, KEY_DEVICE, sign_pk);
	ids_device(device_id, sign_pk);
	Rk__DeviceKx kx = RK__DEVICE_KX__INIT;
	kx.version = 1;
	kx.device_id = pb_of(BYTES_OF(device_id));
	kx.serial = serial;
	kx.kx_pk = pb_of(BYTES_OF(kx_pk));
	/* Valid a little before now: the broker's clock and others' may be behind ours. */
	kx.not_before = client_now(c) - ENVELOPE_CLOCK_MS;
	kx.not_after = kx.not_before + TRUST_KX_AGE_MS;
	return object_make(OBJECT_KIND_DEVICE_KX, exchange_id, keys_sign_sk(c, KEY_DEVICE), &kx.base, a, wire);
}
