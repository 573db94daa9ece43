/*
 * A turn: what stands in the ring is looked up in one read transaction; then the drops of commits that are over by now; then all is written and
 * read; then each upload that must is synced, once for all its commands; then all go on.  Replies do not wait for a sync that nobody asked
 * for: `have` says what is durable, and lags.
 *
 * A drop is only ever a hint to look at the rows again.  So nothing is lost when the same attachment is opened anew before its old file was
 * dropped: its row is there again, and the file stays.
 */
#include "broker/blobs_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/log.h"
#include "broker/metrics.h"
#include "proto/errcode.h"

#define ROOM_EVERY_MS 1000
#define AHEAD_LATER_MS 200
#define HELD_EACH_BYTES ((uint64_t)32 << 20) /* read ahead for one organisation and not yet on the wire: what a fast far line holds */
#define HELD_ALL_BYTES ((uint64_t)256 << 20)

/* One command of a turn, and the rows that it is about. */
struct job {
	struct message_in *m;
	struct blobs_upload *upload; /* BLOB_PUT of one that grows */
	uint8_t org_id[16];          /* whose device it is */
	bool is_known;               /* its row was found, and may be looked at by this device */
	struct rows_blob blob;       /* BLOB_PUT */
	struct rows_attached attached; /* FETCH */
};

static void look_at_room(struct blobs *b)
{
	uint64_t room;

	if (b->room_ms != 0 && b->now_ms - b->room_ms < ROOM_EVERY_MS)
		return;
	b->room_ms = b->now_ms;
	if (blob_folder_room(b->folder, &room) != RK_OK)
		return;
	atomic_store(&b->path->blob_room, room);
	metrics_set(M_BLOB_ROOM, room >> 20);
}

int blobs_new(struct path *path, struct blobs **out)
{
	struct blobs *b = calloc(1, sizeof(*b));
	int r;

	*out = NULL;
	if (b == NULL)
		return RK_ENOMEM;
	b->path = path;
	b->reserve = (uint64_t)path->config->blob_reserve_bytes;
	b->ahead = (struct ahead){.env = path->env, .target_bytes = (uint64_t)path->config->ahead_bytes, .reserve_bytes = b->reserve};
	b->sweep_fast = true;
	if ((r = blob_folder_open(path->blobs_folder, true, &b->folder)) != RK_OK) {
		free(b);
		return r == RK_ENOTFOUND ? RK_EIO : r;
	}
	b->now_ms = path_monotonic_ms();
	look_at_room(b);
	*out = b;
	return RK_OK;
}

void blobs_free(struct blobs *b)
{
	struct blobs_drop *drop;

	if (b == NULL)
		return;
	blobs_upload_close_all(b);
	while ((drop = ring_pop(b->path->apply_blobs)) != NULL)
		free(drop);
	blob_folder_close(b->folder);
	free(b);
}

/* ---- looking up */

static int look_up_put(struct txn *t, struct job *j, const uint8_t org_id[16])
{
	const Rk__BlobPut *put = j->m->command.req->blob_put;
	int r;

	j->m->command.blob.code = RK_UNKNOWN_OBJECT;
	if ((r = rows_get_blob(t, put->sha256.data, &j->blob)) == RK_OK)
		j->is_known = j->blob.state != BLOB_DROPPED && memcmp(j->blob.org_id, org_id, 16) == 0;
	return r;
}

/* Who has a right to it as far as rows say; apply asks the gate.  Nobody makes the broker read what is not for him. */
static int look_up_fetch(struct txn *t, struct job *j, const uint8_t org_id[16])
{
	const Rk__Fetch *f = j->m->command.req->fetch;
	struct rows_envelope e;
	struct rows_wrap wrap;
	int r = rows_get_envelope(t, f->env_id.data, &e);

	if (r != RK_OK)
		return r;
	if (memcmp(e.sender_org, org_id, 16) != 0) {
		if (rows_recipient_index(&e, org_id) < 0)
			return RK_OK;
		if ((r = rows_get_wrap(t, f->env_id.data, j->m->command.peer.id, &wrap)) != RK_OK || !wrap.released)
			return r;
	}
	if ((r = rows_get_attached(t, f->env_id.data, (uint8_t)(f->blob - 1), &j->attached)) == RK_OK)
		j->is_known = f->offset < j->attached.len;
	return r;
}

static int look_up(struct txn *t, struct job *j)
{
	const struct command *c = &j->m->command;
	struct rows_device device;
	int r = rows_get_device(t, c->peer.id, &device);

	if (r == RK_OK)
		memcpy(j->org_id, device.org_id, 16);
	/* One that was removed meanwhile changes no file of its organisation any more, though apply has yet to say so. */
	if (r == RK_OK && device.state != DEVICE_LISTED)
		r = RK_ENOTFOUND;
	if (r == RK_OK)
		r = c->req->op == RK__OP__OP_FETCH ? look_up_fetch(t, j, device.org_id) : look_up_put(t, j, device.org_id);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* Without the store nothing is known: apply answers `busy`, or has failed by itself. */
static void look_up_all(struct blobs *b, struct job *jobs, size_t n)
{
	struct txn *t = NULL;
	int r = env_begin(b->path->env, false, &t);

	for (size_t i = 0; i < n; i++) {
		if (r == RK_OK)
			r = look_up(t, &jobs[i]);
		if (r != RK_OK) {
			jobs[i].is_known = false;
			jobs[i].m->command.refusal = RK_BUSY;
		}
	}
	if (t != NULL)
		env_abort(t);
	if (r != RK_OK)
		log_error("blobs", "lookup-failed", "code=%s", errcode_name(r));
}

/* ---- BLOB_PUT */

static void put(struct blobs *b, struct job *j)
{
	struct command *c = &j->m->command;

	c->blob.code = RK_OK;
	if (j->blob.state != BLOB_OPEN) {
		c->blob.have = j->blob.len;
		c->blob.is_complete = true;
		return;
	}
	j->upload = blobs_upload_get(b, c->req->blob_put->sha256.data, j->blob.len, &c->blob.code);
	if (j->upload == NULL)
		return;
	c->blob.code = blobs_upload_write(b, j->upload, c->req->blob_put->offset, c->body);
	/* A question, and a part that does not fit, are answered with how far it is: durably. */
	if (c->body.len == 0 || c->blob.code != RK_OK)
		j->upload->wants_sync = true;
}

/* After all was written and synced. */
static void answer_put(struct job *j)
{
	struct command *c = &j->m->command;

	if (j->upload != NULL) {
		c->blob.have = j->upload->part.synced;
		c->blob.is_complete = j->upload->part.is_whole;
		if (j->upload->failure != RK_OK)
			c->blob.code = j->upload->failure;
	}
	c->body = bytes_make(NULL, 0);
	/* It has done its work: what waits for apply is the header. */
	if (c->frame_count == 2)
		message_in_drop_frame(j->m, 1);
}

/* ---- FETCH */

static void read_ahead(struct blobs *b, struct job *j)
{
	struct command *c = &j->m->command;
	const Rk__Fetch *f = c->req->fetch;
	uint64_t len = j->attached.len - f->offset;
	uint8_t *room;
	int r;

	if (len > f->len)
		len = f->len;
	if (len == 0)
		return;
	c->blob.code = RK_BUSY;
	if ((room = message_in_bulk(j->m, (size_t)len, &b->path->held, j->org_id, HELD_EACH_BYTES, HELD_ALL_BYTES)) == NULL)
		return;
	r = blob_read(b->folder, j->attached.sha256, f->offset, room, (size_t)len);
	if (r == RK_OK) {
		c->blob.code = RK_OK;
		c->blob.is_read = true;
		c->blob.bulk = bytes_make(room, (size_t)len);
		return;
	}
	/* A file that is not there or short is refused as a damaged record is, and the broker lives on. */
	c->blob.code = r == RK_EIO || r == RK_ENOMEM ? RK_BUSY : RK_UNKNOWN_OBJECT;
	metrics_add(M_BLOB_FAILED, 1);
	log_error("blobs", "unreadable", "code=%s hint=\"renkeid check says which files are damaged\"", errcode_name(r));
}

/* ---- the loop */

static bool take_turn(struct blobs *b)
{
	struct job jobs[BLOBS_TURN];
	size_t n = 0;

	while (n < BLOBS_TURN && (jobs[n].m = ring_pop(b->path->admit_blobs)) != NULL) {
		jobs[n] = (struct job){.m = jobs[n].m};
		n++;
	}
	if (n == 0)
		return false;
	look_up_all(b, jobs, n);
	/* After the rows: a row that is there again has its drop in the ring, and finds that it is wanted. */
	blobs_sweep_drops(b);
	for (size_t i = 0; i < n; i++) {
		if (!jobs[i].is_known)
			continue;
		if (jobs[i].m->command.req->op == RK__OP__OP_FETCH)
			read_ahead(b, &jobs[i]);
		else
			put(b, &jobs[i]);
	}
	blobs_upload_settle(b);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].m->command.req->op == RK__OP__OP_BLOB_PUT)
			answer_put(&jobs[i]);
		ring_put_wait(b->path->blobs_admit, jobs[i].m);
	}
	ring_wake(b->path->blobs_admit);
	return true;
}

static bool is_empty(struct blobs *b)
{
	return ring_is_empty(b->path->admit_blobs) && ring_is_empty(b->path->apply_blobs);
}

/* Hashes are most of what this thread does, and nobody's post may wait for a core behind them.  Linux gives each thread a nice value of its own;
 * where it may not be set, all is as right and only slower. */
static void give_way(void)
{
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), BULK_NICE);
}

void *blobs_run(void *blobs)
{
	struct blobs *b = blobs;
	struct ring_bell *bell = b->path->blobs_bell;

	give_way();
	for (;;) {
		bool worked;
		int sleep_ms = 0;

		b->now_ms = path_monotonic_ms();
		/* Not while there is bulk to do: this thread would then wait for the disk with the writer's lock, and commits for it. */
		/* Nor while apply's transaction is open over several batches. */
		if (is_empty(b) && atomic_load(&b->path->stored) != atomic_load(&b->path->batches))
			sleep_ms = AHEAD_LATER_MS;
		else if (is_empty(b))
			sleep_ms = ahead_turn(&b->ahead, b->now_ms);
		b->hash_left = BLOBS_HASH_TURN_BYTES;
		look_at_room(b);
		worked = take_turn(b);
		blobs_sweep_drops(b);
		if (blobs_upload_idle(b) || blobs_sweep_some(b))
			worked = true;
		if (worked && !atomic_load(&b->path->stopping))
			continue;
		ring_bell_arm(bell);
		if (is_empty(b) && atomic_load(&b->path->stopping)) {
			ring_bell_disarm(bell);
			return NULL;
		}
		if (is_empty(b))
			ring_bell_sleep(bell, sleep_ms);
		else
			ring_bell_disarm(bell);
	}
}
