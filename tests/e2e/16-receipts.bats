#!/usr/bin/env bats
# Receipts of a real exchange: what its members export, somebody checks who has only the fingerprint (P5).
load kit
load clock

CHECKPOINT=$RENKEI_BUILD/tests/e2e/checkpoint

setup_file() { pair_file; }

# lodge TITLE: a sends it to b, who knows of it; sets ID.
lodge() {
	echo "$1, in full" >"$T/$1.txt"
	ID=$(as a --json dossier send --nda "$NDA" --title "$1" "$T/$1.txt" | value dossier_id)
	as b sync
}

disclose() { # TITLE: b takes it, and a hears of that
	lodge "$1"
	as b dossier get "$ID" --output "$T/got"
	as a sync
}

# stranger FILE [OPTION...]: verifies without a home; the verdict as JSON stands in $T/verdict.
stranger() {
	HOME=$T/nobody renkei --json receipt verify "$@" --root "$ROOT" >"$T/verdict" || { cat "$T/verdict"; return 1; }
	[[ ! -e $T/nobody ]]
}

proves() { # LEVEL FILE [OPTION...]
	local level=$1
	shift
	stranger "$@"
	[[ $(value level <"$T/verdict") == "$level" ]] || { cat "$T/verdict"; return 1; }
}

restore() { # BACKUP: the operator's way back, with another log
	broker_stop
	rm -rf "$T/broker/store"
	cp -a "$1/store" "$T/broker/store"
	"$CHECKPOINT" "$T/broker" "$(as a --json status | value exchange_id)" 1 99 >"$T/last"
	as secretariat exchange renew --out "$T/charter2.rk" --new-log --last-checkpoint "$T/last"
	renkeid adopt --data "$T/broker" "$T/charter2.rk"
	broker_run
	for home in secretariat a b; do as "$home" sync; done
}

@test "lodged, then picked up, then with its content opened: to whoever has the fingerprint, and nobody else" {
	pair
	lodge one
	refuses 5 as b receipt export "$ID" --output "$T/r0" --with-content
	said 'body_plain'
	as a receipt export "$ID" --output "$T/r1" >"$T/out" 2>"$T/err"
	said 'LODGED'
	as b receipt export "$ID" --output "$T/r2"
	as b dossier get "$ID" --output "$T/got"
	as a sync
	for home in a b; do
		as "$home" receipt export "$ID" --output "$T/r-$home"
		as "$home" receipt export "$ID" --output "$T/r-$home-open" --with-content
	done
	cp "$T/r1" "$T/kept"
	refuses 7 as a receipt export "$ID" --output "$T/r1"
	said 'other name|--output'
	cmp "$T/kept" "$T/r1"
	broker_stop
	proves lodged "$T/r1"
	proves lodged "$T/r2"
	for home in a b; do
		proves picked_up "$T/r-$home"
		proves opened "$T/r-$home-open"
	done
	[[ $(value env_id <"$T/verdict") == "$ID" && $(count device_id <"$T/verdict") == 2 ]]
	python3 - "$T/verdict" <<-'END'
		import json, sys
		o = json.load(open(sys.argv[1]))
		p, = o["pickups"]
		assert o["sender"]["name"] == "a" and [r["name"] for r in o["recipients"]] == ["b"] and p["name"] == "b", o
		assert p["log_index"] > o["log_index"] and not o["nacks"] and all(s["ok"] for s in o["steps"]), o
	END
	HOME=$T/nobody renkei receipt verify "$T/r-a-open" --root "$ROOT" >"$T/out" 2>"$T/err"
	said 'OPENED'
	said 'Disclosed by +a, '
	said 'Picked up by +b, '
	# What is not shown does not stand in it either.
	never grep -q 'one, in full' "$T/r-a"
	grep -aq 'one, in full' "$T/r-a-open"
}

@test "no byte of it can be changed, nothing cut off, and no other exchange or file taken for it" {
	pair
	disclose one
	as a receipt export "$ID" --output "$T/r" --with-content
	broker_stop
	refuses 9 renkei receipt verify "$T/r" --root "${ROOT//[0-8]/9}"
	said 'charter'
	# One byte in each member and 20 others anywhere; and lengths.
	python3 - "$T/r" "$ROOT" "$T/bent" <<-'END'
		import json, random, subprocess, sys, tarfile
		path, root, bent = sys.argv[1:]
		whole = open(path, "rb").read()
		members = tarfile.open(path).getmembers()
		print("seed 16,", len(members), "members")
		rand = random.Random(16)
		places = [(m.name, m.offset_data + rand.randrange(m.size)) for m in members]
		places += [("anywhere", rand.randrange(len(whole))) for _ in range(20)]
		def steps(data):
		    open(bent, "wb").write(data)
		    r = subprocess.run(["renkei", "--json", "receipt", "verify", bent, "--root", root], capture_output=True, text=True)
		    assert r.returncode == 9, (r, len(data))
		    last = json.loads(r.stdout)["steps"][-1]
		    assert not last["ok"] and last["step"] in r.stderr, (last, r.stderr)
		    return last
		for name, at in places:
		    last = steps(whole[:at] + bytes([whole[at] ^ 1 << rand.randrange(8)]) + whole[at + 1:])
		    print(name, at, last["step"], last["member"])
		for size in (1, 511, 512, len(whole) // 2, len(whole) - 512, len(whole) - 1):
		    assert steps(whole[:size])["step"] == "archive"
		steps(whole + bytes(512))
	END
	: >"$T/empty"
	printf '\211PNG\r\n\032\n and so on' >"$T/picture.png"
	for file in empty picture.png pass one.txt; do
		refuses 9 renkei receipt verify "$T/$file" --root "$ROOT"
		said 'archive'
	done
}

@test "a deposit is proven with the file that was deposited, and with no other" {
	pair
	echo "what we had before" >"$T/before.txt"
	echo "what we had before!" >"$T/after.txt"
	oh=$(as a --json deposit "$T/before.txt" | value deposit_id)
	as a sync
	as a receipt export "$oh" --output "$T/r"
	broker_stop
	proves lodged "$T/r"
	proves opened "$T/r" --file "$T/before.txt"
	refuses 9 renkei receipt verify "$T/r" --root "$ROOT" --file "$T/after.txt"
	said 'after.txt'
	[[ $(value file_sha256 <"$T/verdict") == "$(sha256sum "$T/before.txt" | cut -d' ' -f1)" ]]
}

@test "a dossier that was declined is on record as declined, and proves no pickup" {
	pair
	lodge one
	as b dossier decline "$ID"
	as a sync
	for home in a b; do
		as "$home" receipt export "$ID" --output "$T/r-$home"
		proves lodged "$T/r-$home"
		[[ $(value reason <"$T/verdict") == declined ]]
	done
	renkei receipt verify "$T/r-a" --root "$ROOT" >"$T/out" 2>"$T/err"
	said 'Declined by +b, '
}

@test "what was destroyed is shown no more, and its receipt still says that it was taken" {
	pair
	disclose one
	as b receipt export "$ID" --output "$T/before" --with-content
	as b dossier destroy "$ID" --yes
	refuses 5 as b receipt export "$ID" --output "$T/r" --with-content
	said 'was destroyed here'
	as b receipt export "$ID" --output "$T/r"
	proves picked_up "$T/r"
	# What was exported before it was destroyed is a file like any other.
	proves opened "$T/before"
}

@test "a receipt carries the witness's time once the secretariat has countersigned" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	pair
	disclose one
	as a receipt export "$ID" --output "$T/early" >"$T/out" 2>"$T/err"
	said 'not countersigned|has not countersigned'
	proves picked_up "$T/early"
	grep -q '"witnessed_at":null' "$T/verdict"
	broker_stop
	broker_at +1d
	later +1d secretariat sync
	later +1d a sync
	later +1d a receipt export "$ID" --output "$T/late" >"$T/out" 2>"$T/err"
	[[ -z $(grep 'countersigned' "$T/out" "$T/err") ]]
	broker_end
	proves picked_up "$T/late"
	python3 - "$T/verdict" <<-'END'
		import datetime, json, sys
		o = json.load(open(sys.argv[1]))
		at = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
		for event in (o, o["pickups"][0]):
		    assert at(event["witnessed_at"]) - at(event["logged_at"]) > datetime.timedelta(hours=20), event
	END
	renkei receipt verify "$T/late" --root "$ROOT" | grep 'seen by the witness not later than'
}

@test "a home that comes late exports what stood at the disclosure, not what came since" {
	pair
	echo one >"$T/one.txt"
	ID=$(as a --json dossier send --nda "$NDA" "$T/one.txt" | value dossier_id)
	# Before the recipient hears of it there are a newer directory and a newer charter.
	join c sme
	broker_stop
	as secretariat exchange renew --out "$T/charter2.rk"
	renkeid adopt --data "$T/broker" "$T/charter2.rk"
	broker_run
	as b sync
	as b dossier get "$ID" --output "$T/got"
	as a sync
	for home in a b; do
		as "$home" receipt export "$ID" --output "$T/one-$home"
		proves picked_up "$T/one-$home"
	done
	# And one of after the new charter, under lists that are older than it.
	disclose two
	as a receipt export "$ID" --output "$T/two" --with-content
	proves opened "$T/two"
}

@test "after a restore the next log proves what comes, what the copy had, and what was exported before" {
	pair
	disclose one
	one=$ID
	as a receipt export "$one" --output "$T/before"
	lodge two
	two=$ID
	as a sync
	renkeid backup --data "$T/broker" --output "$T/copy"
	disclose lost
	lost=$ID
	restore "$T/copy"
	disclose three
	three=$ID
	as b dossier get "$two" --output "$T/got"
	as a sync
	for id in "$one" "$two" "$three" "$lost"; do
		as a receipt export "$id" --output "$T/after-$id" --with-content
		as b receipt export "$id" --output "$T/theirs-$id"
	done
	broker_stop
	proves picked_up "$T/before"
	for id in "$one" "$two" "$three" "$lost"; do
		proves opened "$T/after-$id"
		proves picked_up "$T/theirs-$id"
	done
}

@test "tar, openssl, Go and the Python of proto/RECEIPT.md accept it, and refuse it bent" {
	pair
	disclose one
	as a receipt export "$ID" --output "$T/r" --with-content
	mkdir "$T/tar"
	tar -xf "$T/r" -C "$T/tar"
	[[ $(tar -tf "$T/r" | head -n 1) == README.txt ]]
	grep -aq 'one, in full' "$T/tar/body_plain"
	awk '/^<!-- verify.py -->/ { on = 1; next } /^<!-- end of verify.py -->/ { on = 0 } on && !/^```/' \
		"$BATS_TEST_DIRNAME/../../proto/RECEIPT.md" >"$T/verify.py"
	python3 -c 'import sys; b = bytearray(open(sys.argv[1], "rb").read()); b[b.find(b"envelope.entry") + 512 + 30] ^= 1; open(sys.argv[2], "wb").write(b)' "$T/r" "$T/bent"
	missing=
	if command -v openssl >/dev/null; then
		python3 "$T/verify.py" "$T/r" "$ROOT" | grep '^PROVEN'
		refuses 1 python3 "$T/verify.py" "$T/bent" "$ROOT"
	else
		missing+=" openssl"
	fi
	export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-mod= GOCACHE=$RENKEI_BUILD/tests/go-cache GOPROXY=off
	if command -v go >/dev/null && [[ -d /usr/share/gocode/src/golang.org/x/mod ]]; then
		go build -o "$T/verify-go" "$BATS_TEST_DIRNAME/../interop/verify.go"
		"$T/verify-go" receipt "$T/r"
		refuses 1 "$T/verify-go" receipt "$T/bent"
	else
		missing+=" go with golang.org/x/mod"
	fi
	[[ -z $missing ]] || skip "not installed:$missing"
}
