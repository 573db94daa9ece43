#!/usr/bin/env bats
# What was acknowledged and is not in the store's tables yet: a kill leaves it in the journal beside them, and whoever opens the store next finds it (P3, P4).
load kit

# killed TITLE...: offers of the home `saver`; the broker ends with the last one's acknowledgement.
killed() {
	"$RENKEI_BUILD/tests/e2e/post_and_kill" "$T/saver" "$BROKER" "$@" >"$T/seqs"
	wait "$BROKER" || true
	BROKER=
	[[ -s $T/broker/store/journal ]]
}

taken_up() { grep -c ' journal taken_up=' "$T/broker.log" || true; }

# found TITLE [ARG...]: the same, and a broker with these arguments finds it in the journal.  It is in the tables 20 ms after its acknowledgement, so
# a busy machine may need more than one attempt; TITLES has all titles.
found() {
	local title=$1 i
	shift
	for i in 1 2 3 4 5; do
		killed "$title $i"
		TITLES+=("$title $i")
		broker_mark
		[[ $(taken_up) == 0 ]] || return 1
		broker_run "$@"
		[[ $(taken_up) == 0 ]] || return 0
		broker_mark
	done
	false
}

# once TITLE...: each stands once in $T/out.
once() {
	local title
	for title in "$@"; do [[ $(grep -c "\"$title\"" "$T/out") == 1 ]] || { echo "not once: $title"; cat "$T/out"; return 1; }; done
}

rows() { awk -v name="$1" '$1 == name { print $2 }' "$2"; }

@test "a kill behind an acknowledgement: check, backup and the next start have the post, and a reader gets it once" {
	exchange_start
	join saver sme
	join reader university
	as reader feed follow offer
	as reader sync
	broker_stop
	renkeid check --data "$T/broker" >"$T/check0"
	before=$(rows entry "$T/check0")

	broker_run
	killed First Second Third
	[[ $(<"$T/seqs") == $'1\n2\n3' ]]
	renkeid check --data "$T/broker" >"$T/check1"
	grep -q '^the store is whole$' "$T/check1"
	[[ $(rows entry "$T/check1") == $((before + 3)) ]] || { cat "$T/check0" "$T/check1"; false; }
	# It is taken up once.
	renkeid check --data "$T/broker" >"$T/check2"
	cmp "$T/check1" "$T/check2"

	broker_mark
	broker_run
	killed Fourth
	[[ $(<"$T/seqs") == 4 ]]
	renkeid backup --data "$T/broker" --output "$T/backup" --with-keys >/dev/null
	[[ ! -e $T/backup/store/journal ]]
	renkeid check --data "$T/backup" >"$T/check3"
	[[ $(rows entry "$T/check3") == $((before + 4)) ]]

	broker_mark
	broker_run
	[[ $(taken_up) == 0 ]] # check and backup were there first
	found Fifth
	as reader --json feed watch --until-idle >"$T/out"
	once First Second Third Fourth "${TITLES[@]}"
	as reader --json feed watch --until-idle >"$T/out"
	[[ $(count post_id <"$T/out") == 0 ]]

	# The backup is an exchange of its own, as of then.
	broker_stop
	mv "$T/broker" "$T/lost"
	mv "$T/backup" "$T/broker"
	broker_mark
	broker_run
	post reader offer Sixth
}

@test "a broker that is to keep no journal takes up what is there, removes it, and goes on" {
	exchange_start
	join saver sme
	join reader university
	as reader feed follow offer
	as reader sync
	found First
	printf '[store]\njournal = 0\n' >"$T/renkei.ini"
	killed Second
	broker_mark
	broker_run --config "$T/renkei.ini"
	[[ ! -e $T/broker/store/journal ]]
	post reader offer Third
	as reader --json post list >"$T/out"
	once "${TITLES[@]}" Second Third
	broker_kill
	broker_run
	[[ -s $T/broker/store/journal ]]
	post reader offer Fourth
	as reader --json post list >"$T/out"
	once "${TITLES[@]}" Second Third Fourth
}
