/* A configuration file.  What is taken lies within the table's bounds and is the same after printing; a refusal names the file. */
#include <stdlib.h>

#include "broker/config.h"
#include "proto/errcode.h"
#include "tests/fuzz/fuzz_kit.h"

/* The fields of a struct config stand in the order of the table: its defaults prove it. */
static void check_bounds(const struct config *c)
{
	struct config defaults;
	struct config_row row;
	int64_t value, initial;

	config_defaults(&defaults);
	for (size_t i = 0; config_at(i, &row); i++) {
		memcpy(&value, (const char *)c + i * sizeof(value), sizeof(value));
		memcpy(&initial, (const char *)&defaults + i * sizeof(initial), sizeof(initial));
		MUST(initial == row.initial && value >= row.min && value <= row.max);
	}
}

static void print_and_read(const struct config *c)
{
	char error[CONFIG_ERROR_CHARS], *text = NULL;
	struct config again;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	MUST(out != NULL);
	config_print(c, out);
	fclose(out);
	MUST(config_read_text(&again, "again", text, error) == RK_OK);
	MUST(memcmp(c, &again, sizeof(again)) == 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char error[CONFIG_ERROR_CHARS], *text = fuzz_text(bytes_make(data, len));
	struct config c;
	int r = config_read_text(&c, "file", text, error);

	MUST(r == RK_OK || r == RK_MALFORMED);
	if (r == RK_OK) {
		fuzz_accepted++;
		MUST(error[0] == '\0' && c.soft_percent < c.hard_percent);
		check_bounds(&c);
		print_and_read(&c);
	} else {
		MUST(strncmp(error, "file:", 5) == 0 && strlen(error) > 10);
	}
	free(text);
	return 0;
}
