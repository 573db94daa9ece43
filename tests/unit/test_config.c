/*
 * config: both sides of every bound of every setting; each error names file, line and what was expected; the printed
 * defaults are a legal file that gives the defaults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/config.h"
#include "proto/errcode.h"

static char error[CONFIG_ERROR_CHARS];

static int read_text(const char *text)
{
	struct config c;

	return config_read_text(&c, "renkeid.conf", text, error);
}

static int read_number(const struct config_row *row, int64_t value)
{
	char text[200];

	snprintf(text, sizeof(text), "[%s]\n%s = %" PRId64 "\n", row->section, row->name, value);
	return read_text(text);
}

static void every_bound_holds_on_both_sides(void **state)
{
	struct config_row row;
	size_t i;

	(void)state;
	for (i = 0; config_at(i, &row); i++) {
		if (strcmp(row.name, "level") == 0)
			continue;
		assert_true(row.min <= row.initial && row.initial <= row.max);
		/* The two marks bound each other as well. */
		if (strcmp(row.section, "store") == 0 && strstr(row.name, "_mark") != NULL)
			continue;
		assert_int_equal(read_number(&row, row.min), RK_OK);
		assert_int_equal(read_number(&row, row.max), RK_OK);
		assert_int_equal(read_number(&row, row.max + 1), RK_MALFORMED);
		assert_non_null(strstr(error, row.name));
		if (row.min == 0)
			continue;
		assert_int_equal(read_number(&row, row.min - 1), RK_MALFORMED);
		assert_non_null(strstr(error, "must be from"));
	}
	assert_true(i > 30);
}

static void wrong_lines_are_told_by_number(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"[broker]\n\nnonsense = 1\n", "renkeid.conf:3: there is no setting 'nonsense' in section [broker]"},
		{"[limits]\n# burst\nburst = many\n", "renkeid.conf:3: burst must be a number"},
		{"[limits]\nburst = 500 MiB\n", "renkeid.conf:2: burst must be a number"},
		{"[limits]\nburst = -500\n", "renkeid.conf:2: burst must be a number"},
		{"[limits]\nburst = 99999999999999999999\n", "renkeid.conf:2: burst must be a number"},
		{"[store]\nmap = 9999999999 TiB\n", "renkeid.conf:2: map must be a number"},
		{"[store]\nmap = 64 MB\n", "renkeid.conf:2: map must be a number"},
		{"[store]\nmap = 63 MiB\n", "renkeid.conf:2: map must be from 64 MiB to 1 TiB"},
		{"[limits]\nburst = 500\nburst = 501\n", "renkeid.conf:3: burst is set twice"},
		{"[limits]\nburst\n", "renkeid.conf:2:"},
		{"[limits\nburst = 1\n", "renkeid.conf:1:"},
		{"burst = 500\n", "renkeid.conf:1: there is no setting 'burst' in section []"},
		{"[log]\nlevel = loud\n", "renkeid.conf:2: level must be error, warning, info or debug"},
		{"[log]\nlevel = 1\n", "renkeid.conf:2: level must be error, warning, info or debug"},
		{"[store]\nsoft_mark = 90\nhard_mark = 90\n", "soft_mark (90) must be below hard_mark (90)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_text(rows[i].text), RK_MALFORMED);
		if (strstr(error, rows[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", error, rows[i].says);
	}
}

static void good_lines_are_taken(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(config_read_text(&c, "x", "", error), RK_OK);
	assert_int_equal(c.burst, 500);
	assert_int_equal(c.rate_per_s, 100);
	assert_int_equal(c.map_bytes, (int64_t)64 << 30);
	assert_int_equal(c.ring_messages, 4096);
	assert_int_equal(c.send_queue, 64);
	assert_int_equal(
		config_read_text(&c, "x",
				 "; comment\n[limits]\nburst = 20\nbyte_burst=2 MiB\n\n[store]\nmap = 1073741824\n"
				 "[log]\nlevel = debug\n",
				 error),
		RK_OK);
	assert_int_equal(c.burst, 20);
	assert_int_equal(c.byte_burst, 2 << 20);
	assert_int_equal(c.map_bytes, 1 << 30);
	assert_int_equal(c.log_level, 3);
	assert_int_equal(c.rate_per_s, 100);
}

static void the_printed_defaults_are_a_legal_file(void **state)
{
	struct config initial, again;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	config_defaults(&initial);
	config_print(&initial, f);
	fclose(f);
	assert_int_equal(config_read_text(&again, "x", text, error), RK_OK);
	assert_memory_equal(&initial, &again, sizeof(initial));
	free(text);
}

static void files_that_cannot_be_read_are_told(void **state)
{
	char path[] = "/tmp/renkei-config-XXXXXX";
	struct config c;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "[limits]\nburst = 5\0\n", 20), 20);
	close(fd);
	assert_int_equal(config_read(&c, path, error), RK_MALFORMED);
	assert_non_null(strstr(error, "not a configuration file"));
	unlink(path);
	assert_int_equal(config_read(&c, path, error), RK_EIO);
	assert_non_null(strstr(error, path));
	assert_int_equal(config_read(&c, "/", error), RK_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bound_holds_on_both_sides),
		cmocka_unit_test(wrong_lines_are_told_by_number),
		cmocka_unit_test(good_lines_are_taken),
		cmocka_unit_test(the_printed_defaults_are_a_legal_file),
		cmocka_unit_test(files_that_cannot_be_read_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
