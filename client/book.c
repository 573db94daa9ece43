/*
 * book: the verified trust objects of a home, and what is looked up in them.  Taking objects in: book_take.c.
 *
 * The newest directory is parsed once and kept, since everything asks it; whoever reads it may hold pointers into it while a
 * newer one comes in, so the last BOOK_GENERATIONS parsed ones stay.  All other objects are small and parsed into the caller's arena.
 */
#include <ctype.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/client_internal.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define BOOK_GENERATIONS 8
#define SEND_MARGIN_MS ((int64_t)5 * 60 * 1000) /* CRYPTO 2.9: sending clients stay clear of the dates */
#define CLOCK_MARGIN_MS ((int64_t)10 * 60 * 1000)
#define PREFIX_CHARS_MIN 4 /* of an org_id that is typed */

struct generation {
	struct arena *arena;
	Rk__Directory *directory;
	uint8_t oh[32];
};

struct book_cache {
	struct generation generations[BOOK_GENERATIONS]; /* [0] is the newest */
};

void book_cache_free(struct book_cache *b)
{
	if (b == NULL)
		return;
	for (unsigned i = 0; i < BOOK_GENERATIONS; i++)
		arena_free(b->generations[i].arena);
	free(b);
}

void book_key(uint8_t key[BOOK_KEY_BYTES], unsigned type, const uint8_t *id, uint64_t serial)
{
	key[0] = (uint8_t)type;
	if (id != NULL)
		memcpy(key + 1, id, ID16_BYTES);
	else
		memset(key + 1, 0, ID16_BYTES);
	put_u64be(key + 1 + ID16_BYTES, serial);
}

static int read_row(struct bytes key, struct bytes value, uint64_t *serial, uint8_t oh[32], struct bytes *wire)
{
	if (key.len != BOOK_KEY_BYTES || value.len <= ID32_BYTES)
		return RK_ESTORE;
	*serial = get_u64be(key.data + 1 + ID16_BYTES);
	memcpy(oh, value.data, ID32_BYTES);
	*wire = bytes_make(value.data + ID32_BYTES, value.len - ID32_BYTES);
	return RK_OK;
}

int book_newest(struct txn *txn, unsigned type, const uint8_t *id, uint64_t *serial, uint8_t oh[32], struct bytes *wire)
{
	uint8_t prefix[BOOK_KEY_BYTES];
	struct bytes key, value;
	int r;

	book_key(prefix, type, id, 0);
	r = env_last_with_prefix(txn, C_OBJECT, bytes_make(prefix, 1 + ID16_BYTES), &key, &value);
	return r == RK_OK ? read_row(key, value, serial, oh, wire) : r;
}

int book_older(struct txn *txn, unsigned type, const uint8_t *id, uint64_t *serial, uint8_t oh[32], struct bytes *wire)
{
	struct env_cursor *cursor = NULL;
	uint8_t from[BOOK_KEY_BYTES];
	struct bytes key, value;
	int r;

	book_key(from, type, id, *serial);
	if ((r = env_cursor_open(txn, C_OBJECT, &cursor)) != RK_OK)
		return r;
	if ((r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value)) == RK_OK)
		r = env_cursor_prev(cursor, &key, &value);
	if (r == RK_OK && memcmp(key.data, from, 1 + ID16_BYTES) != 0)
		r = RK_ENOTFOUND;
	if (r == RK_OK)
		r = read_row(key, value, serial, oh, wire);
	env_cursor_free(cursor);
	return r;
}

/* Objects of our own store were verified when they were taken in; what does not parse now is damage. */
static int parse_stored(enum object_kind kind, struct bytes wire, struct arena *arena, ProtobufCMessage **out)
{
	struct object o;
	int r = object_parse(kind, wire, arena, &o);

	if (r == RK_OK)
		*out = o.message;
	return r > 0 ? RK_ESTORE : r;
}

static int book_get(struct txn *txn, enum object_kind kind, const uint8_t *id, uint64_t serial, struct arena *arena,
		    ProtobufCMessage **out, uint8_t *oh)
{
	unsigned type = (unsigned)object_info(kind)->wire_type;
	uint8_t key[BOOK_KEY_BYTES], found_oh[32];
	struct bytes wire, value;
	int r;

	*out = NULL;
	if (serial == 0) {
		r = book_newest(txn, type, id, &serial, found_oh, &wire);
	} else {
		book_key(key, type, id, serial);
		r = env_get(txn, C_OBJECT, BYTES_OF(key), &value);
		if (r == RK_OK && value.len <= ID32_BYTES)
			r = RK_ESTORE;
		if (r == RK_OK) {
			memcpy(found_oh, value.data, ID32_BYTES);
			wire = bytes_make(value.data + ID32_BYTES, value.len - ID32_BYTES);
		}
	}
	if (r != RK_OK)
		return r;
	if (oh != NULL)
		memcpy(oh, found_oh, ID32_BYTES);
	return parse_stored(kind, wire, arena, out);
}

int book_charter(struct client *c, struct txn *txn, struct arena *arena, Rk__Charter **out)
{
	(void)c;
	return book_get(txn, OBJECT_KIND_CHARTER, NULL, 0, arena, (ProtobufCMessage **)out, NULL);
}

/* The newest directory, parsed by this process before or now. */
static int directory(struct client *c, struct txn *txn, struct generation **out)
{
	struct generation *g;
	struct generation fresh = {0};
	struct bytes wire;
	uint64_t serial;
	uint8_t oh[32];
	int r;

	*out = NULL;
	if (c->book == NULL && (c->book = calloc(1, sizeof(*c->book))) == NULL)
		return RK_ENOMEM;
	if ((r = book_newest(txn, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, &serial, oh, &wire)) != RK_OK)
		return r;
	g = c->book->generations;
	if (g[0].directory == NULL || memcmp(g[0].oh, oh, sizeof(oh)) != 0) {
		if ((fresh.arena = arena_new(0)) == NULL)
			return RK_ENOMEM;
		r = parse_stored(OBJECT_KIND_DIRECTORY, wire, fresh.arena, (ProtobufCMessage **)&fresh.directory);
		if (r != RK_OK) {
			arena_free(fresh.arena);
			return r;
		}
		memcpy(fresh.oh, oh, sizeof(oh));
		arena_free(g[BOOK_GENERATIONS - 1].arena);
		memmove(g + 1, g, (BOOK_GENERATIONS - 1) * sizeof(*g));
		g[0] = fresh;
	}
	*out = g;
	return RK_OK;
}

int book_directory(struct client *c, struct txn *txn, struct arena *arena, Rk__Directory **out, uint8_t oh[32])
{
	struct generation *g;
	int r = directory(c, txn, &g);

	(void)arena;
	*out = NULL;
	if (r != RK_OK)
		return r;
	*out = g->directory;
	if (oh != NULL)
		memcpy(oh, g->oh, sizeof(g->oh));
	return RK_OK;
}

int book_org_devices(struct client *c, struct txn *txn, const uint8_t org_id[16], struct arena *arena, Rk__OrgDevices **out,
		     uint8_t oh[32])
{
	(void)c;
	return book_get(txn, OBJECT_KIND_ORG_DEVICES, org_id, 0, arena, (ProtobufCMessage **)out, oh);
}

int book_device_kx_at(struct client *c, struct txn *txn, const uint8_t device_id[16], uint32_t serial, struct arena *arena,
		      Rk__DeviceKx **out)
{
	(void)c;
	return book_get(txn, OBJECT_KIND_DEVICE_KX, device_id, serial, arena, (ProtobufCMessage **)out, NULL);
}

int book_device_kx(struct client *c, struct txn *txn, const uint8_t device_id[16], struct arena *arena, Rk__DeviceKx **out)
{
	return book_device_kx_at(c, txn, device_id, 0, arena, out);
}

int book_epoch(struct client *c, struct txn *txn, uint32_t n, struct arena *arena, Rk__FeedEpoch **out, uint8_t oh[32])
{
	(void)c;
	return book_get(txn, OBJECT_KIND_FEED_EPOCH, NULL, n, arena, (ProtobufCMessage **)out, oh);
}

/* ---- epoch keys */

#define EPOCH_ARENA_BYTES ((size_t)16 * 1024)

/* An officer's own key, made for an epoch of this number that the exchange did not take: another officer's stands there, and what is sealed
 * by it opens to nobody. */
static bool is_of_another(struct client *c, struct txn *txn, uint32_t n, const uint8_t ek[32], struct arena *arena)
{
	Rk__FeedEpoch *epoch;
	uint8_t commit[32];

	arena_raise(arena, EPOCH_ARENA_BYTES);
	if (n == 0 || book_epoch(c, txn, n, arena, &epoch, NULL) != RK_OK)
		return false;
	trust_ek_commit(commit, ek);
	return memcmp(commit, epoch->ek_commit.data, sizeof(commit)) != 0;
}

int book_epoch_key(struct client *c, struct txn *txn, uint32_t n, uint8_t ek[32])
{
	struct arena *arena;
	struct bytes sealed, plain;
	uint8_t key[4];
	int r;

	put_u32be(key, n);
	if ((r = env_get(txn, C_EPOCH, BYTES_OF(key), &sealed)) != RK_OK)
		return r;
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	if ((arena = arena_new(0)) == NULL)
		return RK_ENOMEM;
	r = vault_open(keys_home_key(c), VAULT_EPOCH, BYTES_OF(key), sealed, arena, &plain);
	if (r == RK_OK && plain.len != KEY_BYTES)
		r = RK_EINTEGRITY;
	if (r == RK_OK && is_of_another(c, txn, n, plain.data, arena))
		r = RK_ENOTFOUND;
	if (r == RK_OK)
		memcpy(ek, plain.data, KEY_BYTES);
	arena_free_wiped(arena);
	return r;
}

int book_epoch_key_put(struct client *c, struct txn *txn, uint32_t n, const uint8_t ek[32])
{
	struct arena *arena;
	struct bytes sealed;
	uint8_t key[4];
	int r;

	put_u32be(key, n);
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	if ((arena = arena_new(0)) == NULL)
		return RK_ENOMEM;
	r = vault_seal(keys_home_key(c), VAULT_EPOCH, BYTES_OF(key), bytes_make(ek, KEY_BYTES), arena, &sealed);
	if (r == RK_OK)
		r = env_put(txn, C_EPOCH, BYTES_OF(key), sealed, ENV_PUT);
	arena_free(arena);
	return r;
}

/* ---- organisations and devices */

int book_org(struct client *c, struct txn *txn, const uint8_t org_id[16], struct arena *arena, Rk__Org **out)
{
	struct generation *g;
	int r = directory(c, txn, &g);

	(void)arena;
	*out = NULL;
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_UNKNOWN_RECIPIENT : r;
	*out = (Rk__Org *)(uintptr_t)trust_find_org(g->directory, org_id);
	return *out == NULL ? RK_UNKNOWN_RECIPIENT : RK_OK;
}

bool book_org_active(struct client *c, struct txn *txn, const uint8_t org_id[16])
{
	Rk__Org *org;

	return book_org(c, txn, org_id, NULL, &org) == RK_OK && org->status == RK__ORG_STATUS__ACTIVE;
}

bool book_org_was_out(struct client *c, struct txn *txn, const uint8_t org_id[16], uint64_t control_seq)
{
	uint8_t key[BOOK_KEY_BYTES];
	struct bytes value;
	Rk__Org *org;

	if (book_org(c, txn, org_id, NULL, &org) != RK_OK || org->status != RK__ORG_STATUS__EXPELLED)
		return false;
	book_key(key, BOOK_EXPELLED, org_id, 0);
	return env_get(txn, C_OBJECT, BYTES_OF(key), &value) == RK_OK && value.len == 8 && control_seq >= get_u64be(value.data);
}

/* The list that the directory lets us believe: an older one than it pins hides a removal. */
static int pinned_devices(struct client *c, struct txn *txn, const uint8_t org_id[16], struct arena *arena, Rk__OrgDevices **out)
{
	Rk__Org *org;
	int r;

	*out = NULL;
	if ((r = book_org(c, txn, org_id, arena, &org)) != RK_OK)
		return r;
	if ((r = book_org_devices(c, txn, org_id, arena, out, NULL)) != RK_OK)
		return r;
	if ((*out)->serial < org->min_devices_serial) {
		*out = NULL;
		return RK_ENOTFOUND;
	}
	return RK_OK;
}

int book_device(struct client *c, struct txn *txn, const uint8_t device_id[16], const uint8_t org_id[16], struct arena *arena,
		Rk__Device **out)
{
	Rk__OrgDevices *list;
	int r = pinned_devices(c, txn, org_id, arena, &list);

	*out = NULL;
	if (r != RK_OK)
		return r == RK_UNKNOWN_RECIPIENT ? RK_ENOTFOUND : r;
	*out = (Rk__Device *)(uintptr_t)trust_find_device(list, device_id);
	return *out == NULL ? RK_ENOTFOUND : RK_OK;
}

/* Is this device one of those that are meant?  `self`: our own row in the same list, NULL if the list is another organisation's. */
static bool is_meant(const Rk__Device *d, const Rk__Device *self, enum book_side side, uint32_t desk_id)
{
	switch (side) {
	case BOOK_DESK:
		return trust_is_at_desk(d, desk_id);
	case BOOK_OWN_DESKS:
		return self == NULL || d == self || trust_shares_desk(self, d);
	default:
		return d == self;
	}
}

static bool has_target(const struct envelope_target *targets, size_t count, const Rk__Device *d)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(targets[i].device_id, d->device_id.data, ID16_BYTES) == 0)
			return true;
	return false;
}

int book_targets(struct client *c, struct txn *txn, const uint8_t org_id[16], struct envelope_target *targets, size_t max,
		 size_t *count)
{
	return book_targets_at(c, txn, org_id, BOOK_DESK, 0, targets, max, count);
}

int book_targets_at(struct client *c, struct txn *txn, const uint8_t org_id[16], enum book_side side, uint32_t desk_id,
		    struct envelope_target *targets, size_t max, size_t *count)
{
	struct arena *arena = arena_new(0);
	int64_t now = client_now(c);
	const Rk__Device *self = NULL;
	Rk__OrgDevices *list;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	r = pinned_devices(c, txn, org_id, arena, &list);
	if (r == RK_ENOTFOUND || (r == RK_OK && list->valid_until <= now))
		r = RK_NO_RECIPIENT_KEY;
	if (r == RK_OK)
		self = trust_find_device(list, c->device_id);
	for (size_t i = 0; r == RK_OK && i < list->n_devices; i++) {
		const Rk__Device *d = list->devices[i];
		Rk__DeviceKx *kx;

		if (!trust_device_is_active(d, now) || !is_meant(d, self, side, desk_id) || has_target(targets, *count, d))
			continue;
		r = book_device_kx(c, txn, d->device_id.data, arena, &kx);
		if (r == RK_ENOTFOUND) {
			r = RK_OK;
			continue;
		}
		if (r != RK_OK || kx->not_before > now + CLOCK_MARGIN_MS || kx->not_after <= now + SEND_MARGIN_MS)
			continue;
		if (*count >= max) {
			r = RK_TOO_LARGE;
			break;
		}
		memcpy(targets[*count].device_id, d->device_id.data, ID16_BYTES);
		targets[*count].kx_serial = kx->serial;
		memcpy(targets[*count].kx_pk, kx->kx_pk.data, KEY_BYTES);
		(*count)++;
	}
	arena_free(arena);
	return r;
}

/* ---- names */

const char *book_org_name(struct client *c, struct txn *txn, const uint8_t org_id[16], enum lang lang, struct arena *arena)
{
	const char *want = lang == LANG_JA ? "ja" : "en", *name;
	Rk__Org *org;

	if (book_org(c, txn, org_id, arena, &org) != RK_OK || org->n_names == 0)
		return "(unknown)";
	name = org->names[0]->name;
	for (size_t i = 0; i < org->n_names; i++)
		if (strncmp(org->names[i]->lang, want, 2) == 0) {
			name = org->names[i]->name;
			break;
		}
	arena_raise(arena, strlen(name) + 64);
	name = arena_copy(arena, name, strlen(name));
	return name != NULL ? name : "(unknown)";
}

/* Does `part` stand in `whole`?  ASCII letters compare without case, everything else byte by byte. */
static bool contains(const char *whole, const char *part)
{
	size_t n = strlen(part);

	for (; *whole != '\0'; whole++) {
		size_t i = 0;

		while (i < n && whole[i] != '\0' && tolower((unsigned char)whole[i]) == tolower((unsigned char)part[i]))
			i++;
		if (i == n)
			return true;
	}
	return false;
}

enum match { MATCH_NONE, MATCH_PART, MATCH_WHOLE };

static enum match match_org(const Rk__Org *org, const char *text, bool is_hex)
{
	char hex[2 * ID16_BYTES + 1];
	enum match best = MATCH_NONE;

	ids_hex(hex, bytes_of(org->org_id));
	if (is_hex && strncasecmp(hex, text, strlen(text)) == 0)
		return strlen(text) == 2 * ID16_BYTES ? MATCH_WHOLE : MATCH_PART;
	for (size_t i = 0; i < org->n_names; i++) {
		const char *names[2] = {org->names[i]->name, org->names[i]->reading};

		for (unsigned j = 0; j < 2; j++) {
			if (strcasecmp(names[j], text) == 0)
				return MATCH_WHOLE;
			if (contains(names[j], text))
				best = MATCH_PART;
		}
	}
	return best;
}

int book_find_org(struct client *c, struct txn *txn, const char *text, uint8_t org_id[16])
{
	size_t len = strlen(text), found[3] = {0};
	bool is_hex = len >= PREFIX_CHARS_MIN && len <= 2 * ID16_BYTES && strspn(text, "0123456789abcdefABCDEF") == len;
	const Rk__Org *hit[3] = {NULL};
	struct generation *g;
	enum match best;
	int r;

	if (len == 0)
		return RK_ENOTFOUND;
	if ((r = directory(c, txn, &g)) != RK_OK)
		return r;
	for (size_t i = 0; i < g->directory->n_orgs; i++) {
		enum match m = match_org(g->directory->orgs[i], text, is_hex);

		found[m]++;
		hit[m] = g->directory->orgs[i];
	}
	/* A whole name wins over names that only contain it. */
	best = found[MATCH_WHOLE] > 0 ? MATCH_WHOLE : MATCH_PART;
	if (found[best] == 0)
		return RK_ENOTFOUND;
	if (found[best] > 1)
		return RK_CONFLICT;
	memcpy(org_id, hit[best]->org_id.data, ID16_BYTES);
	return RK_OK;
}
