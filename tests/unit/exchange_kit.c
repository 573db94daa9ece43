/* exchange_kit: see exchange_kit.h. */
#include "tests/unit/exchange_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/device.h"
#include "client/enrol.h"
#include "client/exchange.h"
#include "tests/unit/store_kit.h"

#define PASSPHRASE "correct horse"
#define INVITE_MS (7 * EXCHANGE_DAY_MS)

/* Cheapest that the format allows. */
static const struct key_new cheap = {.no_passphrase = true, .mem_mib = 64, .ops = 2};

/* ---- homes */

static int passphrase(void *user, enum key_role role, bool confirm, bool again, char **out)
{
	const struct exchange_home *h = user;

	(void)role;
	(void)confirm;
	if (again || h->is_locked)
		return RK_EPASSPHRASE;
	exchange_need((*out = sodium_malloc(sizeof(PASSPHRASE))) != NULL, "memory");
	memcpy(*out, PASSPHRASE, sizeof(PASSPHRASE));
	return RK_OK;
}

static void note_line(void *user, const char *line)
{
	static const char anew[] = "is sealed anew: ";
	struct exchange_home *h = user;
	const char *why = strstr(line, anew);

	if (getenv("RENKEI_YEARS_VERBOSE") != NULL)
		fprintf(stderr, "%s: %s\n", h->folder, line);
	if (why == NULL)
		return;
	h->anew_count++;
	snprintf(h->anew, sizeof(h->anew), "%s", why + sizeof(anew) - 1);
}

static struct client_options options_of(struct exchange_home *h)
{
	return (struct client_options){.home = h->folder, .passphrase = passphrase, .user = h, .now_ms = exchange_now, .log = note_line};
}

struct client *exchange_client(struct exchange *x, unsigned home)
{
	exchange_need(home < x->home_count && x->home[home].client != NULL, "an open home");
	return x->home[home].client;
}

void exchange_open(struct exchange *x, unsigned home)
{
	struct client_options o = options_of(&x->home[home]);

	exchange_must(client_open(&o, &x->home[home].client), "opening a home");
}

void exchange_close(struct exchange *x, unsigned home)
{
	client_close(x->home[home].client);
	x->home[home].client = NULL;
}

void exchange_reopen(struct exchange *x, unsigned home)
{
	exchange_close(x, home);
	exchange_open(x, home);
}

static struct exchange_home *add_home(struct exchange *x, const char *name)
{
	unsigned i = x->home_count;
	struct exchange_home *h = &x->home[i];
	struct client_options o;
	char folder[512];

	exchange_need(i < EXCHANGE_HOMES_MAX, "room for a home");
	x->home_count++;
	snprintf(folder, sizeof(folder), "%s/%s", x->folder, name);
	memcpy(h->folder, folder, sizeof(folder));
	o = options_of(h);
	exchange_must(client_create(&o, &h->client), "making a home");
	return h;
}

static struct own_form form_of(const char *name, Rk__OrgKind kind)
{
	return (struct own_form){.name = name, .lang = "en", .reading = "", .kind = kind, .country = "JP", .region = "",
	                         .corporate_number = "", .device_label = "desk"};
}

static void follow_all(struct client *c)
{
	static const Rk__Channel channels[] = {RK__CHANNEL__OFFER, RK__CHANNEL__NEED, RK__CHANNEL__NOTICE};

	for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
		exchange_must(feed_follow(c, channels[i], true), "feed_follow");
}

/* ---- the exchange */

void exchange_begin(struct exchange *x, int64_t start_ms, const char *zone)
{
	struct exchange_form form = {.name = "Cluster", .time_zone = zone, .org = form_of("Secretariat", RK__ORG_KIND__COORDINATOR)};
	uint8_t exchange_id[32];
	struct exchange_home *h;
	struct bytes file;

	memset(x, 0, sizeof(*x));
	exchange_need(sodium_init() >= 0 && (x->a = arena_new((size_t)64 * 1024 * 1024)) != NULL, "start");
	exchange_set_clock(start_ms);
	store_kit_folder(x->folder);
	exchange_broker_init(&x->broker, x->folder, &form.card);
	h = add_home(x, "secretariat");
	exchange_must(exchange_create(h->client, &form, &cheap, x->a, &file, exchange_id, h->org_id), "exchange_create");
	exchange_must(exchange_broker_adopt(&x->broker, file, false), "apply_adopt");
	exchange_broker_start(&x->broker);
	follow_all(h->client);
	exchange_must(link_sync(h->client, NULL), "the secretariat's first sync");
}

void exchange_end(struct exchange *x)
{
	for (unsigned i = 0; i < x->home_count; i++)
		if (x->home[i].client != NULL)
			exchange_close(x, i);
	if (x->broker.run != NULL)
		exchange_broker_stop(&x->broker);
	store_kit_remove(x->folder);
	arena_free_wiped(x->a);
}

static void new_invite(struct exchange *x, int64_t life_ms, struct invite *invite)
{
	struct client *c = exchange_client(x, EXCHANGE_SECRETARIAT);
	char text[INVITE_TEXT_CHARS];
	struct outcome out;
	uint64_t item;

	exchange_must(secretariat_unlock(c), "secretariat_unlock");
	exchange_must(secretariat_invite(c, "", exchange_now() + life_ms, text, &item), "secretariat_invite");
	exchange_must(link_finish(c, item, NULL, &out), "registering an invite");
	exchange_must(invite_parse(invite, text), "invite_parse");
}

unsigned exchange_prepare(struct exchange *x, const char *name, Rk__OrgKind kind, int64_t life_ms)
{
	struct own_form form = form_of(name, kind);
	unsigned home = x->home_count;
	char fingerprint[64];
	struct invite invite;
	struct exchange_home *h;

	new_invite(x, life_ms, &invite);
	h = add_home(x, name);
	exchange_must(enrol_create(h->client, &invite, &form, &cheap, h->org_id, fingerprint), "enrol_create");
	return home;
}

int exchange_ask(struct exchange *x, unsigned home, int *state)
{
	return link_enrol(exchange_client(x, home), NULL, state);
}

void exchange_admit(struct exchange *x, unsigned home, const char *name)
{
	struct client *s = exchange_client(x, EXCHANGE_SECRETARIAT), *c = exchange_client(x, home);
	struct secretariat_request request;
	char fingerprint[64];
	uint8_t org_id[16];
	struct outcome out;
	uint64_t item;
	struct txn *t;
	int state;

	exchange_must(link_sync(s, NULL), "the secretariat's sync");
	exchange_must(env_begin(client_env(s), false, &t), "begin");
	exchange_must(secretariat_find(s, t, name, org_id), "secretariat_find");
	exchange_must(secretariat_open(s, t, org_id, x->a, &request), "secretariat_open");
	snprintf(fingerprint, sizeof(fingerprint), "%s", request.fingerprint);
	env_abort(t);
	exchange_must(secretariat_approve(s, org_id, fingerprint, &item), "secretariat_approve");
	exchange_must(link_finish(s, item, NULL, &out), "the directory with the newcomer");
	exchange_must(secretariat_settle(s, org_id, RKL__ENROLMENT_STATE__APPROVED), "secretariat_settle");
	exchange_must(link_sync(s, NULL), "its feed keys");
	exchange_must(link_enrol(c, NULL, &state), "asking whether it was approved");
	exchange_need(state == RK__ENROL_STATE__ENROL_APPROVED, "approval");
	follow_all(c);
	exchange_must(link_sync(c, NULL), "the newcomer's first sync");
}

unsigned exchange_join(struct exchange *x, const char *name, Rk__OrgKind kind)
{
	unsigned home = exchange_prepare(x, name, kind, INVITE_MS);
	int state;

	exchange_must(exchange_ask(x, home, &state), "link_enrol");
	exchange_admit(x, home, name);
	return home;
}

/* ---- a further machine */

static unsigned ask_to_be_added(struct exchange *x, unsigned home, const char *name, struct device_request *request)
{
	char card[INVITE_TEXT_CHARS], text[INVITE_TEXT_CHARS], fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	struct org_card where;
	unsigned added = x->home_count;

	exchange_must(device_card(exchange_client(x, home), card), "device_card");
	exchange_must(org_card_parse(&where, card), "org_card_parse");
	add_home(x, name);
	memcpy(x->home[added].org_id, x->home[home].org_id, 16);
	exchange_must(device_request_create(x->home[added].client, &where, name, &cheap, text, fingerprint), "device_request_create");
	exchange_must(device_request_parse(request, text), "device_request_parse");
	return added;
}

static void issue_feed_keys(struct exchange *x)
{
	struct client *s = exchange_client(x, EXCHANGE_SECRETARIAT);
	struct secretariat_done done;

	exchange_must(link_sync(s, NULL), "the secretariat's sync");
	exchange_must(secretariat_duties(s, &done), "secretariat_duties");
	exchange_must(link_sync(s, NULL), "its feed keys");
}

unsigned exchange_add_device(struct exchange *x, unsigned home, const char *name)
{
	struct device_request request;
	struct device_change change = {.kind = DEVICE_ADD, .request = &request};
	unsigned added = ask_to_be_added(x, home, name, &request);
	struct client *admin = exchange_client(x, home), *c = exchange_client(x, added);
	struct outcome out;
	uint8_t oh[32];
	uint64_t item;
	int state;

	exchange_must(link_sync(admin, NULL), "the sync of who adds");
	exchange_must(keys_unlock(admin, KEY_ORG), "the organisation's key");
	exchange_must(device_change(admin, &change, oh, &item), "device_change");
	exchange_must(link_finish(admin, item, NULL, &out), "the list with the new machine");
	exchange_must(link_enrol(c, NULL, &state), "asking whether it was added");
	exchange_need(state == RK__ENROL_STATE__ENROL_APPROVED, "being added");
	follow_all(c);
	exchange_must(link_sync(c, NULL), "its first sync");
	exchange_must(device_publish_kx(c, &item), "device_publish_kx");
	exchange_must(link_sync(c, NULL), "its kx key");
	issue_feed_keys(x);
	exchange_must(link_sync(c, NULL), "what was issued to it");
	return added;
}
