/* jsonl: jansson reads the line, post_field checks each value. */
#include "client/jsonl.h"

#include <jansson.h>
#include <stdio.h>

#include "client/mend.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define TITLE_FROM_SUMMARY_MAX 160

static const struct { const char *key; enum post_text which; bool one_line; } texts[] = {
	{"title", POST_TITLE, true}, {"summary", POST_SUMMARY, false}, {"body", POST_BODY, false},
	{"deadline", POST_DEADLINE, true}, {"source", POST_SOURCE, true}, {"id", POST_EXTERNAL_ID, true},
	{"language", POST_LANGUAGE, true}, {"region", POST_REGION, true}, {"country", POST_COUNTRY, true},
	{"stage", POST_STAGE, true},
};

static int fail(struct post_problem *problem, enum post_fault fault, const char *name)
{
	problem->fault = fault;
	snprintf(problem->name, sizeof(problem->name), "%s", name);
	return RK_MALFORMED;
}

static struct bytes string_of(const json_t *value)
{
	return bytes_make(json_string_value(value), json_string_length(value));
}

static int read_texts(const json_t *object, const char *zone, struct arena *a, struct jsonl_record *r,
		      struct post_problem *problem)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const json_t *value = json_object_get(object, texts[i].key);
		if (!value || json_is_null(value))
			continue;
		if (!json_is_string(value))
			return fail(problem, POST_FAULT_NOT_STRING, texts[i].key);
		struct bytes text;
		int rc = mend_text(string_of(value), texts[i].one_line, a, &text, &r->mended);
		if (rc == RK_OK)
			rc = post_field_set(r->post, texts[i].which, text, zone, a, problem);
		if (rc == RK_MALFORMED)
			return fail(problem, problem->fault, texts[i].key);
		if (rc != RK_OK)
			return rc;
	}
	return RK_OK;
}

static int read_topics(const json_t *object, struct arena *a, struct jsonl_record *r, struct post_problem *problem)
{
	const json_t *list = json_object_get(object, "topics"), *value;
	size_t i;
	if (!list || json_is_null(list))
		return RK_OK;
	if (!json_is_array(list))
		return fail(problem, POST_FAULT_NOT_LIST, "topics");
	json_array_foreach(list, i, value) {
		if (!json_is_string(value))
			return fail(problem, POST_FAULT_NOT_STRING, "topics");
		r->topics_given++;
		struct bytes text;
		int rc = mend_text(string_of(value), true, a, &text, &r->mended);
		if (rc == RK_OK)
			rc = post_field_topic(r->post, text, a, problem);
		if (rc == RK_MALFORMED)
			return fail(problem, problem->fault, "topics");
		if (rc != RK_OK)
			return rc;
	}
	return RK_OK;
}

/* The summary's first sentence, or as much of it as a title may hold, cut between words or at a character. */
static int title_from_summary(struct jsonl_record *r, struct arena *a, struct post_problem *problem)
{
	const char *s = r->post->texts[0]->summary + strspn(r->post->texts[0]->summary, " \t\n");
	size_t len = strcspn(s, "\n"), cut;
	const char *stop = strstr(s, ". "), *maru = strstr(s, "。");
	if (stop > s && (size_t)(stop - s) < len)
		len = (size_t)(stop - s);
	if (maru > s && (size_t)(maru - s) < len)
		len = (size_t)(maru - s);
	if (len > TITLE_FROM_SUMMARY_MAX) {
		for (cut = TITLE_FROM_SUMMARY_MAX; cut > TITLE_FROM_SUMMARY_MAX / 2 && s[cut] != ' '; cut--)
			;
		if (s[cut] != ' ')
			for (cut = TITLE_FROM_SUMMARY_MAX; (s[cut] & 0xc0) == 0x80; cut--)
				;
		len = cut;
	}
	char *title = arena_copy(a, s, len);
	if (!title)
		return RK_ENOMEM;
	for (char *p = title; *p; p++)
		if (*p == '\t')
			*p = ' ';
	/* What a summary may hold and a title may not. */
	if (!*title)
		return fail(problem, POST_FAULT_NO_TITLE, "title");
	if (!strict_is_name(bytes_str(title)))
		return fail(problem, POST_FAULT_CONTROL, "summary");
	r->post->texts[0]->title = title;
	r->title_from_summary = true;
	return RK_OK;
}

/* "source" and 16 hex of a hash over kind, source and title. */
static int derive_external_id(Rk__Post *post, struct arena *a)
{
	uint8_t hash[32], type = (uint8_t)post->type;
	char hex[17];
	const struct bytes parts[] = {bytes_make(&type, 1), bytes_str(post->source_url), bytes_make("", 1),
				      bytes_str(post->texts[0]->title)};
	ids_hash_parts(hash, "renkei/v1/external-id", parts, 4);
	ids_hex(hex, bytes_make(hash, 8));
	char *id = arena_alloc(a, 256);
	if (!id)
		return RK_ENOMEM;
	/* A long source is named by the hash alone. */
	if (strlen(post->source_url) <= 180)
		snprintf(id, 256, "%s#%s", post->source_url, hex);
	else
		snprintf(id, 256, "#%s", hex);
	post->external_id = id;
	return RK_OK;
}

static int read_object(const json_t *object, const char *zone, struct arena *a, struct jsonl_record *r,
		       struct post_problem *problem)
{
	const json_t *kind = json_object_get(object, "kind");
	if (!json_is_string(kind))
		return fail(problem, POST_FAULT_NOT_STRING, "kind");
	r->post->type = post_field_type(string_of(kind));
	if (r->post->type == RK__CHANNEL__CHANNEL_NONE)
		return fail(problem, POST_FAULT_BAD_TYPE, "kind");
	int rc = read_texts(object, zone, a, r, problem);
	if (rc == RK_OK)
		rc = read_topics(object, a, r, problem);
	if (rc != RK_OK)
		return rc;
	if (!*r->post->texts[0]->title) {
		if ((rc = title_from_summary(r, a, problem)) != RK_OK)
			return rc;
	}
	post_field_finish(r->post);
	return *r->post->external_id ? RK_OK : derive_external_id(r->post, a);
}

int jsonl_read(struct bytes line, const char *zone, struct arena *a, struct jsonl_record *out, struct post_problem *problem)
{
	memset(out, 0, sizeof(*out));
	memset(problem, 0, sizeof(*problem));
	if (line.len > JSONL_LINE_MAX_BYTES) {
		problem->limit = JSONL_LINE_MAX_BYTES;
		return fail(problem, POST_FAULT_TOO_LONG, "");
	}
	if (!strict_is_utf8(line))
		return fail(problem, POST_FAULT_NOT_UTF8, "");
	arena_raise(a, 4 * line.len + 65536);
	out->post = post_field_new(a);
	if (!out->post)
		return RK_ENOMEM;
	json_error_t error;
	json_t *object = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, &error);
	if (!object)
		return fail(problem, POST_FAULT_NOT_JSON, "");
	int rc = json_is_object(object) ? read_object(object, zone, a, out, problem) : fail(problem, POST_FAULT_NOT_OBJECT, "");
	json_decref(object);
	return rc;
}
