#include "client/forms.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What the two texts share while they are written. */
struct form {
	FILE *f;
	const Rk__NdaTerms *t;
	const Rk__NdaCover *c;
	unsigned section;
};

static const Rk__Party *party_of(const struct form *w, const Rk__CoverParty *cp)
{
	for (size_t i = 0; i < w->t->n_parties; i++)
		if (bytes_equal((struct bytes){w->t->parties[i]->org_id.data, w->t->parties[i]->org_id.len},
		                (struct bytes){cp->org_id.data, cp->org_id.len}))
			return w->t->parties[i];
	return NULL;
}

static bool is_mutual(const struct form *w)
{
	for (size_t i = 0; i < w->t->n_parties; i++)
		if (!w->t->parties[i]->may_disclose || !w->t->parties[i]->may_receive)
			return false;
	return true;
}

static void head(struct form *w, const char *title)
{
	fprintf(w->f, "\n%u. %s\n", ++w->section, title);
}

/* A line of a field that may be empty. */
static void line(struct form *w, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		fprintf(w->f, "%s%s\n", name, value);
}

static void day_en(struct form *w, uint32_t day)
{
	static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September",
		"October", "November", "December"};

	fprintf(w->f, "%u %s %u", day % 100, months[(day / 100 % 100 + 11) % 12], day / 10000);
}

static void day_ja(struct form *w, uint32_t day)
{
	fprintf(w->f, "%u年%u月%u日", day / 10000, day / 100 % 100, day % 100);
}

/* ---- English */

static void parties_en(struct form *w)
{
	head(w, "Parties");
	for (size_t i = 0; i < w->c->n_parties; i++) {
		const Rk__CoverParty *p = w->c->parties[i];
		const Rk__Party *flags = party_of(w, p);

		fprintf(w->f, "(%zu) %s", i + 1, p->legal_name);
		if (flags != NULL)
			fprintf(w->f, " (%s)\n", flags->may_disclose && flags->may_receive ? "discloses and receives"
			        : flags->may_disclose ? "discloses only" : "receives only");
		else
			fputc('\n', w->f);
		line(w, "    Address for notices: ", p->notice_address);
		line(w, "    Contact: ", p->contact);
		line(w, "    People who may receive: ", p->receivers);
	}
	fprintf(w->f, "%s\n", is_mutual(w) ? "Each party may disclose information to the others under this agreement."
	        : "Only the parties that disclose, as said above, disclose information under this agreement.");
}

static void scope_en(struct form *w)
{
	head(w, "What is confidential");
	switch (w->c->scope_rule) {
	case RK__SCOPE_RULE__MARKED:
		fputs("Information that was marked confidential when it was disclosed.\n", w->f);
		break;
	case RK__SCOPE_RULE__MARKED_OR_CONFIRMED:
		fprintf(w->f, "Information that was marked confidential when it was disclosed; and what was told or shown without a mark, "
		        "if the discloser confirms it as confidential in writing within %u days.\n", w->c->oral_days);
		break;
	case RK__SCOPE_RULE__MARKED_OR_EVIDENT:
		fputs("Information that was marked confidential, and information whose confidential nature is evident.\n", w->f);
		break;
	default:
		fputs("All information that a party discloses to another for the purpose.\n", w->f);
		break;
	}
	if (w->t->marking_required)
		fputs("Nothing is sent under this agreement through the exchange without a confidentiality mark.\n", w->f);
	if (w->c->existence_secret)
		fputs("That this agreement exists, and that the parties talk to each other, is confidential too.\n", w->f);
	line(w, "The parties may say in public: ", w->c->disclosable_fact);
	fputs("Not confidential is what was public, what the receiver knew already, what it got lawfully from someone else without a "
	      "duty of confidence, and what it developed by itself without use of the information. Whoever relies on this shows it.\n",
	      w->f);
}

static void duties_en(struct form *w)
{
	unsigned classes = w->c->receiver_classes;

	head(w, "What a receiver does and does not do");
	fputs("A receiver uses the information for the purpose only, keeps it as carefully as its own secrets and never less than "
	      "with reasonable care, and shows it to nobody but those of the following who need it for the purpose and are bound to "
	      "confidence:\n", w->f);
	fprintf(w->f, "    its own officers and staff%s%s%s.\n", classes & 2 ? "; its professional advisers" : "",
	        classes & 4 ? "; its affiliates" : "", classes & 8 ? "; its contractors" : "");
	fputs(w->c->copies == RK__COPIES__COPIES_CONSENT ? "Copies need the discloser's consent in writing.\n"
	      : "Copies are made only as far as the purpose needs them, and are treated like the original.\n", w->f);
	if (w->c->no_reverse_engineering)
		fputs("Samples and programs are not analysed, taken apart or decompiled beyond what the purpose needs and the discloser "
		      "has agreed to.\n", w->f);
	if (w->c->residuals == RK__RESIDUALS__RESIDUALS_ALLOWED)
		fputs("What people remember without aid may be used by the receiver.\n", w->f);
	else if (w->c->residuals == RK__RESIDUALS__EXCEPT_TRADE_SECRET)
		fputs("What people remember without aid may be used by the receiver, but for trade secrets.\n", w->f);
	fputs("Where a law or an authority demands disclosure, the receiver tells the discloser first as far as it may, and discloses "
	      "no more than is demanded.\n", w->f);
	fputs("No right in the information, and no licence, passes to a receiver.\n", w->f);
	line(w, "Rights in results: ", w->c->ip_rule);
	line(w, "Inspection: ", w->c->inspection);
}

static void time_en(struct form *w)
{
	const Rk__Survival *s = w->c->survival;

	head(w, "From when until when");
	fputs("Disclosure under this agreement is possible from ", w->f);
	day_en(w, w->t->first_day);
	fputs(" to ", w->f);
	day_en(w, w->t->last_day);
	fprintf(w->f, ", both days included, by the calendar of the time zone %s.\n", w->t->zone);
	if (w->t->exit_rule == RK__EXIT_RULE__END_ALL && w->t->notice_days == 0)
		fputs("Each party may end it for all parties at any time, with effect at once.\n", w->f);
	else if (w->t->exit_rule == RK__EXIT_RULE__END_ALL)
		fprintf(w->f, "Each party may end it for all parties with %u days of notice.\n", w->t->notice_days);
	else
		fputs("No party may end it before its last day.\n", w->f);
	fputs("Each party may put it on hold at any time; until that party resumes it, nothing is disclosed.\n", w->f);
	if (s == NULL || s->basis == RK__SURVIVAL_BASIS__PERPETUAL)
		fputs("The duties of confidence last without end.\n", w->f);
	else
		fprintf(w->f, "The duties of confidence last %u months from %s.\n", s->months,
		        s->basis == RK__SURVIVAL_BASIS__FROM_START ? "the first day"
		        : s->basis == RK__SURVIVAL_BASIS__FROM_DISCLOSURE ? "each disclosure" : "the end of this agreement");
	if (s != NULL && s->trade_secret_longer)
		fputs("For trade secrets they last as long as these are trade secrets.\n", w->f);
	if (w->c->next_step_by != 0) {
		fputs("By ", w->f);
		day_en(w, w->c->next_step_by);
		fputs(" the parties tell each other whether they go on to a next step.\n", w->f);
	}
	fprintf(w->f, "Notices about duties that outlast it can be sent through the exchange for %u days after the end.\n",
	        w->t->notice_window_days);
}

static void rest_en(struct form *w)
{
	const Rk__Penalty *penalty = w->c->penalty;

	head(w, "When it ends, or when the discloser asks");
	fprintf(w->f, "The receiver %s.\n", w->c->return_rule == RK__RETURN_RULE__RETURN ? "returns the information"
	        : w->c->return_rule == RK__RETURN_RULE__DESTROY ? "destroys the information"
	        : "returns or destroys the information, as it chooses");
	if (w->c->certificate_days != 0)
		fprintf(w->f, "If asked, it confirms destruction in writing within %u days.\n", w->c->certificate_days);
	if (w->c->backups_exempt)
		fputs("Routine backups that cannot be searched at reasonable cost may stay until they are overwritten; the duties of "
		      "confidence go on for them.\n", w->f);
	head(w, "Law and disputes");
	if (w->c->law[0] != '\0')
		fprintf(w->f, "The law of %s applies.\n", strcmp(w->c->law, "JP") == 0 ? "Japan" : w->c->law);
	fputs(w->c->forum == RK__FORUM__ARBITRATION ? "Disputes are settled by arbitration.\n"
	      : w->c->forum == RK__FORUM__MEDIATION_THEN_COURT ? "The parties try mediation before they go to court.\n"
	      : "The parties talk first; else the competent court decides.\n", w->f);
	line(w, "", w->c->forum_text);
	if (penalty != NULL && penalty->amount != 0)
		fprintf(w->f, "Penalty for a breach: %s %" PRIu64 ".\n", penalty->currency, penalty->amount);
	line(w, "Changes to the form: ", w->c->modifications);
	head(w, "Form");
	fputs("The parties sign with the keys of their organisations at the exchange. The dates and parties of the signed terms are "
	      "those of this text; should they differ, the signed terms count.\n", w->f);
}

static void write_en(struct form *w, bool governs)
{
	w->section = 0;
	fprintf(w->f, "CONFIDENTIALITY AGREEMENT%s%s\n", w->c->title[0] != '\0' ? ": " : "", w->c->title);
	fputs("Plain form of Renkei. This is not legal advice; have it checked before you rely on it.\n", w->f);
	fputs(governs ? "The English text governs; the Japanese text below is a translation.\n"
	      : "Translation. The Japanese text above governs.\n", w->f);
	parties_en(w);
	head(w, "Purpose");
	fprintf(w->f, "%s\n", w->c->purpose);
	scope_en(w);
	duties_en(w);
	time_en(w);
	rest_en(w);
}

/* ---- Japanese */

static void parties_ja(struct form *w)
{
	head(w, "当事者");
	for (size_t i = 0; i < w->c->n_parties; i++) {
		const Rk__CoverParty *p = w->c->parties[i];
		const Rk__Party *flags = party_of(w, p);

		fprintf(w->f, "(%zu) %s", i + 1, p->legal_name);
		if (flags != NULL)
			fprintf(w->f, "（%s）\n", flags->may_disclose && flags->may_receive ? "開示および受領"
			        : flags->may_disclose ? "開示のみ" : "受領のみ");
		else
			fputc('\n', w->f);
		line(w, "    通知先：", p->notice_address);
		line(w, "    連絡先：", p->contact);
		line(w, "    受領者の範囲：", p->receivers);
	}
	fprintf(w->f, "%s\n", is_mutual(w) ? "各当事者は、この契約に基づき他の当事者に情報を開示できます。"
	        : "この契約に基づいて情報を開示するのは、上に開示すると記した当事者だけです。");
}

static void scope_ja(struct form *w)
{
	head(w, "秘密情報");
	switch (w->c->scope_rule) {
	case RK__SCOPE_RULE__MARKED:
		fputs("開示の際に秘密である旨が表示された情報。\n", w->f);
		break;
	case RK__SCOPE_RULE__MARKED_OR_CONFIRMED:
		fprintf(w->f, "開示の際に秘密である旨が表示された情報、および口頭などで表示なく開示され、開示者が%u日以内に書面で"
		        "秘密である旨を確認した情報。\n", w->c->oral_days);
		break;
	case RK__SCOPE_RULE__MARKED_OR_EVIDENT:
		fputs("秘密である旨が表示された情報、および秘密であることが明らかな情報。\n", w->f);
		break;
	default:
		fputs("この目的のために当事者が他の当事者に開示するすべての情報。\n", w->f);
		break;
	}
	if (w->t->marking_required)
		fputs("取引所を通じた送信には、必ず秘密表示を付けます。\n", w->f);
	if (w->c->existence_secret)
		fputs("この契約の存在と、当事者が協議していることも秘密とします。\n", w->f);
	line(w, "公表してよい事実：", w->c->disclosable_fact);
	fputs("公知の情報、受領者がすでに持っていた情報、秘密保持義務なく第三者から正当に得た情報、開示された情報によらず独自に開発した情報は"
	      "除きます。これを主張する者が証明します。\n", w->f);
}

static void duties_ja(struct form *w)
{
	unsigned classes = w->c->receiver_classes;

	head(w, "受領者の義務");
	fputs("受領者は、情報を目的のためにだけ使い、自らの秘密と同じように、少なくとも相当の注意をもって管理し、次の者のうち目的のために"
	      "知る必要があり秘密保持の義務を負う者以外には見せません。\n", w->f);
	fprintf(w->f, "    自らの役員と従業員%s%s%s\n", classes & 2 ? "、専門の助言者" : "", classes & 4 ? "、関係会社" : "",
	        classes & 8 ? "、業務の委託先" : "");
	fputs(w->c->copies == RK__COPIES__COPIES_CONSENT ? "複製には開示者の書面による承諾が必要です。\n"
	      : "複製は目的に必要な範囲に限り、原本と同じように扱います。\n", w->f);
	if (w->c->no_reverse_engineering)
		fputs("試料やプログラムは、目的に必要で開示者が承諾した範囲を超えて、分析、分解、解析をしません。\n", w->f);
	if (w->c->residuals == RK__RESIDUALS__RESIDUALS_ALLOWED)
		fputs("人の記憶に残った内容は、受領者が利用できます。\n", w->f);
	else if (w->c->residuals == RK__RESIDUALS__EXCEPT_TRADE_SECRET)
		fputs("人の記憶に残った内容は、営業秘密を除き、受領者が利用できます。\n", w->f);
	fputs("法令または公的機関から開示を求められたときは、可能な限り事前に開示者に知らせ、求められた範囲に限って開示します。\n", w->f);
	fputs("情報に関する権利や実施の許諾は、受領者に移りません。\n", w->f);
	line(w, "成果の権利：", w->c->ip_rule);
	line(w, "検査：", w->c->inspection);
}

static void time_ja(struct form *w)
{
	const Rk__Survival *s = w->c->survival;

	head(w, "期間");
	fputs("この契約に基づく開示ができるのは、", w->f);
	day_ja(w, w->t->first_day);
	fputs("から", w->f);
	day_ja(w, w->t->last_day);
	fprintf(w->f, "まで（両日を含む。時間帯は %s）です。\n", w->t->zone);
	if (w->t->exit_rule == RK__EXIT_RULE__END_ALL && w->t->notice_days == 0)
		fputs("各当事者は、いつでも直ちに、全当事者についてこの契約を終わらせることができます。\n", w->f);
	else if (w->t->exit_rule == RK__EXIT_RULE__END_ALL)
		fprintf(w->f, "各当事者は、%u日前の通知により、全当事者についてこの契約を終わらせることができます。\n", w->t->notice_days);
	else
		fputs("最終日より前にこの契約を終わらせることはできません。\n", w->f);
	fputs("各当事者は、いつでもこの契約を一時停止できます。その当事者が再開するまで、開示は行われません。\n", w->f);
	if (s == NULL || s->basis == RK__SURVIVAL_BASIS__PERPETUAL)
		fputs("秘密保持の義務に期限はありません。\n", w->f);
	else
		fprintf(w->f, "秘密保持の義務は、%sから%uか月間続きます。\n",
		        s->basis == RK__SURVIVAL_BASIS__FROM_START ? "初日"
		        : s->basis == RK__SURVIVAL_BASIS__FROM_DISCLOSURE ? "各開示" : "この契約の終了", s->months);
	if (s != NULL && s->trade_secret_longer)
		fputs("営業秘密については、営業秘密である限り続きます。\n", w->f);
	if (w->c->next_step_by != 0) {
		day_ja(w, w->c->next_step_by);
		fputs("までに、次の段階に進むかどうかを互いに知らせます。\n", w->f);
	}
	fprintf(w->f, "終了後も残る義務に関する通知は、終了から%u日間、取引所を通じて送ることができます。\n", w->t->notice_window_days);
}

static void rest_ja(struct form *w)
{
	const Rk__Penalty *penalty = w->c->penalty;

	head(w, "終了時または開示者が求めたとき");
	fprintf(w->f, "受領者は、情報を%sます。\n", w->c->return_rule == RK__RETURN_RULE__RETURN ? "返し"
	        : w->c->return_rule == RK__RETURN_RULE__DESTROY ? "廃棄し" : "自らの選択により返すか廃棄し");
	if (w->c->certificate_days != 0)
		fprintf(w->f, "求められたときは、%u日以内に廃棄を書面で確認します。\n", w->c->certificate_days);
	if (w->c->backups_exempt)
		fputs("合理的な費用で検索できない通常のバックアップは、上書きされるまで残してよいものとし、その間も秘密保持の義務が続きます。\n",
		      w->f);
	head(w, "準拠法と紛争");
	if (w->c->law[0] != '\0')
		fprintf(w->f, "%s法に従います。\n", strcmp(w->c->law, "JP") == 0 ? "日本" : w->c->law);
	fputs(w->c->forum == RK__FORUM__ARBITRATION ? "紛争は仲裁によって解決します。\n"
	      : w->c->forum == RK__FORUM__MEDIATION_THEN_COURT ? "訴えの前に調停を試みます。\n"
	      : "まず話し合い、解決しないときは管轄の裁判所が判断します。\n", w->f);
	line(w, "", w->c->forum_text);
	if (penalty != NULL && penalty->amount != 0)
		fprintf(w->f, "違反したときの違約金：%s %" PRIu64 "\n", penalty->currency, penalty->amount);
	line(w, "ひな形からの変更：", w->c->modifications);
	head(w, "方式");
	fputs("当事者は、取引所における組織の鍵で署名します。署名された条件の日付と当事者はこの文書のものと同じです。異なるときは、署名された条件が"
	      "優先します。\n", w->f);
}

static void write_ja(struct form *w, bool governs)
{
	w->section = 0;
	fprintf(w->f, "秘密保持契約書%s%s\n", w->c->title[0] != '\0' ? "：" : "", w->c->title);
	fputs("Renkei の平易なひな形です。法的助言ではありません。用いる前に専門家に確認してください。\n", w->f);
	fputs(governs ? "日本語を正文とし、下の英語は訳文です。\n" : "訳文です。上の英語を正文とします。\n", w->f);
	parties_ja(w);
	head(w, "目的");
	fprintf(w->f, "%s\n", w->c->purpose);
	scope_ja(w);
	duties_ja(w);
	time_ja(w);
	rest_ja(w);
}

int forms_write(const Rk__NdaTerms *terms, const Rk__NdaCover *cover, struct arena *a, struct bytes *out)
{
	struct form w = {.t = terms, .c = cover};
	bool is_ja = strncmp(cover->language, "ja", 2) == 0;
	char *text = NULL;
	size_t len = 0;
	int r = RK_ENOMEM;

	*out = (struct bytes){NULL, 0};
	if ((w.f = open_memstream(&text, &len)) == NULL)
		return RK_ENOMEM;
	if (is_ja)
		write_ja(&w, true);
	else
		write_en(&w, true);
	fputs("\n----------------------------------------\n\n", w.f);
	if (is_ja)
		write_en(&w, false);
	else
		write_ja(&w, false);
	if (fclose(w.f) == 0) {
		arena_raise(a, len + 64);
		out->data = arena_copy(a, text, len);
		out->len = out->data != NULL ? len : 0;
		r = out->data != NULL ? RK_OK : RK_ENOMEM;
	}
	free(text);
	return r;
}

const char *forms_statement(enum lang lang)
{
	return lang == LANG_JA ? "条件と契約書を読み、組織を代表してこれに同意します。"
	       : "I have read the terms and the document and agree to them on behalf of my organisation.";
}
