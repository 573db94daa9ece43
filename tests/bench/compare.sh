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
	rounds=${ROUNDS:-1} seconds=2 paced=3 posts=60000
else
	rounds=${ROUNDS:-3} seconds=5 paced=15 posts=300000
fi
: "${SYSTEMS:=floor renkei mosquitto nats rabbitmq}"
members=1024 # devices of the exchange that Renkei's load finds
mkdir -p "$out"
: >"$out/runs.jsonl"
: >"$out/versions"
cut -d' ' -f1 /proc/loadavg >"$out/load"
T=$(mktemp -d "${TMPDIR:-/tmp}/renkei-bench.XXXXXX")
BROKER=
EPMD=
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
	: >"$D/log"
	"$RENKEI_BUILD/renkeid" run --data "$D/broker" --config "$D/renkei.ini" 2>"$D/log" &
	BROKER=$!
	until grep -q ' ready ' "$D/log"; do
		kill -0 "$BROKER" || return 1
		sleep 0.05
	done
	"$bin/crowd" fill "$D/broker" "$D/charter.rk" "$members"
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
	rabbitmq) [[ -x $rabbitmq ]] && command -v epmd >/dev/null ;;
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

# Debian's script of this name in PATH becomes the user rabbitmq; this is the server's own, which runs as whoever starts it.
rabbitmq=/usr/lib/rabbitmq/bin/rabbitmq-server

# Nothing of the machine's own RabbitMQ is read or touched: its epmd has a port of this run, and all it keeps stands in $D.  As under systemd
# the script becomes the server, so that its pid is the server's; otherwise it would stay before it as a child of its own.
start_rabbitmq() {
	local epmd_port
	epmd_port=$(free_port)
	mkdir "$D/home"
	echo '[].' | tee "$D/enabled_plugins" >"$D/advanced.config"
	: >"$D/env.conf"
	cat >"$D/rabbitmq.conf" <<-CONF
		listeners.tcp = none
		listeners.ssl.1 = 127.0.0.1:$PORT
		ssl_options.cacertfile = $T/tls.crt
		ssl_options.certfile = $T/tls.crt
		ssl_options.keyfile = $T/tls.key
		ssl_options.versions.1 = tlsv1.3
		log.file.level = warning
	CONF
	epmd -address 127.0.0.1 -port "$epmd_port" >"$D/epmd.log" 2>&1 &
	EPMD=$!
	await_port "$epmd_port" # or the server starts one that outlives it
	env -i PATH="$PATH" LC_ALL="$LC_ALL" HOME="$D/home" ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1 RUNNING_UNDER_SYSTEMD=1 \
		RABBITMQ_CONF_ENV_FILE="$D/env.conf" RABBITMQ_CONFIG_FILE="$D/rabbitmq.conf" RABBITMQ_ADVANCED_CONFIG_FILE="$D/advanced.config" \
		RABBITMQ_ENABLED_PLUGINS_FILE="$D/enabled_plugins" RABBITMQ_MNESIA_BASE="$D/store" RABBITMQ_LOG_BASE="$D/logs" \
		RABBITMQ_NODENAME=bench@localhost RABBITMQ_DIST_PORT="$(free_port)" \
		RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' "$rabbitmq" </dev/null >"$D/log" 2>&1 &
	BROKER=$!
	await_port "$PORT"
	LOAD=(--path "$T/tls.crt" --endpoint "$PORT")
}

# version_of SYSTEM: what the table calls it.
version_of() {
	case $1 in
	floor) echo "libzmq $(pkg-config --modversion libzmq), libsodium $(pkg-config --modversion libsodium), LMDB $(pkg-config --modversion lmdb)" ;;
	renkei) "$RENKEI_BUILD/renkeid" --version ;;
	mosquitto) dpkg-query -W -f '${Version}' mosquitto ;;
	nats) dpkg-query -W -f '${Version}' nats-server ;;
	rabbitmq) dpkg-query -W -f '${Version}' rabbitmq-server; dpkg-query -W -f ', Erlang ${Version}' erlang-base ;;
	esac 2>/dev/null | head -n 1 || echo unknown
}

# await_port PORT: until somebody listens there.
await_port() {
	for _ in $(seq 600); do
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		kill -0 "${BROKER:-$EPMD}" || return 1
		sleep 0.1
	done
	return 1
}

stop() {
	local pid
	for pid in $BROKER $EPMD; do
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	BROKER=
	EPMD=
}

# shape SYSTEM ROUND NAME ARG...: one run; its line gains the shape and the round.
shape() {
	local system=$1 round=$2 name=$3 line
	shift 3
	if line=$(timeout 300 "$bin/load_$system" --pid "$BROKER" "${LOAD[@]}" "$@"); then
		echo "{\"shape\": \"$name\", \"round\": $round, ${line#\{}" >>"$out/runs.jsonl"
	else
		echo "$system, $name, round $round: FAILED" >&2
		echo "{\"shape\": \"$name\", \"round\": $round, \"system\": \"$system\", \"failed\": true}" >>"$out/runs.jsonl"
	fi
}

# shapes_of SYSTEM: a queue of RabbitMQ hands a post to one consumer; fan-out there is another thing, with a queue for each.
shapes_of() {
	case $1 in
	rabbitmq) echo 1:1 latency ;;
	*) echo 1:1 1:100 1:1000 latency ;;
	esac
}

# run_shape SYSTEM ROUND NAME
run_shape() {
	local at_rate=(--rate 1000 --seconds "$paced" --posts $((paced * 1000 + 1000)) --warm-up 500)
	local writers=1 # Renkei allows each 256 unanswered posts: a window of 1,000 needs four
	[[ $1 != renkei ]] || writers=4
	case $3 in
	1:1) shape "$@" --window 1000 --seconds "$seconds" --posts "$posts" --writers "$writers" ;;
	1:100) shape "$@" --subscribers 100 --window 200 --warm-up 100 --seconds "$seconds" --posts 30000 ;;
	1:1000) shape "$@" --subscribers 1000 --window 50 --warm-up 20 --seconds "$seconds" --posts 5000 ;;
	latency) shape "$@" "${at_rate[@]}" ;;
	crowd) shape "$@" "${at_rate[@]}" --idle "$crowd_idle" --stuck "$crowd_stuck" ;;
	esac
}

# round SYSTEM ROUND SHAPE...
round() {
	local system=$1 n=$2 name
	shift 2
	D=$T/$system
	mkdir -p "$D"
	PORT=$(free_port)
	echo "round $n: $system: $*" >&2
	if ! "start_$system"; then
		echo "$system does not start:" >&2
		tail -n 5 "$D/log" >&2
		exit 1
	fi
	for name; do
		run_shape "$system" "$n" "$name"
	done
	stop
	rm -rf "$D"
}

# Renkei alone, in an exchange of that many devices: most are connected and say nothing, some take what they are sent and give no credit.
crowd_idle=5700 crowd_stuck=100
crowd_round() {
	local members=$((crowd_idle + crowd_stuck + 24)) need=$((2 * (crowd_idle + crowd_stuck) + 256)) # a DEALER has two descriptors
	if (($(ulimit -n) < need)); then
		echo "SKIPPED: crowd: $need open files are needed, $(ulimit -n) are allowed" >&2
		return
	fi
	round renkei "$1" crowd
}

certificate
ulimit -n "$(ulimit -Hn)"
present=()
for system in $SYSTEMS; do
	! is_there "$system" || present+=("$system")
done
for system in "${present[@]}"; do
	printf '%s\t%s\n' "$system" "$(version_of "$system")" >>"$out/versions"
done
for n in $(seq "$rounds"); do
	for system in "${present[@]}"; do
		# shellcheck disable=SC2046
		round "$system" "$n" $(shapes_of "$system")
		[[ $system != renkei ]] || crowd_round "$n"
	done
done
status=0
/usr/bin/python3 "$here/table.py" "$out" || status=$?
"$here/plot.sh" "$out"
exit "$status"
