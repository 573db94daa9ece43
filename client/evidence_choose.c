/*
 * Choosing what a receipt shows: the verifier's rule read backwards (proto/receipt.h).  An answer that does not prove itself, because its
 * signer or the exchange did wrong, is left out: it must not keep the others' evidence, or the disclosure's, from being shown.
 */
#include <stdio.h>

#include "client/evidence_internal.h"
#include "proto/ids.h"

/* So many answers of one organisation are tried; then the others of it are left out unseen: it has had its turns. */
#define BAD_MAX 4
#define LETTERS 26

static const Rk__OrgDevices *list_of(const struct evidence_piece *list)
{
	return (const Rk__OrgDevices *)(const void *)list->message;
}

static bool names(const struct evidence_piece *list, const uint8_t device_id[16])
{
	for (size_t i = 0; i < list_of(list)->n_devices; i++)
		if (memcmp(list_of(list)->devices[i]->device_id.data, device_id, 16) == 0)
			return true;
	return false;
}

/* The newest list of an organisation before `index`; with a device: only where it names it. */
static struct evidence_piece *find_list(struct evidence_choice *k, const uint8_t *org_id, const uint8_t *device_id, uint64_t index)
{
	struct evidence_piece *newest = NULL;

	for (size_t i = 0; i < k->devices.n && k->devices.list[i].index < index; i++)
		if (memcmp(list_of(&k->devices.list[i])->org_id.data, org_id, 16) == 0)
			newest = &k->devices.list[i];
	return newest && (device_id == NULL || names(newest, device_id)) ? newest : NULL;
}

static void need_list(struct evidence_choice *k, const uint8_t *org_id, const uint8_t *device_id, uint64_t index)
{
	struct evidence_piece *list = find_list(k, org_id, device_id, index);

	if (list && !list->is_bad)
		list->is_needed = true;
}

struct evidence_piece *evidence_sender_list(struct evidence_choice *k, const uint8_t sender_org[16])
{
	return find_list(k, sender_org, NULL, k->index);
}

/* ---- keys that came later */

/* Did a key sign it that the one directory of the receipt vouches for?  A key that came after the disclosure is not there. */
static bool is_believed(const struct evidence_piece *directory, const uint8_t exchange_id[32], enum object_kind kind,
                        const struct evidence_piece *p, const uint8_t *org_id)
{
	const struct receipt_by_org by = {
		.exchange_id = exchange_id, .org_id = org_id, .directory = (const void *)directory->message,
		.directory_index = directory->index, .index = p->index, .kind = kind, .payload = p->o.payload, .sig = p->o.sig};

	return receipt_check_by_org(&by) == RK_OK;
}

/* The list before it names the same devices, or the answer is left out. */
void evidence_drop_later_lists(struct evidence_choice *k, const struct evidence_piece *directory, const uint8_t exchange_id[32])
{
	size_t n = 0;

	for (size_t i = 0; i < k->devices.n; i++) {
		const struct evidence_piece *list = &k->devices.list[i];

		if (is_believed(directory, exchange_id, OBJECT_KIND_ORG_DEVICES, list, list_of(list)->org_id.data))
			k->devices.list[n++] = *list;
	}
	k->devices.n = n;
}

/* What was asked after an act under a later key rests on that act.  An act of which we have no copy says nothing of its key. */
unsigned evidence_drop_later_pickups(struct evidence_choice *k, const struct evidence_piece *directory, const uint8_t exchange_id[32])
{
	struct evidence_pieces *all = &k->pickups;
	size_t n = 0, first = 0;
	unsigned dropped = 0;

	for (; first < k->acts.n; first++) {
		const struct evidence_piece *p = &k->acts.list[first];
		const Rk__NdaAct *act = (const Rk__NdaAct *)(const void *)p->message;

		if (act && act->kind != RK__ACT_KIND__HOLD && p->index > k->index &&
		    !is_believed(directory, exchange_id, OBJECT_KIND_NDA_ACT, p, act->org_id.data))
			break;
	}
	for (size_t i = 0; i < all->n; i++)
		if (first == k->acts.n || all->list[i].index < k->acts.list[first].index)
			all->list[n++] = all->list[i];
		else
			dropped++;
	all->n = n;
	return dropped;
}

/* ---- answers */

static const uint8_t *answer_device(const struct evidence_piece *answer, bool is_pickup)
{
	const void *message = answer->message;

	return is_pickup ? ((const Rk__Pickup *)message)->device_id.data : ((const Rk__Nack *)message)->device_id.data;
}

/* The list of the recipient whose device it is; NULL if none that we have says so. */
static struct evidence_piece *answer_list(struct evidence_choice *k, const struct evidence_piece *answer, bool is_pickup)
{
	struct evidence_piece *list = NULL;

	for (size_t i = 0; i < k->header->n_recipients && list == NULL; i++)
		list = find_list(k, k->header->recipients[i]->org_id.data, answer_device(answer, is_pickup), answer->index);
	return list;
}

/* What the same device, or the same organisation, has among those before it. */
static bool has_earlier(const struct evidence_pieces *all, size_t i, bool is_pickup, bool by_device)
{
	for (size_t j = 0; j < i; j++) {
		const struct evidence_piece *x = &all->list[j], *y = &all->list[i];

		if (x->is_bad || x->is_again || x->org_id == NULL)
			continue;
		if (by_device ? memcmp(answer_device(x, is_pickup), answer_device(y, is_pickup), 16) == 0
			      : memcmp(x->org_id, y->org_id, 16) == 0)
			return true;
	}
	return false;
}

static size_t count_needed(const struct evidence_pieces *all)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++)
		n += all->list[i].is_needed;
	return n;
}

/* The earliest answer of each organisation first, then others in their order, as far as there is room. */
static void pick(struct evidence_choice *k, struct evidence_pieces *all, bool is_pickup, struct evidence_chosen *shown)
{
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < all->n && count_needed(all) < RECEIPT_PICKUPS_MAX; i++) {
			struct evidence_piece *p = &all->list[i];

			p->is_needed |= p->org_id && !p->is_bad && !p->is_again && (round == 1 || !has_earlier(all, i, is_pickup, false));
		}
	shown->n = 0;
	for (size_t i = 0; i < all->n; i++) {
		struct evidence_piece *p = &all->list[i];

		if (p->is_needed) {
			answer_list(k, p, is_pickup)->is_needed = true;
			shown->list[shown->n++] = p;
		} else if (!p->is_bad && !p->is_again) {
			k->left_out++;
		}
	}
}

/* Answers of devices that our lists do not have are left out: they prove nothing here.  So does a second one of the same device, which it
 * can make by asking for this dossier once more beside another: a receipt has the first that holds. */
static void choose_answers(struct evidence_choice *k, struct evidence_pieces *all, bool is_pickup, struct evidence_chosen *shown,
                           unsigned *bad)
{
	for (size_t i = 0; i < all->n; i++) {
		struct evidence_piece *p = &all->list[i], *list = answer_list(k, p, is_pickup);

		p->is_needed = false;
		p->is_bad |= list && list->is_bad;
		p->org_id = list ? list_of(list)->org_id.data : NULL;
		p->is_again = list && has_earlier(all, i, is_pickup, true);
		*bad += p->is_bad;
	}
	pick(k, all, is_pickup, shown);
}

/* ---- acts */

/* Up to the last question to the gate; and of each hold the list of who held. */
static void choose_acts(struct evidence_choice *k)
{
	const struct evidence_chosen *pickups = &k->shown_pickups;
	uint64_t last = pickups->n > 0 ? pickups->list[pickups->n - 1]->index : k->index;

	for (k->shown_acts = 0; k->shown_acts < k->acts.n && k->acts.list[k->shown_acts].index <= last; k->shown_acts++) {
		const struct evidence_piece *piece = &k->acts.list[k->shown_acts];
		const Rk__NdaAct *act = (const Rk__NdaAct *)(const void *)piece->message;

		if (act && act->kind == RK__ACT_KIND__HOLD)
			need_list(k, act->org_id.data, act->device_id.data, piece->index);
	}
}

void evidence_choose(struct evidence_choice *k)
{
	k->left_out = k->bad_pickups = k->bad_nacks = 0;
	for (size_t i = 0; i < k->devices.n; i++)
		k->devices.list[i].is_needed = false;
	choose_answers(k, &k->pickups, true, &k->shown_pickups, &k->bad_pickups);
	choose_answers(k, &k->nacks, false, &k->shown_nacks, &k->bad_nacks);
	choose_acts(k);
	for (size_t i = 0; i < k->header->n_recipients; i++)
		need_list(k, k->header->recipients[i]->org_id.data, NULL, k->index);
}

/* ---- what the verifier refused */

static bool blame_answer(struct evidence_pieces *all, struct evidence_chosen *shown, const char *part, const char *member)
{
	char name[32];

	for (size_t i = 0; i < shown->n; i++) {
		const uint8_t *org_id = shown->list[i]->org_id;
		size_t bad = 0;

		snprintf(name, sizeof(name), "%s-%zu", part, i + 1);
		if (strcmp(name, member) != 0)
			continue;
		shown->list[i]->is_bad = true;
		for (size_t j = 0; j < all->n; j++)
			bad += all->list[j].is_bad && all->list[j].org_id && memcmp(all->list[j].org_id, org_id, 16) == 0;
		for (size_t j = 0; j < all->n && bad >= BAD_MAX; j++)
			all->list[j].is_bad |= all->list[j].org_id && memcmp(all->list[j].org_id, org_id, 16) == 0;
		return true;
	}
	return false;
}

/* The n-th of the names A, B … Z, AA, AB …; SIZE_MAX: none of them. */
static size_t letters_index(const char *member)
{
	static const char part[] = "orgdevices-";
	const char *at = member + sizeof(part) - 1;

	if (strncmp(member, part, sizeof(part) - 1) != 0 || at[0] == '\0')
		return SIZE_MAX;
	return at[1] == '\0' ? (size_t)(at[0] - 'A') : LETTERS * (size_t)(at[0] - 'A' + 1) + (size_t)(at[1] - 'A');
}

static bool blame_list(struct evidence_choice *k, const struct evidence_piece *sender_list, const char *member)
{
	size_t at = letters_index(member), n = 1;

	if (at == SIZE_MAX || at == 0)
		return false;
	for (size_t i = 0; i < k->devices.n; i++) {
		struct evidence_piece *p = &k->devices.list[i];

		if (!p->is_needed || p == sender_list || n++ != at)
			continue;
		p->is_bad = true;
		return true;
	}
	return false;
}

bool evidence_blame(struct evidence_choice *k, const struct evidence_piece *sender_list, const char *member)
{
	return blame_answer(&k->pickups, &k->shown_pickups, "pickup", member) ||
	       blame_answer(&k->nacks, &k->shown_nacks, "nack", member) || blame_list(k, sender_list, member);
}
