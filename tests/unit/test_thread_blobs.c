/*
 * Attachments through the path without its network: admit, blobs, verify, apply and deliver run as the broker runs them, over real files, and
 * this program plays front.  Uploads with every break in them, downloads, files that nobody wants, and the memory of what is read ahead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "broker/applier.h"
#include "broker/blobs.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/net.h"
#include "broker/page_load.h"
#include "broker/signer.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/world.h"

#define WAIT_MS 20000
#define A 1
#define B 2
#define TO_B 4u
#define TO_AB 6u
#define PART ((size_t)256 * 1024)
#define LEN (3 * PART + 1234)

struct rig {
	struct world w;
	struct config config;
	struct path path;
	struct net net;
	struct admit *admit;
	struct applier *applier;
	struct deliver *deliver;
	struct verify *verify;
	struct blobs *blobs;
	struct verify_thread part;
	pthread_t net_thread, apply_thread, verify_thread, blobs_thread, pages_thread;
	char folder[300];
	uint8_t nda[32];
	uint8_t *data;            /* LEN bytes of an attachment */
	Rk__BlobRef *ref;
	struct bytes bulk;        /* of the last reply */
	bool disk_hangs;          /* the blobs thread does nothing until end_hang */
	bool is_read_only;        /* the store is older than its log */
	bool keeps;               /* bulk replies are kept, as a connection that nobody reads keeps them */
	struct message_out *kept[256];
	unsigned kept_count;
};

static int64_t fixed_wall(void *user)
{
	return ((struct rig *)user)->w.now_ms;
}

static int64_t fixed_boot(void *user)
{
	(void)user;
	return 0;
}

static struct rig *rig_open(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint8_t seed[randombytes_SEEDBYTES] = {7}, hash[32];

	assert_non_null(r);
	world_open(&r->w);
	world_admit(&r->w, A);
	world_admit(&r->w, B);
	world_agree(&r->w, TO_AB, r->nda);
	config_defaults(&r->config);
	r->config.verify_threads = 1;
	r->config.blob_reserve_bytes = 0;
	snprintf(r->folder, sizeof(r->folder), "%s/blobs", r->w.folder);
	assert_non_null(r->data = malloc(LEN));
	randombytes_buf_deterministic(r->data, LEN, seed);
	ids_sha256(hash, bytes_make(r->data, LEN));
	r->ref = world_blob(&r->w, LEN);
	r->ref->sha256 = world_copy(&r->w, hash, 32);
	return r;
}

static void rig_start(struct rig *r)
{
	const struct sequence_clock clock = {fixed_wall, fixed_boot, r};
	struct path *p = &r->path;

	assert_int_equal(path_init(p, &r->config), RK_OK);
	/* This thread plays front: what net frees is not its to use again. */
	ring_free(p->load.spent);
	p->load.spent = NULL;
	p->roster = r->w.roster;
	p->env = r->w.env;
	p->apply = r->w.apply;
	p->blobs_folder = r->folder;
	atomic_store(&p->read_only, r->is_read_only);
	assert_int_equal(sequence_new(&clock, 0, false, &p->sequence), RK_OK);
	assert_true(roster_exchange(p->roster, p->exchange_id));
	assert_true(apply_generation(p->apply, p->generation));
	assert_non_null(p->signer = signer_new(r->w.f.log.sk));
	r->admit = admit_new(p);
	r->applier = applier_new(p);
	r->deliver = deliver_new(p);
	r->verify = verify_new(p->roster, p->exchange_id);
	assert_int_equal(blobs_new(p, &r->blobs), RK_OK);
	pthread_create(&r->apply_thread, NULL, applier_run, r->applier);
	pthread_create(&r->pages_thread, NULL, page_load_thread, p);
	if (!r->disk_hangs)
		pthread_create(&r->blobs_thread, NULL, blobs_run, r->blobs);
	r->part = (struct verify_thread){p, r->verify, 0};
	pthread_create(&r->verify_thread, NULL, verify_run, &r->part);
	r->net = (struct net){p, NULL, r->admit, r->deliver};
	pthread_create(&r->net_thread, NULL, net_run, &r->net);
}

static void end_hang(struct rig *r)
{
	r->disk_hangs = false;
	pthread_create(&r->blobs_thread, NULL, blobs_run, r->blobs);
}

/* ---- playing front */
static void send_bytes(struct rig *r, const struct command *c, struct bytes part)
{
	struct peer peer = c->peer;
	zmq_msg_t frames[COMMAND_FRAMES_MAX];
	struct message_in *m;
	unsigned n = c->frame_count;

	peer.routing_id_len = 1;
	peer.routing_id[0] = c->peer.id[0];
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(zmq_msg_init_size(&frames[i], c->frames[i].len), 0);
		memcpy(zmq_msg_data(&frames[i]), c->frames[i].data, c->frames[i].len);
	}
	if (part.data != NULL) {
		assert_int_equal(zmq_msg_init_size(&frames[n], part.len), 0);
		memcpy(zmq_msg_data(&frames[n++]), part.data, part.len);
	}
	assert_non_null(m = message_in_new(&peer, frames, n, &r->path.load));
	assert_true(ring_push(r->path.front_admit, m));
}

static const struct bytes nothing = {NULL, 0};

static const Rk__Reply *take_reply(struct rig *r, struct message_out *o)
{
	Rk__Down *down;

	assert_int_equal(o->kind, MESSAGE_REPLY);
	assert_int_equal(STRICT_PARSE(down, bytes_make(zmq_msg_data(&o->frames[0]), zmq_msg_size(&o->frames[0])), r->w.arena, &down), RK_OK);
	r->bulk = nothing;
	if (o->frame_count == 2)
		r->bulk = bytes_of(world_copy(&r->w, zmq_msg_data(&o->frames[1]), zmq_msg_size(&o->frames[1])));
	if (r->keeps && o->frame_count == 2 && r->kept_count < 256)
		r->kept[r->kept_count++] = o;
	else
		message_out_free(o);
	return down->reply;
}

static const Rk__Reply *next_reply(struct rig *r)
{
	const struct timespec pause = {.tv_nsec = 200000};
	struct ring *const rings[] = {r->path.apply_front, r->path.admit_front, r->path.deliver_front};

	for (int64_t end = path_monotonic_ms() + WAIT_MS; path_monotonic_ms() < end; nanosleep(&pause, NULL))
		for (size_t i = 0; i < 3; i++) {
			struct message_out *o = ring_pop(rings[i]);

			if (o != NULL)
				return take_reply(r, o);
		}
	fail_msg("no reply");
	return NULL;
}

static const Rk__Reply *ask_with(struct rig *r, const struct command *c, struct bytes part)
{
	send_bytes(r, c, part);
	return next_reply(r);
}

static int ask(struct rig *r, const struct command *c)
{
	int code = (int)ask_with(r, c, nothing)->code;

	/* Numbers move on as a client's do. */
	if (c->req->number != 0)
		for (int o = 0; o < WORLD_ORGS; o++)
			if (memcmp(r->w.orgs[o].devices[0].id, c->peer.id, 16) == 0)
				r->w.orgs[o].devices[0].number++;
	return code;
}

static void hello_of(struct rig *r, int org, int device)
{
	Rk__Request *q = world_request(&r->w, org, device, RK__OP__OP_HELLO);
	Rk__Hello *h = fixed_alloc(r->w.arena, sizeof(*h));

	rk__hello__init(h);
	h->protocol_min = h->protocol_max = 1;
	q->hello = h;
	assert_int_equal(ask(r, world_command(&r->w, org, device, q, nothing, nothing, nothing)), RK_OK);
}

static void hello(struct rig *r, int org)
{
	hello_of(r, org, 0);
}

static struct command *put_command_of(struct rig *r, int org, int device, uint64_t offset)
{
	struct command *c = world_blob_put_command(&r->w, org, r->ref, 0, false);
	Rk__Request *q = world_request(&r->w, org, device, RK__OP__OP_BLOB_PUT);
	Rk__BlobPut *put = fixed_alloc(r->w.arena, sizeof(*put));

	*put = *c->req->blob_put;
	put->offset = offset;
	q->blob_put = put;
	return world_command(&r->w, org, device, q, nothing, nothing, nothing);
}

static struct command *put_command(struct rig *r, int org, uint64_t offset)
{
	return put_command_of(r, org, 0, offset);
}

static struct bytes part_at(struct rig *r, uint64_t offset)
{
	return bytes_make(r->data + offset, offset + PART < LEN ? PART : LEN - offset);
}

static const Rk__Reply *put(struct rig *r, uint64_t offset)
{
	return ask_with(r, put_command(r, A, offset), part_at(r, offset));
}

/* A PUT without bytes. */
static const Rk__Reply *question(struct rig *r)
{
	return ask_with(r, put_command(r, A, 0), nothing);
}

/* After a stop nothing is inside and nothing is held. */
static void rig_stop(struct rig *r)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct path *p = &r->path;

	for (int i = 0; i < WAIT_MS && atomic_load(&p->load.count) != 0; i++)
		nanosleep(&pause, NULL);
	while (r->kept_count > 0)
		message_out_free(r->kept[--r->kept_count]);
	assert_int_equal(atomic_load(&p->load.count), 0);
	assert_int_equal(atomic_load(&p->load.bytes), 0);
	assert_int_equal(atomic_load(&p->held.all), 0);
	for (unsigned i = 0; i < MESSAGE_HELD_SLOTS; i++)
		assert_int_equal(atomic_load(&p->held.of[i]), 0);
	atomic_store(&p->stopping, true);
	path_wake(p);
	pthread_join(r->verify_thread, NULL);
	pthread_join(r->blobs_thread, NULL);
	pthread_join(r->pages_thread, NULL);
	pthread_join(r->apply_thread, NULL);
	atomic_store(&r->path.closing, true);
	path_wake(&r->path);
	pthread_join(r->net_thread, NULL);
	assert_int_equal(atomic_load(&p->failure), 0);
	blobs_free(r->blobs);
	admit_free(r->admit);
	applier_free(r->applier);
	deliver_free(r->deliver);
	verify_free(r->verify);
	signer_free(p->signer);
	sequence_free(p->sequence);
	path_clear(p);
}

static void rig_restart(struct rig *r)
{
	rig_stop(r);
	rig_start(r);
	hello(r, A);
	hello(r, B);
}

static void rig_close(struct rig *r)
{
	rig_stop(r);
	world_close(&r->w);
	free(r->data);
	free(r);
}

/* Length of the attachment's file, -1: not there. */
static int64_t file_length(struct rig *r, const char *suffix)
{
	char path[500], hex[65];
	struct stat st;

	ids_hex(hex, bytes_of(r->ref->sha256));
	snprintf(path, sizeof(path), "%s/%.2s/%s%s", r->folder, hex, hex, suffix);
	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static bool wait_gone(struct rig *r, const char *suffix)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (int i = 0; i < WAIT_MS && file_length(r, suffix) >= 0; i++)
		nanosleep(&pause, NULL);
	return file_length(r, suffix) < 0;
}

static void begin(struct rig *r)
{
	rig_start(r);
	hello(r, A);
	hello(r, B);
	assert_int_equal(ask(r, world_blob_open_command(&r->w, A, r->nda, r->ref)), RK_OK);
}

static void upload(struct rig *r)
{
	const Rk__Reply *reply = NULL;

	for (uint64_t at = 0; at < LEN; at += PART) {
		reply = put(r, at);
		assert_int_equal(reply->code, RK_OK);
		assert_true(reply->blob->have <= at + PART);
	}
	assert_true(reply->blob->complete);
	assert_int_equal(reply->blob->have, LEN);
}

static void disclose(struct rig *r, uint8_t env_id[32])
{
	assert_int_equal(ask(r, world_blob_disclose_command(&r->w, A, TO_B, r->nda, &r->ref, 1, env_id)), RK_OK);
	assert_int_equal(ask(r, world_pickup_command(&r->w, B, 0, r->nda, (const uint8_t(*)[32])env_id, 1)), RK_OK);
}

static struct command *fetch_command(struct rig *r, int org, const uint8_t env_id[32], uint64_t offset, uint32_t len)
{
	return world_blob_fetch_command(&r->w, org, 0, env_id, 1, offset, len);
}

/* ---- the tests */

static void what_was_sent_in_parts_is_fetched_in_parts(void **state)
{
	struct rig *r = rig_open();
	uint8_t env_id[32];
	uint64_t at = 0;

	(void)state;
	begin(r);
	upload(r);
	assert_int_equal(file_length(r, ""), LEN);
	assert_int_equal(file_length(r, ".part"), -1);
	disclose(r, env_id);
	while (at < LEN) {
		const Rk__Reply *reply = ask_with(r, fetch_command(r, B, env_id, at, 300000), nothing);

		assert_int_equal(reply->code, RK_OK);
		assert_int_equal(reply->fetch->total, LEN);
		assert_int_equal(reply->fetch->offset, at);
		assert_true(r->bulk.len == 300000 || at + r->bulk.len == LEN);
		assert_memory_equal(r->bulk.data, r->data + at, r->bulk.len);
		at += r->bulk.len;
	}
	assert_int_equal(at, LEN);
	assert_int_equal(ask(r, fetch_command(r, B, env_id, LEN, 1)), RK_MALFORMED);
	rig_close(r);
}

static void gaps_repeats_and_excess_are_answered_with_what_is_there(void **state)
{
	struct rig *r = rig_open();
	const Rk__Reply *reply;

	(void)state;
	begin(r);
	reply = put(r, PART);
	assert_int_equal(reply->code, RK_OUT_OF_ORDER);
	assert_int_equal(reply->blob->have, 0);
	assert_int_equal(put(r, 0)->code, RK_OK);
	assert_int_equal(put(r, 0)->code, RK_OK); /* again */
	reply = put(r, 2 * PART);
	assert_int_equal(reply->code, RK_OUT_OF_ORDER);
	assert_int_equal(reply->blob->have, PART); /* told durably */
	/* A part that begins in what is there and ends behind it. */
	assert_int_equal(put(r, PART / 2)->code, RK_OK);
	reply = question(r);
	assert_int_equal(reply->code, RK_OK);
	assert_int_equal(reply->blob->have, PART + PART / 2);
	assert_false(reply->blob->complete);
	/* More than the announced length. */
	reply = ask_with(r, put_command(r, A, PART + PART / 2), bytes_make(r->data, PART));
	assert_int_equal(reply->code, RK_OK);
	reply = ask_with(r, put_command(r, A, LEN - 10), bytes_make(r->data, 11));
	assert_int_equal(reply->code, RK_MALFORMED);
	/* Others learn nothing. */
	reply = ask_with(r, put_command(r, B, 0), nothing);
	assert_int_equal(reply->code, RK_UNKNOWN_OBJECT);
	assert_null(reply->blob);
	rig_close(r);
}

static void a_wrong_hash_begins_at_0_and_the_right_one_ends_well(void **state)
{
	struct rig *r = rig_open();
	const Rk__Reply *reply = NULL;

	(void)state;
	begin(r);
	r->data[5] ^= 1;
	for (uint64_t at = 0; at < LEN; at += PART)
		reply = put(r, at);
	assert_int_equal(reply->code, RK_MALFORMED);
	assert_int_equal(reply->blob->have, 0);
	assert_false(reply->blob->complete);
	assert_int_equal(file_length(r, ""), -1);
	assert_int_equal(file_length(r, ".part"), -1);
	r->data[5] ^= 1;
	upload(r);
	assert_int_equal(question(r)->blob->have, LEN);
	rig_close(r);
}

static void an_upload_goes_on_after_a_restart_from_what_is_there(void **state)
{
	struct rig *r = rig_open();
	const Rk__Reply *reply;
	uint8_t env_id[32];

	(void)state;
	begin(r);
	assert_int_equal(put(r, 0)->code, RK_OK);
	assert_int_equal(put(r, PART)->code, RK_OK);
	assert_int_equal(question(r)->blob->have, 2 * PART);
	/* Not less than it was told, whatever the first word is. */
	rig_restart(r);
	assert_true(put(r, PART)->blob->have >= 2 * PART);
	rig_restart(r);
	reply = question(r);
	assert_int_equal(reply->code, RK_OK);
	assert_int_equal(reply->blob->have, 2 * PART);
	assert_int_equal(put(r, 2 * PART)->code, RK_OK);
	rig_restart(r);
	reply = put(r, 3 * PART);
	assert_int_equal(reply->code, RK_OK);
	assert_true(reply->blob->complete);
	/* A restart between the file's last name and the row: here the row has not seen it. */
	rig_restart(r);
	assert_true(question(r)->blob->complete);
	disclose(r, env_id);
	rig_close(r);
}

static void the_last_part_before_its_row_is_found_complete_later(void **state)
{
	struct rig *r = rig_open();
	char from[500], to[500], hex[65];
	const Rk__Reply *reply;
	FILE *f;

	(void)state;
	begin(r);
	rig_stop(r);
	/* As a kill between the file's rename and the batch leaves it. */
	ids_hex(hex, bytes_of(r->ref->sha256));
	snprintf(from, sizeof(from), "%s/%.2s/%s.part", r->folder, hex, hex);
	snprintf(to, sizeof(to), "%s/%.2s/%s", r->folder, hex, hex);
	assert_non_null(f = fopen(from, "w"));
	assert_int_equal(fwrite(r->data, 1, LEN, f), LEN);
	fclose(f);
	assert_int_equal(rename(from, to), 0);
	rig_start(r);
	hello(r, A);
	reply = question(r);
	assert_int_equal(reply->code, RK_OK);
	assert_true(reply->blob->complete);
	assert_int_equal(reply->blob->have, LEN);
	rig_close(r);
}

/* A window of parts in flight, other requests among them: the device's order holds. */
static void what_follows_the_parts_waits_for_them(void **state)
{
	struct rig *r = rig_open();
	uint8_t env_id[32];
	bool completed = false;

	(void)state;
	begin(r);
	for (uint64_t at = 0; at < LEN; at += PART)
		send_bytes(r, put_command(r, A, at), part_at(r, at));
	/* Sent before any answer came: accepted only if it is behind the last part. */
	send_bytes(r, world_blob_disclose_command(&r->w, A, TO_B, r->nda, &r->ref, 1, env_id), nothing);
	for (unsigned i = 0; i < 5; i++) {
		const Rk__Reply *reply = next_reply(r);

		assert_int_equal(reply->code, RK_OK);
		if (reply->op == RK__OP__OP_SUBMIT)
			assert_true(completed);
		else
			completed = reply->blob->complete;
	}
	rig_close(r);
}

/*
 * One member floods the blobs thread while the disk hangs: by number, then by bytes.  What is above its share is refused, the broker's memory
 * stays free for others, others are answered meanwhile, and what was taken is answered when the disk is back.
 */
static void a_disk_that_hangs_stops_nobody_else(void **state)
{
	struct rig *r = rig_open();
	const struct command *question_a, *part_a;
	unsigned taken = 0;

	(void)state;
	rig_start(r);
	hello(r, A);
	hello(r, B);
	assert_int_equal(ask(r, world_blob_open_command(&r->w, A, r->nda, r->ref)), RK_OK);
	rig_stop(r);
	r->disk_hangs = true;
	rig_start(r);
	hello(r, A);
	hello(r, B);
	question_a = put_command(r, A, 0);
	part_a = put_command(r, A, 0);
	for (unsigned i = 0; i < 100; i++)
		send_bytes(r, part_a, part_at(r, 0));
	/* Each is refused at once or taken; none is waited for. */
	for (taken = 100; taken > r->config.ring_bytes / 8 / (int64_t)(PART + 1); taken--)
		assert_int_equal(next_reply(r)->code, RK_BUSY);
	/* What was refused is given back a moment after its answer. */
	for (unsigned i = 0; i < 5000 && atomic_load(&r->path.load.bytes) > (uint64_t)r->config.ring_bytes / 8; i++)
		nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
	assert_true(atomic_load(&r->path.load.bytes) <= (uint64_t)r->config.ring_bytes / 8);
	for (unsigned i = 0; i < PATH_BLOBS_MAX + 200; i++) {
		send_bytes(r, question_a, nothing);
		taken++;
	}
	while (taken > 128) {
		const Rk__Reply *reply = next_reply(r);

		assert_int_equal(reply->op, RK__OP__OP_BLOB_PUT);
		assert_int_equal(reply->code, RK_BUSY);
		taken--;
	}
	/* Another member is served as ever. */
	hello(r, B);
	assert_int_equal(ask(r, world_act_command(&r->w, B, world_act(&r->w, B, r->nda, RK__ACT_KIND__HOLD))), RK_OK);
	assert_int_equal(ask(r, world_act_command(&r->w, B, world_act(&r->w, B, r->nda, RK__ACT_KIND__RESUME))), RK_OK);
	end_hang(r);
	for (; taken > 0; taken--)
		assert_int_equal(next_reply(r)->code, RK_OK);
	/* Its share is free again. */
	upload(r);
	rig_close(r);
}

/* However many devices an organisation has, three quarters of the places are others'. */
static void devices_of_one_organisation_share_its_places(void **state)
{
	const unsigned each = 120, share = PATH_BLOBS_MAX / 4;
	struct rig *r = rig_open();
	const struct command *theirs;

	(void)state;
	for (int device = 1; device < WORLD_DEVICES; device++)
		r->w.orgs[A].devices[device].is_listed = true;
	assert_int_equal(world_put_devices(&r->w, A, 0, world_devices(&r->w, A)), RK_OK);
	rig_start(r);
	hello(r, A);
	assert_int_equal(ask(r, world_blob_open_command(&r->w, A, r->nda, r->ref)), RK_OK);
	rig_stop(r);
	r->disk_hangs = true;
	rig_start(r);
	for (int device = 0; device < WORLD_DEVICES; device++) {
		const struct command *question_a;

		hello_of(r, A, device);
		question_a = put_command_of(r, A, device, 0);
		for (unsigned i = 0; i < each; i++)
			send_bytes(r, question_a, nothing);
	}
	for (unsigned refused = WORLD_DEVICES * each - share; refused > 0; refused--)
		assert_int_equal(next_reply(r)->code, RK_BUSY);
	/* There is still a place for another one: it is taken, and answered like all that were when the disk is back. */
	hello(r, B);
	theirs = put_command(r, B, 0);
	send_bytes(r, theirs, nothing);
	end_hang(r);
	for (unsigned taken = share + 1, own = 0; taken > 0; taken--) {
		int code = (int)next_reply(r)->code;

		/* The blob is A's: B's question is answered as one about nothing. */
		assert_true(code == RK_OK || (code == RK_UNKNOWN_OBJECT && own++ == 0));
	}
	rig_close(r);
}

static void files_go_when_their_rows_go(void **state)
{
	struct rig *r = rig_open();
	uint8_t env_id[32];

	(void)state;
	begin(r);
	assert_int_equal(put(r, 0)->code, RK_OK);
	assert_true(file_length(r, ".part") > 0);
	assert_int_equal(ask(r, world_act_command(&r->w, B, world_act(&r->w, B, r->nda, RK__ACT_KIND__TERMINATE))), RK_OK);
	assert_true(wait_gone(r, ".part"));
	rig_stop(r);
	world_agree(&r->w, TO_AB, r->nda);
	begin(r);
	upload(r);
	disclose(r, env_id);
	assert_int_equal(ask(r, world_nack_command(&r->w, B, 0, world_nack_of(&r->w, B, 0, r->nda, env_id, RK__NACK_REASON__NACK_UNOPENED))), RK_OK);
	assert_int_equal(file_length(r, ""), LEN);
	rig_stop(r);
	r->w.now_ms += 21 * WORLD_DAY_MS;
	rig_start(r);
	assert_true(wait_gone(r, ""));
	rig_close(r);
}

/* Files of no row are swept at the start; foreign names and wanted files stay. */
static void a_start_sweeps_what_no_row_wants(void **state)
{
	struct rig *r = rig_open();
	char stray[400], foreign[400];
	const struct timespec pause = {.tv_nsec = 1000000};

	(void)state;
	begin(r);
	upload(r);
	rig_stop(r);
	snprintf(stray, sizeof(stray), "%s/ab/ab%062d.part", r->folder, 0);
	snprintf(foreign, sizeof(foreign), "%s/ab/notes.txt", r->folder);
	close(open(stray, O_CREAT | O_WRONLY, 0600));
	close(open(foreign, O_CREAT | O_WRONLY, 0600));
	/* Not beside an older store: what it does not name may be the newer one's. */
	r->is_read_only = true;
	rig_start(r);
	for (int i = 0; i < 100; i++)
		nanosleep(&pause, NULL);
	rig_stop(r);
	assert_int_equal(access(stray, F_OK), 0);
	r->is_read_only = false;
	rig_start(r);
	for (int i = 0; i < WAIT_MS && access(stray, F_OK) == 0; i++)
		nanosleep(&pause, NULL);
	assert_int_not_equal(access(stray, F_OK), 0);
	assert_int_equal(access(foreign, F_OK), 0);
	assert_int_equal(file_length(r, ""), LEN);
	rig_close(r);
}

/* Whoever asks and does not read holds a bounded share of memory; others are served. */
static void bulk_that_nobody_reads_is_bounded(void **state)
{
	struct rig *r = rig_open();
	uint8_t env_id[32];
	unsigned taken = 0;
	int code = RK_OK;

	(void)state;
	r->w.orgs[A].devices[1].is_listed = true;
	assert_int_equal(world_put_devices(&r->w, A, 0, world_devices(&r->w, A)), RK_OK);
	begin(r);
	hello_of(r, A, 1);
	upload(r);
	disclose(r, env_id);
	r->keeps = true;
	while (code == RK_OK && taken < 200)
		if ((code = ask(r, world_blob_fetch_command(&r->w, A, (int)(taken & 1), env_id, 1, 0, 786432))) == RK_OK)
			taken++;
	/* All devices of one organisation together; another one is not concerned. */
	assert_int_equal(code, RK_BUSY);
	assert_true(taken > 20 && taken * (uint64_t)786432 <= (uint64_t)32 << 20);
	assert_int_equal(ask(r, world_blob_fetch_command(&r->w, A, (int)(taken & 1) ^ 1, env_id, 1, 0, 786432)), RK_BUSY);
	assert_int_equal(ask(r, fetch_command(r, B, env_id, 0, 786432)), RK_OK);
	r->keeps = false;
	while (r->kept_count > 0)
		message_out_free(r->kept[--r->kept_count]);
	assert_int_equal(ask(r, fetch_command(r, B, env_id, 0, 786432)), RK_OK);
	rig_close(r);
}

/* A file that is gone or cut is refused, and the broker goes on. */
static void a_damaged_file_is_refused(void **state)
{
	struct rig *r = rig_open();
	char path[500], hex[65];
	uint8_t env_id[32];

	(void)state;
	begin(r);
	upload(r);
	disclose(r, env_id);
	ids_hex(hex, bytes_of(r->ref->sha256));
	snprintf(path, sizeof(path), "%s/%.2s/%s", r->folder, hex, hex);
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(ask(r, fetch_command(r, B, env_id, 0, 500)), RK_OK);
	assert_int_equal(ask(r, fetch_command(r, B, env_id, 500, 1000)), RK_UNKNOWN_OBJECT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ask(r, fetch_command(r, B, env_id, 0, 500)), RK_UNKNOWN_OBJECT);
	rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sent_in_parts_is_fetched_in_parts),
		cmocka_unit_test(gaps_repeats_and_excess_are_answered_with_what_is_there),
		cmocka_unit_test(a_wrong_hash_begins_at_0_and_the_right_one_ends_well),
		cmocka_unit_test(an_upload_goes_on_after_a_restart_from_what_is_there),
		cmocka_unit_test(the_last_part_before_its_row_is_found_complete_later),
		cmocka_unit_test(what_follows_the_parts_waits_for_them),
		cmocka_unit_test(a_disk_that_hangs_stops_nobody_else),
		cmocka_unit_test(devices_of_one_organisation_share_its_places),
		cmocka_unit_test(files_go_when_their_rows_go),
		cmocka_unit_test(a_start_sweeps_what_no_row_wants),
		cmocka_unit_test(bulk_that_nobody_reads_is_bounded),
		cmocka_unit_test(a_damaged_file_is_refused),
	};
	if (sodium_init() < 0)
		return 1;
	log_set(LOG_LEVEL_ERROR, 0);
	return cmocka_run_group_tests_name("attachments between threads", tests, NULL, NULL);
}
