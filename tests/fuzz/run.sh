#!/bin/bash
# run.sh: replays every kept input under ASan and UBSan without a fuzzer, then lets libFuzzer work at each target for
# RENKEI_FUZZ_SECONDS (default 5; 0: replay only).  RENKEI_FUZZ_TARGETS names some of them.  Grown corpora stay in build-fuzz/corpus.
set -u
cd "$(dirname "$0")/../.."
seconds=${RENKEI_FUZZ_SECONDS:-5}
make="${MAKE:-make} --no-print-directory -j2"
grown=build-fuzz/corpus findings=build-fuzz/findings logs=build-fuzz/logs
# A leak ends a program; what cannot be allocated is for the code under test to say.
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1 ${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"
targets=${RENKEI_FUZZ_TARGETS:-$(for f in tests/fuzz/fuzz_*.c; do n=${f##*/fuzz_}; [[ $n == kit.c ]] || echo "${n%.c}"; done)}

fail() {
	echo "fuzz: FAILED: $*"
	exit 1
}

# What the target's parser never takes tests little behind it: so some seed must be taken.
replay() {
	local out
	out=$(timeout 300 "build-asan/tests/fuzz/fuzz_$1" "tests/fuzz/corpus/$1" 2>"$logs/$1.replay") || {
		tail -n 40 "$logs/$1.replay"
		fail "replay of tests/fuzz/corpus/$1"
	}
	read -r _ inputs _ accepted <<<"$out"
	printf '%-10s %4d inputs, %4d taken\n' "$1" "$inputs" "$accepted"
	((inputs > 0 && accepted > 0)) || fail "tests/fuzz/corpus/$1 holds nothing that is taken"
	total=$((total + inputs))
}

fuzz_one() {
	mkdir -p "$grown/$1" "$findings/$1"
	"build-fuzz/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
		-verbosity=0 -artifact_prefix="$findings/$1/" "$grown/$1" "tests/fuzz/corpus/$1" >"$logs/$1.fuzz" 2>&1 && return
	tail -n 40 "$logs/$1.fuzz"
	echo "$1" >>"$logs/failed"
}
export -f fuzz_one
export seconds grown findings logs

rm -rf "$logs"
mkdir -p "$logs"
total=0
$make SANITIZE=address,undefined fuzz-programs || fail "the targets do not compile"
for t in $targets; do
	[[ -x build-asan/tests/fuzz/fuzz_$t ]] || fail "there is no target $t"
	replay "$t"
done
[[ $seconds != 0 ]] || { echo "fuzz: $(wc -w <<<"$targets") targets, $total inputs replayed"; exit 0; }

$make CC=clang SANITIZE=address,undefined,fuzzer-no-link fuzz-programs || fail "the fuzzers do not compile"
printf '%s\n' $targets | xargs -P 2 -I{} bash -c 'fuzz_one {}'
[[ ! -e $logs/failed ]] || fail "$(sort "$logs/failed" | tr '\n' ' '); inputs in $findings"
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs"/*.fuzz | awk '{ n += $1 } END { print n + 0 }')
echo "fuzz: $(wc -w <<<"$targets") targets, $total inputs replayed, $runs executions in $seconds s each, nothing found"
