/* post_field: the fields of a post, each with its limit and its check, for both readers: post files and JSON lines. */
#include <stdlib.h>
#include <strings.h>

#include "client/days.h"
#include "client/postfile.h"
#include "proto/errcode.h"
#include "proto/strict.h"

/* Limits are those of renkei.proto: what is refused here would be refused when it is packed, but without a line. */
struct field {
	unsigned max_bytes;
	bool is_name;        /* one line */
};

static const struct field fields[POST_TEXT_COUNT] = {
	[POST_TITLE] = {300, true}, [POST_SUMMARY] = {2048, false}, [POST_BODY] = {65536, false},
	[POST_ADVANTAGES] = {4096, false}, [POST_APPLICATIONS] = {4096, false}, [POST_LANGUAGE] = {35, true},
	[POST_STAGE] = {200, false}, [POST_DEADLINE] = {200, false}, [POST_REGION] = {16, true}, [POST_COUNTRY] = {2, true},
	[POST_SOURCE] = {500, true}, [POST_SOURCE_LICENCE] = {100, true}, [POST_HOW_TO_ANSWER] = {2000, false},
	[POST_RULES] = {500, true}, [POST_TEASER] = {500, false}, [POST_EXTERNAL_ID] = {200, true},
};

static int fail(struct post_problem *problem, enum post_fault fault, unsigned limit)
{
	problem->fault = fault;
	problem->limit = limit;
	return RK_MALFORMED;
}

Rk__Post *post_field_new(struct arena *a)
{
	Rk__Post *post = arena_alloc(a, sizeof(*post));
	Rk__PostText *text = arena_alloc(a, sizeof(*text));
	Rk__PostText **texts = arena_alloc(a, sizeof(*texts));
	Rk__Code **codes = arena_alloc(a, POST_TOPICS_MAX * sizeof(*codes));
	if (!post || !text || !texts || !codes)
		return NULL;
	rk__post__init(post);
	rk__post_text__init(text);
	texts[0] = text;
	post->texts = texts;
	post->n_texts = 1;
	post->codes = codes;
	post->origin = RK__ORIGIN__OWN;
	return post;
}

/* A NUL-terminated copy in which CR LF and CR are LF. */
static char *copy_text(struct bytes value, struct arena *a)
{
	char *out = arena_alloc(a, value.len + 1), *to = out;
	if (!out)
		return NULL;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] == '\r' && i + 1 < value.len && value.data[i + 1] == '\n')
			continue;
		*to++ = value.data[i] == '\r' ? '\n' : (char)value.data[i];
	}
	*to = '\0';
	return out;
}

static bool is_language(const char *tag)
{
	size_t len = strlen(tag);
	return len >= 2 && strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == len;
}

/* A day closes the post at its end; anything else is said to readers as it stands. */
static int set_deadline(Rk__Post *post, char *value, const char *zone, struct post_problem *problem)
{
	uint32_t day;
	if (strspn(value, "0123456789-/") != strlen(value)) {
		post->deadline_note = value;
		return RK_OK;
	}
	if (days_parse(value, &day) != RK_OK || days_end(day, zone, &post->closes_at) != RK_OK)
		return fail(problem, POST_FAULT_BAD_DATE, 0);
	return RK_OK;
}

static int set_value(Rk__Post *post, enum post_text which, char *value, const char *zone, struct post_problem *problem)
{
	Rk__PostText *t = post->texts[0];
	switch (which) {
	case POST_TITLE: t->title = value; return RK_OK;
	case POST_SUMMARY: t->summary = value; return RK_OK;
	case POST_BODY: t->body = value; return RK_OK;
	case POST_ADVANTAGES: t->advantages = value; return RK_OK;
	case POST_APPLICATIONS: t->applications = value; return RK_OK;
	case POST_STAGE: post->stage = value; return RK_OK;
	case POST_DEADLINE: return set_deadline(post, value, zone, problem);
	case POST_REGION: post->region = value; return RK_OK;
	case POST_SOURCE: post->source_url = value; return RK_OK;
	case POST_SOURCE_LICENCE: post->source_licence = value; return RK_OK;
	case POST_HOW_TO_ANSWER: post->how_to_answer = value; return RK_OK;
	case POST_RULES: post->rules_url = value; return RK_OK;
	case POST_TEASER: post->teaser = value; return RK_OK;
	case POST_EXTERNAL_ID: post->external_id = value; return RK_OK;
	case POST_LANGUAGE:
		if (!is_language(value))
			return fail(problem, POST_FAULT_BAD_VALUE, 0);
		t->lang = value;
		return RK_OK;
	case POST_COUNTRY:
		if (strlen(value) != 2 || value[0] < 'A' || value[0] > 'Z' || value[1] < 'A' || value[1] > 'Z')
			return fail(problem, POST_FAULT_BAD_VALUE, 0);
		post->country = value;
		return RK_OK;
	case POST_TEXT_COUNT: break;
	}
	return RK_EINTERNAL;
}

int post_field_set(Rk__Post *post, enum post_text which, struct bytes value, const char *zone, struct arena *a,
		   struct post_problem *problem)
{
	if (value.len == 0)
		return RK_OK;
	if (!strict_is_utf8(value))
		return fail(problem, POST_FAULT_NOT_UTF8, 0);
	char *copy = copy_text(value, a);
	if (!copy)
		return RK_ENOMEM;
	struct bytes checked = bytes_str(copy);
	if (checked.len > fields[which].max_bytes)
		return fail(problem, POST_FAULT_TOO_LONG, fields[which].max_bytes);
	if (fields[which].is_name ? !strict_is_name(checked) : !strict_is_text(checked))
		return fail(problem, POST_FAULT_CONTROL, 0);
	return set_value(post, which, copy, zone, problem);
}

int post_field_topic(Rk__Post *post, struct bytes value, struct arena *a, struct post_problem *problem)
{
	if (value.len == 0)
		return fail(problem, POST_FAULT_BAD_VALUE, 0);
	if (!strict_is_utf8(value))
		return fail(problem, POST_FAULT_NOT_UTF8, 0);
	if (value.len > 128)
		return fail(problem, POST_FAULT_TOO_LONG, 128);
	if (!strict_is_name(value))
		return fail(problem, POST_FAULT_CONTROL, 0);
	if (post->n_codes == POST_TOPICS_MAX)
		return RK_OK;
	Rk__Code *code = arena_alloc(a, sizeof(*code));
	char *copy = arena_copy(a, value.data, value.len);
	if (!code || !copy)
		return RK_ENOMEM;
	rk__code__init(code);
	code->scheme = RK__CODE_SCHEME__TOPIC;
	code->value = copy;
	post->codes[post->n_codes++] = code;
	return RK_OK;
}

/* Kana or kanji: UTF-8 lead bytes E3 (kana and punctuation) to E9. */
static bool looks_japanese(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0xe3 && (unsigned char)*s <= 0xe9)
			return true;
	return false;
}

void post_field_finish(Rk__Post *post)
{
	Rk__PostText *t = post->texts[0];
	static char japanese[] = "ja", english[] = "en";
	if (!*t->lang)
		t->lang = looks_japanese(t->title) || looks_japanese(t->summary) ? japanese : english;
}

static const struct { const char *name; Rk__Channel type; } types[] = {
	{"offer", RK__CHANNEL__OFFER}, {"need", RK__CHANNEL__NEED}, {"capability", RK__CHANNEL__CAPABILITY},
	{"event", RK__CHANNEL__EVENT}, {"call", RK__CHANNEL__CALL}, {"notice", RK__CHANNEL__NOTICE},
	{"シーズ", RK__CHANNEL__OFFER}, {"ニーズ", RK__CHANNEL__NEED}, {"保有技術", RK__CHANNEL__CAPABILITY},
	{"イベント", RK__CHANNEL__EVENT}, {"公募", RK__CHANNEL__CALL}, {"お知らせ", RK__CHANNEL__NOTICE},
};

Rk__Channel post_field_type(struct bytes value)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i].name) == value.len && strncasecmp(types[i].name, (const char *)value.data, value.len) == 0)
			return types[i].type;
	return RK__CHANNEL__CHANNEL_NONE;
}
