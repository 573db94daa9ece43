/*
 * text: the one table of user-facing sentences, English and Japanese.  Rows stand in text_*.inc as T(ID, english, japanese); both have
 * the same printf arguments (a test compares them); Japanese may use %1$s to change their order.
 */
#ifndef RENKEI_CLI_TEXT_H
#define RENKEI_CLI_TEXT_H

#include "proto/errcode.h"

enum text_id {
	TEXT_NONE,
#define T(id, en, ja) TEXT_##id,
#include "client/cli/text_common.inc"
#include "client/cli/text_stage_a.inc"
#include "client/cli/text_stage_b.inc"
#include "client/cli/text_log.inc"
#include "client/cli/text_notice.inc"
#include "client/cli/text_dossier.inc"
#include "client/cli/text_attach.inc"
#include "client/cli/text_receipt.inc"
#include "client/cli/text_device.inc"
#include "client/cli/text_backup.inc"
#include "client/cli/text_agent.inc"
#include "client/cli/text_key.inc"
#undef T
	TEXT_COUNT
};

/** The sentence; "" for TEXT_NONE.  Never NULL. */
const char *text(enum text_id, enum lang);

/** `ja` if a locale variable in order LC_ALL, LC_MESSAGES, LANG says so; else English. */
enum lang text_lang_of_locale(void);

#endif
