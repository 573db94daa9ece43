#!/usr/bin/env bats
# Two years of an exchange on real programs, of which only the clock is moved (libfaketime): about 12 visits two months apart, three weeks
# in which the secretariat is not there, and what is left as evidence.  unit/test_years has the same story in small steps and to the
# instant.  By hand, in steps of a day (an hour): RENKEI_YEARS_STEP_DAYS=1 bats tests/e2e/24-two-years.bats
load kit
load clock

YEARS_DAYS=730
STEP=${RENKEI_YEARS_STEP_DAYS:-61}
CLOCK=0        # days since the exchange was founded

setup_file() {
	setup
	PORT=$(free_port)
	local name
	renkeid init --data "$T/broker" --listen "tcp://127.0.0.1:$PORT" >"$T/card"
	as secretariat exchange create "Test Cluster" --broker "$(<"$T/card")" --out "$T/charter.rk" --no-passphrase
	renkeid adopt --data "$T/broker" "$T/charter.rk"
	: >"$T/broker.log"
	broker_run
	as secretariat sync
	for name in a b; do
		as $name join "$(as secretariat member invite)" --name $name --kind sme --no-passphrase
		as secretariat sync
		as secretariat member approve "$(org $name)" --fingerprint "$(as $name --json status | value fingerprint)"
		as $name sync
		as $name feed follow offer
	done
	as a sync
	propose a "$(org b)" --until "$(date -u -d '+3 years' +%F)" >"$T/nda"
	as b sync
	as b nda sign "$(<"$T/nda")" --yes --signatory B
	as a sync
	broker_stop
	mv "$T" "$BATS_FILE_TMPDIR/exchange"
}

start() {
	command -v faketime >/dev/null || skip "faketime is not installed"
	cp -a "$BATS_FILE_TMPDIR/exchange/." "$T"
	NDA=$(<"$T/nda")
	: >"$T/broker.log"
}

teardown() {
	[[ -z ${BROKER:-} ]] || { pkill -9 -P "$BROKER" 2>/dev/null || true; kill -9 "$BROKER" 2>/dev/null || true; }
	if [[ -z ${BATS_TEST_COMPLETED:-} && -f $T/broker.log ]]; then
		echo "--- day $CLOCK, broker log"; tail -n 20 "$T/broker.log"
	fi
	rm -rf "$T"
}

# on NAME COMMAND...: renkei of a home on the day of the clock
on() {
	later "+${CLOCK}d" "$@"
}

# wake DAY: the day comes, and with it the broker
wake() {
	[[ -z ${BROKER:-} ]] || broker_end
	CLOCK=$1
	broker_at "+${CLOCK}d"
}

# everybody is at work: the secretariat first, whose directory the others wait for, and once more for the keys that they made
visit() {
	local name
	for name in secretariat a b secretariat a b; do
		on $name sync >"$T/out" 2>"$T/err"
	done
}

# days_left WHAT NAME: of "kx", "directory" …
days_left() {
	on "$2" --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["dates"][sys.argv[1]]["days_left"])' "$1"
}

# Whose list of devices ends soon signs it anew, as doctor says: the one thing that needs a person, twice a year.
renew_lists() {
	local name
	((CLOCK % 100 < STEP)) || return 0
	for name in secretariat a b; do
		on $name device renew >"$T/out"
	done
	on a sync
	on b sync
}

# disclose TITLE: a dossier from a to b, opened and compared; its id
disclose() {
	echo "drawing of $1" >"$T/$1.txt"
	on a --json dossier send --nda "$NDA" "$T/$1.txt" --title "$1" | value dossier_id >"$T/id"
	on b sync >/dev/null
	on b dossier get "$(<"$T/id")" --output "$T/got-$1" >/dev/null
	cmp "$T/got-$1/$1.txt" "$T/$1.txt"
	cat "$T/id"
}

@test "two years: at each visit everything that had ended is there anew, and every quarter's disclosure can be proven at the end" {
	start
	local day ids=() n=0
	for ((day = 0; day <= YEARS_DAYS; day += STEP)); do
		wake "$day"
		visit
		renew_lists
		[[ $(days_left directory a) -ge 6 ]]
		[[ $(days_left kx a) -ge 9 && $(days_left kx b) -ge 9 ]]
		# nobody who is there every month was ever late
		((STEP > 30)) || [[ $(on a --json inbox list | grep -c kx-late) == 0 ]]
		if ((day % 61 < STEP)); then
			ids+=("$(disclose "month-$n")")
			n=$((n + 1))
			printf 'Title: Day %s\n\nText\n' "$day" >"$T/post.md"
			on b post publish --type offer --file "$T/post.md" >/dev/null
			on a sync
			[[ $(on a --json post list | grep -c "\"Day $day\"") == 1 ]]
		fi
	done
	[[ ${#ids[@]} -ge 12 ]]
	[[ $(on a --json status | value feed_epoch) -ge 5 ]]
	# the first post went at its 90 days
	[[ $(on a --json post list | grep -c '"Day 0"') == 0 ]]
	wake "$((CLOCK + 1))"
	visit
	local root i
	root=$(on a --json status | value root_fingerprint)
	for ((i = 0; i < ${#ids[@]}; i += 2)); do
		on a receipt export "${ids[i]}" --output "$T/a-$i.renkei-receipt" --with-content
		on b receipt export "${ids[i]}" --output "$T/b-$i.renkei-receipt" --with-content
		renkei receipt verify "$T/a-$i.renkei-receipt" --root "$root" | grep -qi opened
		renkei receipt verify "$T/b-$i.renkei-receipt" --root "$root" | grep -qi opened
	done
	broker_end
}

@test "a secretariat that sleeps for three weeks: reading, posts, notices and endings go on, disclosures wait, one sync mends it" {
	start
	wake 30
	visit
	local first second
	first=$(disclose before)
	wake 43
	echo x >"$T/x.txt"
	second=$(on a --json dossier send --nda "$NDA" "$T/x.txt" --title late | value dossier_id)
	on b sync
	wake 51
	on a sync
	on b sync
	# what stops
	refuses 5 on a dossier send --nda "$NDA" "$T/x.txt" || refuses 7 on a dossier send --nda "$NDA" "$T/x.txt" || refuses 8 on a dossier send --nda "$NDA" "$T/x.txt"
	said 'directory'
	on b dossier get "$second" --output "$T/no" >"$T/out" 2>"$T/err" && return 1
	said 'directory'
	on b nda propose --with "$(on a --json status | value org_id)" --purpose Q --form plain --until "$(date -u -d '+1 year' +%F)" --signatory B >"$T/out" 2>"$T/err" && return 1
	said 'directory'
	# what goes on
	printf 'Title: All the same\n\nText\n' >"$T/post.md"
	on b post publish --type offer --file "$T/post.md"
	on a sync
	on a --json post list | grep -q 'All the same'
	on b dossier get "$first" --output "$T/again"
	cmp "$T/again/before.txt" "$T/before.txt"
	on a nda hold "$NDA"
	on a nda resume "$NDA"
	# one sync of the secretariat, and the rest follows by itself
	on secretariat sync
	on a sync
	on b sync
	on b dossier get "$second" --output "$T/yes"
	cmp "$T/yes/x.txt" "$T/x.txt"
	disclose after
	on a nda terminate "$NDA" --yes
	broker_end
}
