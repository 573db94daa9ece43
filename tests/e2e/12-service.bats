#!/usr/bin/env bats
# The daemon under a service manager: ready when it answers, stopping when it drains.
load kit

@test "ready and stopping are told to NOTIFY_SOCKET" {
	exchange_start
	broker_stop
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(20)
said = ""
while "STOPPING=1" not in said:
    said += s.recv(4096).decode() + "\n"
    print(said, flush=True)
' "$T/notify" >"$T/said" &
	pid=$!
	for _ in $(seq 50); do [[ -S $T/notify ]] && break; sleep 0.1; done
	NOTIFY_SOCKET=$T/notify broker_run
	for _ in $(seq 50); do grep -q READY=1 "$T/said" && break; sleep 0.1; done
	grep -q READY=1 "$T/said"
	as secretariat sync
	broker_stop
	wait $pid
	grep -q STOPPING=1 "$T/said"
}

@test "renkeid check reads a healthy store, and names a damaged one" {
	exchange_start
	join a sme
	post a offer "One" >/dev/null
	broker_stop
	renkeid check --data "$T/broker"
	truncate -s 20480 "$T/broker/store/data.mdb"
	code=0
	timeout 30 renkeid check --data "$T/broker" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 && $code != 124 && $code -lt 128 ]]
	said 'store|damaged|short'
	code=0
	timeout 30 renkeid run --data "$T/broker" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 && $code != 124 && $code -lt 128 ]]
}

@test "the demo keeps its folder on demand and leaves nothing running" {
	KEEP=1 TMPDIR=$T RENKEI_BUILD=$RENKEI_BUILD "$BATS_TEST_DIRNAME/../../deploy/demo.sh" >"$T/demo.out" 2>&1
	grep -q 'The folder is kept' "$T/demo.out"
	folder=$(ls -d "$T"/renkei-demo.*)
	[[ -d $folder/university && -d $folder/broker/store ]]
	never pgrep -f "renkeid run --data $folder" >/dev/null
}
