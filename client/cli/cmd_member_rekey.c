/* member rekey: another key for a member, with or without the word of its old one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cmd_key.h"
#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/secretariat.h"
#include "proto/ids.h"
#include "proto/orgkey.h"

#define ARENA_BYTES ((size_t)256 * 1024)

struct rekey {
	const char *wanted;
	uint8_t org_id[16];
	char name[201];
	struct orgkey_request request;
};

/* The text itself, or the first line of a file of that name. */
static int read_request(struct cli *c, const char *given, struct arena *a, struct orgkey_request *out)
{
	char line[ORGKEY_TEXT_CHARS + 2];
	if (strncmp(given, ORGKEY_TEXT_PREFIX, strlen(ORGKEY_TEXT_PREFIX)) != 0) {
		FILE *f = fopen(given, "re");
		bool ok = f && fgets(line, sizeof(line), f);
		if (f)
			fclose(f);
		if (!ok)
			return cli_refuse(c, RK_MALFORMED, TEXT_HINT_KEY_REQUEST, TEXT_BAD_KEY_REQUEST);
		line[strcspn(line, "\r\n")] = '\0';
		given = line;
	}
	int rc = orgkey_request_read(given, client_exchange_id(c->client), a, out);
	if (rc == RK_MALFORMED || rc == RK_BAD_SIGNATURE)
		return cli_refuse(c, rc, TEXT_HINT_KEY_REQUEST, TEXT_BAD_KEY_REQUEST);
	return rc;
}

static int find_member(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct rekey *k = user;
	Rk__Org *org;
	int rc = book_find_org(c->client, txn, k->wanted, k->org_id);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_NO_SUCH_MEMBER, k->wanted);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_SEVERAL_MEMBERS, k->wanted);
	if (rc != RK_OK || (rc = book_org(c->client, txn, k->org_id, a, &org)) != RK_OK)
		return rc;
	snprintf(k->name, sizeof(k->name), "%s", book_org_name(c->client, txn, k->org_id, c->lang, a));
	/* Before anybody is asked for a fingerprint. */
	if (memcmp(k->request.org_id, k->org_id, 16) != 0 || memcmp(k->request.old_pk, org->org_pk.data, 32) != 0)
		return cli_refuse(c, RK_CONFLICT, TEXT_HINT_KEY_REQUEST_STALE, TEXT_KEY_REQUEST_STALE, k->name);
	return RK_OK;
}

static int catch_up(struct cli *c)
{
	int rc = link_sync(c->client, &c->stop);
	return rc == RK_OK ? RK_OK : cli_fail(c, rc, TEXT_CANNOT_SYNC);
}

/* Two officers may change the directory at once: the second one reads what the first did and tries again. */
static int replace(struct cli *c, struct rekey *k, const char *typed)
{
	int rc = RK_OK;
	for (int attempt = 0; attempt < 2; attempt++) {
		struct outcome out;
		uint64_t item;
		rc = secretariat_rekey(c->client, k->org_id, &k->request, typed, &item);
		if (rc == RK_EINTEGRITY)
			return cli_refuse(c, rc, TEXT_HINT_FINGERPRINT_DIFFERS, TEXT_REKEY_DIFFERS, k->name);
		if (rc == RK_CONFLICT)
			return cli_refuse(c, rc, TEXT_HINT_KEY_REQUEST_STALE, TEXT_KEY_REQUEST_STALE, k->name);
		if (rc != RK_OK)
			return cli_fail(c, rc, TEXT_CANNOT_REKEY, k->name);
		rc = link_finish(c->client, item, &c->stop, &out);
		if (rc != RK_CONFLICT)
			break;
		if (attempt == 0)
			out_say(c, TEXT_OTHER_OFFICER);
		if (catch_up(c) != RK_OK)
			return rc;
	}
	return rc == RK_OK ? catch_up(c) : cli_fail_finish(c, rc, TEXT_CANNOT_REKEY_NOW);
}

static int print_result(struct cli *c, const struct rekey *k, bool lost)
{
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	ids_org_fingerprint(fingerprint, k->request.new_pk);
	if (!c->json) {
		out_line(c, lost ? TEXT_REKEYED_LOST : TEXT_REKEYED, k->name);
		return RK_OK;
	}
	json_t *j = json_object();
	out_set_id(j, "org_id", bytes_make(k->org_id, 16));
	out_set_text(j, "name", k->name);
	out_set_text(j, "fingerprint", fingerprint);
	out_set_bool(j, "lost", lost);
	return out_json(j);
}

int cmd_member_rekey(struct cli *c, int argc, char **argv)
{
	const char *given = NULL;
	const struct cli_option options[] = {{"fingerprint", CLI_TEXT, &given, "F", TEXT_OPT_FINGERPRINT, false}, {0}};
	const struct cli_usage usage = {options, "ORG REQUEST", 2, 2, TEXT_HELP_REKEY};
	struct cli_args args;
	struct rekey k = {0};
	char typed[128];
	struct arena *a;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc != RK_OK || (rc = cli_open_joined(c)) != RK_OK)
		return rc;
	if (!secretariat_is_here(c->client))
		return cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_SECRETARIAT, TEXT_NOT_SECRETARIAT);
	if ((a = arena_new(ARENA_BYTES)) == NULL)
		return RK_ENOMEM;
	k.wanted = args.arg[0];
	if ((rc = catch_up(c)) == RK_OK && (rc = read_request(c, args.arg[1], a, &k.request)) == RK_OK &&
	    (rc = show_read(c, find_member, &k)) == RK_OK &&
	    (rc = key_heard(c, given, k.request.link.len > 0 ? TEXT_REKEY_ASK : TEXT_REKEY_ASK_LOST, k.name, typed)) == RK_OK &&
	    (rc = replace(c, &k, typed)) == RK_OK)
		rc = print_result(c, &k, k.request.link.len == 0);
	arena_free(a);
	return rc;
}
