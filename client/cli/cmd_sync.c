/* sync: catching up, sending what waits, and what a secretariat owes. */
#include <stdio.h>
#include <string.h>

#include "client/cli/cmd_key.h"
#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/cli/upload.h"
#include "client/device.h"
#include "client/key_change.h"
#include "client/secretariat_duty.h"
#include "proto/strict.h"

/* A request that waits: asks how it stands. */
static int sync_pending(struct cli *c, bool *approved)
{
	int state = RK__ENROL_STATE__ENROL_PENDING;
	int rc = link_enrol(c->client, &c->stop, &state);
	*approved = rc == RK_OK && state == RK__ENROL_STATE__ENROL_APPROVED;
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SYNC);
	if (state == RK__ENROL_STATE__ENROL_REJECTED)
		return cli_refuse(c, RK_NOT_ADMITTED, TEXT_HINT_REJECTED, TEXT_REJECTED);
	if (*approved)
		return RK_OK;
	if (cli_is_device_request(c))
		return cli_refuse(c, RK_ENOTJOINED, TEXT_HINT_DEVICE_PENDING, TEXT_DEVICE_PENDING);
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "status", "pending");
		return out_json(j);
	}
	out_line(c, TEXT_STILL_PENDING);
	return RK_OK;
}

/* A key that was made for a request, and that the charter does not name: the duties are other officers'. */
static int find_no_officer(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct key_facts keys[KEY_FACTS_MAX];
	size_t n;
	(void)a;
	int rc = key_change_facts(c->client, txn, keys, &n);
	for (size_t i = 0; rc == RK_OK && i < n; i++)
		if (keys[i].role == KEY_SECRETARIAT && keys[i].has_pk)
			*(bool *)user = !keys[i].is_current;
	return rc;
}

/* What the secretariat owes the exchange, done once and told; without its passphrase the rest of the sync stands. */
static int do_once(struct cli *c, struct secretariat_done *done)
{
	int rc = secretariat_duties(c->client, done);
	if (rc == RK_EPASSPHRASE || rc == RK_ENOTJOINED)
		return cli_fail(c, CLI_PARTIAL, TEXT_DUTIES_WAIT);
	if (rc == RK_NOT_PERMITTED) {
		out_warn(c, TEXT_DUTIES_NOT_OURS);
		return RK_OK;
	}
	if (rc == RK_OK && (done->directory || done->epoch || done->checkpoint || done->feed_keys))
		rc = link_sync(c->client, &c->stop);
	return rc == RK_OK ? RK_OK : cli_fail(c, rc, TEXT_CANNOT_DO_DUTIES);
}

/* What was answered to the directory; RK_OK where there was none. */
static int answer_to_directory(const struct secretariat_done *done, struct txn *txn)
{
	struct outcome o;
	return done->directory && outbox_outcome(txn, done->directory_item, &o) == RK_OK ? o.code : RK_OK;
}

static int find_answer(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	(void)c, (void)a;
	return answer_to_directory(user, txn) == RK_CONFLICT ? RK_CONFLICT : RK_OK;
}

/* Without a new directory nothing else that is due goes through: so it is said, and what may be behind it. */
static int report_directory(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct secretariat_done *done = user;
	int code = answer_to_directory(done, txn);
	(void)a;
	if (code == RK_OK)
		return RK_OK;
	memset(done, 0, sizeof(*done));
	out_warn(c, TEXT_DIRECTORY_REFUSED, errcode_sentence(code, c->lang));
	return CLI_PARTIAL;
}

/* Of two officers whose directories fall due at once the exchange takes one: the other one reads it, and does what is still due. */
static int do_duties(struct cli *c, struct secretariat_done *done)
{
	bool is_no_officer = false;
	memset(done, 0, sizeof(*done));
	if (!secretariat_is_here(c->client) || !secretariat_is_due(c->client))
		return RK_OK;
	int rc = show_read(c, find_no_officer, &is_no_officer);
	if (rc == RK_OK && is_no_officer)
		out_say(c, TEXT_DUTIES_NOT_OURS);
	if (rc != RK_OK || is_no_officer)
		return rc;
	rc = do_once(c, done);
	if (rc == RK_OK && show_read(c, find_answer, done) == RK_CONFLICT) {
		if (secretariat_is_due(c->client))
			rc = do_once(c, done);
		else
			memset(done, 0, sizeof(*done));
	}
	return rc == RK_OK ? show_read(c, report_directory, done) : rc;
}

/* What waited before this sync, to be looked at again after it: nobody else waits for these answers. */
#define WAITING_MAX 64
struct waiting { uint64_t item[WAITING_MAX]; char what[WAITING_MAX][32]; size_t count; };

static int find_waiting(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct waiting *w = user;
	struct env_cursor *cur;
	struct bytes key, value;
	unsigned queued, sent;
	(void)c;
	int rc = outbox_count(txn, &queued, &sent);
	if (rc != RK_OK || queued + sent == 0 || (rc = env_cursor_open(txn, C_OUTBOX, &cur)) != RK_OK)
		return rc;
	for (rc = env_cursor_last(cur, &key, &value); rc == RK_OK && w->count < WAITING_MAX && w->count < queued + sent;
	     rc = env_cursor_prev(cur, &key, &value)) {
		arena_raise(a, 8 * value.len + 4096);
		Rkl__OutboxItem *item = rkl__outbox_item__unpack(arena_allocator(a), value.len, value.data);
		if (!item || item->state == RKL__ITEM_STATE__DONE)
			continue;
		w->item[w->count] = item->id;
		snprintf(w->what[w->count++], sizeof(w->what[0]), "%s", item->what);
	}
	env_cursor_free(cur);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

static int report_refused(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct waiting *w = user;
	unsigned refused = 0;
	(void)a;
	for (size_t i = w->count; i-- > 0;) {
		struct outcome o;
		if (outbox_outcome(txn, w->item[i], &o) != RK_OK || o.code == RK_OK)
			continue;
		refused++;
		if (o.code == RK_EOTHERHOME)
			out_warn(c, TEXT_SYNC_ASIDE, w->what[i]);
		else
			out_warn(c, TEXT_SYNC_REFUSED, w->what[i], errcode_sentence(o.code, c->lang));
	}
	return refused ? CLI_PARTIAL : RK_OK;
}

/* How things stand after a sync. */
struct synced { unsigned left, unread; bool read_only, new_member, new_device; enum device_wait waits_for; };

static int count_left(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct synced *s = user;
	unsigned queued, sent;
	(void)a;
	int rc = outbox_count(txn, &queued, &sent);
	s->left = queued + sent;
	s->waits_for = device_waits_for(c->client, txn);
	s->read_only = meta_u64(txn, META_READ_ONLY) != 0;
	return rc;
}

static int count_unread(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct env_cursor *cur;
	struct bytes key, value;
	(void)c;
	int rc = env_cursor_open(txn, C_INBOX, &cur);
	if (rc != RK_OK)
		return rc;
	for (rc = env_cursor_last(cur, &key, &value); rc == RK_OK; rc = env_cursor_prev(cur, &key, &value)) {
		arena_raise(a, 8 * value.len + 4096);
		Rkl__InboxRecord *record = rkl__inbox_record__unpack(arena_allocator(a), value.len, value.data);
		((struct synced *)user)->unread += record && !record->read;
	}
	env_cursor_free(cur);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

/* What waits while the exchange takes nothing cannot go: CLI_PARTIAL. */
static int print_synced(struct cli *c, const struct secretariat_done *done, struct synced *s)
{
	int rc = show_read(c, count_unread, s), waits = s->read_only && s->left ? CLI_PARTIAL : RK_OK;
	if (rc != RK_OK)
		return rc;
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "status", "joined");
		out_set_number(j, "queued", s->left);
		out_set_bool(j, "read_only", s->read_only);
		out_set_number(j, "unread", s->unread);
		out_set_text(j, "device_waits_for",
			     s->waits_for == DEVICE_WAITS_KX ? "kx_key" : s->waits_for == DEVICE_WAITS_FEED ? "feed_key" : NULL);
		out_set_bool(j, "directory_renewed", done->directory);
		out_set_bool(j, "feed_epoch_renewed", done->epoch);
		out_set_number(j, "feed_keys_issued", done->feed_keys);
		out_set_bool(j, "checkpoint_cosigned", done->checkpoint);
		rc = out_json(j);
		return rc == RK_OK ? waits : rc;
	}
	if (s->read_only)
		out_warn(c, TEXT_SYNCED_READ_ONLY, s->left);
	/* The exit code says the same. */
	else if (!c->quiet && s->left)
		out_line(c, TEXT_SYNCED_WAITS, s->left);
	else if (!c->quiet)
		out_line(c, TEXT_SYNCED);
	if (done->directory || done->epoch || done->feed_keys)
		out_say(c, TEXT_DUTIES_DONE, done->feed_keys);
	if (s->unread)
		out_say(c, TEXT_UNREAD, s->unread);
	if (s->new_member)
		out_say(c, TEXT_WELCOME);
	if (s->new_device)
		out_say(c, TEXT_DEVICE_WELCOME);
	if (s->waits_for != DEVICE_READY)
		out_say(c, s->waits_for == DEVICE_WAITS_KX ? TEXT_SYNC_WAITS_KX : TEXT_SYNC_WAITS_FEED);
	return waits;
}

/* A device that was let in gives the others the key to seal to it. */
static int publish_kx(struct cli *c)
{
	uint64_t item;
	int rc = device_publish_kx(c->client, &item);
	return rc == RK_OK && item ? link_sync(c->client, &c->stop) : rc;
}

int cmd_sync(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_SYNC};
	struct cli_args args;
	struct secretariat_done done;
	struct waiting waiting = {.count = 0};
	struct synced synced = {0};
	bool pending = false, approved = false, as_device = false;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open(c);
	if (rc == RK_OK)
		as_device = cli_is_device_request(c);
	if (rc == RK_OK && (pending = client_state(c->client) == CLIENT_PENDING))
		rc = sync_pending(c, &approved);
	if (rc != RK_OK || (pending && !approved))
		return rc;
	if ((rc = cli_open_joined(c)) != RK_OK)
		return rc;
	if ((rc = show_read(c, find_waiting, &waiting)) != RK_OK)
		return rc;
	if ((rc = upload_sync(c)) != RK_OK || (rc = publish_kx(c)) != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SYNC);
	int refused = show_read(c, report_refused, &waiting);
	int keys = key_after_sync(c);
	if (keys != RK_OK && keys != CLI_PARTIAL)
		return keys;
	int duties = do_duties(c, &done);
	if (duties == RK_OK)
		duties = refused == RK_OK ? keys : refused;
	if (duties != RK_OK && duties != CLI_PARTIAL)
		return duties;
	synced.new_member = pending && !as_device;
	synced.new_device = pending && as_device;
	if ((rc = show_read(c, count_left, &synced)) != RK_OK)
		return rc;
	rc = print_synced(c, &done, &synced);
	return rc == RK_OK ? duties : rc;
}
