/* A configuration file.  What is taken lies within the table's bounds and is the same after printing; a refusal names the file. */
#include <stdlib.h>

#include "broker/config.h"
#include "proto/errcode.h"
#include "tests/fuzz/fuzz_kit.h"

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
		print_and_read(&c);
	} else {
		MUST(strncmp(error, "file:", 5) == 0 && strlen(error) > 10);
	}
	free(text);
	return 0;
}
