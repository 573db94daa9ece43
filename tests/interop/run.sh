#!/bin/bash
# run.sh: receipts that our code wrote, checked by programs that know nothing of it: tar, openssl, Go's x/mod/sumdb, and the Python program
# that stands in proto/RECEIPT.md; and age files, ours by `age`, those of `age` by us.  Each of them must also refuse a receipt with one byte changed, and that program one whose parts are not about
# one thing.  RENKEI_BUILD names the build folder.
set -u
cd "$(dirname "$0")/../.."
build=${RENKEI_BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
checks=0

fail() {
	echo "interop: FAILED: $*"
	exit 1
}

ok() {
	"$@" >"$dir/out" 2>&1 || { tail -n 20 "$dir/out"; fail "refused: $*"; }
	checks=$((checks + 1))
}

refused() {
	"$@" >"$dir/out" 2>&1 && fail "accepted what was changed: $*"
	checks=$((checks + 1))
}

# refused_for WORDS COMMAND...: for this reason and no other.
refused_for() {
	local words=$1
	shift
	refused "$@"
	grep -qF "$words" "$dir/out" || { tail -n 3 "$dir/out"; fail "not for \"$words\": $*"; }
}

# bend FILE OFFSET: one bit of one byte, in place.
bend() {
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); b = bytearray(f.read()); b[int(sys.argv[2])] ^= 1; f.seek(0); f.write(b)' "$1" "$2"
}

# where FILE MEMBER: the offset of its first byte in the archive.
where() {
	python3 -c 'import sys, tarfile; print(tarfile.open(sys.argv[1]).getmember(sys.argv[2]).offset_data)' "$1" "$2"
}

# mixed RECEIPT CHANGE...: $dir/mixed, this receipt with changes: drop:X, take:X:RECEIPT:Y (its X as our Y; X is a member, or all of X.*),
# twice:MEMBER, swap:MEMBER:MEMBER, add:MEMBER, edit:MEMBER:OLD:NEW.
mixed() {
	python3 -c '
import io, sys, tarfile
folder, base, *changes = sys.argv[1:]
def load(name):
    tar = tarfile.open("%s/%s.renkei-receipt" % (folder, name))
    return [(m.name, tar.extractfile(m).read()) for m in tar]
def of(name, x):
    return name == x or name.startswith(x + ".")
members = load(base)
for what, x, *more in (c.split(":") for c in changes):
    before = list(members)
    if what in ("drop", "take"): members = [m for m in members if not of(m[0], more[1] if more else x)]
    if what == "take": members += [(more[1] + n[len(x):], b) for n, b in load(more[0]) if of(n, x)]
    if what == "twice": members += [m for m in members if m[0] == x]
    if what == "add": members += [(x, b"unsigned")]
    if what == "swap":
        found = dict(members)
        members = [(n, found[more[0]] if n == x else found[x] if n == more[0] else b) for n, b in members]
    if what == "edit": members = [(n, b.replace(more[0].encode(), more[1].encode(), 1) if n == x else b) for n, b in members]
    if members == before: sys.exit("mixed: nothing to change: %s %s" % (what, x))
with tarfile.open(folder + "/mixed", "w", format=tarfile.USTAR_FORMAT) as tar:
    for name, b in members:
        info = tarfile.TarInfo(name)
        info.size = len(b)
        tar.addfile(info, io.BytesIO(b))' "$dir" "$@" || fail "mixed $*"
}

# not_proven WORDS RECEIPT CHANGE...: the page's program refuses this mixture, for this reason.
not_proven() {
	local words=$1
	shift
	mixed "$@"
	refused_for "NOT PROVEN: $words" python3 "$dir/verify.py" "$dir/mixed" "$fingerprint"
}

"$build/tests/interop/make_receipt" "$dir" || fail "make_receipt"
fingerprint=$(<"$dir/fingerprint")
awk '/^<!-- verify.py -->/ { on = 1; next } /^<!-- end of verify.py -->/ { on = 0 } on && !/^```/' proto/RECEIPT.md >"$dir/verify.py"
[[ -s $dir/verify.py ]] || fail "there is no program in proto/RECEIPT.md"
export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-mod= GOCACHE=$dir/go-cache GOPROXY=off
go build -o "$dir/verify-go" tests/interop/verify.go || fail "verify.go does not compile"

# ---- tar: names in order, contents, the same by GNU tar and by libarchive where it is installed
for tar in tar bsdtar; do
	command -v $tar >/dev/null || continue
	for file in "$dir"/*.renkei-receipt; do
		out=$dir/$tar-$(basename "$file" .renkei-receipt)
		mkdir "$out"
		ok $tar -tvf "$file"
		ok $tar -xf "$file" -C "$out"
		[[ $($tar -tf "$file" | head -n 1) == README.txt ]] || fail "$tar: $file"
	done
done
[[ ! -e $dir/bsdtar-opened ]] || ok diff -r "$dir/tar-opened" "$dir/bsdtar-opened"

# ---- openssl: each signature, by one of the keys of the chain
# keys_of FOLDER FILE...: each run of 32 bytes in a field of these files may be a key; openssl says which one signed.
keys_of() {
	python3 -c '
import sys
found = set()
for name in sys.argv[2:]:
    b = open(name, "rb").read()
    found |= {b[i + 1:i + 33] for i in range(1, len(b) - 32) if b[i] == 32 and b[i - 1] & 7 == 2}
for n, key in enumerate(sorted(found)):
    open("%s/%d.der" % (sys.argv[1], n), "wb").write(bytes.fromhex("302a300506032b6570032100") + key)' "$@"
}

signed_by() { # KEY TBS SIG
	openssl pkeyutl -verify -pubin -keyform DER -inkey "$1" -rawin -in "$2" -sigfile "$3" >/dev/null 2>&1
}

for name in three deposit; do
	here=$dir/tar-$name keys=$dir/keys-$name
	mkdir "$keys"
	keys_of "$keys" "$here"/charter.tbs "$here"/directory.tbs "$here"/orgdevices-*.tbs
	for sig in "$here"/*.sig; do
		tbs=${sig%.sig}.tbs by=
		for key in "$keys"/*.der; do
			signed_by "$key" "$tbs" "$sig" && by=$key && break
		done
		[[ $by ]] || fail "openssl: $tbs"
		checks=$((checks + 1))
		{ cat "$tbs"; printf x; } >"$dir/longer"
		refused signed_by "$by" "$dir/longer" "$sig"
	done
done

# ---- the page's Python program, and Go: every receipt; then one with a byte changed in each kind of member
for file in "$dir"/*.renkei-receipt; do
	ok python3 "$dir/verify.py" "$file" "$fingerprint"
	grep -q '^PROVEN' "$dir/out" || fail "python: $file"
	ok "$dir/verify-go" receipt "$file"
	refused python3 "$dir/verify.py" "$file" "${fingerprint//[0-8]/9}"
done
for member in charter.tbs directory.sig orgdevices-B.entry terms.tbs act-002.tbs act-001.tlog-proof envelope.tbs pickup-1.sig body_plain \
	nda-document nda-salt; do
	cp "$dir/opened.renkei-receipt" "$dir/bent"
	bend "$dir/bent" $(($(where "$dir/bent" $member) + 30))
	refused python3 "$dir/verify.py" "$dir/bent" "$fingerprint"
done
# ---- attachments: what the header signs, opened by age to what the message says; all of them, or none
in_hex() {
	od -An -v -tx1 "$1" | tr -d ' \n'
}
for n in 01 02 03; do
	here=$dir/tar-attached
	in_hex "$here/envelope.tbs" | grep -q "$(sha256sum "$here/attachment-$n.age" | cut -c -64)" || fail "the envelope names no attachment-$n"
	age -d -i "$here/attachment-$n.key" "$here/attachment-$n.age" >"$dir/plain" || fail "age does not open attachment-$n"
	checks=$((checks + 3))
	in_hex "$here/body_plain" | grep -q "2220$(sha256sum "$dir/plain" | cut -c -64)" || fail "the message does not name what is in attachment-$n"
done
refused age -d -i "$dir/tar-attached/attachment-01.key" "$dir/tar-attached/attachment-02.age"
mixed attached drop:attachment-01 drop:attachment-02 drop:attachment-03
ok python3 "$dir/verify.py" "$dir/mixed" "$fingerprint"
not_proven "attachment-02.age: another was to come" attached drop:attachment-01.age
not_proven "attachment-03.age: another was to come" attached drop:attachment-02.age
not_proven "attachments: not those" attached drop:attachment-03.age
not_proven "attachments: not those" attached drop:attachment-03
not_proven "attachments: not those" attached drop:attachment-03.key
not_proven "attachments: not those" attached swap:attachment-02.age:attachment-03.age
not_proven "attachment-01.age: another was to come" attached twice:attachment-01.age
not_proven "body_plain: twice, or after attachments" attached twice:body_plain
not_proven "attachment-02.key: the key" attached swap:attachment-02.key:attachment-03.key

# What is signed, logged and proved, but about something else; what nobody signed; what only looks like a number.
mixed opened drop:body_plain
ok python3 "$dir/verify.py" "$dir/mixed" "$fingerprint"
other="about another message or agreement"
not_proven "pickup-1: $other" opened take:pickup-1:held:pickup-1
not_proven "pickup-2: $other" opened take:pickup-1:held:pickup-2
not_proven "nack-1: $other" opened take:orgdevices-B:three:orgdevices-C take:nack-1:three:nack-1
not_proven "act-003: $other" opened take:act-002:three:act-003
not_proven "act-001: $other" opened take:terms:three:terms drop:nda-cover drop:nda-document drop:nda-salt
not_proven "envelope: $other" opened take:terms:three:terms drop:act-001 drop:act-002 drop:pickup-1
for member in charter directory orgdevices-A terms act-001 envelope pickup-1; do
	not_proven "$member: the label" opened edit:$member.tbs:renkei/v1/:renkei/v2/
done
not_proven "act-001: the label" opened edit:act-001.tbs:nda-act:nda-hold
not_proven "note.txt: no such member" opened add:note.txt
not_proven "pickup-x.tbs: no such member" opened take:pickup-1:opened:pickup-x
not_proven "pickup-1.tbs: twice" opened twice:pickup-1.tbs
not_proven "body_plain: twice" opened twice:body_plain
not_proven "an envelope or a deposit" opened drop:envelope drop:pickup-1 drop:body_plain
not_proven "an envelope or a deposit" opened take:deposit:deposit:deposit
mixed opened add:pickup-2.sig
refused python3 "$dir/verify.py" "$dir/mixed" "$fingerprint"
for sign in + - 0 0_ ' '; do
	not_proven "pickup-1: the index" opened "edit:pickup-1.tlog-proof:index :index $sign"
done
for member in envelope.entry pickup-1.tlog-proof; do
	cp "$dir/opened.renkei-receipt" "$dir/bent"
	bend "$dir/bent" $(($(where "$dir/bent" $member) + 40))
	refused "$dir/verify-go" receipt "$dir/bent"
done
ok "$dir/verify-go" tree "$dir/opened.renkei-receipt" "$dir/old.note" "$dir/new.note" "$dir/consistency"
bend "$dir/consistency" 10
refused "$dir/verify-go" tree "$dir/opened.renkei-receipt" "$dir/old.note" "$dir/new.note" "$dir/consistency"

# ---- age: what we sealed it opens, of every length around a chunk; what it sealed to one recipient, or under a passphrase, we open
ours=$build/tests/interop/age_file
command -v age >/dev/null || fail "there is no age: deploy/install-deps.sh check"

# age_asks PASSPHRASE ARGUMENT...: age, which asks for passphrases on a terminal only.
age_asks() {
	python3 -c '
import os, pty, sys
code = sys.argv[1].encode() + b"\n"
pid, fd = pty.fork()
if pid == 0:
    os.execvp("age", ["age"] + sys.argv[2:])
seen = b""
try:
    while part := os.read(fd, 1024):
        seen += part
        while b"passphrase" in seen and b": " in seen[seen.index(b"passphrase"):]:
            os.write(fd, code)
            seen = seen[seen.index(b": ", seen.index(b"passphrase")) + 2:]
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$@"
}

# into FILE COMMAND...: with its standard output.
into() {
	local file=$1
	shift
	"$@" >"$file"
}

"$ours" new-identity >"$dir/ours.id" && age-keygen -o "$dir/theirs.id" 2>/dev/null || fail "identities"
for n in 0 1 65535 65536 65537 131072; do
	head -c $n /dev/urandom >"$dir/plain"
	for id in ours theirs; do
		into "$dir/sealed" "$ours" seal-to "$dir/$id.id" <"$dir/plain" || fail "seal-to $n"
		ok into "$dir/back" age -d -i "$dir/$id.id" "$dir/sealed"
		ok cmp "$dir/plain" "$dir/back"
		ok age -r "$(age-keygen -y "$dir/$id.id")" -o "$dir/sealed" "$dir/plain"
		ok into "$dir/back" "$ours" open-with "$dir/$id.id" <"$dir/sealed"
		ok cmp "$dir/plain" "$dir/back"
	done
done
refused into "$dir/back" "$ours" open-with "$dir/ours.id" <"$dir/sealed"
ok age -r "$(age-keygen -y "$dir/ours.id")" -r "$(age-keygen -y "$dir/theirs.id")" -o "$dir/two" "$dir/plain"
refused_for malformed into "$dir/back" "$ours" open-with "$dir/ours.id" <"$dir/two"
into "$dir/sealed" "$ours" seal-under "a code" <"$dir/plain" || fail "seal-under"
rm -f "$dir/back"
ok age_asks "a code" -d -o "$dir/back" "$dir/sealed"
ok cmp "$dir/plain" "$dir/back"
refused age_asks "a cod" -d -o "$dir/back" "$dir/sealed"
ok age_asks "a code" -p -o "$dir/theirs" "$dir/plain"
ok into "$dir/back" "$ours" open-under "a code" <"$dir/theirs"
ok cmp "$dir/plain" "$dir/back"
refused_for passphrase into "$dir/back" "$ours" open-under "a cod" <"$dir/theirs"
cp "$dir/sealed" "$dir/bent"
bend "$dir/bent" 70000
refused_for integrity into "$dir/back" "$ours" open-under "a code" <"$dir/bent"
refused age_asks "a code" -d -o "$dir/back2" "$dir/bent"

echo "interop: $checks checks of what we wrote by tar, openssl, Go, the Python of proto/RECEIPT.md, and age, and of what age wrote by us"
