/*
 * Two officers of the secretariat, each with a key of their own on a device of their own, against the real broker: what one of them does the
 * other one goes on from, and of two who sign at once exactly one is taken.  The other one is told so, reads what came of it, and signs anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "client/key_change.h"
#include "client/officer.h"
#include "proto/trust.h"
#include "tests/unit/exchange_verbs.h"

static struct exchange x;
static unsigned second, a, b;    /* homes: the second officer's, two members' */

/* ---- the second officer: a device of the secretariat, and a key that the next charter names */

static void set_up(void)
{
	struct client *s, *o;
	struct renewal renewal;
	uint8_t pk[32];

	exchange_begin(&x, EXCHANGE_START_MS, "Asia/Tokyo");
	a = exchange_join(&x, "Member A", RK__ORG_KIND__SME);
	b = exchange_join(&x, "Member B", RK__ORG_KIND__SME);
	second = exchange_add_device(&x, EXCHANGE_SECRETARIAT, "Second desk");
	s = exchange_client(&x, EXCHANGE_SECRETARIAT);
	o = exchange_client(&x, second);
	exchange_must(key_change_officer(o, &(struct key_new){.mem_mib = 64, .ops = 2}, pk), "the officer's key");
	exchange_must(officer_add(s, pk, "Sato", NULL, x.a, &renewal), "officer_add");
	/* Until the charter names it, it is no officer's. */
	assert_int_equal(secretariat_unlock(o), RK_NOT_PERMITTED);
	exchange_broker_stop(&x.broker);
	exchange_must(exchange_broker_adopt(&x.broker, renewal.file, true), "apply_adopt");
	exchange_broker_start(&x.broker);
	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	assert_int_equal(secretariat_unlock(o), RK_OK);
}

/* ---- what is looked at */

static uint64_t serial_at(unsigned home)
{
	struct arena *arena = arena_new((size_t)1024 * 1024);
	struct client *c = exchange_client(&x, home);
	Rk__Directory *d;
	uint64_t serial;
	struct txn *t;

	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(book_directory(c, t, arena, &d, NULL), "directory");
	serial = d->serial;
	env_abort(t);
	arena_free(arena);
	return serial;
}

static Rk__OrgStatus status_at(unsigned home, unsigned member)
{
	struct arena *arena = arena_new((size_t)1024 * 1024);
	struct client *c = exchange_client(&x, home);
	Rk__OrgStatus status;
	struct txn *t;
	Rk__Org *org;

	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(book_org(c, t, x.home[member].org_id, arena, &org), "a row");
	status = org->status;
	env_abort(t);
	arena_free(arena);
	return status;
}

enum key_of_epoch { KEY_IS_NOT_HERE, KEY_FITS, KEY_IS_ANOTHER };

/* What the home would seal by, beside what the newest epoch was signed over. */
static enum key_of_epoch epoch_key_at(unsigned home)
{
	struct arena *arena = arena_new((size_t)1024 * 1024);
	struct client *c = exchange_client(&x, home);
	enum key_of_epoch found = KEY_IS_NOT_HERE;
	uint8_t ek[32], commit[32];
	Rk__FeedEpoch *epoch;
	struct txn *t;

	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(book_epoch(c, t, 0, arena, &epoch, NULL), "epoch");
	if (book_epoch_key(c, t, epoch->n, ek) == RK_OK) {
		trust_ek_commit(commit, ek);
		found = memcmp(commit, epoch->ek_commit.data, 32) == 0 ? KEY_FITS : KEY_IS_ANOTHER;
	}
	env_abort(t);
	arena_free(arena);
	return found;
}

static bool holds_the_epoch(unsigned home)
{
	return epoch_key_at(home) == KEY_FITS;
}

/* Queued over the directory that this home knows, and not sent yet. */
static uint64_t sign_status(unsigned home, unsigned member, Rk__OrgStatus status)
{
	uint64_t item;

	exchange_must(secretariat_set_status(exchange_client(&x, home), x.home[member].org_id, status, &item), "secretariat_set_status");
	return item;
}

static int answer_to(unsigned home, uint64_t item)
{
	struct outcome out;
	int r = verb_outcome(&x, home, item, &out);

	return r == RK_OK ? out.code : r;
}

static bool is_out(unsigned home)
{
	int code = link_sync(exchange_client(&x, home), NULL);

	return code == RK_REVOKED || code == RK_NOT_ADMITTED;
}

/* ---- tests */

static void an_officer_at_a_second_device_does_what_the_first_does(void **state)
{
	struct secretariat_done done;
	uint8_t post_id[32];
	uint64_t item;
	(void)state;

	item = sign_status(second, a, RK__ORG_STATUS__SUSPENDED);
	exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	assert_int_equal(answer_to(second, item), RK_OK);
	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	assert_int_equal(status_at(EXCHANGE_SECRETARIAT, a), RK__ORG_STATUS__SUSPENDED);
	/* The first one goes on from it. */
	item = sign_status(EXCHANGE_SECRETARIAT, a, RK__ORG_STATUS__ACTIVE);
	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	assert_int_equal(answer_to(EXCHANGE_SECRETARIAT, item), RK_OK);
	/* Weeks in which the second alone is there: directories and epochs are theirs, and members go on. */
	for (unsigned week = 0; week < 13; week++) {
		/* A little more: directories of one moment are dated one millisecond after the other. */
		exchange_pass(7 * EXCHANGE_DAY_MS + 60000);
		exchange_must(verb_sync(&x, second, &done), "the second officer's sync");
		assert_true(done.directory);
		exchange_must(verb_sync(&x, a, NULL), "a's sync");
		exchange_must(verb_sync(&x, b, NULL), "b's sync");
	}
	assert_true(holds_the_epoch(second) && holds_the_epoch(a) && holds_the_epoch(b));
	exchange_must(verb_post(&x, a, "Under the second's epoch", 0, post_id), "post");
	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	exchange_must(verb_sync(&x, second, NULL), "sync");
	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	assert_true(holds_the_epoch(EXCHANGE_SECRETARIAT));
}

/* ---- requests to join */

/* Unread lines that ask for a decision, and requests that wait for one. */
static unsigned asked_at(unsigned home)
{
	struct client *c = exchange_client(&x, home);
	struct env_cursor *cursor;
	struct bytes key, value;
	unsigned n = 0;
	struct txn *t;

	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(env_cursor_open(t, C_INBOX, &cursor), "the inbox");
	for (int r = env_cursor_seek(cursor, bytes_make(NULL, 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__InboxRecord *rec = rkl__inbox_record__unpack(NULL, value.len, value.data);

		n += rec != NULL && rec->kind == RKL__INBOX_KIND__INBOX_ENROLMENT && !rec->read;
		rkl__inbox_record__free_unpacked(rec, NULL);
	}
	env_cursor_free(cursor);
	env_abort(t);
	return n;
}

static int count_one(void *user, const struct secretariat_request *request)
{
	(void)request;
	++*(unsigned *)user;
	return RK_OK;
}

static unsigned waiting_at(unsigned home)
{
	struct client *c = exchange_client(&x, home);
	unsigned n = 0;
	struct txn *t;

	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(secretariat_each(c, t, RKL__ENROLMENT_STATE__WAITING, count_one, &n), "secretariat_each");
	env_abort(t);
	return n;
}

static void a_request_that_one_decides_asks_nobody_any_more(void **state)
{
	unsigned asked[2] = {asked_at(EXCHANGE_SECRETARIAT), asked_at(second)}, home;
	int answer;
	(void)state;

	home = exchange_prepare(&x, "Member E", RK__ORG_KIND__SME, EXCHANGE_DAY_MS);
	exchange_must(exchange_ask(&x, home, &answer), "link_enrol");
	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(asked_at(i == 0 ? EXCHANGE_SECRETARIAT : second), asked[i] + 1);
		assert_int_equal(waiting_at(i == 0 ? EXCHANGE_SECRETARIAT : second), 1);
	}
	exchange_admit(&x, home, "Member E");
	exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(asked_at(i == 0 ? EXCHANGE_SECRETARIAT : second), asked[i]);
		assert_int_equal(waiting_at(i == 0 ? EXCHANGE_SECRETARIAT : second), 0);
	}
}

/* ---- at once */

/* One predecessor, two successors. */
static void of_two_directories_signed_at_once_one_is_taken(void **state)
{
	uint64_t before, first, other;
	(void)state;

	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	before = serial_at(second);
	assert_int_equal(before, serial_at(EXCHANGE_SECRETARIAT));
	first = sign_status(EXCHANGE_SECRETARIAT, a, RK__ORG_STATUS__SUSPENDED);
	other = sign_status(second, b, RK__ORG_STATUS__SUSPENDED);
	exchange_must(link_sync(exchange_client(&x, second), NULL), "the faster one's link");
	exchange_must(link_sync(exchange_client(&x, EXCHANGE_SECRETARIAT), NULL), "the slower one's link");
	assert_int_equal(answer_to(second, other), RK_OK);
	assert_int_equal(answer_to(EXCHANGE_SECRETARIAT, first), RK_CONFLICT);
	exchange_must(link_sync(exchange_client(&x, second), NULL), "link");
	for (unsigned home = 0; home < 2; home++) {
		unsigned at = home == 0 ? EXCHANGE_SECRETARIAT : second;

		assert_int_equal(serial_at(at), before + 1);
		assert_int_equal(status_at(at, b), RK__ORG_STATUS__SUSPENDED);
		assert_int_equal(status_at(at, a), RK__ORG_STATUS__ACTIVE);
	}
	/* Said again, over what came of it: nothing of the other's is lost. */
	first = sign_status(EXCHANGE_SECRETARIAT, a, RK__ORG_STATUS__SUSPENDED);
	exchange_must(link_sync(exchange_client(&x, EXCHANGE_SECRETARIAT), NULL), "link");
	assert_int_equal(answer_to(EXCHANGE_SECRETARIAT, first), RK_OK);
	assert_int_equal(status_at(EXCHANGE_SECRETARIAT, b), RK__ORG_STATUS__SUSPENDED);
	/* And back. */
	for (unsigned i = 0; i < 2; i++) {
		uint64_t item = sign_status(EXCHANGE_SECRETARIAT, i == 0 ? a : b, RK__ORG_STATUS__ACTIVE);

		exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
		assert_int_equal(answer_to(EXCHANGE_SECRETARIAT, item), RK_OK);
	}
	exchange_must(verb_sync(&x, second, NULL), "sync");
}

/* Directory and epoch fall due for both on one day. */
static void of_two_who_do_the_duties_at_once_one_is_taken(void **state)
{
	struct client *s = exchange_client(&x, EXCHANGE_SECRETARIAT), *o = exchange_client(&x, second);
	struct secretariat_done of_first, of_second;
	uint8_t post_id[32];
	uint64_t before;
	(void)state;

	exchange_pass(84 * EXCHANGE_DAY_MS);
	exchange_must(link_sync(s, NULL), "link");
	exchange_must(link_sync(o, NULL), "link");
	before = serial_at(second);
	exchange_must(secretariat_duties(s, &of_first), "the first's duties");
	exchange_must(secretariat_duties(o, &of_second), "the second's duties");
	assert_true(of_first.directory && of_first.epoch && of_second.directory && of_second.epoch);
	exchange_must(link_sync(o, NULL), "link");
	exchange_must(link_sync(s, NULL), "link");
	assert_int_equal(answer_to(second, of_second.directory_item), RK_OK);
	assert_int_equal(answer_to(EXCHANGE_SECRETARIAT, of_first.directory_item), RK_CONFLICT);
	assert_int_equal(serial_at(EXCHANGE_SECRETARIAT), before + 1);
	/* The key of the epoch that was refused is in no use, whenever the other one comes: what it sealed would open to nobody. */
	assert_int_not_equal(epoch_key_at(EXCHANGE_SECRETARIAT), KEY_IS_ANOTHER);
	/* Each comes right by itself. */
	for (unsigned i = 0; i < 3; i++) {
		exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
		exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	}
	assert_true(holds_the_epoch(second));
	assert_true(holds_the_epoch(EXCHANGE_SECRETARIAT));
	/* Members who slept as long publish a kx key first, and are sealed to then. */
	for (unsigned i = 0; i < 2; i++) {
		exchange_must(verb_sync(&x, a, NULL), "a's sync");
		exchange_must(verb_sync(&x, b, NULL), "b's sync");
		exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
		exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	}
	exchange_must(verb_sync(&x, a, NULL), "a's sync");
	exchange_must(verb_sync(&x, b, NULL), "b's sync");
	assert_true(holds_the_epoch(a) && holds_the_epoch(b));
	assert_false(secretariat_is_due(s) || secretariat_is_due(o));
	exchange_must(verb_post(&x, b, "Under the winner's epoch", 0, post_id), "post");
}

/* The slower one had an epoch and keys behind its directory: none of them counts, and the member is out all the same in the end. */
static void of_two_expulsions_at_once_both_are_done_in_the_end(void **state)
{
	unsigned c = exchange_join(&x, "Member C", RK__ORG_KIND__SME), d = exchange_join(&x, "Member D", RK__ORG_KIND__SME);
	uint64_t first, other;
	(void)state;

	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	first = sign_status(EXCHANGE_SECRETARIAT, c, RK__ORG_STATUS__EXPELLED);
	other = sign_status(second, d, RK__ORG_STATUS__EXPELLED);
	exchange_must(link_sync(exchange_client(&x, EXCHANGE_SECRETARIAT), NULL), "the faster one's link");
	exchange_must(link_sync(exchange_client(&x, second), NULL), "the slower one's link");
	assert_int_equal(answer_to(EXCHANGE_SECRETARIAT, first), RK_OK);
	assert_int_equal(answer_to(second, other), RK_CONFLICT);
	other = sign_status(second, d, RK__ORG_STATUS__EXPELLED);
	exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	assert_int_equal(answer_to(second, other), RK_OK);
	for (unsigned i = 0; i < 2; i++) {
		exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
		exchange_must(verb_sync(&x, second, NULL), "the second officer's sync");
	}
	exchange_must(verb_sync(&x, a, NULL), "a's sync");
	assert_int_equal(status_at(a, c), RK__ORG_STATUS__EXPELLED);
	assert_int_equal(status_at(a, d), RK__ORG_STATUS__EXPELLED);
	assert_true(holds_the_epoch(EXCHANGE_SECRETARIAT) && holds_the_epoch(second) && holds_the_epoch(a));
	/* Neither of the two that are out has the newest key. */
	assert_false(holds_the_epoch(c) && serial_at(c) == serial_at(a));
	assert_true(is_out(c) && is_out(d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_officer_at_a_second_device_does_what_the_first_does),
		cmocka_unit_test(a_request_that_one_decides_asks_nobody_any_more),
		cmocka_unit_test(of_two_directories_signed_at_once_one_is_taken),
		cmocka_unit_test(of_two_who_do_the_duties_at_once_one_is_taken),
		cmocka_unit_test(of_two_expulsions_at_once_both_are_done_in_the_end),
	};
	int failed;

	set_up();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	exchange_end(&x);
	return failed;
}
