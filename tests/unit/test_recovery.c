/* Recovery codes: what people do to them when they type, and every one or two wrong characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/recovery.h"

static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

static void codes_are_seven_groups_and_differ(void **state)
{
	char code[RECOVERY_CODE_CHARS], other[RECOVERY_CODE_CHARS], back[RECOVERY_CODE_CHARS];
	bool seen[32] = {false};
	unsigned group;
	(void)state;

	for (int n = 0; n < 500; n++) {
		recovery_new(code);
		assert_int_equal(strlen(code), 34);
		for (unsigned i = 0; i < 34; i++) {
			assert_true(i % 5 == 4 ? code[i] == '-' : strchr(alphabet, code[i]) != NULL);
			if (i % 5 != 4)
				seen[strchr(alphabet, code[i]) - alphabet] = true;
		}
		assert_int_equal(recovery_read(code, back, &group), RK_OK);
		assert_string_equal(back, code);
		recovery_new(other);
		assert_string_not_equal(code, other);
	}
	for (unsigned i = 0; i < 32; i++)
		assert_true(seen[i]);
}

static void how_it_is_typed_does_not_matter(void **state)
{
	char code[RECOVERY_CODE_CHARS], back[RECOVERY_CODE_CHARS], typed[128];
	size_t n = 0;
	unsigned group;
	(void)state;

	recovery_new(code);
	for (const char *p = code; *p; p++) {
		if (*p == '-') {
			typed[n++] = ' ';
			typed[n++] = '\t';
		} else {
			typed[n++] = (char)tolower((unsigned char)*p);
		}
	}
	strcpy(typed + n, " \r\n");
	assert_int_equal(recovery_read(typed, back, &group), RK_OK);
	assert_string_equal(back, code);
	code[33] = 0;
	assert_int_equal(recovery_read(code, back, &group), RK_MALFORMED);
	assert_int_equal(recovery_read("", back, &group), RK_MALFORMED);
	assert_int_equal(recovery_read("0000-0000-0000-0000-0000-0000-0000", back, &group), RK_MALFORMED);
	recovery_new(code);
	strcpy(typed, code);
	strcat(typed, "A");
	assert_int_equal(recovery_read(typed, back, &group), RK_MALFORMED);
	assert_int_equal(back[0], 0);
}

static void each_wrong_character_is_found_in_its_group(void **state)
{
	char code[RECOVERY_CODE_CHARS], bad[RECOVERY_CODE_CHARS], back[RECOVERY_CODE_CHARS];
	unsigned group;
	(void)state;

	recovery_new(code);
	for (unsigned i = 0; i < 34; i++) {
		for (unsigned k = 0; k < 32; k++) {
			if (code[i] == '-' || code[i] == alphabet[k])
				continue;
			strcpy(bad, code);
			bad[i] = alphabet[k];
			assert_int_equal(recovery_read(bad, back, &group), RK_EPASSPHRASE);
			assert_int_equal(group, i / 5 + 1);
		}
	}
}

/* Two wrong ones, and two that changed places, which is two wrong ones that differ alike. */
static void two_wrong_characters_are_found(void **state)
{
	char code[RECOVERY_CODE_CHARS], bad[RECOVERY_CODE_CHARS], back[RECOVERY_CODE_CHARS];
	unsigned group;
	(void)state;

	recovery_new(code);
	for (unsigned i = 0; i < 34; i++) {
		for (unsigned j = i + 1; j < 34; j++) {
			if (code[i] == '-' || code[j] == '-')
				continue;
			for (unsigned k = 0; k < 32; k++) {
				strcpy(bad, code);
				bad[i] = alphabet[(k + 1) % 32];
				bad[j] = alphabet[(k * 7 + i) % 32];
				if (strcmp(bad, code) != 0)
					assert_int_equal(recovery_read(bad, back, &group), RK_EPASSPHRASE);
			}
			strcpy(bad, code);
			bad[i] = code[j];
			bad[j] = code[i];
			if (strcmp(bad, code) != 0)
				assert_int_equal(recovery_read(bad, back, &group), RK_EPASSPHRASE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_seven_groups_and_differ),
		cmocka_unit_test(how_it_is_typed_does_not_matter),
		cmocka_unit_test(each_wrong_character_is_found_in_its_group),
		cmocka_unit_test(two_wrong_characters_are_found),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
