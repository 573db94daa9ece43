#!/bin/bash
# long.sh: what the comparison does not show because it takes long: catch-up, growth, retention, a storm of connections, the agreements' path.  One line a
# figure, with its aim and whether it is reached; JSON lines in build/bench/long.jsonl.  See tests/bench/DESIGN.md, "Long runs".
# SHORT=1: a few minutes.  PARTS="catchup growth retention storm nda" chooses; CATCHUP, GROWTH, EXPIRING (entries), MEMBERS say how much.
set -euo pipefail
cd "$(dirname "$0")/../.."
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
export LC_ALL=C.UTF-8
bin=$RENKEI_BUILD/tests/bench
out=$RENKEI_BUILD/bench/long.jsonl
: "${PARTS:=catchup growth retention storm nda}"
if [[ ${SHORT:-} ]]; then
	: "${CATCHUP:=200000}" "${GROWTH:=1000000}" "${EXPIRING:=50000}" "${MEMBERS:=5700}"
	rounds=3 live_seconds=7 growth_posts=60000
else
	: "${CATCHUP:=1000000}" "${GROWTH:=10000000}" "${EXPIRING:=200000}" "${MEMBERS:=5700}"
	rounds=5 live_seconds=10 growth_posts=60000
fi
small=10000            # entries of the store that the large one is compared with
chunk=200000           # posts that one load holds, sealed, in memory
late_device=900        # none of the load's own
wide=2048 narrow=256   # entries of credit: more than the way can hold, and what a home gives (client/link_internal.h)
mkdir -p "$RENKEI_BUILD/bench"
: >"$out"
T=$(mktemp -d "${TMPDIR:-/tmp}/renkei-long.XXXXXX")
declare -A PID PORT    # of the brokers that run, by the name of their folder
trap 'stop_all; rm -rf "$T"' EXIT
ulimit -n "$(ulimit -Hn)"

free_port() { python3 -IS -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
calc() { awk "BEGIN { printf \"%.4f\", $1 }"; }
say() { echo "$(date +%T) $*" >&2; }

# ---- brokers

# Nothing ahead of the store: its bytes are counted here.
sed 's/^ahead = .*/ahead = 0/' tests/bench/renkei.ini >"$T/renkei.ini"

# run_broker NAME: starts renkeid on its folder; sets STARTED, seconds until it is ready.
run_broker() {
	local d=$T/$1 from=$EPOCHREALTIME
	: >"$d/log"
	"$RENKEI_BUILD/renkeid" run --data "$d/broker" --config "$T/renkei.ini" 2>"$d/log" &
	PID[$1]=$!
	until grep -q ' ready ' "$d/log"; do
		kill -0 "${PID[$1]}" || { tail -n 5 "$d/log" >&2; return 1; }
		sleep 0.01
	done
	STARTED=$(calc "$EPOCHREALTIME - $from")
}

# new_broker NAME DEVICES: an exchange with that many devices, and its broker.
new_broker() {
	local d=$T/$1
	mkdir -p "$d"
	PORT[$1]=$(free_port)
	"$RENKEI_BUILD/renkeid" init --data "$d/broker" --listen "tcp://127.0.0.1:${PORT[$1]}" >"$d/init" 2>&1
	"$bin/crowd" charter "$d/broker" "$d/charter.rk"
	"$RENKEI_BUILD/renkeid" adopt --data "$d/broker" "$d/charter.rk" >/dev/null 2>&1
	run_broker "$1"
	"$bin/crowd" fill "$d/broker" "$d/charter.rk" "$2"
}

new_bare() {
	local d=$T/$1
	PORT[$1]=$(free_port)
	"$bin/bare" "$d" "tcp://127.0.0.1:${PORT[$1]}" &
	PID[$1]=$!
	until [[ -s $d/key ]]; do
		kill -0 "${PID[$1]}" || return 1
		sleep 0.02
	done
}

# stop NAME [SIGNAL]
stop() {
	local pid=${PID[$1]:-}
	unset "PID[$1]"
	[[ -n $pid ]] || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

stop_all() {
	local name
	for name in "${!PID[@]}"; do
		stop "$name"
	done
}

# ---- loads

# field NAME: of the line of JSON on stdin.
field() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p"; }

# keep LABEL LINE: one line of the record.
keep() { echo "{\"label\": \"$1\", ${2#\{}" >>"$out"; }

# load NAME LABEL ARG...: load_renkei at that broker; its line in LINE.
load() {
	local name=$1 label=$2
	shift 2
	LINE=$("$bin/load_renkei" --pid "${PID[$name]}" --path "$T/$name/broker" --endpoint "tcp://127.0.0.1:${PORT[$name]}" "$@")
	keep "$label" "$LINE"
}

# fill NAME ENTRIES: until its channel has that many.
declare -A FILLED
fill() {
	local n
	: "${FILLED[$1]:=0}"
	while ((FILLED[$1] < $2)); do
		n=$(($2 - FILLED[$1]))
		n=$((n < chunk ? n : chunk))
		load "$1" fill --writers 4 --window 1000 --warm-up 1 --posts "$n" --seconds 3600
		FILLED[$1]=$((FILLED[$1] + n))
	done
}

long() {
	LINE=$("$bin/load_long" "$@")
	keep "$1" "$LINE"
}

# ---- figures

missed=0
# figure WHAT VALUE UNIT AIM: AIM is "<= N" or ">= N", or empty for what is only told.
figure() {
	local verdict=
	if [[ -n $4 ]]; then
		verdict=reached
		awk "BEGIN { exit !($2 $4) }" || { verdict=MISSED; missed=$((missed + 1)); }
	fi
	printf '%-78s %10.3f %-12s %-9s %s\n' "$1" "$2" "$3" "$4" "$verdict"
	echo "{\"figure\": \"$1\", \"value\": $2, \"unit\": \"$3\", \"aim\": \"$4\", \"verdict\": \"$verdict\"}" >>"$out"
}

# median: of the numbers on stdin.
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# ---- catch-up

# live LABEL: a reader and a writer, 500 posts a second.
live() {
	load large "$1" --rate 500 --seconds "$live_seconds" --posts $((live_seconds * 500 + 500)) --warm-up 250
	FILLED[large]=$((FILLED[large] + $(field posts <<<"$LINE") + 250))
}

# beside LABEL ARG...: live latency while load_long runs, which goes on a little longer.  LINE is that of the latency.
beside() {
	local label=$1 other line
	shift
	"$bin/load_long" "$@" >"$T/beside" &
	other=$!
	live "$label"
	line=$LINE
	wait "$other"
	keep "$label, the other" "$(cat "$T/beside")"
	LINE=$line
}

# live_figures WHAT ALONE CATCHUP TRANSFER: medians of these numbers, and their ratios.
live_figures() {
	local alone
	alone=$(median <<<"$2")
	figure "live latency, $1, alone" "$alone" ms ""
	figure "live latency, $1, beside a catch-up / alone" "$(calc "$(median <<<"$3") / $alone")" "" "<= 2"
	figure "live latency, $1, beside a transfer that is not the broker's / alone" "$(calc "$(median <<<"$4") / $alone")" "" ""
}

# live_rounds BYTES: what a catch-up costs those who are there, and, to compare, what as busy a program beside the broker does.
live_rounds() {
	local seconds=$((live_seconds + 2)) what
	local -A p50=() p99=()
	for _ in $(seq "$rounds"); do
		for what in alone catchup transfer; do
			case $what in
			alone) live "live alone" ;;
			catchup) beside "live beside a catch-up" catchup "${PID[large]}" "$T/large/broker" "$late_device" "$seconds" "$wide" ;;
			transfer) beside "live beside a transfer" transfer "${PID[bare]}" "$T/bare" "tcp://127.0.0.1:${PORT[bare]}" "$1" 65536 "$seconds" ;;
			esac
			p50[$what]+=${p50[$what]:+$'\n'}$(field p50_ms <<<"$LINE")
			p99[$what]+=${p99[$what]:+$'\n'}$(field p99_ms <<<"$LINE")
		done
	done
	live_figures p50 "${p50[alone]}" "${p50[catchup]}" "${p50[transfer]}"
	live_figures p99 "${p99[alone]}" "${p99[catchup]}" "${p99[transfer]}"
}

part_catchup() {
	local n bytes speeds='' home='' large_frames='' small_frames='' plain r
	say "catch-up: $CATCHUP entries"
	fill large "$CATCHUP"
	new_bare bare
	for n in $(seq "$rounds"); do
		long catchup "${PID[large]}" "$T/large/broker" $((late_device + n)) 0 $narrow
		home+=$(field mb_per_s <<<"$LINE")$'\n'
		long catchup "${PID[large]}" "$T/large/broker" $((late_device + n)) 0 $wide
		bytes=$(field bytes <<<"$LINE")
		speeds+=$(field mb_per_s <<<"$LINE")$'\n'
		long transfer "${PID[bare]}" "$T/bare" "tcp://127.0.0.1:${PORT[bare]}" "$bytes" 65536 0
		large_frames+=$(field mb_per_s <<<"$LINE")$'\n'
		long transfer "${PID[bare]}" "$T/bare" "tcp://127.0.0.1:${PORT[bare]}" "$bytes" 1741 0
		small_frames+=$(field mb_per_s <<<"$LINE")$'\n'
	done
	r=$(printf %s "$speeds" | median)
	home=$(printf %s "$home" | median)
	plain=$(printf %s "$large_frames" | median)
	figure "catch-up of $CATCHUP entries" "$r" MB/s ""
	figure "catch-up / plain CURVE, frames of 64 KiB" "$(calc "$r / $plain")" "" ">= 0.8"
	figure "catch-up / plain CURVE, frames of 1.7 KiB" "$(calc "$r / $(printf %s "$small_frames" | median)")" "" ">= 0.8"
	figure "catch-up with a home's credit / plain CURVE, frames of 64 KiB" "$(calc "$home / $plain")" "" ">= 0.8"
	live_rounds "$bytes"
	stop bare
}

# ---- growth

part_growth() {
	local n few='' many='' a b stored
	say "growth: $GROWTH entries"
	new_broker small 1024
	fill small "$small"
	fill large "$GROWTH"
	for n in $(seq "$rounds"); do
		load small "growth, few" --writers 4 --window 1000 --posts "$growth_posts" --seconds 600
		few+=$(field cpu_us_per_delivery <<<"$LINE")$'\n'
		load large "growth, many" --writers 4 --window 1000 --posts "$growth_posts" --seconds 600
		many+=$(field cpu_us_per_delivery <<<"$LINE")$'\n'
		FILLED[large]=$((FILLED[large] + growth_posts))
	done
	a=$(printf %s "$few" | median) b=$(printf %s "$many" | median)
	figure "broker CPU a post, $small entries stored" "$a" us ""
	figure "broker CPU a post, $GROWTH entries stored / $small" "$(calc "$b / $a")" "" "<= 1.2"
	stop small
	long catchup "${PID[large]}" "$T/large/broker" $((late_device - 1)) 0 $wide
	stored=$(field post_bytes <<<"$LINE")
	keep disk "{\"file\": $(du -B1 "$T/large/broker/store/data.mdb" | cut -f1), \"post_bytes\": $stored}"
	figure "bytes on disk / bytes of posts (signed head and body)" "$(calc "$(du -B1 "$T/large/broker/store/data.mdb" | cut -f1) / $stored")" "" "<= 1.5"
	load large "before the kill" --writers 4 --window 1000 --posts 5000 --seconds 60
	stop large KILL
	run_broker large
	figure "start after kill -9, $GROWTH entries" "$STARTED" s "<= 1"
}

# ---- retention

# at_rate LABEL: a reader and a writer, 1,000 posts a second; adds to `longest` and `p99` of that label.
at_rate() {
	load old "$1" --rate 1000 --seconds "$live_seconds" --posts $((live_seconds * 1000 + 1250)) --warm-up 250
	longest[$1]+=${longest[$1]:+$'\n'}$(field max_ms <<<"$LINE")
	p99[$1]+=${p99[$1]:+$'\n'}$(field p99_ms <<<"$LINE")
}

part_retention() {
	local due life seconds=$((EXPIRING / 5000 + 2 * live_seconds + 10)) # to seal and to send them, and for the run before
	local deleting=$((EXPIRING / 5000))                                 # longer than it takes
	local -A longest=() p99=()
	say "retention: $EXPIRING posts that expire at once"
	new_broker old 64
	for _ in $(seq "$rounds"); do
		due=$((EPOCHSECONDS + seconds))
		load old "posts that expire" --writers 4 --window 1000 --warm-up 1 --posts "$EXPIRING" --seconds 600 --life "$seconds"
		at_rate alone
		life=$((due - EPOCHSECONDS - 2))
		((life > 0)) || { say "too slow: the posts expired before"; return 1; }
		sleep "$life"
		at_rate beside
		sleep "$deleting"
	done
	stop old
	(($(grep -o ' due_done=[0-9]*' "$T/old/log" | tail -n 1 | cut -d= -f2) >= rounds * EXPIRING)) || { say "not all posts have expired"; return 1; }
	figure "p99, 1,000 posts a second, alone" "$(median <<<"${p99[alone]}")" ms ""
	figure "p99, 1,000 posts a second, while others expire" "$(median <<<"${p99[beside]}")" ms ""
	figure "longest wait, alone" "$(median <<<"${longest[alone]}")" ms ""
	figure "longest wait while others expire, less that" "$(calc "$(median <<<"${longest[beside]}") - $(median <<<"${longest[alone]}")")" ms "<= 5"
}

# ---- storm

part_storm() {
	local n members=$MEMBERS cpu='' time='' bare_cpu='' bare_time='' kib='' bare_kib=''
	local most=$((($(ulimit -n) - 256) / 2)) # a DEALER has two descriptors
	members=$((members < most ? members : most))
	say "storm: $members members"
	new_broker storm $((members + 32))
	for n in $(seq "$rounds"); do
		stop storm KILL
		run_broker storm
		long storm "${PID[storm]}" "$T/storm/broker" "$members"
		cpu+=$(field cpu_seconds <<<"$LINE")$'\n' time+=$(field seconds <<<"$LINE")$'\n' kib+=$(field kib_each <<<"$LINE")$'\n'
		new_bare "bare$n"
		long handshakes "${PID[bare$n]}" "$T/bare$n" "tcp://127.0.0.1:${PORT[bare$n]}" "$members"
		bare_cpu+=$(field cpu_seconds <<<"$LINE")$'\n' bare_time+=$(field seconds <<<"$LINE")$'\n' bare_kib+=$(field kib_each <<<"$LINE")$'\n'
		stop "bare$n"
	done
	stop storm
	figure "storm: seconds until $members members are served" "$(printf %s "$time" | median)" s ""
	figure "storm: seconds / handshakes alone" "$(calc "$(printf %s "$time" | median) / $(printf %s "$bare_time" | median)")" "" "<= 1.2"
	figure "storm: broker CPU / handshakes alone" "$(calc "$(printf %s "$cpu" | median) / $(printf %s "$bare_cpu" | median)")" "" "<= 1.2"
	figure "memory of an idle member" "$(printf %s "$kib" | median)" KiB "<= 48"
	figure "memory of a connection of libzmq alone" "$(printf %s "$bare_kib" | median)" KiB ""
}

# ---- agreements

part_nda() {
	local few many
	say "agreements"
	LINE=$(TMPDIR=$T "$bin/bench_nda" "$rounds")
	keep nda "$LINE"
	figure "a disclosure and its pickup, of verify and apply" "$(field per_cpu_second <<<"$LINE")" "a CPU second" ""
	figure "two Ed25519 verifications / disclosure and pickup, CPU" "$(field share <<<"$LINE")" "" ">= 0.7"
	gate 10000
	few=$GATE
	gate 1000000
	many=$GATE
	figure "gate decision, 1,000,000 agreements" "$many" us "<= 3"
	figure "gate decision, 1,000,000 agreements / 10,000" "$(calc "$many / $few")" "" "<= 1.2"
}

gate() {
	LINE=$("$bin/bench_gate" "$T/gate$1" "$1")
	keep gate "$LINE"
	GATE=$(field us <<<"$LINE")
	rm -rf "$T/gate$1"
}

say "$("$RENKEI_BUILD/renkeid" --version), load average $(cut -d' ' -f1 /proc/loadavg)"
keep start "{\"load\": $(cut -d' ' -f1 /proc/loadavg), \"short\": \"${SHORT:-}\"}"
[[ " $PARTS " != *" catchup "* && " $PARTS " != *" growth "* ]] || new_broker large 1024
for part in $PARTS; do
	"part_$part"
done
echo "$missed aims missed; $out"
((missed == 0))
