/*
 * notice_show: notices and duties as people read them and as JSON: for the question before a notice goes, for the one that came, and for
 * the dates of an agreement wherever they stand.
 */
#ifndef RENKEI_CLI_NOTICE_SHOW_H
#define RENKEI_CLI_NOTICE_SHOW_H

#include "client/cli/shared.h"
#include "client/duty.h"
#include "client/notice.h"

/** What a kind of notice is called; a sentence for one that is still sealed (0). */
enum text_id notice_show_kind(uint32_t type);
/** The option that fills a field of this kind: "occurred-at"; for refusals. */
const char *notice_show_option(const struct notice_type *, unsigned field);
/** What it says, as lines; and as members of a JSON object, null where the kind has no such field. */
void notice_show(struct shared *, uint32_t type, const Rk__NdaNotice *, const char *text);
void notice_show_json(json_t *, uint32_t type, const Rk__NdaNotice *, const char *text);

/** The list of an agreement, in the arena; RK_ENOMEM. */
int notice_show_duties(struct shared *, const struct agreement *, const struct duty_facts *, struct duty **list, size_t *count);
/** "next step by 2027-03-31": the date alone; and the whole: of whom, about what, done or overdue.  In the arena. */
const char *notice_show_date(struct shared *, const struct duty *);
const char *notice_show_duty(struct shared *, const struct agreement *, const struct duty *);
/** Members duty, due, due_at, whose, org, done, overdue, late, about. */
void notice_show_duty_json(struct shared *, json_t *, const struct agreement *, const struct duty *);

#endif
