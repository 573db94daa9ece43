#!/usr/bin/env bats
# Backups: a copy of a running broker proves itself; what is restored goes on under another log, and under no other circumstances (P3, P5).
load kit

CHECKPOINT=$RENKEI_BUILD/tests/e2e/checkpoint

# agree A B: an agreement in force between two homes; prints its id.
agree() {
	local nda
	nda=$(propose "$1" "$(org "$2")")
	as "$2" sync >/dev/null
	as "$2" nda sign "$nda" --yes --signatory B >/dev/null
	as "$1" sync >/dev/null
	echo "$nda"
}

# restore BACKUP: the operator's way, the keys in their place.
restore() {
	rm -rf "$T/broker/store"
	cp -a "$1/store" "$T/broker/store"
}

@test "a copy is made beside a running broker, proves itself, and holds no keys unless asked" {
	exchange_start
	join a sme
	post a offer "Kept" >/dev/null
	renkeid backup --data "$T/broker" --output "$T/copy" >"$T/out" 2>"$T/err"
	said '^log_size [0-9]+$'
	said 'keys curve.key and log.key are not in it'
	cmp "$T/copy/MANIFEST" "$T/out"
	[[ $(awk '$1 == "sha256" { print $2 }' "$T/copy/MANIFEST") == "$(sha256sum "$T/copy/store/data.mdb" | cut -d' ' -f1)" ]]
	[[ $(awk '$1 == "exchange" { print $2 }' "$T/copy/MANIFEST") == "$(as a --json status | value exchange_id)" ]]
	[[ ! -e $T/copy/curve.key && ! -e $T/copy/log.key ]]
	[[ $(stat -c %a "$T/copy" "$T/copy/store/data.mdb" "$T/copy/MANIFEST" | tr '\n' ' ') == '700 600 600 ' ]]
	# The broker has not noticed.
	post a offer "Later" >/dev/null
	# A folder with anything in it is left alone.
	refuses 7 renkeid backup --data "$T/broker" --output "$T/copy"
	said 'not empty'
	renkeid backup --data "$T/broker" --output "$T/whole" --with-keys >"$T/out"
	cmp "$T/broker/curve.key" "$T/whole/curve.key"
	[[ $(stat -c %a "$T/whole/curve.key" "$T/whole/log.key" | tr '\n' ' ') == '600 600 ' ]]
	# Such a folder is all that a broker needs.
	broker_stop
	mv "$T/broker" "$T/gone"
	cp -a "$T/whole" "$T/broker"
	broker_run
	as a sync
	post a offer "On the copy" >/dev/null
}

@test "a copy has no manifest if the store is damaged, and is not begun without room" {
	exchange_start
	refuses 2 renkeid backup --data "$T/broker"
	refuses 4 renkeid backup --data "$T/none" --output "$T/copy"
	[[ ! -e $T/copy ]]
	mkdir "$T/small"
	if mount -t tmpfs -o size=64k,mode=700 renkei-test "$T/small" 2>/dev/null; then
		code=0; renkeid backup --data "$T/broker" --output "$T/small/copy" >"$T/out" 2>"$T/err" || code=$?
		left=$(find "$T/small" -mindepth 1 | wc -l)
		umount "$T/small"
		[[ $code == 1 ]]
		[[ $left == 0 ]]
		said 'not that much room'
	fi
	broker_stop
	python3 - "$T/broker/store/data.mdb" <<-'PY'
		import sys
		# One bit of the charter's name, wherever it stands.
		data = bytearray(open(sys.argv[1], "rb").read())
		at = data.find(b"Test Cluster")
		while at >= 0:
		    data[at] ^= 1
		    at = data.find(b"Test Cluster")
		open(sys.argv[1], "wb").write(data)
	PY
	refuses 9 renkeid backup --data "$T/broker" --output "$T/copy"
	said 'damaged'
	[[ ! -e $T/copy/MANIFEST ]]
}

@test "a restored broker goes on under another log, and its members are told" {
	exchange_start
	join a sme
	join b sme
	OLD=$(agree a b)
	post a offer "Before the copy" >/dev/null
	as b feed follow offer
	renkeid backup --data "$T/broker" --output "$T/copy" >/dev/null 2>&1
	post a offer "After the copy" >/dev/null
	as b sync
	as b --json post list | grep -q "After the copy"
	broker_stop
	restore "$T/copy"

	# Somebody has the last checkpoint of the log that ended.
	id=$(as a --json status | value exchange_id)
	"$CHECKPOINT" "$T/broker" "$id" 1 99 >"$T/last"
	# Without a file it is the newest that the secretariat itself has.
	as secretariat exchange renew --out "$T/own.rk" --new-log >/dev/null
	refuses 2 as secretariat exchange renew --out "$T/charter2.rk" --last-checkpoint "$T/last"
	sed 's/^99$/98/' "$T/last" >"$T/bent"
	code=0; as secretariat exchange renew --out "$T/charter2.rk" --new-log --last-checkpoint "$T/bent" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'no checkpoint'
	[[ ! -e $T/charter2.rk ]]
	code=0; as a exchange renew --out "$T/charter2.rk" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'root key is not in this home'
	[[ ! -e $T/charter2.rk ]]
	as secretariat --json exchange renew --out "$T/charter2.rk" --new-log --last-checkpoint "$T/last" >"$T/out"
	[[ $(value log <"$T/out") == "renkei/${id:0:16}/log2" && $(value serial <"$T/out") == 2 ]]
	refuses 7 as secretariat exchange renew --out "$T/charter2.rk"

	renkeid adopt --data "$T/broker" "$T/charter2.rk" >"$T/out" 2>"$T/err"
	said "^log renkei/${id:0:16}/log2$"
	said '^charter 2$'
	# Once: it is the newest now.
	refuses 7 renkeid adopt --data "$T/broker" "$T/charter2.rk"
	said 'has this charter .number 2. already'
	refuses 7 renkeid adopt --data "$T/broker" "$T/charter.rk"
	said 'has this charter .number 1. already'
	broker_mark
	broker_run
	# While it runs, no charter enters.
	refuses 7 renkeid adopt --data "$T/broker" "$T/charter2.rk"
	said 'in use'

	for home in secretariat a b; do
		as "$home" sync >"$T/out" 2>"$T/err"
		said 'restored from a backup'
	done
	as b --json post list | grep -q "Before the copy"
	[[ $(as a --json nda view "$OLD" | value state) == in_force ]]
	post a offer "On the new log" >/dev/null
	as b sync
	as b --json post list | grep -q "On the new log"
	NEW=$(agree b a)
	[[ $(as a --json nda view "$NEW" | value state) == in_force ]]
	# A member that joins now begins with the second charter.
	join c sme
	post c offer "From a newcomer" >/dev/null
	as a feed follow offer
	as a sync
	as a --json post list | grep -q "From a newcomer"
	broker_stop
	renkeid check --data "$T/broker" >/dev/null
}

@test "a receipt of what only the old log has is not said to be countersigned later" {
	exchange_start
	join a sme
	join b sme
	NDA=$(agree a b)
	renkeid backup --data "$T/broker" --output "$T/copy" >/dev/null 2>&1
	echo x >"$T/x.txt"
	id=$(as a --json dossier send --nda "$NDA" "$T/x.txt" | value dossier_id)
	as b sync
	as a sync
	refuses 0 as a receipt export "$id" --output "$T/r1"
	said 'Export it again later'
	broker_stop
	restore "$T/copy"
	"$CHECKPOINT" "$T/broker" "$(as a --json status | value exchange_id)" 1 99 >"$T/last"
	as secretariat exchange renew --out "$T/charter2.rk" --new-log --last-checkpoint "$T/last" >/dev/null
	renkeid adopt --data "$T/broker" "$T/charter2.rk" >/dev/null 2>&1
	broker_run
	as a sync
	refuses 0 as a receipt export "$id" --output "$T/r2"
	said 'cannot any more'
}

@test "while the exchange runs from an older copy, sync and status say that it takes nothing" {
	exchange_start
	join a sme
	renkeid backup --data "$T/broker" --output "$T/copy" >/dev/null 2>&1
	join b sme
	as a sync
	as a --json status | grep '"read_only":false'
	broker_stop
	restore "$T/copy"
	broker_run
	refuses 0 as a sync
	said 'takes nothing now'
	[[ -z $(grep 'Up to date' "$T/out" "$T/err") ]]
	post a offer X 2>/dev/null || true
	refuses 3 as a sync
	said 'waiting to be sent: 1'
	refuses 0 as a status
	said 'takes nothing'
	as a --json status | grep '"read_only":true'
	refuses 1 as a doctor
	[[ $(grep -c 'older copy' "$T/out") == 1 && $(grep -c 'restored from a backup' "$T/out") == 1 ]]
	grep -q '^!!  The exchange runs from an older copy' "$T/out"
	[[ $(grep -cvE '^(ok|!!|  )  ' "$T/out") == 0 ]]
	said '1 request waits'
	said '1 finding needs'
	as a --json inbox list >"$T/inbox"
	grep '"detail":"generation"' "$T/inbox" | grep '"id":null'
	refuses 0 as a inbox read "$(grep '"detail":"generation"' "$T/inbox" | value no)"
	said '^the exchange was restored from a backup'
	said '^renkei doctor$'
}

@test "who was let in after the copy is let in anew, and everybody goes on with a newer directory" {
	exchange_start
	join a sme
	renkeid backup --data "$T/broker" --output "$T/copy" >/dev/null 2>&1
	join lost sme
	as a sync
	LOST=$(org lost)
	broker_stop
	restore "$T/copy"
	"$CHECKPOINT" "$T/broker" "$(as a --json status | value exchange_id)" 1 99 >"$T/last"
	as secretariat exchange renew --out "$T/charter2.rk" --new-log --last-checkpoint "$T/last" >/dev/null
	renkeid adopt --data "$T/broker" "$T/charter2.rk" >/dev/null 2>&1
	broker_run
	# The broker has an older directory than everybody else, and does not know the newcomer.
	refuses 3 as secretariat sync
	said 'did not take the new directory'
	as secretariat member expel "$LOST" --yes
	as secretariat sync >"$T/out" 2>"$T/err"
	[[ -z $(grep 'did not take' "$T/out" "$T/err") ]]
	refuses 8 as lost sync
	said 'removed'
	join again sme
	as a sync
	NDA=$(agree a again)
	[[ $(as again --json nda view "$NDA" | value state) == in_force ]]
	as again feed follow offer
	post a offer "For all" >/dev/null
	as again sync
	as again --json post list | grep -q "For all"
}

@test "a renewed charter is taken by all while the log goes on" {
	exchange_start
	join a sme
	as secretariat --json exchange renew --out "$T/charter2.rk" >"$T/out"
	[[ $(value log <"$T/out") == */log1 ]]
	broker_stop
	renkeid adopt --data "$T/broker" "$T/charter2.rk"
	# A store without an exchange takes no later charter.
	PORT2=$(free_port)
	renkeid init --data "$T/b2" --listen "tcp://127.0.0.1:$PORT2" >/dev/null
	code=0; renkeid adopt --data "$T/b2" "$T/charter2.rk" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'another broker'
	broker_run
	as a sync >"$T/out" 2>"$T/err"
	[[ -z $(grep 'restored from a backup' "$T/out" "$T/err") ]]
	post a offer "Goes on" >/dev/null
	# The next one follows it at the secretariat as well.
	as secretariat sync
	as secretariat --json exchange renew --out "$T/charter3.rk" >"$T/out"
	[[ $(value serial <"$T/out") == 3 ]]
}

# was_read_only: the broker that has just been stopped had noticed.
was_read_only() { tail -c "+$((RUN_LOG_FROM + 1))" "$T/broker.log" | grep -q ' read-only '; }

@test "a copy of before the last charter is noticed by the log that it does not have" {
	exchange_start
	join a sme
	renkeid backup --data "$T/broker" --output "$T/copy" >/dev/null 2>&1
	broker_stop
	restore "$T/copy"
	id=$(as a --json status | value exchange_id)
	"$CHECKPOINT" "$T/broker" "$id" 1 99 >"$T/last"
	as secretariat exchange renew --out "$T/charter2.rk" --new-log --last-checkpoint "$T/last" >/dev/null
	renkeid adopt --data "$T/broker" "$T/charter2.rk" >/dev/null 2>&1
	broker_run
	as secretariat sync
	as a sync
	broker_stop
	[[ $(head -n 1 "$T/broker/log.head") == */log2 ]]
	cp "$T/broker/log.head" "$T/head2"

	RUN_LOG_FROM=$BROKER_LOG_FROM
	# Once more the same copy: its log is the first one, and our own signature under the second says so.
	restore "$T/copy"
	broker_run
	broker_stop
	was_read_only
	cmp "$T/head2" "$T/broker/log.head"
	# Without it a member says so.
	RUN_LOG_FROM=$BROKER_LOG_FROM
	restore "$T/copy"
	rm "$T/broker/log.head"
	broker_run
	as a sync >"$T/out" 2>"$T/err" || true
	broker_stop
	was_read_only

	# The charter that was adopted since does not end it, the one after it does.
	cp "$T/head2" "$T/broker/log.head"
	renkeid adopt --data "$T/broker" "$T/charter2.rk" >"$T/out" 2>"$T/err"
	said 'stays read-only'
	as secretariat exchange renew --out "$T/charter3.rk" --new-log --last-checkpoint "$T/head2" >/dev/null
	renkeid adopt --data "$T/broker" "$T/charter3.rk" >"$T/out" 2>"$T/err"
	said "^log renkei/${id:0:16}/log3$"
	said 'Next: .renkeid run'
	broker_run
	as secretariat sync
	as a sync >"$T/out" 2>"$T/err"
	said 'restored from a backup'
	post a offer "On the third log" >/dev/null
	broker_stop
	[[ $(head -n 1 "$T/broker/log.head") == */log3 ]]
}
