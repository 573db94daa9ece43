/* The rules of the directory: its rows, alone and as successors, and all keys beside each other. */
#include "proto/trust.h"

#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/note.h"
#include "proto/orgkey.h"
#include "proto/strict.h"
#include "proto/trust_internal.h"

/* A key that the last directory had was checked then: the curve arithmetic is paid once an organisation. */
static bool is_org_pk(const Rk__Org *o, const Rk__Directory *prev_dir)
{
	const Rk__Org *before = prev_dir ? trust_find_org(prev_dir, o->org_id.data) : NULL;

	if (before && bytes_equal(bytes_of(before->org_pk), bytes_of(o->org_pk)))
		return true;
	return trust_is_sign_pk(o->org_pk);
}

static int check_org(const Rk__Org *o, const Rk__Directory *prev_dir)
{
	struct orgkey_line line;
	int r;

	if (o->org_id.len != 16 || !is_org_pk(o, prev_dir) || o->since < 1 || o->min_devices_serial == 0)
		return RK_MALFORMED;
	if (o->status < RK__ORG_STATUS__ACTIVE || o->status > RK__ORG_STATUS__EXPELLED)
		return RK_MALFORMED;
	if ((r = trust_check_org_form(o->names, o->n_names, o->kind, o->country, o->corporate_number)) != RK_OK)
		return r;
	if ((r = trust_check_row_ext(o->ext, o->n_ext)) != RK_OK || o->n_ext == 0)
		return r;
	return orgkey_read(o, &line);
}

/* The keys of before that still count: no other organisation's either. */
static int add_line(const Rk__Org *o, struct orgkey_line *line, const uint8_t **keys, size_t *n)
{
	int r = orgkey_read(o, line);

	for (size_t i = 0; r == RK_OK && i < line->count; i++)
		keys[(*n)++] = line->pk[i];
	return r;
}

static size_t count_extended(const Rk__Directory *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_orgs; i++)
		n += d->orgs[i]->n_ext > 0;
	return n;
}

/* No two organisations under one key, and none under a key of the charter. */
static int check_org_keys(const Rk__Directory *d, const Rk__Charter *c)
{
	size_t n = 0, extended = count_extended(d), max = d->n_orgs + TRUST_CHARTER_KEYS_MAX + extended * ORGKEY_LINKS_MAX;
	const uint8_t **keys = malloc(max * sizeof(*keys));
	struct orgkey_line *lines = calloc(extended + 1, sizeof(*lines)), *line = lines;
	struct note_key log, witness;
	unsigned log_number;
	int r = RK_ENOMEM;

	if (!keys || !lines)
		goto out;
	if ((r = trust_take_note_keys(c, &log, &witness, &log_number)) != RK_OK)
		goto out;
	keys[n++] = c->root_pk.data;
	keys[n++] = c->curve_pk.data;
	keys[n++] = log.pk;
	keys[n++] = witness.pk;
	for (size_t i = 0; i < c->n_secretariat_keys && n < TRUST_CHARTER_KEYS_MAX; i++)
		keys[n++] = c->secretariat_keys[i]->pk.data;
	for (size_t i = 0; i < d->n_orgs; i++) {
		keys[n++] = d->orgs[i]->org_pk.data;
		if (d->orgs[i]->n_ext > 0 && (r = add_line(d->orgs[i], line++, keys, &n)) != RK_OK)
			goto out;
	}
	r = trust_are_distinct(keys, n) ? RK_OK : RK_MALFORMED;
out:
	free(lines);
	free(keys);
	return r;
}

/* What may become of a row from one directory to the next. */
static int check_org_change(const Rk__Org *old, const Rk__Org *new, bool is_next)
{
	bool is_same_key = bytes_equal(bytes_of(old->org_pk), bytes_of(new->org_pk));

	if (old->status == RK__ORG_STATUS__EXPELLED && (new->status != RK__ORG_STATUS__EXPELLED || !is_same_key))
		return RK_CONFLICT;
	/* Who leaves does so under the key that it had: what it signed is judged by that one. */
	if (is_next && !is_same_key && new->status == RK__ORG_STATUS__EXPELLED)
		return RK_CONFLICT;
	if (new->min_devices_serial < old->min_devices_serial)
		return RK_CONFLICT;
	return orgkey_check_change(old, new, is_next);
}

static int check_directory_change(const Rk__Directory *old, const Rk__Directory *new)
{
	bool is_next = new->serial == old->serial + 1;

	for (size_t i = 0; i < old->n_orgs; i++) {
		const Rk__Org *row = trust_find_org(new, old->orgs[i]->org_id.data);
		int r;

		if (!row)
			return RK_CONFLICT;
		if ((r = check_org_change(old->orgs[i], row, is_next)) != RK_OK)
			return r;
	}
	return is_next ? orgkey_check_newcomers(old, new) : RK_OK;
}

static int check_orgs(const Rk__Directory *d, const Rk__Directory *prev_dir)
{
	bool has_secretariat = false;
	int r;

	for (size_t i = 0; i < d->n_orgs; i++) {
		const Rk__Org *o = d->orgs[i];

		if ((r = check_org(o, prev_dir)) != RK_OK)
			return r;
		if (i > 0 && memcmp(d->orgs[i - 1]->org_id.data, o->org_id.data, 16) >= 0)
			return RK_MALFORMED;
		has_secretariat |= o->status == RK__ORG_STATUS__ACTIVE && (o->roles & TRUST_ROLE_SECRETARIAT);
	}
	return has_secretariat ? RK_OK : RK_MALFORMED;
}

int trust_check_directory(const Rk__Directory *d, const Rk__Charter *c, struct trust_prev prev,
                          const Rk__Directory *prev_dir)
{
	int r;

	if ((r = trust_check_successor(d->serial, d->prev_oh, prev)) != RK_OK)
		return r;
	if (!trust_is_window(d->issued_at, d->expires_at, c->directory_max_age_ms))
		return RK_MALFORMED;
	if ((r = check_orgs(d, prev_dir)) != RK_OK)
		return r;
	if ((r = check_org_keys(d, c)) != RK_OK)
		return r;
	if (d->serial == 1)
		return orgkey_check_newcomers(NULL, d);
	return prev_dir ? check_directory_change(prev_dir, d) : RK_OK;
}

const Rk__Org *trust_find_org(const Rk__Directory *d, const uint8_t *org_id)
{
	size_t low = 0, high = d->n_orgs;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = memcmp(d->orgs[mid]->org_id.data, org_id, 16);

		if (order == 0)
			return d->orgs[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
