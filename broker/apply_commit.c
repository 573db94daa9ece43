/* The end of a batch: saved in the journal, or committed with all that was saved before; and what is done where that fails.  APPLY.md; store/DESIGN, "The journal". */
#include "broker/apply_internal.h"

#include <assert.h>

/* All that the transaction has goes into the tables.  Should it fail, what was saved is in the journal still. */
static int commit_all(struct apply *a)
{
	int rc = env_commit(a->txn);

	a->txn = NULL;
	a->has_saved = a->has_saved && rc != RK_OK;
	return rc;
}

static int finish_writes(struct apply *a)
{
	int rc;

	if (a->failed != RK_OK)
		return a->failed;
	if ((rc = apply_writer_flush(a)) != RK_OK || (rc = apply_log_flush(a)) != RK_OK)
		return rc;
	if (a->batch_wrote && a->now_ms != a->last_time_ms && (rc = rows_put_time(a->txn, a->now_ms)) != RK_OK)
		return rc;
	return apply_load_next_due(a, a->txn);
}

/* Saved, or committed with all that was saved before; the transaction stays open only where it was saved.  Its own error says more than what a
 * function made of it. */
static int make_durable(struct apply *a)
{
	int rc = finish_writes(a), sticky;

	if (rc == RK_OK && a->is_saving) {
		rc = env_save(a->txn);
		a->has_saved = a->has_saved || rc == RK_OK;
		if (rc == RK_OK)
			return RK_OK;
		if (rc == RK_TOO_LARGE || rc == RK_EDISKFULL)
			rc = RK_OK;
	}
	if (rc == RK_OK)
		return commit_all(a);
	sticky = env_error(a->txn);
	env_abort(a->txn);
	a->txn = NULL;
	return sticky != RK_OK ? sticky : rc;
}

/* What is kept in memory, as of the last batch that is durable: the journal gives back what went with the transaction. */
static int load_again(struct apply *a)
{
	int rc;

	/* The same rows take about the same pages; where they have no room now, nothing may go on as if they had been lost: the process ends, and the
	 * journal stays. */
	if (a->has_saved && (rc = env_begin(a->env, true, &a->txn)) != RK_OK)
		return rc == RK_STORE_FULL || rc == RK_EDISKFULL ? RK_ESTORE : rc;
	return apply_load(a, false);
}

int apply_commit(struct apply *a)
{
	int rc, again;

	assert(a->in_batch);
	a->in_batch = false;
	rc = make_durable(a);
	if (rc == RK_OK) {
		a->last_time_ms = a->now_ms;
		a->head = a->next_head;
		return apply_batch_finish(a);
	}
	a->change_count = a->touched_count = 0;
	if (rc != RK_EDISKFULL && rc != RK_STORE_FULL) {
		a->effect_count = 0;
		return rc;
	}
	if ((again = load_again(a)) != RK_OK || (again = apply_batch_refuse_all(a, RK_STORE_FULL)) != RK_OK) {
		a->effect_count = 0;
		return again;
	}
	return rc;
}

bool apply_is_stored(const struct apply *a)
{
	return !a->has_saved;
}

int apply_store(struct apply *a)
{
	int rc, again;

	assert(!a->in_batch);
	if (!a->has_saved)
		return RK_OK;
	rc = commit_all(a);
	if ((rc == RK_EDISKFULL || rc == RK_STORE_FULL) && (again = load_again(a)) != RK_OK)
		return again;
	return rc;
}

void apply_let_go(struct apply *a)
{
	assert(!a->in_batch);
	if (a->txn)
		env_abort(a->txn);
	a->txn = NULL;
}
