#!/bin/bash
# run-e2e.sh [FILE.bats...]: runs the end-to-end scenarios against the programs in RENKEI_BUILD (default build).
set -u
cd "$(dirname "$0")/.."
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
shopt -s nullglob
files=("$@")
[[ $# -gt 0 ]] || files=(tests/e2e/*.bats)
if [[ ${#files[@]} == 0 ]]; then
	echo "e2e: no scenarios"
	exit 0
fi
exec bats "${files[@]}"
