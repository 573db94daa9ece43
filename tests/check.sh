#!/bin/bash
# check.sh: what `make check` runs, step by step.  Each step prints one line; its output stands in build/check/STEP.log and
# is shown when it fails.  Stops at the first failure.
set -u
cd "$(dirname "$0")/.."
logs=build/check
rm -rf "$logs"
mkdir -p "$logs"
make="${MAKE:-make} --no-print-directory"
done_steps=()
began=$SECONDS

# step NAME COMMAND...
step() {
	local name=$1 log=$logs/$1.log start=$SECONDS
	shift
	printf '%-14s ' "$name"
	if "$@" >"$log" 2>&1 </dev/null; then
		printf 'ok    %4d s  %s\n' $((SECONDS - start)) "$(grep -E '^(architecture|unit|counts|e2e|interop|crash|fuzz): |^1\.\.' "$log" | tail -n 1)"
		grep '^ *skipped:' "$log" | sort -u | sed 's/^ */               /'
		done_steps+=("$name")
		return
	fi
	printf 'FAILED %3d s\n' $((SECONDS - start))
	tail -n 80 "$log"
	echo "check: FAILED at step '$name' after ${#done_steps[@]} steps ($log)"
	exit 1
}

# if_there STEP SCRIPT: a step whose script may not be part of the tree.
if_there() {
	[[ ! -x $2 ]] || step "$@"
}

tree_state() {
	git status --porcelain 2>/dev/null || true
}

# The tests may leave nothing behind.  In a fresh clone this is: git status prints nothing.
tree_clean() {
	[[ $(tree_state) == "$before" ]] && return
	echo "the tests changed the tree; before and after:"
	diff <(echo "$before") <(tree_state)
	return 1
}

before=$(tree_state)
step deps         deploy/install-deps.sh check
step architecture tests/arch.sh
step build        $make -j2 all
step headers      $make -j2 headers
step tests        $make -j2 tests
step unit         $make unit
step counts       $make counts
step clang        $make -j2 CC=clang CFLAGS='-O0 -g' BUILD=build-clang all headers tests
step unit-asan    $make -j2 SANITIZE=address,undefined unit
step unit-tsan    $make -j2 SANITIZE=thread unit-threads
# Each file of scenarios once, three at a time since they also wait: with the sanitizers those in which programs read most of what others
# made, the others on the programs as they are installed.  `make e2e` runs all on these, `make SANITIZE=address,undefined e2e` all on those.
plain=(01-enrol 03-follow 04-membership 09-time 10-disk 11-interest 12-service 13-another-log 15-register 16-receipts 21-rotation 24-two-years)
mapfile -t plain < <(printf 'tests/e2e/%s.bats\n' "${plain[@]}")
mapfile -t sanitized < <(printf '%s\n' tests/e2e/*.bats | grep -vxFf <(printf '%s\n' "${plain[@]}"))
export RENKEI_E2E_JOBS=3
step e2e-asan     env RENKEI_BUILD="$PWD/build-asan" tests/run-e2e.sh "${sanitized[@]}"
step e2e          tests/run-e2e.sh "${plain[@]}"
step interop      tests/interop/run.sh
if_there crash    tests/crash/run.sh
if_there fuzz     tests/fuzz/run.sh
step tree-clean   tree_clean
echo "check: all ${#done_steps[@]} steps passed in $((SECONDS - began)) s: ${done_steps[*]}"
