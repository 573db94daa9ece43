/* definition_kit: see the header. */
#include "tests/unit/definition_kit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/errcode.h"
#include "tests/unit/schema_kit.h"

static const uint8_t *at_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return (const uint8_t *)m + f->offset;
}

/* Elements of a field, and where they lie: of a single one, itself. */
static size_t elements_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const uint8_t **array)
{
	*array = at_of(m, f);
	if (f->label != PROTOBUF_C_LABEL_REPEATED)
		return 1;
	*array = *(const uint8_t *const *)*array;
	return *(const size_t *)(const void *)((const uint8_t *)m + f->quantifier_offset);
}

static bool has_unknown(const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;

	if (m->n_unknown_fields != 0)
		return true;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const uint8_t *array;
		size_t count = elements_of(m, &d->fields[i], &array);

		for (size_t k = 0; d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE && k < count; k++) {
			const ProtobufCMessage *inner = ((ProtobufCMessage *const *)(const void *)array)[k];

			if (inner != NULL && has_unknown(inner))
				return true;
		}
	}
	return false;
}

static bool is_packed_to(const ProtobufCMessage *m, struct bytes in)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *packed;
	bool same;

	if (len != in.len)
		return false;
	if ((packed = malloc(len + 1)) == NULL)
		abort();
	protobuf_c_message_pack(m, packed);
	same = bytes_equal(bytes_make(packed, len), in);
	free(packed);
	return same;
}

int definition_parse(const ProtobufCMessageDescriptor *desc, struct bytes in, ProtobufCMessage **out)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(desc, NULL, in.len, in.data);
	int r = RK_MALFORMED;

	*out = NULL;
	if (m == NULL)
		return r;
	if (!has_unknown(m) && is_packed_to(m, in))
		r = strict_check(m);
	if (r == RK_OK)
		*out = m;
	else
		protobuf_c_message_free_unpacked(m, NULL);
	return r;
}

static bool is_same_value(const ProtobufCFieldDescriptor *f, const uint8_t *a, const uint8_t *b)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return strcmp(*(char *const *)(const void *)a, *(char *const *)(const void *)b) == 0;
	case PROTOBUF_C_TYPE_BYTES: {
		ProtobufCBinaryData x = *(const ProtobufCBinaryData *)(const void *)a, y = *(const ProtobufCBinaryData *)(const void *)b;

		return (x.data == NULL) == (y.data == NULL) && bytes_equal(bytes_of(x), bytes_of(y));
	}
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *x = *(ProtobufCMessage *const *)(const void *)a, *y = *(ProtobufCMessage *const *)(const void *)b;

		return x == NULL || y == NULL ? x == y : definition_is_same(x, y);
	}
	default:
		return memcmp(a, b, schema_kit_element(f)) == 0;
	}
}

bool definition_is_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	const ProtobufCMessageDescriptor *d = a->descriptor;

	if (b->descriptor != d || a->n_unknown_fields != 0 || b->n_unknown_fields != 0 || a->unknown_fields != b->unknown_fields)
		return false;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const uint8_t *x, *y;
		size_t count = elements_of(a, f, &x);

		if (elements_of(b, f, &y) != count || (x == NULL) != (y == NULL))
			return false;
		for (size_t k = 0; k < count; k++)
			if (!is_same_value(f, x + k * schema_kit_element(f), y + k * schema_kit_element(f)))
				return false;
	}
	return true;
}

/* What protobuf-c takes for it within the same budget; SIZE_MAX if that does not do. */
static size_t memory_of_definition(const ProtobufCMessageDescriptor *desc, struct bytes in)
{
	struct arena *a = arena_new(arena_budget(in.len));
	size_t used = SIZE_MAX;

	if (a == NULL)
		abort();
	if (protobuf_c_message_unpack(desc, arena_allocator(a), in.len, in.data) != NULL)
		used = arena_used(a);
	arena_free(a);
	return used;
}

static const char *compare(const ProtobufCMessageDescriptor *desc, struct bytes in, struct arena *a, int r, const ProtobufCMessage *m)
{
	ProtobufCMessage *expected;
	int wanted = definition_parse(desc, in, &expected);
	size_t used = arena_used(a), bound = memory_of_definition(desc, in);
	const char *differs = NULL;
	struct bytes packed;

	if ((r == RK_OK) != (m != NULL))
		differs = "a message without RK_OK, or RK_OK without";
	else if (used > arena_budget(in.len))
		differs = "memory beyond the budget";
	else if (r == RK_TOO_LARGE ? wanted == RK_MALFORMED || bound != SIZE_MAX : r != wanted)
		differs = "the result";
	else if (r == RK_OK && (m->descriptor != desc || !definition_is_same(m, expected)))
		differs = "the message";
	else if (r == RK_OK && used > bound)
		differs = "memory beyond what protobuf-c takes";
	else if (r == RK_OK && (strict_pack(m, a, &packed) != RK_OK || !bytes_equal(packed, in)))
		differs = "the message, packed again";
	if (expected != NULL)
		protobuf_c_message_free_unpacked(expected, NULL);
	return differs;
}

const char *definition_differs(const ProtobufCMessageDescriptor *desc, struct bytes in, int *result)
{
	/* Exactly its bytes, so that a sanitizer sees a read behind the end; and gone before the message is looked at, which borrows nothing. */
	uint8_t *exact = malloc(in.len + (in.len == 0));
	struct arena *a = arena_new(0);
	ProtobufCMessage *m = (ProtobufCMessage *)(uintptr_t)1;
	const char *differs;

	if (exact == NULL || a == NULL)
		abort();
	if (in.len > 0)
		memcpy(exact, in.data, in.len);
	*result = strict_parse(desc, bytes_make(exact, in.len), a, &m);
	memset(exact, 0xA5, in.len);
	free(exact);
	differs = compare(desc, in, a, *result, m);
	arena_free(a);
	return differs;
}
