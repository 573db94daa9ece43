#!/usr/bin/env bats
# The register of disclosures: who disclosed what to whom, when, under which agreement, and what became of it (P5).
load kit

setup_file() { pair_file; }

@test "a row for each disclosure, the same facts for people, scripts and spreadsheets" {
	pair
	echo one >"$T/one.txt"
	as a dossier send --nda "$NDA" --title '=HYPERLINK("x")' --marking strict "$T/one.txt"
	as a dossier send --nda "$NDA" --title "第2回、試料" --message "no file, but words"
	as b sync
	first=$(as b --json dossier log | head -n 1 | value dossier_id)
	as b dossier get "$first" --output "$T/got"
	as a dossier log >"$T/table"
	grep -q 'HYPERLINK' "$T/table"
	grep -q 'at the exchange' "$T/table"
	grep -q 'picked up' "$T/table"
	as a --json dossier log >"$T/json"
	as a dossier log --csv >"$T/csv"
	as b dossier log --csv >"$T/csv-b"
	python3 - "$T" "$NDA" "$first" <<-'END'
		import csv, io, json, sys
		folder, nda, first = sys.argv[1:]
		raw = open(folder + "/csv", "rb").read()
		assert raw.endswith(b"\r\n") and raw.count(b"\n") == raw.count(b"\r\n") == 3, raw
		rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))
		objects = [json.loads(line) for line in open(folder + "/json")]
		assert len(rows) == len(objects) == 2
		for row, o in zip(rows, objects):
		    assert list(row) == list(o)
		    for key, value in row.items():
		        plain = value[1:] if value.startswith("'") else value
		        assert plain == ("" if o[key] is None else str(o[key])), (key, value, o[key])
		one, two = objects
		assert one["dossier_id"] == first and one["nda_id"] == nda and one["direction"] == "out"
		assert one["marking"] == "strict" and one["files"] == 1 and one["bytes"] == 4
		assert one["state"] == "picked_up" and one["pickup_log_index"] > one["log_index"]
		assert rows[0]["title"] == "'=HYPERLINK(\"x\")" and one["title"] == '=HYPERLINK("x")'
		assert two["title"] == "第2回、試料" and two["files"] == 0 and two["state"] == "lodged" and two["picked_up_at"] is None
		assert one["time"] <= two["time"] and one["log_index"] < two["log_index"]
		theirs = list(csv.DictReader(io.StringIO(open(folder + "/csv-b", newline="").read(), newline="")))
		assert [r["direction"] for r in theirs] == ["in", "in"]
		assert [r["log_index"] for r in theirs] == [r["log_index"] for r in rows]
		assert theirs[0]["state"] == "opened" and theirs[1]["state"] == "waiting" and theirs[1]["title"] == ""
	END
}

@test "one row for each recipient" {
	exchange_start
	join a sme
	join b university
	join c institute
	NDA=$(propose a "$(org b)" --with "$(org c)")
	for o in b c; do
		as "$o" sync
		as "$o" nda sign "$NDA" --yes --signatory X
	done
	echo one >"$T/one.txt"
	as a dossier send --nda "$NDA" "$T/one.txt"
	as b sync
	as b dossier get "$(as b --json dossier list | value dossier_id)" --output "$T/got"
	as a --json dossier log >"$T/json"
	python3 - "$T/json" <<-'END'
		import json, sys
		rows = [json.loads(line) for line in open(sys.argv[1])]
		assert sorted((r["to"], r["state"]) for r in rows) == [("b", "picked_up"), ("c", "lodged")], rows
		assert len({r["dossier_id"] for r in rows}) == 1
	END
	as c --json dossier log | grep -c dossier_id | grep -qx 1
}

@test "by agreement and by day; what cannot be is said" {
	pair
	echo one >"$T/one.txt"
	as a dossier send --nda "$NDA" "$T/one.txt"
	today=$(TZ=Asia/Tokyo date +%F)
	[[ $(as a --json dossier log --nda "$NDA" --since "$(date -d "$today -1 day" +%F)" --until "$(date -d "$today +1 day" +%F)" | count dossier_id) == 1 ]]
	[[ $(as a --json dossier log --since "$(date -d "$today +2 days" +%F)" | count dossier_id) == 0 ]]
	[[ $(as a --json dossier log --until "$(date -d "$today -2 days" +%F)" | count dossier_id) == 0 ]]
	[[ $(as a dossier log --csv --until 1999-01-01 | wc -l) == 1 ]]
	refuses 2 as a dossier log --since yesterday
	said ' --since: “yesterday”'
	refuses 2 as a --json dossier log --csv
	refuses 5 as a dossier log --nda "$(printf '0%.0s' {1..64})"
	# A notice stands there by its kind.
	as a nda notice "$NDA" consent --summary "You may" --yes
	as a dossier log >"$T/table"
	grep 'consent' "$T/table"
	refuses 1 grep -E 'no title|0 \(0\)' "$T/table"
}

@test "a destroyed dossier stays in the register, without its title" {
	pair
	echo one >"$T/one.txt"
	as a dossier send --nda "$NDA" --title "Run 14" "$T/one.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	as b dossier get "$id" --output "$T/got"
	as b dossier destroy "$id" --yes
	as b --json dossier log >"$T/json"
	python3 - "$T/json" <<-'END'
		import json, sys
		row, = [json.loads(line) for line in open(sys.argv[1])]
		assert row["state"] == "destroyed" and row["destroyed_at"] and row["title"] is None and row["picked_up_at"], row
	END
}

@test "a deposit is in the log, and tells nobody what it is of" {
	exchange_start
	join a sme
	head -c 3000000 /dev/urandom >"$T/quokka-plan.bin"
	sum=$(sha256sum "$T/quokka-plan.bin" | cut -d' ' -f1)
	as a --json deposit "$T/quokka-plan.bin" --title "numbat title" >"$T/json"
	id=$(value deposit_id <"$T/json")
	[[ $(value state <"$T/json") == logged ]]
	as a --json deposit list >"$T/list"
	python3 - "$T/list" "$id" "$sum" "$(value log_index <"$T/json")" <<-'END'
		import json, sys
		o, = [json.loads(line) for line in open(sys.argv[1])]
		assert o["deposit_id"] == sys.argv[2] and o["sha256"] == sys.argv[3] and o["log_index"] == int(sys.argv[4]), o
		assert o["state"] == "logged" and o["name"] == "quokka-plan.bin" and o["title"] == "numbat title" and o["bytes"] == 3000000, o
	END
	as a deposit list | grep 'numbat title' | grep 'logged'
	# The same file again is another deposit.
	[[ $(as a --json deposit "$T/quokka-plan.bin" | value deposit_id) != "$id" ]]
	broker_stop
	refuses 1 grep -ra -e quokka -e numbat "$T/broker" "$T/a"
	python3 - "$T/broker" "$sum" <<-'END'
		import os, sys
		wanted = bytes.fromhex(sys.argv[2])
		for folder, _, names in os.walk(sys.argv[1]):
		    for name in names:
		        assert wanted not in open(os.path.join(folder, name), "rb").read(), name
	END
}

@test "a deposit without the exchange waits; what is no file is refused" {
	exchange_start
	join a sme
	echo plan >"$T/plan.txt"
	broker_stop
	refuses 6 as a deposit "$T/plan.txt"
	said 'not on record'
	[[ $(as a --json deposit list 2>/dev/null | value state) == queued ]]
	broker_run
	as a sync
	[[ $(as a --json deposit list | value state) == logged ]]
	refuses 5 as a deposit "$T/absent"
	said 'Check the path'
	refuses 2 as a deposit "$T"
	refuses 2 as a deposit
}
