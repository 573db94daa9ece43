/* join: makes a home from an invite and asks to be let in. */
#include <string.h>
#include <unistd.h>

#include "client/cli/out.h"
#include "client/enrol.h"
#include "proto/ids.h"

#include <sodium.h>

#define WAIT_STEP_S 3

struct join {
	const char *invite, *name, *kind, *reading, *country, *region, *corporate_number, *label;
	bool no_passphrase, wait;
};

static int check(struct cli *c, const struct join *o, struct invite *invite, struct own_form *form)
{
	const char *field;
	*form = (struct own_form){.name = o->name, .lang = c->lang == LANG_JA ? "ja" : "en", .reading = o->reading,
				  .kind = cli_org_kind(o->kind), .country = o->country, .region = o->region,
				  .corporate_number = o->corporate_number, .device_label = o->label};
	/* A Japanese name is Japanese whatever the language of the messages. */
	for (const char *p = o->name; *p; p++)
		if ((unsigned char)*p >= 0xe3 && (unsigned char)*p <= 0xe9)
			form->lang = "ja";
	if (form->kind == RK__ORG_KIND__ORG_KIND_NONE)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_KIND, TEXT_BAD_KIND, o->kind);
	if (own_check_form(form, &field) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_NAME, TEXT_BAD_OPTION, field);
	if (invite_parse(invite, o->invite) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_INVITE, TEXT_BAD_INVITE);
	return RK_OK;
}

static const char *state_name(int state)
{
	return state == RK__ENROL_STATE__ENROL_APPROVED ? "approved" : state == RK__ENROL_STATE__ENROL_REJECTED ? "rejected" : "pending";
}

/* Sends the request; with --wait asks again until the secretariat has decided. */
static int ask(struct cli *c, bool wait, int *state)
{
	int rc = link_enrol(c->client, &c->stop, state);
	while (wait && !c->stop && (rc == RK_EUNREACHABLE || (rc == RK_OK && *state == RK__ENROL_STATE__ENROL_PENDING))) {
		sleep(WAIT_STEP_S);
		rc = c->stop ? RK_EINTERRUPTED : link_enrol(c->client, &c->stop, state);
	}
	return rc;
}

static int print_result(struct cli *c, const struct join *o, const uint8_t org_id[16], const char *fingerprint, int state)
{
	char hex[OUT_ID_CHARS];
	if (c->json) {
		json_t *j = json_object();
		out_set_id(j, "org_id", bytes_make(org_id, 16));
		out_set_text(j, "name", o->name);
		out_set_text(j, "kind", cli_org_kind_name(cli_org_kind(o->kind)));
		out_set_text(j, "fingerprint", fingerprint);
		out_set_text(j, "status", state_name(state));
		return out_json(j);
	}
	out_field(c, TEXT_F_ORG, o->name);
	out_field(c, TEXT_F_ORG_ID, out_hex(hex, bytes_make(org_id, 16)));
	out_field(c, TEXT_F_FINGERPRINT, fingerprint);
	out_field(c, TEXT_F_STATUS, cli_word(c, state_name(state)));
	if (state == RK__ENROL_STATE__ENROL_PENDING)
		out_say(c, TEXT_JOIN_NEXT);
	return RK_OK;
}

static int join(struct cli *c, const struct join *o, const struct invite *invite, const struct own_form *form)
{
	uint8_t org_id[16];
	char fingerprint[64];
	struct key_new new = {.no_passphrase = o->no_passphrase};
	int rc = cli_create_home(c), state = RK__ENROL_STATE__ENROL_PENDING;
	if (rc != RK_OK)
		return rc;
	rc = enrol_create(c->client, invite, form, &new, org_id, fingerprint);
	if (rc != RK_OK) {
		cli_discard_home(c);
		return cli_fail(c, rc, TEXT_CANNOT_JOIN);
	}
	rc = ask(c, o->wait, &state);
	/* A request that can never be answered leaves nothing behind; one that could not be sent yet stays. */
	if (rc == RK_INVITE_USED || rc == RK_INVITE_EXPIRED || rc == RK_CONFLICT || rc == RK_NOT_ADMITTED) {
		cli_discard_home(c);
		return cli_fail(c, rc, TEXT_CANNOT_JOIN);
	}
	int printed = print_result(c, o, org_id, fingerprint, state);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_REQUEST_NOT_SENT);
	if (state == RK__ENROL_STATE__ENROL_REJECTED)
		return cli_refuse(c, RK_NOT_ADMITTED, TEXT_HINT_REJECTED, TEXT_REJECTED);
	return printed;
}

int cmd_join(struct cli *c, int argc, char **argv)
{
	struct join o = {.reading = "", .country = "JP", .region = "", .corporate_number = "", .label = ""};
	const struct cli_option options[] = {
		{"name", CLI_TEXT, &o.name, "NAME", TEXT_OPT_NAME, true},
		{"kind", CLI_TEXT, &o.kind, "KIND", TEXT_OPT_KIND, true},
		{"reading", CLI_TEXT, &o.reading, "TEXT", TEXT_OPT_READING, false},
		{"country", CLI_TEXT, &o.country, "CC", TEXT_OPT_COUNTRY, false},
		{"region", CLI_TEXT, &o.region, "REGION", TEXT_OPT_REGION, false},
		{"corporate-number", CLI_TEXT, &o.corporate_number, "DIGITS", TEXT_OPT_CORPORATE, false},
		{"label", CLI_TEXT, &o.label, "TEXT", TEXT_OPT_LABEL, false},
		{"no-passphrase", CLI_FLAG, &o.no_passphrase, NULL, TEXT_OPT_NO_PASSPHRASE, false},
		{"wait", CLI_FLAG, &o.wait, NULL, TEXT_OPT_WAIT, false},
		{0},
	};
	const struct cli_usage usage = {options, "INVITE", 1, 1, TEXT_HELP_JOIN};
	struct invite invite = {0};
	struct own_form form;
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK) {
		o.invite = args.arg[0];
		rc = check(c, &o, &invite, &form);
	}
	if (rc == RK_OK)
		rc = join(c, &o, &invite, &form);
	sodium_memzero(&invite, sizeof(invite));
	return rc;
}
