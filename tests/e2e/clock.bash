# clock.bash: the programs at another time.  They are real, only their clock is moved (libfaketime).

# libfaketime is preloaded; the sanitizer's own library would insist on being first.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"

# The library by itself, without the `faketime` command: that keeps a semaphore named after its process id, and one that was killed blocks
# the next process with its number.
FAKETIME_LIBRARY=$(compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' | head -n 1) || true
# libfaketime reads the environment in every thread, also while days.c changes TZ in the first one: a variable that is there already is
# changed in its place, a new one moves them all, and the other thread reads what was freed.
export TZ=${TZ:-UTC}
export DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1

# at OFFSET COMMAND...: runs a command with its wall clock moved; the monotonic clock is left alone.
at() {
	local offset=$1
	shift
	timeout 60 env FAKETIME="$offset" LD_PRELOAD="$FAKETIME_LIBRARY" "$@"
}

later() { # OFFSET NAME COMMAND...: renkei of a home at another time
	local offset=$1 home=$T/$2
	shift 2
	at "$offset" renkei --no-input --home "$home" "$@"
}

broker_at() { # OFFSET: the broker goes on at another time
	FAKETIME=$1 LD_PRELOAD=$FAKETIME_LIBRARY renkeid run --data "$T/broker" 2>>"$T/broker.log" &
	BROKER=$!
	for _ in $(seq 200); do
		[[ $(tail -c "+$((BROKER_LOG_FROM + 1))" "$T/broker.log" | grep -c ' ready ') -gt 0 ]] && break
		sleep 0.05
	done
}

broker_end() {
	broker_stop
}
