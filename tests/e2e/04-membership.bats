#!/usr/bin/env bats
# Suspension and expulsion cut off a connected member, silent or not (P6).
load kit

@test "an expelled member that only listens gets nothing more" {
	exchange_start
	join company sme
	join bad sme
	as bad feed follow offer
	post company offer "Seen by all" >/dev/null
	renkei --no-input --json --home "$T/bad" feed watch >"$T/w" 2>"$T/w.err" &
	WATCH=$!
	for _ in $(seq 100); do [[ $(count post_id <"$T/w") -ge 1 ]] && break; sleep 0.1; done
	as secretariat member expel "$(org bad)" --yes
	as company sync
	post company offer "After the expulsion" >/dev/null
	sleep 1.5
	[[ $(grep -c 'After the expulsion' "$T/w") == 0 ]]
	kill -9 $WATCH 2>/dev/null || true; wait $WATCH 2>/dev/null || true; WATCH=
	code=0
	as bad sync || code=$?
	[[ $code != 0 ]]
}

@test "a suspended member is refused, and comes back when reinstated" {
	exchange_start
	join company sme
	join member sme
	as secretariat member suspend "$(org member)" --yes
	printf 'Title: No\n\nText\n' >"$T/post.md"
	code=0
	timeout 60 renkei --no-input --home "$T/member" post publish --type offer --file "$T/post.md" 2>"$T/err" >"$T/out" || code=$?
	[[ $code != 0 ]]
	as secretariat member reinstate "$(org member)"
	as member sync
	post member offer "Back"
	as company feed follow offer
	as company --json post list | grep -q Back
}

@test "after an expulsion the others read and write under a new feed epoch" {
	exchange_start
	join company sme
	join reader sme
	join bad sme
	as reader feed follow offer
	as secretariat member expel "$(org bad)" --yes
	as company sync
	post company offer "New epoch"
	as reader sync
	as reader --json post list | grep -q 'New epoch'
}
