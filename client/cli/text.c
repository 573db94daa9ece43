/* text: the table, composed of the parts that each noun's file keeps. */
#include "client/cli/text.h"

#include <stdlib.h>
#include <string.h>

static const char *const sentences[TEXT_COUNT][LANG_COUNT] = {
	[TEXT_NONE] = {"", ""},
#define T(id, en, ja) [TEXT_##id] = {en, ja},
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
};

const char *text(enum text_id id, enum lang lang)
{
	if ((unsigned)id >= TEXT_COUNT)
		id = TEXT_NONE;
	return sentences[id][lang == LANG_JA ? LANG_JA : LANG_EN];
}

enum lang text_lang_of_locale(void)
{
	static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i]);
		if (value && *value)
			return strncmp(value, "ja", 2) == 0 ? LANG_JA : LANG_EN;
	}
	return LANG_EN;
}
