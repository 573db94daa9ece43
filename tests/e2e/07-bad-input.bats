#!/usr/bin/env bats
# Bad input: a clear sentence, what to do, the documented exit code, nothing lost.
load kit

@test "unknown options and verbs are usage errors" {
	refuses 2 renkei --home "$T/x" --nonsense
	refuses 2 renkei --home "$T/x" post dance
	refuses 2 renkei --home "$T/x"
	refuses 2 renkeid dance
}

@test "a home that has not joined says how to join" {
	refuses 4 as nobody post list
	said 'join'
}

@test "a wrong passphrase is said, and the home still works with the right one" {
	exchange_start
	join a sme
	echo wrong >"$T/wrong"
	RENKEI_PASSPHRASE_FILE=$T/wrong refuses 4 as a post list
	said 'passphrase'
	as a post list
}

@test "missing and half-written files are told by name" {
	exchange_start
	join a sme
	code=0; as a post publish --type offer --file "$T/absent.md" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]; said 'absent.md'
	cp -a "$T/a" "$T/half"
	truncate -s 20 "$T/half/device.key"
	code=0; as half post list >"$T/out" 2>"$T/err" || code=$?
	[[ $code == 4 || $code == 9 || $code == 1 ]]; said 'device.key|key file'
	truncate -s 5000 "$T/charter.rk" || true
	head -c 100 "$T/charter.rk" >"$T/short.rk"
	renkeid init --data "$T/b2" --listen tcp://127.0.0.1:1 >/dev/null
	code=0; renkeid adopt --data "$T/b2" "$T/short.rk" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]; said 'short.rk'
}

@test "a second renkeid on the folder, and adopting while it runs, are refused" {
	exchange_start
	code=0; timeout 20 renkeid run --data "$T/broker" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 && $code != 124 ]]; said 'another|in use|running|lock'
	code=0; renkeid adopt --data "$T/broker" "$T/charter.rk" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	broker_stop
	refuses 7 renkeid adopt --data "$T/broker" "$T/charter.rk"
	said 'has this charter .number 1. already'
	# Another first charter for the same broker is another exchange.
	as other exchange create "Another" --broker "$CARD" --out "$T/other.rk"
	refuses 7 renkeid adopt --data "$T/broker" "$T/other.rk"
	said 'holds an exchange already'
}

@test "a charter made for another broker is refused" {
	exchange_start
	renkeid init --data "$T/b2" --listen tcp://127.0.0.1:1 >/dev/null
	code=0; renkeid adopt --data "$T/b2" "$T/charter.rk" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'another broker|not this broker|card|key'
}

@test "a broker with the keys of another one does not start" {
	exchange_start
	broker_stop
	renkeid init --data "$T/b2" --listen tcp://127.0.0.1:1 >/dev/null
	for key in log.key curve.key; do
		cp -p "$T/broker/$key" "$T/own"
		cp -p "$T/b2/$key" "$T/broker/$key"
		refuses 7 renkeid run --data "$T/broker"
		said "$key is not the key that the charter"
		cp -p "$T/own" "$T/broker/$key"
	done
	broker_run
}

@test "SIGTERM drains and exits 0; what was acknowledged is there after it" {
	exchange_start
	join a sme
	join b sme
	as b feed follow offer
	post a offer "Durable"
	broker_stop
	broker_run
	as b sync
	as b --json post list | grep -q Durable
}

@test "a bad configuration line is told by number" {
	renkeid init --data "$T/b" --listen tcp://127.0.0.1:1 >/dev/null
	printf '[broker]\n\nnonsense = 1\n' >"$T/c.ini"
	code=0; timeout 20 renkeid run --data "$T/b" --config "$T/c.ini" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 && $code != 124 ]]
	said '\b3\b'
	said 'nonsense'
}

@test "status, sync and doctor say how things are" {
	exchange_start
	join a sme
	as a doctor
	[[ -z $(as a -q sync 2>&1) ]]
	as a --json doctor | python3 -c 'import json,sys; [json.loads(l) for l in sys.stdin if l.strip()]'
	broker_stop
	code=0; timeout 90 renkei --no-input --home "$T/a" doctor >"$T/out" 2>"$T/err" || code=$?
	[[ $code == 6 || $code == 1 || $code == 3 ]]
	said 'exchange does not answer|does not answer|broker'
}

@test "Japanese sentences come with --lang ja" {
	exchange_start
	join a sme
	as a --lang ja status | grep -qP '[\x{3040}-\x{30ff}\x{4e00}-\x{9fff}]'
}
