#!/bin/bash
# run.sh [ROUNDS [SEED]]: founds an exchange with three members, then lets kill_loop kill its broker ROUNDS times (default 200), and
# kill_sign a quarter as often.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-${RENKEI_KILL_ROUNDS:-200}}
seed=${2:-${RENKEI_SEED:-$RANDOM}}
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
source tests/e2e/kit.bash
setup
trap 'broker_kill; rm -rf "$T"' EXIT
exchange_start >/dev/null 2>&1
for n in reader one two; do join "$n" >/dev/null 2>&1; done
broker_stop
"$RENKEI_BUILD/tests/crash/kill_loop" "$RENKEI_BUILD/renkeid" "$T/broker" "$rounds" "$seed" "$T/reader" "$T/one" "$T/two" || {
	echo "crash: FAILED with seed $seed"
	tail -n 20 "$T/broker.log"
	exit 1
}
mkdir -p "$T/broker/lie"
touch "$T/broker/lie/slow"
"$RENKEI_BUILD/tests/crash/kill_sign" "$RENKEI_BUILD/tests/e2e/liar" "$T/broker" $(((rounds + 3) / 4)) "$seed" "$T/reader" "$T/one" "$T/two" || {
	echo "crash: FAILED in kill_sign with seed $seed"
	tail -n 20 "$T/broker.log"
	exit 1
}
