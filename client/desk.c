/* Desks of the newest list, and the names of earlier ones.  Lists have at most 32 devices of 16 desks: everything is looked for from the start. */
#include "client/desk.h"

#include <stdio.h>

#include "client/client_internal.h"
#include "proto/strict.h"

#define DESKS_LIST_MAX 512
#define LISTS_SEEN_MAX 200 /* of an organisation, back from the newest: nobody waits for a name longer */
#define NAME_ARENA ((size_t)8 * 1024)

/* ---- names */

/* One character of UTF-8 that was checked when it came in. */
static uint32_t next_char(const char **s)
{
	const uint8_t *p = (const uint8_t *)*s;
	uint32_t c = p[0];
	unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	c = more == 3 ? c & 0x07 : more == 2 ? c & 0x0f : more == 1 ? c & 0x1f : c;
	for (*s += 1; more > 0 && (**s & 0xc0) == 0x80; more--, *s += 1)
		c = c << 6 | (uint32_t)(**s & 0x3f);
	return c;
}

static uint32_t without_case(uint32_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c + 'a' - 'A';
	if (c >= 0xff21 && c <= 0xff3a) /* full-width capitals */
		return c + 0xff41 - 0xff21;
	return c;
}

/* Is `mark` a voicing mark that stands for itself, as some systems write it, and *c a kana that can carry it?  Then they are one. */
static bool compose(uint32_t *c, uint32_t mark)
{
	uint32_t base = *c >= 0x30a0 ? *c - 0x60 : *c; /* katakana as hiragana */
	bool is_k_to_t = base >= 0x304b && base <= 0x3068 && base != 0x3063, is_h = base >= 0x306f && base <= 0x307d;

	if (mark == 0x3099 && is_k_to_t && (base <= 0x3062 ? base % 2 == 1 : base % 2 == 0))
		*c += 1;
	else if (mark == 0x3099 && is_h && (base - 0x306f) % 3 == 0)
		*c += 1;
	else if (mark == 0x309a && is_h && (base - 0x306f) % 3 == 0)
		*c += 2;
	else if (mark == 0x3099 && base == 0x3046)
		*c += 0x4e; /* u: vu stands far from it */
	else
		return false;
	return true;
}

static uint32_t next_letter(const char **s)
{
	uint32_t c = without_case(next_char(s));
	const char *ahead = *s;

	if (*ahead != '\0' && c >= 0x3041 && c <= 0x30ff && compose(&c, next_char(&ahead)))
		*s = ahead;
	return c;
}

bool desk_same_name(const char *a, const char *b)
{
	while (*a != '\0' && *b != '\0')
		if (next_letter(&a) != next_letter(&b))
			return false;
	return *a == *b;
}

bool desk_is_name(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= DESK_NAME_MAX && name[strspn(name, " ")] != '\0' && strpbrk(name, "/,") == NULL &&
	       strict_is_name(bytes_str(name));
}

/* ---- the list */

static const char *name_of(const Rk__Device *d, size_t at, struct arena *a)
{
	Rk__DeskNames *names = NULL;
	char number[16];

	arena_raise(a, NAME_ARENA);
	if (trust_desk_names(d, a, &names) == RK_OK && names != NULL)
		return names->names[at];
	snprintf(number, sizeof(number), "#%u", d->desks[at]);
	return arena_copy(a, number, strlen(number));
}

/* In order of the number; the first device that has a desk names it. */
static int add_desk(struct desk *list, size_t *count, const Rk__Device *d, size_t which, struct arena *a)
{
	size_t at = 0;

	while (at < *count && list[at].id < d->desks[which])
		at++;
	if (at < *count && list[at].id == d->desks[which]) {
		list[at].devices++;
		return RK_OK;
	}
	memmove(&list[at + 1], &list[at], (*count - at) * sizeof(*list));
	list[at] = (struct desk){.id = d->desks[which], .name = name_of(d, which, a), .devices = 1};
	(*count)++;
	return list[at].name != NULL ? RK_OK : RK_ENOMEM;
}

int desk_list(struct client *c, struct txn *txn, const uint8_t org_id[16], struct arena *a, struct desk **out, size_t *count)
{
	Rk__OrgDevices *devices;
	int r;

	*out = NULL;
	*count = 0;
	if ((r = book_org_devices(c, txn, org_id, a, &devices, NULL)) != RK_OK)
		return r;
	arena_raise(a, (DESKS_LIST_MAX + 1) * sizeof(**out));
	if ((*out = arena_alloc(a, (DESKS_LIST_MAX + 1) * sizeof(**out))) == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < devices->n_devices; i++) {
		const Rk__Device *d = devices->devices[i];

		if (!trust_device_is_active(d, client_now(c)))
			continue;
		for (size_t j = 0; j < d->n_desks; j++)
			if ((r = add_desk(*out, count, d, j, a)) != RK_OK)
				return r;
	}
	return RK_OK;
}

int desk_find(struct client *c, struct txn *txn, const uint8_t org_id[16], const char *name, struct arena *a, uint32_t *desk_id)
{
	struct desk *list;
	size_t n;
	int r = desk_list(c, txn, org_id, a, &list, &n);

	*desk_id = 0;
	for (size_t i = 0; i < n; i++) {
		if (!desk_same_name(list[i].name, name))
			continue;
		if (*desk_id != 0)
			return RK_CONFLICT;
		*desk_id = list[i].id;
	}
	return r != RK_OK ? r : *desk_id == 0 ? RK_ENOTFOUND : RK_OK;
}

static const char *name_in(const Rk__OrgDevices *devices, uint32_t desk_id, struct arena *a)
{
	for (size_t i = 0; i < devices->n_devices; i++)
		for (size_t j = 0; j < devices->devices[i]->n_desks; j++)
			if (devices->devices[i]->desks[j] == desk_id)
				return name_of(devices->devices[i], j, a);
	return NULL;
}

/* Numbers are not given out again: who left last took the name along, and what was addressed to the desk is still shown. */
static const char *name_in_some_list(struct txn *txn, const uint8_t org_id[16], uint32_t desk_id, struct arena *a)
{
	unsigned type = (unsigned)object_info(OBJECT_KIND_ORG_DEVICES)->wire_type;
	struct arena *list = arena_new(0);
	const char *name = NULL;
	struct bytes wire;
	uint64_t serial;
	uint8_t oh[32];
	int r = list != NULL ? book_newest(txn, type, org_id, &serial, oh, &wire) : RK_ENOMEM;

	for (unsigned seen = 0; r == RK_OK && name == NULL && seen < LISTS_SEEN_MAX; seen++) {
		struct object o;

		arena_reset(list, arena_budget(wire.len));
		if (object_parse(OBJECT_KIND_ORG_DEVICES, wire, list, &o) != RK_OK)
			break;
		name = name_in((const Rk__OrgDevices *)(const void *)o.message, desk_id, a);
		r = book_older(txn, type, org_id, &serial, oh, &wire);
	}
	arena_free(list);
	return name;
}

const char *desk_name(struct client *c, struct txn *txn, const uint8_t org_id[16], uint32_t desk_id, struct arena *a)
{
	const char *name = name_in_some_list(txn, org_id, desk_id, a);
	char number[16];

	(void)c;
	if (name != NULL)
		return name;
	snprintf(number, sizeof(number), "#%u", desk_id);
	arena_raise(a, sizeof(number) + 32);
	name = arena_copy(a, number, strlen(number));
	return name != NULL ? name : "";
}

int desk_of_device(struct client *c, struct txn *txn, const uint8_t device_id[16], const uint8_t org_id[16], struct arena *a,
		   uint32_t *desk_id)
{
	Rk__Device *d;
	int r = book_device(c, txn, device_id, org_id, a, &d);

	*desk_id = 0;
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (d->n_desks > 1)
		return RK_CONFLICT;
	if (d->n_desks == 1)
		*desk_id = d->desks[0];
	return RK_OK;
}
