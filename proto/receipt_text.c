/* The words of receipts: README.txt, which is part of the format, and the names of steps and levels. */
#include <string.h>

#include "proto/receipt.h"

/* Fixed: a receipt with another text is another format.  The page that it names is proto/RECEIPT.md. */
static const char readme[] =
	"Renkei receipt, format 1\n"
	"========================\n"
	"\n"
	"This archive is evidence of one disclosure under a confidentiality agreement (or of one deposit) on a Renkei exchange.\n"
	"It is a plain tar file. Every NAME.tbs is exactly what was signed; NAME.sig is its Ed25519 signature; NAME.entry is the\n"
	"entry that the exchange's log made of it; NAME.tlog-proof proves that entry to be in the log (C2SP tlog-proof@v1).\n"
	"An attachment opens with: age -d -i attachment-01.key attachment-01.age\n"
	"\n"
	"To verify: get the fingerprint of the exchange on paper, not from this file. Then either\n"
	"    renkei receipt verify FILE --root FINGERPRINT\n"
	"or follow the page \"Receipts\" of Renkei (proto/RECEIPT.md), which needs only tar, openssl, sha256sum and Python.\n"
	"\n"
	"It proves: which keys signed which bytes, under which terms, in which order, and not later than the witness's time.\n"
	"It does not prove: that a person read it, that its content is true or new, who held the device that signed,\n"
	"or that nothing else happened. Whether a signature counts before a court is a question for counsel.\n"
	"\n"
	"Renkei 受領証 形式 1\n"
	"====================\n"
	"\n"
	"このアーカイブは、Renkei 取引所における秘密保持契約に基づく開示 1 件（または預託 1 件）の証拠です。\n"
	"通常の tar ファイルです。NAME.tbs は署名された内容そのもの、NAME.sig はその Ed25519 署名、NAME.entry は\n"
	"取引所のログに記録された項目、NAME.tlog-proof はその項目がログに含まれることの証明（C2SP tlog-proof@v1）です。\n"
	"添付ファイルは age -d -i attachment-01.key attachment-01.age で開けます。\n"
	"\n"
	"検証方法：取引所の指紋を、このファイルからではなく紙などの別の経路で入手してください。その上で\n"
	"    renkei receipt verify FILE --root FINGERPRINT\n"
	"を実行するか、Renkei の文書「Receipts」（proto/RECEIPT.md）に従ってください。tar、openssl、sha256sum、Python だけで検証できます。\n"
	"\n"
	"証明すること：どの鍵が、どの内容に、どの条件の下で、どの順序で署名したか、また証人の時刻より後ではないこと。\n"
	"証明しないこと：人が読んだこと、内容が真実または新規であること、署名した端末を誰が操作したか、\n"
	"ほかに何も起こらなかったこと。署名の法的効力については弁護士等の専門家にご相談ください。\n";

struct bytes receipt_readme(void)
{
	return bytes_str(readme);
}

static const char *const steps[RECEIPT_STEP_COUNT] = {
	[RECEIPT_ARCHIVE] = "archive",
	[RECEIPT_MEMBERS] = "members",
	[RECEIPT_FORM] = "form",
	[RECEIPT_EXCHANGE] = "exchange",
	[RECEIPT_ENTRY] = "entry",
	[RECEIPT_PROOF] = "proof",
	[RECEIPT_SIGNATURE] = "signature",
	[RECEIPT_RULES] = "rules",
	[RECEIPT_LOG] = "log",
	[RECEIPT_WITNESS] = "witness",
	[RECEIPT_ORDER] = "order",
	[RECEIPT_PARTY] = "party",
	[RECEIPT_ACT] = "act",
	[RECEIPT_NDA_SET] = "nda_set",
	[RECEIPT_GATE] = "gate",
	[RECEIPT_PICKUP] = "pickup",
	[RECEIPT_NACK] = "nack",
	[RECEIPT_NEEDED] = "needed",
	[RECEIPT_CONTENT] = "content",
	[RECEIPT_ATTACHMENT] = "attachment",
	[RECEIPT_DOCUMENT] = "document",
	[RECEIPT_FILE] = "file",
};

const char *receipt_step_name(enum receipt_step step)
{
	return steps[step];
}

static const char *const levels[] = {
	[RECEIPT_UNPROVEN] = "unproven",
	[RECEIPT_LODGED] = "lodged",
	[RECEIPT_PICKED_UP] = "picked_up",
	[RECEIPT_OPENED] = "opened",
};

const char *receipt_level_name(enum receipt_level level)
{
	return levels[level];
}
