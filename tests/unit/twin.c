#include "tests/unit/twin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"

#define DUE_LIMIT 1000 /* as the world's */

void twin_open(struct twin *t, struct world *w, uint64_t journal_bytes)
{
	char path[300];

	t->world = w;
	store_kit_folder(t->folder);
	snprintf(path, sizeof(path), "%s/store", t->folder);
	assert_int_equal(env_copy(w->env, path), RK_OK);
	t->env = store_kit_open(t->folder, 0);
	assert_int_equal(apply_open(t->env, &w->limits, NULL, &t->apply), RK_OK);
	t->followed = w->record_count;
	w->journal_bytes = journal_bytes;
	w->gathers = true;
	twin_kill(t);
}

void twin_close(struct twin *t)
{
	apply_close(t->apply);
	env_close(t->env);
	store_kit_remove(t->folder);
}

static void same_effect(const struct effect *x, const struct effect *y)
{
	assert_int_equal(x->kind, y->kind);
	assert_ptr_equal(x->command, y->command);
	assert_int_equal(x->code, y->code);
	assert_true(bytes_equal(x->header, y->header));
	assert_int_equal(x->frame_count, y->frame_count);
	for (unsigned i = 0; i < x->frame_count; i++)
		assert_true(bytes_equal(x->frames[i], y->frames[i]));
	assert_int_equal(x->is_hello, y->is_hello);
	assert_memory_equal(x->device_id, y->device_id, 16);
	assert_memory_equal(&x->stream, &y->stream, sizeof(x->stream));
	assert_int_equal(x->seq, y->seq);
	assert_int_equal(x->entry != NULL, y->entry != NULL);
	if (x->entry == NULL)
		return;
	assert_true(x->entry->kind == y->entry->kind && x->entry->flags == y->entry->flags && x->entry->time_ms == y->entry->time_ms &&
	            x->entry->control_seq == y->entry->control_seq && x->entry->log_index == y->entry->log_index);
	assert_true(bytes_equal(x->entry->object, y->entry->object) && bytes_equal(x->entry->body, y->entry->body));
}

void twin_follow(struct twin *t, struct command *const *commands, size_t n)
{
	const struct effect *x, *y;
	size_t count, twins;

	assert_int_equal(t->world->record_count, t->followed + n);
	t->followed += n;
	assert_int_equal(apply_begin(t->apply, t->world->now_ms), RK_OK);
	apply_due(t->apply, DUE_LIMIT);
	for (size_t i = 0; i < n; i++)
		apply_command(t->apply, commands[i]);
	assert_int_equal(apply_commit(t->apply), RK_OK);
	x = apply_effects(t->world->apply, &count);
	y = apply_effects(t->apply, &twins);
	assert_int_equal(count, twins);
	for (size_t i = 0; i < count; i++)
		same_effect(&x[i], &y[i]);
	assert_true(apply_next_due(t->world->apply) == apply_next_due(t->apply));
	assert_true(apply_log_size(t->world->apply) == apply_log_size(t->apply));
}

int twin_ran(struct twin *t, int code)
{
	twin_follow(t, &t->world->records[t->world->record_count - 1].command, 1);
	return code;
}

int twin_run(struct twin *t, struct command *c)
{
	return twin_ran(t, world_run(t->world, c));
}

void twin_assert_stored(const struct twin *t)
{
	assert_true(apply_is_stored(t->world->apply));
	assert_true(store_kit_equal(t->world->env, t->env));
}

void twin_kill(struct twin *t)
{
	world_restart(t->world);
	twin_assert_stored(t);
}
