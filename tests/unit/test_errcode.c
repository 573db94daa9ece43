/* errcode: the table is complete, its names are unique, its exit codes are the documented ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/errcode.h"
#include "proto/strict.h"

/* Every code of errcode.h and the exit code it must have. */
static const struct {
	int code;
	const char *name;
	int exit;
} expected[] = {
	{RK_NOT_ADMITTED, "not-admitted", 8}, {RK_REVOKED, "revoked", 8}, {RK_SUPERSEDED, "superseded", 7},
	{RK_STALE_WRITER, "stale-writer", 7}, {RK_NOT_PERMITTED, "not-permitted", 8}, {RK_WRONG_EXCHANGE, "wrong-exchange", 8},
	{RK_MALFORMED, "malformed", 1}, {RK_BAD_SIGNATURE, "bad-signature", 9}, {RK_TOO_LARGE, "too-large", 1},
	{RK_VERSION, "version", 1}, {RK_UNSUPPORTED, "unsupported", 1}, {RK_UNMARKED, "unmarked", 8},
	{RK_RATE_LIMITED, "rate-limited", 6}, {RK_QUOTA, "quota", 6}, {RK_BUSY, "busy", 6},
	{RK_STORE_FULL, "store-full", 6}, {RK_MOVING, "moving", 6}, {RK_READ_ONLY, "read-only", 6},
	{RK_NUMBER_CONFLICT, "number-conflict", 7}, {RK_OUT_OF_ORDER, "out-of-order", 7}, {RK_DUPLICATE, "duplicate", 7},
	{RK_CONFLICT, "conflict", 7}, {RK_GENERATION, "generation", 7}, {RK_STALE_EPOCH, "stale-epoch", 7},
	{RK_EPOCH_UNKNOWN, "epoch-unknown", 7}, {RK_STALE_DIRECTORY, "stale-directory", 7}, {RK_STALE_NDA, "stale-nda", 7},
	{RK_DIRECTORY_EXPIRED, "directory-expired", 7}, {RK_CHARTER_EXPIRED, "charter-expired", 7},
	{RK_ENVELOPE_EXPIRED, "envelope-expired", 7}, {RK_CLOCK, "clock", 7}, {RK_NOT_OWNER, "not-owner", 7},
	{RK_NO_RECIPIENT_KEY, "no-recipient-key", 7}, {RK_INVITE_USED, "invite-used", 7},
	{RK_INVITE_EXPIRED, "invite-expired", 7},
	{RK_NO_NDA, "no-nda", 8}, {RK_NDA_PROPOSED, "nda-proposed", 8}, {RK_NDA_NOT_YET, "nda-not-yet", 8},
	{RK_NDA_HELD, "nda-held", 8}, {RK_NDA_SUSPENDED, "nda-suspended", 8}, {RK_NDA_DECLINED, "nda-declined", 8},
	{RK_NDA_WITHDRAWN, "nda-withdrawn", 8}, {RK_NDA_LAPSED, "nda-lapsed", 8}, {RK_NDA_EXPIRED, "nda-expired", 8},
	{RK_NDA_TERMINATED, "nda-terminated", 8}, {RK_NDA_SUPERSEDED, "nda-superseded", 8}, {RK_DIRECTION, "direction", 8},
	{RK_UNKNOWN_OBJECT, "unknown-object", 5}, {RK_UNKNOWN_RECIPIENT, "unknown-recipient", 5},
	{RK_ENOMEM, "no-memory", 1}, {RK_EINTERNAL, "internal", 1}, {RK_EIO, "io", 1}, {RK_EDISKFULL, "disk-full", 1},
	{RK_ESTORE, "store", 1}, {RK_ESTOREFORMAT, "store-format", 1}, {RK_ENOTFOUND, "not-found", 5},
	{RK_EEXISTS, "exists", 7}, {RK_ELOCKED, "locked", 7}, {RK_EPASSPHRASE, "passphrase", 4}, {RK_EKEYFILE, "key-file", 1},
	{RK_EUNREACHABLE, "unreachable", 6}, {RK_ETIMEOUT, "timeout", 6}, {RK_EINTERRUPTED, "interrupted", 130},
	{RK_EUSAGE, "usage", 2}, {RK_ENOTJOINED, "not-joined", 4}, {RK_ENEWER, "needs-newer", 1},
	{RK_EINTEGRITY, "integrity", 9}, {RK_EOTHERHOME, "other-home", 7}, {RK_EFORKED, "log-forked", 9},
};

#define EXPECTED_COUNT (sizeof(expected) / sizeof(expected[0]))

static void every_code_has_name_sentences_and_exit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EXPECTED_COUNT; i++) {
		int code = expected[i].code;

		assert_string_equal(errcode_name(code), expected[i].name);
		assert_int_equal(errcode_exit(code), expected[i].exit);
		assert_int_equal(errcode_at(i), code);
		for (enum lang l = 0; l < LANG_COUNT; l++) {
			const char *sentence = errcode_sentence(code, l), *hint = errcode_hint(code, l);

			assert_true(strlen(sentence) > 10);
			assert_true(strict_is_name(bytes_str(sentence)));
			assert_true(strict_is_name(bytes_str(hint)));
			/* Whole sentences. */
			if (l == LANG_EN)
				assert_int_equal(sentence[strlen(sentence) - 1], '.');
			else
				assert_string_equal(sentence + strlen(sentence) - strlen("。"), "。");
		}
		assert_string_not_equal(errcode_sentence(code, LANG_EN), errcode_sentence(code, LANG_JA));
		assert_int_equal(errcode_hint(code, LANG_EN)[0] == '\0', errcode_hint(code, LANG_JA)[0] == '\0');
	}
	assert_int_equal(errcode_at(EXPECTED_COUNT), RK_OK);
	assert_int_equal(errcode_at(UINT32_MAX), RK_OK);
}

static void names_are_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EXPECTED_COUNT; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(errcode_name(errcode_at(i)), errcode_name(errcode_at(k)));
}

static void an_unknown_refusal_goes_by_its_class(void **state)
{
	static const struct {
		int code, exit;
	} rows[] = {{199, 8}, {299, 1}, {399, 6}, {499, 7}, {599, 8}, {699, 5}, {700, 1}, {99, 1}, {-99, 1}, {INT32_MAX, 1},
	            {INT32_MIN, 1}};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(errcode_name(rows[i].code), "unknown");
		assert_int_equal(errcode_exit(rows[i].code), rows[i].exit);
		assert_true(strlen(errcode_sentence(rows[i].code, LANG_EN)) > 10);
		assert_true(strlen(errcode_sentence(rows[i].code, LANG_JA)) > 10);
		assert_string_equal(errcode_hint(rows[i].code, LANG_JA), "");
	}
	/* A language that is not known is English. */
	assert_string_equal(errcode_sentence(RK_NO_NDA, LANG_COUNT), errcode_sentence(RK_NO_NDA, LANG_EN));
}

static void ok_is_ok(void **state)
{
	(void)state;
	assert_string_equal(errcode_name(RK_OK), "ok");
	assert_int_equal(errcode_exit(RK_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_name_sentences_and_exit),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(an_unknown_refusal_goes_by_its_class),
		cmocka_unit_test(ok_is_ok),
	};
	return cmocka_run_group_tests_name("errcode", tests, NULL, NULL);
}
