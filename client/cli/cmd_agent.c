/*
 * agent: a process that stays, for a user's unit of systemd: it keeps the keys in order, takes in what comes (and picks up nothing), and
 * runs a command for each new entry of the inbox.  `secretariat serve` is the same process with the secretariat's duties.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/notify.h"
#include "client/cli/out.h"
#include "client/cli/shared.h"
#include "client/secretariat_duty.h"

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000
#define PAUSE_STEP_MS 250
#define DUTY_MS 60000      /* while another process has the link */
#define DUTY_AGAIN_MS 600000
#define CATCH_UP_MS 20000

struct resident {
	struct cli *c;
	struct notifier *notifier; /* NULL: no --notify */
	bool serves, holds, was_connected, said_down;
	uint64_t directory_item;   /* of a duty, until it is answered */
	int64_t watchdog_ms, duty_ms, again_ms;
	int lock, duty_error;
};

static int64_t monotonic_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what it says: a line an event, on stdout */

static void tell(struct resident *r, const char *event, const char *what, int64_t count, const char *sentence)
{
	if (!r->c->json) {
		if (!r->c->quiet)
			out_raw(sentence);
		return;
	}
	json_t *j = json_object();
	out_set_text(j, "event", event);
	out_set_time(j, "time", client_now(r->c->client));
	out_set_text(j, "what", what);
	out_set_number(j, "count", count);
	/* Nobody may be reading any more: the work goes on. */
	(void)out_json(j);
}

static void on_notify(void *user, enum notify_fault fault, const struct agent_event *e, int value)
{
	struct resident *r = user;
	enum lang lang = r->c->lang;
	const char *kind = shared_inbox_kind(e->kind);
	char sentence[400];
	switch (fault) {
	case NOTIFY_STARTED:
		snprintf(sentence, sizeof(sentence), text(TEXT_AGENT_NOTIFIED, lang), cli_word(r->c, kind));
		return tell(r, "notified", kind, e->unread, sentence);
	case NOTIFY_FAILED:
		snprintf(sentence, sizeof(sentence), text(TEXT_AGENT_NOTIFY_FAILED, lang), value);
		return tell(r, "notify-failed", kind, value, sentence);
	case NOTIFY_TOO_LONG:
		snprintf(sentence, sizeof(sentence), text(TEXT_AGENT_NOTIFY_LONG, lang), NOTIFY_LIMIT_MS / 1000);
		return tell(r, "notify-killed", kind, NOTIFY_LIMIT_MS / 1000, sentence);
	case NOTIFY_NOT_RUN:
		snprintf(sentence, sizeof(sentence), text(TEXT_AGENT_NOTIFY_NOT_RUN, lang), strerror(value));
		return tell(r, "notify-failed", kind, value, sentence);
	}
}

static void tell_link(struct resident *r)
{
	struct txn *txn;
	if (env_begin(client_env(r->c->client), false, &txn) != RK_OK)
		return;
	bool connected = meta_u64(txn, META_LINK_UP) != 0;
	env_abort(txn);
	if (connected == r->was_connected)
		return;
	r->was_connected = connected;
	r->said_down = r->said_down && !connected;
	tell(r, connected ? "connected" : "disconnected", NULL, 0,
	     text(connected ? TEXT_AGENT_CONNECTED : TEXT_AGENT_DISCONNECTED, r->c->lang));
	sd_notifyf(0, "STATUS=%s", connected ? "Connected" : "Not connected; trying again");
}

/* ---- the secretariat's duties */

static void tell_duty(struct resident *r, const char *name, unsigned count, enum text_id id)
{
	char sentence[400];
	snprintf(sentence, sizeof(sentence), text(id, r->c->lang), count);
	tell(r, "duty", name, count, sentence);
}

static void tell_done(struct resident *r, const struct secretariat_done *done)
{
	if (done->directory)
		tell_duty(r, "directory", 1, TEXT_SERVE_DIRECTORY);
	if (done->epoch)
		tell_duty(r, "epoch", 1, TEXT_SERVE_EPOCH);
	if (done->feed_keys)
		tell_duty(r, "feed-keys", done->feed_keys, TEXT_SERVE_FEED_KEYS);
	if (done->checkpoint)
		tell_duty(r, "cosign", 1, TEXT_SERVE_COSIGNED);
	if (done->directory)
		r->directory_item = done->directory_item;
}

static void tell_undone(struct resident *r, int code)
{
	char sentence[400];
	snprintf(sentence, sizeof(sentence), text(TEXT_SERVE_FAILED, r->c->lang), errcode_sentence(code, r->c->lang));
	tell(r, "duty-failed", errcode_name(code), code, sentence);
}

/* Without a new directory nothing else that is due goes through. */
static void look_at_directory(struct resident *r)
{
	struct outcome o;
	struct txn *txn;
	if (!r->directory_item || env_begin(client_env(r->c->client), false, &txn) != RK_OK)
		return;
	int rc = outbox_outcome(txn, r->directory_item, &o);
	env_abort(txn);
	if (rc == RK_BUSY)
		return;
	r->directory_item = 0;
	if (rc == RK_OK && o.code != RK_OK)
		tell_undone(r, o.code);
}

/* A duty that fails is tried again after a while, and said once as long as it fails in the same way. */
static int do_duties(struct client *client, void *user)
{
	struct resident *r = user;
	struct secretariat_done done;
	r->duty_ms = monotonic_now();
	if (!r->serves)
		return RK_OK;
	look_at_directory(r);
	if (r->duty_ms < r->again_ms || !secretariat_is_due(client))
		return RK_OK;
	int rc = secretariat_duties(client, &done);
	/* What is still due right after it was done was refused: not every minute. */
	if (rc != RK_BUSY)
		r->again_ms = r->duty_ms + DUTY_AGAIN_MS;
	tell_done(r, &done);
	/* An earlier change is on its way: nothing is wrong. */
	if (rc != RK_OK && rc != RK_BUSY && rc != r->duty_error)
		tell_undone(r, rc);
	r->duty_error = rc == RK_BUSY ? r->duty_error : rc;
	return RK_OK;
}

/* Another process of this home has the link, a `feed watch` for a day: the duties are done all the same, after catching up through it. */
static void duties_without_link(struct resident *r)
{
	const struct link_options o = {.timeout_ms = CATCH_UP_MS, .stop = &r->c->stop, .until_synced = true};
	if (!r->serves || r->holds || monotonic_now() - r->duty_ms < DUTY_MS)
		return;
	r->duty_ms = monotonic_now();
	if (link_run(r->c->client, &o) == RK_OK)
		(void)do_duties(r->c->client, r);
}

/* ---- staying */

static void feed_watchdog(struct resident *r)
{
	uint64_t watchdog_us = 0;
	int64_t now = monotonic_now();
	if (sd_watchdog_enabled(0, &watchdog_us) <= 0 || now - r->watchdog_ms < (int64_t)(watchdog_us / 3000))
		return;
	r->watchdog_ms = now;
	sd_notify(0, "WATCHDOG=1");
}

static int look_around(struct resident *r)
{
	feed_watchdog(r);
	tell_link(r);
	return r->notifier ? notify_tick(r->notifier, r->c->client) : RK_OK;
}

static int step(struct client *client, void *user)
{
	struct resident *r = user;
	(void)client;
	int rc = look_around(r);
	duties_without_link(r);
	return rc;
}

/* What no waiting mends: a person has to look. */
static bool is_final(int code)
{
	switch (code) {
	case RK_EOTHERHOME: case RK_STALE_WRITER: case RK_SUPERSEDED: case RK_REVOKED: case RK_NOT_ADMITTED: case RK_WRONG_EXCHANGE:
	case RK_VERSION: case RK_EKEYFILE: case RK_EPASSPHRASE: case RK_ENOTJOINED: case RK_ESTORE: case RK_EINTERNAL:
		return true;
	default:
		return false;
	}
}

static void pause_a_while(struct resident *r, int64_t window_ms)
{
	int64_t until = monotonic_now() + PAUSE_MIN_MS + (int64_t)randombytes_uniform((uint32_t)window_ms);
	while (!r->c->stop && monotonic_now() < until) {
		const struct timespec quarter = {.tv_nsec = PAUSE_STEP_MS * 1000000L};
		nanosleep(&quarter, NULL);
		(void)look_around(r);
	}
}

static int stay(struct resident *r)
{
	const struct link_options o = {.timeout_ms = -1, .stop = &r->c->stop, .step = step, .user = r, .resident = true, .holds = &r->holds,
				       .caught_up = do_duties};
	for (int64_t window = PAUSE_MIN_MS; !r->c->stop;) {
		int64_t began = monotonic_now();
		int rc = link_run(r->c->client, &o);
		if (r->c->stop)
			break;
		if (is_final(rc))
			return cli_fail(r->c, rc, TEXT_CANNOT_STAY);
		if (rc != RK_OK && !r->said_down)
			tell(r, "retry", errcode_name(rc), rc, errcode_sentence(rc, r->c->lang));
		r->said_down = rc != RK_OK;
		/* Whoever was up for long begins again with short pauses. */
		window = monotonic_now() - began > PAUSE_MAX_MS ? PAUSE_MIN_MS : window * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : window * 2;
		pause_a_while(r, window);
	}
	return RK_OK;
}

static int unlock(struct resident *r)
{
	struct client *client = r->c->client;
	int rc = keys_unlock(client, KEY_DEVICE);
	if (rc == RK_OK && r->serves)
		rc = secretariat_unlock(client);
	if (rc == RK_OK && r->serves && keys_exists(client, KEY_WITNESS))
		rc = keys_unlock(client, KEY_WITNESS);
	return rc == RK_OK ? rc : cli_fail(r->c, rc, TEXT_CANNOT_STAY);
}

static int refuse_second(struct cli *c)
{
	char since[OUT_TIME_CHARS];
	struct agent_view v = {0};
	struct txn *txn;
	if (env_begin(client_env(c->client), false, &txn) == RK_OK) {
		(void)agent_view(c->client, txn, &v);
		env_abort(txn);
	}
	return cli_refuse(c, RK_ELOCKED, TEXT_HINT_AGENT_RUNS, TEXT_AGENT_RUNS, out_time(since, v.since));
}

static int run(struct cli *c, int argc, char **argv, bool serves)
{
	const char *command = NULL;
	const struct cli_option options[] = {{"notify", CLI_TEXT, &command, "CMD", TEXT_OPT_NOTIFY, false}, {0}};
	const struct cli_usage usage = {options, "", 0, 0, serves ? TEXT_HELP_SERVE : TEXT_HELP_AGENT};
	struct resident r = {.c = c, .serves = serves, .lock = -1};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK && command && !*command)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_BAD_FIELD, "--notify");
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK && serves && !secretariat_is_here(c->client))
		return cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_SECRETARIAT, TEXT_NOT_SECRETARIAT);
	if (rc != RK_OK || (rc = unlock(&r)) != RK_OK)
		return rc;
	if ((rc = agent_begin(c->client, serves, &r.lock)) == RK_ELOCKED)
		return refuse_second(c);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_STAY);
	if (command && !(r.notifier = notify_new(command, NOTIFY_LIMIT_MS, on_notify, &r)))
		rc = RK_ENOMEM;
	if (rc == RK_OK) {
		tell(&r, "started", NULL, 0, text(TEXT_AGENT_STARTED, c->lang));
		sd_notify(0, "READY=1\nSTATUS=Connecting");
		rc = stay(&r);
	}
	sd_notify(0, "STOPPING=1");
	if (rc == RK_OK)
		tell(&r, "stopped", NULL, 0, text(TEXT_AGENT_STOPPED, c->lang));
	notify_free(r.notifier);
	close(r.lock);
	return rc;
}

int cmd_agent(struct cli *c, int argc, char **argv)
{
	return run(c, argc, argv, false);
}

int cmd_secretariat_serve(struct cli *c, int argc, char **argv)
{
	return run(c, argc, argv, true);
}
