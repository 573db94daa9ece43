#!/usr/bin/env bats
# A broker that lies (liar.c), and a broker on an older copy of its store: by which step each is found out, and that nothing confidential
# goes on from there (P5).
load kit

setup_file() { pair_file; }

# liars_exchange: from here on the broker tells the lie NAME while the file $T/broker/lie/NAME is there.
liars_exchange() {
	RENKEID=$RENKEI_BUILD/tests/e2e/liar
	mkdir -p "$BATS_FILE_TMPDIR/pair/broker/lie"
	pair
}

lie() { touch "$T/broker/lie/$1"; }

# older KEEP: the broker goes on from the store kept under that name, and without the file that remembers what it has signed.
older() {
	broker_stop
	rm -rf "$T/broker/store" "$T/broker/log.head"
	cp -a "$T/$1" "$T/broker/store"
	broker_run
}

keep() {
	broker_stop
	rm -rf "${T:?}/$1"
	cp -a "$T/broker/store" "$T/$1"
	broker_run
}

send() {
	echo "something of $1" >"$T/$1.txt"
	as "$1" dossier send --nda "$NDA" "$T/$1.txt"
}

# fault HOME: the contradiction that stands there.
fault() {
	as "$1" --json log view | python3 -c 'import json, sys; print(*[f["fault"] for f in json.load(sys.stdin)["contradictions"] if f["stands"]])'
}

# sends_nothing HOME: nothing confidential goes, in words; a post, which anybody here may read, does.
sends_nothing() {
	refuses 9 send "$1"
	said 'two records of the past that cannot both be true; nothing confidential is sent'
	refuses 9 as "$1" nda notice "$NDA" consent --summary S
	post "$1" offer "Still open" >/dev/null
}

# two_notes FILE: two notes of one size under other roots, each signed by the log's key: anybody can check it with openssl alone.
two_notes() {
	python3 - "$1" "$(as a --json status | value root_fingerprint)" <<-'END'
		import base64, sys
		text = open(sys.argv[1], encoding="utf-8").read()
		notes = [n for n in text.replace("\n\n\u2014", "\n@\u2014").split("\n\n")]
		assert len(notes) == 2, notes
		heads = []
		for n in notes:
		    body, lines = n.split("@", 1)
		    origin, size, root = body.split("\n")[:3]
		    heads.append((origin, int(size)))
		    assert len(base64.b64decode(root)) == 32 and lines.startswith("\u2014 " + origin + " "), n
		    heads.append(root)
		assert heads[0] == heads[2] and heads[1] != heads[3], heads
	END
}

@test "a hidden termination: found by nda_set of the other party's next notice" {
	liars_exchange
	lie hide-terminate
	as a nda terminate "$NDA" --yes
	as b sync
	[[ $(as b --json nda view "$NDA" | value state) == in_force ]]
	as a nda notice "$NDA" return-request --all --choice destroy --yes
	as b sync
	as b --json inbox list >"$T/inbox"
	python3 - "$T/inbox" <<-'END'
		import json, sys
		items = [json.loads(line) for line in open(sys.argv[1])]
		assert [i for i in items if i["kind"] == "alert" and "stale-nda" in i["detail"]], items
		assert not [i for i in items if i["kind"] == "notice"], items
	END
	as b inbox list >"$T/out"
	grep -q 'signed on other acts of the agreement than the exchange shows here' "$T/out"
}

@test "a leaf left out: found by the inclusion proof of what was said to be logged" {
	liars_exchange
	lie other-leaf
	send a
	[[ $(fault a) == leaf ]]
	sends_nothing a
	as b sync
	[[ $(fault b) == leaf ]]
}

@test "a forked log: found by another root at a known size, with both notes as proof" {
	liars_exchange
	lie other-root
	as a sync
	[[ $(fault a) == fork ]]
	as a log view >"$T/out"
	grep -q 'two records of the past that cannot both be true' "$T/out"
	sends_nothing a
	as a log export "$T/proof"
	two_notes "$T/proof"
	# What a home has found stands, also when the broker behaves again.
	rm "$T/broker/lie/other-root"
	as a sync
	[[ $(fault a) == fork ]]
}

@test "two histories for two members: found by the one who is shown the other's" {
	liars_exchange
	lie blind
	keep start
	send a
	older start
	send b
	[[ -z $(fault b) ]]
	as a sync
	[[ $(fault a) == fork ]]
	sends_nothing a
	as a log export "$T/proof"
	two_notes "$T/proof"
}

@test "a rollback: found by the size of the next checkpoint, also where the broker looks away" {
	liars_exchange
	lie blind
	keep start
	send a
	as a sync
	older start
	as a sync
	[[ $(fault a) == rollback ]]
	sends_nothing a
	# b has seen nothing of what was taken back; it learns it from nobody yet.
	as b sync
	[[ -z $(fault b) ]]
}

@test "a release without a pickup: found by the answer, nothing is fetched" {
	liars_exchange
	for told in no-pickup false-pickup; do
		rm -f "$T/broker/lie/"*
		send a
		as b sync
		id=$(as b --json dossier list | python3 -c 'import json, sys; print(max((o["log_index"], o["dossier_id"]) for o in map(json.loads, sys.stdin))[1])')
		lie "$told"
		refuses 9 as b dossier get "$id" --output "$T/got"
		[[ ! -e $T/got ]]
		as b inbox list >"$T/out"
		grep "$(cut -c 1-12 <<<"$id")"'.*without writing it into its log; nothing was opened' "$T/out"
		[[ $(as b --json dossier view "$id" | value title) == "" || $(as b --json dossier view "$id" | value title) == None ]]
		as b --json dossier view "$id" | grep -q '"pickups":\[\]'
	done
}

@test "content before a signature: found on arrival, not opened, and told" {
	liars_exchange
	lie bulk-with-head
	send a
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	as b inbox list >"$T/out"
	grep "$(cut -c 1-12 <<<"$id")"'.*content that nobody here had signed for; it was not opened' "$T/out"
	as b dossier view "$id" >"$T/out"
	grep -q 'sealed until you get it' "$T/out"
	# It opens after the signature, as ever.
	as b dossier get "$id" --output "$T/got"
	cmp "$T/a.txt" "$T/got/a.txt"
	as b --json dossier view "$id" | grep -q '"pickups":\[{'
}

@test "an honest broker on an older copy: its own checkpoint in a HELLO makes it read-only, and nothing is lost" {
	liars_exchange
	keep start
	send a
	as a sync
	older start
	as b sync
	as a sync
	[[ $(grep -c 'read-only' "$T/broker.log") == 1 ]]
	[[ -z $(fault a) || $(fault a) == rollback ]]
	refuses 6 send b
	said 'older copy of its records and takes nothing'
	# Reading goes on; what was written waits at home.
	as b feed follow need offer
	printf 'Title: Waits\nTopics: test/one\nSummary: S.\n\nBody.\n' >"$T/post.md"
	refuses 6 as b post publish --type offer --file "$T/post.md"
	said 'It is kept'
	[[ $(as b --json status | value queued) == 2 ]]
	# It stays so after a new start: the mark is in the store.
	broker_stop
	broker_run
	refuses 6 send b
}

@test "an honest broker that remembers: an older store under a newer log.head is read-only from the first moment" {
	liars_exchange
	keep start
	send a
	as a sync
	broker_stop
	rm -rf "$T/broker/store"
	cp -a "$T/start" "$T/broker/store"
	broker_run
	grep -q 'older than what this broker has signed' "$T/broker.log"
	refuses 6 send b
	said 'older copy of its records and takes nothing'
}
