/* postfile: lines, names, values.  The grammar is small enough to be read in one pass. */
#include "client/postfile.h"

#include <stdlib.h>
#include <strings.h>

#include "proto/errcode.h"
#include "proto/strict.h"

/* Names of the block that do not set one text. */
enum { NAME_TYPE = POST_TEXT_COUNT, NAME_TOPICS, NAME_KEYWORDS, NAME_TRL, NAME_COUNT };

static const struct { const char *name; unsigned which; } names[] = {
	{"Title", POST_TITLE}, {"題名", POST_TITLE}, {"件名", POST_TITLE},
	{"Type", NAME_TYPE}, {"種別", NAME_TYPE},
	{"Topics", NAME_TOPICS}, {"分野", NAME_TOPICS},
	{"Keywords", NAME_KEYWORDS}, {"キーワード", NAME_KEYWORDS},
	{"Summary", POST_SUMMARY}, {"概要", POST_SUMMARY},
	{"Stage", POST_STAGE}, {"段階", POST_STAGE},
	{"TRL", NAME_TRL},
	{"Deadline", POST_DEADLINE}, {"締切", POST_DEADLINE},
	{"Language", POST_LANGUAGE}, {"言語", POST_LANGUAGE},
	{"Region", POST_REGION}, {"地域", POST_REGION},
	{"Country", POST_COUNTRY}, {"国", POST_COUNTRY},
	{"Advantages", POST_ADVANTAGES}, {"特長", POST_ADVANTAGES},
	{"Applications", POST_APPLICATIONS}, {"用途", POST_APPLICATIONS},
	{"Source", POST_SOURCE}, {"出典", POST_SOURCE},
	{"Source-Licence", POST_SOURCE_LICENCE},
	{"How-To-Answer", POST_HOW_TO_ANSWER}, {"応募方法", POST_HOW_TO_ANSWER},
	{"Rules", POST_RULES}, {"要領", POST_RULES},
	{"Teaser", POST_TEASER}, {"紹介文", POST_TEASER},
	{"Id", POST_EXTERNAL_ID}, {"管理番号", POST_EXTERNAL_ID},
};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct reader {
	struct bytes rest;       /* not yet read */
	unsigned line;           /* of the line last read */
	const char *zone;
	struct arena *arena;
	Rk__Post *post;
	unsigned seen;           /* bit a name */
	unsigned topics;
	struct post_problem *problem;
};

static int fail(struct reader *r, enum post_fault fault, unsigned line, struct bytes name)
{
	r->problem->fault = fault;
	r->problem->line = line;
	size_t len = name.len < sizeof(r->problem->name) - 1 ? name.len : sizeof(r->problem->name) - 1;
	/* Never half a character. */
	while (len < name.len && len && (name.data[len] & 0xc0) == 0x80)
		len--;
	memcpy(r->problem->name, name.data ? (const char *)name.data : "", len);
	r->problem->name[len] = '\0';
	return RK_MALFORMED;
}

static struct bytes trim(struct bytes b)
{
	while (b.len && strchr(" \t\r\n", b.data[0]) && b.data[0])
		b = bytes_make(b.data + 1, b.len - 1);
	while (b.len && b.data[b.len - 1] && strchr(" \t\r\n", b.data[b.len - 1]))
		b.len--;
	return b;
}

/* The next line without its end; false when nothing is left. */
static bool next_line(struct reader *r, struct bytes *line)
{
	if (!r->rest.len)
		return false;
	const uint8_t *end = memchr(r->rest.data, '\n', r->rest.len);
	size_t len = end ? (size_t)(end - r->rest.data) : r->rest.len;
	*line = bytes_make(r->rest.data, len);
	size_t used = end ? len + 1 : len;
	r->rest = bytes_make(r->rest.data + used, r->rest.len - used);
	r->line++;
	return true;
}

/* Splits at the first ':' or its full-width form; false if there is none. */
static bool split(struct bytes line, struct bytes *name, struct bytes *value)
{
	for (size_t i = 0; i < line.len; i++) {
		size_t colon = line.data[i] == ':' ? 1 : i + 2 < line.len && memcmp(line.data + i, "：", 3) == 0 ? 3 : 0;
		if (!colon)
			continue;
		*name = trim(bytes_make(line.data, i));
		*value = trim(bytes_make(line.data + i + colon, line.len - i - colon));
		return name->len > 0;
	}
	return false;
}

static unsigned find_name(struct bytes name)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strlen(names[i].name) == name.len && strncasecmp(names[i].name, (const char *)name.data, name.len) == 0)
			return names[i].which;
	return NAME_COUNT;
}

/* Calls add for each part between commas (also 、 and ，). */
static int each_part(struct reader *r, struct bytes value, int (*add)(struct reader *, struct bytes))
{
	int rc = RK_OK;
	size_t start = 0, i = 0;
	while (i <= value.len && rc == RK_OK) {
		size_t sep = 0;
		if (i < value.len && value.data[i] == ',')
			sep = 1;
		else if (i + 2 < value.len && (memcmp(value.data + i, "、", 3) == 0 || memcmp(value.data + i, "，", 3) == 0))
			sep = 3;
		if (sep || i == value.len) {
			struct bytes part = trim(bytes_make(value.data + start, i - start));
			if (part.len)
				rc = add(r, part);
			start = i + sep;
		}
		i += sep ? sep : 1;
	}
	return rc;
}

static int add_topic(struct reader *r, struct bytes part)
{
	r->topics++;
	return post_field_topic(r->post, part, r->arena, r->problem);
}

static int add_keyword(struct reader *r, struct bytes part)
{
	r->problem->limit = part.len > 128 ? 128 : 16;
	r->problem->fault = part.len > 128 ? POST_FAULT_TOO_LONG : r->post->n_keywords == 16 ? POST_FAULT_TOO_MANY :
			    !strict_is_name(part) ? POST_FAULT_CONTROL : POST_FAULT_NONE;
	if (r->problem->fault != POST_FAULT_NONE)
		return RK_MALFORMED;
	if (!r->post->keywords && !(r->post->keywords = arena_alloc(r->arena, 16 * sizeof(char *))))
		return RK_ENOMEM;
	char *copy = arena_copy(r->arena, part.data, part.len);
	if (!copy)
		return RK_ENOMEM;
	r->post->keywords[r->post->n_keywords++] = copy;
	return RK_OK;
}

/* "4" or "4-6", of 1 to 9. */
static int set_trl(struct reader *r, struct bytes value)
{
	bool one = value.len == 1, range = value.len == 3 && value.data[1] == '-';
	uint8_t low = value.len ? value.data[0] : 0, high = value.len ? value.data[value.len - 1] : 0;
	r->problem->fault = POST_FAULT_BAD_NUMBER;
	if (!(one || range) || low < '1' || low > '9' || high < low || high > '9')
		return RK_MALFORMED;
	r->problem->fault = POST_FAULT_NONE;
	r->post->trl_min = (uint32_t)(low - '0');
	r->post->trl_max = (uint32_t)(high - '0');
	return RK_OK;
}

static int set_type(struct reader *r, struct bytes value)
{
	r->post->type = post_field_type(value);
	if (r->post->type != RK__CHANNEL__CHANNEL_NONE)
		return RK_OK;
	r->problem->fault = POST_FAULT_BAD_TYPE;
	return RK_MALFORMED;
}

static int set_named(struct reader *r, unsigned which, struct bytes value)
{
	switch (which) {
	case NAME_TYPE: return set_type(r, value);
	case NAME_TOPICS: return each_part(r, value, add_topic);
	case NAME_KEYWORDS: return each_part(r, value, add_keyword);
	case NAME_TRL: return value.len ? set_trl(r, value) : RK_OK;
	default: return post_field_set(r->post, (enum post_text)which, value, r->zone, r->arena, r->problem);
	}
}

/* The next line, if it goes on with the value before it. */
static bool next_part(struct reader *r, struct bytes *part)
{
	struct reader ahead = *r;
	if (!r->rest.len || (r->rest.data[0] != ' ' && r->rest.data[0] != '\t'))
		return false;
	(void)next_line(&ahead, part);
	*part = trim(*part);
	if (!part->len)
		return false;
	*r = ahead;
	return true;
}

/* The value with the lines that go on with it, joined by one space.  Measured first: a file may have thousands of them. */
static int with_continuation(struct reader *r, struct bytes *value)
{
	struct reader ahead = *r;
	struct bytes part;
	size_t len = value->len;
	while (next_part(&ahead, &part))
		len += 1 + part.len;
	if (len == value->len)
		return RK_OK;
	char *joined = arena_alloc(r->arena, len), *to = joined;
	if (!joined)
		return RK_ENOMEM;
	memcpy(to, value->data, value->len);
	to += value->len;
	while (next_part(r, &part)) {
		*to++ = ' ';
		memcpy(to, part.data, part.len);
		to += part.len;
	}
	*value = bytes_make(joined, len);
	return RK_OK;
}

static int read_block(struct reader *r)
{
	struct bytes line, name, value;
	while (next_line(r, &line)) {
		if (trim(line).len == 0)
			return RK_OK;
		unsigned at = r->line;
		if (!split(line, &name, &value))
			return fail(r, POST_FAULT_NO_COLON, at, bytes_make(NULL, 0));
		unsigned which = find_name(name);
		if (which == NAME_COUNT)
			return fail(r, POST_FAULT_UNKNOWN_NAME, at, name);
		if (r->seen & 1u << which)
			return fail(r, POST_FAULT_TWICE, at, name);
		r->seen |= 1u << which;
		int rc = with_continuation(r, &value);
		if (rc == RK_OK)
			rc = set_named(r, which, value);
		if (rc == RK_MALFORMED)
			return fail(r, r->problem->fault, at, name);
		if (rc != RK_OK)
			return rc;
	}
	return RK_OK;
}

/* The line of the first byte that is not UTF-8. */
static unsigned bad_utf8_line(struct bytes file)
{
	unsigned line = 1;
	size_t start = 0;
	for (size_t i = 0; i <= file.len; i++) {
		if (i < file.len && file.data[i] != '\n')
			continue;
		if (!strict_is_utf8(bytes_make(file.data + start, i - start)))
			return line;
		start = i + 1;
		line++;
	}
	return 1;
}

int postfile_parse(struct bytes file, const char *zone, struct arena *a, Rk__Post **out, unsigned *topics_given,
		   struct post_problem *problem)
{
	*out = NULL;
	*topics_given = 0;
	memset(problem, 0, sizeof(*problem));
	struct reader r = {.rest = file, .zone = zone, .arena = a, .problem = problem};
	if (file.len > POSTFILE_MAX_BYTES) {
		problem->limit = POSTFILE_MAX_BYTES;
		return fail(&r, POST_FAULT_TOO_LONG, 0, bytes_make(NULL, 0));
	}
	if (!strict_is_utf8(file))
		return fail(&r, POST_FAULT_NOT_UTF8, bad_utf8_line(file), bytes_make(NULL, 0));
	if (file.len >= 3 && memcmp(file.data, "\xef\xbb\xbf", 3) == 0)
		r.rest = bytes_make(file.data + 3, file.len - 3);
	arena_raise(a, 8 * file.len + 65536);
	r.post = post_field_new(a);
	if (!r.post)
		return RK_ENOMEM;
	int rc = read_block(&r);
	if (rc != RK_OK)
		return rc;
	unsigned body_line = r.line + 1;
	rc = post_field_set(r.post, POST_BODY, trim(r.rest), zone, a, problem);
	if (rc == RK_MALFORMED)
		return fail(&r, problem->fault, body_line, bytes_str("Markdown"));
	if (rc != RK_OK)
		return rc;
	if (!*r.post->texts[0]->title)
		return fail(&r, POST_FAULT_NO_TITLE, 0, bytes_str("Title"));
	post_field_finish(r.post);
	*out = r.post;
	*topics_given = r.topics;
	return RK_OK;
}
