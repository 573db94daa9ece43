/* words: the names that scripts know (they stand in JSON and in options), and the words that people read in their place. */
#include <string.h>
#include <strings.h>

#include "client/cli/cli.h"

static const char *const channels[] = {"none", "offer", "need", "capability", "event", "call", "notice"};
static const char *const kinds[] = {"none", "sme", "company", "university", "institute", "tlo", "coordinator", "trading", "bank",
				    "fund", "incubator", "government"};
static const char *const statuses[] = {"none", "active", "suspended", "expelled"};

static const struct { const char *name; enum text_id word; } words[] = {
	{"offer", TEXT_W_OFFER}, {"need", TEXT_W_NEED}, {"capability", TEXT_W_CAPABILITY}, {"event", TEXT_W_EVENT},
	{"call", TEXT_W_CALL}, {"notice", TEXT_W_NOTICE},
	{"sme", TEXT_W_SME}, {"company", TEXT_W_COMPANY}, {"university", TEXT_W_UNIVERSITY}, {"institute", TEXT_W_INSTITUTE},
	{"tlo", TEXT_W_TLO}, {"coordinator", TEXT_W_COORDINATOR}, {"trading", TEXT_W_TRADING}, {"bank", TEXT_W_BANK},
	{"fund", TEXT_W_FUND}, {"incubator", TEXT_W_INCUBATOR}, {"government", TEXT_W_GOVERNMENT},
	{"active", TEXT_W_ACTIVE}, {"suspended", TEXT_W_SUSPENDED}, {"expelled", TEXT_W_EXPELLED}, {"pending", TEXT_W_PENDING},
	{"invited", TEXT_W_INVITED}, {"joined", TEXT_W_JOINED}, {"approved", TEXT_W_APPROVED}, {"rejected", TEXT_W_REJECTED},
	{"empty", TEXT_W_EMPTY},
	{"retired", TEXT_W_RETIRED}, {"waiting", TEXT_W_WAITING}, {"removed", TEXT_W_REMOVED}, {"listed", TEXT_W_LISTED},
	{"live", TEXT_W_LIVE}, {"withdrawn", TEXT_W_WITHDRAWN}, {"expired", TEXT_W_EXPIRED}, {"sealed", TEXT_W_SEALED},
	{"revise", TEXT_W_REVISE}, {"renew", TEXT_W_RENEW}, {"withdraw", TEXT_W_WITHDRAWN},
	{"queued", TEXT_W_QUEUED}, {"logged", TEXT_W_LOGGED}, {"refused", TEXT_W_REFUSED},
	{"licence", TEXT_W_LICENCE}, {"joint-rd", TEXT_W_JOINT_RD}, {"manufacture", TEXT_W_MANUFACTURE}, {"test", TEXT_W_TEST},
	{"sales", TEXT_W_SALES}, {"assistance", TEXT_W_ASSISTANCE}, {"investment", TEXT_W_INVESTMENT}, {"venture", TEXT_W_VENTURE},
	{"not-a-fit", TEXT_W_NOT_A_FIT}, {"no-capacity", TEXT_W_NO_CAPACITY}, {"already-partnered", TEXT_W_ALREADY_PARTNERED},
	{"too-early", TEXT_W_TOO_EARLY}, {"terms", TEXT_W_TERMS}, {"competitor", TEXT_W_COMPETITOR}, {"budget", TEXT_W_BUDGET},
	{"region", TEXT_W_REGION}, {"closed", TEXT_W_CLOSED}, {"other", TEXT_W_OTHER},
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *word_of(const char *name, enum lang lang)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(words[i].name, name) == 0)
			return text(words[i].word, lang);
	return name;
}

const char *cli_word(const struct cli *c, const char *name)
{
	return word_of(name, c->lang);
}

/* By its name or by its Japanese word, whatever the language of the run: people type what they read. */
static unsigned find_name(const char *const *names, size_t count, const char *value)
{
	for (unsigned i = 1; value && i < count; i++)
		if (strcasecmp(names[i], value) == 0 || strcmp(word_of(names[i], LANG_JA), value) == 0)
			return i;
	return 0;
}

Rk__Channel cli_channel(const char *value)
{
	return (Rk__Channel)find_name(channels, COUNT(channels), value);
}

const char *cli_channel_name(Rk__Channel channel)
{
	return (size_t)channel < COUNT(channels) ? channels[channel] : channels[0];
}

Rk__OrgKind cli_org_kind(const char *value)
{
	return (Rk__OrgKind)find_name(kinds, COUNT(kinds), value);
}

const char *cli_org_kind_name(Rk__OrgKind kind)
{
	return (size_t)kind < COUNT(kinds) ? kinds[kind] : kinds[0];
}

const char *cli_org_status_name(Rk__OrgStatus status)
{
	return (size_t)status < COUNT(statuses) ? statuses[status] : statuses[0];
}
