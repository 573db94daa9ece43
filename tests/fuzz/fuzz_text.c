/*
 * What people type or paste: cards, invite, a device's request, vkey, fingerprints, hex.  First byte: bit 0 asks for the check sum to be put right, since
 * no fuzzer would guess it; then the rest is the raw layout.  One text for one thing: what is taken comes out again in the same letters.
 */
#include <stdlib.h>

#include "proto/device_text.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/note.h"
#include "tests/fuzz/fuzz_kit.h"

static void take_text(const char *text)
{
	char again[INVITE_TEXT_CHARS], name[NOTE_NAME_CHARS], vkey[NOTE_VKEY_CHARS], fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	uint8_t type, pk[32] = {0}, raw[IDS_TEXT_BYTES_MAX];
	struct device_request request;
	struct broker_card card;
	struct org_card org;
	struct invite invite;
	size_t len;

	if (invite_card_parse(&card, text) == RK_OK) {
		fuzz_accepted++;
		MUST(invite_card_text(again, &card) == RK_OK && strcmp(again, text) == 0);
	}
	if (invite_parse(&invite, text) == RK_OK) {
		fuzz_accepted++;
		MUST(invite_text(again, &invite) == RK_OK && strcmp(again, text) == 0);
	}
	if (org_card_parse(&org, text) == RK_OK) {
		fuzz_accepted++;
		MUST(org_card_text(again, &org) == RK_OK && strcmp(again, text) == 0);
	}
	if (device_request_parse(&request, text) == RK_OK) {
		fuzz_accepted++;
		MUST(device_request_text(again, &request) == RK_OK && strcmp(again, text) == 0);
	}
	if (note_vkey_parse(text, name, &type, pk) == RK_OK) {
		fuzz_accepted++;
		MUST(note_vkey(vkey, name, type, pk) == RK_OK && strcmp(vkey, text) == 0);
	}
	if (ids_from_text(raw, 64, &len, "rk-", text) == RK_OK) {
		MUST(len <= 64 && ids_text(again, sizeof(again), "rk-", bytes_make(raw, len)) == RK_OK && strcmp(again, text) == 0);
	}
	if (ids_from_hex(raw, 16, text))
		MUST(strlen(text) == 32);
	ids_org_fingerprint(fingerprint, pk);
	(void)ids_fingerprint_matches(text, fingerprint);
}

static const char *const prefixes[] = {"rk-broker:", "rk-inv:", "rk-org:", "rk-dev:"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	uint8_t how = fuzz_take_u8(&in), raw[IDS_TEXT_BYTES_MAX], sum[32];
	char made[2 * IDS_TEXT_BYTES_MAX], *text;

	if (how & 1 && in.len <= sizeof(raw) - 4) {
		if (in.len > 0)
			memcpy(raw, in.data, in.len);
		ids_sha256(sum, in);
		memcpy(raw + in.len, sum, 4);
		MUST(ids_text(made, sizeof(made), prefixes[how >> 1 & 3], bytes_make(raw, in.len + 4)) == RK_OK);
		take_text(made);
	} else {
		text = fuzz_text(in);
		take_text(text);
		free(text);
	}
	return 0;
}
