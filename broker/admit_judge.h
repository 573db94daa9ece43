/*
 * admit_judge: everything that may be said about a request before it goes anywhere: is it one, is its peer still a member, is this its
 * session, may it be asked just now.  Early word only; apply asks the store itself.  Net's thread only.
 */
#ifndef RENKEI_BROKER_ADMIT_JUDGE_H
#define RENKEI_BROKER_ADMIT_JUDGE_H

#include "broker/path.h"
#include "broker/session.h"

/**
 * Parses the command, whose arena must be there, and judges it.  The session is its peer's; NULL: there is no room for one.  RK_OK, the
 * refusal, or RK_ENOMEM.  HELLO is obeyed at once; who was cut loses the session; peer.bundles is what the session says; a GET_PROOF that gets RK_OK has
 * been counted in path->proofs.
 */
int admit_judge(struct path *, struct session *, struct command *, int64_t now_ms);

#endif
