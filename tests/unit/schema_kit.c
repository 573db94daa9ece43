/* schema_kit: see the header. */
#include "tests/unit/schema_kit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "renkei.pb-c.h"

#define TYPES_MAX 200

/* What is sent, signed or sealed as a whole. */
static const ProtobufCMessageDescriptor *const roots[] = {
	&rk__charter__descriptor, &rk__directory__descriptor, &rk__org_devices__descriptor, &rk__device_kx__descriptor,
	&rk__feed_epoch__descriptor, &rk__feed_key__descriptor, &rk__invite_reg__descriptor, &rk__enrol__descriptor,
	&rk__enrol_request__descriptor, &rk__charter_file__descriptor, &rk__envelope_header__descriptor,
	&rk__envelope_head__descriptor, &rk__wrap_list__descriptor, &rk__pickup__descriptor, &rk__nack__descriptor, &rk__deposit__descriptor, &rk__proof_set__descriptor, &rk__nda_terms__descriptor,
	&rk__nda_act__descriptor, &rk__nda_proposal__descriptor, &rk__log_entry__descriptor, &rk__request__descriptor,
	&rk__down__descriptor, &rk__returned__descriptor, &rk__nda_cover__descriptor, &rk__signature_page__descriptor,
	&rk__message__descriptor, &rk__desk_names__descriptor, &rk__org_key__descriptor,
};

static const ProtobufCMessageDescriptor *types[TYPES_MAX + 1];
static unsigned n_types;

static void collect(const ProtobufCMessageDescriptor *d)
{
	for (unsigned i = 0; i < n_types; i++)
		if (types[i] == d)
			return;
	assert(n_types < TYPES_MAX);
	types[n_types++] = d;
	for (unsigned i = 0; i < d->n_fields; i++)
		if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			collect(d->fields[i].descriptor);
}

const ProtobufCMessageDescriptor *schema_kit_at(unsigned i)
{
	if (n_types == 0)
		for (size_t k = 0; k < sizeof(roots) / sizeof(roots[0]); k++)
			collect(roots[k]);
	return i < n_types ? types[i] : NULL;
}

const struct strict_rule *schema_kit_rule(const ProtobufCMessageDescriptor *d, uint32_t field)
{
	const struct strict_message *t = strict_message_of(d);

	for (uint32_t i = 0; t != NULL && i < t->count; i++)
		if (t->rules[i].tag >> 3 == field)
			return &t->rules[i];
	return NULL;
}

static void *take(struct arena *a, size_t len)
{
	void *out;

	arena_raise(a, len + 16);
	out = arena_alloc(a, len);
	assert(out != NULL);
	memset(out, 0, len);
	return out;
}

uint8_t *schema_kit_run(const struct strict_rule *rule, size_t len, struct arena *a)
{
	static const char *const pieces[] = {"a", "Z", "7", " ", "é", "連", "携", "𠮷"};
	uint8_t *out = take(a, len + 1);

	if (!(rule->flags & (STRICT_NAME | STRICT_TEXT))) {
		randombytes_buf(out, len);
		return out;
	}
	for (size_t at = 0; at < len;) {
		const char *piece = pieces[randombytes_uniform(8)];
		size_t n = strlen(piece);

		if (n > len - at)
			continue;
		memcpy(out + at, piece, n);
		at += n;
	}
	return out;
}

size_t schema_kit_element(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	default:
		return sizeof(uint32_t);
	}
}

/* A length within the rule: often an end of the range, never so long that a random message takes a second. */
static size_t random_len(const struct strict_rule *rule)
{
	size_t spread = rule->len_max - rule->len_min;

	if (rule->flags & STRICT_LEN_OR_0)
		return randombytes_uniform(2) ? rule->len_max : 0;
	return rule->len_min + randombytes_uniform((uint32_t)(spread > 300 ? 300 : spread) + 1);
}

static uint64_t random_int(const ProtobufCFieldDescriptor *f, const struct strict_rule *rule)
{
	uint64_t type_max = f->type == PROTOBUF_C_TYPE_UINT32 ? UINT32_MAX :
			    f->type == PROTOBUF_C_TYPE_INT32  ? INT32_MAX :
			    f->type == PROTOBUF_C_TYPE_INT64  ? INT64_MAX : UINT64_MAX;
	uint64_t min = rule->min, max = rule->max < type_max ? rule->max : type_max;
	uint64_t v;

	if (rule->flags & STRICT_RESERVED)
		return 0;
	switch (randombytes_uniform(4)) {
	case 0:
		return min;
	case 1:
		return max;
	default:
		randombytes_buf(&v, sizeof(v));
		v >>= randombytes_uniform(64);
		return max - min == UINT64_MAX ? v : min + v % (max - min + 1);
	}
}

static void fill_value(const ProtobufCFieldDescriptor *f, void *at, const struct strict_rule *rule, struct arena *a)
{
	uint64_t v;
	size_t len;

	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
		len = rule->flags & STRICT_RESERVED ? 0 : random_len(rule);
		*(ProtobufCBinaryData *)at = (ProtobufCBinaryData){len, schema_kit_run(rule, len, a)};
		break;
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = (char *)schema_kit_run(rule, random_len(rule), a);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = f->label != PROTOBUF_C_LABEL_REPEATED && randombytes_uniform(3) == 0 ?
						   NULL : schema_kit_random(f->descriptor, a);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = (protobuf_c_boolean)randombytes_uniform(2);
		break;
	case PROTOBUF_C_TYPE_ENUM: {
		const ProtobufCEnumDescriptor *e = f->descriptor;
		*(int *)at = e->values[randombytes_uniform(e->n_values)].value;
		break;
	}
	default:
		v = random_int(f, rule);
		memcpy(at, &v, schema_kit_element(f)); /* little endian: the low half comes first */
	}
}

ProtobufCMessage *schema_kit_random(const ProtobufCMessageDescriptor *d, struct arena *a)
{
	ProtobufCMessage *m = take(a, d->sizeof_message);

	protobuf_c_message_init(d, m);
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const struct strict_rule *rule = schema_kit_rule(d, f->id);
		size_t size = schema_kit_element(f), count;
		uint8_t *array;

		if (f->label != PROTOBUF_C_LABEL_REPEATED) {
			fill_value(f, schema_kit_member(m, f), rule, a);
			continue;
		}
		count = rule->count_max - rule->count_min;
		count = rule->count_min + randombytes_uniform((uint32_t)(count > 3 ? 3 : count) + 1);
		array = take(a, count * size);
		for (size_t k = 0; k < count; k++)
			fill_value(f, array + k * size, rule, a);
		*(void **)schema_kit_member(m, f) = count > 0 ? array : NULL;
		*schema_kit_count(m, f) = count;
	}
	return m;
}
