#!/bin/bash
# compare.sh [quick]: every system under the same loads, in turns, and one table.  See tests/bench/DESIGN.md.
# A round starts each broker anew in a folder of its own, runs its shapes, and stops it by its pid.  SYSTEMS="floor renkei" chooses.
set -euo pipefail
cd "$(dirname "$0")/../.."
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
export PATH=/usr/sbin:$PATH LC_ALL=C.UTF-8
bin=$RENKEI_BUILD/tests/bench
out=$RENKEI_BUILD/bench
here=tests/bench
if [[ ${1:-} == quick ]]; then
	rounds=1 seconds=2 paced=3 posts=60000
else
	rounds=${ROUNDS:-3} seconds=5 paced=15 posts=300000
fi
: "${SYSTEMS:=floor renkei mosquitto nats}"
mkdir -p "$out"
: >"$out/runs.jsonl"
T=$(mktemp -d "${TMPDIR:-/tmp}/renkei-bench.XXXXXX")
BROKER=
trap 'stop; rm -rf "$T"' EXIT

free_port() { python3 -IS -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start_SYSTEM: sets BROKER (pid) and, for its load, LOAD (arguments).
start_floor() {
	"$bin/floor" "$D/store" "tcp://127.0.0.1:$PORT" 2>"$D/log" &
	BROKER=$!
	until [[ -s $D/store/key ]]; do
		kill -0 "$BROKER" || return 1
		sleep 0.05
	done
	LOAD=(--path "$D/store" --endpoint "tcp://127.0.0.1:$PORT")
}

start_renkei() {
	"$RENKEI_BUILD/renkeid" init --data "$D/broker" --listen "tcp://127.0.0.1:$PORT" >"$D/init" 2>&1
	"$bin/crowd" charter "$D/broker" "$D/charter.rk"
	"$RENKEI_BUILD/renkeid" adopt --data "$D/broker" "$D/charter.rk" >/dev/null 2>&1
	cp "$here/renkei.ini" "$D/"
	"$RENKEI_BUILD/renkeid" run --data "$D/broker" --config "$D/renkei.ini" 2>"$D/log" &
	BROKER=$!
	until grep -q ' ready ' "$D/log"; do
		kill -0 "$BROKER" || return 1
		sleep 0.05
	done
	"$bin/crowd" fill "$D/broker" "$D/charter.rk" 1024
	LOAD=(--path "$D/broker" --endpoint "tcp://127.0.0.1:$PORT")
}

# The certificate of all other brokers, for this run alone.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$T/tls.key" -out "$T/tls.crt" 2>/dev/null
}

# is_there SYSTEM: false, aloud, if its broker is not installed.
is_there() {
	case $1 in
	floor | renkei) true ;;
	mosquitto) command -v mosquitto >/dev/null ;;
	nats) command -v nats-server >/dev/null ;;
	*) false ;;
	esac && return
	echo "SKIPPED: $1 is not installed (make bench-deps)" >&2
	return 1
}

start_mosquitto() {
	mkdir "$D/store"
	cat >"$D/mosquitto.conf" <<-CONF
		listener $PORT 127.0.0.1
		certfile $T/tls.crt
		keyfile $T/tls.key
		tls_version tlsv1.3
		allow_anonymous true
		persistence true
		persistence_location $D/store/
		max_inflight_messages 1000
		max_queued_messages 0
		set_tcp_nodelay true
		user root
		log_type error
		log_type warning
	CONF
	mosquitto -c "$D/mosquitto.conf" >"$D/log" 2>&1 &
	BROKER=$!
	await_port "$PORT"
	LOAD=(--path "$T/tls.crt" --endpoint "$PORT")
}

start_nats() {
	cat >"$D/nats.conf" <<-CONF
		listen: 127.0.0.1:$PORT
		tls { cert_file: "$T/tls.crt", key_file: "$T/tls.key", timeout: 60 }
		jetstream { store_dir: "$D/store" }
	CONF
	nats-server -c "$D/nats.conf" >"$D/log" 2>&1 &
	BROKER=$!
	await_port "$PORT"
	LOAD=(--path "$T/tls.crt" --endpoint "$PORT")
}

# await_port PORT: until somebody listens there.
await_port() {
	for _ in $(seq 600); do
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		kill -0 "$BROKER" || return 1
		sleep 0.1
	done
	return 1
}

stop() {
	[[ -n $BROKER ]] || return 0
	kill -TERM "$BROKER" 2>/dev/null || true
	wait "$BROKER" 2>/dev/null || true
	BROKER=
}

# shape SYSTEM ROUND NAME ARG...: one run; its line gains the shape and the round.
shape() {
	local system=$1 round=$2 name=$3 line
	shift 3
	if line=$(timeout 120 "$bin/load_$system" --pid "$BROKER" "${LOAD[@]}" "$@"); then
		echo "{\"shape\": \"$name\", \"round\": $round, ${line#\{}" >>"$out/runs.jsonl"
	else
		echo "$system, $name, round $round: FAILED" >&2
		echo "{\"shape\": \"$name\", \"round\": $round, \"system\": \"$system\", \"failed\": true}" >>"$out/runs.jsonl"
	fi
}

# Renkei allows 256 unanswered posts a writer: a window of 1,000 needs four.
writers() { [[ $1 != renkei ]] || echo "--writers 4"; }

round() {
	local system=$1 n=$2
	D=$T/$system
	mkdir -p "$D"
	PORT=$(free_port)
	echo "round $n: $system" >&2
	if ! "start_$system"; then
		echo "$system does not start:" >&2
		tail -n 5 "$D/log" >&2
		exit 1
	fi
	# shellcheck disable=SC2046
	shape "$system" "$n" 1:1 --window 1000 --seconds "$seconds" --posts "$posts" $(writers "$system")
	shape "$system" "$n" 1:100 --subscribers 100 --window 200 --warm-up 100 --seconds "$seconds" --posts 30000
	shape "$system" "$n" 1:1000 --subscribers 1000 --window 50 --warm-up 20 --seconds "$seconds" --posts 5000
	shape "$system" "$n" latency --rate 1000 --seconds "$paced" --posts $((paced * 1000 + 1000)) --warm-up 500
	stop
	rm -rf "$D"
}

certificate
present=()
for system in $SYSTEMS; do
	! is_there "$system" || present+=("$system")
done
for n in $(seq "$rounds"); do
	for system in "${present[@]}"; do
		round "$system" "$n"
	done
done
/usr/bin/python3 "$here/table.py" "$out"
