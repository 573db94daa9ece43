# clock.bash: the programs at another time.  They are real, only their clock is moved (libfaketime).

# libfaketime is preloaded; the sanitizer's own library would insist on being first.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"

# at OFFSET COMMAND...: runs a command with its wall clock moved; the monotonic clock is left alone.
at() {
	local offset=$1
	shift
	DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 timeout 60 faketime -f "$offset" "$@"
}

later() { # OFFSET NAME COMMAND...: renkei of a home at another time
	local offset=$1 home=$T/$2
	shift 2
	at "$offset" renkei --no-input --home "$home" "$@"
}

broker_at() { # OFFSET: the broker goes on at another time
	DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 faketime -f "$1" renkeid run --data "$T/broker" 2>>"$T/broker.log" &
	BROKER=$!
	for _ in $(seq 200); do
		[[ $(tail -c "+$((BROKER_LOG_FROM + 1))" "$T/broker.log" | grep -c ' ready ') -gt 0 ]] && break
		sleep 0.05
	done
}

# faketime is a wrapper process: what it started has to end too
broker_end() {
	broker_mark
	pkill -TERM -P "$BROKER" 2>/dev/null || kill -TERM "$BROKER"
	wait "$BROKER" || true
	BROKER=
}
