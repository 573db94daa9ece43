#!/usr/bin/env bats
# Another key of an organisation, with the old one's word and without; and several officers of the secretariat.
load kit
load clock

setup_file() { pair_file; }

# rekey HOME [OPTION...]: asks in that home, grants in the secretariat's, and lets everybody know.  JSON of both in $T/asked, $T/granted.
rekey() {
	local home=$1
	shift
	as "$home" --json key rotate --org "$@" >"$T/asked"
	as secretariat --json member rekey "$(org "$home")" "$(value request <"$T/asked")" --fingerprint "$(value fingerprint <"$T/asked")" \
		>"$T/granted"
	as "$home" sync
	for other in a b; do as "$other" sync; done
}

state() { as "$1" --json nda view "$2" | value state; }

send() { # HOME TITLE [NDA]: prints the id
	echo "$2, in full" >"$T/$2.txt"
	as "$1" --json dossier send --nda "${3:-$NDA}" --title "$2" "$T/$2.txt" | value dossier_id
}

proves() { # LEVEL FILE, by the program and by the page of Python
	HOME=$T/nobody renkei --json receipt verify "$2" --root "$ROOT" >"$T/verdict" || { cat "$T/verdict"; return 1; }
	[[ $(value level <"$T/verdict") == "$1" ]] || { cat "$T/verdict"; return 1; }
	sed -n '/<!-- verify.py -->/,/<!-- end of verify.py -->/p' "$BATS_TEST_DIRNAME/../../proto/RECEIPT.md" | sed '/^<!--/d; /^```/d' >"$T/verify.py"
	python3 "$T/verify.py" "$2" "$ROOT" >"$T/page" || { cat "$T/page"; return 1; }
}

fingerprint_of() { as "$1" --json key show | python3 -c '
import json, sys
for line in sys.stdin:
    k = json.loads(line)
    if k["key"] == sys.argv[1]: print(k["fingerprint"], k["in_force"])' "$2"; }

@test "with the old key: the agreement goes on, acts by the new key count, and receipts prove both sides of the change" {
	pair
	before=$(send a before)
	b_got=$(send a under)
	as b sync
	as b dossier get "$before" --output "$T/got"
	as a sync
	cp "$T/a/org.key" "$T/old.key"

	refuses 2 as a key rotate
	said 'Say --org'
	refuses 8 as b member rekey "$(org a)" rk-orgkey:AAAA
	as a --json key rotate --org --out "$T/request" >"$T/asked"
	grep -q '^rk-orgkey:' "$T/request"
	[[ $(fingerprint_of a org-next) == "$(value fingerprint <"$T/asked") False" ]]
	# Until it is granted the old key acts, also in another agreement.
	refuses 9 as secretariat member rekey "$(org a)" "$T/request" --fingerprint 00000000-00000000-00000000-00000000-00000000
	said 'nothing was changed'
	refuses 7 as secretariat member rekey "$(org b)" "$T/request" --fingerprint "$(value fingerprint <"$T/asked")"
	said 'not about the key'
	as a nda hold "$NDA"
	as a nda resume "$NDA"
	as secretariat member rekey a "$T/request" --fingerprint "$(value fingerprint <"$T/asked")" >"$T/out" 2>"$T/err"
	said 'agreements go on'
	as a sync >"$T/out" 2>"$T/err"
	said 'new organisation key is in force'
	said 'list of your devices is signed'
	[[ ! -e $T/a/org-next.key ]]
	[[ $(fingerprint_of a org) == "$(value fingerprint <"$T/asked") True" ]]
	as b sync
	[[ $(as b --json doctor | count bad-object) == 0 ]]

	# In force on both sides, in both directions; what was sent before it is picked up after it.
	[[ $(state a "$NDA") == in_force && $(state b "$NDA") == in_force ]]
	as b dossier get "$b_got" --output "$T/got"
	answer=$(send b answer)
	as a sync
	as a dossier get "$answer" --output "$T/got"
	after=$(send a after)
	as b sync
	as b dossier get "$after" --output "$T/got"
	as a sync
	for id in "$before" "$answer"; do as a receipt export "$id" --output "$T/r-$id"; done
	for id in "$b_got" "$after"; do as b receipt export "$id" --output "$T/r-$id"; done
	for id in "$before" "$b_got" "$answer" "$after"; do proves picked_up "$T/r-$id"; done

	# The new key acts, the old one does not any more: neither its file, nor what it signs.
	as a nda hold "$NDA"
	as a nda resume "$NDA"
	cp "$T/a/org.key" "$T/new.key"
	cp "$T/old.key" "$T/a/org.key"
	refuses 8 as a nda terminate "$NDA" --yes
	said 'not the key that the directory names'
	cp "$T/new.key" "$T/a/org.key"
	as a nda terminate "$NDA" --yes
	as b sync
	[[ $(state b "$NDA") == terminated ]]
}

@test "without the old key: suspended on both sides until it is made anew; the thief of the old key gets nowhere" {
	pair
	waiting=$(send b waiting)
	cp -a "$T/a" "$T/thief"
	rekey a --lost
	[[ $(value lost <"$T/granted") == True ]]
	for home in a b; do
		[[ $(state "$home" "$NDA") == suspended ]]
		as "$home" nda view "$NDA" >"$T/out" 2>"$T/err"
		said 'the key of a was replaced without its old key on .*nda propose --again'
		refuses 8 as "$home" dossier send --nda "$NDA" --title nothing "$T/waiting.txt"
	done
	[[ $(as b --json nda view "$NDA" | python3 -c 'import json,sys; print(json.load(sys.stdin)["suspended_by"][0]["reason"])') == key-replaced ]]
	# What was accepted before is not released now.
	refuses 8 as a dossier get "$waiting" --output "$T/got"

	# The thief has the old key and even the device.
	cp "$T/thief/org.key" "$T/stolen.key"
	cp "$T/a/org.key" "$T/new.key"
	cp "$T/stolen.key" "$T/a/org.key"
	refuses 8 as a nda terminate "$NDA" --yes
	refuses 8 as a nda propose --again "$NDA" --signatory T
	refuses 8 as a key rotate --org
	cp "$T/new.key" "$T/a/org.key"

	# Stopping is possible for the new key, and so is beginning anew.
	# It begins on the day of its proposal, and nothing is sent in its first five minutes: by a clock six minutes slow that day is older than
	# that, also just after midnight (where there is no libfaketime, at all other hours).
	AGAIN=$(later -6m a --json nda propose --again "$NDA" --signatory A | value nda_id)
	as b sync
	as b nda view "$AGAIN" >"$T/out" 2>"$T/err"
	said "$(cut -c1-12 <<<"$NDA")"
	as b nda sign "$AGAIN" --yes --signatory B
	as a sync
	[[ $(state a "$AGAIN") == in_force && $(state b "$AGAIN") == in_force && $(state a "$NDA") == suspended ]]
	fresh=$(send b fresh "$AGAIN")
	as a sync
	as a dossier get "$fresh" --output "$T/got"
	as a receipt export "$fresh" --output "$T/r"
	as a nda terminate "$NDA" --yes
	as b sync
	[[ $(state b "$NDA") == terminated && $(state b "$AGAIN") == in_force ]]

	# Who joins now never saw the old key.
	join c sme
	NDA2=$(propose c a --signatory C)
	as a sync
	as a nda sign "$NDA2" --yes --signatory A
	as c sync
	late=$(send c late "$NDA2")
	as a sync
	as a dossier get "$late" --output "$T/got"
}

@test "officers: one more is named without another log, admits a member with a key of their own, and leaves again" {
	pair
	adopt() { broker_stop; renkeid adopt --data "$T/broker" "$1"; broker_run; as secretariat sync; }
	log=$(as a --json status | value origin)
	as officer --json secretariat officer request >"$T/asked"
	[[ $(as officer --json secretariat officer request | value request) == "$(value request <"$T/asked")" ]]
	refuses 8 as a secretariat officer add "$(value request <"$T/asked")" --label Sato --out "$T/no.rk" --fingerprint "$(value fingerprint <"$T/asked")"
	refuses 9 as secretariat secretariat officer add "$(value request <"$T/asked")" --label Sato --out "$T/no.rk" --fingerprint "$(printf '0%.0s' {1..40})"
	[[ ! -e $T/no.rk ]]
	as secretariat secretariat officer add "$(value request <"$T/asked")" --label Sato --out "$T/c2.rk" --fingerprint "$(value fingerprint <"$T/asked")"
	adopt "$T/c2.rk"
	[[ $(as a --json secretariat officer list | count label) == 2 ]]
	[[ $(as a --json status | value origin) == "$log" ]]

	# The officer sits down at the secretariat's device, with a key of their own.
	cp "$T/secretariat/secretariat.key" "$T/first.key"
	cp "$T/officer/secretariat.key" "$T/secretariat/secretariat.key"
	join c sme
	as a sync
	[[ $(as a --json member list | count org_id) == 4 ]]

	# Who leaves: the first officer.  The directory that stands is signed by the second, and the third key of the second follows.
	as secretariat secretariat officer remove 1 --out "$T/c3.rk"
	refuses 5 as secretariat secretariat officer remove nobody --out "$T/c4.rk"
	adopt "$T/c3.rk"
	cp "$T/first.key" "$T/secretariat/secretariat.key.first"
	as secretariat secretariat officer rotate --out "$T/c4.rk"
	adopt "$T/c4.rk"
	[[ ! -e $T/secretariat/secretariat-next.key ]]
	as a --json secretariat officer list >"$T/out"
	[[ $(grep -c '"in_force": *true' "$T/out") == 1 ]]
	as secretariat member suspend c
	refuses 7 as secretariat secretariat officer remove Sato --out "$T/c5.rk"
	said 'Nobody would be left'

	# The first officer's key is worth nothing any more.
	cp "$T/secretariat/secretariat.key" "$T/third.key"
	cp "$T/first.key" "$T/secretariat/secretariat.key"
	refuses 8 as secretariat member reinstate c
	cp "$T/third.key" "$T/secretariat/secretariat.key"
	as secretariat member reinstate c
}

@test "two officers at two devices: who is not named yet keeps out of it; a request that one decides waits for neither" {
	pair
	card=$(as secretariat device invite)
	as s2 device request "$card" --label "Second desk" --no-passphrase --out "$T/s2.rk"
	as secretariat device add "$T/s2.rk" --fingerprint "$(as s2 --json status | value fingerprint)"
	as s2 sync
	as secretariat sync
	as s2 --json secretariat officer request >"$T/asked"
	as secretariat secretariat officer add "$(value request <"$T/asked")" --label Sato --out "$T/c2.rk" --fingerprint "$(value fingerprint <"$T/asked")"
	# Something is due for it to keep out of.
	refuses 3 as s2 secretariat duty
	as s2 sync >"$T/out" 2>"$T/err"
	said 'left to others'
	# Nobody has to open a key for that.
	echo wrong >"$T/wrong"
	RENKEI_SECRETARIAT_PASSPHRASE_FILE=$T/wrong as s2 sync
	broker_stop
	renkeid adopt --data "$T/broker" "$T/c2.rk"
	broker_run
	as secretariat sync
	as s2 sync >"$T/out" 2>"$T/err"
	never said 'left to others'
	invite=$(as s2 member invite)
	as c join "$invite" --name c --kind sme --label "Front desk" --no-passphrase
	as secretariat sync
	as s2 sync
	as secretariat --json member list | grep '"pending"'
	as s2 member approve "$(org c)" --fingerprint "$(as c --json status | value fingerprint)"
	as c sync
	as c --json device list | grep 'Front desk'
	as secretariat sync
	[[ $(as secretariat --json member list | grep -c '"pending"') == 0 ]]
	[[ $(as secretariat --json inbox list | grep '"kind":"enrolment"' | grep -c '"read":false') == 0 ]]
	as secretariat --json secretariat duty | grep '"enrolments"' | grep '"count":0'
	refuses 7 as secretariat member approve c --fingerprint "$(as c --json status | value fingerprint)"
	said 'member already'
	# What one has changed the other goes on from, and the next directory is either's.
	as secretariat member suspend c
	as s2 member reinstate c
	[[ $(as a --json member list | count org_id) == 4 ]]
}
