#!/usr/bin/env bats
# A full disk: what is acknowledged stays, producers are refused, an agreement can still be ended, writing resumes (P3, P7).
load kit

teardown_disk() { mountpoint -q "$T/broker" && { broker_kill; umount "$T/broker"; } || true; }

@test "a full disk refuses posts, loses nothing, and lets a party terminate once there is room" {
	exchange_start
	join a sme
	join b sme
	NDA=$(propose a "$(org b)")
	as b sync
	as b nda sign "$NDA" --yes --signatory B
	broker_stop
	mv "$T/broker" "$T/kept"
	mkdir "$T/broker"
	mount -t tmpfs -o size=6m,mode=700 renkei-test "$T/broker" 2>/dev/null || skip "no right to mount a small file system"
	# Sparse: of what lies written ahead of the store, the small disk shall have nothing.
	cp -a --sparse=always "$T/kept/." "$T/broker/"
	broker_run
	as b feed follow offer
	post a offer "Before" >/dev/null
	head -c 20000000 /dev/zero >"$T/broker/ballast" 2>/dev/null || true
	printf 'Title: Too much\n\n%s\n' "$(head -c 30000 /dev/urandom | base64 -w 70)" >"$T/post.md"
	code=0
	for _ in 1 2 3; do
		as a post publish --type offer --file "$T/post.md" >"$T/out" 2>"$T/err" || code=$?
		[[ $code == 0 ]] || break
	done
	kill -0 "$BROKER" || { teardown_disk; false; }
	[[ $code == 6 || $code == 7 ]] || { cat "$T/err"; teardown_disk; false; }
	rm "$T/broker/ballast"
	as a nda terminate "$NDA" --yes || { teardown_disk; false; }
	as b sync
	[[ $(as b --json nda view "$NDA" | value state) == terminated ]] || { teardown_disk; false; }
	as b --json post list | grep -q Before || { teardown_disk; false; }
	teardown_disk
}
