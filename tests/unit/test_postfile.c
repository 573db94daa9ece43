/* Post files: what is read, and each fault with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/postfile.h"
#include "proto/errcode.h"
#include "proto/strict.h"

static int parse(const char *file, size_t len, struct arena *a, Rk__Post **post, unsigned *topics, struct post_problem *p)
{
	return postfile_parse(bytes_make(file, len), "Asia/Tokyo", a, post, topics, p);
}

static void reads_names_values_and_markdown(void **state)
{
	static const char file[] =
		"\xef\xbb\xbfTitle:  Chondroitin from salmon heads \r\n"
		"type: Offer\n"
		"Topics: food/marine, medical/materials、  化学，\n"
		"Summary: first line\n   goes on\n\tand on\n"
		"TRL: 4-6\nDeadline: 2027-03-31\nKeywords: salmon, 鮭\nCountry: JP\nId: our-17\n"
		"\r\n"
		"# Text\n\nwith `code`\n";
	Rk__Post *post;
	struct post_problem problem;
	unsigned topics;
	struct arena *a = arena_new(65536);
	struct bytes packed;
	(void)state;
	assert_int_equal(parse(file, sizeof(file) - 1, a, &post, &topics, &problem), RK_OK);
	assert_string_equal(post->texts[0]->title, "Chondroitin from salmon heads");
	assert_string_equal(post->texts[0]->summary, "first line goes on and on");
	assert_string_equal(post->texts[0]->body, "# Text\n\nwith `code`");
	assert_string_equal(post->texts[0]->lang, "en");
	assert_int_equal(post->type, RK__CHANNEL__OFFER);
	assert_int_equal(post->n_codes, 3);
	assert_int_equal(topics, 3);
	assert_string_equal(post->codes[2]->value, "化学");
	assert_int_equal(post->trl_min, 4);
	assert_int_equal(post->trl_max, 6);
	/* Until 31 March in Tokyo: before 1 April 00:00 there. */
	assert_int_equal(post->closes_at, 1806505200000);
	assert_int_equal(post->n_keywords, 2);
	assert_string_equal(post->external_id, "our-17");
	assert_int_equal(STRICT_PACK(post, a, &packed), RK_OK);
	arena_free(a);
}

static void reads_japanese_names_and_full_width_colons(void **state)
{
	static const char file[] = "題名：鮭の頭部\n種別：ニーズ\n分野：食品、医療\n締切：年度末まで\n\n本文";
	Rk__Post *post;
	struct post_problem problem;
	unsigned topics;
	struct arena *a = arena_new(65536);
	(void)state;
	assert_int_equal(parse(file, sizeof(file) - 1, a, &post, &topics, &problem), RK_OK);
	assert_string_equal(post->texts[0]->title, "鮭の頭部");
	assert_string_equal(post->texts[0]->lang, "ja");
	assert_int_equal(post->type, RK__CHANNEL__NEED);
	assert_int_equal(post->n_codes, 2);
	assert_int_equal(post->closes_at, 0);
	assert_string_equal(post->deadline_note, "年度末まで");
	arena_free(a);
}

static void keeps_the_first_16_topics_and_counts_all(void **state)
{
	char file[512] = "Title: x\nTopics: t1";
	Rk__Post *post;
	struct post_problem problem;
	unsigned topics;
	struct arena *a = arena_new(65536);
	(void)state;
	for (int i = 2; i <= 20; i++)
		snprintf(file + strlen(file), sizeof(file) - strlen(file), ", t%d", i);
	assert_int_equal(parse(file, strlen(file), a, &post, &topics, &problem), RK_OK);
	assert_int_equal(topics, 20);
	assert_int_equal(post->n_codes, 16);
	assert_string_equal(post->codes[15]->value, "t16");
	arena_free(a);
}

static void names_each_fault_and_its_line(void **state)
{
	static const struct { const char *name, *file; enum post_fault fault; unsigned line; } rows[] = {
		{"no colon", "Title: x\nno colon here\n\nbody", POST_FAULT_NO_COLON, 2},
		{"body without empty line", "Title: x\n# Markdown", POST_FAULT_NO_COLON, 2},
		{"unknown name", "Title: x\n\nbody: fine\n", POST_FAULT_NONE, 0},
		{"unknown name", "Titel: x\n\n", POST_FAULT_UNKNOWN_NAME, 1},
		{"twice", "Title: x\nSummary: a\n b\nSummary: c\n", POST_FAULT_TWICE, 4},
		{"twice in two languages", "Title: x\n題名: y\n", POST_FAULT_TWICE, 2},
		{"no title", "Type: need\n\nbody", POST_FAULT_NO_TITLE, 0},
		{"empty title", "Title:\nType: need\n", POST_FAULT_NO_TITLE, 0},
		{"empty file", "", POST_FAULT_NO_TITLE, 0},
		{"type", "Title: x\nType: seed\n", POST_FAULT_BAD_TYPE, 2},
		{"day that does not exist", "Title: x\nDeadline: 2027-02-29\n", POST_FAULT_BAD_DATE, 2},
		{"day in another form", "Title: x\nDeadline: 2027/3/1\n", POST_FAULT_BAD_DATE, 2},
		{"TRL", "Title: x\nTRL: 10\n", POST_FAULT_BAD_NUMBER, 2},
		{"TRL backwards", "Title: x\nTRL: 6-4\n", POST_FAULT_BAD_NUMBER, 2},
		{"country", "Title: x\nCountry: jp\n", POST_FAULT_BAD_VALUE, 2},
		{"language", "Title: x\nLanguage: !\n", POST_FAULT_BAD_VALUE, 2},
		{"control in a title", "Title: a\x01" "b\n", POST_FAULT_CONTROL, 1},
		{"bidi override in a title", "Title: a\xe2\x80\xae" "b\n", POST_FAULT_CONTROL, 1},
		{"control in the body", "Title: x\n\nbody\x07", POST_FAULT_CONTROL, 3},
		{"not UTF-8", "Title: x\nSummary: caf\xe9\n", POST_FAULT_NOT_UTF8, 2},
		{"overlong UTF-8", "Title: \xc0\xaf\n", POST_FAULT_NOT_UTF8, 1},
		{"region", "Title: x\nRegion: 01234567890123456\n", POST_FAULT_TOO_LONG, 2},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(65536);
		struct post_problem problem;
		Rk__Post *post;
		unsigned topics;
		int rc = parse(rows[i].file, strlen(rows[i].file), a, &post, &topics, &problem);
		if (rc != (rows[i].fault ? RK_MALFORMED : RK_OK) || problem.fault != rows[i].fault || problem.line != rows[i].line)
			fail_msg("%s: code %d, fault %d at line %u", rows[i].name, rc, (int)problem.fault, problem.line);
		arena_free(a);
	}
}

/* One byte below each limit passes and packs, one above does not. */
static void limits_hold_on_both_sides(void **state)
{
	static const struct { const char *before; const char *after; unsigned max; } rows[] = {
		{"Title: ", "\n", 300}, {"Title: x\nSummary: ", "\n", 2048}, {"Title: x\n\n", "", 65536},
		{"Title: x\nTopics: ", "\n", 128}, {"Title: x\nStage: ", "\n", 200}, {"Title: x\nKeywords: ", "\n", 128},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned over = 0; over <= 1; over++) {
			struct arena *a = arena_new(65536);
			struct post_problem problem;
			struct bytes packed;
			Rk__Post *post;
			unsigned topics;
			char *file = malloc(rows[i].max + 100);
			size_t len = (size_t)sprintf(file, "%s", rows[i].before);
			memset(file + len, 'a', rows[i].max + over);
			len += rows[i].max + over;
			len += (size_t)sprintf(file + len, "%s", rows[i].after);
			int rc = parse(file, len, a, &post, &topics, &problem);
			if (rc != (over ? RK_MALFORMED : RK_OK) || (over && problem.fault != POST_FAULT_TOO_LONG))
				fail_msg("%s…: %u bytes: code %d", rows[i].before, rows[i].max + over, rc);
			if (!over) {
				post->type = RK__CHANNEL__NEED;
				assert_int_equal(STRICT_PACK(post, a, &packed), RK_OK);
			}
			free(file);
			arena_free(a);
		}
}

static void a_huge_file_is_refused_before_it_is_parsed(void **state)
{
	char *file = calloc(1, POSTFILE_MAX_BYTES + 1);
	struct arena *a = arena_new(65536);
	struct post_problem problem;
	Rk__Post *post;
	unsigned topics;
	(void)state;
	memset(file, 'a', POSTFILE_MAX_BYTES + 1);
	assert_int_equal(parse(file, POSTFILE_MAX_BYTES + 1, a, &post, &topics, &problem), RK_MALFORMED);
	assert_int_equal(problem.fault, POST_FAULT_TOO_LONG);
	arena_free(a);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names_values_and_markdown),
		cmocka_unit_test(reads_japanese_names_and_full_width_colons),
		cmocka_unit_test(keeps_the_first_16_topics_and_counts_all),
		cmocka_unit_test(names_each_fault_and_its_line),
		cmocka_unit_test(limits_hold_on_both_sides),
		cmocka_unit_test(a_huge_file_is_refused_before_it_is_parsed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
