#!/usr/bin/env bats
# A home is lost and comes back from its backup: evidence, cursors, keys; nothing confidential goes twice; nothing half is ever there (P3, P5, P6).
load kit
load clock

setup_file() { pair_file; }

# on_terminal SCRIPT COMMAND...: runs it on a terminal of its own.  SCRIPT is Python with say(TEXT), which types a line; until(TEXT), which
# waits for it on the screen; screen().
on_terminal() {
	timeout 60 python3 -c '
import os, pty, re, sys
script, command = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen = ""
at = 0
def read():
    global seen
    try: part = os.read(fd, 4096)
    except OSError: part = b""
    seen += part.decode(errors="replace")
    return part
def until(text):
    global at
    while text not in seen[at:]:
        if not read(): sys.exit("never saw %r in %r" % (text, seen))
    at = seen.index(text, at) + len(text)
def say(line): os.write(fd, (line + "\n").encode())
def screen(): return seen
exec(script)
while read(): pass
print(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$@"
}

# opened FILE: the archive in it, by age, which takes the code from a terminal only.
opened() {
	on_terminal 'until("passphrase"); until(": "); say(open(os.environ["T"] + "/code").read().strip())' \
		age -d -o "$T/opened.tar" "$1" >/dev/null
}

bent() { # FILE OFFSET: a copy with one bit changed
	python3 -c 'import sys; b = bytearray(open(sys.argv[1], "rb").read()); b[int(sys.argv[2])] ^= 1; open(sys.argv[1] + ".bent", "wb").write(b)' "$1" "$2"
	echo "$1.bent"
}

lodge() { # TITLE: from a to b; prints its id
	echo "$1, in full" >"$T/$1.txt"
	as a --json dossier send --nda "$NDA" --title "$1" "$T/$1.txt" | value dossier_id
}

progressed() { # STAGE: to its end, in $T/err, as that of attachments; $T/out has the result alone
	python3 - "$T/out" "$T/err" "$1" <<'EOF'
import json, sys
assert len(open(sys.argv[1]).readlines()) == 1, open(sys.argv[1]).read()
rows = [json.loads(l) for l in open(sys.argv[2]) if l.startswith('{"event":"progress"')]
assert rows and all(r["stage"] == sys.argv[3] and r["name"] is None for r in rows), rows
assert 0 < rows[-1]["bytes"] == rows[-1]["total"], rows
EOF
}

nothing_left() { # HOME: neither beside it nor in it
	[[ ! -e $T/$1.restoring && -z $(ls -d "$T/$1"/backup.tmp 2>/dev/null) && -z $(ls "$T"/*.part-* 2>/dev/null) ]] || { ls -la "$T" "$T/$1"; return 1; }
}

@test "all that a home has comes back, and what waited in the backup does not go twice" {
	export T
	pair
	[[ $(as a --json status | value backup_due) == False ]]
	ID=$(lodge disclosed)
	as b sync
	as b dossier get "$ID" --output "$T/got"
	as a sync
	as secretariat sync
	as a sync
	blob=$(printf 'ab%.0s' {1..32}).age
	broker_stop
	refuses 6 as a dossier send --nda "$NDA" --title waiting "$T/disclosed.txt"
	# No record names it, so the next dossier sent or opened clears it away: made last, and kept beside.
	mkdir -p "$T/a/blobs"
	head -c 200000 /dev/urandom >"$T/blob"
	cp "$T/blob" "$T/a/blobs/$blob"
	as a --json backup "$T/a.backup" --code-file "$T/code" >"$T/out" 2>"$T/err"
	progressed backup
	[[ $(value status <"$T/out") == saved && $(value attachments <"$T/out") == 1 ]]
	grep -q '"keys": *\["device", *"org"\]' "$T/out"
	[[ $(stat -c %a "$T/a.backup" "$T/code" | sort -u) == 600 ]]
	[[ $(value backup_at < <(as a --json status)) != None ]]
	nothing_left a
	as a backup --help >/dev/null
	# It is what standard tools open.
	opened "$T/a.backup"
	tar -tf "$T/opened.tar" >"$T/list"
	[[ $(head -n 1 "$T/list") == renkei-backup ]]
	for name in store/data.mdb device.key kx.key org.key "blobs/$blob"; do grep -qx "$name" "$T/list"; done
	tar -xOf "$T/opened.tar" "blobs/$blob" | cmp - "$T/a/blobs/$blob"
	tar -xOf "$T/opened.tar" device.key | cmp - "$T/a/device.key"
	# Never over anything, and under the code that is kept.
	refuses 7 as a backup "$T/a.backup" --code-file "$T/code"
	said 'exists already'
	cp "$T/code" "$T/code.1"
	as a backup "$T/second" --code-file "$T/code" --without-attachments
	cmp "$T/code" "$T/code.1"
	[[ $(stat -c %s "$T/second") -lt $(($(stat -c %s "$T/a.backup") - 190000)) ]]
	# The original goes on and sends what waited; then it is lost, but for a copy that somebody has.
	broker_run
	as a sync
	as b sync
	cp -a "$T/a" "$T/old"
	rm -rf "$T/a"
	as a --json restore "$T/a.backup" --code-file "$T/code" >"$T/out" 2>"$T/err"
	progressed restore
	[[ $(value status <"$T/out") == restored && $(value what <"$T/out") == "dossier send" ]]
	cmp "$T/a/blobs/$blob" "$T/blob"
	nothing_left a
	refuses 3 as a sync
	said 'may have been sent since: dossier send'
	[[ $(as a --json status | value queued) == 0 ]]
	as a sync
	as a inbox list >"$T/out" 2>&1
	said 'not sent by itself.*dossier send'
	as b sync
	[[ $(as b --json dossier list | count dossier_id) == 2 ]] # not a third
	# Evidence, with content; documents; and the exchange goes on.
	as a receipt export "$ID" --output "$T/receipt" --with-content
	HOME=$T/nobody renkei --json receipt verify "$T/receipt" --root "$ROOT" >"$T/verdict"
	grep -q -i opened "$T/verdict"
	[[ $(as a --json nda view "$NDA" | value state) == in_force ]]
	NEXT=$(lodge next)
	as b sync
	as b dossier get "$NEXT" --output "$T/got2"
	# A certificate does not say that nothing is left while a backup may hold it.
	BACK=$(as b --json dossier send --nda "$NDA" --title back "$T/disclosed.txt" | value dossier_id)
	as a sync
	as a dossier get "$BACK" --output "$T/got3"
	rm "$T/got3/disclosed.txt"
	as a backup "$T/third" --code-file "$T/code"
	as a dossier destroy "$BACK" --yes >"$T/out" 2>"$T/err"
	said 'backups of this home, the last of'
	# The other copy is told, and stops.
	refuses 7 as old sync
	said 'cop(y|ied)'
	as a doctor >"$T/out"
	said 'last backup is of'
}

due() { later "$1" a --json status | value backup_due; }

@test "no wrong code, no damage and no wrong place restores anything; and a backup is asked for" {
	pair
	[[ $(due +29d) == False && $(due +31d) == True ]]
	later +31d a status >"$T/out" 2>"$T/err"
	said 'no backup of this home'
	later +31d a doctor >"$T/out" 2>&1 || true
	said '^!!  There is no backup'
	as a backup "$T/a.backup" --code-file "$T/code"
	[[ $(due +31d) == False ]]
	lodge new >/dev/null
	[[ $(due +29d) == False && $(due +31d) == True ]]
	later +31d a doctor >"$T/out" 2>&1 || true
	said '^!!  The last backup of this home is of'
	size=$(stat -c %s "$T/a.backup")
	sed 'y/ABCDEFGH/BCDEFGHA/' "$T/code" >"$T/not-a-code"
	as b backup "$T/b.backup" --code-file "$T/other-code"
	for bad in "$(bent "$T/a.backup" $((size / 2)))" "$T/cut" "$T/cut-at-chunk" "$T/longer"; do
		head -c $((size - 1)) "$T/a.backup" >"$T/cut"
		head -c $((22 + 10 + 22 + 3 + 1 + 44 + 48 + 16 + 65552 - 1)) "$T/a.backup" >"$T/cut-at-chunk"
		{ cat "$T/a.backup"; echo; } >"$T/longer"
		refuses 9 as new restore "$bad" --code-file "$T/code"
		said 'damaged or cut off'
		[[ ! -e $T/new ]]
		nothing_left new
	done
	refuses 4 as new restore "$T/a.backup" --code-file "$T/other-code"
	said 'does not open'
	refuses 2 as new restore "$T/a.backup" --code-file "$T/not-a-code"
	refuses 2 as new restore "$T/a.backup"
	refuses 2 as a backup "$T/none"
	[[ ! -e $T/none ]]
	refuses 1 as new restore "$T/code" --code-file "$T/code"
	said 'no backup of a home'
	before=$(ls -l --time-style=full-iso "$T/b" | sha256sum)
	refuses 7 as b restore "$T/a.backup" --code-file "$T/code"
	said 'something already'
	[[ $before == "$(ls -l --time-style=full-iso "$T/b" | sha256sum)" ]]
	nothing_left b
	# An empty folder will do, and folders above are made.
	mkdir -p "$T/empty"
	as empty restore "$T/a.backup" --code-file "$T/code"
	as deep/down restore "$T/a.backup" --code-file "$T/code"
	[[ $(org empty) == "$(org a)" && $(stat -c %a "$T/empty") == 700 ]]
}

@test "on a terminal: the code is shown, typed back, and opens; a home whose key has no passphrase" {
	export T
	pair
	invite=$(as secretariat member invite)
	as c join "$invite" --name c --kind sme --no-passphrase
	on_terminal '
until("new one:"); say("")
until("code of this backup:")
until("paper:")
code = re.search(r"[2-9A-HJ-NP-Z]{4}(-[2-9A-HJ-NP-Z]{4}){6}", screen()).group(0)
open(os.environ["T"] + "/seen", "w").write(code)
wrong = code[:10] + ("2" if code[10] != "2" else "3") + code[11:]
say(wrong); until("group 3 of 7")
say("0000"); until("do not occur")
say(code.lower().replace("-", " "))
' renkei --home "$T/c" backup "$T/c.backup" >"$T/out"
	said 'device key in it has no passphrase'
	[[ -s $T/c.backup ]]
	# Whoever does not type it back gets none.
	refuses 4 on_terminal '
until("new one:"); say("")
for i in range(3):
    until("paper:"); say("ABCD-EFGH")
' renkei --home "$T/c" backup "$T/c.none"
	[[ ! -e $T/c.none ]]
	rm -rf "$T/c"
	on_terminal 'until("code:"); say(open(os.environ["T"] + "/seen").read())' renkei --home "$T/c" restore "$T/c.backup" >"$T/out"
	said 'must not be used any more'
	# What it had begun it ends: it was not let in yet when it was lost.
	as secretariat sync
	as secretariat member approve "$(org c)" --fingerprint "$(as c --json status | value fingerprint)"
	unset RENKEI_PASSPHRASE_FILE
	as c sync
	[[ $(as c --json status | value status) == joined ]]
}

# grown BYTES: the newest half.part-PID has that many.
grown() {
	for _ in $(seq 1000); do
		[[ $(stat -c %s "$T/half.part-$pid" 2>/dev/null || echo 0) -gt $1 ]] && return
		sleep 0.01
	done
	false
}

peak() { awk '/VmHWM/ { print $2 }' "/proc/$1/status"; }

@test "a kill or Ctrl-C leaves no half file, memory does not grow with it, and a full disk is said" {
	pair
	mkdir -p "$T/a/blobs"
	truncate -s 200M "$T/a/blobs/00.age"
	as a backup "$T/first" --code-file "$T/code" --without-attachments
	for signal in KILL INT; do
		renkei --no-input --home "$T/a" backup "$T/half" --code-file "$T/code" 2>"$T/err" &
		pid=$!
		grown 5000000
		early=$(peak $pid)
		grown 120000000
		late=$(peak $pid)
		kill -$signal $pid
		code=0
		wait $pid || code=$?
		[[ $code == 137 || $code == 130 ]] || { echo "exit $code"; cat "$T/err"; false; }
		((early > 0 && late - early < 8000)) || { echo "peak $early kB, then $late kB"; false; }
		[[ ! -e $T/half && ! -e $T/a/backup.tmp ]]
		[[ $signal == KILL ]] || [[ $(ls -d "$T"/half.part-* | wc -l) == 1 ]] # of the kill
	done
	rm -f "$T"/half.part-*
	as a --json backup "$T/half" --code-file "$T/code" >"$T/out" 2>"$T/err"
	progressed backup
	[[ $(value status <"$T/out") == saved ]]
	# A restore that is killed is no home; the next one begins anew.
	renkei --no-input --home "$T/new" restore "$T/half" --code-file "$T/code" 2>"$T/err" &
	pid=$!
	for _ in $(seq 400); do
		[[ $(stat -c %s "$T/new.restoring/blobs/00.age" 2>/dev/null || echo 0) -gt 1000000 ]] && break
		sleep 0.02
	done
	kill -9 $pid
	wait $pid || true
	[[ ! -e $T/new && -e $T/new.restoring ]]
	as new restore "$T/half" --code-file "$T/code"
	cmp "$T/new/blobs/00.age" "$T/a/blobs/00.age"
	nothing_left new
	rm -rf "$T/new"
	mkdir "$T/small"
	mount -t tmpfs -o size=8m,mode=700 renkei-test "$T/small" 2>/dev/null || skip "no right to mount a small file system"
	code=0
	as a backup "$T/small/a" --code-file "$T/code" 2>"$T/err" || code=$?
	as small/home restore "$T/half" --code-file "$T/code" 2>>"$T/err" && code=0
	left=$(ls -A "$T/small")
	umount "$T/small"
	cat "$T/err"
	[[ $code == 1 && -z $left ]]
}
