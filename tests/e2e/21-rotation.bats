#!/usr/bin/env bats
# Keys that live: kx keys and feed epochs turn by themselves, an agent stays and tells of what comes, the secretariat's duties are done
# while it stays or were signed ahead.  The programs are real, only their clock is moved (libfaketime).
load kit
load clock

setup_file() {
	pair_file
}

teardown() {
	[[ -z ${AGENT:-} ]] || kill_behind "$AGENT"
	[[ -z ${BROKER:-} ]] || kill_behind "$BROKER"
	rm -rf "$T"
}

# until_line FILE PATTERN: waits until the pattern stands in the file
until_line() {
	for _ in $(seq 300); do
		grep -qE -- "$2" "$1" 2>/dev/null && return 0
		sleep 0.05
	done
	echo "never came: $2"; cat "$1"
	return 1
}

kx_days() { # OFFSET NAME: days left of its kx key, by its own home
	later "$1" "$2" --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)["dates"]["kx"]["days_left"])'
}

# behind OFFSET NAME VERB...: in the background, its lines in $T/agent.log; $! is a wrapper, its only child is renkei
behind() {
	local offset=$1 home=$T/$2
	shift 2
	DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 faketime -f "$offset" \
		renkei --no-input --json --home "$home" "$@" >>"$T/agent.log" 2>&1 &
}

# kill_behind PID: it and what it wraps, at once
kill_behind() {
	pkill -9 -P "$1" 2>/dev/null || true
	kill -9 "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

agent_run() { # OFFSET NAME VERB...: until it is connected
	: >"$T/agent.log"
	behind "$@"
	AGENT=$!
	until_line "$T/agent.log" '"connected"'
}

agent_end() { # ends it as systemd does; its exit code
	local code=0
	pkill -TERM -P "$AGENT" 2>/dev/null || kill -TERM "$AGENT"
	wait "$AGENT" || code=$?
	AGENT=
	return "$code"
}

@test "kx keys turn after 30 days, once, without feed keys; who was away too long is told and gets them anew" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	pair
	broker_stop
	broker_at +31d
	later +31d secretariat sync
	# two processes at once make one key
	later +31d a sync & local other=$!
	later +31d a sync
	wait "$other"
	[[ $(kx_days +31d a) == 39 ]]
	[[ $(later +31d a --json inbox list | grep -c kx-late) == 0 ]]
	# what is sealed to the new key opens; who was in use all along needs no feed key
	echo drawing >"$T/x.txt"
	later +31d b dossier send --nda "$NDA" "$T/x.txt" --title X
	later +31d a sync
	id=$(later +31d a --json dossier list | value dossier_id)
	later +31d a dossier get "$id" --output "$T/got"
	cmp "$T/got/x.txt" "$T/x.txt"
	[[ $(later +31d secretariat --json sync | value feed_keys_issued) == 0 ]]
	broker_end
	# a is away for longer than its key lives
	broker_at +75d
	later +75d secretariat sync
	refuses 1 later +75d a doctor
	said 'receiving key ended'
	later +75d a sync 2>"$T/err"
	grep -q 'no key to receive with' "$T/err"
	later +75d a --json inbox list | grep -q kx-late
	[[ $(kx_days +75d a) == 39 ]]
	[[ $(later +75d secretariat --json sync | value feed_keys_issued) -ge 1 ]]
	later +75d b sync
	printf 'Title: After\n\nText\n' >"$T/post.md"
	later +75d b post publish --type offer --file "$T/post.md"
	later +75d a feed follow offer
	later +75d a sync
	later +75d a --json post list | grep -q '"title": *"After"'
	broker_end
}

@test "an agent is told of a dossier once, by a line without content, and does not pick it up" {
	pair
	cat >"$T/tell" <<'EOF'
#!/bin/sh
cat >>"$TOLD"
env | grep -c '^RENKEI_' >>"$TOLD.env"
EOF
	chmod +x "$T/tell"
	export TOLD=$T/told
	agent_run +0 b agent --notify "$T/tell"
	as b --json status | python3 -c 'import json,sys; a=json.load(sys.stdin)["agent"]; assert a["running"] and a["connected_since"] and not a["serves"], a'
	refuses 7 as b agent
	said 'running already'
	echo secret-drawing >"$T/blueprint.txt"
	as a dossier send --nda "$NDA" "$T/blueprint.txt" --title "Sealed-Title"
	until_line "$T/told" '^dossier 1 [0-9a-f]{12}$'
	# nobody has signed for it
	as a sync
	[[ $(as a --json dossier log | value state) == lodged ]]
	agent_end
	grep -q '"stopped"' "$T/agent.log"
	# not again after a restart; a command that fails is said and ends nothing
	agent_run +0 b agent --notify 'cat >>"$TOLD"; exit 3'
	as a dossier send --nda "$NDA" "$T/blueprint.txt" --title "Sealed-Title"
	until_line "$T/agent.log" '"notify-failed"'
	agent_end
	[[ $(wc -l <"$T/told") == 2 ]]
	[[ $(grep -c . "$T/told.env") == 1 && $(cat "$T/told.env") == 0 ]]
	[[ $(cat "$T/told" "$T/agent.log" | grep -ciE 'sealed|blueprint|drawing|test cluster') == 0 ]]
	as b --json status | python3 -c 'import json,sys; a=json.load(sys.stdin)["agent"]; assert not a["running"], a'
}

@test "serve signs the directory again when it is due, and duty says what is; what was signed ahead needs no key" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	pair
	as secretariat secretariat duty
	broker_stop
	broker_at +8d
	refuses 3 later +8d secretariat secretariat duty
	said 'due.*sign the directory anew'
	before=$(later +8d secretariat --json status | value directory_serial)
	agent_run +8d secretariat secretariat serve
	until_line "$T/agent.log" '"what": *"directory"'
	until_line "$T/agent.log" '"what": *"cosign"'
	agent_end
	later +8d a sync
	[[ $(later +8d a --json status | value directory_serial) == $((before + 1)) ]]
	later +8d secretariat secretariat duty
	# two weeks away: signed ahead, and put by the device key alone
	day() { TZ=Asia/Tokyo date -d "+$1 days" +%F; }
	refuses 2 later +8d secretariat secretariat ahead --until "$(day 80)"
	[[ $(later +8d secretariat --json secretariat ahead --until "$(day 28)" | value signed) == 2 ]]
	broker_end
	mkdir "$T/aside"
	mv "$T/secretariat/secretariat.key" "$T/secretariat/witness.key" "$T/aside"
	broker_at +16d
	agent_run +16d secretariat agent
	for _ in $(seq 100); do
		later +16d a sync
		[[ $(later +16d a --json status | value directory_serial) == $((before + 2)) ]] && break
		sleep 0.1
	done
	agent_end
	[[ $(later +16d a --json status | value directory_serial) == $((before + 2)) ]]
	# a directory signed in between makes the rest void, and that is said
	mv "$T/aside/"* "$T/secretariat"
	later +16d secretariat member suspend b
	later +16d secretariat sync 2>"$T/err"
	later +16d secretariat --json inbox list | grep -q ahead-void
	broker_end
}

@test "an expulsion turns the epoch at once; a post that was on its way under the old one is sealed anew" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	pair
	as b feed follow offer
	as b sync
	# sealed and never answered, by a clock that is nearly ten minutes ahead: it stays young while the epoch grows old
	agent_run +9m a agent
	kill -STOP "$BROKER"
	printf 'Title: Resealed\n\nText\n' >"$T/post.md"
	behind +9m a post publish --type offer --file "$T/post.md"
	local waiting=$!
	sleep 1.5
	kill_behind "$waiting"
	kill_behind "$AGENT"
	AGENT=
	[[ $(as a --json status | value queued) == 1 ]]
	broker_kill
	broker_run
	epoch=$(as secretariat --json status | value feed_epoch)
	as secretariat member expel b --yes
	[[ $(as secretariat --json status | value feed_epoch) == $((epoch + 1)) ]]
	broker_stop
	broker_at +11m
	later +11m a -v sync 2>"$T/err"
	grep -q 'sealed anew: stale-epoch' "$T/err"
	later +11m a --json post list | grep -q Resealed
	# what is out reads nothing of it
	refuses 8 later +11m b sync
	[[ $(later +11m b --json post list | grep -c Resealed) == 0 ]]
	broker_end
}
