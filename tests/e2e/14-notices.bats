#!/usr/bin/env bats
# Notices between the parties of an agreement, also after its end, and the duties with dates (P2, P5).
load kit
load clock

KINDS="marking-confirmation return-request destruction-certificate next-step consent compelled-disclosure prior-knowledge sample"

# said_in KIND: what a notice of the kind must say, into ARGS.
said_in() {
	case $1 in
	marking-confirmation) ARGS=(--occurred-at "$(TZ=Asia/Tokyo date +%F)" --summary "The drying curve" --place Kitami --discloser Sato --present "Mori,Ito") ;;
	return-request) ARGS=(--all --choice either --due 2099-03-31) ;;
	destruction-certificate) ARGS=(--all --method "Shredded" --signer "Ito Kenji" --exceptions "one backup tape") ;;
	next-step) ARGS=(--extend --until 2099-06-30) ;;
	consent) ARGS=(--summary "You may show it to your patent attorney") ;;
	compelled-disclosure) ARGS=(--summary "A court asked for it" --due 2099-03-31) ;;
	prior-knowledge) ARGS=(--summary "We had it in our notebook" --occurred-at "2020-05-01 10:30") ;;
	sample) ARGS=(--title "Sample 3" --summary "20 g, frozen") ;;
	dossier-notice) ARGS=(--title "Test run 14" --abstract "Yield by batch" --files "one PDF, 2 MB") ;;
	esac
	ARGS+=(--message "As agreed.")
}

setup_file() { pair_file; }

agree() { # A B [ARG...]: an agreement signed by both; sets NDA
	local a=$1 b=$2
	shift 2
	NDA=$(propose "$a" "$(org "$b")" "$@")
	as "$b" sync
	as "$b" nda sign "$NDA" --yes --signatory B
	as "$a" sync
}

# goes FROM KIND [RUN...]: the notice is sent; its id is NOTICE.  RUN runs a home (as, or later OFFSET).
goes() {
	local from=$1 kind=$2
	shift 2
	said_in "$kind"
	NOTICE=$("${@:-as}" "$from" --json nda notice "$NDA" "$kind" --yes "${ARGS[@]}" | value notice_id)
	[[ -n $NOTICE ]]
}

# is_read BY KIND [RUN...]: NOTICE is read there and is of the kind.
is_read() {
	local by=$1 kind=$2
	shift 2
	"${@:-as}" "$by" --json nda read "$NOTICE" >"$T/read"
	cat "$T/read"
	[[ $(value notice <"$T/read") == "$kind" ]]
	grep -q 'As agreed' "$T/read"
	"${@:-as}" "$by" --json inbox list | grep "$NOTICE" | grep '"kind":"notice"' | grep -q '"read":true'
}

@test "every kind is sent, signed for, read, listed and named in the inbox" {
	pair
	for kind in $KINDS dossier-notice; do
		goes a "$kind"
		as b sync
		[[ -z $(as b --json inbox list | grep "$NOTICE" | value notice) ]]
		is_read b "$kind"
		[[ $(as b --json inbox list | grep "$NOTICE" | grep '"kind":"notice"' | value notice) == "$kind" ]]
	done
	[[ $(as a --json nda notices | count notice_id) == 9 ]]
	[[ $(as b --json nda notices "$NDA" | grep -c '"state":"opened"') == 9 ]]
	as a --json nda notices | grep "$NOTICE" | grep -q '"state":"picked_up"'
	as a nda read "$NOTICE" | grep -q '^Picked up  *b, device .*log'
	as b nda read "$NOTICE" | grep -q 'one PDF, 2 MB'
	as b --lang ja nda notices | grep -q '廃棄証明'
	# they are no dossiers
	[[ $(as b --json dossier list | count dossier_id) == 0 ]]
	refuses 5 as b dossier get "$NOTICE" --output "$T/out"
	refuses 5 as b nda read "$NDA"
}

@test "a notice shows for each recipient what became of it there, as a dossier does" {
	pair
	goes a consent
	picked=$NOTICE
	as b sync
	is_read b consent
	goes a consent
	as b sync
	as b dossier decline "$NOTICE"
	as a sync
	as a --json nda read "$picked" >"$T/picked"
	as a --json nda read "$NOTICE" >"$T/declined"
	python3 - "$T/picked" "$T/declined" <<-'END'
		import json, sys
		o, d = (json.load(open(p)) for p in sys.argv[1:])
		p, = o["pickups"]
		assert o["to"][0]["state"] == "picked_up" and p["device_id"] and p["log_index"] > o["log_index"] and not o["nacks"], o
		n, = d["nacks"]
		assert d["state"] == "declined" and d["to"][0]["state"] == "declined" and n["reason"] == "declined" and not d["pickups"], d
	END
	as a nda read "$NOTICE" | grep '^Declined' | grep 'b, '
}

@test "what a kind does not take is a usage error, and so is a file" {
	pair
	echo secret >"$T/secret.txt"
	refuses 2 as a nda notice "$NDA" consent --yes --summary S "$T/secret.txt"
	said 'carries no files'
	refuses 2 as a nda notice "$NDA" consent --yes
	said 'needs --summary'
	refuses 2 as a nda notice "$NDA" consent --yes --summary S --method M
	said 'takes no --method'
	refuses 2 as a nda notice "$NDA" gossip --yes --summary S
	refuses 2 as a nda notice "$NDA" next-step --yes
	refuses 2 as a nda notice "$NDA" next-step --yes --go --no-go
	refuses 2 as a nda notice "$NDA" next-step --yes --go --until 2099-01-01
	refuses 2 as a nda notice "$NDA" return-request --yes --all --choice maybe
	refuses 2 as a nda notice "$NDA" return-request --yes --choice either
	refuses 2 as a nda notice "$NDA" prior-knowledge --yes --summary S --occurred-at yesterday
	refuses 2 as a nda notice "$NDA" prior-knowledge --yes --summary S --occurred-at 2099-01-01
	said 'future'
	refuses 2 as a nda notice "$NDA" consent --yes --summary S --message "$(head -c 2001 /dev/zero | tr '\0' x)"
	refuses 2 as a nda notice "$NDA" destruction-certificate --yes --all --method M
	said 'signer'
	# nobody to ask, and not told to go on
	refuses 2 as a nda notice "$NDA" consent --summary S
	said '--yes'
	[[ $(as a --json nda notices | count notice_id) == 0 ]]
	refuses 8 as a nda notice "$(printf '1%.0s' {1..64})" consent --yes --summary S
}

@test "who only receives cannot ask back what it never disclosed" {
	pair --discloser self
	refuses 8 as b nda notice "$NDA" return-request --yes --all --choice either
	said 'another party'
	refuses 8 as a nda notice "$NDA" destruction-certificate --yes --all --method M --signer S
	goes b destruction-certificate
	as a sync
	is_read a destruction-certificate
}

@test "after the last day every kind goes but an announcement, dossiers stay refused, and after the window nothing goes" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	exchange_start
	join a sme
	join b sme
	agree a b --until "$(TZ=Asia/Tokyo date -d '+1 day' +%F)" --window-days 3
	broker_stop
	broker_at +3d
	for kind in $KINDS; do
		goes a "$kind" later +3d
		later +3d b sync
		is_read b "$kind" later +3d
	done
	refuses 8 later +3d a nda notice "$NDA" dossier-notice --yes --title T
	said 'last day has passed'
	echo x >"$T/x.txt"
	refuses 8 later +3d a dossier send --nda "$NDA" "$T/x.txt"
	goes a consent later +3d
	broker_end
	broker_at +6d
	for kind in $KINDS dossier-notice; do
		said_in "$kind"
		refuses 8 later +6d a nda notice "$NDA" "$kind" --yes "${ARGS[@]}"
		said 'last day has passed'
	done
	# what was not picked up while the window was open is not released any more
	later +6d b sync
	refuses 8 later +6d b nda read "$NOTICE"
	broker_end
}

@test "after a termination every kind goes but an announcement, and dossiers stay refused" {
	pair
	as b nda terminate "$NDA" --yes
	as a sync
	for kind in $KINDS; do
		goes a "$kind"
		as b sync
		is_read b "$kind"
	done
	refuses 8 as a nda notice "$NDA" dossier-notice --yes --title T
	echo x >"$T/x.txt"
	refuses 8 as a dossier send --nda "$NDA" "$T/x.txt"
}

@test "a held and a suspended agreement let notices pass" {
	exchange_start
	for n in a b c; do join $n sme; done
	NDA=$(propose a "$(org b),$(org c)")
	for n in b c; do as $n sync; as $n nda sign "$NDA" --yes --signatory $n; done
	as a sync
	as b nda hold "$NDA"
	as a sync
	goes a consent
	as b sync
	is_read b consent
	refuses 8 as a nda notice "$NDA" dossier-notice --yes --title T
	as secretariat member suspend "$(org c)" --yes
	as a sync
	[[ $(as a --json nda view "$NDA" | value state) == suspended ]]
	goes a consent
	as b sync
	is_read b consent
	refuses 8 as a nda notice "$NDA" consent --yes --summary S --to "$(org c)"
}

@test "a dossier, plain words or foreign fields in a notice are refused by the other side's client, in force and after" {
	exchange_start
	join bad sme
	join peer sme
	agree bad peer
	for round in 1 2; do
		timeout 120 "$RENKEI_BUILD/tests/e2e/hostile" "$T/bad" smuggle "$NDA" "$(org peer)"
		as peer sync
		for id in $(as peer --json nda notices | grep '"state":"waiting"' | python3 -c 'import json,sys; [print(json.loads(l)["notice_id"]) for l in sys.stdin]'); do
			refuses 1 as peer nda read "$id" || refuses 8 as peer nda read "$id"
			[[ ! -s $T/out ]]
		done
		[[ $(as peer --json nda notices | grep -c '"state":"failed"') == $((3 * round)) ]]
		as peer inbox list >"$T/shown"; as peer nda notices >>"$T/shown"; as peer dossier list >>"$T/shown"
		[[ $(grep -c smuggled "$T/shown") == 0 ]]
		grep -q ALERT "$T/shown"
		as peer nda terminate "$NDA" --yes || [[ $round == 2 ]]
		as bad sync
	done
}

@test "the twenty-first notice of a day is refused in words" {
	pair
	for _ in $(seq 20); do goes a consent; done
	refuses 6 as a nda notice "$NDA" consent --yes --summary S
	said 'usually 20'
	said 'tomorrow'
	# the other direction is another pair
	as b sync
	goes b consent
}

@test "what was told is confirmed in time, or loudly too late" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	pair
	today=$(TZ=Asia/Tokyo date +%F)
	broker_stop
	broker_at +16d
	refuses 2 later +16d a nda notice "$NDA" marking-confirmation --yes --occurred-at "$today" --summary S
	said 'TOO LATE'
	said "$(TZ=Asia/Tokyo date -d '+14 days' +%F)"
	refuses 0 later +16d a nda notice "$NDA" marking-confirmation --yes --occurred-at "$today" --summary S --late
	said 'TOO LATE'
	later +16d a nda view "$NDA" >"$T/view"
	cat "$T/view"
	grep -q 'done LATE' "$T/view"
	broker_end
}

@test "duties stand in view, list and inbox before they fall due, and a certificate settles them" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	pair
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	as b sync
	dossier=$(as b --json dossier list | value dossier_id)
	as b dossier get "$dossier" --output "$T/got"
	as b --json nda view "$NDA" >"$T/view"
	python3 - "$T/view" <<-'PY'
		import json, sys
		o = json.load(open(sys.argv[1]))
		kinds = [d["duty"] for d in o["duties"]]
		assert kinds[0] == "starts" and "next_step" in kinds and "ends" in kinds and "survival_ends" in kinds, kinds
		r = [d for d in o["duties"] if d["duty"] == "return"]
		assert len(r) == 1 and r[0]["whose"] == "us" and not r[0]["done"], r
		assert o["next_date"]["what"] == "next_step", o["next_date"]
	PY
	[[ $(as b --json inbox list | grep -c '"kind":"duty"') == 0 ]]
	refuses 2 as a nda notice "$NDA" return-request --yes --dossier "$dossier" --choice destroy --due "$(TZ=Asia/Tokyo date -d '-1 day' +%F)"
	said '--due is a day that is over'
	# the certificate is owed 30 days after the day of the request
	as a nda notice "$NDA" return-request --yes --dossier "$dossier" --choice destroy --due "$(TZ=Asia/Tokyo date +%F)"
	as b sync
	refuses 0 as b nda read "$(as b --json nda notices | value notice_id)"
	later +2d b --json inbox list 2>/dev/null | grep '"duty":"return"' >"$T/due"
	cat "$T/due"
	grep -q '"whose":"us"' "$T/due"
	grep -q '"overdue":false' "$T/due"
	[[ $(value nda_id <"$T/due") == "$NDA" ]]
	later +33d b --json inbox list 2>/dev/null | grep '"duty":"return"' | grep -q '"overdue":true'
	later +33d b inbox list 2>/dev/null | grep -q OVERDUE
	# the other side sees who owes it
	later +2d a --json inbox list 2>/dev/null | grep '"duty":"return"' | grep -q '"whose":"them"'
	as b nda view "$NDA" | grep "renkei dossier destroy --nda ${NDA:0:12} --certificate"
	as b nda notice "$NDA" destruction-certificate --yes --dossier "$dossier" --method "Deleted" --signer "B. Person"
	as a sync
	refuses 0 as a nda read "$(as a --json nda notices | grep '"direction":"in"' | value notice_id)"
	[[ $(later +2d a --json inbox list 2>/dev/null | grep -c '"duty":"return"') == 0 ]]
	[[ $(later +2d b --json inbox list 2>/dev/null | grep -c '"duty":"return"') == 0 ]]
	as a --json nda view "$NDA" | grep -q '"duty":"return","due":"[0-9-]*","due_at":"[^"]*","whose":"them","org":[^}]*},"done":true'
	# an answer settles the next step, and the list goes on to the next date
	as a nda notice "$NDA" next-step --yes --go
	[[ $(as a --json nda list | python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())["next_date"]["what"])') == ends ]]
	# what can still be done after the end
	as a nda terminate "$NDA" --yes
	as a nda view "$NDA" >"$T/view"
	grep "^You may  *renkei nda notice ${NDA:0:12} KIND" "$T/view"
	refuses 1 grep 'nothing more' "$T/view"
}

@test "a certificate names only dossiers of its own agreement" {
	pair
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	as b sync
	dossier=$(as b --json dossier list | value dossier_id)
	agree a b
	refuses 2 as b nda notice "$NDA" destruction-certificate --yes --dossier "$dossier" --method M --signer S
	said 'not sent under this agreement'
}
