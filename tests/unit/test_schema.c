/* renkei.proto: what it may not contain, that every field that needs a rule has one, and that rules.awk refuses the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/errcode.h"
#include "tests/unit/schema_kit.h"

#define DEPTH_MAX 8

static void visit(const ProtobufCMessageDescriptor *d, const ProtobufCMessageDescriptor **path, unsigned depth)
{
	assert_true(depth < DEPTH_MAX);
	for (unsigned i = 0; i < depth; i++)
		if (path[i] == d)
			fail_msg("%s contains itself", d->name);
	path[depth] = d;
	for (unsigned i = 0; i < d->n_fields; i++)
		if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			visit(d->fields[i].descriptor, path, depth + 1);
}

/* protobuf-c has no depth limit (HAZARDS C1), so the schema is the limit. */
static void no_message_contains_itself(void **state)
{
	const ProtobufCMessageDescriptor *path[DEPTH_MAX];
	(void)state;

	for (unsigned i = 0; schema_kit_at(i) != NULL; i++)
		visit(schema_kit_at(i), path, 0);
}

/* HAZARDS C1: if this fails, protobuf-c has learnt a limit. */
struct nest {
	ProtobufCMessage base;
	struct nest *inner;
};

static const ProtobufCMessageDescriptor nest_descriptor;
static const ProtobufCFieldDescriptor nest_fields[] = {
	{"inner", 1, PROTOBUF_C_LABEL_NONE, PROTOBUF_C_TYPE_MESSAGE, 0, offsetof(struct nest, inner), &nest_descriptor, NULL,
	 0, 0, NULL, NULL},
};
static const unsigned nest_indices[] = {0};
static const ProtobufCIntRange nest_ranges[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor nest_descriptor = {
	PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC, "nest", "nest", "nest", "", sizeof(struct nest), 1, nest_fields, nest_indices, 1,
	nest_ranges, NULL, NULL, NULL, NULL};

/* The name of one of ours, but another type. */
static const ProtobufCMessageDescriptor impostor_descriptor = {
	PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC, "rk.Signed", "Signed", "Rk__Signed", "rk", sizeof(struct nest), 1, nest_fields, nest_indices, 1,
	nest_ranges, NULL, NULL, NULL, NULL};

static void pin_c1_protobuf_c_has_no_depth_limit(void **state)
{
	enum { LEVELS = 1000, ROOM = 4 * LEVELS };
	static uint8_t wire[ROOM];
	size_t at = ROOM, depth = 0;
	ProtobufCMessage *m;
	(void)state;

	for (int i = 0; i < LEVELS; i++) {
		size_t len = ROOM - at;

		if (len >= 128)
			wire[--at] = (uint8_t)(len >> 7);
		wire[--at] = (uint8_t)(len >= 128 ? 0x80 | (len & 0x7F) : len);
		wire[--at] = 0x0A;
	}
	m = protobuf_c_message_unpack(&nest_descriptor, NULL, ROOM - at, wire + at);
	assert_non_null(m);
	for (struct nest *n = (struct nest *)m; n != NULL; n = n->inner)
		depth++;
	assert_int_equal(depth, LEVELS + 1);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void fields_are_of_the_allowed_types(void **state)
{
	(void)state;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const ProtobufCMessageDescriptor *d = schema_kit_at(i);

		for (unsigned k = 0; k < d->n_fields; k++) {
			const ProtobufCFieldDescriptor *f = &d->fields[k];

			switch (f->type) {
			case PROTOBUF_C_TYPE_INT32:
			case PROTOBUF_C_TYPE_INT64:
			case PROTOBUF_C_TYPE_UINT32:
			case PROTOBUF_C_TYPE_UINT64:
			case PROTOBUF_C_TYPE_BOOL:
			case PROTOBUF_C_TYPE_ENUM:
			case PROTOBUF_C_TYPE_STRING:
			case PROTOBUF_C_TYPE_BYTES:
			case PROTOBUF_C_TYPE_MESSAGE:
				break;
			default:
				fail_msg("%s.%s: a float, fixed or zigzag type", d->name, f->name);
			}
			if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
				fail_msg("%s.%s: oneof", d->name, f->name);
			/* A map entry would be a message that .proto does not name; `optional` would have another encoding. */
			if (f->label != PROTOBUF_C_LABEL_NONE && f->label != PROTOBUF_C_LABEL_REPEATED)
				fail_msg("%s.%s: label", d->name, f->name);
			if (k > 0 && f[-1].id >= f->id)
				fail_msg("%s.%s: order", d->name, f->name);
		}
	}
}

static bool is_the_kind_of(unsigned kind, ProtobufCType type)
{
	static const struct {
		enum strict_kind kind;
		ProtobufCType type;
	} rows[] = {
		{STRICT_INT32, PROTOBUF_C_TYPE_INT32},   {STRICT_INT64, PROTOBUF_C_TYPE_INT64}, {STRICT_UINT32, PROTOBUF_C_TYPE_UINT32},
		{STRICT_UINT64, PROTOBUF_C_TYPE_UINT64}, {STRICT_BOOL, PROTOBUF_C_TYPE_BOOL},   {STRICT_ENUM, PROTOBUF_C_TYPE_ENUM},
		{STRICT_BYTES, PROTOBUF_C_TYPE_BYTES},   {STRICT_STRING, PROTOBUF_C_TYPE_STRING}, {STRICT_MESSAGE, PROTOBUF_C_TYPE_MESSAGE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].kind == kind)
			return rows[i].type == type;
	return false;
}

static bool lists_the_same(const struct strict_rule *rule, const ProtobufCEnumDescriptor *e)
{
	uint64_t listed = 0, max = 0;

	for (unsigned i = 0; i < e->n_values; i++) {
		if (e->values[i].value < 0 || e->values[i].value > 63)
			return false;
		listed |= UINT64_C(1) << e->values[i].value;
		max = max > (uint64_t)e->values[i].value ? max : (uint64_t)e->values[i].value;
	}
	return rule->listed == listed && rule->min == 0 && rule->max == max;
}

/* What a number of this type can hold, as 64 bits. */
static uint64_t type_max(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL: return 1;
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_INT32: return INT32_MAX;
	case PROTOBUF_C_TYPE_UINT32: return UINT32_MAX;
	default: return UINT64_MAX;
	}
}

static bool is_as_described(const struct strict_rule *rule, const ProtobufCFieldDescriptor *f)
{
	bool is_list = f->label == PROTOBUF_C_LABEL_REPEATED, is_packed = f->flags & PROTOBUF_C_FIELD_FLAG_PACKED;
	bool is_number = f->type != PROTOBUF_C_TYPE_BYTES && f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE;

	if (!is_the_kind_of(rule->kind, f->type) || rule->size != schema_kit_element(f) || rule->offset != f->offset ||
	    rule->tag != (f->id << 3 | (is_list || !is_number ? 2u : 0u)))
		return false;
	if (is_list != ((rule->flags & STRICT_LIST) != 0) || (is_list && rule->count_offset != f->quantifier_offset) ||
	    is_packed != (is_list && is_number))
		return false;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE && strict_message_at(rule->inner)->desc != f->descriptor)
		return false;
	if (is_number && rule->max > type_max(f))
		return false;
	return f->type == PROTOBUF_C_TYPE_ENUM ? lists_the_same(rule, f->descriptor) : rule->listed == UINT64_MAX;
}

/* The table is made from the text of renkei.proto, the descriptors by protoc-c: two readers of one file. */
static void the_row_of_each_field_is_as_its_descriptor(void **state)
{
	(void)state;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const ProtobufCMessageDescriptor *d = schema_kit_at(i);
		const struct strict_message *t = strict_message_of(d);

		assert_non_null(t);
		assert_ptr_equal(t->desc, d);
		assert_int_equal(t->count, d->n_fields);
		for (unsigned k = 0; k < d->n_fields; k++)
			if (!is_as_described(&t->rules[k], &d->fields[k]))
				fail_msg("%s.%s", d->name, d->fields[k].name);
	}
}

static void every_bytes_string_and_repeated_field_has_a_rule(void **state)
{
	(void)state;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const ProtobufCMessageDescriptor *d = schema_kit_at(i);

		for (unsigned k = 0; k < d->n_fields; k++) {
			const ProtobufCFieldDescriptor *f = &d->fields[k];
			const struct strict_rule *rule = schema_kit_rule(d, f->id);
			bool is_text = f->type == PROTOBUF_C_TYPE_STRING;

			assert_non_null(rule);
			if (rule->flags & STRICT_LIST && rule->count_max == 0)
				fail_msg("%s.%s: a list without a count", d->name, f->name);
			if ((is_text || f->type == PROTOBUF_C_TYPE_BYTES) && rule->len_max == 0 && !(rule->flags & STRICT_RESERVED))
				fail_msg("%s.%s: a run without a length", d->name, f->name);
			if (is_text != ((rule->flags & (STRICT_NAME | STRICT_TEXT)) != 0))
				fail_msg("%s.%s: text or name belongs to strings, and strings need it", d->name, f->name);
			if (rule->len_min > rule->len_max || rule->count_min > rule->count_max || rule->min > rule->max)
				fail_msg("%s.%s: empty range", d->name, f->name);
		}
	}
}

static void every_message_of_the_table_is_found_and_no_other(void **state)
{
	const struct strict_message *t;
	(void)state;

	/* Twice: searched, and as it was found. */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; (t = strict_message_at(i)) != NULL; i++) {
			if (i > 0)
				assert_true(strcmp(strict_message_at(i - 1)->desc->name, t->desc->name) < 0);
			assert_ptr_equal(strict_message_of(t->desc), t);
		}
		assert_null(strict_message_of(&nest_descriptor));
		assert_null(strict_message_of(&impostor_descriptor));
	}
}

/* Else the tests above would look at less than there is. */
static void the_kit_reaches_every_message_of_the_file(void **state)
{
	FILE *file = fopen("proto/renkei.proto", "r");
	char line[512], name[128], full[140];
	unsigned seen = 0, known = 0;
	(void)state;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		bool found = false;

		if (sscanf(line, "message %127[A-Za-z]", name) != 1)
			continue;
		seen++;
		snprintf(full, sizeof(full), "rk.%s", name);
		for (unsigned i = 0; schema_kit_at(i) != NULL; i++)
			found = found || strcmp(schema_kit_at(i)->name, full) == 0;
		if (!found)
			fail_msg("message %s is not reached from the roots of schema_kit.c", name);
	}
	fclose(file);
	while (schema_kit_at(known) != NULL)
		known++;
	assert_int_equal(seen, known);
}

/* Runs rules.awk on a message with these field lines; true if it accepts them. */
static bool awk_accepts(const char *fields)
{
	char path[] = "/tmp/renkei-rules-XXXXXX", command[200];
	int fd = mkstemp(path);
	FILE *file;
	bool accepted;

	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	fprintf(file, "syntax = \"proto3\";\npackage rk;\nenum E { A = 0; }\nmessage Other {\n}\nmessage M {\n%s}\n", fields);
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command), "LC_ALL=C awk -f proto/rules.awk %s >/dev/null 2>&1", path);
	accepted = system(command) == 0;
	unlink(path);
	return accepted;
}

static void rules_awk_refuses_what_it_does_not_understand(void **state)
{
	static const struct {
		const char *name, *fields;
		bool accepted;
	} rows[] = {
		{"nothing", "", true},
		{"plain fields", "  uint32 a = 1;\n  bool b = 2;\n  E c = 3;\n  Other d = 4;\n", true},
		{"all rules", "  bytes a = 1;  //@ len=0|32\n  repeated string b = 2; //@ count=1..8 len=2..35 name\n"
			      "  int64 c = 3; //@ min=1 max=9\n  uint32 d = 4; //@ version=1\n  uint32 e = 5; //@ reserved\n", true},
		{"unknown word", "  uint32 a = 1; //@ maximum=3\n", false},
		{"misspelt reserved", "  uint32 a = 1; //@ reserve\n", false},
		{"bytes without a rule", "  bytes a = 1;\n", false},
		{"string without a rule", "  string a = 1;\n", false},
		{"string without name or text", "  string a = 1; //@ len=0..9\n", false},
		{"string with both", "  string a = 1; //@ len=0..9 name text\n", false},
		{"repeated without count", "  repeated Other a = 1;\n", false},
		{"repeated bytes without len", "  repeated bytes a = 1; //@ count=0..4\n", false},
		{"repeated bytes without count", "  repeated bytes a = 1; //@ len=32\n", false},
		{"len on an integer", "  uint32 a = 1; //@ len=4\n", false},
		{"min on bytes", "  bytes a = 1; //@ len=4 min=1\n", false},
		{"count on a single field", "  bytes a = 1; //@ len=4 count=1..2\n", false},
		{"range backwards", "  bytes a = 1; //@ len=9..4\n", false},
		{"range of letters", "  bytes a = 1; //@ len=a..b\n", false},
		{"half a range", "  bytes a = 1; //@ len=4..\n", false},
		{"negative", "  int64 a = 1; //@ min=-1\n", false},
		{"an enum's value above 63", "}\nenum F { B = 64; }\nmessage N {\n  F a = 1;\n", false},
		{"an enum without 0", "}\nenum F { B = 1; }\nmessage N {\n  F a = 1;\n", false},
		{"an enum of one line", "}\nenum F { B = 0; C = 63; }\nmessage N {\n  F a = 1;\n", true},
		{"an enum with an option", "}\nenum F { B = 0 [deprecated = true]; }\nmessage N {\n  F a = 1;\n", false},
		{"a list of 2^20", "  repeated uint32 a = 1; //@ count=0..1048576\n", true},
		{"a list of more", "  repeated uint32 a = 1; //@ count=0..1048577\n", false},
		{"int32 without a rule", "  int32 a = 1;\n", false},
		{"int32 with one", "  int32 a = 1; //@ max=2147483647\n", true},
		{"beyond int32", "  int32 a = 1; //@ max=2147483648\n", false},
		{"beyond uint32", "  uint32 a = 1; //@ max=4294967296\n", false},
		{"rule twice", "  uint32 a = 1; //@ max=1 max=2\n", false},
		{"name on bytes", "  bytes a = 1; //@ len=4 name\n", false},
		{"unknown type", "  Missing a = 1;\n", false},
		{"float", "  float a = 1;\n", false},
		{"double", "  double a = 1;\n", false},
		{"fixed", "  fixed32 a = 1;\n", false},
		{"map", "  map<string, string> a = 1;\n", false},
		{"oneof", "  oneof x {\n    uint32 a = 1;\n  }\n", false},
		{"optional", "  optional uint32 a = 1;\n", false},
		{"numbers out of order", "  uint32 a = 2;\n  uint32 b = 1;\n", false},
		{"option", "  uint32 a = 1 [deprecated = true];\n", false},
		{"two fields in a line", "  uint32 a = 1; bytes b = 2;\n", false},
		{"annotation without a blank", "  uint32 a = 1; //@max=3\n", false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (awk_accepts(rows[i].fields) != rows[i].accepted)
			fail_msg("row: %s", rows[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_message_contains_itself),
		cmocka_unit_test(pin_c1_protobuf_c_has_no_depth_limit),
		cmocka_unit_test(fields_are_of_the_allowed_types),
		cmocka_unit_test(every_bytes_string_and_repeated_field_has_a_rule),
		cmocka_unit_test(the_row_of_each_field_is_as_its_descriptor),
		cmocka_unit_test(every_message_of_the_table_is_found_and_no_other),
		cmocka_unit_test(the_kit_reaches_every_message_of_the_file),
		cmocka_unit_test(rules_awk_refuses_what_it_does_not_understand),
	};
	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
