#include "client/cli/inbox_due.h"

#include <stdlib.h>

#include "client/cli/notice_show.h"
#include "client/days.h"

/* A duty with the agreement that asks for it; copied, since agreements are loaded one at a time. */
struct pressing {
	struct duty duty;
	uint8_t nda_id[32];
};

struct pressing_list {
	struct pressing *rows;
	size_t count, room;
};

static int keep(struct shared *s, struct pressing_list *list, const struct agreement *ag, const struct duty *d)
{
	if (list->count == list->room) {
		size_t room = list->room == 0 ? 16 : list->room * 2;
		struct pressing *grown;

		arena_raise(s->a, room * sizeof(*grown) + 32);
		if ((grown = arena_alloc(s->a, room * sizeof(*grown))) == NULL)
			return RK_ENOMEM;
		if (list->count > 0)
			memcpy(grown, list->rows, list->count * sizeof(*grown));
		list->rows = grown;
		list->room = room;
	}
	list->rows[list->count].duty = *d;
	memcpy(list->rows[list->count++].nda_id, ag->nda_id, 32);
	return RK_OK;
}

/* `row` has what is loaded for this agreement alone; what is kept goes to the whole. */
static int press_of(struct shared *s, const struct duty_facts *facts, const uint8_t nda_id[32], struct pressing_list *list)
{
	struct shared whole = *s;
	struct shared_row row;
	struct agreement *ag;
	struct duty *duties;
	size_t n = 0;
	int r;

	if ((r = shared_row_begin(s, &row)) != RK_OK)
		return r;
	if ((r = agreement_load(s->client, s->t, nda_id, true, s->a, &ag)) == RK_OK)
		r = notice_show_duties(s, ag, facts, &duties, &n);
	for (size_t i = 0; r == RK_OK && i < n; i++)
		if (duty_is_pressing(ag, &duties[i], client_now(s->client)))
			r = keep(&whole, list, ag, &duties[i]);
	shared_row_end(s, &row);
	return r;
}

static int by_due(const void *a, const void *b)
{
	const struct pressing *x = a, *y = b;

	return x->duty.due_at == y->duty.due_at ? memcmp(x->nda_id, y->nda_id, 32) : x->duty.due_at < y->duty.due_at ? -1 : 1;
}

static int pressing_row(struct shared *s, struct out_table *table, const struct pressing *p)
{
	char id[OUT_ID_CHARS], day[11];
	struct agreement *ag;
	json_t *o;
	int r;

	if ((r = agreement_load(s->client, s->t, p->nda_id, false, s->a, &ag)) != RK_OK)
		return r;
	if (s->c->json) {
		o = json_object();
		json_object_set_new(o, "no", json_null());
		out_set_text(o, "kind", "duty");
		out_set_id(o, "id", BYTES_OF(p->nda_id));
		out_set_id(o, "nda_id", BYTES_OF(p->nda_id));
		notice_show_duty_json(s, o, ag, &p->duty);
		return out_json(o);
	}
	days_text(day, p->duty.due_day);
	out_table_row(table);
	out_table_cell(table, "—");
	out_table_cell(table, p->duty.due_day != 0 ? day : "");
	out_table_cell(table, "");
	out_table_cell(table, out_short(id, BYTES_OF(p->nda_id)));
	out_table_cell(table, notice_show_duty(s, ag, &p->duty));
	return RK_OK;
}

int inbox_due_list(struct shared *s, struct out_table *table)
{
	struct pressing_list list = {0};
	struct duty_facts facts;
	const uint8_t (*ids)[32];
	size_t n;
	int r;

	if ((r = duty_load(s->client, s->t, s->a, &facts)) != RK_OK || (r = agreement_ids(s->t, s->a, &ids, &n)) != RK_OK)
		return r;
	for (size_t i = 0; i < n && r == RK_OK; i++)
		r = press_of(s, &facts, ids[i], &list);
	if (list.count > 1)
		qsort(list.rows, list.count, sizeof(*list.rows), by_due);
	for (size_t i = 0; i < list.count && r == RK_OK; i++) {
		struct shared_row row;

		if ((r = shared_row_begin(s, &row)) == RK_OK) {
			r = pressing_row(s, table, &list.rows[i]);
			shared_row_end(s, &row);
		}
	}
	return r;
}
