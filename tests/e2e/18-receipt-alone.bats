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
