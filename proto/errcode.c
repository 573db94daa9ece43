/* errcode: the table.  Rows stand in the order of enum errcode, refusals first. */
#include "proto/errcode.h"

#include <stddef.h>

/* Exit codes of the command line (DESIGN, "Command line"). */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_LOCKED = 4,      /* not joined, or the key is locked */
	EXIT_NOT_FOUND = 5,
	EXIT_RETRY = 6,       /* unreachable, or busy: try again later */
	EXIT_STATE = 7,
	EXIT_FORBIDDEN = 8,
	EXIT_INTEGRITY = 9,
	EXIT_INTERRUPTED = 130,
};

struct row {
	int code;
	int exit;
	const char *name;
	const char *sentence[LANG_COUNT];
	const char *hint[LANG_COUNT];
};

#define NO_HINT {"", ""}

static const struct row table[] = {
	{RK_OK, EXIT_OK, "ok", {"Done.", "完了しました。"}, NO_HINT},

	{RK_NOT_ADMITTED, EXIT_FORBIDDEN, "not-admitted",
	 {"This device is not admitted to the exchange.", "この端末は取引所への参加を認められていません。"},
	 {"Ask the secretariat for an invitation, then run `renkei join INVITE`.",
	  "事務局に招待を依頼し、`renkei join 招待` を実行してください。"}},
	{RK_REVOKED, EXIT_FORBIDDEN, "revoked",
	 {"This device was removed, or its organisation is suspended or expelled.",
	  "この端末が削除されたか、所属機関が停止または除名されています。"},
	 {"Ask your administrator or the secretariat by telephone.", "管理者または事務局に電話で確認してください。"}},
	{RK_SUPERSEDED, EXIT_STATE, "superseded",
	 {"A newer connection of this device took over.", "この端末の新しい接続に切り替わりました。"},
	 {"Make sure that only one copy of this home is in use, then run `renkei sync`.",
	  "このホームの写しが他で使われていないことを確かめ、`renkei sync` を実行してください。"}},
	{RK_STALE_WRITER, EXIT_STATE, "stale-writer",
	 {"A newer copy of this home writes in its place; this one may not send any more.",
	  "このホームの新しい写しが使われているため、こちらからは送信できません。"},
	 {"Go on with the other copy; run `renkei doctor` to see which is which.",
	  "もう一方の写しをお使いください。`renkei doctor` で見分けられます。"}},
	{RK_NOT_PERMITTED, EXIT_FORBIDDEN, "not-permitted",
	 {"The role of this organisation or device does not permit that.", "この機関または端末の権限では許可されていません。"},
	 {"`renkei status` shows your roles; the secretariat can change them.",
	  "`renkei status` で権限を確認できます。変更は事務局にご相談ください。"}},
	{RK_WRONG_EXCHANGE, EXIT_FORBIDDEN, "wrong-exchange",
	 {"This belongs to another exchange.", "これは別の取引所のものです。"},
	 {"Check --home: `renkei status` says which exchange it belongs to.",
	  "--home の指定を確かめてください。`renkei status` で所属する取引所が分かります。"}},

	{RK_MALFORMED, EXIT_FAILED, "malformed",
	 {"The data does not have the form that the protocol requires.", "データがプロトコルの定める形式になっていません。"},
	 {"Check the input, and that both sides run a current Renkei (`renkei --version`).",
	  "入力内容と、双方の Renkei が最新であること（`renkei --version`）を確かめてください。"}},
	{RK_BAD_SIGNATURE, EXIT_INTEGRITY, "bad-signature",
	 {"A signature or a seal does not verify; nothing was accepted.", "署名または封印を検証できないため、受け付けませんでした。"},
	 {"Do not use this data; tell the sender and run `renkei doctor`.",
	  "このデータは使わず、送り主に知らせ、`renkei doctor` を実行してください。"}},
	{RK_TOO_LARGE, EXIT_FAILED, "too-large",
	 {"That is larger than the exchange accepts.", "取引所が受け付ける大きさを超えています。"},
	 {"Shorten it or send fewer files at once.", "内容を短くするか、一度に送るファイルを減らしてください。"}},
	{RK_VERSION, EXIT_FAILED, "version",
	 {"This is of a protocol version that is not spoken here.", "対応していない版のプロトコルです。"},
	 {"Install the Renkei version that your exchange uses.", "取引所が使っている版の Renkei を導入してください。"}},
	{RK_UNSUPPORTED, EXIT_FAILED, "unsupported",
	 {"This uses a feature that the exchange does not offer yet.", "取引所がまだ提供していない機能を使っています。"},
	 {"Leave that option out.", "その指定を外してください。"}},
	{RK_UNMARKED, EXIT_FORBIDDEN, "unmarked",
	 {"The agreement requires a confidentiality mark, and this has none.",
	  "契約では秘密表示が必要ですが、表示がありません。"},
	 {"Mark it confidential and send it again.", "秘密である旨を表示して、もう一度送ってください。"}},

	{RK_RATE_LIMITED, EXIT_RETRY, "rate-limited",
	 {"Too many requests in a short time.", "短時間に要求が多すぎます。"},
	 {"Wait a minute, then run `renkei sync`.", "1 分ほど待ってから `renkei sync` を実行してください。"}},
	{RK_QUOTA, EXIT_RETRY, "quota",
	 {"The storage allowance at the exchange is used up.", "取引所での保存容量を使い切りました。"},
	 {"Withdraw what is no longer needed (`renkei post list`), or wait until recipients have fetched theirs.",
	  "不要なものを取り下げる（`renkei post list`）か、相手の受け取りを待ってください。"}},
	{RK_BUSY, EXIT_RETRY, "busy",
	 {"The exchange is busy.", "取引所が混み合っています。"},
	 {"Nothing is lost; run `renkei sync` later.", "失われたものはありません。後で `renkei sync` を実行してください。"}},
	{RK_STORE_FULL, EXIT_RETRY, "store-full",
	 {"The exchange's disk is nearly full; for now it takes only acknowledgements and terminations.",
	  "取引所のディスクがほぼ満杯のため、今は受領確認と終了の手続きしか受け付けません。"},
	 {"Tell the operator; run `renkei sync` later.", "運用者に知らせ、後で `renkei sync` を実行してください。"}},
	{RK_MOVING, EXIT_RETRY, "moving",
	 {"The exchange is restarting.", "取引所が再起動中です。"},
	 {"Run `renkei sync` in a minute.", "1 分後に `renkei sync` を実行してください。"}},
	{RK_READ_ONLY, EXIT_RETRY, "read-only",
	 {"The exchange runs from an older copy of its records and takes nothing until its operator has put that right.",
	  "取引所が古い記録の写しで動いているため、運用者が対処するまで何も受け付けません。"},
	 {"Tell the secretariat by telephone; nothing of yours is lost, it waits here.",
	  "事務局に電話で知らせてください。こちらの内容は失われず、送信待ちのまま残ります。"}},

	{RK_NUMBER_CONFLICT, EXIT_STATE, "number-conflict",
	 {"This request number was already used for something else.", "この要求番号は別の要求で使われています。"},
	 {"Run `renkei doctor`: a copy of this home may be in use.",
	  "`renkei doctor` を実行してください。このホームの写しが使われている可能性があります。"}},
	{RK_OUT_OF_ORDER, EXIT_STATE, "out-of-order",
	 {"An earlier request has not arrived yet.", "先に送るべき要求がまだ届いていません。"},
	 {"Run `renkei sync`.", "`renkei sync` を実行してください。"}},
	{RK_DUPLICATE, EXIT_STATE, "duplicate",
	 {"The exchange already has this.", "すでに取引所に登録されています。"}, NO_HINT},
	{RK_CONFLICT, EXIT_STATE, "conflict",
	 {"This contradicts what the exchange already holds.", "取引所にすでにある内容と矛盾しています。"},
	 {"Run `renkei sync`, look at the current state, then decide again.",
	  "`renkei sync` を実行し、現在の状態を見てから改めて判断してください。"}},
	{RK_GENERATION, EXIT_STATE, "generation",
	 {"The exchange was restored from a backup; positions in its streams are no longer valid.",
	  "取引所がバックアップから復元されたため、受信位置が無効になりました。"},
	 {"Run `renkei sync` to read the streams anew.", "`renkei sync` を実行して読み直してください。"}},
	{RK_STALE_EPOCH, EXIT_STATE, "stale-epoch",
	 {"The feed key used is no longer the current one.", "使われた配信鍵は現在のものではありません。"},
	 {"Run `renkei sync`; it is then sealed anew.", "`renkei sync` を実行すると、新しい鍵で封印し直します。"}},
	{RK_EPOCH_UNKNOWN, EXIT_STATE, "epoch-unknown",
	 {"This feed key is not known.", "この配信鍵は登録されていません。"},
	 {"Run `renkei sync`, then try again.", "`renkei sync` を実行し、もう一度お試しください。"}},
	{RK_STALE_DIRECTORY, EXIT_STATE, "stale-directory",
	 {"The directory has changed since this was prepared.", "準備した後に参加者名簿が変わりました。"},
	 {"Run `renkei sync`; it is then prepared anew.", "`renkei sync` を実行すると、新しい名簿で作り直します。"}},
	{RK_STALE_NDA, EXIT_STATE, "stale-nda",
	 {"The agreement has changed since this was prepared.", "準備した後に秘密保持契約の状態が変わりました。"},
	 {"Run `renkei sync`, look at `renkei nda view`, then try again.",
	  "`renkei sync` を実行し、`renkei nda view` で確認してから、もう一度お試しください。"}},
	{RK_DIRECTORY_EXPIRED, EXIT_STATE, "directory-expired",
	 {"The directory has expired; until the secretariat renews it, nothing can be sent under an agreement.",
	  "参加者名簿の有効期限が切れています。事務局が更新するまで、契約に基づく送信はできません。"},
	 {"Ask the secretariat to run `renkei sync`.", "事務局に `renkei sync` の実行を依頼してください。"}},
	{RK_CHARTER_EXPIRED, EXIT_STATE, "charter-expired",
	 {"The exchange's charter has expired.", "取引所の憲章の有効期限が切れています。"},
	 {"Ask the secretariat for a new charter.", "事務局に新しい憲章の発行を依頼してください。"}},
	{RK_ENVELOPE_EXPIRED, EXIT_STATE, "envelope-expired",
	 {"It has expired and is not delivered any more.", "有効期限が切れたため、配送されません。"},
	 {"Ask the sender to send it again.", "送り主に再送を依頼してください。"}},
	{RK_CLOCK, EXIT_STATE, "clock",
	 {"The clocks of this machine and of the exchange differ by more than 10 minutes.",
	  "この機器と取引所の時計が 10 分以上ずれています。"},
	 {"Set the clock (`timedatectl`), then run `renkei sync`.",
	  "時計を合わせ（`timedatectl`）、`renkei sync` を実行してください。"}},
	{RK_NOT_OWNER, EXIT_STATE, "not-owner",
	 {"Only the organisation that made it may change it.", "変更できるのは作成した機関だけです。"}, NO_HINT},
	{RK_NO_RECIPIENT_KEY, EXIT_STATE, "no-recipient-key",
	 {"The recipient has no device with a valid key at the moment.", "宛先に有効な鍵を持つ端末が今ありません。"},
	 {"Ask the recipient to run `renkei sync`, then try again.",
	  "相手に `renkei sync` の実行を依頼し、その後もう一度お試しください。"}},
	{RK_INVITE_USED, EXIT_STATE, "invite-used",
	 {"This invitation has been used.", "この招待はすでに使われています。"},
	 {"If it was not you who used it, telephone the secretariat; ask it for a new invitation.",
	  "ご自身で使った覚えがなければ事務局に電話し、新しい招待を依頼してください。"}},
	{RK_INVITE_EXPIRED, EXIT_STATE, "invite-expired",
	 {"This invitation has expired or was withdrawn.", "この招待は期限切れか、取り消されています。"},
	 {"Ask the secretariat for a new invitation.", "事務局に新しい招待を依頼してください。"}},

	{RK_NO_NDA, EXIT_FORBIDDEN, "no-nda",
	 {"There is no agreement between these parties that covers this.", "当事者間に、これを対象とする秘密保持契約がありません。"},
	 {"Propose one: `renkei nda propose --with ORG --purpose TEXT --until DATE --form plain`.",
	  "提案してください：`renkei nda propose --with 機関 --purpose 目的 --until 日付 --form plain`"}},
	{RK_NDA_PROPOSED, EXIT_FORBIDDEN, "nda-proposed",
	 {"The agreement is proposed; not every party has signed it yet.", "契約は提案中で、まだ全当事者の署名が揃っていません。"},
	 {"`renkei nda view ID` shows who has yet to sign.", "`renkei nda view ID` で未署名の当事者が分かります。"}},
	{RK_NDA_NOT_YET, EXIT_FORBIDDEN, "nda-not-yet",
	 {"The agreement is signed, but its first day has not come.", "契約は締結済みですが、開始日になっていません。"},
	 {"`renkei nda view ID` shows the first day, which counts five minutes after it begins.",
	  "`renkei nda view ID` で開始日を確認できます（開始日の午前0時から5分後に有効になります）。"}},
	{RK_NDA_HELD, EXIT_FORBIDDEN, "nda-held",
	 {"A party holds the agreement: nothing moves under it until that party resumes.",
	  "当事者が契約を一時停止しています。再開されるまで何も送受信できません。"},
	 {"Ask the party that holds it to run `renkei nda resume ID`.",
	  "停止した当事者に `renkei nda resume ID` の実行を依頼してください。"}},
	{RK_NDA_SUSPENDED, EXIT_FORBIDDEN, "nda-suspended",
	 {"The agreement is suspended: a party is suspended, or its key has changed.",
	  "当事者が停止中か、その鍵が変わったため、契約は中断しています。"},
	 {"`renkei nda view ID` shows which party; ask the secretariat.",
	  "`renkei nda view ID` で該当する当事者を確認し、事務局にご相談ください。"}},
	{RK_NDA_DECLINED, EXIT_FORBIDDEN, "nda-declined",
	 {"A party declined the agreement.", "当事者が契約を辞退しました。"},
	 {"Propose another: `renkei nda propose`, or `renkei nda counter ID`.",
	  "`renkei nda propose` または `renkei nda counter ID` で改めて提案してください。"}},
	{RK_NDA_WITHDRAWN, EXIT_FORBIDDEN, "nda-withdrawn",
	 {"The proposal of the agreement was withdrawn.", "契約の提案は取り下げられました。"},
	 {"Propose a new one: `renkei nda propose`.", "`renkei nda propose` で新たに提案してください。"}},
	{RK_NDA_LAPSED, EXIT_FORBIDDEN, "nda-lapsed",
	 {"The agreement was not signed by all in time.", "期限までに全当事者の署名が揃いませんでした。"},
	 {"Propose a new one: `renkei nda propose`.", "`renkei nda propose` で新たに提案してください。"}},
	{RK_NDA_EXPIRED, EXIT_FORBIDDEN, "nda-expired",
	 {"The agreement's last day has passed.", "契約の最終日を過ぎました。"},
	 {"Propose a new one: `renkei nda propose`.", "`renkei nda propose` で新たに提案してください。"}},
	{RK_NDA_TERMINATED, EXIT_FORBIDDEN, "nda-terminated",
	 {"The agreement was terminated; nothing is disclosed under it any more.",
	  "契約は解約されました。この契約による開示はもうできません。"},
	 {"Propose a new one: `renkei nda propose`.", "`renkei nda propose` で新たに提案してください。"}},
	{RK_NDA_SUPERSEDED, EXIT_FORBIDDEN, "nda-superseded",
	 {"A newer agreement replaced this one.", "この契約は新しい契約に置き換えられました。"},
	 {"`renkei nda list` shows the one in force.", "`renkei nda list` で有効な契約を確認してください。"}},
	{RK_DIRECTION, EXIT_FORBIDDEN, "direction",
	 {"The agreement does not permit disclosure in this direction.", "この契約では、この向きの開示は認められていません。"},
	 {"`renkei nda view ID` shows who may disclose; propose a mutual agreement if both should.",
	  "`renkei nda view ID` で開示者を確認し、必要なら双方向の契約を提案してください。"}},

	{RK_UNKNOWN_OBJECT, EXIT_NOT_FOUND, "unknown-object",
	 {"The exchange has no such thing.", "取引所に該当するものがありません。"},
	 {"Check the id; run `renkei sync` first if it is new.",
	  "ID を確かめてください。新しいものなら先に `renkei sync` を実行してください。"}},
	{RK_UNKNOWN_RECIPIENT, EXIT_NOT_FOUND, "unknown-recipient",
	 {"The recipient is not a member of the exchange.", "宛先は取引所の参加者ではありません。"},
	 {"`renkei member list` shows the members.", "`renkei member list` で参加者を確認できます。"}},

	{RK_ENOMEM, EXIT_FAILED, "no-memory",
	 {"There is not enough memory.", "メモリが足りません。"},
	 {"Close other programs, then try again.", "他のプログラムを閉じて、もう一度お試しください。"}},
	{RK_EINTERNAL, EXIT_FAILED, "internal",
	 {"Renkei noticed a mistake of its own and stopped.", "Renkei の内部で誤りが見つかったため、中止しました。"},
	 {"Report it with what you typed and the output of `renkei doctor`.",
	  "入力した内容と `renkei doctor` の出力を添えて報告してください。"}},
	{RK_EIO, EXIT_FAILED, "io",
	 {"A file could not be read or written.", "ファイルの読み書きができませんでした。"},
	 {"Check that the path exists and that you may use it.", "パスが存在し、使用権限があることを確かめてください。"}},
	{RK_EDISKFULL, EXIT_FAILED, "disk-full",
	 {"The disk is full.", "ディスクの空きがありません。"},
	 {"Make room, then try again; nothing that was stored is lost.",
	  "空きを作ってから、もう一度お試しください。保存済みのものは失われていません。"}},
	{RK_ESTORE, EXIT_FAILED, "store",
	 {"The local store cannot be used.", "ローカルの保存領域を使えません。"},
	 {"Run `renkei doctor`; `renkei restore FILE` brings a backup back.",
	  "`renkei doctor` を実行してください。`renkei restore ファイル` でバックアップを戻せます。"}},
	{RK_ESTOREFORMAT, EXIT_FAILED, "store-format",
	 {"The folder was written by a newer Renkei.", "このフォルダは新しい版の Renkei で書かれています。"},
	 {"Install that version or a later one.", "その版かそれ以降の Renkei を導入してください。"}},
	{RK_ENOTFOUND, EXIT_NOT_FOUND, "not-found",
	 {"There is no such thing here.", "該当するものが見つかりません。"},
	 {"Check the id or name; run `renkei sync` first if it is new.",
	  "ID や名前を確かめてください。新しいものなら先に `renkei sync` を実行してください。"}},
	{RK_EEXISTS, EXIT_STATE, "exists",
	 {"It already exists and was left as it is.", "すでに存在するため、変更しませんでした。"},
	 {"Choose another name or folder.", "別の名前かフォルダを指定してください。"}},
	{RK_ELOCKED, EXIT_STATE, "locked",
	 {"Another process uses this folder.", "別のプロセスがこのフォルダを使用中です。"},
	 {"Wait until it has finished, or stop it.", "終了を待つか、そのプロセスを停止してください。"}},
	{RK_EPASSPHRASE, EXIT_LOCKED, "passphrase",
	 {"The key does not open: wrong passphrase, or the key file is damaged.",
	  "鍵を開けません。パスフレーズが違うか、鍵ファイルが壊れています。"},
	 {"Try again, or give the passphrase with --passphrase-file.",
	  "もう一度試すか、--passphrase-file でパスフレーズを指定してください。"}},
	{RK_EKEYFILE, EXIT_FAILED, "key-file",
	 {"This is not a key file of Renkei, or its parameters are out of range.",
	  "Renkei の鍵ファイルではないか、設定値が範囲外です。"},
	 {"Restore the key from your backup: `renkei restore FILE`.",
	  "バックアップから鍵を戻してください：`renkei restore ファイル`"}},
	{RK_EUNREACHABLE, EXIT_RETRY, "unreachable",
	 {"The exchange does not answer.", "取引所から応答がありません。"},
	 {"Nothing is lost; check the network and run `renkei sync` later.",
	  "失われたものはありません。ネットワークを確かめ、後で `renkei sync` を実行してください。"}},
	{RK_ETIMEOUT, EXIT_RETRY, "timeout",
	 {"The answer did not come in time; it is not known yet whether the request took effect.",
	  "時間内に応答がなく、要求が処理されたかまだ分かりません。"},
	 {"Run `renkei sync`: it asks again without doing anything twice.",
	  "`renkei sync` を実行してください。二重に処理されることなく確認できます。"}},
	{RK_EINTERRUPTED, EXIT_INTERRUPTED, "interrupted",
	 {"Interrupted.", "中断しました。"}, {"What was queued is sent with the next `renkei sync`.",
	  "送信待ちのものは次の `renkei sync` で送られます。"}},
	{RK_EUSAGE, EXIT_USAGE, "usage",
	 {"The command was not understood.", "コマンドの指定が正しくありません。"},
	 {"`renkei --help` lists the commands.", "`renkei --help` でコマンドの一覧を見られます。"}},
	{RK_ENOTJOINED, EXIT_LOCKED, "not-joined",
	 {"This home does not belong to an exchange yet.", "このホームはまだ取引所に参加していません。"},
	 {"Run `renkei join INVITE` with the invitation of your secretariat.",
	  "事務局からの招待を使い、`renkei join 招待` を実行してください。"}},
	{RK_ENEWER, EXIT_FAILED, "needs-newer",
	 {"This needs a newer Renkei to be read; it is kept sealed until then.",
	  "読むには新しい版の Renkei が必要です。それまで封印したまま保管します。"},
	 {"Install a newer Renkei, then open it again.", "新しい版の Renkei を導入し、もう一度開いてください。"}},
	{RK_EINTEGRITY, EXIT_INTEGRITY, "integrity",
	 {"Stored or received data does not prove itself; it was not used.",
	  "保存または受信したデータの正しさを確認できないため、使いませんでした。"},
	 {"Run `renkei doctor` and tell the secretariat what it says.",
	  "`renkei doctor` を実行し、結果を事務局に知らせてください。"}},
	{RK_EOTHERHOME, EXIT_STATE, "other-home",
	 {"A copy of this home is in use elsewhere; this one stopped sending.",
	  "このホームの写しが他で使われているため、こちらの送信を止めました。"},
	 {"Go on with one copy only; `renkei doctor` says more.",
	  "写しは一つだけお使いください。詳しくは `renkei doctor` をご覧ください。"}},
	{RK_EFORKED, EXIT_INTEGRITY, "log-forked",
	 {"The exchange has shown two records of the past that cannot both be true; nothing confidential is sent.",
	  "取引所が両立しない二つの記録を示したため、秘密情報の送信を止めています。"},
	 {"Telephone the secretariat and compare what `renkei log view` shows; the proof is kept in this home.",
	  "事務局に電話し、`renkei log view` の表示を照合してください。証拠はこのホームに保存されています。"}},
};

#define TABLE_ROWS (sizeof(table) / sizeof(table[0]))

/* What a client says of a refusal that is newer than itself: it goes by the class. */
static const struct row classes[] = {
	{1, EXIT_FORBIDDEN, "unknown",
	 {"The exchange does not accept this device or organisation for that.", "取引所はこの端末または機関を受け付けませんでした。"},
	 NO_HINT},
	{2, EXIT_FAILED, "unknown",
	 {"The exchange does not accept the form of this request.", "取引所は要求の形式を受け付けませんでした。"}, NO_HINT},
	{3, EXIT_RETRY, "unknown",
	 {"The exchange cannot take this now; try again later.", "取引所は今これを受け付けられません。後でもう一度お試しください。"},
	 NO_HINT},
	{4, EXIT_STATE, "unknown",
	 {"This does not fit the current state at the exchange.", "取引所の現在の状態と合いません。"}, NO_HINT},
	{5, EXIT_FORBIDDEN, "unknown",
	 {"No agreement in force permits this.", "有効な契約ではこれが認められていません。"}, NO_HINT},
	{6, EXIT_NOT_FOUND, "unknown",
	 {"The exchange does not know what this refers to.", "取引所に該当するものがありません。"}, NO_HINT},
};

#define CLASS_ROWS (sizeof(classes) / sizeof(classes[0]))

static const struct row unknown = {0, EXIT_FAILED, "unknown",
	{"It failed for a reason that this version does not know.", "この版では分からない理由で失敗しました。"}, NO_HINT};

/* The row of a code; for an unknown refusal its class's row. */
static const struct row *find(int code)
{
	for (size_t i = 0; i < TABLE_ROWS; i++)
		if (table[i].code == code)
			return &table[i];
	for (size_t i = 0; i < CLASS_ROWS; i++)
		if (code > 0 && code / 100 == classes[i].code)
			return &classes[i];
	return &unknown;
}

static enum lang known(enum lang lang)
{
	return lang == LANG_JA ? LANG_JA : LANG_EN;
}

const char *errcode_name(int code)
{
	return find(code)->name;
}

const char *errcode_sentence(int code, enum lang lang)
{
	return find(code)->sentence[known(lang)];
}

const char *errcode_hint(int code, enum lang lang)
{
	return find(code)->hint[known(lang)];
}

int errcode_exit(int code)
{
	return find(code)->exit;
}

int errcode_at(unsigned i)
{
	/* The first row is RK_OK itself, which is no outcome to list: it marks the end. */
	return i < TABLE_ROWS - 1 ? table[i + 1].code : RK_OK;
}
