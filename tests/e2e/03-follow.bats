#!/usr/bin/env bats
# Feeds are durable: who was away gets what it missed, once and in order, then what comes (P4).
load kit

@test "who was away gets what it missed, once and in order" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow need
	for i in 1 2 3 4 5; do post company need "Need $i" >/dev/null; done
	as reader --json feed watch --until-idle >"$T/w1"
	[[ $(value title <"$T/w1") == "Need 1" ]]
	[[ $(count post_id <"$T/w1") == 5 ]]
	post company need "Need 6"
	as reader --json feed watch --until-idle >"$T/w2"
	[[ $(count post_id <"$T/w2") == 1 ]]
	[[ $(value title <"$T/w2") == "Need 6" ]]
	as reader --json feed watch --until-idle >"$T/w3"
	[[ $(count post_id <"$T/w3") == 0 ]]
}

# What a pipe has taken counts as printed, whether head still reads it or not; so the posts that must not be lost are made afterwards.
@test "a watch whose reader has seen enough ends quietly, and goes on with what comes later" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow need
	for i in 1 2 3; do post company need "Need $i" >/dev/null; done
	{ code=0; as reader --json feed watch 2>"$T/err" || code=$?; echo "$code" >"$T/code"; } | head -n 1 >"$T/w"
	[[ $(value title <"$T/w") == "Need 1" ]]
	[[ $(cat "$T/code") == 141 && ! -s $T/err ]] || { cat "$T/code" "$T/err"; false; }
	post company need "Need 4" >/dev/null
	as reader --json feed watch --until-idle >"$T/w2"
	[[ $(grep -c "Need 4" "$T/w2") == 1 ]]
}

@test "what a watch could not write is not lost" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow need
	for i in 1 2 3; do post company need "Need $i" >/dev/null; done
	as reader sync
	mkfifo "$T/pipe"
	exec 8<>"$T/pipe" 9>"$T/pipe" 8<&-      # a pipe that nobody reads
	code=0; as reader --json feed watch >&9 2>"$T/err" || code=$?
	exec 9>&-
	[[ $code == 141 && ! -s $T/err ]] || { echo "$code"; cat "$T/err"; false; }
	as reader --json feed watch --until-idle >"$T/w"
	for i in 1 2 3; do [[ $(grep -c "Need $i" "$T/w") == 1 ]]; done
}

@test "topics are matched after decryption" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow offer
	post company offer "Fish" food/fish
	post company offer "Disc" electronics/disc
	as reader --json feed watch --until-idle --topic electronics >"$T/w"
	[[ $(count post_id <"$T/w") == 1 ]]
	[[ $(value title <"$T/w") == Disc ]]
}

@test "a live watcher prints posts as they come, beside other processes of its home" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow offer
	renkei --no-input --json --home "$T/reader" feed watch >"$T/w" 2>"$T/w.err" &
	WATCH=$!
	sleep 1
	# the watcher's process holds the link; this one works beside it
	post reader offer "From the watcher's own home" >/dev/null
	post company offer "From the company" >/dev/null
	for _ in $(seq 100); do [[ $(count post_id <"$T/w") -ge 2 ]] && break; sleep 0.1; done
	[[ $(count post_id <"$T/w") == 2 ]]
	kill -INT $WATCH
	code=0; wait $WATCH || code=$?
	WATCH=
	[[ $code == 0 || $code == 130 ]]
}

@test "kill -9 of broker and watcher in the middle changes nothing in what is finally seen" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow offer
	for i in 1 2 3; do post company offer "Offer $i" >/dev/null; done
	renkei --no-input --json --home "$T/reader" feed watch >"$T/w" 2>/dev/null &
	WATCH=$!
	for _ in $(seq 100); do [[ $(count post_id <"$T/w") -ge 1 ]] && break; sleep 0.1; done
	broker_kill
	kill -9 $WATCH; wait $WATCH || true; WATCH=
	broker_run
	for i in 4 5 6; do post company offer "Offer $i" >/dev/null; done
	as reader --json feed watch --until-idle >>"$T/w"
	for i in 1 2 3 4 5 6; do
		[[ $(grep -c "Offer $i" "$T/w") == 1 ]] || { cat "$T/w"; false; }
	done
}

@test "a post made while the broker is away goes when it is back" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow offer
	broker_stop
	printf 'Title: Patient\n\nText\n' >"$T/post.md"
	refuses 6 timeout 90 renkei --no-input --home "$T/company" post publish --type offer --file "$T/post.md"
	said 'queue|later|sync'
	broker_run
	as company sync
	as reader sync
	as reader --json post list | grep -q Patient
}

@test "a restored home is noticed and loses nothing silently" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow offer
	post company offer "Before"
	cp -a "$T/company" "$T/company.old"
	post company offer "After"
	rm -rf "$T/company"; mv "$T/company.old" "$T/company"
	post company offer "Restored" 2>"$T/err"
	as reader sync
	for t in Before After Restored; do as reader --json post list | grep -q "$t"; done
}

@test "a copied home stops and says that a copy is in use" {
	exchange_start
	join company sme
	post company offer "One"
	cp -a "$T/company" "$T/copy"
	post company offer "Two"
	post copy offer "Three"        # behind the broker's number: takes a writer epoch of its own
	printf 'Title: Four\n\nText\n' >"$T/post.md"
	code=0
	as company post publish --type offer --file "$T/post.md" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'cop(y|ied)'
}
