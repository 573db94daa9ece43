/* The rules of charter, device lists and keys.  Directory, enrolment, epoch keys: trust_directory.c, trust_enrol.c, trust_feed.c. */
#include "proto/trust.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/note.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust_internal.h"

bool trust_is_window(int64_t from, int64_t to, int64_t max_ms)
{
	return from >= 1 && to > from && to - from <= max_ms;
}

bool trust_is_sign_pk(ProtobufCBinaryData pk)
{
	return pk.len == KEY_BYTES && ids_is_valid_sign_pk(pk.data);
}

static bool is_box_pk(ProtobufCBinaryData pk)
{
	return pk.len == KEY_BYTES && ids_is_valid_box_pk(pk.data);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, KEY_BYTES);
}

bool trust_are_distinct(const uint8_t **keys, size_t n)
{
	qsort(keys, n, sizeof(*keys), by_key);
	for (size_t i = 1; i < n; i++)
		if (by_key(&keys[i - 1], &keys[i]) == 0)
			return false;
	return true;
}

int trust_check_successor(uint64_t serial, ProtobufCBinaryData prev_oh, struct trust_prev prev)
{
	if (serial == 0 || serial != prev.serial + 1)
		return RK_CONFLICT;
	if (prev.serial == 0)
		return prev_oh.len == 0 ? RK_OK : RK_CONFLICT;
	return bytes_equal(bytes_of(prev_oh), BYTES_OF(prev.oh)) ? RK_OK : RK_CONFLICT;
}

int trust_check_row_ext(Rk__Ext *const *ext, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && ext[i - 1]->id >= ext[i]->id)
			return RK_MALFORMED;
		if (ext[i]->critical)
			return RK_UNSUPPORTED;
	}
	return RK_OK;
}

static bool is_upper(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 'A' || text[i] > 'Z')
			return false;
	return text[len] == '\0';
}

int trust_check_org_form(Rk__OrgName *const *names, size_t n_names, Rk__OrgKind kind, const char *country,
                         const char *corporate_number)
{
	size_t digits = strspn(corporate_number, "0123456789");

	if (kind <= RK__ORG_KIND__ORG_KIND_NONE || kind > RK__ORG_KIND__GOVERNMENT)
		return RK_MALFORMED;
	if (n_names == 0 || strlen(country) != 2 || !is_upper(country, 2))
		return RK_MALFORMED;
	if (corporate_number[digits] != '\0' || (digits != 0 && digits != 13))
		return RK_MALFORMED;
	for (size_t i = 0; i < n_names; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(names[i]->lang, names[j]->lang) == 0)
				return RK_MALFORMED;
	return RK_OK;
}

/* ---- charter */

/* A vkey of the charter, of this type. */
static bool take_vkey(const char *vkey, uint8_t type, struct note_key *key)
{
	return note_key_parse(key, vkey) == RK_OK && key->type == type && ids_is_valid_sign_pk(key->pk);
}

int trust_take_note_keys(const Rk__Charter *c, struct note_key *log, struct note_key *witness, unsigned *log_number)
{
	char name[NOTE_NAME_CHARS];

	if (!take_vkey(c->log_vkey, NOTE_TYPE_LOG, log) || !take_vkey(c->witness_vkey, NOTE_TYPE_WITNESS, witness))
		return RK_MALFORMED;
	note_witness_name(name, c->exchange_id.data);
	*log_number = note_origin_number(log->name, c->exchange_id.data);
	return *log_number != 0 && strcmp(witness->name, name) == 0 ? RK_OK : RK_MALFORMED;
}

/* A log that follows another one says where that one ended; the first one follows none. */
static int check_prev_checkpoint(const Rk__Charter *c, unsigned log_number)
{
	char origin[NOTE_NAME_CHARS];
	struct checkpoint last;

	/* Each further log came with a charter of its own. */
	if (log_number > c->serial)
		return RK_MALFORMED;
	if (log_number == 1)
		return c->prev_checkpoint.len == 0 ? RK_OK : RK_MALFORMED;
	if (c->prev_checkpoint.len > NOTE_MAX_BYTES || note_read(bytes_of(c->prev_checkpoint), &last) != RK_OK)
		return RK_MALFORMED;
	note_origin(origin, c->exchange_id.data, log_number - 1);
	return strcmp(last.origin, origin) == 0 ? RK_OK : RK_MALFORMED;
}

static int check_charter_keys(const Rk__Charter *c)
{
	const uint8_t *keys[TRUST_CHARTER_KEYS_MAX];
	struct note_key log, witness;
	unsigned log_number;
	size_t n = 0;
	int r;

	if (!trust_is_sign_pk(c->root_pk) || !is_box_pk(c->curve_pk))
		return RK_MALFORMED;
	if (c->n_secretariat_keys == 0 || c->n_secretariat_keys > TRUST_CHARTER_KEYS_MAX - 4)
		return RK_MALFORMED;
	if ((r = trust_take_note_keys(c, &log, &witness, &log_number)) != RK_OK ||
	    (r = check_prev_checkpoint(c, log_number)) != RK_OK)
		return r;
	keys[n++] = c->root_pk.data;
	keys[n++] = c->curve_pk.data;
	keys[n++] = log.pk;
	keys[n++] = witness.pk;
	for (size_t i = 0; i < c->n_secretariat_keys; i++) {
		const Rk__SecretariatKey *k = c->secretariat_keys[i];

		if (!trust_is_sign_pk(k->pk) || !trust_is_window(k->not_before, k->not_after, INT64_MAX))
			return RK_MALFORMED;
		keys[n++] = k->pk.data;
	}
	return trust_are_distinct(keys, n) ? RK_OK : RK_MALFORMED;
}

int trust_check_charter(const Rk__Charter *c)
{
	uint8_t exchange_id[32];

	if (c->serial == 0 || c->root_pk.len != KEY_BYTES)
		return RK_MALFORMED;
	ids_exchange(exchange_id, c->root_pk.data);
	if (!bytes_equal(bytes_of(c->exchange_id), BYTES_OF(exchange_id)))
		return RK_WRONG_EXCHANGE;
	if (c->min_suite > 1)
		return RK_UNSUPPORTED;
	if (c->min_suite == 0 || c->directory_max_age_ms < 1 || c->n_endpoints == 0 || c->n_languages == 0)
		return RK_MALFORMED;
	if (!trust_is_window(c->issued_at, c->not_after, INT64_MAX))
		return RK_MALFORMED;
	return check_charter_keys(c);
}

int trust_check_charter_next(const Rk__Charter *next, const Rk__Charter *prev)
{
	struct note_key log, prev_log, witness;
	unsigned number, prev_number;
	struct note_opened last;
	int r;

	if (!bytes_equal(bytes_of(next->exchange_id), bytes_of(prev->exchange_id)))
		return RK_WRONG_EXCHANGE;
	if (next->serial != prev->serial + 1)
		return RK_CONFLICT;
	if ((r = trust_take_note_keys(next, &log, &witness, &number)) != RK_OK ||
	    (r = trust_take_note_keys(prev, &prev_log, &witness, &prev_number)) != RK_OK)
		return r;
	/* Replacing one of these needs the old one's word; that is not in version 1. */
	if (!bytes_equal(bytes_of(next->root_pk), bytes_of(prev->root_pk)) ||
	    !bytes_equal(bytes_of(next->curve_pk), bytes_of(prev->curve_pk)) || memcmp(log.pk, prev_log.pk, KEY_BYTES) != 0)
		return RK_UNSUPPORTED;
	if (number == prev_number)
		return bytes_equal(bytes_of(next->prev_checkpoint), bytes_of(prev->prev_checkpoint)) ? RK_OK : RK_CONFLICT;
	if (number != prev_number + 1)
		return RK_CONFLICT;
	return note_open(bytes_of(next->prev_checkpoint), &prev_log, NULL, &last);
}

bool trust_may_step_over(const Rk__Charter *c, int64_t made_ms)
{
	struct note_key log;

	return made_ms < c->issued_at && note_key_parse(&log, c->log_vkey) == RK_OK &&
	       note_origin_number(log.name, c->exchange_id.data) > 1;
}

bool trust_may_step(const Rk__Charter *c, int64_t made_ms, uint64_t from, uint64_t to)
{
	return to > from && to - from <= TRUST_STEP_MAX && trust_may_step_over(c, made_ms);
}

const uint8_t *trust_secretariat_pk(const Rk__Charter *c, const uint8_t *signer_id, int64_t t_ms)
{
	for (size_t i = 0; i < c->n_secretariat_keys; i++) {
		const Rk__SecretariatKey *k = c->secretariat_keys[i];
		uint8_t id[16];

		ids_signer(id, k->pk.data);
		if (memcmp(id, signer_id, sizeof(id)) == 0)
			return t_ms >= k->not_before && t_ms < k->not_after ? k->pk.data : NULL;
	}
	return NULL;
}

/* ---- devices */

static int check_device(const Rk__Device *d)
{
	uint8_t id[16];
	int r;

	if (!trust_is_sign_pk(d->sign_pk) || !is_box_pk(d->curve_pk) || d->accepts_max == 0 || d->retired_at < 0)
		return RK_MALFORMED;
	ids_device(id, d->sign_pk.data);
	if (!bytes_equal(bytes_of(d->device_id), BYTES_OF(id)))
		return RK_MALFORMED;
	if ((r = trust_check_row_ext(d->ext, d->n_ext)) != RK_OK)
		return r;
	return trust_check_desks(d);
}

#define DEVICES_MAX 32

int trust_check_org_devices(const Rk__OrgDevices *o, struct trust_prev prev)
{
	const uint8_t *keys[2 * DEVICES_MAX];
	bool has_current = false;
	size_t n = 0;
	int r;

	if ((r = trust_check_successor(o->serial, o->prev_oh, prev)) != RK_OK)
		return r;
	if (o->org_id.len != 16 || !trust_is_window(o->issued_at, o->valid_until, TRUST_DEVICES_AGE_MS))
		return RK_MALFORMED;
	if (o->n_devices == 0 || o->n_devices > DEVICES_MAX)
		return RK_MALFORMED;
	for (size_t i = 0; i < o->n_devices; i++) {
		const Rk__Device *d = o->devices[i];

		if ((r = check_device(d)) != RK_OK)
			return r;
		has_current |= d->retired_at == 0;
		keys[n++] = d->sign_pk.data;
		keys[n++] = d->curve_pk.data;
	}
	return has_current && trust_are_distinct(keys, n) ? RK_OK : RK_MALFORMED;
}

const Rk__Device *trust_find_device(const Rk__OrgDevices *o, const uint8_t *device_id)
{
	for (size_t i = 0; i < o->n_devices; i++)
		if (memcmp(o->devices[i]->device_id.data, device_id, 16) == 0)
			return o->devices[i];
	return NULL;
}

bool trust_device_is_active(const Rk__Device *d, int64_t t_ms)
{
	return d->retired_at == 0 || t_ms < d->retired_at;
}

int trust_check_device_kx(const Rk__DeviceKx *kx, uint32_t prev_serial)
{
	if (kx->serial == 0 || kx->serial != (uint64_t)prev_serial + 1)
		return RK_CONFLICT;
	if (kx->device_id.len != 16 || !is_box_pk(kx->kx_pk))
		return RK_MALFORMED;
	return trust_is_window(kx->not_before, kx->not_after, TRUST_KX_AGE_MS) ? RK_OK : RK_MALFORMED;
}

int trust_check_feed_epoch(const Rk__FeedEpoch *e, struct trust_prev prev)
{
	int r;

	if (e->feed_id != 0)
		return RK_UNSUPPORTED;
	if ((r = trust_check_successor(e->n, e->prev_oh, prev)) != RK_OK)
		return r;
	if (e->ek_commit.len != 32 || e->directory_serial == 0)
		return RK_MALFORMED;
	return trust_is_window(e->not_before, e->not_after, TRUST_EPOCH_AGE_MS) ? RK_OK : RK_MALFORMED;
}
