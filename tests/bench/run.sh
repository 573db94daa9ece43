#!/bin/bash
# run.sh [POSTS] [ROUNDS]: figures on this machine, broker and load sharing its cores: the floor (bare libraries) and Renkei in turns, then the
# rest.  Read the ratios; what they mean and what was found: tests/bench/DESIGN.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
posts=${1:-40000}
rounds=${2:-3}
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
source tests/e2e/kit.bash
bench=$RENKEI_BUILD/tests/bench/bench
setup
trap 'broker_kill; rm -rf "$T"' EXIT
exchange_start >/dev/null 2>&1
for n in reader writer one two three; do join "$n" >/dev/null 2>&1; done
broker_stop
cat >"$T/bench.ini" <<INI
[network]
send_queue = 1024
[limits]
burst = 100000
rate = 100000
byte_burst = 4 GiB
byte_rate = 4 GiB
[log]
metrics = 0
INI

# floor: one line of JSON.
floor() {
	local folder pid
	folder=$(mktemp -d "$T/floor.XXXXXX")
	"$RENKEI_BUILD/tests/bench/floor" "$folder" tcp://127.0.0.1:17631 &
	pid=$!
	for _ in $(seq 100); do [[ -s $folder/key ]] && break; sleep 0.05; done
	"$RENKEI_BUILD/tests/bench/load_floor" --path "$folder" --endpoint tcp://127.0.0.1:17631 --pid "$pid" --window 200 \
		--warm-up 2000 --posts "$((posts + 2000))" --seconds 60
	kill "$pid"
	wait "$pid" 2>/dev/null || true
	rm -rf "$folder"
}

echo "1:1, durable, 1 KiB, 200 unanswered; broker CPU per delivery:"
for round in $(seq "$rounds"); do
	floor >>"$T/floor.json"
	broker_run --config "$T/bench.ini"
	"$bench" feed "$BROKER" "$T/reader" "$T/writer" "$posts" | tee -a "$T/renkei.txt"
	broker_stop
done
python3 - "$T/floor.json" "$T/renkei.txt" <<'PY'
import json, re, statistics as st, sys
floor = [json.loads(line)["cpu_us_per_delivery"] for line in open(sys.argv[1])]
renkei = [float(re.search(r"([0-9.]+) us broker CPU", line)[1]) for line in open(sys.argv[2])]
show = lambda v: "%.1f us (%.1f-%.1f)" % (st.median(v), min(v), max(v))
print("floor %s, renkei %s: %.2f x the floor; 1.35 x is the aim" % (show(floor), show(renkei), st.median(renkei) / st.median(floor)))
PY
broker_run --config "$T/bench.ini"
"$bench" idle "$BROKER" 1000 "$T/reader" "$T/writer" "$T/one" "$T/two" "$T/three"
broker_stop
"$bench" gate "$T/gate" 1000000
"$RENKEI_BUILD/tests/bench/bench_apply"
"$RENKEI_BUILD/tests/bench/bench_tree" "$T/tree" "${RENKEI_BENCH_LEAVES:-10000000}"
