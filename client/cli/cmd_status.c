/* status: where this organisation stands.  sync is cmd_sync.c, doctor is cmd_doctor.c. */
#include <stdio.h>
#include <string.h>

#include "client/attach.h"
#include "client/backup.h"
#include "client/cli/out.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"
#include "client/cli/standing.h"
#include "client/device.h"
#include "client/log.h"
#include "proto/ids.h"
#include "proto/strict.h"

/* ---- status */

struct facts {
	const char *state;
	char exchange[201], org[201], kind[24], org_status[24], fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	char root[IDS_ROOT_FINGERPRINT_CHARS], follows[80];
	uint32_t roles;
	uint64_t directory_serial;
	int64_t directory_until, charter_until, epoch_until;
	uint32_t epoch;
	unsigned queued, sent, orgs, followed;
	bool rejected, has_log, unwitnessed, read_only, asks_as_device;
	char device_label[DEVICE_LABEL_MAX + 1];
	enum device_wait waits_for;
	uint64_t blob_bytes;
	unsigned uploads;
	char log_origin[NOTE_NAME_CHARS];
	uint64_t log_size, cosigned_size;
	int64_t log_verified_at, cosigned_at;
	enum log_fault fault;
	struct backup_state backup;
	struct standing standing;
};

/* While pending: what we said of ourselves. */
static void pending_facts(struct cli *c, struct txn *txn, struct arena *a, struct facts *f)
{
	struct bytes request, told;
	struct device_request q;
	struct trust_enrol e;
	f->asks_as_device = device_own_request(c->client, txn, &q) == RK_OK;
	if (f->asks_as_device) {
		snprintf(f->device_label, sizeof(f->device_label), "%s", q.label);
		ids_device_fingerprint(f->fingerprint, q.sign_pk, q.curve_pk);
		return;
	}
	f->rejected = meta_get(txn, META_ENROL_STATE, &told) == RK_OK && told.len == 1 &&
		      told.data[0] == RK__ENROL_STATE__ENROL_REJECTED;
	if (meta_get(txn, META_ENROL, &request) != RK_OK ||
	    trust_open_enrol(request, client_exchange_id(c->client), a, &e) != RK_OK)
		return;
	snprintf(f->org, sizeof(f->org), "%s", e.enrol->names[0]->name);
	snprintf(f->kind, sizeof(f->kind), "%s", cli_org_kind_name(e.enrol->kind));
	ids_org_fingerprint(f->fingerprint, e.enrol->org_pk.data);
}

static void joined_facts(struct cli *c, struct txn *txn, struct arena *a, struct facts *f)
{
	Rk__Charter *charter;
	Rk__Directory *d;
	Rk__FeedEpoch *e;
	Rk__Org *own;
	uint8_t oh[32];
	if (book_charter(c->client, txn, a, &charter) == RK_OK) {
		snprintf(f->exchange, sizeof(f->exchange), "%s", charter->name);
		f->charter_until = charter->not_after;
	}
	if (book_directory(c->client, txn, a, &d, oh) == RK_OK) {
		f->directory_serial = d->serial;
		f->directory_until = d->expires_at;
		f->orgs = (unsigned)d->n_orgs;
	}
	if (book_epoch(c->client, txn, 0, a, &e, oh) == RK_OK) {
		f->epoch = e->n;
		f->epoch_until = e->not_after;
	}
	if (book_org(c->client, txn, client_org_id(c->client), a, &own) == RK_OK) {
		snprintf(f->org, sizeof(f->org), "%s", book_org_name(c->client, txn, own->org_id.data, c->lang, a));
		snprintf(f->kind, sizeof(f->kind), "%s", cli_org_kind_name(own->kind));
		snprintf(f->org_status, sizeof(f->org_status), "%s", cli_org_status_name(own->status));
		ids_org_fingerprint(f->fingerprint, own->org_pk.data);
		f->roles = own->roles;
	}
}

static void log_facts(struct cli *c, struct txn *txn, struct arena *a, struct facts *f)
{
	struct log_head head;
	struct log_fork fork;
	if (log_newest(c->client, txn, a, &head) == RK_OK) {
		f->has_log = true;
		snprintf(f->log_origin, sizeof(f->log_origin), "%s", head.checkpoint.origin);
		f->log_size = head.checkpoint.size;
		f->log_verified_at = head.verified_at;
	}
	if (log_cosigned(c->client, txn, a, &head) == RK_OK) {
		f->cosigned_size = head.checkpoint.size;
		f->cosigned_at = head.witness_ms;
	}
	f->fault = log_fork(c->client, txn, a, &fork) == RK_OK ? fork.fault : LOG_FAULT_NONE;
	f->unwitnessed = log_is_unwitnessed(c->client, txn);
	f->read_only = meta_u64(txn, META_READ_ONLY) != 0;
}

static int gather(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct facts *f = user;
	size_t len = 0;
	f->followed = post_followed(txn);
	ids_root_fingerprint(f->root, client_exchange_id(c->client));
	if (client_state(c->client) == CLIENT_PENDING)
		pending_facts(c, txn, a, f);
	else
		joined_facts(c, txn, a, f);
	if (client_state(c->client) == CLIENT_JOINED)
		f->waits_for = device_waits_for(c->client, txn);
	log_facts(c, txn, a, f);
	int rc = standing_gather(c, txn, a, &f->standing);
	if (rc != RK_OK)
		return rc;
	for (int channel = RK__CHANNEL__OFFER; channel <= RK__CHANNEL__NOTICE; channel++)
		if (f->followed & 1u << channel)
			len += (size_t)snprintf(f->follows + len, sizeof(f->follows) - len, "%s%s", len ? ", " : "",
						cli_channel_name((Rk__Channel)channel));
	f->uploads = attach_held(txn);
	rc = backup_state_read(c->client, txn, a, &f->backup);
	return rc == RK_OK ? outbox_count(txn, &f->queued, &f->sent) : rc;
}

static json_t *log_json(const struct facts *f)
{
	if (!f->has_log)
		return json_null();
	json_t *j = json_object();
	out_set_text(j, "origin", f->log_origin);
	out_set_number(j, "size", (int64_t)f->log_size);
	out_set_time(j, "verified_at", f->log_verified_at);
	out_set_number(j, "cosigned_size", (int64_t)f->cosigned_size);
	out_set_time(j, "cosigned_at", f->cosigned_at);
	out_set_text(j, "fault", f->fault != LOG_FAULT_NONE ? log_fault_name(f->fault) : NULL);
	return j;
}

static int status_json(struct cli *c, const struct facts *f)
{
	json_t *j = json_object();
	out_set_text(j, "status", f->state);
	out_set_text(j, "exchange", *f->exchange ? f->exchange : NULL);
	out_set_text(j, "root_fingerprint", f->root);
	out_set_id(j, "exchange_id", bytes_make(client_exchange_id(c->client), 32));
	out_set_text(j, "name", f->org);
	out_set_id(j, "org_id", bytes_make(client_org_id(c->client), 16));
	out_set_text(j, "kind", f->kind);
	out_set_text(j, "org_status", *f->org_status ? f->org_status : NULL);
	out_set_text(j, "fingerprint", f->fingerprint);
	out_set_id(j, "device_id", bytes_make(client_device_id(c->client), 16));
	out_set_bool(j, "secretariat", (f->roles & TRUST_ROLE_SECRETARIAT) != 0);
	out_set_bool(j, "coordinator", (f->roles & TRUST_ROLE_COORDINATOR) != 0);
	if (f->asks_as_device)
		out_set_text(j, "device_label", f->device_label);
	out_set_text(j, "device_waits_for", f->waits_for == DEVICE_WAITS_KX ? "kx_key" : f->waits_for == DEVICE_WAITS_FEED ? "feed_key" : NULL);
	out_set_bool(j, "device_key_without_passphrase", cli_device_key_is_open(c));
	out_set_number(j, "directory_serial", (int64_t)f->directory_serial);
	out_set_time(j, "directory_expires_at", f->directory_until);
	out_set_time(j, "charter_expires_at", f->charter_until);
	out_set_number(j, "feed_epoch", f->epoch);
	out_set_number(j, "members", f->orgs);
	out_set_number(j, "queued", f->queued + f->sent);
	out_set_bool(j, "read_only", f->read_only);
	out_set_number(j, "uploads", f->uploads);
	out_set_number(j, "attachment_disk_bytes", (int64_t)f->blob_bytes);
	out_set_text(j, "follows", f->follows);
	json_object_set_new(j, "log", log_json(f));
	out_set_time(j, "backup_at", f->backup.made_at);
	out_set_bool(j, "backup_due", f->backup.is_old);
	standing_json(c, j, &f->standing);
	out_set_text(j, "home", c->home);
	return out_json(j);
}

static void log_line(struct cli *c, const struct facts *f)
{
	char line[256], size[24], verified[OUT_TIME_CHARS], cosigned[OUT_TIME_CHARS];
	snprintf(size, sizeof(size), "%llu", (unsigned long long)f->log_size);
	snprintf(line, sizeof(line), text(TEXT_LOG_LINE, c->lang), size, out_time(verified, f->log_verified_at),
		 out_time(cosigned, f->cosigned_at));
	out_field(c, TEXT_F_LOG, f->has_log ? line : text(TEXT_LOG_NONE, c->lang));
}

static void follows_line(struct cli *c, const struct facts *f)
{
	char line[200] = "";
	size_t len = 0;
	for (int channel = RK__CHANNEL__OFFER; channel <= RK__CHANNEL__NOTICE; channel++)
		if (f->followed & 1u << channel)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", len ? text(TEXT_COMMA, c->lang) : "",
						cli_word(c, cli_channel_name((Rk__Channel)channel)));
	out_field(c, TEXT_F_FOLLOWS, len ? line : "—");
}

static void attachments_line(struct cli *c, const struct facts *f)
{
	char size[PROGRESS_BYTES_CHARS], line[160];
	snprintf(line, sizeof(line), text(TEXT_ATTACHMENTS_LINE, c->lang), progress_bytes(size, f->blob_bytes));
	out_field(c, TEXT_F_ATTACHMENTS, line);
}

static int status_lines(struct cli *c, const struct facts *f)
{
	char hex[OUT_ID_CHARS], number[32], made[OUT_TIME_CHARS];
	out_field(c, TEXT_F_STATUS, cli_word(c, f->state));
	if (*f->exchange)
		out_field(c, TEXT_F_EXCHANGE, f->exchange);
	out_field(c, TEXT_F_ROOT_FINGERPRINT, f->root);
	if (f->asks_as_device)
		out_field(c, TEXT_F_DEVICE, *f->device_label ? f->device_label : "—");
	else
		out_field(c, TEXT_F_ORG, f->org);
	out_field(c, TEXT_F_ORG_ID, out_hex(hex, bytes_make(client_org_id(c->client), 16)));
	if (!f->asks_as_device)
		out_field(c, TEXT_F_KIND, cli_word(c, f->kind));
	if (f->roles & TRUST_ROLE_SECRETARIAT)
		out_field(c, TEXT_F_ROLE, text(TEXT_ROLE_SECRETARIAT, c->lang));
	if (f->roles & TRUST_ROLE_COORDINATOR)
		out_field(c, TEXT_F_ROLE, text(TEXT_ROLE_COORDINATOR, c->lang));
	out_field(c, TEXT_F_FINGERPRINT, f->fingerprint);
	if (f->directory_serial) {
		snprintf(number, sizeof(number), "%u", f->orgs);
		out_field(c, TEXT_F_MEMBERS, number);
		follows_line(c, f);
		log_line(c, f);
		standing_lines(c, &f->standing);
	}
	snprintf(number, sizeof(number), "%u", f->queued + f->sent);
	out_field(c, TEXT_F_QUEUED, number);
	if (f->blob_bytes > 0)
		attachments_line(c, f);
	out_field(c, TEXT_F_BACKUP_AT, f->backup.made_at ? out_time(made, f->backup.made_at) : text(TEXT_BACKUP_NEVER, c->lang));
	out_field(c, TEXT_F_HOME, c->home);
	if (f->backup.is_old && f->backup.made_at)
		out_warn(c, TEXT_BACKUP_DUE, out_time(made, f->backup.made_at));
	else if (f->backup.is_old)
		out_warn(c, TEXT_BACKUP_DUE_NEVER);
	if (cli_device_key_is_open(c))
		out_say(c, TEXT_NO_PASSPHRASE_NOTE);
	if (f->fault != LOG_FAULT_NONE)
		out_warn(c, TEXT_LOG_FORKED);
	else if (f->unwitnessed)
		out_warn(c, TEXT_LOG_UNWITNESSED);
	if (f->read_only)
		out_warn(c, TEXT_DOC_READ_ONLY);
	if (f->waits_for != DEVICE_READY)
		out_say(c, f->waits_for == DEVICE_WAITS_KX ? TEXT_SYNC_WAITS_KX : TEXT_SYNC_WAITS_FEED);
	if (f->rejected)
		out_say(c, TEXT_HINT_REJECTED);
	else if (f->asks_as_device)
		out_say(c, TEXT_DEVICE_REQUEST_NEXT);
	else if (client_state(c->client) == CLIENT_PENDING)
		out_say(c, TEXT_JOIN_NEXT);
	else if (strcmp(f->org_status, "active") != 0)
		out_say(c, TEXT_NOT_ACTIVE, cli_word(c, f->org_status));
	return RK_OK;
}

int cmd_status(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_NONE};
	struct cli_args args;
	struct facts f = {0};
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open(c);
	if (rc == RK_OK)
		rc = show_read(c, gather, &f);
	if (rc != RK_OK)
		return rc;
	/* Of the disk, not of the store; where it cannot be counted there is nothing to say. */
	(void)spool_usage(c->client, &f.blob_bytes);
	f.state = client_state(c->client) == CLIENT_JOINED ? "joined" :
		  client_state(c->client) != CLIENT_PENDING ? "empty" : f.rejected ? "rejected" : "pending";
	return c->json ? status_json(c, &f) : status_lines(c, &f);
}
