#!/bin/bash
# run.sh [POSTS]: first crude figures, on this machine, broker and load sharing its cores.  See tests/DESIGN.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
posts=${1:-20000}
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
source tests/e2e/kit.bash
bench=$RENKEI_BUILD/tests/bench/bench
setup
trap 'broker_kill; rm -rf "$T"' EXIT
exchange_start >/dev/null 2>&1
for n in reader writer one two three; do join "$n" >/dev/null 2>&1; done
broker_stop
cat >"$T/bench.ini" <<INI
[limits]
burst = 100000
rate = 100000
byte_burst = 4 GiB
byte_rate = 4 GiB
[log]
metrics = 0
INI
broker_run --config "$T/bench.ini"
"$bench" feed "$BROKER" "$T/reader" "$T/writer" "$posts"
broker_stop
broker_run --config "$T/bench.ini"
"$bench" idle "$BROKER" 1000 "$T/reader" "$T/writer" "$T/one" "$T/two" "$T/three"
broker_stop
"$RENKEI_BUILD/tests/bench/bench_gate" "$T/gate" 1000000
"$RENKEI_BUILD/tests/bench/bench_apply"
"$RENKEI_BUILD/tests/bench/bench_tree" "$T/tree" "${RENKEI_BENCH_LEAVES:-10000000}"
