/* The plain form: same fields, same bytes; both languages; every field that matters is in the words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/forms.h"
#include "proto/strict.h"

struct sample {
	Rk__NdaTerms terms;
	Rk__NdaCover cover;
	Rk__Party parties[2], *party_list[2];
	Rk__CoverParty covers[2], *cover_list[2];
	Rk__Survival survival;
	uint8_t ids[2][16];
	struct arena *a;
};

static void fill(struct sample *s)
{
	rk__nda_terms__init(&s->terms);
	rk__nda_cover__init(&s->cover);
	rk__survival__init(&s->survival);
	for (int i = 0; i < 2; i++) {
		memset(s->ids[i], i + 1, 16);
		rk__party__init(&s->parties[i]);
		rk__cover_party__init(&s->covers[i]);
		s->parties[i].org_id = s->covers[i].org_id = pb_of(bytes_make(s->ids[i], 16));
		s->parties[i].may_disclose = s->parties[i].may_receive = true;
		s->party_list[i] = &s->parties[i];
		s->cover_list[i] = &s->covers[i];
	}
	s->covers[0].legal_name = (char *)"北見海洋エキス株式会社";
	s->covers[1].legal_name = (char *)"Okhotsk Institute";
	s->terms.parties = s->party_list;
	s->cover.parties = s->cover_list;
	s->terms.n_parties = s->cover.n_parties = 2;
	s->terms.first_day = 20270401;
	s->terms.last_day = 20280331;
	s->terms.zone = (char *)"Asia/Tokyo";
	s->terms.exit_rule = RK__EXIT_RULE__END_ALL;
	s->terms.notice_window_days = 1116;
	s->cover.language = (char *)"ja";
	s->cover.purpose = (char *)"鮭の頭からコンドロイチンを得る方法の評価";
	s->cover.law = (char *)"JP";
	s->cover.oral_days = 14;
	s->cover.scope_rule = RK__SCOPE_RULE__MARKED_OR_CONFIRMED;
	s->survival.basis = RK__SURVIVAL_BASIS__FROM_END;
	s->survival.months = 36;
	s->cover.survival = &s->survival;
	s->a = arena_new(64 * 1024);
}

static char *write_form(struct sample *s)
{
	struct bytes out;
	char *text;

	assert_int_equal(forms_write(&s->terms, &s->cover, s->a, &out), RK_OK);
	assert_true(strict_is_text(out));
	text = strndup((const char *)out.data, out.len);
	assert_non_null(text);
	return text;
}

static void says(struct sample *s, const char *words)
{
	char *text = write_form(s);

	if (strstr(text, words) == NULL)
		fail_msg("the form does not say: %s\n%s", words, text);
	free(text);
}

static void both_languages_are_there_and_marked(void **state)
{
	struct sample s;
	char *text;

	(void)state;
	fill(&s);
	text = write_form(&s);
	assert_non_null(strstr(text, "法的助言ではありません"));
	assert_non_null(strstr(text, "not legal advice"));
	assert_true(strstr(text, "秘密保持契約書") < strstr(text, "CONFIDENTIALITY AGREEMENT"));
	free(text);
	s.cover.language = (char *)"en";
	text = write_form(&s);
	assert_true(strstr(text, "秘密保持契約書") > strstr(text, "CONFIDENTIALITY AGREEMENT"));
	free(text);
	arena_free(s.a);
}

static void parties_and_dates_stand_in_words(void **state)
{
	struct sample s;

	(void)state;
	fill(&s);
	says(&s, "北見海洋エキス株式会社");
	says(&s, "Okhotsk Institute");
	says(&s, "2027年4月1日");
	says(&s, "2028年3月31日");
	says(&s, "1 April 2027");
	says(&s, "31 March 2028");
	says(&s, "both days included");
	says(&s, "鮭の頭から");
	says(&s, "36 months from the end");
	says(&s, "14日以内");
	arena_free(s.a);
}

static void fields_change_the_words(void **state)
{
	struct sample s;

	(void)state;
	fill(&s);
	s.parties[1].may_disclose = false;
	says(&s, "receives only");
	says(&s, "受領のみ");
	s.terms.notice_days = 30;
	says(&s, "with 30 days of notice");
	s.terms.exit_rule = RK__EXIT_RULE__EXIT_NONE;
	says(&s, "No party may end it before its last day");
	s.terms.marking_required = true;
	says(&s, "必ず秘密表示を付けます");
	s.survival.basis = RK__SURVIVAL_BASIS__PERPETUAL;
	says(&s, "without end");
	s.cover.survival = NULL;
	says(&s, "期限はありません");
	arena_free(s.a);
}

static void same_fields_give_the_same_bytes(void **state)
{
	struct sample a, b;
	char *x, *y;

	(void)state;
	fill(&a);
	fill(&b);
	x = write_form(&a);
	y = write_form(&b);
	assert_string_equal(x, y);
	free(y);
	b.terms.last_day = 20280330;
	y = write_form(&b);
	assert_string_not_equal(x, y);
	free(x);
	free(y);
	arena_free(a.a);
	arena_free(b.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_languages_are_there_and_marked),
		cmocka_unit_test(parties_and_dates_stand_in_words),
		cmocka_unit_test(fields_change_the_words),
		cmocka_unit_test(same_fields_give_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
