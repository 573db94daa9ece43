#!/usr/bin/env bats
# Time: clocks that are off, days that have passed.  The programs are real, only their clock is moved (libfaketime).
load kit
load clock

@test "a client whose clock is off by 20 minutes says so and posts nothing" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	exchange_start
	join a sme
	printf 'Title: Untimely\n\nText\n' >"$T/post.md"
	code=0
	later +20m a post publish --type offer --file "$T/post.md" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'clock'
}

@test "a dossier is refused before the first day and after the last day, and goes in between" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	exchange_start
	join a sme
	join b sme
	day() { TZ=Asia/Tokyo date -d "+$1 days" +%F; }
	NDA=$(as a --json nda propose --with "$(org b)" --purpose P --form plain --from "$(day 2)" --until "$(day 4)" --signatory A | value nda_id)
	as b sync
	as b nda sign "$NDA" --yes --signatory B
	as a sync
	echo x >"$T/x.txt"
	refuses 8 as a dossier send --nda "$NDA" "$T/x.txt"
	broker_stop
	broker_at +3d
	later +3d a dossier send --nda "$NDA" "$T/x.txt"
	broker_end
	broker_at +6d
	refuses 8 later +6d a dossier send --nda "$NDA" "$T/x.txt"
	said 'last day has passed'
	# what was not picked up while it was in force has come back
	later +6d a sync
	later +6d a --json dossier list | grep -q returned
	later +6d b sync
	id=$(later +6d b --json dossier list | value dossier_id)
	refuses 8 later +6d b dossier get "$id" --output "$T/late"
	broker_end
}

@test "an exchange whose directory has expired still lets a party end an agreement, and new ones wait" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	exchange_start
	join a sme
	join b sme
	NDA=$(propose a "$(org b)")
	as b sync
	as b nda sign "$NDA" --yes --signatory B
	as a sync
	broker_stop
	broker_at +20d
	echo x >"$T/x.txt"
	code=0
	later +20d a dossier send --nda "$NDA" "$T/x.txt" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'directory'
	later +20d a nda terminate "$NDA" --yes
	# the secretariat signs again, and the exchange goes on
	later +20d secretariat sync
	later +20d b sync
	NDA=$(later +20d b --json nda propose --with "$(later +20d a --json status | value org_id)" --purpose P --form plain --until "$(date -u -d '+1 year' +%F)" --signatory B | value nda_id)
	[[ -n $NDA ]]
	broker_end
}

@test "doctor says when a device's key to receive with was not renewed, and that it has ended" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	exchange_start
	join a sme
	as a doctor
	refuses 1 later +31d a doctor
	[[ $(grep -c 'receiving key' "$T/out") == 1 && $(grep -c 'overdue for renewal' "$T/out") == 0 ]]
	refuses 1 later +35d a doctor
	said 'receiving key ends .* overdue for renewal'
	refuses 1 later +41d a doctor
	said 'receiving key ended .* makes a new one'
}

@test "an invite that has expired gets nobody in" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	exchange_start
	invite=$(as secretariat member invite)
	broker_stop
	broker_at +8d
	code=0
	later +8d late join "$invite" --name Late --kind sme >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'invit'
	# nor does a client with a clock of its own get past the broker's
	code=0
	as late2 join "$invite" --name Late --kind sme >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	later +8d secretariat sync
	[[ $(later +8d secretariat --json member list | grep -c Late) == 0 ]]
	broker_end
}

@test "an exchange whose charter has expired says so" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	exchange_start
	join a sme
	broker_stop
	broker_at +1900d
	printf 'Title: Too late\n\nText\n' >"$T/post.md"
	code=0
	later +1900d a post publish --type offer --file "$T/post.md" >"$T/out" 2>"$T/err" || code=$?
	[[ $code != 0 ]]
	said 'charter'
	broker_end
}
