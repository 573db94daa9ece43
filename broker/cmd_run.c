/*
 * renkeid run: the steps in order, then a loop that waits for signals.  Nothing here is on the path of a message.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "broker/cmd.h"
#include "broker/secrets.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/rows.h"
#include "broker/server.h"
#include "broker/signer.h"
#include "broker/socket.h"
#include "proto/errcode.h"
#include "proto/ids.h"

#define TICK_MS 500
#define STOP_TICK_MS 5
#define APPLY_ALIVE_MS 15000  /* an apply thread silent for so long feeds no watchdog */
#define SPARE_DESCRIPTORS 256
#define HEAD_FILE "log.head"  /* the last checkpoint that was signed, beside the store and not in it */
#define HEAD_EVERY_MS 10000

/* Everything that run opens, closed in reverse by close_all. */
struct run {
	const struct cmd_options *options;
	struct config config;
	struct secrets keys;
	struct path path;
	struct apply *apply;
	struct server *server;
	struct checkpoint head;     /* what HEAD_FILE says, if our log key signed it; size 0 if not */
	int64_t head_ms;
	int lock_fd, signal_fd;
	char endpoint[SOCKET_ENDPOINT_CHARS], blobs[CMD_TEXT_MAX_BYTES];
	int64_t started_ms, metrics_ms, watchdog_ms;
};

static int read_config(struct run *r)
{
	char error[CONFIG_ERROR_CHARS];
	int code;

	config_defaults(&r->config);
	if (r->options->config == NULL)
		return 0;
	code = config_read(&r->config, r->options->config, error);
	if (code != RK_OK)
		return cmd_fail(code, "%s", error[0] != '\0' ? error : errcode_sentence(code, LANG_EN));
	return 0;
}

static int load_keys(struct run *r)
{
	const char *data = r->options->data, *failed;
	int code = secrets_load(data, &r->keys, &failed);

	if (code == RK_ENOTFOUND)
		return cmd_fail(code, "%s has no keys: run `renkeid init --data %s --listen tcp://ADDRESS:PORT` first",
				data, data);
	return code == RK_OK ? 0 : cmd_fail_code(code, "%s/%s", data, failed);
}

/* At the limit libzmq's accept burns a core; short of descriptors it aborts (Z14): refuse to start instead. */
static int check_descriptors(struct run *r)
{
	rlim_t need = (rlim_t)(2 * r->config.connections + SPARE_DESCRIPTORS);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return cmd_fail(RK_EIO, "the limit of open files cannot be read: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= need)
		return 0;
	return cmd_fail(RK_QUOTA,
			"%lld connections need %llu open files (twice as many, and %d more), but only %llu are "
			"allowed: raise the limit (LimitNOFILE= of the service, or ulimit -n), or set [network] "
			"connections lower",
			(long long)r->config.connections, (unsigned long long)need, SPARE_DESCRIPTORS,
			(unsigned long long)limit.rlim_cur);
}

static int open_apply(struct run *r)
{
	const struct config *c = &r->config;
	struct apply_limits limits = apply_default_limits;
	int code;

	limits.org_stored_bytes = (uint64_t)c->org_stored_bytes;
	limits.pair_pending_bytes = (uint64_t)c->pair_pending_bytes;
	limits.unsigned_ndas_per_org = (uint32_t)c->unsigned_ndas;
	limits.org_blob_bytes = (uint64_t)c->org_blob_bytes;
	limits.blob_reserve_bytes = (uint64_t)c->blob_reserve_bytes;
	limits.open_per_day = (uint32_t)c->open_per_day;
	limits.notices_per_day = (uint32_t)c->notices_per_day;
	limits.soft_percent = (uint32_t)c->soft_percent;
	limits.hard_percent = (uint32_t)c->hard_percent;
	limits.rate_per_s = (uint32_t)c->rate_per_s;
	limits.burst = (uint32_t)c->burst;
	if ((r->path.roster = roster_new()) == NULL)
		return cmd_fail_code(RK_ENOMEM, "run");
	code = apply_open(r->path.env, &limits, r->path.roster, &r->apply);
	if (code != RK_OK)
		return cmd_fail_code(code, "the store in %s cannot be read; `renkeid check --data %s` says more",
				     r->options->data, r->options->data);
	if (!roster_exchange(r->path.roster, r->path.exchange_id) || !apply_generation(r->apply, r->path.generation))
		return cmd_fail(
			RK_ENOTJOINED,
			"%s holds no exchange yet: give it its charter with `renkeid adopt --data %s charter.rk`",
			r->options->data, r->options->data);
	r->path.apply = r->apply;
	return 0;
}

/* With other keys members would not be connected, and what is signed would not be taken: better to say it here. */
static int check_keys(struct run *r)
{
	const Rk__Charter *charter = apply_charter(r->apply);
	const char *foreign;
	struct note_key log;
	int code = note_key_parse(&log, charter->log_vkey);

	if (code != RK_OK)
		return cmd_fail_code(code, "the charter in %s", r->options->data);
	foreign = secrets_foreign(&r->keys, charter->curve_pk.data, log.pk);
	if (foreign == NULL)
		return 0;
	return cmd_fail(RK_CONFLICT,
			"%s/%s is not the key that the charter of this exchange names: it belongs to another broker, or the store does.  "
			"Put this exchange's own keys beside its store; they never change",
			r->options->data, foreign);
}

static int start_clock(struct run *r)
{
	struct txn *txn;
	int64_t last_ms = 0;
	int code = env_begin(r->path.env, false, &txn);

	if (code == RK_OK) {
		code = rows_get_time(txn, &last_ms);
		env_abort(txn);
	}
	if (code == RK_OK)
		code = sequence_new(&sequence_system_clock, last_ms, r->options->accept_clock, &r->path.sequence);
	if (code == RK_CLOCK)
		return cmd_fail(code,
				"the clock is %lld s behind the last entry of the store: set the clock right; if the "
				"store's time was wrong, start once with --accept-clock",
				(long long)((last_ms - sequence_system_clock.wall_ms(NULL)) / 1000));
	return code == RK_OK ? 0 : cmd_fail_code(code, "the time of the last batch cannot be read");
}

/*
 * What was signed last lies beside the store, so that a store that is put back from a copy is noticed here, before a member does.  A
 * folder that was put back whole is noticed by the first member who has seen more (HELLO).
 */
static int show_signed(struct run *r)
{
	struct note_key log, witness;
	struct note_opened opened;
	struct note note = {.len = 0};
	char path[CMD_TEXT_MAX_BYTES];
	FILE *f;
	int code;

	snprintf(path, sizeof(path), "%s/" HEAD_FILE, r->options->data);
	if ((f = fopen(path, "re")) != NULL) {
		note.len = fread(note.text, 1, sizeof(note.text), f);
		fclose(f);
	} else if (errno != ENOENT) {
		return cmd_fail(RK_EIO, "%s cannot be read: %s", path, strerror(errno));
	}
	roster_note_keys(r->path.roster, &log, &witness);
	if (note.len == 0 || note_open_later(bytes_make(note.text, note.len), &log, r->path.exchange_id, &opened) != RK_OK)
		return 0;
	r->head = opened.checkpoint;
	code = apply_show_signed(r->apply, &opened.checkpoint, sequence_time(r->path.sequence));
	return code == RK_OK ? 0 : cmd_fail_code(code, "%s", path);
}

/* Whom the log belongs to from now on: this process, with this key. */
static int start_signer(struct run *r)
{
	struct checkpoint head;
	int code;

	if ((r->path.signer = signer_new(r->keys.log_sk)) == NULL)
		return cmd_fail_code(RK_ENOMEM, "run");
	if ((code = show_signed(r)) != 0)
		return code;
	apply_head(r->apply, &head);
	signer_commit(r->path.signer, &head);
	if (!apply_is_read_only(r->apply))
		return 0;
	signer_stop(r->path.signer);
	atomic_store(&r->path.read_only, true);
	log_error("main", "read-only", "log_size=%llu hint=\"this store is older than what this broker has signed; see RESTORE in "
	          "renkeid(8)\"", (unsigned long long)head.size);
	return 0;
}

/* The file only ever goes up: what it says was signed, whatever has become of the store. */
static bool goes_up(const struct run *r, const struct checkpoint *last)
{
	unsigned before = note_origin_number(r->head.origin, r->path.exchange_id);
	unsigned now = note_origin_number(last->origin, r->path.exchange_id);

	return now != before ? now > before : last->size > r->head.size;
}

static void keep_head(struct run *r, int64_t now_ms)
{
	struct checkpoint says;
	struct note last;
	int code;

	if (now_ms - r->head_ms < HEAD_EVERY_MS || !signer_last(r->path.signer, &last))
		return;
	r->head_ms = now_ms;
	if (note_read(bytes_make(last.text, last.len), &says) != RK_OK || !goes_up(r, &says))
		return;
	code = secrets_write_file(r->options->data, HEAD_FILE, last.text, (uint32_t)last.len, 0600);
	if (code == RK_OK)
		r->head = says;
	else
		log_warning("main", "head-not-written", "code=%s", errcode_name(code));
}

/* Everything but the synchronous faults, so that no thread of ours or of libzmq is ever interrupted (Z18). */
static int block_signals(struct run *r)
{
	sigset_t all, ours;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	if (pthread_sigmask(SIG_BLOCK, &all, NULL) != 0)
		return cmd_fail(RK_EINTERNAL, "signals cannot be blocked");
	r->signal_fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signal_fd >= 0 ? 0 : cmd_fail(RK_EIO, "signals cannot be read: %s", strerror(errno));
}

/* ZAP first: a ROUTER without it lets anybody in (Z6). */
static int open_network(struct run *r)
{
	char listen[CMD_TEXT_MAX_BYTES];
	void *zap, *router;
	const char *failed;
	int code;

	if (!cmd_read_text(r->options->data, "listen", listen))
		return cmd_fail(RK_ENOTFOUND,
				"%s/listen is missing: it says where to listen, as one line tcp://ADDRESS:PORT",
				r->options->data);
	r->path.zmq = socket_context();
	zap = r->path.zmq != NULL ? socket_zap(r->path.zmq) : NULL;
	if (zap == NULL)
		return cmd_fail(RK_EIO, "the network library does not start: %s", zmq_strerror(errno));
	router = socket_router(r->path.zmq, &r->config, r->keys.curve_sk, listen, r->endpoint, &failed);
	if (router == NULL) {
		code = cmd_fail(RK_EIO, "cannot listen at %s (%s): %s", listen, failed, zmq_strerror(errno));
		zmq_close(zap);
		return code;
	}
	code = server_start(&r->path, router, zap, &r->server);
	return code == RK_OK ? 0 : cmd_fail_code(code, "the threads do not start");
}

/* ---- the loop */

static void say_ready(struct run *r)
{
	char exchange[2 * 32 + 1];
	int code = secrets_write_file(r->options->data, "endpoint", r->endpoint, (uint32_t)strlen(r->endpoint), 0600);

	if (code != RK_OK)
		log_warning("main", "endpoint-not-written", "code=%s", errcode_name(code));
	ids_hex(exchange, BYTES_OF(r->path.exchange_id));
	log_info("main", "ready", "endpoint=%s exchange=%s log_size=%llu version=%s", r->endpoint, exchange,
	         (unsigned long long)apply_log_size(r->apply), CMD_VERSION);
	sd_notifyf(0, "READY=1\nSTATUS=%s at %s", atomic_load(&r->path.read_only) ? "Read-only" : "Serving", r->endpoint);
}

/* The watchdog is fed by the apply thread's progress, not by this timer alone. */
static void tick(struct run *r)
{
	int64_t now = path_monotonic_ms();
	uint64_t watchdog_us = 0;

	keep_head(r, now);
	metrics_set(M_IN_FLIGHT, atomic_load(&r->path.load.count));
	metrics_set(M_BLOB_HELD, atomic_load(&r->path.held.all));
	metrics_set(M_IN_FLIGHT_BYTES, atomic_load(&r->path.load.bytes));
	if (now - atomic_load(&r->path.apply_alive_ms) < APPLY_ALIVE_MS) {
		if (sd_watchdog_enabled(0, &watchdog_us) > 0 && now - r->watchdog_ms >= (int64_t)(watchdog_us / 3000)) {
			sd_notify(0, "WATCHDOG=1");
			r->watchdog_ms = now;
		}
	}
	if (r->config.metrics_s > 0 && now - r->metrics_ms >= r->config.metrics_s * 1000) {
		r->metrics_ms = now;
		metrics_log();
	}
}

static bool got_signal(struct run *r)
{
	struct signalfd_siginfo info;

	return read(r->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info);
}

/* Until a signal asks for the stop (RK_OK), or a thread cannot go on (its code). */
static int serve(struct run *r)
{
	struct pollfd fds[2] = {{.fd = r->signal_fd, .events = POLLIN}, {.fd = r->path.failure_fd, .events = POLLIN}};

	for (;;) {
		(void)poll(fds, 2, TICK_MS);
		if (atomic_load(&r->path.failure) != 0)
			return atomic_load(&r->path.failure);
		if (got_signal(r))
			return RK_OK;
		tick(r);
	}
}

/* Crash-only: what was acknowledged is on disk, and the next start reads what is there (HAZARDS K1, L8). */
static void end_at_once(int code)
{
	log_error("main", "ended", "code=%s", errcode_name(code));
	_exit(errcode_exit(code));
}

static void stop(struct run *r)
{
	struct pollfd fd = {.fd = r->signal_fd, .events = POLLIN};
	int64_t deadline = path_monotonic_ms() + r->config.drain_ms;

	log_info("main", "stopping", "in_flight=%llu", (unsigned long long)atomic_load(&r->path.load.count));
	sd_notify(0, "STOPPING=1");
	server_drain(r->server);
	while (!server_is_drained(r->server)) {
		(void)poll(&fd, 1, STOP_TICK_MS);
		if (got_signal(r))
			end_at_once(RK_EINTERRUPTED);
		if (atomic_load(&r->path.failure) != 0)
			end_at_once(atomic_load(&r->path.failure));
		if (path_monotonic_ms() > deadline)
			end_at_once(RK_ETIMEOUT);
	}
	server_stop(r->server);
	r->head_ms = -HEAD_EVERY_MS;
	keep_head(r, path_monotonic_ms());
	metrics_log();
	log_info("main", "stopped", "batches=%llu", (unsigned long long)metrics_get(M_BATCHES));
}

static void close_all(struct run *r)
{
	/* One context in the process, ended last of all that is libzmq's (Z18). */
	if (r->path.zmq != NULL)
		zmq_ctx_term(r->path.zmq);
	signer_free(r->path.signer);
	apply_close(r->apply);
	env_close(r->path.env);
	roster_free(r->path.roster);
	sequence_free(r->path.sequence);
	path_clear(&r->path);
	secrets_wipe(&r->keys);
	if (r->signal_fd >= 0)
		close(r->signal_fd);
	if (r->lock_fd >= 0)
		close(r->lock_fd);
}

static int prepare(struct run *r)
{
	struct env *env = NULL;
	int code;

	cmd_harden();
	if ((code = read_config(r)) != 0 || (code = load_keys(r)) != 0)
		return code;
	log_set((enum log_level)r->config.log_level, (uint32_t)r->config.log_lines_per_s);
	if (!cmd_lock(r->options->data, &r->lock_fd, &code) || (code = check_descriptors(r)) != 0)
		return code;
	if (path_init(&r->path, &r->config) != RK_OK)
		return cmd_fail_code(RK_ENOMEM, "run");
	if (!cmd_open_store(r->options->data, &r->config, CMD_STORE_WRITE, &env, &code))
		return code;
	r->path.env = env;
	if (r->config.journal_bytes > 0 && !env_has_journal(env))
		log_warning("main", "no-journal", "hint=\"the disk has no room for it: each post waits for a commit\"");
	if (env_taken_up(env) > 0)
		log_info("store", "journal", "taken_up=%llu", (unsigned long long)env_taken_up(env));
	if (snprintf(r->blobs, sizeof(r->blobs), "%s/" CMD_BLOBS_NAME, r->options->data) >= (int)sizeof(r->blobs))
		return cmd_fail(RK_EUSAGE, "the path of the data folder is too long");
	r->path.blobs_folder = r->blobs;
	if ((code = open_apply(r)) != 0 || (code = check_keys(r)) != 0 || (code = start_clock(r)) != 0 || (code = start_signer(r)) != 0 ||
	    (code = block_signals(r)) != 0)
		return code;
	return open_network(r);
}

int cmd_run(const struct cmd_options *o)
{
	struct run *r = calloc(1, sizeof(*r));
	int code;

	if (r == NULL)
		return cmd_fail_code(RK_ENOMEM, "run");
	r->options = o;
	r->lock_fd = r->signal_fd = -1;
	code = prepare(r);
	if (code == 0) {
		int failure;

		say_ready(r);
		r->started_ms = r->metrics_ms = path_monotonic_ms();
		failure = serve(r);
		if (failure != RK_OK)
			end_at_once(failure);
		stop(r);
	}
	close_all(r);
	free(r);
	return code;
}
