/*
 * Files that no row wants: those that a commit has just freed, and those that a crash left behind.  A row is always written before its file and
 * dropped before it, so a file without a row is nobody's.  But not beside a store that is older than its own log: what it does not name may be
 * the newer one's, which its operator may still have.
 */
#include "broker/blobs_internal.h"

#include <stdlib.h>
#include <string.h>

#include "broker/log.h"
#include "broker/metrics.h"
#include "proto/errcode.h"

#define PARTS 256
#define PART_EVERY_MS 10000 /* all of them in 43 minutes: it finds what a crash left, or a full ring */

struct asking {
	struct blobs *blobs;
	struct txn *txn;
	int failure;
};

static enum blob_wish wish_for(struct asking *a, const uint8_t sha256[32])
{
	struct rows_blob row;
	int r = rows_get_blob(a->txn, sha256, &row);

	if (r == RK_ENOTFOUND || (r == RK_OK && row.state == BLOB_DROPPED))
		return BLOB_DROP;
	if (r != RK_OK)
		a->failure = r;
	/* While it is open, the part beside a whole one is about to become nothing by itself. */
	return r == RK_OK && row.state != BLOB_OPEN ? BLOB_KEEP_WHOLE : BLOB_KEEP;
}

static enum blob_wish ask(void *user, const uint8_t sha256[32])
{
	struct asking *a = user;
	enum blob_wish wish = wish_for(a, sha256);

	if (wish == BLOB_DROP)
		blobs_upload_forget(a->blobs, sha256);
	return wish;
}

static bool begin(struct blobs *b, struct asking *a)
{
	*a = (struct asking){.blobs = b};
	return env_begin(b->path->env, false, &a->txn) == RK_OK;
}

/* The transaction begins after the drops were taken, so it sees what their commits made of the rows. */
static void drop_some(struct blobs *b, struct blobs_drop **drops, size_t n)
{
	struct asking a;
	bool is_begun = begin(b, &a);

	/* Without the store nothing is dropped, only later: the sweep comes for it. */
	if (!is_begun)
		atomic_store(&b->path->blobs_sweep, true);
	for (size_t i = 0; i < n; i++) {
		bool any = false;

		if (is_begun && ask(&a, drops[i]->sha256) == BLOB_DROP && blob_drop(b->folder, drops[i]->sha256, &any) != RK_OK)
			metrics_add(M_BLOB_FAILED, 1);
		metrics_add(M_BLOB_DROPPED, any);
		free(drops[i]);
	}
	if (is_begun)
		env_abort(a.txn);
}

void blobs_sweep_drops(struct blobs *b)
{
	struct blobs_drop *drops[BLOBS_TURN];
	size_t n;

	do {
		for (n = 0; n < BLOBS_TURN && (drops[n] = ring_pop(b->path->apply_blobs)) != NULL; n++)
			;
		if (n > 0)
			drop_some(b, drops, n);
	} while (n == BLOBS_TURN);
}

bool blobs_sweep_some(struct blobs *b)
{
	unsigned dropped = 0;
	struct asking a;
	int r;

	if (atomic_load(&b->path->read_only))
		return false;
	if (atomic_exchange(&b->path->blobs_sweep, false)) {
		b->sweep_fast = true;
		b->sweep_part = 0;
	}
	if (!b->sweep_fast && b->now_ms < b->sweep_ms)
		return false;
	if (!begin(b, &a))
		return false;
	r = blob_sweep(b->folder, b->sweep_part, ask, &a, &dropped);
	env_abort(a.txn);
	metrics_add(M_BLOB_DROPPED, dropped);
	if (dropped > 0)
		log_info("blobs", "swept", "part=%02x files=%u", b->sweep_part, dropped);
	if (r != RK_OK || a.failure != RK_OK) {
		metrics_add(M_BLOB_FAILED, 1);
		log_warning("blobs", "not-swept", "part=%02x code=%s", b->sweep_part, errcode_name(r != RK_OK ? r : a.failure));
	}
	b->sweep_ms = b->now_ms + PART_EVERY_MS;
	b->sweep_part = (b->sweep_part + 1) % PARTS;
	if (b->sweep_part == 0)
		b->sweep_fast = false;
	return b->sweep_fast;
}
