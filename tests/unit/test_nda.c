/* nda: which act is legal when, as a table; terms, act forms and documents; names and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/strict.h"
#include "tests/unit/fixed_kit.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define DAY NDA_DAY_MS
#define ACCEPT_BY (5 * DAY)
#define NOT_BEFORE (10 * DAY)
#define NOT_AFTER (20 * DAY)

static struct fixed f;
static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	fixed_init(&f);
	arena = arena_new(1 << 20);
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* A row of two parties, 0 and 1, mutual. */
static void make_row(struct nda_row *row, Rk__ExitRule exit_rule)
{
	Rk__NdaTerms *t = fixed_terms(&f, arena);
	uint8_t nda_id[32] = {7};

	t->not_before = NOT_BEFORE;
	t->not_after = NOT_AFTER;
	t->accept_by = ACCEPT_BY;
	t->exit_rule = exit_rule;
	t->notice_days = 2;
	t->notice_window_days = 3;
	nda_row_init(row, nda_id, t);
}

static struct nda_act act_of(char word, int64_t t_ms, uint8_t payload)
{
	static const char words[] = "?ARWTHS"; /* accept, reject, withdraw, terminate, hold, resume */
	struct nda_act a = {.time_ms = t_ms, .payload_sha256 = {payload}, .oh = {payload}};
	char upper = word >= 'a' ? (char)(word - 'a' + 'A') : word;

	/* A capital is the first party's, a small letter the second's. */
	a.party = word >= 'a';
	a.kind = (uint8_t)(strchr(words, upper) - words);
	return a;
}

/* Acts of the history at day 1 until both have accepted, later ones on the first day. */
static size_t make_history(struct nda_act *acts, const char *history)
{
	size_t n = strlen(history);

	for (size_t i = 0; i < n; i++)
		acts[i] = act_of(history[i], i < 2 ? DAY : NOT_BEFORE, (uint8_t)(i + 1));
	return n;
}

static void each_act_is_legal_where_it_belongs(void **state)
{
	static const struct {
		const char *history; /* one letter an act */
		char act;
		int64_t t_ms;
		Rk__ExitRule exit_rule;
		int expected;
	} rows[] = {
		/* proposal */
		{"A", 'a', DAY, RK__EXIT_RULE__END_ALL, RK_OK},
		{"A", 'a', ACCEPT_BY - 1, RK__EXIT_RULE__END_ALL, RK_OK},
		{"A", 'a', ACCEPT_BY, RK__EXIT_RULE__END_ALL, RK_NDA_LAPSED},
		{"A", 'A', DAY, RK__EXIT_RULE__END_ALL, RK_DUPLICATE},
		{"A", 'r', DAY, RK__EXIT_RULE__END_ALL, RK_OK},
		{"A", 'r', ACCEPT_BY, RK__EXIT_RULE__END_ALL, RK_NDA_LAPSED},
		{"A", 'W', DAY, RK__EXIT_RULE__END_ALL, RK_OK},
		{"A", 'W', ACCEPT_BY, RK__EXIT_RULE__END_ALL, RK_NDA_LAPSED},
		{"A", 'T', DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"A", 'H', DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"A", 'S', DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"A", 'T', DAY, RK__EXIT_RULE__EXIT_NONE, RK_NOT_PERMITTED},
		/* over before it began */
		{"Ar", 'a', DAY, RK__EXIT_RULE__END_ALL, RK_NDA_DECLINED},
		{"Ar", 'r', DAY, RK__EXIT_RULE__END_ALL, RK_DUPLICATE},
		{"Ar", 'R', DAY, RK__EXIT_RULE__END_ALL, RK_NDA_DECLINED},
		{"Ar", 'W', DAY, RK__EXIT_RULE__END_ALL, RK_NDA_DECLINED},
		{"Ar", 'H', DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"AW", 'a', DAY, RK__EXIT_RULE__END_ALL, RK_NDA_WITHDRAWN},
		{"AW", 'r', DAY, RK__EXIT_RULE__END_ALL, RK_NDA_WITHDRAWN},
		{"AW", 'T', DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		/* complete */
		{"Aa", 'A', DAY, RK__EXIT_RULE__END_ALL, RK_DUPLICATE},
		{"Aa", 'R', DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"Aa", 'w', DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"Aa", 'T', DAY, RK__EXIT_RULE__END_ALL, RK_OK},
		{"Aa", 'T', NOT_AFTER - 1, RK__EXIT_RULE__END_ALL, RK_OK},
		{"Aa", 'T', NOT_AFTER, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"Aa", 'T', NOT_BEFORE, RK__EXIT_RULE__EXIT_NONE, RK_NOT_PERMITTED},
		{"Aa", 'h', DAY, RK__EXIT_RULE__END_ALL, RK_OK},
		{"Aa", 'h', NOT_BEFORE, RK__EXIT_RULE__EXIT_NONE, RK_OK},
		{"Aa", 'h', NOT_AFTER - 1, RK__EXIT_RULE__END_ALL, RK_OK},
		{"Aa", 'h', NOT_AFTER, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"Aa", 's', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		/* terminating, terminated */
		{"AaT", 'T', NOT_BEFORE + 1, RK__EXIT_RULE__END_ALL, RK_DUPLICATE},
		{"AaT", 't', NOT_BEFORE + 2 * DAY - 1, RK__EXIT_RULE__END_ALL, RK_OK},
		{"AaT", 't', NOT_BEFORE + 2 * DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"AaT", 'h', NOT_BEFORE + 2 * DAY - 1, RK__EXIT_RULE__END_ALL, RK_OK},
		{"AaT", 'h', NOT_BEFORE + 2 * DAY, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		/* held */
		{"AaH", 'H', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"AaH", 'h', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_OK},
		{"AaH", 's', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"AaH", 'S', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_OK},
		{"AaH", 'S', NOT_AFTER, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"AaH", 't', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_OK},
		{"AaHS", 'H', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_OK},
		{"AaHS", 'S', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_CONFLICT},
		{"AaHSH", 'S', NOT_BEFORE, RK__EXIT_RULE__END_ALL, RK_OK},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nda_act acts[8], next = act_of(rows[i].act, rows[i].t_ms, 99);
		size_t n = make_history(acts, rows[i].history);
		struct nda_row row;
		int r;

		make_row(&row, rows[i].exit_rule);
		nda_fold(&row, acts, n);
		r = nda_check_act(&row, acts, n, &next);
		if (r != rows[i].expected)
			fail_msg("%s then %c: %s, expected %s", rows[i].history, rows[i].act, errcode_name(r),
			         errcode_name(rows[i].expected));
	}
}

static void payload_passes_once_for_ever(void **state)
{
	struct nda_act acts[5], log[6], again;
	struct nda_row row;
	size_t n;
	(void)state;

	make_row(&row, RK__EXIT_RULE__END_ALL);
	n = make_history(acts, "AaHSH");
	/* The RESUME of before, byte for byte: neither broker nor a client takes it. */
	again = act_of('S', NOT_BEFORE, 4);
	assert_int_equal(nda_check_act(&row, acts, n, &again), RK_DUPLICATE);
	/* And were it in the log, it would lift nothing. */
	memcpy(log, acts, sizeof(acts));
	log[5] = again;
	nda_fold(&row, log, 6);
	assert_int_equal(nda_state_at(&row, 3, NOT_BEFORE), NDA_HELD);
}

static void acts_are_bounded(void **state)
{
	static struct nda_act acts[NDA_ACTS_MAX];
	struct nda_act next = act_of('H', NOT_BEFORE, 0);
	struct nda_row row;
	(void)state;

	make_row(&row, RK__EXIT_RULE__END_ALL);
	for (size_t i = 0; i < NDA_ACTS_MAX; i++) {
		acts[i] = act_of(i == 0 ? 'A' : i == 1 ? 'a' : i % 2 == 0 ? 'H' : 'S', DAY, 0);
		put_u32be(acts[i].payload_sha256, (uint32_t)(i + 1));
	}
	assert_int_equal(nda_check_act(&row, acts, NDA_ACTS_MAX - 2, &next), RK_OK);
	next.kind = RK__ACT_KIND__TERMINATE;
	assert_int_equal(nda_check_act(&row, acts, NDA_ACTS_MAX, &next), RK_QUOTA);
	next.party = 2;
	assert_int_equal(nda_check_act(&row, acts, 2, &next), RK_NO_NDA);
	next.party = 0;
	next.kind = 0;
	assert_int_equal(nda_check_act(&row, acts, 2, &next), RK_MALFORMED);
}

static void set_does_not_depend_on_order_but_on_every_act(void **state)
{
	uint8_t nda_id[32] = {7}, a[32], b[32], text[32 + 64];
	struct nda_act acts[2] = {act_of('A', 1, 2), act_of('a', 2, 1)}, swapped[2] = {acts[1], acts[0]};
	(void)state;

	nda_set_of(a, nda_id, acts, 2);
	nda_set_of(b, nda_id, swapped, 2);
	assert_memory_equal(a, b, 32);
	/* By hand: nda_id, then the hashes sorted. */
	memcpy(text, nda_id, 32);
	memcpy(text + 32, acts[1].oh, 32);
	memcpy(text + 64, acts[0].oh, 32);
	ids_hash(b, "renkei/v1/nda-set", BYTES_OF(text));
	assert_memory_equal(a, b, 32);
	nda_set_of(b, nda_id, acts, 1);
	assert_memory_not_equal(a, b, 32);
	nda_set_of(b, nda_id, NULL, 0);
	ids_hash(a, "renkei/v1/nda-set", BYTES_OF(nda_id));
	assert_memory_equal(a, b, 32);
}

static void row_holds_what_the_terms_say(void **state)
{
	Rk__NdaTerms *t = fixed_terms(&f, arena);
	uint8_t nda_id[32] = {7}, set[32];
	struct nda_row row;
	(void)state;

	t->parties[1]->may_receive = 0;
	nda_row_init(&row, nda_id, t);
	assert_int_equal(row.party_count, 2);
	assert_int_equal(row.not_before, t->not_before);
	assert_int_equal(row.not_after, t->not_after);
	assert_int_equal(row.notice_days, 30);
	assert_int_equal(row.marking_required, 1);
	assert_int_equal(row.parties[1].may_receive, 0);
	assert_int_equal(row.parties[1].may_disclose, 1);
	nda_set_of(set, nda_id, NULL, 0);
	assert_memory_equal(row.nda_set, set, 32);
	assert_int_equal(nda_party_index(&row, f.orgs[2].org_id), 1);
	assert_int_equal(nda_party_index(&row, f.orgs[0].org_id), -1);
	assert_int_equal(nda_end_ms(&row), t->not_after);
}

static void terms_are_checked(void **state)
{
	enum bend {
		NOTHING, OTHER_EXCHANGE, SUPERSEDES, JOIN, EXIT, UNSORTED, SAME_ORG, SAME_KEY, DESK, ALONE, NO_RECEIVER,
		SELF_RECEIVER, DAYS_SWAPPED, NO_SUCH_DAY, LEAP_DAY, NO_LEAP_DAY, EMPTY_WINDOW, ONE_DAY, ONE_WAY, BENDS
	};
	static const int expected[BENDS] = {
		[OTHER_EXCHANGE] = RK_WRONG_EXCHANGE, [SUPERSEDES] = RK_UNSUPPORTED, [JOIN] = RK_UNSUPPORTED,
		[EXIT] = RK_UNSUPPORTED, [UNSORTED] = RK_MALFORMED, [SAME_ORG] = RK_MALFORMED, [SAME_KEY] = RK_MALFORMED,
		[DESK] = RK_UNSUPPORTED, [ALONE] = RK_MALFORMED, [NO_RECEIVER] = RK_MALFORMED, [SELF_RECEIVER] = RK_MALFORMED,
		[DAYS_SWAPPED] = RK_MALFORMED, [NO_SUCH_DAY] = RK_MALFORMED, [NO_LEAP_DAY] = RK_MALFORMED,
		[EMPTY_WINDOW] = RK_MALFORMED,
	};
	(void)state;

	for (int bend = NOTHING; bend < BENDS; bend++) {
		Rk__NdaTerms *t = fixed_terms(&f, arena);
		Rk__Party *first = t->parties[0];

		switch (bend) {
		case OTHER_EXCHANGE: t->exchange_id.data[0] ^= 1; break;
		case SUPERSEDES: t->supersedes = fixed_data(arena, 32, "old"); break;
		case JOIN: t->join_rule = 1; break;
		case EXIT: t->exit_rule = (Rk__ExitRule)2; break;
		case UNSORTED: t->parties[0] = t->parties[1]; t->parties[1] = first; break;
		case SAME_ORG: t->parties[1]->org_id = first->org_id; break;
		case SAME_KEY: t->parties[1]->org_key_fp = first->org_key_fp; break;
		case DESK: first->desk_id = 1; break;
		case ALONE: t->n_parties = 1; break;
		case NO_RECEIVER: first->may_receive = t->parties[1]->may_receive = 0; break;
		/* The only one who discloses is the only one who receives. */
		case SELF_RECEIVER: t->parties[1]->may_receive = t->parties[1]->may_disclose = 0; break;
		case DAYS_SWAPPED: t->first_day = 20261101; break;
		case NO_SUCH_DAY: t->first_day = 20251131; break;
		case LEAP_DAY: t->last_day = 20280229; break;
		case NO_LEAP_DAY: t->last_day = 21000229; break;
		case EMPTY_WINDOW: t->not_after = t->not_before; break;
		case ONE_DAY: t->last_day = t->first_day; break;
		case ONE_WAY: first->may_receive = 0; t->parties[1]->may_disclose = 0; break;
		default: break;
		}
		if (nda_check_terms(t, f.exchange_id) != expected[bend])
			fail_msg("bend %d: %s", bend, errcode_name(nda_check_terms(t, f.exchange_id)));
	}
}

static void act_forms_are_checked(void **state)
{
	(void)state;
	for (Rk__ActKind kind = RK__ACT_KIND__ACCEPT; kind <= RK__ACT_KIND__RESUME; kind++) {
		Rk__NdaAct *act = fixed_act(&f, 1, kind, arena);
		bool is_hold = kind == RK__ACT_KIND__HOLD, is_accept = kind == RK__ACT_KIND__ACCEPT;

		assert_int_equal(nda_check_act_form(act), RK_OK);
		act->device_id = is_hold ? (ProtobufCBinaryData){0} : fixed_data(arena, 16, "device");
		assert_int_equal(nda_check_act_form(act), RK_MALFORMED);
		act = fixed_act(&f, 1, kind, arena);
		act->sigpage_commit = is_accept ? (ProtobufCBinaryData){0} : fixed_data(arena, 32, "page");
		assert_int_equal(nda_check_act_form(act), RK_MALFORMED);
		act = fixed_act(&f, 1, kind, arena);
		act->kind = RK__ACT_KIND__ACT_NONE;
		assert_int_equal(nda_check_act_form(act), RK_MALFORMED);
	}
}

static void document_must_be_the_one_committed_to(void **state)
{
	struct bytes cover_bytes = bytes_str("cover as packed"), document = bytes_str("the contract");
	Rk__NdaTerms *t = fixed_terms(&f, arena);
	Rk__NdaCover cover = RK__NDA_COVER__INIT;
	Rk__CoverParty a = RK__COVER_PARTY__INIT, b = RK__COVER_PARTY__INIT, *parties[3] = {&b, &a, &b};
	uint8_t salt[32] = {3}, commit[32], other[32];
	(void)state;

	nda_doc_commit(commit, salt, cover_bytes, document);
	t->doc_commit = pb_of(BYTES_OF(commit));
	t->cover_len = (uint32_t)cover_bytes.len;
	t->doc_len = (uint32_t)document.len;
	a.org_id = t->parties[0]->org_id;
	b.org_id = t->parties[1]->org_id;
	cover.n_parties = 2;
	cover.parties = parties;
	assert_int_equal(nda_check_document(t, &cover, cover_bytes, document, salt), RK_OK);
	assert_int_equal(nda_check_document(t, &cover, cover_bytes, bytes_str("the Contract"), salt), RK_EINTEGRITY);
	assert_int_equal(nda_check_document(t, &cover, bytes_str("Cover as packed"), document, salt), RK_EINTEGRITY);
	salt[0] ^= 1;
	assert_int_equal(nda_check_document(t, &cover, cover_bytes, document, salt), RK_EINTEGRITY);
	salt[0] ^= 1;
	t->doc_len++;
	assert_int_equal(nda_check_document(t, &cover, cover_bytes, document, salt), RK_EINTEGRITY);
	t->doc_len--;
	/* Another party, one twice, one too many. */
	cover.n_parties = 3;
	assert_int_equal(nda_check_document(t, &cover, cover_bytes, document, salt), RK_EINTEGRITY);
	cover.n_parties = 2;
	parties[0] = &a;
	assert_int_equal(nda_check_document(t, &cover, cover_bytes, document, salt), RK_EINTEGRITY);
	/* Cover and document cannot change places, nor can a page pass as either. */
	nda_doc_commit(other, salt, document, cover_bytes);
	assert_memory_not_equal(commit, other, 32);
	nda_page_commit(other, salt, cover_bytes);
	assert_memory_not_equal(commit, other, 32);
}

static void times_at_the_end_of_the_scale_do_not_overflow(void **state)
{
	struct nda_act acts[3];
	struct nda_question q;
	const uint8_t *to[1] = {f.orgs[2].org_id};
	struct nda_row row;
	(void)state;

	make_row(&row, RK__EXIT_RULE__END_ALL);
	row.not_after = INT64_MAX;
	row.notice_window_days = 4015;
	make_history(acts, "AaT");
	acts[2].time_ms = INT64_MAX - 1;
	nda_fold(&row, acts, 3);
	assert_int_equal(nda_end_ms(&row), INT64_MAX);
	q = (struct nda_question){f.orgs[1].org_id, to, 1, false, INT64_MAX - 1, 3};
	assert_int_equal(nda_gate(&row, &q), RK_OK);
	assert_int_equal(nda_gate_notice(&row, &q), RK_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_act_is_legal_where_it_belongs),
		cmocka_unit_test(payload_passes_once_for_ever),
		cmocka_unit_test(acts_are_bounded),
		cmocka_unit_test(set_does_not_depend_on_order_but_on_every_act),
		cmocka_unit_test(row_holds_what_the_terms_say),
		cmocka_unit_test(terms_are_checked),
		cmocka_unit_test(act_forms_are_checked),
		cmocka_unit_test(document_must_be_the_one_committed_to),
		cmocka_unit_test(times_at_the_end_of_the_scale_do_not_overflow),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
