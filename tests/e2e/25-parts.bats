#!/usr/bin/env bats
# Attachments at the broker, over the real wire, by a client that is not ours (parts.c): kills on the way, each part gated, backup and check (P2, P3, P7).
load kit

setup_file() { pair_file; }

parts() { timeout 120 "$RENKEI_BUILD/tests/e2e/parts" "$T/$1" "${@:2}"; }
files() { find "$T/broker/blobs" -type f -name "${1:-*}" | wc -l; }

@test "requests about attachments that no honest client makes get their refusals" {
	pair
	parts a hostile "$NDA" "$(org b)"
	kill -0 "$BROKER"
}

@test "an attachment survives every kill of the broker, is in the backup, and goes with its agreement" {
	pair
	head -c 100000000 /dev/urandom >"$T/file"
	: >"$T/carry.err"
	parts a carry "$NDA" "$(org b)" "$T/file" >"$T/carried" 2>"$T/carry.err" &
	local carrier=$! kills=0
	# While parts come in, three times, each time after it has gone on; then while they go out.
	while ((kills < 4)); do
		until (($(grep -c 'from [0-9]*$\|fetching' "$T/carry.err") > kills)) || ! kill -0 "$carrier" 2>/dev/null; do sleep 0.02; done
		sleep "0.$((RANDOM % 3))"
		broker_kill
		broker_run
		kills=$((kills + 1))
	done
	wait "$carrier" || { cat "$T/carry.err"; false; }
	cat "$T/carried" "$T/carry.err"
	(($(grep -c 'from [1-9]' "$T/carry.err") >= 1))
	[[ $(files) == 1 && $(files '*.part') == 0 ]]
	[[ $(sha256sum <"$T/file") == "$(sha256sum < <(cat "$T"/broker/blobs/*/*))" ]]
	renkeid check --data "$T/broker" --attachments | grep -q '^attachments  1 files, 100000000 bytes, read; 0 being sent'
	renkeid backup --data "$T/broker" --output "$T/copy" 2>/dev/null | grep -q '^attachments 1 100000000$'
	# An end drops it at the broker, and not in the backup.
	as a sync
	as b nda terminate "$NDA" --yes
	for _ in $(seq 50); do [[ $(files) == 0 ]] && break; sleep 0.1; done
	[[ $(files) == 0 ]]
	renkeid check --data "$T/broker" | grep -q '^attachments  0 files'
	renkeid check --data "$T/copy" --attachments | grep -q '^attachments  1 files'
	printf x | dd of="$(echo "$T"/copy/blobs/*/*)" bs=1 seek=1000 conv=notrunc 2>/dev/null
	refuses 9 renkeid check --data "$T/copy" --attachments
	said 'not what it was'
}
