/* secretariat_duty: the rules, what they look at, and doing what they say. */
#include "client/secretariat_duty.h"

#include <stdlib.h>

#include "client/log.h"
#include "client/secretariat_ahead.h"
#include "client/secretariat_internal.h"
#include "proto/trust.h"

#define DAY_MS ((int64_t)86400000)
#define RESIGN_AFTER_MS (7 * DAY_MS)
#define ROTATE_BEFORE_MS (7 * DAY_MS)   /* of the end of an epoch: a secretariat that syncs weekly is never late */
#define REMOVED_AFTER_MS DAY_MS         /* at most one epoch a day for removed devices */
#define COSIGN_AFTER_MS DAY_MS
#define CHARTER_BEFORE_MS (90 * DAY_MS)

/* ---- rules */

/* After a restore of the exchange both directory and epoch are due at once: it may have lost the newest ones, and what is sealed under
 * them does not pass there. */
static struct secretariat_duty judge_directory(const struct secretariat_facts *f)
{
	struct secretariat_duty d = {.kind = OFFICE_DIRECTORY, .due_at = f->directory->issued_at + RESIGN_AFTER_MS,
				     .until = f->directory->expires_at};
	if (trust_may_step_over(f->charter, f->directory->issued_at)) {
		d.why = OFFICE_WHY_LOG;
		d.due_at = f->charter->issued_at;
	} else if (!trust_secretariat_pk(f->charter, f->directory->signer_id.data, f->now_ms)) {
		/* Signed by somebody who is no officer any more: whoever joins now could not believe it. */
		d.why = OFFICE_WHY_OFFICER;
		d.due_at = f->charter->issued_at;
	} else if (f->now_ms >= d.due_at) {
		d.why = OFFICE_WHY_AGE;
	}
	d.is_due = d.why != OFFICE_WHY_NONE;
	return d;
}

static struct secretariat_duty judge_epoch(const struct secretariat_facts *f)
{
	struct secretariat_duty d = {.kind = OFFICE_EPOCH, .due_at = f->epoch->not_after - ROTATE_BEFORE_MS, .until = f->epoch->not_after};
	int64_t removed_at = f->epoch->not_before + REMOVED_AFTER_MS;
	if (f->has_removed && removed_at < d.due_at)
		d.due_at = removed_at;
	if (f->has_expelled)
		d.why = OFFICE_WHY_EXPELLED;
	else if (trust_may_step_over(f->charter, f->epoch->not_before))
		d.why = OFFICE_WHY_LOG;
	else if (f->has_removed && f->now_ms >= removed_at)
		d.why = OFFICE_WHY_REMOVED;
	else if (f->now_ms >= d.due_at)
		d.why = OFFICE_WHY_AGE;
	d.is_due = d.why != OFFICE_WHY_NONE;
	if (d.why == OFFICE_WHY_EXPELLED || d.why == OFFICE_WHY_LOG)
		d.due_at = f->now_ms;
	return d;
}

void secretariat_judge(const struct secretariat_facts *f, struct secretariat_duty out[OFFICE_COUNT])
{
	out[OFFICE_DIRECTORY] = judge_directory(f);
	out[OFFICE_COSIGN] = (struct secretariat_duty){.kind = OFFICE_COSIGN, .is_due = f->cosign_due,
						       .due_at = f->cosigned_at ? f->cosigned_at + COSIGN_AFTER_MS : 0};
	out[OFFICE_EPOCH] = judge_epoch(f);
	out[OFFICE_FEED_KEYS] = (struct secretariat_duty){.kind = OFFICE_FEED_KEYS, .is_due = f->keys_missing > 0, .count = f->keys_missing};
	out[OFFICE_CHARTER] = (struct secretariat_duty){.kind = OFFICE_CHARTER, .by_hand = true,
							.is_due = f->now_ms >= f->charter->not_after - CHARTER_BEFORE_MS,
							.due_at = f->charter->not_after - CHARTER_BEFORE_MS, .until = f->charter->not_after};
	out[OFFICE_ENROLMENTS] = (struct secretariat_duty){.kind = OFFICE_ENROLMENTS, .by_hand = true, .is_due = f->waiting > 0,
							   .count = f->waiting};
	out[OFFICE_INVITES] = (struct secretariat_duty){.kind = OFFICE_INVITES, .by_hand = true, .count = f->invites};
	out[OFFICE_AHEAD] = (struct secretariat_duty){.kind = OFFICE_AHEAD, .by_hand = true, .count = f->ahead, .until = f->ahead_until};
}

const char *secretariat_duty_name(enum secretariat_duty_kind kind)
{
	static const char *const names[OFFICE_COUNT] = {"directory", "cosign", "epoch", "feed-keys", "charter", "enrolments", "invites",
							"ahead"};
	return (unsigned)kind < OFFICE_COUNT ? names[kind] : "";
}

const char *secretariat_why_name(enum secretariat_why why)
{
	static const char *const names[] = {"", "age", "expelled", "device-removed", "log", "officer"};
	return (unsigned)why < sizeof(names) / sizeof(names[0]) ? names[why] : "";
}

/* ---- facts */

static int count_device(void *user, const uint8_t device_id[16])
{
	(void)device_id;
	++*(unsigned *)user;
	return RK_OK;
}

static int count_request(void *user, const struct secretariat_request *r)
{
	(void)r;
	++*(unsigned *)user;
	return RK_OK;
}

static int count_invite(void *user, const Rkl__InviteRecord *r)
{
	(void)r;
	++*(unsigned *)user;
	return RK_OK;
}

static int read_newest(struct client *c, struct txn *txn, struct arena *a, struct secretariat_facts *f)
{
	Rk__Charter *charter;
	Rk__Directory *directory;
	Rk__FeedEpoch *epoch;
	uint8_t oh[32];
	int rc = book_charter(c, txn, a, &charter);
	if (rc == RK_OK)
		rc = book_directory(c, txn, a, &directory, oh);
	if (rc == RK_OK)
		rc = book_epoch(c, txn, 0, a, &epoch, oh);
	if (rc != RK_OK)
		return rc;
	*f = (struct secretariat_facts){.now_ms = client_now(c), .charter = charter, .directory = directory, .epoch = epoch};
	return RK_OK;
}

/* What can be done without a person. */
static int read_facts(struct client *c, struct txn *txn, struct arena *a, struct secretariat_facts *f)
{
	struct secretariat_leavers leavers;
	int rc = read_newest(c, txn, a, f);
	if (rc == RK_OK)
		rc = secretariat_find_leavers(c, txn, f->epoch->n, &leavers);
	if (rc == RK_OK)
		rc = secretariat_each_missing(c, txn, count_device, &f->keys_missing);
	if (rc != RK_OK)
		return rc;
	f->has_expelled = leavers.expelled;
	f->has_removed = leavers.removed;
	f->cosign_due = log_is_cosign_due(c, txn);
	return RK_OK;
}

int secretariat_list(struct client *c, struct txn *txn, struct secretariat_duty out[OFFICE_COUNT])
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct secretariat_facts f;
	struct ahead_view ahead;
	struct log_head cosigned;
	int rc = a ? read_facts(c, txn, a, &f) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = secretariat_each(c, txn, RKL__ENROLMENT_STATE__WAITING, count_request, &f.waiting);
	if (rc == RK_OK)
		rc = secretariat_each_invite(c, txn, count_invite, &f.invites);
	if (rc == RK_OK)
		rc = ahead_view(c, txn, &ahead);
	if (rc == RK_OK) {
		f.ahead = ahead.count;
		f.ahead_until = ahead.covers_until;
		f.cosigned_at = log_cosigned(c, txn, a, &cosigned) == RK_OK ? cosigned.witness_ms : 0;
		secretariat_judge(&f, out);
	}
	arena_free(a);
	return rc;
}

/* ---- doing it */

static bool is_doable(const struct secretariat_duty *d)
{
	return d->is_due && !d->by_hand;
}

bool secretariat_is_due(struct client *c)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct secretariat_duty d[OFFICE_COUNT];
	struct secretariat_facts f;
	struct txn *txn = NULL;
	bool due = false;
	int rc = a ? env_begin(client_env(c), false, &txn) : RK_ENOMEM;
	if (rc == RK_OK && read_facts(c, txn, a, &f) == RK_OK) {
		secretariat_judge(&f, d);
		for (size_t i = 0; i < OFFICE_COUNT; i++)
			due |= is_doable(&d[i]);
	}
	env_abort(txn);
	arena_free(a);
	return due;
}

static int queue_due(struct client *c, struct txn *txn, struct arena *a, struct secretariat_done *done)
{
	struct secretariat_duty d[OFFICE_COUNT];
	struct secretariat_facts f;
	uint64_t serial;
	int rc = read_facts(c, txn, a, &f);
	if (rc != RK_OK)
		return rc;
	secretariat_judge(&f, d);
	serial = f.directory->serial;
	if (is_doable(&d[OFFICE_DIRECTORY])) {
		rc = secretariat_queue_directory(c, txn, NULL, NULL, RK__ORG_STATUS__ORG_STATUS_NONE, &serial,
						 &done->directory_item);
		done->directory = rc == RK_OK;
	}
	if (rc == RK_OK && is_doable(&d[OFFICE_EPOCH])) {
		rc = secretariat_rotate(c, txn, serial, NULL, &done->feed_keys);
		done->epoch = rc == RK_OK;
		/* The last epoch is still on its way: this one waits, the directory does not. */
		if (rc == RK_BUSY && done->directory)
			rc = RK_OK;
	}
	return rc == RK_OK ? secretariat_queue_all_keys(c, txn, &done->feed_keys) : rc;
}

int secretariat_duties(struct client *c, struct secretariat_done *done)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct txn *txn = NULL;
	memset(done, 0, sizeof(*done));
	int rc = a ? secretariat_unlock(c) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = queue_due(c, txn, a, done);
	if (rc == RK_OK && (done->directory || done->epoch || done->feed_keys))
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free(a);
	/* In transactions of its own: what will be signed must be durable before it is. */
	return rc == RK_OK ? log_cosign(c, &done->checkpoint) : rc;
}
