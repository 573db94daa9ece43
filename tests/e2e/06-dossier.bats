#!/usr/bin/env bats
# Dossiers: released under an agreement in force, refused otherwise, returned when the agreement ends (P1, P2).
load kit

setup_file() { pair_file; }

@test "text and files arrive byte for byte, and nothing is overwritten" {
	pair
	head -c 150000 /dev/urandom >"$T/data.bin"
	printf 'hello\n' >"$T/note.txt"
	as a dossier send --nda "$NDA" --title "Run 14" --message "See the note." "$T/data.bin" "$T/note.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	as b dossier get "$id" --output "$T/got"
	cmp "$T/data.bin" "$T/got/data.bin"
	cmp "$T/note.txt" "$T/got/note.txt"
	refuses 7 as b dossier decline "$id"
	said 'opened here'
	as b --json inbox list | grep '"kind":"dossier"' | grep '"read":true'
	echo mine >"$T/got/note.txt"
	as b dossier get "$id" --output "$T/got" || true
	[[ $(cat "$T/got/note.txt") == mine ]]
	as a sync
	as a --json dossier list | grep -q '"picked_up'
}

@test "what cannot be saved is not signed for if that shows before, and is said to be signed for if not" {
	pair
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	refuses 2 as b dossier get "$id" --output "$T/x.txt"
	said 'nothing was signed for'
	refuses 2 as b dossier get "$id" --output "$T/none/deeper"
	[[ $(as b --json dossier view "$id" | value state) == waiting ]]
	mkdir "$T/got"
	echo mine >"$T/got/x.txt"
	refuses 7 as b dossier get "$id" --output "$T/got"
	said 'signed for and opened.*only the saving failed.*got/x.txt is there already'
	[[ $(as b --json dossier view "$id" | value state) == opened ]]
	as b dossier get "$id" --output "$T/other" 2>"$T/err"
	cmp "$T/x.txt" "$T/other/x.txt"
}

@test "what fits in no dossier is refused before anything is sent" {
	pair
	refuses 2 as a dossier send --nda "$NDA" --message "$(head -c 70000 /dev/zero | tr '\0' x)"
	said '64 KiB'
	truncate -s 2147483649 "$T/film.mov"
	refuses 2 as a dossier send --nda "$NDA" "$T/film.mov"
	said '2 GiB'
	mkdir "$T/d"
	echo x >"$T/x.txt"
	echo x >"$T/d/X.TXT"
	refuses 2 as a dossier send --nda "$NDA" "$T/x.txt" "$T/d/X.TXT"
	said 'same name'
}

@test "a file that is not there is told by its path" {
	pair
	refuses 5 as a dossier send --nda "$NDA" "$T/absent.txt"
	said 'no file .*absent.txt'
	said 'Check the path'
}

@test "refused against the direction of a one-way agreement" {
	pair --discloser self
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	refuses 8 as b dossier send --nda "$NDA" "$T/x.txt"
	said 'direction|one-way|receive|disclos'
}

@test "refused unmarked where a mark is required" {
	pair --marking-required
	echo x >"$T/x.txt"
	refuses 8 as a dossier send --nda "$NDA" --marking none "$T/x.txt"
	said 'mark'
	as a dossier send --nda "$NDA" --marking confidential "$T/x.txt"
}

@test "refused after hold and after termination; what was not picked up returns" {
	pair
	echo one >"$T/one.txt"
	as a dossier send --nda "$NDA" "$T/one.txt"
	as b nda hold "$NDA"
	as a sync
	refuses 8 as a dossier send --nda "$NDA" "$T/one.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	refuses 8 as b dossier get "$id" --output "$T/held"
	as b nda resume "$NDA"
	as b nda terminate "$NDA" --yes
	refuses 8 as b dossier get "$id" --output "$T/late"
	as a sync
	refuses 8 as a dossier send --nda "$NDA" "$T/one.txt"
	as a --json dossier list | grep -q 'returned'
	as a inbox list | grep -qi 'return'
}

@test "a dossier that waited and was then refused is told in the inbox" {
	pair
	echo one >"$T/one.txt"
	broker_stop
	refuses 6 as a dossier send --nda "$NDA" "$T/one.txt"
	broker_run
	as b nda hold "$NDA"
	refuses 3 as a sync
	as a inbox list | grep 'not sent: nda-held'
	as a --json inbox list | grep -q '"detail":"unsent:nda-held"'
	[[ $(as a --json dossier list | count dossier_id) == 0 ]]
}

@test "what was received stays readable after the agreement ended" {
	pair
	echo keep >"$T/keep.txt"
	as a dossier send --nda "$NDA" "$T/keep.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	as b dossier get "$id" --output "$T/one"
	as a nda terminate "$NDA" --yes
	as b sync
	as b dossier get "$id" --output "$T/two"
	cmp "$T/keep.txt" "$T/two/keep.txt"
}

@test "a stranger is refused, and an unknown agreement answers alike" {
	pair
	join c sme
	echo x >"$T/x.txt"
	refuses 8 as c dossier send --nda "$NDA" --to "$(org a)" "$T/x.txt"
	cp "$T/err" "$T/err1"
	refuses 8 as c dossier send --nda "$(printf '0%.0s' {1..64})" --to "$(org a)" "$T/x.txt"
	refuses 8 as a dossier send --nda "$NDA" --to "$(org c)" "$T/x.txt"
}

@test "no word of posts, agreements or dossiers is in the broker's files" {
	pair
	echo "xylophone-secret" >"$T/s.txt"
	post a offer "zanzibar-offer" >/dev/null
	as a dossier send --nda "$NDA" --title "quokka-title" --message "wombat-text" "$T/s.txt"
	as b sync
	as b dossier get "$(as b --json dossier list | value dossier_id)" --output "$T/got"
	broker_stop
	never grep -ra -e xylophone-secret -e zanzibar-offer -e quokka-title -e wombat-text "$T/broker"
	# nor in clear in the homes' stores
	never grep -ra -e xylophone-secret -e quokka-title -e wombat-text "$T/a" "$T/b"
}

@test "the sender sees which device picked it up, when, and where that stands in the log" {
	pair
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	[[ $(as a --json dossier view "$id" | value state) == lodged ]]
	[[ $(as b --json dossier view "$id" | value state) == waiting ]]
	as b dossier get "$id" --output "$T/got"
	[[ $(as b --json dossier view "$id" | value state) == opened ]]
	as a --json dossier view "$id" >"$T/view"
	python3 - "$T/view" "$(as b --json status | value device_id)" <<-'END'
		import json, sys
		o = json.load(open(sys.argv[1]))
		p, = o["pickups"]
		assert o["state"] == "picked_up" and o["to"][0]["state"] == "picked_up", o
		assert p["log_index"] > o["log_index"] and len(p["device_id"]) == 32 and p["time"] >= o["time"], o
		assert sys.argv[2] in ("", p["device_id"]), o
	END
	as a dossier view "$id" | grep 'Picked up' | grep 'log index'
}

@test "what is destroyed is gone from the home, and what was saved outside is named" {
	pair
	echo "wombat-content" >"$T/report.txt"
	as a dossier send --nda "$NDA" --title "Run 14" "$T/report.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	refuses 7 as b dossier destroy "$id" --yes
	said 'not here'
	as b dossier get "$id" --output "$T/got"
	refuses 2 as b dossier destroy "$id"
	refuses 2 as b dossier destroy --yes
	cp -r "$T/b" "$T/before"
	as b dossier destroy "$id" --yes >"$T/out" 2>"$T/err"
	grep -q "$T/got/report.txt" "$T/out"
	said 'delete them yourself'
	said 'report.txt \(saved'
	refuses 1 cmp -s "$T/before/kx.key" "$T/b/kx.key"
	as b dossier list | grep 'destroyed'
	as b dossier view "$id" | grep 'destroyed'
	# Said again, it is said how things stand; and where a certificate comes from now.
	[[ $(as b --json dossier destroy "$id" --yes | value state) == destroyed ]]
	refuses 7 as b dossier destroy "$id" --yes --certificate
	said "renkei nda notice ${NDA:0:12} destruction-certificate"
	[[ $(as b --json dossier view "$id" | value state) == destroyed ]]
	refuses 7 as b dossier get "$id" --output "$T/again"
	said 'destroyed'
	[[ ! -e $T/again ]]
	# Neither does the store of before open with the keys of now.
	cp "$T/before/store/data.mdb" "$T/b/store/data.mdb"
	as b --json dossier view "$id" | grep -q '"title":null'
	# The sender's own copy is the sender's to keep, and to destroy.
	as a dossier view "$id" | grep 'Run 14'
	as a dossier destroy "$id" --yes
	as a dossier view "$id" >"$T/view"
	refuses 1 grep 'Run 14' "$T/view"
}

@test "a certificate of destruction goes to who had sent it, also after the agreement ended" {
	pair
	for n in 1 2; do
		echo "$n" >"$T/$n.txt"
		as a dossier send --nda "$NDA" "$T/$n.txt"
	done
	as b sync
	for id in $(as b --json dossier list | python3 -c 'import json, sys; [print(json.loads(l)["dossier_id"]) for l in sys.stdin]'); do
		as b dossier get "$id" --output "$T/got"
	done
	as a nda terminate "$NDA" --yes
	# The copies are named before the question, and only those that are still there in the certificate.
	refuses 2 as b dossier destroy --nda "$NDA" --certificate
	said "got/1.txt"
	said "got/2.txt"
	rm "$T/got/1.txt"
	as b dossier destroy --nda "$NDA" --yes --certificate --signer "Sato Haruka"
	as b dossier destroy --nda "$NDA" --yes 2>&1 | grep 'nothing to destroy'
	as a sync
	as a inbox list | grep 'notice under an agreement'
	notice=$(as a --json inbox list | python3 -c 'import json, sys; [print(o["id"]) for o in map(json.loads, sys.stdin) if o["kind"] == "notice"]')
	as a --json nda read "$notice" >"$T/notice"
	[[ $(value notice <"$T/notice") == destruction-certificate && $(value signer <"$T/notice") == "Sato Haruka" ]]
	value exceptions <"$T/notice" | grep '^2.txt (saved [0-9-]*)$'
	# A sender has nothing to certify.
	mine=$(as a --json dossier list | python3 -c 'import json, sys; print([o["dossier_id"] for o in map(json.loads, sys.stdin) if o["direction"] == "out"][0])')
	refuses 2 as a dossier destroy "$mine" --yes --certificate
	[[ $(as a --json dossier view "$mine" | value destroyed_at) == "" || $(as a --json dossier view "$mine" | value destroyed_at) == None ]]
}

@test "declined unseen: on record for both sides, and nothing of it is released any more" {
	pair
	echo secret >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	as b --json dossier decline "$id" >"$T/declined"
	[[ $(value state <"$T/declined") == declined ]]
	index=$(value log_index <"$T/declined")
	[[ $index -gt $(as b --json dossier view "$id" | value log_index) ]]
	refuses 7 as b dossier get "$id" --output "$T/got"
	said 'declined'
	for verb in list "view $id" log; do
		as b dossier $verb >"$T/shown"
		grep -q 'declined here' "$T/shown"
		grep -q 'declined unseen' "$T/shown"
	done
	as b --json inbox list | grep '"kind":"dossier"' | grep '"read":true'
	# Said twice is said once.
	[[ $(as b --json dossier decline "$id" | value log_index) == "$index" ]]
	as a sync
	as a --json dossier view "$id" >"$T/view"
	python3 - "$T/view" "$index" <<-'END'
		import json, sys
		o = json.load(open(sys.argv[1]))
		n, = o["nacks"]
		assert o["state"] == "declined" and o["to"][0]["state"] == "declined" and not o["pickups"], o
		assert n["reason"] == "declined" and n["log_index"] == int(sys.argv[2]) and n["name"] == "b", o
		assert o["to"][0]["return_reason"] == "declined" and o["to"][0]["returned_at"], o
	END
	as a inbox list | grep -c 'your dossier was declined before any of it was seen' | grep -qx 1
	as a --json dossier log | grep -q '"declined_at":"2'
	[[ $(as a --json dossier log | value nack_log_index) == "$index" ]]
}

@test "a decline without the exchange waits, and says so" {
	pair
	echo secret >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	broker_stop
	refuses 6 as b dossier decline "$id"
	said 'not on record yet'
	as b dossier list 2>/dev/null | grep 'not yet on record'
	broker_run
	as b sync
	as b dossier list | grep 'declined here' | grep -v 'not yet'
	as a sync
	[[ $(as a --json dossier view "$id" | value state) == declined ]]
}

@test "one declines, the other takes it: a line for each" {
	exchange_start
	join a sme
	join b university
	join c institute
	NDA=$(propose a "$(org b)" --with "$(org c)")
	for o in b c; do
		as "$o" sync
		as "$o" nda sign "$NDA" --yes --signatory X
	done
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	for o in b c; do as "$o" sync; done
	id=$(as b --json dossier list | value dossier_id)
	as b dossier decline "$id"
	as c dossier get "$id" --output "$T/got"
	as a sync
	as a dossier view "$id" >"$T/view"
	grep 'Declined' "$T/view" | grep -q ' b,'
	grep 'Picked up' "$T/view" | grep -q ' c,'
	as a --json dossier log >"$T/json"
	python3 - "$T/json" <<-'END'
		import json, sys
		rows = [json.loads(line) for line in open(sys.argv[1])]
		assert sorted((r["to"], r["state"]) for r in rows) == [("b", "declined"), ("c", "picked_up")], rows
	END
}
