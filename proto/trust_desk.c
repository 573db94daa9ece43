/* Desks: which devices of an organisation may open what is addressed to one of its desks.  FIELDS "OrgDevices". */
#include "proto/errcode.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "proto/trust_internal.h"

#define NAMES_ARENA_BYTES ((size_t)64 * 1024)

int trust_desk_names(const Rk__Device *d, struct arena *a, Rk__DeskNames **out)
{
	int r;

	*out = NULL;
	for (size_t i = 0; i < d->n_ext; i++) {
		if (d->ext[i]->id != TRUST_EXT_DESK_NAMES)
			continue;
		if ((r = STRICT_PARSE(desk_names, bytes_of(d->ext[i]->value), a, out)) != RK_OK)
			return r == RK_ENOMEM ? r : RK_MALFORMED;
		return (*out)->n_names == d->n_desks ? RK_OK : RK_MALFORMED;
	}
	return RK_OK;
}

int trust_check_desks(const Rk__Device *d)
{
	Rk__DeskNames *names;
	struct arena *a;
	int r;

	for (size_t i = 0; i < d->n_desks; i++)
		if (d->desks[i] == 0 || (i > 0 && d->desks[i - 1] >= d->desks[i]))
			return RK_MALFORMED;
	/* Most devices have none: no memory is asked for them. */
	if (d->n_ext == 0)
		return RK_OK;
	if (!(a = arena_new(NAMES_ARENA_BYTES)))
		return RK_ENOMEM;
	r = trust_desk_names(d, a, &names);
	arena_free(a);
	return r;
}

bool trust_is_at_desk(const Rk__Device *d, uint32_t desk_id)
{
	for (size_t i = 0; i < d->n_desks; i++)
		if (d->desks[i] == desk_id)
			return true;
	return desk_id == 0;
}

bool trust_shares_desk(const Rk__Device *a, const Rk__Device *b)
{
	for (size_t i = 0; i < a->n_desks; i++)
		if (trust_is_at_desk(b, a->desks[i]))
			return true;
	return a->n_desks == 0;
}
