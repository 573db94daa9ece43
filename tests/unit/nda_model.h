/*
 * nda_model: a second, naive writing of CRYPTO 2.9 for comparison.  It asks every question anew over the whole list of
 * acts, keeps no summary, and shares no code or type with proto/nda.c but the numbers of errcode.h.
 */
#ifndef RENKEI_TESTS_NDA_MODEL_H
#define RENKEI_TESTS_NDA_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_PARTIES_MAX 4
#define MODEL_ACTS_MAX 12

enum model_kind { M_ACCEPT = 1, M_REJECT, M_WITHDRAW, M_TERMINATE, M_HOLD, M_RESUME };

struct model_terms {
	int parties;
	bool discloses[MODEL_PARTIES_MAX], receives[MODEL_PARTIES_MAX];
	int64_t not_before, not_after, accept_by;
	int64_t notice_ms, window_ms;
	bool can_exit;
};

/* In log order: the index in the array is the log index. */
struct model_act {
	int party;
	enum model_kind kind;
	int64_t t;
	int payload; /* equal numbers: equal bytes */
};

struct model_log {
	struct model_terms terms;
	struct model_act acts[MODEL_ACTS_MAX];
	int n;
};

/* Parties as bits; a sender of -1 and recipients with a bit beyond the parties are strangers. */
struct model_question {
	int sender;
	unsigned recipients;
	bool reply_only;
	unsigned active;
	int64_t t;
};

const char *model_state(const struct model_log *, unsigned active, int64_t t);
bool model_in_force(const struct model_log *, unsigned active, int64_t t);
int model_gate(const struct model_log *, const struct model_question *);
int model_gate_notice(const struct model_log *, const struct model_question *);
int model_check_act(const struct model_log *, const struct model_act *);

#endif
