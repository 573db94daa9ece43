/* years_kit: see years_kit.h. */
#include "tests/unit/years_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/strict.h"
#include "proto/trust.h"

#define DOSSIER_EVERY_MS (30 * EXCHANGE_DAY_MS)
#define RESTART_EVERY 40

static const char *const names[] = {"Secretariat", "Alpha", "Beta", "University", "Mostly away"};

/* ---- looking into a home */

struct look {
	struct client *c;
	struct txn *t;
	struct arena *a;
};

static struct look look_into(struct years *y, unsigned home)
{
	struct look l = {.c = exchange_client(&y->x, home), .a = arena_new(4 * 1024 * 1024)};

	exchange_need(l.a != NULL, "memory");
	exchange_must(env_begin(client_env(l.c), false, &l.t), "a home's store");
	return l;
}

static void look_away(struct look *l)
{
	env_abort(l->t);
	arena_free(l->a);
}

int64_t years_directory_end(struct years *y, unsigned home)
{
	struct look l = look_into(y, home);
	Rk__Directory *d;
	int64_t end;

	exchange_must(book_directory(l.c, l.t, l.a, &d, NULL), "a directory");
	end = d->expires_at;
	look_away(&l);
	return end;
}

/* Only numbers and times: its bytes went with the arena. */
Rk__FeedEpoch years_epoch(struct years *y, unsigned home, bool *has_key)
{
	struct look l = look_into(y, home);
	Rk__FeedEpoch *e, copy;
	uint8_t ek[32];

	exchange_must(book_epoch(l.c, l.t, 0, l.a, &e, NULL), "an epoch");
	exchange_must(keys_unlock(l.c, KEY_DEVICE), "the device's key");
	*has_key = book_epoch_key(l.c, l.t, e->n, ek) == RK_OK;
	copy = *e;
	look_away(&l);
	return copy;
}

Rk__DeviceKx years_kx(struct years *y, unsigned home, unsigned of)
{
	struct look l = look_into(y, home);
	Rk__DeviceKx *kx, copy = RK__DEVICE_KX__INIT;
	int r = book_device_kx(l.c, l.t, client_device_id(exchange_client(&y->x, of)), l.a, &kx);

	if (r == RK_OK)
		copy = *kx;
	look_away(&l);
	return copy;
}

unsigned years_kx_secrets(struct years *y, unsigned home, int64_t *oldest)
{
	struct client *c = exchange_client(&y->x, home);
	struct keys_kx ring[KEYS_KX_MAX];
	size_t count;

	exchange_must(keys_unlock(c, KEY_DEVICE), "the device's key");
	exchange_must(keys_kx_list(c, ring, KEYS_KX_MAX, &count), "keys_kx_list");
	*oldest = exchange_now();
	for (size_t i = 0; i < count; i++)
		if (ring[i].not_before < *oldest)
			*oldest = ring[i].not_before;
	return (unsigned)count;
}

int64_t years_list_end(struct years *y, unsigned home, unsigned of)
{
	struct look l = look_into(y, home);
	Rk__OrgDevices *list;
	int64_t end;

	exchange_must(book_org_devices(l.c, l.t, y->x.home[of].org_id, l.a, &list, NULL), "a list of devices");
	end = list->valid_until;
	look_away(&l);
	return end;
}

/* ---- nothing is amiss */

static void must_be(bool ok, const char *what, unsigned home)
{
	char text[160];

	snprintf(text, sizeof(text), "%s: %s", names[home], what);
	exchange_need(ok, text);
}

static void check_quiet(struct years *y, unsigned home)
{
	static const char *const counters[] = {"log-fork", "log-rollback", "log-leaf", "log-unproven", "log-cut",
		"seen-unproven", "two-objects", "restored", "generation", "cursor-lost", "read-only"};
	static const char *const duties[] = {"directory", "feed epoch", "feed key", "device kx", "checkpoint", "devices"};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		must_be(verb_count(&y->x, home, counters[i]) == 0, counters[i], home);
	/* Told once for each time that the witness slept. */
	must_be(verb_count(&y->x, home, "log-unwitnessed") <= y->sleeps, "log-unwitnessed", home);
	for (size_t i = 0; i < sizeof(duties) / sizeof(duties[0]); i++)
		must_be(verb_refused(&y->x, home, duties[i]) == 0, duties[i], home);
	must_be(verb_alerts(&y->x, home, NULL) == 0, "an alert in the inbox", home);
	must_be(verb_unanswered(&y->x, home) == 0, "something was not sent", home);
}

static void check_keys(struct years *y, unsigned home)
{
	Rk__DeviceKx kx = years_kx(y, home, home);
	int64_t now = exchange_now(), oldest;
	bool has_key;
	Rk__FeedEpoch epoch = years_epoch(y, home, &has_key);

	must_be(kx.not_before + TRUST_KX_RENEW_MS > now, "its kx key is not renewed after 30 days", home);
	must_be(kx.not_after == kx.not_before + TRUST_KX_AGE_MS, "its kx key is valid for 40 days", home);
	(void)years_kx_secrets(y, home, &oldest);
	must_be(oldest + TRUST_KX_KEPT_MS > now, "a kx secret is kept after 60 days", home);
	must_be(epoch.not_after == epoch.not_before + TRUST_EPOCH_DEFAULT_MS && epoch.not_after > now, "the feed's epoch is over", home);
	must_be(has_key, "has no key of the newest epoch", home);
	must_be(years_list_end(y, home, home) > now, "its list of devices is over", home);
}

void years_check_home(struct years *y, unsigned home)
{
	check_quiet(y, home);
	check_keys(y, home);
	must_be(years_directory_end(y, home) > exchange_now(), "the directory is over", home);
}

/* ---- work */

static uint32_t day_in(int64_t ms)
{
	time_t at = (time_t)((exchange_now() + ms) / 1000);
	struct tm tm;

	gmtime_r(&at, &tm);
	return (uint32_t)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
}

/* A year at a time, made anew some weeks before it ends. */
static void keep_agreement(struct years *y)
{
	const struct agreement_new terms = {.last_day = day_in(150 * EXCHANGE_DAY_MS), .window_days = -1, .survival_months = -1};
	static int64_t made_ms;

	if (y->nda[0] != 0 && exchange_now() < made_ms + 110 * EXCHANGE_DAY_MS)
		return;
	exchange_must(verb_agree(&y->x, YEARS_A, YEARS_B, &terms, y->nda), "the companies' agreement");
	made_ms = exchange_now();
}

/* The last one is opened before the next is sent. */
static void exchange_dossiers(struct years *y)
{
	struct years_disclosure *d;

	if (y->sent_count > 0 && !(d = &y->sent[y->sent_count - 1])->is_opened) {
		exchange_must(verb_get(&y->x, YEARS_B, d->env_id, d->title, YEARS_DOSSIER_BYTES), "B's dossier get");
		d->is_opened = true;
	}
	if (exchange_now() < y->next_dossier_ms || y->is_asleep)
		return;
	exchange_need(y->sent_count < YEARS_DISCLOSURES, "room for disclosures");
	keep_agreement(y);
	d = &y->sent[y->sent_count++];
	*d = (struct years_disclosure){.sent_ms = exchange_now()};
	snprintf(d->title, sizeof(d->title), "Month %u", y->sent_count);
	exchange_must(verb_send(&y->x, YEARS_A, y->nda, d->title, YEARS_DOSSIER_BYTES, d->env_id), "A's dossier send");
	y->next_dossier_ms = exchange_now() + DOSSIER_EVERY_MS;
}

/* Whose organisation's key had no other use: somebody types its passphrase twice a year, when doctor asks for it. */
static void renew_list(struct years *y, unsigned home)
{
	if (verb_list_is_due(&y->x, home))
		exchange_must(verb_renew_list(&y->x, home), "device renew");
}

void years_visit(struct years *y)
{
	struct exchange *x = &y->x;

	if (++y->steps % RESTART_EVERY == 0) {
		exchange_broker_stop(&x->broker);
		exchange_broker_start(&x->broker);
		for (unsigned i = YEARS_SECRETARIAT; i <= YEARS_U; i++)
			exchange_reopen(x, i);
		y->broker_starts++;
	}
	if (!y->is_asleep) {
		exchange_must(verb_sync(x, YEARS_SECRETARIAT, NULL), "the secretariat's sync");
		renew_list(y, YEARS_SECRETARIAT);
	}
	for (unsigned i = YEARS_A; i <= YEARS_U; i++)
		exchange_must(verb_sync(x, i, NULL), names[i]);
	exchange_dossiers(y);
	for (unsigned i = YEARS_A; i <= YEARS_U; i++)
		renew_list(y, i);
	if (!y->is_strict)
		return;
	for (unsigned i = YEARS_SECRETARIAT; i <= YEARS_U; i++)
		years_check_home(y, i);
}

void years_live_until(struct years *y, int64_t ms)
{
	while (exchange_now() + y->step_ms < ms) {
		exchange_pass(y->step_ms);
		years_visit(y);
	}
	exchange_set_clock(ms);
}

/* ---- the exchange */

void years_begin(struct years *y)
{
	const char *days = getenv("RENKEI_YEARS_STEP_DAYS");

	memset(y, 0, sizeof(*y));
	y->step_ms = (days != NULL && atoi(days) > 0 ? atoi(days) : 5) * EXCHANGE_DAY_MS;
	y->is_strict = true;
	exchange_begin(&y->x, EXCHANGE_START_MS, "Asia/Tokyo");
	(void)exchange_join(&y->x, "Alpha", RK__ORG_KIND__SME);
	(void)exchange_join(&y->x, "Beta", RK__ORG_KIND__SME);
	(void)exchange_join(&y->x, "University", RK__ORG_KIND__UNIVERSITY);
	for (unsigned i = YEARS_SECRETARIAT; i <= YEARS_U; i++)
		exchange_must(verb_sync(&y->x, i, NULL), names[i]);
}

void years_end(struct years *y)
{
	exchange_end(&y->x);
}
