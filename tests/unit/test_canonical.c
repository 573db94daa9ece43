/* canonical_field: a field as it stands in the bytes.  (What is canonical: test_strict, and fuzz_strict against the definition.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/canonical.h"
#include "renkei.pb-c.h"

static void a_field_is_found_as_it_was_packed(void **state)
{
	uint8_t sig[64], payload[300], packed[1024], inner[512];
	Rk__Signed head = RK__SIGNED__INIT;
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Hello hello = RK__HELLO__INIT;
	size_t len, inner_len;

	(void)state;
	memset(sig, 7, sizeof(sig));
	memset(payload, 9, sizeof(payload));
	head.payload = (ProtobufCBinaryData){sizeof(payload), payload};
	head.sig = (ProtobufCBinaryData){sizeof(sig), sig};
	q.protocol = 1;
	q.op = RK__OP__OP_SUBMIT;
	q.number = UINT64_MAX;
	q.tag = 5;
	q.head = &head;
	q.hello = &hello;
	len = rk__request__pack(&q, packed);
	inner_len = rk__signed__pack(&head, inner);
	assert_true(bytes_equal(canonical_field(bytes_make(packed, len), 8), bytes_make(inner, inner_len)));
	/* There, and empty. */
	assert_true(canonical_field(bytes_make(packed, len), 9).len == 0 && canonical_field(bytes_make(packed, len), 9).data != NULL);
	/* A number, one that is not there, one beyond the end, and bytes that end too early. */
	assert_null(canonical_field(bytes_make(packed, len), 4).data);
	assert_null(canonical_field(bytes_make(packed, len), 6).data);
	assert_null(canonical_field(bytes_make(packed, len), 99).data);
	for (size_t n = 0; n < len; n++)
		(void)canonical_field(bytes_make(packed, n), 9);
	assert_null(canonical_field(bytes_make(NULL, 0), 8).data);
}

static void the_head_of_a_request_has_the_number_that_apply_takes(void **state)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(&rk__request__descriptor, "head");

	(void)state;
	assert_int_equal(f->id, 8); /* REQUEST_HEAD of broker/apply_submit.c */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_is_found_as_it_was_packed),
		cmocka_unit_test(the_head_of_a_request_has_the_number_that_apply_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
