/* JSON lines: each key, each fault, titles from summaries, damaged characters; and the real records where they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jsonl.h"
#include "proto/errcode.h"
#include "proto/strict.h"

static int read_line(const char *line, struct arena *a, struct jsonl_record *r, struct post_problem *p)
{
	return jsonl_read(bytes_str(line), "Asia/Tokyo", a, r, p);
}

static void reads_every_key(void **state)
{
	struct arena *a = arena_new(65536);
	struct jsonl_record r;
	struct post_problem p;
	struct bytes packed;
	(void)state;
	assert_int_equal(read_line("{\"kind\":\"need\",\"title\":\"T\",\"summary\":\"S\",\"body\":\"B\\r\\nC\",\"topics\":[\"a/b\",\"c\"],"
				   "\"deadline\":\"2027-03-31\",\"source\":\"src\",\"id\":\"17\",\"language\":\"ja\",\"other\":[1,2]}",
				   a, &r, &p), RK_OK);
	assert_int_equal(r.post->type, RK__CHANNEL__NEED);
	assert_string_equal(r.post->texts[0]->title, "T");
	assert_string_equal(r.post->texts[0]->body, "B\nC");
	assert_string_equal(r.post->texts[0]->lang, "ja");
	assert_int_equal(r.post->n_codes, 2);
	assert_string_equal(r.post->external_id, "17");
	assert_true(r.post->closes_at > 0);
	assert_false(r.title_from_summary || r.mended);
	assert_int_equal(STRICT_PACK(r.post, a, &packed), RK_OK);
	arena_free(a);
}

static void the_same_record_has_the_same_id(void **state)
{
	static const char *const lines[] = {
		"{\"kind\":\"offer\",\"title\":\"T\",\"source\":\"s\",\"body\":\"one\"}",
		"{\"source\":\"s\",\"body\":\"two\",\"title\":\"T\",\"kind\":\"offer\"}",
		"{\"kind\":\"need\",\"title\":\"T\",\"source\":\"s\"}",
		"{\"kind\":\"offer\",\"title\":\"T\",\"source\":\"sT\"}",
	};
	char ids[4][256];
	struct jsonl_record r;
	struct post_problem p;
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct arena *a = arena_new(65536);
		assert_int_equal(read_line(lines[i], a, &r, &p), RK_OK);
		snprintf(ids[i], sizeof(ids[i]), "%s", r.post->external_id);
		arena_free(a);
	}
	assert_string_equal(ids[0], ids[1]);
	assert_string_not_equal(ids[0], ids[2]);
	assert_string_not_equal(ids[0], ids[3]);
}

static void a_missing_title_comes_from_the_summary(void **state)
{
	static const struct { const char *line, *title; } rows[] = {
		{"{\"kind\":\"need\",\"title\":\"\",\"summary\":\"First sentence. Second.\"}", "First sentence"},
		{"{\"kind\":\"need\",\"summary\":\"一つ目の文。二つ目。\"}", "一つ目の文"},
		{"{\"kind\":\"need\",\"title\":null,\"summary\":\"one line\\nanother\"}", "one line"},
	};
	struct jsonl_record r;
	struct post_problem p;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(65536);
		assert_int_equal(read_line(rows[i].line, a, &r, &p), RK_OK);
		assert_true(r.title_from_summary);
		assert_string_equal(r.post->texts[0]->title, rows[i].title);
		arena_free(a);
	}
}

/* However long a summary is, and wherever its characters end, the title is one that may be sent. */
static void a_long_summary_is_cut_at_a_word_or_a_character(void **state)
{
	(void)state;
	for (int words = 0; words <= 1; words++)
		for (unsigned len = 150; len < 190; len++) {
			char line[1200] = "{\"kind\":\"need\",\"summary\":\"";
			struct arena *a = arena_new(65536);
			struct jsonl_record r;
			struct post_problem p;
			for (unsigned i = 0; i < len; i++)
				strcat(line, words && i % 7 == 6 ? " " : words ? "a" : "鮭");
			strcat(line, "\"}");
			assert_int_equal(read_line(line, a, &r, &p), RK_OK);
			assert_in_range(strlen(r.post->texts[0]->title), 1, 160);
			assert_true(strict_is_name(bytes_str(r.post->texts[0]->title)));
			arena_free(a);
		}
}

static void damaged_characters_are_mended(void **state)
{
	static const struct { const char *line, *title; bool mended; } rows[] = {
		/* Windows-1252 read as Latin-1: U+0093 … U+0094, U+0092 */
		{"{\"kind\":\"need\",\"title\":\"\\u0093Tool\\u0094 that\\u0092s it\"}", "“Tool” that’s it", true},
		/* UTF-8 read as Latin-1: E2 80 9D */
		{"{\"kind\":\"need\",\"title\":\"x\\u00e2\\u0080\\u009d\"}", "x”", true},
		{"{\"kind\":\"need\",\"title\":\"a\\tb\"}", "a b", true},
		{"{\"kind\":\"need\",\"title\":\"a\\u202eb\"}", "a b", true},
		{"{\"kind\":\"need\",\"title\":\"a\\u0081b\"}", "a\xef\xbf\xbd" "b", true},
		{"{\"kind\":\"need\",\"title\":\"â café 鮭\"}", "â café 鮭", false},
		{"{\"kind\":\"need\",\"title\":\"end\\u00e2\\u0080\"}", "endâ€", true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(65536);
		struct jsonl_record r;
		struct post_problem p;
		assert_int_equal(read_line(rows[i].line, a, &r, &p), RK_OK);
		assert_string_equal(r.post->texts[0]->title, rows[i].title);
		assert_int_equal(r.mended, rows[i].mended);
		arena_free(a);
	}
}

static void names_each_fault(void **state)
{
	static const struct { const char *line; enum post_fault fault; } rows[] = {
		{"", POST_FAULT_NOT_JSON},
		{"{\"kind\":", POST_FAULT_NOT_JSON},
		{"{\"kind\":\"need\",\"kind\":\"offer\",\"title\":\"x\"}", POST_FAULT_NOT_JSON},
		{"{\"kind\":\"need\",\"title\":\"a\\u0000b\"}", POST_FAULT_NOT_JSON},
		{"[1]", POST_FAULT_NOT_OBJECT},
		{"{\"title\":\"x\"}", POST_FAULT_NOT_STRING},
		{"{\"kind\":\"seed\",\"title\":\"x\"}", POST_FAULT_BAD_TYPE},
		{"{\"kind\":\"need\",\"title\":7}", POST_FAULT_NOT_STRING},
		{"{\"kind\":\"need\",\"title\":\"x\",\"topics\":\"a\"}", POST_FAULT_NOT_LIST},
		{"{\"kind\":\"need\",\"title\":\"x\",\"topics\":[1]}", POST_FAULT_NOT_STRING},
		{"{\"kind\":\"need\",\"title\":\"x\",\"topics\":[\"\"]}", POST_FAULT_BAD_VALUE},
		{"{\"kind\":\"need\",\"title\":\"\",\"summary\":\"\"}", POST_FAULT_NO_TITLE},
		{"{\"kind\":\"need\",\"title\":\"x\",\"deadline\":\"2027-13-01\"}", POST_FAULT_BAD_DATE},
		{"{\"kind\":\"need\",\"title\":\"x\xff\"}", POST_FAULT_NOT_UTF8},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(65536);
		struct jsonl_record r;
		struct post_problem p;
		int rc = read_line(rows[i].line, a, &r, &p);
		if (rc != RK_MALFORMED || p.fault != rows[i].fault)
			fail_msg("%s: code %d, fault %d", rows[i].line, rc, (int)p.fault);
		arena_free(a);
	}
}

/* All records of a file can be posted; returns how many. */
static unsigned read_real(const char *folder, const char *name, unsigned *titles)
{
	char path[4096], *line = NULL;
	size_t room = 0;
	ssize_t len;
	unsigned n = 0;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	while ((len = getline(&line, &room, f)) > 0) {
		struct arena *a = arena_new(65536);
		struct jsonl_record r;
		struct post_problem p;
		struct bytes packed;
		n++;
		if (jsonl_read(bytes_make(line, (size_t)len), "Asia/Tokyo", a, &r, &p) != RK_OK)
			fail_msg("%s line %u: fault %d in %s", name, n, (int)p.fault, p.name);
		if (STRICT_PACK(r.post, a, &packed) != RK_OK)
			fail_msg("%s line %u cannot be packed", name, n);
		*titles += r.title_from_summary;
		arena_free(a);
	}
	free(line);
	fclose(f);
	return n;
}

static void all_real_records_can_be_posted(void **state)
{
	const char *folder = getenv("RENKEI_DATA");
	unsigned titles = 0;
	(void)state;
	folder = folder && *folder ? folder : "../shared/data";
	unsigned offers = read_real(folder, "offers.jsonl", &titles), needs = read_real(folder, "needs.jsonl", &titles);
	if (!offers && !needs) {
		printf("skipped: no real records in %s (RENKEI_DATA)\n", folder);
		skip();
	}
	assert_int_equal(offers, 160);
	assert_int_equal(needs, 80);
	assert_int_equal(titles, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_key),
		cmocka_unit_test(the_same_record_has_the_same_id),
		cmocka_unit_test(a_missing_title_comes_from_the_summary),
		cmocka_unit_test(a_long_summary_is_cut_at_a_word_or_a_character),
		cmocka_unit_test(damaged_characters_are_mended),
		cmocka_unit_test(names_each_fault),
		cmocka_unit_test(all_real_records_can_be_posted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
