/* post_input: files, dates and faults. */
#include "client/cli/post_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/out.h"
#include "client/days.h"
#include "client/post.h"

static const enum text_id faults[POST_FAULT_COUNT] = {
	[POST_FAULT_NOT_UTF8] = TEXT_FAULT_NOT_UTF8, [POST_FAULT_NO_COLON] = TEXT_FAULT_NO_COLON,
	[POST_FAULT_UNKNOWN_NAME] = TEXT_FAULT_UNKNOWN_NAME, [POST_FAULT_TWICE] = TEXT_FAULT_REPEATED,
	[POST_FAULT_CONTROL] = TEXT_FAULT_CONTROL, [POST_FAULT_TOO_LONG] = TEXT_FAULT_TOO_LONG,
	[POST_FAULT_BAD_TYPE] = TEXT_FAULT_BAD_TYPE, [POST_FAULT_BAD_DATE] = TEXT_FAULT_BAD_DATE,
	[POST_FAULT_BAD_NUMBER] = TEXT_FAULT_BAD_NUMBER, [POST_FAULT_BAD_VALUE] = TEXT_FAULT_BAD_VALUE,
	[POST_FAULT_TOO_MANY] = TEXT_FAULT_TOO_MANY, [POST_FAULT_NO_TITLE] = TEXT_FAULT_NO_TITLE,
	[POST_FAULT_NOT_JSON] = TEXT_FAULT_NOT_JSON, [POST_FAULT_NOT_OBJECT] = TEXT_FAULT_NOT_OBJECT,
	[POST_FAULT_NOT_STRING] = TEXT_FAULT_NOT_STRING, [POST_FAULT_NOT_LIST] = TEXT_FAULT_NOT_LIST,
};

char *post_input_sentence(struct cli *c, const struct post_problem *p)
{
	char *what = NULL, *out = NULL;
	/* Every sentence takes the field and the limit, in this order. */
	if (asprintf(&what, text(faults[p->fault], c->lang), p->name, p->limit) < 0)
		return NULL;
	if (p->line == 0)
		return what;
	if (asprintf(&out, text(TEXT_AT_LINE, c->lang), p->line, what) < 0)
		out = NULL;
	free(what);
	return out;
}

static int read_all(struct cli *c, const char *path, uint8_t **data, size_t *len)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!f && errno == ENOENT)
		return cli_refuse(c, RK_ENOTFOUND, TEXT_HINT_FILE, TEXT_FILE_MISSING, path);
	if (!f)
		return cli_refuse(c, RK_EIO, TEXT_HINT_FILE, TEXT_CANNOT_OPEN_FILE, path, strerror(errno));
	*data = malloc(POSTFILE_MAX_BYTES + 1);
	*len = *data ? fread(*data, 1, POSTFILE_MAX_BYTES + 1, f) : 0;
	int rc = !*data ? RK_ENOMEM : ferror(f) ? cli_fail(c, RK_EIO, TEXT_CANNOT_READ_POST, path) : RK_OK;
	if (f != stdin)
		fclose(f);
	return rc;
}

int post_input_file(struct cli *c, const char *path, struct arena *a, Rk__Post **out)
{
	struct post_problem problem;
	unsigned topics;
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = read_all(c, path, &data, &len);
	if (rc == RK_OK)
		rc = postfile_parse(bytes_make(data, len), out_zone(), a, out, &topics, &problem);
	if (rc == RK_OK && topics > POST_TOPICS_MAX)
		out_warn(c, TEXT_TOPICS_CUT, topics, POST_TOPICS_MAX);
	if (rc == RK_MALFORMED) {
		char *why = post_input_sentence(c, &problem);
		rc = cli_refuse(c, RK_MALFORMED, TEXT_HINT_POST_FILE, TEXT_POST_FILE_BAD, path, why ? why : "");
		free(why);
	}
	free(data);
	return rc;
}

int post_input_until(struct cli *c, const char *until, int64_t *lifetime_ms)
{
	uint32_t day;
	int64_t end;
	*lifetime_ms = 0;
	if (!until)
		return RK_OK;
	if (days_parse(until, &day) != RK_OK || days_end(day, out_zone(), &end) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_DATE, TEXT_BAD_DATE, until);
	*lifetime_ms = end - client_now(c->client);
	if (*lifetime_ms <= 0)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_DATE, TEXT_DATE_PAST, until);
	if (*lifetime_ms > POST_LIFETIME_MAX_MS)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_DATE, TEXT_DATE_FAR, until);
	return RK_OK;
}
