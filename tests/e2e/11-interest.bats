#!/usr/bin/env bats
# First contact, which no agreement covers, and dossiers that are declined before anything but the head was seen.
load kit

@test "interest is sent, answered with yes and with no, and said to be covered by no agreement" {
	exchange_start
	join a sme
	join b university
	as b feed follow need
	one=$(post a need "Hygiene")
	two=$(post a need "Optics")
	as b sync
	as b interest send "$one" --message "We can help" 2>&1 | grep -i 'no confidentiality agreement'
	as b interest send "$two" --message "We can help here too"
	as a sync
	as a inbox list | grep -qi interest
	ids=$(as a --json interest list | grep -o '"interest_id":"[0-9a-f]*"' | cut -d'"' -f4)
	[[ $(wc -w <<<"$ids") == 2 ]]
	set -- $ids
	as a interest view "$1" | grep -q 'We can help'
	as a interest accept "$1" --note "Let us talk"
	as a interest decline "$2" --reason too-early
	as b sync
	as b --json interest list | grep -q '"outcome":"accepted"'
	as b --json interest list | grep -q '"outcome":"declined"'
}

@test "a dossier that is declined never comes here" {
	exchange_start
	join a sme
	join b sme
	NDA=$(propose a "$(org b)")
	as b sync
	as b nda sign "$NDA" --yes --signatory B
	as a sync
	echo unwanted >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	as b sync
	id=$(as b --json dossier list | value dossier_id)
	as b dossier decline "$id"
	as b --json dossier list | grep -q declined
	as a sync
	[[ $(as a --json dossier list | grep -c picked_up_at) == 0 || $(as a --json dossier list | grep -c '"state":"picked_up"') == 0 ]]
}
