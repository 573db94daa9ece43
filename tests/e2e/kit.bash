# kit.bash: what the scenarios share.  Real programs, real sockets, a free loopback port, a folder of its own for each test.
# A scenario calls `exchange_start`, then `join NAME KIND` for each organisation; homes are $T/NAME.

: "${RENKEI_BUILD:=$PWD/build}"
# Debian's own python3 before any launcher of others in its place: many small ones are started (file 04: 18.6 s of processor time for 25.4).
export PATH="$RENKEI_BUILD:/usr/bin:$PATH" LC_ALL=C.UTF-8
export RENKEI_KEY_MEMORY_MIB=64 RENKEI_KEY_OPS=2
unset RENKEI_HOME RENKEI_PASSPHRASE_FILE

free_port() {
	python3 -IS -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

setup() {
	T=$(mktemp -d "${TMPDIR:-/tmp}/renkei-e2e.XXXXXX")
	echo "correct horse" >"$T/pass"
	export RENKEI_PASSPHRASE_FILE=$T/pass
	BROKER=
}

teardown() {
	broker_kill
	[[ -z ${WATCH:-} ]] || kill -9 "$WATCH" 2>/dev/null || true
	if [[ -z ${BATS_TEST_COMPLETED:-} && -f $T/broker.log ]]; then
		echo "--- broker log"; tail -n 30 "$T/broker.log"
	fi
	rm -rf "$T"
}

# as NAME COMMAND...: renkei with that home.
as() {
	local home=$T/$1
	shift
	timeout 60 renkei --no-input --home "$home" "$@"
}

# value KEY: the first string value of a key in the JSON on stdin, at any depth.
value() {
	python3 -IS -c '
import json, sys
def find(x):
    if isinstance(x, dict):
        if sys.argv[1] in x and not isinstance(x[sys.argv[1]], (dict, list)):
            return x[sys.argv[1]]
        x = list(x.values())
    if isinstance(x, list):
        for y in x:
            z = find(y)
            if z is not None:
                return z
for line in sys.stdin:
    line = line.strip()
    if line:
        z = find(json.loads(line))
        if z is not None:
            print(z)
            break
' "$1"
}

# count KEY: how many objects of the NDJSON (or of the first array) on stdin have the key.
count() {
	python3 -IS -c '
import json, sys
n = 0
def walk(x):
    global n
    if isinstance(x, dict):
        n += sys.argv[1] in x
        x = list(x.values())
    if isinstance(x, list):
        for y in x: walk(y)
for line in sys.stdin:
    if line.strip(): walk(json.loads(line))
print(n)' "$1"
}

broker_run() {
	"${RENKEID:-renkeid}" run --data "$T/broker" "$@" 2>>"$T/broker.log" &
	BROKER=$!
	local from=${BROKER_LOG_FROM:-0}
	for _ in $(seq 200); do
		[[ $(tail -c "+$((from + 1))" "$T/broker.log" | grep -c ' ready ') -gt 0 ]] && break
		kill -0 "$BROKER" 2>/dev/null || { cat "$T/broker.log"; return 1; }
		sleep 0.05
	done
}

broker_mark() { BROKER_LOG_FROM=$(stat -c %s "$T/broker.log"); }

broker_stop() {
	broker_mark
	kill -TERM "$BROKER"
	local code=0
	wait "$BROKER" || code=$?
	BROKER=
	return "$code"
}

broker_kill() {
	[[ -n ${BROKER:-} ]] || return 0
	broker_mark
	kill -9 "$BROKER" 2>/dev/null || true
	wait "$BROKER" 2>/dev/null || true
	BROKER=
}

exchange_start() {
	PORT=$(free_port)
	CARD=$(renkeid init --data "$T/broker" --listen "tcp://127.0.0.1:$PORT")
	as secretariat exchange create "Test Cluster" --broker "$CARD" --out "$T/charter.rk"
	renkeid adopt --data "$T/broker" "$T/charter.rk"
	: >"$T/broker.log"
	broker_run
	as secretariat sync
}

# join NAME [KIND]: enrols, approves and syncs one organisation called NAME.
join() {
	local invite
	invite=$(as secretariat member invite)
	as "$1" join "$invite" --name "$1" --kind "${2:-sme}"
	as secretariat sync
	as secretariat member approve "$(org "$1")" --fingerprint "$(as "$1" --json status | value fingerprint)"
	as "$1" sync
}

org() { as "$1" --json status | value org_id; }

# post NAME TYPE TITLE [TOPIC]: publishes and prints the post_id.
post() {
	printf 'Title: %s\nTopics: %s\nSummary: About %s.\n\nBody of %s.\n' "$3" "${4:-test/one}" "$3" "$3" >"$T/post.md"
	as "$1" --json post publish --type "$2" --file "$T/post.md" | value post_id
}

# refuses CODE COMMAND...: the command must end with exactly that exit code; its stderr and stdout stand in $T/err, $T/out.
refuses() {
	local want=$1 code=0
	shift
	"$@" >"$T/out" 2>"$T/err" || code=$?
	if [[ $code != "$want" ]]; then
		echo "expected exit $want, got $code: $*"; cat "$T/out" "$T/err"
		return 1
	fi
}

# never COMMAND...: it must fail.  (`! COMMAND` ends no scenario: the shell does not stop at a negated command.)
never() {
	if "$@"; then
		echo "did what it must not: $*"
		return 1
	fi
}

said() {
	grep -qiE -- "$1" "$T/err" "$T/out" || { echo "expected to be told /$1/, got:"; cat "$T/out" "$T/err"; return 1; }
}

# propose NAME WITH [ARG...]: an agreement with these organisations; prints its id.  An option among ARGs takes the place of the same one here.
# It began yesterday by the exchange's calendar: clients send nothing in the first five minutes of an agreement, and one that begins today
# is in them just after midnight in Tokyo.
propose() {
	local name=$1 with=$2
	shift 2
	as "$name" --json nda propose --with "$with" --purpose P --form plain --from "$(TZ=Asia/Tokyo date -d yesterday +%F)" \
		--until "$(date -u -d '+1 year' +%F)" --signatory A "$@" | value nda_id
}

# ---- an exchange in which a and b have an agreement: made once a file (keys are derived slowly, as they must be), and copied for each test

pair_file() { # as setup_file, or in it
	setup
	exchange_start
	join a sme
	join b university
	agreement >"$T/nda"
	as secretariat sync
	as a --json status | value root_fingerprint >"$T/root"
	broker_stop
	mv "$T" "$BATS_FILE_TMPDIR/pair"
}

# agreement [ARG...]: a proposes with these arguments, b signs; prints its id.
agreement() {
	local nda
	nda=$(propose a "$(org b)" "$@")
	as b sync >&2
	as b nda sign "$nda" --yes --signatory B >&2
	as a sync >&2
	echo "$nda"
}

# pair [ARG...]: goes on from a copy of it; NDA is their agreement, with arguments a second one of that kind.
pair() {
	cp -a "$BATS_FILE_TMPDIR/pair/." "$T"
	NDA=$(<"$T/nda")
	ROOT=$(<"$T/root")
	: >"$T/broker.log"
	broker_run
	[[ $# == 0 ]] || NDA=$(agreement "$@")
}
