/*
 * Head, WrapList and body, the first two with their lengths before them.  The head is taken as it comes; then with the hashes that
 * WrapList and body have, and then with the length too, since no fuzzer would ever guess them.
 */
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/fuzz/fuzz_kit.h"

static void open_as_all(const struct envelope *e, const Rk__WrapList *wraps, struct bytes body, struct arena *a)
{
	const struct fixed *f = fuzz_exchange();
	Rk__Message *m;

	for (int i = 0; i < FIXED_ORGS; i++) {
		struct bytes message = {NULL, 0};
		int r = envelope_open(e, wraps, body, f->ek, f->orgs[i].device_id, fixed_lookup, (void *)(uintptr_t)&f->orgs[i], a,
		                      &message, NULL);

		MUST((r == RK_OK) == (message.data != NULL));
		if (r == RK_OK && message_read(message, a, &m) == MESSAGE_OK)
			fuzz_accepted++;
	}
}

static void check_parts(const struct envelope *e, struct bytes wraps, struct bytes body, struct arena *a)
{
	Rk__WrapList *list;
	struct bytes packed;
	uint8_t hash[32];

	if (envelope_check_bulk(e, wraps, body, a, &list) != RK_OK) {
		MUST(list == NULL);
		return;
	}
	ids_sha256(hash, body);
	MUST(body.len == e->header->body_len && bytes_equal(bytes_of(e->head->body_sha256), BYTES_OF(hash)));
	MUST((list == NULL) == (e->header->kind == RK__KIND__FEED));
	if (list != NULL)
		MUST(STRICT_PACK(list, a, &packed) == RK_OK && bytes_equal(packed, wraps));
	for (size_t i = 1; list != NULL && i < list->n_wraps; i++)
		MUST(memcmp(list->wraps[i - 1]->device_id.data, list->wraps[i]->device_id.data, 16) < 0);
	open_as_all(e, list, body, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len), head = fuzz_take_part(&in), wraps = fuzz_take_part(&in), body = in;
	const struct fixed *f = fuzz_exchange();
	struct arena *a = fuzz_arena(0);
	struct envelope e;

	if (envelope_parse(head, a, &e) == RK_OK) {
		Rk__EnvelopeHeader header = *e.header;
		Rk__EnvelopeHead fitting = *e.head;
		uint8_t body_hash[32], wraps_hash[32];

		MUST(arena_used(a) <= 3 * arena_budget(head.len));
		MUST(e.head_bytes.len <= head.len && e.sig.len == 64);
		arena_raise(a, 1 << 20);
		(void)envelope_check_rules(&header, f->exchange_id);
		/* Only organisation 1 has signed anything with this key. */
		if (envelope_verify(&e, f->exchange_id, f->orgs[1].device.pk) == RK_OK)
			MUST(bytes_equal(bytes_of(header.sender_device), BYTES_OF(f->orgs[1].device_id)));
		check_parts(&e, wraps, body, a);
		ids_sha256(body_hash, body);
		ids_sha256(wraps_hash, wraps);
		fitting.body_sha256 = pb_of(BYTES_OF(body_hash));
		fitting.wraps_sha256 = header.kind == RK__KIND__FEED ? e.head->wraps_sha256 : pb_of(BYTES_OF(wraps_hash));
		e.head = &fitting;
		check_parts(&e, wraps, body, a);
		header.body_len = (uint32_t)body.len;
		e.header = &header;
		check_parts(&e, wraps, body, a);
	}
	arena_free(a);
	return 0;
}
