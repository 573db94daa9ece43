/* Links between the keys of one organisation: their form, their signatures, what may follow on what. */
#include "proto/orgkey.h"

#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"

/* ext 1 … ORGKEY_LINKS_MAX of a row, from the first on: ids ascend, so a gap ends them. */
static size_t count_links(const Rk__Org *row)
{
	size_t n = 0;

	while (n < row->n_ext && n < ORGKEY_LINKS_MAX && row->ext[n]->id == n + 1)
		n++;
	return n;
}

static bool has_key(const struct orgkey_line *line, const uint8_t *pk)
{
	for (size_t i = 0; i < line->count; i++)
		if (memcmp(line->pk[i], pk, KEY_BYTES) == 0)
			return true;
	return false;
}

/* One link: from the key that stands before the line's oldest so far. */
static int take_link(const Rk__Org *row, const Rk__OrgKey *link, struct orgkey_line *line)
{
	const uint8_t *newer = line->count > 0 ? line->pk[line->count - 1] : row->org_pk.data;

	if (!bytes_equal(bytes_of(link->org_id), bytes_of(row->org_id)) || memcmp(link->new_pk.data, newer, KEY_BYTES) != 0)
		return RK_MALFORMED;
	if (memcmp(link->old_pk.data, row->org_pk.data, KEY_BYTES) == 0 || has_key(line, link->old_pk.data))
		return RK_MALFORMED;
	memcpy(line->pk[line->count++], link->old_pk.data, KEY_BYTES);
	return RK_OK;
}

static const Rk__OrgKey *link_of(const struct object *o)
{
	return (const Rk__OrgKey *)(const void *)o->message;
}

int orgkey_read(const Rk__Org *row, struct orgkey_line *out)
{
	size_t n = count_links(row);
	struct arena *a;
	int r = RK_OK;

	out->count = 0;
	/* A link without the one before it. */
	if (n < row->n_ext && row->ext[n]->id <= ORGKEY_LINKS_MAX)
		return RK_MALFORMED;
	if (n == 0)
		return RK_OK;
	if ((a = arena_new(0)) == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < n && r == RK_OK; i++) {
		struct object o;

		arena_raise(a, arena_budget(row->ext[i]->value.len));
		r = object_parse(OBJECT_KIND_ORG_KEY, bytes_of(row->ext[i]->value), a, &o);
		r = r == RK_OK ? take_link(row, link_of(&o), out) : r == RK_ENOMEM ? r : RK_MALFORMED;
	}
	arena_free(a);
	if (r != RK_OK)
		out->count = 0;
	return r;
}

static bool knows(const Rk__Org *known, const Rk__Ext *link)
{
	size_t n = known ? count_links(known) : 0;

	for (size_t i = 0; i < n; i++)
		if (bytes_equal(bytes_of(known->ext[i]->value), bytes_of(link->value)))
			return true;
	return false;
}

static int verify_row(const Rk__Org *row, const Rk__Org *known, const uint8_t exchange_id[32], struct arena *a)
{
	size_t n = count_links(row);
	int r = RK_OK;

	for (size_t i = 0; i < n && r == RK_OK; i++) {
		struct object o;

		if (knows(known, row->ext[i]))
			continue;
		arena_raise(a, arena_budget(row->ext[i]->value.len));
		r = object_parse(OBJECT_KIND_ORG_KEY, bytes_of(row->ext[i]->value), a, &o);
		if (r == RK_OK)
			r = object_check(&o, exchange_id, link_of(&o)->old_pk.data);
	}
	return r;
}

int orgkey_verify(const Rk__Directory *d, const Rk__Directory *known, const uint8_t exchange_id[32])
{
	struct arena *a = arena_new(0);
	int r = a ? RK_OK : RK_ENOMEM;

	for (size_t i = 0; i < d->n_orgs && r == RK_OK; i++)
		if (d->orgs[i]->n_ext > 0)
			r = verify_row(d->orgs[i], known ? trust_find_org(known, d->orgs[i]->org_id.data) : NULL, exchange_id, a);
	arena_free(a);
	return r;
}

static bool are_equal(const struct orgkey_line *x, const struct orgkey_line *y)
{
	return x->count == y->count && memcmp(x->pk, y->pk, x->count * KEY_BYTES) == 0;
}

/* From `at` on, `now` has what `old` had, as far as there is room. */
static bool goes_on(const struct orgkey_line *now, size_t at, const struct orgkey_line *old)
{
	size_t room = ORGKEY_LINKS_MAX - at, want = old->count < room ? old->count : room;

	return now->count - at == want && memcmp(now->pk[at], old->pk, want * KEY_BYTES) == 0;
}

int orgkey_check_change(const Rk__Org *old, const Rk__Org *now, bool is_next)
{
	bool is_same = bytes_equal(bytes_of(old->org_pk), bytes_of(now->org_pk));
	struct orgkey_line before, line;
	size_t at = 0;
	int r;

	if (is_same && old->n_ext == 0 && now->n_ext == 0)
		return RK_OK;
	if ((r = orgkey_read(old, &before)) != RK_OK || (r = orgkey_read(now, &line)) != RK_OK)
		return r;
	if (is_same)
		return are_equal(&before, &line) ? RK_OK : RK_CONFLICT;
	while (at < line.count && memcmp(line.pk[at], old->org_pk.data, KEY_BYTES) != 0)
		at++;
	if (at == line.count)
		return !is_next || line.count == 0 ? RK_OK : RK_CONFLICT;
	if (is_next && at != 0)
		return RK_CONFLICT;
	return at + 1 == ORGKEY_LINKS_MAX || goes_on(&line, at + 1, &before) ? RK_OK : RK_CONFLICT;
}

int orgkey_check_newcomers(const Rk__Directory *old, const Rk__Directory *now)
{
	int r = RK_OK;

	for (size_t i = 0; i < now->n_orgs && r == RK_OK; i++) {
		struct orgkey_line line;

		if (now->orgs[i]->n_ext == 0 || (old && trust_find_org(old, now->orgs[i]->org_id.data)))
			continue;
		r = orgkey_read(now->orgs[i], &line);
		r = r == RK_OK && line.count > 0 ? RK_CONFLICT : r;
	}
	return r;
}

static bool is_named(const uint8_t fp[32], const uint8_t *key, uint8_t pk[32])
{
	uint8_t hash[32];

	ids_sha256(hash, bytes_make(key, KEY_BYTES));
	memcpy(pk, key, KEY_BYTES);
	return memcmp(hash, fp, sizeof(hash)) == 0;
}

bool orgkey_find(const Rk__Org *row, const uint8_t fp[32], uint8_t pk[32])
{
	struct orgkey_line line;

	if (is_named(fp, row->org_pk.data, pk))
		return true;
	if (row->n_ext == 0 || orgkey_read(row, &line) != RK_OK)
		return false;
	for (size_t i = 0; i < line.count; i++)
		if (is_named(fp, line.pk[i], pk))
			return true;
	return false;
}

bool orgkey_counts(const Rk__Org *row, const uint8_t fp[32])
{
	uint8_t pk[32];

	return orgkey_find(row, fp, pk);
}

int orgkey_replace(const Rk__Org *row, const uint8_t new_pk[32], struct bytes link, struct arena *a, Rk__Org *out)
{
	size_t links = count_links(row), kept = link.len == 0 ? 0 : links < ORGKEY_LINKS_MAX ? links : ORGKEY_LINKS_MAX - 1;
	Rk__Ext **list, *rows;
	size_t n = 0;

	*out = *row;
	arena_raise(a, (row->n_ext + 1) * (sizeof(*rows) + sizeof(*list)) + KEY_BYTES + link.len + 128);
	list = arena_alloc(a, (row->n_ext + 1) * sizeof(*list));
	rows = arena_alloc(a, (row->n_ext + 1) * sizeof(*rows));
	out->org_pk = (ProtobufCBinaryData){KEY_BYTES, arena_copy(a, new_pk, KEY_BYTES)};
	if (list == NULL || rows == NULL || out->org_pk.data == NULL)
		return RK_ENOMEM;
	if (link.len > 0) {
		rk__ext__init(&rows[n]);
		rows[n].id = 1;
		rows[n].value = (ProtobufCBinaryData){link.len, arena_copy(a, link.data, link.len)};
		if (rows[n].value.data == NULL)
			return RK_ENOMEM;
		list[n] = &rows[n];
		n++;
	}
	for (size_t i = 0; i < row->n_ext; i++) {
		if (i >= kept && i < links)
			continue;
		rows[n] = *row->ext[i];
		rows[n].id += i < links ? 1 : 0;
		list[n] = &rows[n];
		n++;
	}
	out->ext = list;
	out->n_ext = n;
	return RK_OK;
}
