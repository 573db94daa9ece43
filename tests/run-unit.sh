#!/bin/bash
# run-unit.sh PROGRAM...: runs unit test programs, two at a time; shows the output of those that fail, and what was skipped.
set -u
export RENKEI_VECTORS=${RENKEI_VECTORS:-../shared/vectors}
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp ${TSAN_OPTIONS:-}"
# A leak ends a program with this code.  Allocations that no machine can serve are asked for on purpose.
export ASAN_OPTIONS="detect_leaks=1:exitcode=99:allocator_may_return_null=1 ${ASAN_OPTIONS:-}"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

run_one() {
	local log=$2/${1##*/}
	# ThreadSanitizer of this compiler cannot live with full address randomisation.
	local wrap=
	[[ $1 == *-tsan/* ]] && setarch -R true 2>/dev/null && wrap='setarch -R'
	timeout 300 $wrap "$1" >"$log" 2>&1
	local rc=$?
	[[ $rc == 0 ]] || echo "$1: exit code $rc" >"$log.failed"
}
export -f run_one
if [[ $# == 0 ]]; then
	echo "unit: no test programs"
	exit 0
fi
# The longest first, so that none of them runs alone at the end.
long=' test_receipt_tail test_receipt_bytes test_age test_backup test_office test_history test_link_blob test_ahead '
first=() rest=()
for program in "$@"; do
	if [[ $long == *" ${program##*/} "* ]]; then first+=("$program"); else rest+=("$program"); fi
done
printf '%s\n' "${first[@]}" "${rest[@]}" | sed '/^$/d' | xargs -P 2 -I{} bash -c 'run_one "$1" "$2"' _ {} "$logs"

grep -h '^skipped:' "$logs"/* 2>/dev/null | sort -u
passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$logs"/* | awk '{ n += $1 } END { print n + 0 }')
failed=("$logs"/*.failed)
if [[ -e ${failed[0]} ]]; then
	for f in "${failed[@]}"; do
		grep -v '^\[       OK \]\|^\[ RUN ' "${f%.failed}" | tail -n 60
		cat "$f"
	done
	echo "unit: ${#failed[@]} of $# programs FAILED"
	exit 1
fi
echo "unit: $# programs, $passed tests passed"
