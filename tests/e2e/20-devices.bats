#!/usr/bin/env bats
# Several machines of one organisation: added by its key, each with keys and wraps of its own; desks that need to know; removal at once (P2, P3, P6).
load kit

# add NAME LABEL [ARG...]: a new machine of b, let in and supplied; homes are $T/NAME.
add() {
	local name=$1 label=$2 card
	shift 2
	card=$(as b device invite)
	as "$name" device request "$card" --label "$label" --no-passphrase --out "$T/$name.rk" >&2
	as "$name" --json status | value fingerprint >"$T/$name.fp"
	as b device add "$T/$name.rk" --fingerprint "$(<"$T/$name.fp")" "$@" >&2
	as "$name" sync >&2
	as secretariat sync >&2
	as "$name" sync >&2
}

# As in kit.bash, with device keys that open at once: most of what these scenarios do is opening homes.
join() {
	local invite
	invite=$(as secretariat member invite)
	as "$1" join "$invite" --name "$1" --kind "${2:-sme}" --no-passphrase
	as secretariat sync
	as secretariat member approve "$(org "$1")" --fingerprint "$(as "$1" --json status | value fingerprint)"
	as "$1" sync
}

setup_file() {
	setup
	exchange_start
	join a sme
	join b university
	agreement >"$T/nda"
	as secretariat sync
	as a --json status | value root_fingerprint >"$T/root"
	as b device desk "$(as b --json status | value device_id)" "Lab A"
	add b2 "Machine two" --desk "Lab B"
	as a sync
	broker_stop
	mv "$T" "$BATS_FILE_TMPDIR/pair"
}

@test "a machine is let in by the list alone, after both screens were compared" {
	pair
	card=$(as b device invite)
	refuses 2 as b3 device request "${card%?}" --label x
	said 'not a text of'
	as b3 --json device request "$card" --label "Machine three" >"$T/b3.json"
	request=$(value request <"$T/b3.json")
	[[ $(as b3 --json device request | value request) == "$request" ]]
	refuses 4 as b3 sync
	said 'has not been added'
	refuses 4 as b3 post list
	said 'device add'
	refuses 9 as b device add "$request" --fingerprint 00000000-00000000-00000000-00000000-00000000
	said 'not the one of this request'
	refuses 2 as b device add "${request%?}"
	refuses 2 as b device add "$request"                # nobody to ask
	said --fingerprint
	refuses 8 as a device add "$request" --fingerprint "$(value fingerprint <"$T/b3.json")"
	said 'another organisation'
	as b device add "$request" --fingerprint "$(value fingerprint <"$T/b3.json")" --desk "Lab A"
	refuses 7 as b device add "$request" --fingerprint "$(value fingerprint <"$T/b3.json")"
	said 'in the list already'
	as b3 --json sync | grep '"device_waits_for":"feed_key"'
	as secretariat sync
	as b3 --json sync | grep '"device_waits_for":null'
	[[ $(as b --json device list | count device_id) == 3 ]]
	as a --json device list --org b | grep 'Machine three' | grep '"status":"active"'
	# A machine without the organisation's key does all but sign for it.
	refuses 4 as b3 nda propose --with a --purpose P --form plain --until "$(date -u -d '+1 year' +%F)" --signatory B
	said 'organisation key is not on this device'
	refuses 4 as b3 device remove "Machine two" --retired --yes
	said 'not on this device'
	id=$(post b3 offer "From three")
	as a feed follow offer
	as a sync
	as a post view "$id" | grep 'From three'
	as b3 device message --desk "lab a" "Kiln two is free."
	as b sync
	as b --json inbox list | grep '"kind":"device_message"'
	as b inbox read "$(as b --json inbox list | grep device_message | value no)" | grep 'Kiln two is free.'
	as b2 sync
	[[ $(as b2 --json inbox list | grep -c device_message) == 0 ]]
	as a sync
	[[ $(as a --json inbox list | grep -c device_message) == 0 ]]
}

@test "a dossier for desk A opens on A and not on B; the whole organisation has one copy each" {
	pair
	# what was sealed before it was there alarms it not
	[[ $(as b2 inbox list | grep -c no-recipient-key) == 0 ]]
	echo "for A" >"$T/a.txt"
	refuses 5 as a dossier send --nda "$NDA" --to "b/Lab C" "$T/a.txt"
	said 'its desks: Lab A, Lab B'
	refuses 2 as a dossier send --nda "$NDA" --to "b/Lab A" --to "b/Lab B" "$T/a.txt"
	said 'one desk only'
	as a member view b | grep 'Lab B'
	id=$(as a --json dossier send --nda "$NDA" --to "b/lab a" "$T/a.txt" | value dossier_id)
	as b2 sync
	[[ $(as b2 --json inbox list | grep -c '"kind":"dossier"') == 0 ]]
	as b2 dossier list | grep 'for the desk Lab A'
	as b2 --json dossier view "$id" | grep '"available":false'
	refuses 7 as b2 dossier get "$id" --output "$T/stolen"
	said 'for the desk Lab A'
	[[ ! -e $T/stolen ]]
	as b sync
	as b dossier get "$id" --output "$T/got"
	cmp "$T/a.txt" "$T/got/a.txt"
	# The answer of A stays A's on its own side, and what answers it goes back to A.
	answer=$(as b --json dossier send --nda "$NDA" --reply-to "$id" --message "Seen." | value dossier_id)
	as b2 sync
	as b2 --json dossier view "$answer" | grep '"title":null'
	refuses 7 as b2 dossier get "$answer" --output "$T/stolen"
	as a sync
	as a dossier get "$answer" --output "$T/answer"
	back=$(as a --json dossier send --nda "$NDA" --reply-to "$answer" --message "Good." | value dossier_id)
	as a --json dossier view "$back" | grep '"desk":"Lab A"'
	# To all: each picks it up for itself, each on record, and fetches the attachment in parts of its own.
	head -c 3000000 /dev/urandom >"$T/film.bin"
	all=$(as a --json dossier send --nda "$NDA" --message "For all of you." "$T/film.bin" | value dossier_id)
	for home in b b2; do
		as "$home" sync
		as "$home" dossier get "$all" --output "$T/all-$home"
		grep 'For all of you.' "$T/all-$home/message.txt"
		cmp "$T/film.bin" "$T/all-$home/film.bin"
	done
	as secretariat sync
	as a sync
	[[ $(as a --json dossier view "$all" | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["pickups"]))') == 2 ]]
	as a receipt export "$id" --output "$T/desk.renkei-receipt"
	as a receipt verify "$T/desk.renkei-receipt" --root "$ROOT"
}

@test "a removed machine is cut off at once; what it said in good order stands, what a thief may have said does not" {
	pair
	add b3 "Machine three"
	old=$(post b2 offer "Said by two" test/two)
	thief=$(post b3 offer "Said by three" test/three)
	as a feed follow offer
	as a sync
	as a --json post list | grep "$thief" | grep '"status":"live"'
	self=$(as b --json status | value device_id)
	refuses 2 as b device remove "Machine two" --yes
	said 'retired or --compromised'
	refuses 8 as b device remove "$self" --retired --yes
	said 'does not remove itself'
	refuses 5 as b device remove "Machine nine" --retired --yes
	as b2 feed follow offer
	timeout 60 renkei --no-input --home "$T/b2" feed watch >"$T/watch.out" 2>"$T/watch.err" &
	WATCH=$!
	for _ in $(seq 100); do grep -q 'Said by three' "$T/watch.out" && break; sleep 0.1; done
	grep -q 'Said by three' "$T/watch.out"
	as b device remove "Machine two" --retired --yes
	code=0
	wait "$WATCH" || code=$?
	WATCH=
	[[ $code == 8 ]]
	refuses 8 as b2 sync
	after=$(post a offer "After the removal")
	[[ $(grep -c 'After the removal' "$T/watch.out") == 0 ]]
	refuses 8 as b2 sync
	[[ $(as b2 --json post list --offline | grep -c "$after") == 0 ]]
	as b device remove "Machine three" --compromised --yes
	as b --json device list | grep '"status":"retired"'
	[[ $(as b --json device list | count device_id) == 2 ]]
	refuses 7 as b device remove "Machine two" --retired --yes
	said 'retired already'
	# Whoever had it sees it withdrawn; whoever comes later never sees it.  What was retired is as good as before.
	as a sync
	as a --json post list | grep "$old" | grep '"status":"live"'
	[[ $(as a --json post list | grep -c "$thief") == 0 ]]
	refuses 5 as secretariat post view "$thief"
	as secretariat feed follow offer
	as secretariat sync
	as secretariat post view "$old" | grep 'Said by two'
	refuses 5 as secretariat post view "$thief"
	# Its keys never come back.
	refuses 7 as b device add "$T/b3.rk" --fingerprint "$(<"$T/b3.fp")"
	said 'never comes back'
	as b3 doctor >"$T/out" 2>"$T/err" || true
	said 'device was removed'
	echo "later" >"$T/later.txt"
	as a dossier send --nda "$NDA" "$T/later.txt"
	as b sync
	as b dossier get "$(as b --json dossier list | value dossier_id)" --output "$T/later"
	as b device renew | grep 'valid until'
	broker_stop
	refuses 6 as b device remove "Machine two" --compromised --yes
	said 'Telephone the secretariat'
}

@test "a removal that the exchange takes but cannot prove is not done" {
	RENKEID=$RENKEI_BUILD/tests/e2e/liar
	mkdir -p "$BATS_FILE_TMPDIR/pair/broker/lie"
	pair
	touch "$T/broker/lie/other-list"
	refuses 3 as b device remove "Machine two" --compromised --yes
	said 'does not count as done'
	said 'Telephone the secretariat'
}

@test "history goes to a new machine by hand: contents, documents, evidence; nothing is replaced or brought back" {
	pair
	for i in 1 2 3; do
		echo "content $i" >"$T/$i.txt"
		as a dossier send --nda "$NDA" --title "Run $i" "$T/$i.txt"
	done
	note=$(as a --json nda notice "$NDA" consent --yes --summary "Go on." | value notice_id)
	as b sync
	one=$(as b --json dossier list | grep 'Run 1\|waiting' | tail -1 | value dossier_id)
	rest=$(as b --json dossier list | sed -n 2p | value dossier_id)
	two=$(as b --json dossier list | head -1 | value dossier_id)
	as b dossier get "$one" --output "$T/got1"
	as b dossier get "$two" --output "$T/got2"
	echo "had it before" >"$T/before.txt"
	as b deposit "$T/before.txt"
	own=$(as b --json dossier send --nda "$NDA" --message "From B." | value dossier_id)
	post=$(post b offer "A post of b")
	as secretariat sync
	as b sync
	add b3 "Machine three"
	[[ $(as b3 --json dossier view "$one" | value title) == "" ]]
	refuses 7 as b3 dossier get "$one" --output "$T/none"
	said 'not sealed to this device: it was sent before'
	said 'renkei device export FILE'
	never said 'no device with a valid key'
	refuses 7 as b3 nda read "$note"
	said 'not sealed to this device'
	refuses 7 as b3 dossier decline "$rest"
	said 'not sealed to this device'
	[[ ! -e $T/none ]]
	as b device export "$T/history.age" --code-file "$T/code"
	refuses 7 as b device export "$T/history.age" --code-file "$T/code"
	head -c 21 "$T/history.age" | grep -q 'age-encryption.org/v1'
	[[ $(grep -ac 'content 1' "$T/history.age") == 0 ]]
	as b dossier destroy "$two" --yes
	refuses 8 as a device import "$T/history.age" --code-file "$T/code"
	said 'another organisation'
	as b --json device import "$T/history.age" --code-file "$T/code" | grep '"taken":0'
	refuses 7 as b dossier get "$two" --output "$T/back"
	head -c 4000 "$T/history.age" >"$T/cut.age"
	refuses 9 as b3 device import "$T/cut.age" --code-file "$T/code"
	[[ $(as b3 --json dossier view "$one" | value title) == "" ]]
	as b3 --json device import "$T/history.age" --code-file "$T/code" >"$T/import.json"
	[[ $(value refused <"$T/import.json") == 0 && $(value taken <"$T/import.json") -ge 4 ]]
	as b3 --json device import "$T/history.age" --code-file "$T/code" | grep '"taken":0'
	as b3 dossier get "$one" --output "$T/again"
	cmp "$T/1.txt" "$T/again/1.txt"
	as b3 dossier view "$own" | grep 'From B.'
	as b3 nda view "$NDA" | grep -i 'purpose'
	[[ $(as b3 nda view "$NDA" | grep -c 'page not here') == 0 ]]
	as b3 --json deposit list | grep 'before.txt'
	as b3 sync
	as b3 receipt export "$one" --with-content --output "$T/b3.renkei-receipt"
	as b3 receipt verify "$T/b3.renkei-receipt" --root "$ROOT"
}
