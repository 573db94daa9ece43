#!/bin/bash
# bulk.sh [MIB] [ROUNDS]: an attachment of that size (1024 MiB) from end to end, beside the same bytes through `age -e`, a copy over a bare
# ZeroMQ socket and `age -d`, in turns; then small posts of a third member while such a dossier goes up and down.  Broker, clients
# and load share the machine's cores: read the ratios.  The broker's disk is that of TMPDIR (about three times the size); the clients' homes and
# files, which would stand on disks of their own, and the harness's stand in memory if there is room (six times the size).
set -euo pipefail
cd "$(dirname "$0")/../.."
mib=${1:-1024}
rounds=${2:-3}
export RENKEI_BUILD=${RENKEI_BUILD:-$PWD/build}
source tests/e2e/kit.bash
bench=$RENKEI_BUILD/tests/bench/bench_bulk
setup
trap 'broker_kill; rm -rf "$T"' EXIT
exchange_start >/dev/null 2>&1
for n in a b poster; do join "$n" >/dev/null 2>&1; done
NDA=$(agreement 2>/dev/null)

# C: where the clients are.
C=$T
if (($(df --output=avail -k /dev/shm 2>/dev/null | tail -1) / 1024 > 6 * mib)); then
	C=$(mktemp -d /dev/shm/renkei-bulk.XXXXXX)
	trap 'broker_kill; rm -rf "$T" "$C"' EXIT
	mv "$T/a" "$T/b" "$C/"
fi
echo "broker in $(df --output=fstype "$T" | tail -1), clients in $(df --output=fstype "$C" | tail -1)"
as() { renkei --no-input -q --home "$C/$1" "${@:2}"; }

now() { date +%s.%N; }
seconds() { python3 -c 'import sys; print("%.3f" % (float(sys.argv[2]) - float(sys.argv[1])))' "$1" "$2"; }
peak() { awk '/VmHWM/ { print $2 }' "/proc/$1/status"; }

# timed COMMAND...: its seconds; and the most memory that it had, in $C/peak (KiB).
timed() {
	local from
	from=$(now)
	/usr/bin/env python3 - "$C/peak" "$@" <<-'PY'
		import resource, subprocess, sys
		code = subprocess.call(sys.argv[2:], stdout=open(sys.argv[1] + ".out", "w"))
		open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
		sys.exit(code)
	PY
	seconds "$from" "$(now)"
}

fresh_file() { # another content each time: the same file twice would be the same work for nobody
	head -c "$((mib * 1024 * 1024))" /dev/urandom >"$C/file.bin"
}

# newest HOME: the last dossier that it knows.
newest() {
	as "$1" --json dossier list | python3 -c '
import json, sys
rows = [json.loads(l) for l in sys.stdin if l.strip()]
rows = [r for x in rows for r in (x if isinstance(x, list) else x.get("dossiers", [x]))]
print(max(rows, key=lambda r: r.get("time", ""))["dossier_id"])'
}

age-keygen -o "$C/key" 2>/dev/null
recipient=$(age-keygen -y "$C/key")

echo "attachment of $mib MiB, $rounds rounds"
for round in $(seq "$rounds"); do
	fresh_file
	sync
	plain_up=$(timed age -e -r "$recipient" -o "$C/file.age" "$C/file.bin")
	copy=$("$bench" copy "$C/file.age" "$C/copied.age" | value seconds)
	plain_down=$(timed age -d -i "$C/key" -o "$C/opened.bin" "$C/copied.age")
	rm -f "$C/file.age" "$C/copied.age" "$C/opened.bin"
	sync
	up=$(timed renkei --no-input -q --home "$C/a" dossier send --nda "$NDA" --title "round $round" "$C/file.bin")
	up_peak=$(<"$C/peak")
	as b sync >/dev/null
	id=$(newest a)
	down=$(timed renkei --no-input -q --home "$C/b" dossier get "$id" --output "$C/got")
	down_peak=$(<"$C/peak")
	cmp "$C/file.bin" "$C/got/file.bin"
	python3 - "$round" "$mib" "$plain_up" "$copy" "$plain_down" "$up" "$down" "$up_peak" "$down_peak" "$(peak "$BROKER")" <<-'PY'
		import sys
		r, mib, e, c, d, up, down = (float(x) for x in sys.argv[1:8])
		print("round %d: age -e %.1f s, copy %.1f s, age -d %.1f s | send %.1f s = %.2f x (age -e, copy), %.0f MiB/s | get %.1f s = %.2f x (copy, age -d), %.0f MiB/s | peak memory KiB: sender %s, receiver %s, broker %s"
		      % (r, e, c, d, up, up / (e + c), mib / up, down, down / (c + d), mib / down, *sys.argv[8:11]))
	PY
	rm -rf "$C/got" "$C/file.bin"
done

# Small posts, 50 a second, alone and while a dossier goes up and down all the time.
probe() { "$bench" latency "$T/poster" "$1" 50; }
idle=$(probe 15)
(
	set +e
	for _ in 1 2 3 4 5 6 7 8; do
		fresh_file
		as a dossier send --nda "$NDA" --title probe "$C/file.bin" >/dev/null 2>&1
		as b sync >/dev/null 2>&1
		id=$(newest b)
		as b dossier get "$id" --output "$C/got" >/dev/null 2>&1
		rm -rf "$C/got"
	done
) &
load=$!
sleep 1
busy=$(probe 15)
kill "$load" 2>/dev/null || true
pkill -P "$load" 2>/dev/null || true
python3 - "$idle" "$busy" <<'PY'
import json, sys
idle, busy = (json.loads(x) for x in sys.argv[1:3])
print("small posts, ms: idle p50 %.2f p99 %.2f | beside a dossier p50 %.2f p99 %.2f | ratio p50 %.2f p99 %.2f"
      % (idle["p50_us"] / 1e3, idle["p99_us"] / 1e3, busy["p50_us"] / 1e3, busy["p99_us"] / 1e3,
         busy["p50_us"] / idle["p50_us"], busy["p99_us"] / idle["p99_us"]))
PY
