#!/usr/bin/env bats
# Receipts, for somebody who was never a member: no home, no connection, the fingerprint on paper.  P5.
load kit

# Receipts of an exchange that is long over.
receipts() {
	"$RENKEI_BUILD/tests/interop/make_receipt" "$T"
	root=$(<"$T/fingerprint")
}

bend() { # FILE MEMBER
	python3 -c '
import sys, tarfile
at = tarfile.open(sys.argv[1]).getmember(sys.argv[2]).offset_data
b = bytearray(open(sys.argv[1], "rb").read()); b[at + 20] ^= 4; open(sys.argv[1], "wb").write(b)' "$@"
}

@test "a receipt is checked without a home, and its level is told" {
	receipts
	HOME=$T/nobody renkei receipt verify "$T/three.renkei-receipt" --root "$root" >"$T/out" 2>"$T/err"
	head -n 1 "$T/out" | grep -q '^Result  *PROVEN'
	grep -q '^ok  signed by .*: charter, .*pickup-2' "$T/out"
	[[ $(wc -l <"$T/out") -lt 40 ]]
	grep -q 'OPENED' "$T/out"
	[[ $(grep -c "“”" "$T/out") == 0 ]]
	grep -q 'Harbour University' "$T/out"
	[[ ! -e $T/nobody ]]
	[[ $(renkei --json receipt verify "$T/lodged.renkei-receipt" --root "${root//-/ }" | value level) == lodged ]]
	[[ $(renkei --json receipt verify "$T/opened.renkei-receipt" --root "$root" | value level) == opened ]]
	renkei --lang ja receipt verify "$T/opened.renkei-receipt" --root "$root" 2>&1 | grep -q '受領者'
}

@test "another fingerprint and a changed byte are refused at the step that notices" {
	receipts
	refuses 9 renkei receipt verify "$T/opened.renkei-receipt" --root "${root//[0-8]/9}"
	said 'exchange'
	bend "$T/opened.renkei-receipt" envelope.sig
	refuses 9 renkei receipt verify "$T/opened.renkei-receipt" --root "$root"
	said 'entry.*envelope'
	tail -n 1 "$T/out" | grep -q '^!!  .*: envelope$'
	bend "$T/three.renkei-receipt" body_plain
	code=0; renkei --json receipt verify "$T/three.renkei-receipt" --root "$root" >"$T/out" 2>"$T/err" || code=$?
	[[ $code == 9 ]]
	python3 -c 'import json, sys; last = json.load(open(sys.argv[1]))["steps"][-1]; assert (last["step"], last["ok"]) == ("content", False)' "$T/out"
	refuses 9 renkei receipt verify "$T/fingerprint" --root "$root"
	said 'archive'
}

# edit FILE NEW PYTHON: FILE with its members changed, each of which is its header, bytes and padding; `at` says where one stands.
edit() {
	python3 -c '
import sys
b = open(sys.argv[1], "rb").read(); l = []; at = {}; i = 0
while b[i]:
    n = 512 + (int(b[i + 124:i + 135], 8) + 511) // 512 * 512
    at[b[i:i + 100].rstrip(bytes(1)).decode()] = len(l); l.append(b[i:i + n]); i += n
exec(sys.argv[3])
open(sys.argv[2], "wb").write(b"".join(l) + bytes(1024))' "$@"
}

@test "attachments are shown, checked as they stream by, or said not to be shown" {
	receipts
	f=$T/attached.renkei-receipt
	renkei receipt verify "$f" --root "$root" >"$T/out" 2>"$T/err"
	head -n 1 "$T/out" | grep -q PROVEN
	grep -q '^Attachment  *film-2.bin, 300000 bytes, in the receipt$' "$T/out"
	grep -q '^ok  .*: .*attachment-03.age' "$T/out"
	renkei --json receipt verify "$f" --root "$root" >"$T/verdict"
	python3 - "$T/verdict" <<-'END'
		import json, sys
		a = json.load(open(sys.argv[1]))["attachments"]
		found = [(x["name"], x["bytes"], x["shown"]) for x in a]
		assert found == [("film-1.bin", 0, True), ("film-2.bin", 300000, True), ("film-3.bin", 65536, True)], a
	END
	edit "$f" "$T/same" ''
	cmp "$f" "$T/same"
	# Without them it is a receipt that shows less, and says so.
	edit "$f" "$T/less" 'l = [m for m in l if not m.startswith(b"attachment-")]'
	renkei receipt verify "$T/less" --root "$root" >"$T/out" 2>"$T/err"
	said 'film-2.bin, 300000 bytes, not shown'
	said 'attachments are not in the receipt'
	said 'OPENED'
	for change in 'del l[-1]' 'l.append(l[-1])' 'l[-1], l[-2] = l[-2], l[-1]' 'del l[at["attachment-02.key"]]' \
		'l[-1] = l[-1][:600] + bytes([l[-1][600] ^ 1]) + l[-1][601:]' 'l[-1] = l[-1][:-1] + b"x"' 'l[-3:] = []' \
		'i = at["attachment-01.key"]; l[i], l[i + 1] = l[i][:512] + l[i + 1][512:], l[i + 1][:512] + l[i][512:]'; do
		edit "$f" "$T/bent" "$change"
		refuses 9 renkei receipt verify "$T/bent" --root "$root"
		said 'attachment-0[1-3]|archive'
	done
	for size in 1024 1536 70000; do
		head -c -$size "$f" >"$T/bent"
		refuses 9 renkei receipt verify "$T/bent" --root "$root"
		said 'archive'
	done
}

@test "a deposit is compared with its original" {
	receipts
	printf 'What we had before.\n' >"$T/original"
	renkei receipt verify "$T/deposit.renkei-receipt" --root "$root" --file "$T/original" | grep -q OPENED
	refuses 9 renkei receipt verify "$T/deposit.renkei-receipt" --root "$root" --file "$T/fingerprint"
	said 'receipt itself holds'
	grep -q '^ok  .*: .*deposit' "$T/out"
	tail -n 1 "$T/out" | grep -q '^!!  the file is the one deposited'
	refuses 9 renkei --json receipt verify "$T/deposit.renkei-receipt" --root "$root" --file "$T/fingerprint"
	python3 -c 'import json, sys; o = json.load(open(sys.argv[1])); assert not o["proven"] and [s["ok"] for s in o["steps"]].count(False) == 1' "$T/out"
	refuses 2 renkei receipt verify "$T/opened.renkei-receipt" --root "$root" --file "$T/original"
}

@test "what is missing is a usage error or said by name" {
	receipts
	refuses 2 renkei receipt verify "$T/opened.renkei-receipt"
	refuses 2 renkei receipt verify "$T/opened.renkei-receipt" --root 1234
	refuses 5 renkei receipt verify "$T/absent" --root "$root"
	said 'absent'
	said 'Check the path'
	refuses 2 renkei receipt verify "$T" --root "$root"
}
