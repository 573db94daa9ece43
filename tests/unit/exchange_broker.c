/* exchange_broker: see exchange_broker.h. */
#include "tests/unit/exchange_broker.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>
#include <zmq.h>

#include "broker/apply.h"
#include "broker/log.h"
#include "broker/rows.h"
#include "broker/secrets.h"
#include "broker/server.h"
#include "broker/signer.h"
#include "broker/socket.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "store/tables.h"

#define MAP_BYTES ((int64_t)256 * 1024 * 1024)

/* ---- the clock */

static _Atomic int64_t now_ms = EXCHANGE_START_MS;

int64_t exchange_now(void)
{
	return atomic_load(&now_ms);
}

void exchange_set_clock(int64_t ms)
{
	atomic_store(&now_ms, ms);
}

void exchange_pass(int64_t ms)
{
	atomic_fetch_add(&now_ms, ms);
}

/* Wall and boot clock in step: days may pass at once, and no clock was set wrong. */
static int64_t read_clock(void *user)
{
	(void)user;
	return exchange_now();
}

static const struct sequence_clock kit_clock = {read_clock, read_clock, NULL};

void exchange_must(int code, const char *what)
{
	time_t at = (time_t)(exchange_now() / 1000);
	char day[32];
	struct tm tm;

	if (code == RK_OK)
		return;
	strftime(day, sizeof(day), "%F %H:%M UTC", gmtime_r(&at, &tm));
	fprintf(stderr, "exchange: %s on %s: %s (%s)\n", what, day, errcode_name(code), errcode_sentence(code, LANG_EN));
	abort();
}

void exchange_need(bool ok, const char *what)
{
	exchange_must(ok ? RK_OK : RK_EINTERNAL, what);
}

/* ---- the broker: what cmd_init, cmd_adopt and cmd_run do */

struct exchange_run {
	struct config config;
	struct secrets keys;
	struct path path;
	struct apply *apply;
	struct server *server;
	char blobs[400];
};

static struct env *open_store(struct exchange_broker *b, bool create)
{
	char path[400];
	struct env_options o = {.path = path, .tables = broker_tables, .table_count = BROKER_TABLE_COUNT, .map_bytes = MAP_BYTES,
				.format = STORE_FORMAT, .create = create};
	struct env *env;

	snprintf(path, sizeof(path), "%s/store", b->data);
	exchange_must(env_open(&o, &env), "opening the broker's store");
	return env;
}

/* A port that was free a moment ago: the charter names it before the broker listens. */
static unsigned free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	exchange_need(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0, "free port");
	close(fd);
	return ntohs(at.sin_port);
}

void exchange_broker_init(struct exchange_broker *b, const char *folder, struct broker_card *card)
{
	struct secrets keys = {0};

	snprintf(b->data, sizeof(b->data), "%s/broker", folder);
	snprintf(b->endpoint, sizeof(b->endpoint), "tcp://127.0.0.1:%u", free_port());
	exchange_need(mkdir(b->data, 0700) == 0, "the broker's folder");
	exchange_must(secrets_create(b->data, &keys), "the broker's keys");
	memset(card, 0, sizeof(*card));
	memcpy(card->curve_pk, keys.curve_pk, 32);
	memcpy(card->log_pk, keys.log_pk, 32);
	snprintf(card->endpoint, sizeof(card->endpoint), "%s", b->endpoint);
	secrets_wipe(&keys);
}

int exchange_broker_adopt(struct exchange_broker *b, struct bytes bytes, bool next)
{
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct env *env = open_store(b, !next);
	uint8_t generation[16];
	Rk__CharterFile *file;
	int r;

	exchange_need(a != NULL, "memory");
	randombytes_buf(generation, sizeof(generation));
	r = STRICT_PARSE(charter_file, bytes, a, &file);
	if (r == RK_OK)
		r = next ? apply_adopt_next(env, file, generation, exchange_now()) : apply_adopt(env, file, generation, exchange_now());
	env_close(env);
	arena_free(a);
	return r;
}

static void open_apply(struct exchange_broker *b, struct exchange_run *r)
{
	struct apply_limits limits = apply_default_limits;

	limits.rate_per_s = (uint32_t)r->config.rate_per_s;
	limits.burst = (uint32_t)r->config.burst;
	limits.org_blob_bytes = (uint64_t)r->config.org_blob_bytes;
	limits.blob_reserve_bytes = 0;
	exchange_need((r->path.roster = roster_new()) != NULL, "roster");
	exchange_must(apply_open(r->path.env, &limits, r->path.roster, &r->apply), "apply_open");
	exchange_need(roster_exchange(r->path.roster, r->path.exchange_id) && apply_generation(r->apply, r->path.generation), "an exchange");
	memcpy(b->exchange_id, r->path.exchange_id, 32);
	r->path.apply = r->apply;
}

static void start_clock(struct exchange_run *r)
{
	struct checkpoint head;
	struct txn *t;
	int64_t last_ms;

	exchange_must(env_begin(r->path.env, false, &t), "broker's store");
	exchange_must(rows_get_time(t, &last_ms), "time of the last batch");
	env_abort(t);
	exchange_must(sequence_new(&kit_clock, last_ms, false, &r->path.sequence), "sequence_new");
	exchange_need((r->path.signer = signer_new(r->keys.log_sk)) != NULL, "signer");
	apply_head(r->apply, &head);
	signer_commit(r->path.signer, &head);
}

void exchange_broker_start(struct exchange_broker *b)
{
	struct exchange_run *r = calloc(1, sizeof(*r));
	char bound[SOCKET_ENDPOINT_CHARS];
	const char *failed = "";
	void *zap, *router;

	exchange_need(r != NULL && b->run == NULL, "one broker");
	config_defaults(&r->config);
	r->config.map_bytes = MAP_BYTES;
	r->config.verify_threads = 1;
	/* Days pass in a moment, and with them what a member may do in a day. */
	r->config.rate_per_s = 2000;
	r->config.burst = 5000;
	r->config.byte_burst = r->config.bytes_per_s = (int64_t)64 * 1024 * 1024;
	log_set(getenv("RENKEI_YEARS_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, 0);
	exchange_must(secrets_load(b->data, &r->keys, NULL), "the broker's keys");
	exchange_must(path_init(&r->path, &r->config), "path_init");
	snprintf(r->blobs, sizeof(r->blobs), "%s/blobs", b->data);
	r->path.blobs_folder = r->blobs;
	r->path.env = open_store(b, false);
	open_apply(b, r);
	start_clock(r);
	r->path.zmq = socket_context();
	zap = r->path.zmq != NULL ? socket_zap(r->path.zmq) : NULL;
	exchange_need(zap != NULL, "socket_zap");
	router = socket_router(r->path.zmq, &r->config, r->keys.curve_sk, b->endpoint, bound, &failed);
	exchange_need(router != NULL, failed);
	exchange_must(server_start(&r->path, router, zap, &r->server), "the broker's threads");
	b->run = r;
}

void exchange_broker_stop(struct exchange_broker *b)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	struct exchange_run *r = b->run;

	b->run = NULL;
	server_drain(r->server);
	while (!server_is_drained(r->server)) {
		exchange_must(atomic_load(&r->path.failure), "the broker");
		nanosleep(&pause, NULL);
	}
	server_stop(r->server);
	zmq_ctx_term(r->path.zmq);
	signer_free(r->path.signer);
	apply_close(r->apply);
	env_close(r->path.env);
	roster_free(r->path.roster);
	sequence_free(r->path.sequence);
	path_clear(&r->path);
	secrets_wipe(&r->keys);
	free(r);
}

/* ---- looking into its store */

static struct txn *look(struct exchange_broker *b)
{
	struct txn *t;

	exchange_need(b->run != NULL, "a running broker");
	exchange_must(env_begin(b->run->path.env, false, &t), "the broker's store");
	return t;
}

uint64_t exchange_broker_head(struct exchange_broker *b, const struct stream_id *id)
{
	struct txn *t = look(b);
	uint64_t first, head;

	exchange_must(stream_bounds(t, id, &first, &head), "a stream");
	env_abort(t);
	return head;
}

static struct bytes keep(struct arena *a, struct bytes b)
{
	void *copy;

	arena_raise(a, b.len + 64);
	copy = arena_copy(a, b.data, b.len);
	exchange_need(copy != NULL || b.len == 0, "memory");
	return bytes_make(copy, b.len);
}

bool exchange_broker_entry(struct exchange_broker *b, const struct stream_id *id, uint64_t seq, struct arena *a, struct stream_entry *e)
{
	struct txn *t = look(b);
	uint64_t position;
	int r = stream_position(t, id, seq, &position);

	if (r == RK_OK && (r = stream_read(t, position, true, e)) == RK_OK) {
		e->object = keep(a, e->object);
		e->wraps = keep(a, e->wraps);
		e->body = keep(a, e->body);
	}
	env_abort(t);
	return r == RK_OK;
}

/* By its name in the folder of attachments, while it grows or whole. */
static bool has_file(const char *folder, const uint8_t sha256[32])
{
	char hex[65], path[520];

	ids_hex(hex, bytes_make(sha256, 32));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%.2s/%s%s", folder, hex, hex, i == 0 ? ".part" : "");
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

bool exchange_broker_has_upload(struct exchange_broker *b, const uint8_t org_id[16], const uint8_t sha256[32])
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct txn *t = look(b);
	struct rows_blob row;
	uint8_t key[48];
	bool is_there;

	memcpy(key, org_id, 16);
	memcpy(key + 16, sha256, 32);
	is_there = env_has(t, T_UPLOAD, BYTES_OF(key)) || rows_get_blob(t, sha256, &row) == RK_OK;
	env_abort(t);
	/* The rows went with the directory; the file follows. */
	for (unsigned i = 0; !is_there && i < 1000; i++) {
		if (!has_file(b->run->blobs, sha256))
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}
