#!/usr/bin/env bats
# Agreements: propose, sign, decline, counter, hold, resume, terminate; two parties and five (P2).
load kit

state() { as "$1" --json nda view "$2" | value state; }

@test "without a terminal nobody signs unless a person is named" {
	exchange_start
	join a sme
	join b university
	refuses 2 as a nda propose --with "$(org b)" --purpose P --form plain --until "$(date -u -d '+1 year' +%F)"
	said '--signatory'
	nda=$(propose a "$(org b)")
	as b sync
	refuses 2 as b nda sign "$nda" --yes
	said '--signatory'
	[[ $(state b "$nda") == proposed ]]
}

@test "two parties: proposed, signed, in force, held, resumed, terminated" {
	exchange_start
	join a sme
	join b university
	nda=$(propose a "$(org b)")
	as b sync
	[[ $(state b "$nda") == proposed ]]
	as b nda sign "$nda" --yes --signatory "B. Person"
	[[ $(state b "$nda") == in_force ]]
	as a sync
	[[ $(state a "$nda") == in_force ]]
	as b nda hold "$nda"
	as a sync
	[[ $(state a "$nda") == held ]]
	refuses 7 as a nda resume "$nda" || refuses 8 as a nda resume "$nda"
	as b nda resume "$nda"
	as a sync
	[[ $(state a "$nda") == in_force ]]
	as a nda terminate "$nda" --yes --reason "done"
	as b sync
	[[ $(state b "$nda") == terminated ]]
}

@test "four companies and a university: in force only when all have signed" {
	exchange_start
	for n in a b c d; do join $n sme; done
	join u university
	nda=$(propose u "$(org a),$(org b),$(org c),$(org d)")
	for n in a b c; do
		as $n sync
		as $n nda sign "$nda" --yes --signatory "$n"
	done
	as u sync
	[[ $(state u "$nda") == proposed ]]
	echo secret >"$T/s.txt"
	refuses 8 as u dossier send --nda "$nda" "$T/s.txt"
	as d sync
	as d nda sign "$nda" --yes --signatory d
	as u sync
	[[ $(state u "$nda") == in_force ]]
	as u dossier send --nda "$nda" "$T/s.txt"
	for n in a b c d; do
		as $n sync
		as $n dossier get "$(as $n --json dossier list | value dossier_id)" --output "$T/got-$n"
		cmp "$T/s.txt" "$T/got-$n/s.txt"
	done
}

@test "declined, withdrawn and countered proposals never come into force" {
	exchange_start
	join a sme
	join b sme
	one=$(propose a "$(org b)")
	as b sync
	as b nda decline "$one" --reason "not now"
	as a sync
	[[ $(state a "$one") == declined ]]
	two=$(propose a "$(org b)")
	as a nda withdraw "$two"
	as b sync
	[[ $(state b "$two") == withdrawn ]]
	code=0; as b nda sign "$two" --yes --signatory B || code=$?
	[[ $code == 7 || $code == 8 ]]
	three=$(propose a "$(org b)")
	as b sync
	four=$(as b --json nda counter "$three" --purpose "Better" --form plain --until "$(date -u -d '+2 years' +%F)" --signatory B | value nda_id)
	as a sync
	[[ $(state a "$three") == declined ]]
	as a nda sign "$four" --yes --signatory A
	[[ $(state a "$four") == in_force ]]
}

# Nothing is sent under it: five minutes after midnight in Tokyo that would be too early (kit.bash, propose).
@test "an agreement without a first day begins on the day of its proposal, and is in force at once" {
	exchange_start
	join a sme
	join b sme
	before=$(TZ=Asia/Tokyo date +%F)
	nda=$(as a --json nda propose --with "$(org b)" --purpose P --form plain --until "$(date -u -d '+1 year' +%F)" --signatory A | value nda_id)
	after=$(TZ=Asia/Tokyo date +%F)
	as b sync
	first=$(as b --json nda view "$nda" | value first_day)
	[[ $first == "$before" || $first == "$after" ]]
	as b nda sign "$nda" --yes --signatory B
	[[ $(state b "$nda") == in_force ]]
}

@test "an agreement that starts later is pending, and nda view says when" {
	exchange_start
	join a sme
	join b sme
	nda=$(propose a "$(org b)" --from "$(date -u -d '+10 days' +%F)")
	as b sync
	as b nda sign "$nda" --yes --signatory B
	[[ $(state b "$nda") == pending_start ]]
	as b nda view "$nda" | grep -q "$(date -u -d '+10 days' +%F)"
	echo x >"$T/x.txt"
	refuses 8 as b dossier send --nda "$nda" "$T/x.txt"
}

@test "the parties' own document is exported as it was proposed" {
	exchange_start
	join a sme
	join b sme
	printf '秘密保持契約書\n第1条\n' >"$T/nda.txt"
	nda=$(as a --json nda propose --with "$(org b)" --purpose P --document "$T/nda.txt" --until "$(date -u -d '+1 year' +%F)" --signatory A | value nda_id)
	as b sync
	as b nda export "$nda" --output "$T/exp"
	find "$T/exp" -type f -exec cmp -s {} "$T/nda.txt" \; -print | grep -q .
}
