/* Every sentence exists in both languages, and takes the same arguments in both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/cli/text.h"
#include "proto/bytes.h"
#include "proto/strict.h"

#define ARGS_MAX 12

static const char *const names[TEXT_COUNT] = {
#define T(id, en, ja) [TEXT_##id] = #id,
#include "client/cli/text_common.inc"
#include "client/cli/text_stage_a.inc"
#include "client/cli/text_stage_b.inc"
#include "client/cli/text_log.inc"
#include "client/cli/text_notice.inc"
#include "client/cli/text_dossier.inc"
#include "client/cli/text_receipt.inc"
#include "client/cli/text_backup.inc"
#include "client/cli/text_device.inc"
#include "client/cli/text_attach.inc"
#undef T
};

/* The conversion of each argument, by its position; "%1$s" names the position.  Returns how many, or -1 for a form we do not use. */
static int arguments(const char *s, char kinds[ARGS_MAX][8])
{
	int next = 0, count = 0;
	for (; *s; s++) {
		if (*s != '%')
			continue;
		s++;
		if (*s == '%')
			continue;
		int at = next;
		if (*s >= '1' && *s <= '9' && s[1] == '$') {
			at = *s - '1';
			s += 2;
		} else {
			next++;
		}
		size_t len = strspn(s, "0123456789-.lhz") + 1;
		if (at >= ARGS_MAX || len >= 8 || !strchr("sduxc", s[len - 1]))
			return -1;
		memcpy(kinds[at], s, len);
		kinds[at][len] = '\0';
		count = at + 1 > count ? at + 1 : count;
		s += len - 1;
	}
	return count;
}

static void every_sentence_exists_in_both_languages(void **state)
{
	(void)state;
	for (int id = TEXT_NONE + 1; id < TEXT_COUNT; id++)
		for (int lang = 0; lang < LANG_COUNT; lang++) {
			const char *s = text((enum text_id)id, (enum lang)lang);
			if (!s || !*s || !strict_is_utf8(bytes_str(s)))
				fail_msg("%s: no sentence in language %d", names[id], lang);
		}
}

static void both_languages_take_the_same_arguments(void **state)
{
	(void)state;
	for (int id = TEXT_NONE + 1; id < TEXT_COUNT; id++) {
		char en[ARGS_MAX][8] = {{0}}, ja[ARGS_MAX][8] = {{0}};
		int n = arguments(text((enum text_id)id, LANG_EN), en), m = arguments(text((enum text_id)id, LANG_JA), ja);
		if (n < 0 || n != m || memcmp(en, ja, sizeof(en)) != 0)
			fail_msg("%s: %d arguments in English, %d in Japanese, or of other types", names[id], n, m);
	}
}

static void no_sentence_is_asked_for_outside_the_table(void **state)
{
	(void)state;
	assert_string_equal(text(TEXT_NONE, LANG_EN), "");
	assert_string_equal(text(TEXT_COUNT, LANG_JA), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sentence_exists_in_both_languages),
		cmocka_unit_test(both_languages_take_the_same_arguments),
		cmocka_unit_test(no_sentence_is_asked_for_outside_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
