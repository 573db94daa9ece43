/* replies: order, one frame a connection, and who gets none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/replies.h"
#include "proto/bundle.h"
#include "proto/errcode.h"

static struct peer peer_of(unsigned slot, uint8_t connection, bool bundles)
{
	struct peer p = {.slot = slot, .bundles = bundles, .routing_id_len = 1, .routing_id = {connection}};

	return p;
}

static void say(struct replies *r, const struct peer *p, unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	assert_true(replies_add(r, p, bytes_str(text)));
}

/* What one message says, its parts with a comma between. */
static void read_message(struct message_out *o, char text[512])
{
	struct bytes frame = bytes_make(zmq_msg_data(&o->frames[0]), zmq_msg_size(&o->frames[0]));
	struct bundle_message m;
	size_t at = 0, len = 0;
	unsigned count;

	assert_int_equal(o->frame_count, 1);
	assert_int_equal(o->bytes, frame.len);
	if (!bundle_is(frame)) {
		snprintf(text, 512, "%.*s", (int)frame.len, (const char *)frame.data);
		return;
	}
	assert_int_equal(bundle_check(frame, &count), RK_OK);
	assert_true(count > 1);
	while (bundle_next(frame, &at, &m))
		len += (size_t)snprintf(text + len, 512 - len, "%s%.*s", len > 0 ? "," : "", (int)m.frames[0].len, (const char *)m.frames[0].data);
}

static void expect(struct ring *ring, uint8_t connection, const char *what)
{
	struct message_out *o = ring_pop(ring);
	char text[512];

	assert_non_null(o);
	assert_int_equal(o->peer.routing_id[0], connection);
	read_message(o, text);
	assert_string_equal(text, what);
	message_out_free(o);
}

static void those_of_a_connection_go_together_in_order(void **state)
{
	struct ring_bell *bell = ring_bell_new();
	struct ring *ring = ring_new(64, bell);
	struct replies *r = replies_new(ring);
	struct peer a = peer_of(1, 'a', true), b = peer_of(2, 'b', true), plain = peer_of(3, 'c', false), same_place = peer_of(1 + 256, 'd', true),
		    again = peer_of(1, 'e', true);

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		say(r, &a, i);
		say(r, &b, 10 * i);
	}
	say(r, &plain, 7);
	say(r, &plain, 8);
	/* Who takes no bundles gets the first when the second comes. */
	expect(ring, 'c', "7");
	assert_null(ring_pop(ring));
	replies_flush(r);
	expect(ring, 'a', "1,2,3");
	expect(ring, 'b', "10,20,30");
	expect(ring, 'c', "8");
	assert_null(ring_pop(ring));
	/* Two that meet at one place, and another connection of the same device: no order between them, all are there. */
	say(r, &a, 1);
	say(r, &same_place, 2);
	say(r, &again, 3);
	say(r, &again, 4);
	replies_flush(r);
	expect(ring, 'a', "1");
	expect(ring, 'd', "2");
	expect(ring, 'e', "3,4");
	replies_flush(r);
	assert_null(ring_pop(ring));
	replies_free(r);
	ring_free(ring);
	ring_bell_free(bell);
}

static void more_than_fit_go_in_several(void **state)
{
	struct ring_bell *bell = ring_bell_new();
	struct ring *ring = ring_new(64, bell);
	struct replies *r = replies_new(ring);
	struct peer a = peer_of(1, 'a', true);
	unsigned next = 1;
	struct message_out *o;
	char text[512];

	(void)state;
	for (unsigned i = 1; i <= 3 * BUNDLE_MESSAGES_MAX; i++)
		say(r, &a, i);
	replies_flush(r);
	while ((o = ring_pop(ring)) != NULL) {
		read_message(o, text);
		for (char *at = text; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
			assert_int_equal(atoi(at), next++);
		message_out_free(o);
	}
	assert_int_equal(next, 3 * BUNDLE_MESSAGES_MAX + 1);
	replies_free(r);
	ring_free(ring);
	ring_bell_free(bell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_a_connection_go_together_in_order),
		cmocka_unit_test(more_than_fit_go_in_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
