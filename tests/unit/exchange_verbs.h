/*
 * exchange_verbs: what people type, as calls on the homes of exchange_kit: sync with duties, posts, agreements, dossiers and receipts.
 * Each returns what the program would say: RK_OK, the refusal, or the link's failure.
 */
#ifndef RENKEI_TESTS_EXCHANGE_VERBS_H
#define RENKEI_TESTS_EXCHANGE_VERBS_H

#include "client/agreement.h"
#include "proto/receipt.h"
#include "tests/unit/exchange_kit.h"

/** `renkei sync`: the link, then, in a secretariat's home, what is due.  *done may be NULL. */
int verb_sync(struct exchange *, unsigned home, struct secretariat_done *done);

/** Lets the link end after ms, whatever is left. */
int verb_sync_for(struct exchange *, unsigned home, int ms);

/** `post publish`; life_ms 0: the default.  post_id is 0 where it was refused. */
int verb_post(struct exchange *, unsigned home, const char *title, int64_t life_ms, uint8_t post_id[32]);
/** The same without a connection: it stays in the outbox, as *item. */
void verb_post_later(struct exchange *, unsigned home, const char *title, int64_t life_ms, uint64_t *item);
/** What is queued is sealed, numbered and durable, and then the machine stops: what a kill leaves between the commit and the first send. */
void verb_seal_and_stop(struct exchange *, unsigned home, uint64_t item);
/** The outcome of an item; RK_BUSY while there is none. */
int verb_outcome(struct exchange *, unsigned home, uint64_t item, struct outcome *);
/** What the home shows of a post. */
Rkl__PostStatus verb_post_status(struct exchange *, unsigned home, const uint8_t post_id[32], bool *is_readable);

/** `nda propose` by a with `terms`, `nda sign` by b, sync by a.  Parties, purpose and signatory are filled in here. */
/* As the program does after each verb that opened the organisation's key, these sign its list of devices anew when that is due. */
int verb_agree(struct exchange *, unsigned a, unsigned b, const struct agreement_new *terms, uint8_t nda_id[32]);
int verb_propose(struct exchange *, unsigned a, unsigned b, const struct agreement_new *terms, uint8_t nda_id[32]);
int verb_sign(struct exchange *, unsigned home, const uint8_t nda_id[32]);
int verb_act(struct exchange *, unsigned home, const uint8_t nda_id[32], Rk__ActKind);
enum nda_state verb_state(struct exchange *, unsigned home, const uint8_t nda_id[32]);

/** `dossier send`, one file of `size` bytes that follow from its title. */
int verb_send(struct exchange *, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint8_t env_id[32]);
/** The same of a file so large (DOSSIER_MAX_BYTES and more) that it goes as an attachment; until the exchange has all of it. */
int verb_send_attached(struct exchange *, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint8_t env_id[32]);
/** The same without a connection. */
int verb_send_later(struct exchange *, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint64_t *item);
/** `dossier get`: signed for, fetched, opened, and the bytes compared.  The pickup's refusal, if it has one. */
int verb_get(struct exchange *, unsigned home, const uint8_t env_id[32], const char *title, size_t size);
/** What was got before is still opened here. */
int verb_open(struct exchange *, unsigned home, const uint8_t env_id[32], const char *title, size_t size);
/** Only the signed pickup, not asking our own gate first: what the broker says. */
int verb_pickup(struct exchange *, unsigned home, const uint8_t env_id[32]);
/** What our own gate says of it. */
int verb_may_get(struct exchange *, unsigned home, const uint8_t env_id[32]);
/** `notice send consent`. */
int verb_note(struct exchange *, unsigned home, const uint8_t nda_id[32], const char *text);
/** What became of an envelope, as `dossier list` names it; "" if the home knows none. */
const char *verb_fate(struct exchange *, unsigned home, const uint8_t env_id[32]);

/** `receipt export` with content: the level that it proves; 0 where there is none yet. */
int verb_receipt(struct exchange *, unsigned home, const uint8_t env_id[32], int *level);

/** `device renew`: the list of the organisation's devices for another 180 days; and would doctor ask for it? */
int verb_renew_list(struct exchange *, unsigned home);
bool verb_list_is_due(struct exchange *, unsigned home);

/** `member expel` and the like. */
int verb_status(struct exchange *, unsigned org, Rk__OrgStatus);

/** A counter of the home, and its alerts with this detail (NULL: all). */
uint64_t verb_count(struct exchange *, unsigned home, const char *name);
unsigned verb_alerts(struct exchange *, unsigned home, const char *detail);
/** Items of the outbox that are not answered; and those of this kind ("directory", "device kx" …) that were refused. */
unsigned verb_unanswered(struct exchange *, unsigned home);
unsigned verb_refused(struct exchange *, unsigned home, const char *what);

/** First contact about a post. */
int verb_interest(struct exchange *, unsigned home, const uint8_t post_id[32]);

#endif
