#!/usr/bin/env bats
# Attachments: large files under an agreement, whatever breaks off on the way (CRYPTO 2.7; P1, P2, P3).
load kit

setup_file() { pair_file; }

# big NAME MIB: a file that nobody can compress or guess.
big() { head -c "$(($2 * 1048576))" /dev/urandom >"$T/$1"; }

# slow MIB: the broker lets so many MiB a second pass, so that there is a middle to break off in.
slow() {
	printf '[limits]\nbyte_burst = 2 MiB\nbyte_rate = %d MiB\n' "$1" >"$T/slow.ini"
	broker_stop
	broker_run --config "$T/slow.ini"
}

# until COMMAND...: tries for 20 seconds.
until_so() {
	for _ in $(seq 400); do
		"$@" && return 0
		sleep 0.05
	done
	echo "in vain: $*"
	return 1
}

# sending FILE MIN: the progress in FILE (NDJSON) has said that more than MIN bytes are at the exchange, and not all.
sending() {
	python3 - "$1" "$2" <<'EOF'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1]) if l.endswith("\n")]
rows = [r for r in rows if r.get("stage") == "sending"]
sys.exit(not any(int(sys.argv[2]) < r["bytes"] < r["total"] for r in rows))
EOF
}

# part NAME: bytes of an attachment that have come so far.
part() { stat -c %s "$T/$1"/blobs/*.part 2>/dev/null || echo 0; }
grown() { (($(part "$1") > $2)); }

# behind NAME ARG...: as `as`, in the background, as RUNNING; a kill reaches the program itself.
behind() {
	local name=$1
	shift
	renkei --no-input --home "$T/$name" "$@" >"$T/bg.out" 2>"$T/bg.err" &
	RUNNING=$!
}

ended() {
	local code=0
	wait "$RUNNING" || code=$?
	[[ $code == "$1" ]] || { echo "expected exit $1, got $code"; cat "$T/bg.out" "$T/bg.err"; return 1; }
}

said_bg() { grep -qiE -- "$1" "$T/bg.err" || { echo "expected to be told /$1/, got:"; cat "$T/bg.err"; return 1; }; }

@test "large and small files arrive byte for byte, and are shown with their sizes" {
	pair
	big film.mov 3
	printf 'hello\n' >"$T/note.txt"
	as a dossier send --nda "$NDA" --title "Run 14" --message "See the note." "$T/film.mov" "$T/note.txt" 2>"$T/err"
	said 'film.mov: encrypted, 3.0 MiB'
	said 'verified by the exchange'
	cp "$T"/a/blobs/*.age "$T/on-the-way"
	head -c 21 "$T/on-the-way" | grep -q 'age-encryption.org/v1'
	never cmp -s "$T/on-the-way" "$T/film.mov"
	as b inbox list | grep '1 attachments, 3.0 MiB'
	id=$(as b --json dossier list | value dossier_id)
	[[ $(as b --json dossier view "$id" | value attachments) == 1 ]]
	as b --json dossier get "$id" --output "$T/got" >"$T/out" 2>"$T/err"
	python3 -c '
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert all(r["event"] == "progress" for r in rows), rows
assert {r["stage"] for r in rows} >= {"fetching", "verifying"}, rows
assert len(json.loads(open(sys.argv[2]).read())["files"]) == 3' "$T/err" "$T/out"
	cmp "$T/film.mov" "$T/got/film.mov"
	cmp "$T/note.txt" "$T/got/note.txt"
	cmp "$T/on-the-way" "$T"/b/blobs/*.age
	refuses 7 as b dossier get "$id" --output "$T/got"
	# From what is here, and quietly.
	broker_kill
	as b -q dossier get "$id" --output "$T/again" 2>"$T/err"
	[[ -z $(grep -v 'caught up\|not answer' "$T/err") ]]
	cmp "$T/film.mov" "$T/again/film.mov"
	as b status | grep -i 'attachments.*3.0 MiB'
	as b dossier destroy "$id" --yes
	[[ -z $(ls "$T/b/blobs") ]]
	[[ $(ls "$T/a/blobs") == *.age ]]
}

@test "client and broker are killed in the middle of the upload and of the download, and it goes on" {
	pair
	slow 6
	big drawing.dwg 32
	behind a --json dossier send --nda "$NDA" "$T/drawing.dwg"
	until_so sending "$T/bg.err" 0
	kill -9 "$RUNNING"
	ended 137
	[[ $(as a --json dossier uploads | value state) == sending ]]
	as a dossier list 2>&1 | grep 'on their way'
	# Others are not held up by it.
	as a post publish --type offer --file <(printf 'Title: T\nTopics: test/one\nSummary: S.\n\nB.\n')
	behind a --json dossier resume
	until_so sending "$T/bg.err" 12000000
	broker_kill
	broker_run --config "$T/slow.ini"
	ended 0
	[[ -z $(as a --json dossier uploads) ]]
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	behind b dossier get "$id" --output "$T/got"
	until_so grown b 4000000
	kill -9 "$RUNNING"
	ended 137
	[[ ! -e $T/got/drawing.dwg ]]
	had=$(part b)
	behind b dossier get "$id" --output "$T/got"
	until_so grown b $((had + 4000000))
	broker_kill
	broker_run --config "$T/slow.ini"
	ended 0
	cmp "$T/drawing.dwg" "$T/got/drawing.dwg"
	[[ $(ls -A "$T/got") == drawing.dwg ]]
	[[ $(ls "$T/b/blobs") == *.age ]]
}

@test "a folder goes as one archive; what is sealed opens with age" {
	pair
	mkdir -p "$T/lab/runs/2026" "$T/lab/empty"
	big lab/runs/2026/scan.bin 1
	printf 'a\n' >"$T/lab/a name with blanks.txt"
	: >"$T/lab/nothing"
	ln -s /etc/passwd "$T/lab/runs/secret"
	refuses 2 as a dossier send --nda "$NDA" "$T/lab"
	said 'lab/runs/secret cannot go into an archive'
	rm "$T/lab/runs/secret"
	as a dossier send --nda "$NDA" --message "All of it." "$T/lab"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	as b dossier get "$id" --output "$T/sealed" --sealed
	[[ $(stat -c %a "$T/sealed/lab.tar.age.key") == 600 ]]
	age -d -i "$T/sealed/lab.tar.age.key" -o "$T/lab.tar" "$T/sealed/lab.tar.age"
	[[ $(age -d -i "$T/sealed/message.txt.age.key" "$T/sealed/message.txt.age") == "All of it." ]]
	as b dossier get "$id" --output "$T/got"
	cmp "$T/lab.tar" "$T/got/lab.tar"
	mkdir "$T/unpacked"
	tar -C "$T/unpacked" -xf "$T/got/lab.tar"
	diff -r "$T/lab" "$T/unpacked/lab"
	touch "$T"/many{1..33}
	refuses 2 as a dossier send --nda "$NDA" "$T"/many*
}

@test "an agreement that ends in the middle of a download releases nothing more" {
	pair
	slow 4
	big film.mov 14
	as a -q dossier send --nda "$NDA" "$T/film.mov"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	behind b dossier get "$id" --output "$T/got"
	until_so grown b 2000000
	as a nda terminate "$NDA" --yes --reason "over"
	ended 8
	said_bg 'Only .* of 14.0 MiB of the attachments'
	said_bg 'terminated'
	had=$(part b)
	((had > 2000000 && had < 14000000))
	as b dossier list | grep 'opened, .* of 14.0 MiB here'
	[[ $(as b --json dossier list | value attachment_bytes_here) == "$had" ]]
	refuses 8 as b dossier get "$id" --output "$T/got"
	[[ $(part b) == "$had" ]]
	[[ ! -e $T/got/film.mov ]]
	# Nor is anything more taken in under it.
	refuses 8 as a dossier send --nda "$NDA" "$T/film.mov"
	[[ $(ls "$T/a/blobs" | wc -l) == 1 ]]
}

@test "Ctrl-C says how to go on; what is taken back is gone" {
	pair
	slow 4
	big film.mov 24
	behind a --json dossier send --nda "$NDA" "$T/film.mov"
	until_so sending "$T/bg.err" 0
	kill -INT "$RUNNING"
	ended 130
	said_bg 'Stopped with .* of 24.0 MiB at the exchange'
	said_bg 'renkei dossier resume'
	number=$(as a --json dossier uploads | value upload)
	# A sync goes on, and shows it in the same way.
	behind a --json sync
	until_so sending "$T/bg.err" 0
	kill -INT "$RUNNING"
	ended 130
	python3 -c '
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1]) if "\"progress\"" in l]
assert all(r["stage"] == "sending" and 24 << 20 <= r["total"] < 25 << 20 for r in rows), rows' "$T/bg.err"
	as a dossier uploads | grep -q "^ *$number "
	refuses 5 as a dossier cancel 999999
	as a dossier cancel "$number"
	[[ -z $(as a --json dossier uploads) ]]
	[[ -z $(ls "$T/a/blobs") ]]
	as a sync
	[[ $(as a --json status | value queued) == 0 ]]
	[[ -z $(as b --json dossier list) ]]
}
