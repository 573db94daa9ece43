#include "tests/unit/log_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/ids.h"
#include "proto/strict.h"

int open_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	home_open(&w->h);
	log_kit_init(&w->log, &w->h.f, 1);
	log_kit_fill(&w->log, 5, 1);
	w->other = w->log;
	log_kit_fill(&w->log, 20, 2);
	log_kit_fill(&w->other, 20, 3);
	*state = w;
	return 0;
}

int close_world(void **state)
{
	struct world *w = *state;

	home_close(&w->h);
	free(w);
	return 0;
}

struct txn *begin(struct world *w)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(w->h.client), true, &t), RK_OK);
	return t;
}

void commit(struct txn *t)
{
	assert_int_equal(env_commit(t), RK_OK);
}

/* ---- one question and its answer */

bool next(struct world *w, bool fresh, struct log_question *q)
{
	struct txn *t = begin(w);
	bool any = log_next_question(w->h.client, t, fresh, q);

	env_abort(t);
	return any;
}

int answer(struct world *w, struct log_kit *log, const struct log_question *q, bend_fn *bend)
{
	struct log_kit_answer *a = calloc(1, sizeof(*a));
	struct txn *t = begin(w);
	int r;

	log_kit_answer(log, q->size, q->from_size, q->indexes, q->index_count, w->h.a, a);
	if (bend != NULL)
		bend(w, a, q);
	r = a->code == RK_OK ? log_on_answer(w->h.client, t, q, &a->reply, log_kit_pack(a, w->h.a))
			     : log_on_refusal(w->h.client, t, q, a->code);
	assert_true(r >= 0);
	commit(t);
	free(a);
	return r;
}

void settle(struct world *w, struct log_kit *log)
{
	struct log_question q;
	bool fresh = true;

	for (unsigned i = 0; i < 200 && next(w, fresh, &q); i++) {
		assert_int_equal(answer(w, log, &q, NULL), RK_OK);
		fresh = false;
	}
	assert_false(next(w, false, &q));
}

enum log_fault fault_of(struct world *w)
{
	struct txn *t = begin(w);
	struct log_fork f;
	int r = log_fork(w->h.client, t, w->h.a, &f);

	assert_true(r == RK_OK || r == RK_ENOTFOUND);
	assert_int_equal(log_check_send(w->h.client, t), r == RK_OK ? RK_EFORKED : RK_OK);
	env_abort(t);
	return r == RK_OK ? f.fault : LOG_FAULT_NONE;
}

struct log_fork fork_of(struct world *w)
{
	struct txn *t = begin(w);
	struct log_fork f;

	assert_int_equal(log_fork(w->h.client, t, w->h.a, &f), RK_OK);
	env_abort(t);
	return f;
}

uint64_t head_size(struct world *w)
{
	struct txn *t = begin(w);
	struct log_head head;
	int r = log_newest(w->h.client, t, w->h.a, &head);

	env_abort(t);
	return r == RK_OK ? head.checkpoint.size : 0;
}

uint64_t cosigned_size(struct world *w)
{
	struct txn *t = begin(w);
	struct log_head head;
	int r = log_cosigned(w->h.client, t, w->h.a, &head);

	env_abort(t);
	return r == RK_OK ? head.checkpoint.size : 0;
}

uint64_t unproven(struct world *w)
{
	struct txn *t = begin(w);
	uint64_t n = log_unproven(t);

	env_abort(t);
	return n;
}

/* ---- leaves and checkpoints that come */

uint64_t deliver_leaf(struct world *w, struct log_kit *log, const char *name, int64_t told)
{
	struct delivery d = {.stream = stream_mailbox(w->h.org_id), .kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS, .time_ms = told,
	                     .logged = true, .object = bytes_str(name)};
	struct txn *t = begin(w);
	uint8_t oh[32];

	ids_nda(oh, w->h.f.exchange_id, d.object);
	d.log_index = log_kit_add(log, RK__LOG_TYPE__LOG_NDA_TERMS, home_now_ms, oh);
	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK);
	commit(t);
	return d.log_index;
}

void see(struct world *w, struct bytes note, int org)
{
	struct txn *t = begin(w);

	assert_int_equal(log_on_seen(w->h.client, t, note, home_org(&w->h, org)), RK_OK);
	commit(t);
}

void deliver_checkpoint(struct world *w, struct bytes note)
{
	struct delivery d = {.stream = stream_control(), .kind = RK__ENTRY_KIND__ENTRY_CHECKPOINT, .time_ms = home_now_ms, .object = note};
	struct txn *t = begin(w);

	assert_int_equal(log_on_checkpoint(w->h.client, t, &d), RK_OK);
	commit(t);
}

void put_charter(struct world *w, uint64_t serial, unsigned number, struct bytes prev, const uint8_t *witness_pk)
{
	Rk__Charter *c = fixed_charter(&w->h.f, w->h.a);
	char name[NOTE_NAME_CHARS], log_vkey[NOTE_VKEY_CHARS], witness_vkey[NOTE_VKEY_CHARS];
	uint8_t key[BOOK_KEY_BYTES], *value;
	struct txn *t = begin(w);
	struct bytes wire;

	note_origin(name, w->h.f.exchange_id, number);
	assert_int_equal(note_vkey(log_vkey, name, NOTE_TYPE_LOG, w->h.f.log.pk), RK_OK);
	note_witness_name(name, w->h.f.exchange_id);
	assert_int_equal(note_vkey(witness_vkey, name, NOTE_TYPE_WITNESS, witness_pk != NULL ? witness_pk : w->h.f.witness.pk), RK_OK);
	c->serial = serial;
	c->log_vkey = log_vkey;
	c->witness_vkey = witness_vkey;
	c->prev_checkpoint = pb_of(prev);
	assert_int_equal(object_make(OBJECT_KIND_CHARTER, w->h.f.exchange_id, w->h.f.root.sk, &c->base, w->h.a, &wire), RK_OK);
	book_key(key, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, serial);
	assert_int_equal(env_reserve(t, C_OBJECT, BYTES_OF(key), 32 + wire.len, ENV_PUT, &value), RK_OK);
	memset(value, (int)serial, 32);
	memcpy(value + 32, wire.data, wire.len);
	commit(t);
}

/* ---- answers bent */

void bent_consistency(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	assert_true(a->set.consistency.len > 0);
	a->set.consistency.data[5] ^= 1;
}

void unknown(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->code = RK_UNKNOWN_OBJECT;
}

void older_version(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->code = RK_UNSUPPORTED;
}
