#!/bin/bash
# run-e2e.sh [FILE.bats...]: runs the end-to-end scenarios against the programs in RENKEI_BUILD (default build), RENKEI_E2E_JOBS (2) files at
# a time, the longest first: a scenario mostly waits, for a disk or a clock.  Shows the output of the files in which one failed.
set -u
cd "$(dirname "$0")/.."
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
shopt -s nullglob
files=("$@")
# As many lines, about as long a time.
[[ $# -gt 0 ]] || mapfile -t files < <(wc -l tests/e2e/*.bats | awk '$2 != "total" { print }' | sort -rn | awk '{ print $2 }')
if [[ ${#files[@]} == 0 ]]; then
	echo "e2e: no scenarios"
	exit 0
fi
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

run_one() {
	local log=$2/${1##*/} start=$SECONDS
	bats "$1" >"$log" 2>&1 || touch "$log.failed"
	printf '%-28s %4d s  %d ok\n' "${1##*/}" $((SECONDS - start)) "$(grep -c '^ok' "$log")"
}
export -f run_one
printf '%s\n' "${files[@]}" | xargs -P "${RENKEI_E2E_JOBS:-2}" -I{} bash -c 'run_one "$1" "$2"' _ {} "$logs"

grep -h '^ok .* # skip' "$logs"/* 2>/dev/null | sed 's/^ok [0-9]* /skipped: /' | sort -u
failed=("$logs"/*.failed)
if [[ ${#failed[@]} -gt 0 ]]; then
	for f in "${failed[@]}"; do
		echo "--- ${f%.failed}"
		# What came before a failure in a passing scenario says nothing.
		awk '/^ok/ { on = 0 } /^not ok/ { on = 1 } on' "${f%.failed}" | tail -n 200
	done
	echo "e2e: scenarios of ${#failed[@]} of ${#files[@]} files FAILED"
	exit 1
fi
echo "e2e: ${#files[@]} files, $(cat "$logs"/*.bats | grep -c '^ok') scenarios passed"
