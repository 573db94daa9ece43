/* An enrolment: all in it is signed by keys that it brings itself, so what is checked is that it agrees with itself. */
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "proto/trust_internal.h"

/* Parses a Signed field, and gives back the exact bytes of that Signed. */
static int open_signed(enum object_kind kind, const Rk__Signed *signed_object, struct arena *a, struct object *o,
                       struct bytes *wire)
{
	int r;

	if (!signed_object)
		return RK_MALFORMED;
	if ((r = object_parse_signed(kind, signed_object, a, o)) != RK_OK)
		return r;
	/* The strict parser has shown that packing gives the bytes that came. */
	return STRICT_PACK(signed_object, a, wire);
}

static int check_enrol(const Rk__Enrol *e)
{
	if (e->org_id.len != 16 || e->invite_id.len != 16 || e->org_pk.len != KEY_BYTES)
		return RK_MALFORMED;
	if (!ids_is_valid_sign_pk(e->org_pk.data))
		return RK_MALFORMED;
	return trust_check_org_form(e->names, e->n_names, e->kind, e->country, e->corporate_number);
}

static int check_devices(const Rk__Enrol *e, const Rk__OrgDevices *d)
{
	int r;

	if ((r = trust_check_org_devices(d, (struct trust_prev){0})) != RK_OK)
		return r;
	if (d->n_devices != 1 || d->devices[0]->retired_at != 0)
		return RK_MALFORMED;
	if (!bytes_equal(bytes_of(d->org_id), bytes_of(e->org_id)))
		return RK_MALFORMED;
	/* One key, one purpose. */
	if (bytes_equal(bytes_of(e->org_pk), bytes_of(d->devices[0]->sign_pk)))
		return RK_MALFORMED;
	return bytes_equal(bytes_of(e->org_pk), bytes_of(d->devices[0]->curve_pk)) ? RK_MALFORMED : RK_OK;
}

static int check_kx(const Rk__Device *device, const Rk__DeviceKx *kx)
{
	int r;

	if ((r = trust_check_device_kx(kx, 0)) != RK_OK)
		return r;
	if (!bytes_equal(bytes_of(kx->device_id), bytes_of(device->device_id)))
		return RK_MALFORMED;
	return bytes_equal(bytes_of(kx->kx_pk), bytes_of(device->curve_pk)) ? RK_MALFORMED : RK_OK;
}

int trust_open_enrol(struct bytes enrol_request, const uint8_t exchange_id[32], struct arena *a,
                     struct trust_enrol *out)
{
	struct object enrol, devices, kx;
	struct trust_enrol t = {0};
	Rk__EnrolRequest *request;
	int r;

	*out = t;
	if ((r = STRICT_PARSE(enrol_request, enrol_request, a, &request)) != RK_OK)
		return r;
	if ((r = open_signed(OBJECT_KIND_ENROL, request->enrol, a, &enrol, &t.enrol_wire)) != RK_OK)
		return r;
	t.enrol = (const Rk__Enrol *)enrol.message;
	if ((r = check_enrol(t.enrol)) != RK_OK)
		return r;
	if ((r = open_signed(OBJECT_KIND_ORG_DEVICES, t.enrol->org_devices, a, &devices, &t.devices_wire)) != RK_OK)
		return r;
	t.devices = (const Rk__OrgDevices *)devices.message;
	if ((r = check_devices(t.enrol, t.devices)) != RK_OK)
		return r;
	if ((r = open_signed(OBJECT_KIND_DEVICE_KX, t.enrol->device_kx, a, &kx, &t.kx_wire)) != RK_OK)
		return r;
	t.kx = (const Rk__DeviceKx *)kx.message;
	if ((r = check_kx(t.devices->devices[0], t.kx)) != RK_OK)
		return r;
	if ((r = object_check(&enrol, exchange_id, t.enrol->org_pk.data)) != RK_OK)
		return r;
	if ((r = object_check(&devices, exchange_id, t.enrol->org_pk.data)) != RK_OK)
		return r;
	if ((r = object_check(&kx, exchange_id, t.devices->devices[0]->sign_pk.data)) != RK_OK)
		return r;
	object_oh(t.enrol_oh, &enrol, exchange_id);
	object_oh(t.devices_oh, &devices, exchange_id);
	object_oh(t.kx_oh, &kx, exchange_id);
	*out = t;
	return RK_OK;
}
