#!/bin/bash
# attachment.sh [SIZE_MIB [KILLS [SEED]]]: one attachment from end to end on the real programs, with kill -9 of client or broker at random
# moments of the upload and of the download (2 x KILLS each way).  The hash must be the file's; peak memory of every process is printed.
# Not part of make check: 2 GiB (the default) take minutes, and four times that on the disk.
set -eu
cd "$(dirname "$0")/../.."
: "${RENKEI_BUILD:=$PWD/build}"
size=${1:-2048} kills=${2:-4} seed=${3:-$(date +%s)}
. tests/e2e/kit.bash
RANDOM=$((seed % 32768))
echo "attachment: $size MiB, $((2 * kills)) kills each way, seed $seed"
setup
trap 'broker_kill; kill -9 ${RUNNING:-} 2>/dev/null || true; rm -rf "$T"' EXIT

peak_client=0 peak_broker=0 runs=0
# The most memory that a process has had, in KiB; 0 once it is gone.
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status" 2>/dev/null || echo 0; }
watch_peaks() {
	local k
	k=$(peak "$RUNNING"); ((${k:-0} > peak_client)) && peak_client=$k
	k=$(peak "$BROKER"); ((${k:-0} > peak_broker)) && peak_broker=$k
	return 0
}

start() {
	local name=$1
	shift
	renkei --no-input --quiet --home "$T/$name" "$@" >"$T/out" 2>"$T/err" &
	RUNNING=$!
	runs=$((runs + 1))
}

# rides NAME FIRST... -- AGAIN...: runs FIRST, kills one side or the other after a random while, goes on with AGAIN, until it ends well.
rides() {
	local name=$1 first=() again=() left=$((2 * kills)) code side wait_ms until_ms
	shift
	while [[ $1 != -- ]]; do first+=("$1"); shift; done
	shift
	again=("$@")
	start "$name" "${first[@]}"
	while :; do
		wait_ms=$((500 + RANDOM % (size * 8 + 1500)))
		until_ms=$(($(date +%s%3N) + wait_ms))
		while kill -0 "$RUNNING" 2>/dev/null && { ((left == 0)) || (($(date +%s%3N) < until_ms)); }; do
			watch_peaks
			sleep 0.05
		done
		if ! kill -0 "$RUNNING" 2>/dev/null; then
			code=0; wait "$RUNNING" || code=$?
			RUNNING=
			((code == 0)) && return
			# A broker that is away for longer than a verb waits for it is no fault; anything else is.
			[[ $code == 6 || $code == 137 ]] || { echo "attachment: FAILED with exit $code, seed $seed"; cat "$T/err"; exit 1; }
			start "$name" "${again[@]}"
			continue
		fi
		left=$((left - 1))
		side=$((RANDOM % 2))
		echo "attachment: after $wait_ms ms kill -9 of the $( ((side)) && echo broker || echo client)"
		if ((side)); then
			broker_kill
			broker_run
		else
			kill -9 "$RUNNING"
			wait "$RUNNING" 2>/dev/null || true
			start "$name" "${again[@]}"
		fi
	done
}

exchange_start >/dev/null 2>&1
join a sme >/dev/null 2>&1
join b university >/dev/null 2>&1
nda=$(agreement 2>/dev/null)
head -c "${size}M" /dev/urandom >"$T/film.bin"
want=$(sha256sum <"$T/film.bin")

# Encrypting cannot be gone on with (it is done again): the kills begin once it is queued.
start a dossier send --nda "$nda" "$T/film.bin"
while kill -0 "$RUNNING" 2>/dev/null && [[ -z $(as a --json dossier uploads 2>/dev/null) ]]; do
	watch_peaks
	sleep 0.2
done
kill -9 "$RUNNING" 2>/dev/null || true
wait "$RUNNING" 2>/dev/null || true
from=$(date +%s%3N)
rides a dossier resume -- dossier resume
echo "attachment: up in $((($(date +%s%3N) - from) / 1000)) s"
as b sync >/dev/null 2>&1
id=$(as b --json dossier list 2>/dev/null | value dossier_id)
from=$(date +%s%3N)
rides b dossier get "$id" --output "$T/got" -- dossier get "$id" --output "$T/got"
echo "attachment: down in $((($(date +%s%3N) - from) / 1000)) s"
[[ $(sha256sum <"$T/got/film.bin") == "$want" ]] || { echo "attachment: FAILED, another hash, seed $seed"; exit 1; }
[[ $(ls -A "$T/got") == film.bin ]] || { echo "attachment: FAILED, something beside the file, seed $seed"; exit 1; }
echo "attachment: $size MiB through $runs runs, hash equal; peak memory: client $((peak_client / 1024)) MiB, broker $((peak_broker / 1024)) MiB"
