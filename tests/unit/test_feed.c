/* feed: every post is judged again by its reader; it is told once, in order, when it can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/bare_home.h"

#define HOUR_MS ((int64_t)3600000)
#define AUTHOR 2 /* the home is organisation 1 */

static int setup(void **state)
{
	struct bare *h = malloc(sizeof(*h));

	bare_begin(h, 1);
	bare_fill_book(h);
	bare_write(h);
	*state = h;
	return 0;
}

static int setup_with_key(void **state)
{
	struct bare *h;

	setup(state);
	h = *state;
	assert_int_equal(book_epoch_key_put(h->c, h->t, 1, h->f.ek), RK_OK);
	return 0;
}

static int teardown(void **state)
{
	bare_end(*state);
	free(*state);
	return 0;
}

static struct bytes post_message(struct bare *h, Rk__Channel type, const char *title)
{
	Rk__Message m = RK__MESSAGE__INIT;
	Rk__Post p = RK__POST__INIT;
	Rk__PostText text = RK__POST_TEXT__INIT, *texts[1] = {&text};
	struct bytes packed;

	text.lang = (char *)(uintptr_t)"en";
	text.title = (char *)(uintptr_t)title;
	p.type = type;
	p.n_texts = 1;
	p.texts = texts;
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_POST;
	m.post = &p;
	assert_int_equal(STRICT_PACK(&m, h->a, &packed), RK_OK);
	return packed;
}

/* One post on its way: header, sealed; delivered at seq. */
struct sent {
	struct envelope_wire wire;
	struct delivery d;
};

static struct sent seal(struct bare *h, Rk__EnvelopeHeader *head, int sender, struct bytes message, uint64_t seq)
{
	struct sent s;

	assert_int_equal(fixed_seal(&h->f, head, sender, 0, message, h->a, &s.wire), RK_OK);
	s.d = (struct delivery){.stream = stream_channel(head->channel), .seq = seq, .kind = RK__ENTRY_KIND__ENTRY_POST,
				.time_ms = head->created_at, .object = s.wire.head, .body = s.wire.body};
	return s;
}

static struct sent new_post(struct bare *h, int sender, const char *title, uint64_t seq)
{
	Rk__EnvelopeHeader *head = fixed_header(&h->f, RK__KIND__FEED, sender, 0, h->a);

	return seal(h, head, sender, post_message(h, RK__CHANNEL__OFFER, title), seq);
}

/* A change of the post `of`, which stands at of_seq. */
static struct sent change(struct bare *h, int sender, Rk__PostOp op, const struct sent *of, uint32_t version, uint64_t seq)
{
	Rk__EnvelopeHeader *head = fixed_header(&h->f, RK__KIND__FEED, sender, 0, h->a);
	struct bytes message = op == RK__POST_OP__WITHDRAW ? fixed_message("gone", h->a) :
								post_message(h, RK__CHANNEL__OFFER, "changed");

	head->post_op = op;
	head->post_id = pb_of(BYTES_OF(of->wire.env_id));
	head->post_seq = of->d.seq;
	head->post_version = version;
	return seal(h, head, sender, message, seq);
}

static void deliver(struct bare *h, const struct delivery *d)
{
	assert_int_equal(feed_on_post(h->c, h->t, d), RK_OK);
}

static const Rkl__PostRecord *record(struct bare *h, const uint8_t post_id[32])
{
	Rkl__PostRecord *r;

	if (record_get(h->t, C_POST, bytes_make(post_id, 32), &rkl__post_record__descriptor, h->a, (ProtobufCMessage **)&r) != RK_OK)
		return NULL;
	return r;
}

/* The entry is dropped, counted, and leaves nothing. */
static void refuse(struct bare *h, const struct delivery *d)
{
	uint64_t before = bare_counter(h, "bad-post");
	size_t posts = bare_table_count(h, C_POST), arrivals = bare_table_count(h, C_ARRIVAL);

	deliver(h, d);
	assert_int_equal(bare_counter(h, "bad-post"), before + 1);
	assert_int_equal(bare_table_count(h, C_POST), posts);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), arrivals);
}

static void a_post_is_told_once(void **state)
{
	struct bare *h = *state;
	struct sent s = new_post(h, AUTHOR, "one", 5);
	const Rkl__PostRecord *r;
	struct bytes message;

	deliver(h, &s.d);
	r = record(h, s.wire.env_id);
	assert_non_null(r);
	assert_int_equal(r->status, RKL__POST_STATUS__LIVE);
	assert_int_equal(r->first_seq, 5);
	assert_int_equal(r->version, 1);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
	assert_int_equal(content_get(h->c, h->t, s.wire.env_id, false, h->a, &message), RK_OK);
	assert_true(bytes_equal(message, post_message(h, RK__CHANNEL__OFFER, "one")));
	/* The same entry again, as after a restore of the broker. */
	deliver(h, &s.d);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
	assert_int_equal(bare_counter(h, "bad-post"), 0);
	/* The same envelope at another place is a replay. */
	s.d.seq = 6;
	refuse(h, &s.d);
}

static void who_may_say_it(void **state)
{
	struct bare *h = *state;
	struct sent s = new_post(h, AUTHOR, "one", 1), own;
	Rk__EnvelopeHeader *head;
	uint8_t *copy;

	/* A changed byte of head or body. */
	copy = arena_copy(h->a, s.d.object.data, s.d.object.len);
	copy[s.d.object.len - 1] ^= 1;
	s.d.object.data = copy;
	refuse(h, &s.d);
	s = new_post(h, AUTHOR, "one", 1);
	copy = arena_copy(h->a, s.d.body.data, s.d.body.len);
	copy[7] ^= 1;
	s.d.body.data = copy;
	refuse(h, &s.d);
	/* Another channel's stream. */
	s = new_post(h, AUTHOR, "one", 1);
	s.d.stream = stream_channel(RK__CHANNEL__NEED);
	refuse(h, &s.d);
	/* Created more than ten minutes away from when the broker took it in. */
	s = new_post(h, AUTHOR, "one", 1);
	s.d.time_ms = FIXED_TIME_MS + ENVELOPE_CLOCK_MS + 1;
	refuse(h, &s.d);
	/* One organisation's device under another's name. */
	head = fixed_header(&h->f, RK__KIND__FEED, AUTHOR, 0, h->a);
	head->sender_org = pb_of(BYTES_OF(h->f.orgs[0].org_id));
	own = seal(h, head, AUTHOR, post_message(h, RK__CHANNEL__OFFER, "one"), 1);
	refuse(h, &own.d);
	/* The content says another channel than the header. */
	head = fixed_header(&h->f, RK__KIND__FEED, AUTHOR, 0, h->a);
	own = seal(h, head, AUTHOR, post_message(h, RK__CHANNEL__NEED, "one"), 1);
	refuse(h, &own.d);
	/* Not a post at all. */
	own = seal(h, fixed_header(&h->f, RK__KIND__FEED, AUTHOR, 0, h->a), AUTHOR, fixed_message("hello", h->a), 1);
	refuse(h, &own.d);
	s.d.object = bytes_str("no envelope");
	refuse(h, &s.d);
}

static void notices_are_the_secretariats(void **state)
{
	struct bare *h = *state;
	Rk__EnvelopeHeader *head = fixed_header(&h->f, RK__KIND__FEED, AUTHOR, 0, h->a);
	struct sent s;

	head->channel = RK__CHANNEL__NOTICE;
	s = seal(h, head, AUTHOR, post_message(h, RK__CHANNEL__NOTICE, "hear ye"), 1);
	refuse(h, &s.d);
	head = fixed_header(&h->f, RK__KIND__FEED, 0, 0, h->a);
	head->channel = RK__CHANNEL__NOTICE;
	s = seal(h, head, 0, post_message(h, RK__CHANNEL__NOTICE, "hear ye"), 1);
	deliver(h, &s.d);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
}

static void versions(void **state)
{
	struct bare *h = *state;
	struct sent one = new_post(h, AUTHOR, "one", 1), next;
	const Rkl__PostRecord *r;

	deliver(h, &one.d);
	/* Another's post; a place where it does not stand. */
	next = change(h, 0, RK__POST_OP__REVISE, &one, 2, 2);
	refuse(h, &next.d);
	one.d.seq = 9;
	next = change(h, AUTHOR, RK__POST_OP__REVISE, &one, 2, 2);
	refuse(h, &next.d);
	one.d.seq = 1;
	next = change(h, AUTHOR, RK__POST_OP__REVISE, &one, 2, 2);
	deliver(h, &next.d);
	r = record(h, one.wire.env_id);
	assert_int_equal(r->version, 2);
	assert_int_equal(r->first_seq, 1);
	assert_int_equal(r->newest_seq, 2);
	assert_memory_equal(r->env_id.data, next.wire.env_id, 32);
	/* A version that has been there. */
	next = change(h, AUTHOR, RK__POST_OP__RENEW, &one, 2, 3);
	refuse(h, &next.d);
	/* Withdrawn is for good. */
	next = change(h, AUTHOR, RK__POST_OP__WITHDRAW, &one, 3, 3);
	deliver(h, &next.d);
	assert_int_equal(record(h, one.wire.env_id)->status, RKL__POST_STATUS__WITHDRAWN);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 3);
	next = change(h, AUTHOR, RK__POST_OP__REVISE, &one, 4, 4);
	refuse(h, &next.d);
}

/* A newcomer meets tombstones: their heads are what later versions are judged by. */
static void tombstones(void **state)
{
	struct bare *h = *state;
	struct sent one = new_post(h, AUTHOR, "one", 1), next;

	one.d.bulk_dropped = true;
	one.d.body = (struct bytes){0};
	deliver(h, &one.d);
	assert_int_equal(record(h, one.wire.env_id)->status, RKL__POST_STATUS__EXPIRED);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 0);
	next = change(h, 0, RK__POST_OP__REVISE, &one, 2, 2);
	refuse(h, &next.d);
	next = change(h, AUTHOR, RK__POST_OP__REVISE, &one, 3, 3);
	deliver(h, &next.d);
	assert_int_equal(record(h, one.wire.env_id)->status, RKL__POST_STATUS__LIVE);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
}

static void what_has_expired(void **state)
{
	struct bare *h = *state;
	struct sent s = new_post(h, AUTHOR, "one", 1);

	bare_now_ms = FIXED_TIME_MS + 20 * 24 * HOUR_MS;
	deliver(h, &s.d);
	assert_int_equal(record(h, s.wire.env_id)->status, RKL__POST_STATUS__EXPIRED);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 0);
	assert_int_equal(bare_table_count(h, C_CONTENT), 0);
	assert_int_equal(bare_counter(h, "bad-post"), 0);
}

static void members_who_left(void **state)
{
	struct bare *h = *state;
	struct sent before = new_post(h, AUTHOR, "before", 1), after;
	Rk__EnvelopeHeader *head = fixed_header(&h->f, RK__KIND__FEED, AUTHOR, 0, h->a);
	Rk__Directory *d = bare_next_directory(h, 2);

	head->created_at = FIXED_TIME_MS + HOUR_MS;
	after = seal(h, head, AUTHOR, post_message(h, RK__CHANNEL__OFFER, "after"), 2);
	d->orgs[AUTHOR]->status = RK__ORG_STATUS__EXPELLED;
	d->orgs[AUTHOR]->since = FIXED_TIME_MS + HOUR_MS;
	assert_int_equal(bare_take_directory(h, d), RK_OK);
	deliver(h, &before.d);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
	refuse(h, &after.d);
}

/* A broker that goes on to take in what an expelled organisation posts. */
static void a_post_from_behind_the_expulsion(void **state)
{
	struct bare *h = *state;
	struct sent before = new_post(h, AUTHOR, "before", 1), after = new_post(h, AUTHOR, "after", 2);
	Rk__Directory *d = bare_next_directory(h, 2);
	struct delivery control = {.stream = stream_control(), .seq = 9, .kind = RK__ENTRY_KIND__ENTRY_DIRECTORY,
				   .time_ms = FIXED_TIME_MS};

	d->orgs[AUTHOR]->status = RK__ORG_STATUS__EXPELLED;
	d->orgs[AUTHOR]->since = FIXED_TIME_MS + HOUR_MS;
	control.object = bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &d->base);
	assert_int_equal(book_on_control(h->c, h->t, &control), RK_OK);
	before.d.control_seq = 8;
	deliver(h, &before.d);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
	after.d.control_seq = 9;
	refuse(h, &after.d);
}

static void devices_that_left(void **state)
{
	struct bare *h = *state;
	struct sent before = new_post(h, AUTHOR, "before", 1), after;
	Rk__EnvelopeHeader *head = fixed_header(&h->f, RK__KIND__FEED, AUTHOR, 0, h->a);
	Rk__OrgDevices *o = bare_next_devices(h, AUTHOR, 2);
	Rk__Device **two = fixed_alloc(h->a, 2 * sizeof(*two));

	head->created_at = FIXED_TIME_MS + HOUR_MS;
	after = seal(h, head, AUTHOR, post_message(h, RK__CHANNEL__OFFER, "after"), 2);
	/* The list stays legal by a device that no other list has yet. */
	struct fixed other;
	fixed_init(&other);
	fixed_sign_key(&other.orgs[AUTHOR].device, "a new device");
	fixed_box_key(&other.orgs[AUTHOR].curve, "a new device");
	memcpy(other.orgs[AUTHOR].device_id, other.orgs[AUTHOR].device.pk, 16);
	two[0] = o->devices[0];
	two[0]->retired_at = FIXED_TIME_MS + HOUR_MS;
	two[1] = fixed_org_devices(&other, AUTHOR, h->a)->devices[0];
	ids_device(two[1]->device_id.data, other.orgs[AUTHOR].device.pk);
	o->devices = two;
	o->n_devices = 2;
	assert_int_equal(bare_take(h, OBJECT_KIND_ORG_DEVICES,
				   bare_sign(h, OBJECT_KIND_ORG_DEVICES, h->f.orgs[AUTHOR].org.sk, &o->base)), RK_OK);
	deliver(h, &before.d);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
	refuse(h, &after.d);
}

static struct delivery key_entry(struct bare *h, int org, const uint8_t ek[32], uint32_t n)
{
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_FEED_KEY, .time_ms = FIXED_TIME_MS, .seq = 1};
	uint8_t sealed[136];

	assert_int_equal(trust_feed_key_seal(sealed, n, ek, h->f.orgs[org].kx.pk), RK_OK);
	d.stream = stream_mailbox(h->f.orgs[1].org_id);
	d.object = bare_sign(h, OBJECT_KIND_FEED_KEY, h->f.secretariat.sk, &fixed_feed_key(&h->f, org, sealed, h->a)->base);
	return d;
}

static void waiting_for_a_key(void **state)
{
	struct bare *h = *state;
	struct sent one = new_post(h, AUTHOR, "one", 1), two = new_post(h, AUTHOR, "two", 2), next;
	static const uint8_t wrong[32] = {1};
	struct delivery d;

	deliver(h, &one.d);
	deliver(h, &two.d);
	next = change(h, AUTHOR, RK__POST_OP__REVISE, &two, 2, 3);
	deliver(h, &next.d);
	assert_int_equal(record(h, one.wire.env_id)->status, RKL__POST_STATUS__SEALED);
	assert_int_equal(bare_table_count(h, C_WAITING), 3);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 0);
	/* Another device's key is none of ours; a key that the epoch does not commit to is none at all. */
	d = key_entry(h, AUTHOR, h->f.ek, 1);
	assert_int_equal(feed_on_key(h->c, h->t, &d), RK_OK);
	assert_int_equal(bare_counter(h, "bad-feed-key"), 0);
	d = key_entry(h, 1, wrong, 1);
	assert_int_equal(feed_on_key(h->c, h->t, &d), RK_OK);
	assert_int_equal(bare_counter(h, "bad-feed-key"), 1);
	assert_int_equal(bare_table_count(h, C_EPOCH), 0);
	d = key_entry(h, 1, h->f.ek, 1);
	assert_int_equal(feed_on_key(h->c, h->t, &d), RK_OK);
	assert_int_equal(bare_table_count(h, C_EPOCH), 1);
	assert_int_equal(bare_table_count(h, C_WAITING), 0);
	assert_int_equal(record(h, one.wire.env_id)->status, RKL__POST_STATUS__LIVE);
	assert_int_equal(record(h, two.wire.env_id)->status, RKL__POST_STATUS__LIVE);
	/* The first version of the second post was superseded while it waited: only the newest is told. */
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 2);
	deliver(h, &one.d);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 2);
	assert_int_equal(meta_u64(h->t, META_WAITING), 0);
}

static void our_own(void **state)
{
	struct bare *h = *state;
	struct sent s = new_post(h, 1, "ours", 1);

	assert_int_equal(feed_on_sent(h->c, h->t, &s.d), RK_OK);
	assert_int_equal(record(h, s.wire.env_id)->status, RKL__POST_STATUS__LIVE);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 0);
	/* The channel brings it: now it is told, once. */
	deliver(h, &s.d);
	deliver(h, &s.d);
	assert_int_equal(bare_table_count(h, C_ARRIVAL), 1);
}

static void following(void **state)
{
	struct bare *h = *state;

	bare_commit(h);
	assert_int_equal(feed_follow(h->c, RK__CHANNEL__CHANNEL_NONE, true), RK_EUSAGE);
	assert_int_equal(feed_follow(h->c, RK__CHANNEL__NEED, true), RK_OK);
	assert_int_equal(feed_follow(h->c, RK__CHANNEL__NEED, true), RK_OK);
	assert_int_equal(bare_table_count(h, C_FOLLOW), 1);
	assert_int_equal(feed_follow(h->c, RK__CHANNEL__NEED, false), RK_OK);
	assert_int_equal(feed_follow(h->c, RK__CHANNEL__NEED, false), RK_OK);
	assert_int_equal(bare_table_count(h, C_FOLLOW), 0);
}

static void nothing_lies_open(void **state)
{
	struct bare *h = *state;
	struct sent s = new_post(h, AUTHOR, "forty-one per cent at line 3", 1);

	deliver(h, &s.d);
	bare_commit(h);
	assert_int_equal(bare_table_count(h, C_CONTENT), 1);
	assert_false(bare_files_hold(h, bytes_str("forty-one per cent")));
}

int main(void)
{
#define WITH_KEY(name) cmocka_unit_test_setup_teardown(name, setup_with_key, teardown)
	const struct CMUnitTest tests[] = {
		WITH_KEY(a_post_is_told_once), WITH_KEY(who_may_say_it), WITH_KEY(notices_are_the_secretariats), WITH_KEY(versions),
		WITH_KEY(tombstones), WITH_KEY(what_has_expired), WITH_KEY(members_who_left), WITH_KEY(devices_that_left),
		WITH_KEY(a_post_from_behind_the_expulsion),
		cmocka_unit_test_setup_teardown(waiting_for_a_key, setup, teardown), WITH_KEY(our_own), WITH_KEY(following),
		WITH_KEY(nothing_lies_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
