/* csv: lines that every spreadsheet reads alike, and none runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/cli/csv.h"

static void cells_are_quoted_where_they_must_be(void **state)
{
	static const struct {
		const char *cell, *line;
	} rows[] = {
		{NULL, "\r\n"}, {"", "\r\n"}, {"plain", "plain\r\n"}, {"with space", "with space\r\n"}, {"試料、第1", "試料、第1\r\n"},
		{"a,b", "\"a,b\"\r\n"}, {"say \"no\"", "\"say \"\"no\"\"\"\r\n"}, {"two\nlines", "\"two\nlines\"\r\n"}, {"\"", "\"\"\"\"\r\n"},
		/* What a spreadsheet would run. */
		{"=1+1", "'=1+1\r\n"}, {"+81", "'+81\r\n"}, {"-2", "'-2\r\n"}, {"@SUM(A1)", "'@SUM(A1)\r\n"}, {"\tx", "'\tx\r\n"},
		{"=A,\"B\"", "\"'=A,\"\"B\"\"\"\r\n"}, {"\rx", "\"'\rx\"\r\n"}, {"a=b", "a=b\r\n"}, {"'x", "'x\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = csv_line(&rows[i].cell, 1);

		assert_non_null(line);
		assert_string_equal(line, rows[i].line);
		free(line);
	}
}

static void cells_stand_between_commas(void **state)
{
	const char *const cells[] = {"a", NULL, "b,c", ""};
	char *line = csv_line(cells, 4);

	(void)state;
	assert_non_null(line);
	assert_string_equal(line, "a,,\"b,c\",\r\n");
	free(line);
	assert_non_null(line = csv_line(NULL, 0));
	assert_string_equal(line, "\r\n");
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_are_quoted_where_they_must_be),
		cmocka_unit_test(cells_stand_between_commas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
