/* Which parties keep an agreement from being in force. */
#include "client/cli/show_suspended.h"

static const char *suspension_text(struct shared *s, const struct agreement *ag, int i)
{
	const uint8_t *org = ag->row.parties[i].org_id;
	int64_t lost_at = book_key_lost_at(s->client, s->t, org);
	char day[OUT_TIME_CHARS], id[OUT_ID_CHARS];

	if (!book_org_active(s->client, s->t, org))
		return shared_fill(s, TEXT_SUSPENDED_STATUS, shared_name(s, org));
	out_short(id, bytes_make(ag->nda_id, 32));
	if (lost_at == 0)
		return shared_fill(s, TEXT_SUSPENDED_KEY_BEFORE, shared_name(s, org), id);
	return shared_fill(s, TEXT_SUSPENDED_KEY, shared_name(s, org), out_day(day, lost_at), id);
}

void show_suspended(struct shared *s, const struct agreement *ag)
{
	enum text_id label = TEXT_F_SUSPENDED;

	for (int i = 0; ag->state == NDA_SUSPENDED && i < ag->row.party_count; i++) {
		if (ag->active & 1u << i)
			continue;
		out_field(s->c, label, suspension_text(s, ag, i));
		label = TEXT_NONE;
	}
}

json_t *show_suspended_json(struct shared *s, const struct agreement *ag)
{
	json_t *list = json_array();

	for (int i = 0; ag->state == NDA_SUSPENDED && i < ag->row.party_count; i++) {
		const uint8_t *org = ag->row.parties[i].org_id;
		bool is_active = book_org_active(s->client, s->t, org);
		json_t *o;

		if (ag->active & 1u << i)
			continue;
		o = shared_org_json(s, org);
		out_set_text(o, "reason", is_active ? "key-replaced" : "not-active");
		out_set_time(o, "since", is_active ? book_key_lost_at(s->client, s->t, org) : 0);
		json_array_append_new(list, o);
	}
	return list;
}
