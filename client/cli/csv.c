#include "client/cli/csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool looks_like_formula(const char *cell)
{
	return cell[0] != '\0' && strchr("=+-@\t\r", cell[0]) != NULL;
}

static bool needs_quotes(const char *cell)
{
	return cell[strcspn(cell, ",\"\r\n")] != '\0';
}

/* Writes one cell; at most 2 bytes a character and 3 more. */
static char *put_cell(char *out, const char *cell)
{
	bool quoted = needs_quotes(cell);

	if (quoted)
		*out++ = '"';
	if (looks_like_formula(cell))
		*out++ = '\'';
	for (; *cell != '\0'; cell++) {
		if (*cell == '"')
			*out++ = '"';
		*out++ = *cell;
	}
	if (quoted)
		*out++ = '"';
	return out;
}

char *csv_line(const char *const *cells, size_t n)
{
	size_t room = 3;
	char *line, *at;

	for (size_t i = 0; i < n; i++)
		room += 2 * (cells[i] != NULL ? strlen(cells[i]) : 0) + 4;
	if ((line = at = malloc(room)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			*at++ = ',';
		at = put_cell(at, cells[i] != NULL ? cells[i] : "");
	}
	memcpy(at, "\r\n", 3);
	return line;
}
