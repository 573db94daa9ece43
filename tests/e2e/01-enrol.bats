#!/usr/bin/env bats
# An exchange is founded and organisations enrol; nobody gets in by a stolen, used, expired or altered invite (P6).
load kit

@test "three organisations enrol and see each other" {
	exchange_start
	join company sme
	join university university
	join coordinator coordinator
	[[ $(as company --json member list | count org_id) == 4 ]]
	as university --json status | grep -q '"status": *"joined"'
}

@test "a request waits until it is approved, and a wrong fingerprint approves nobody" {
	exchange_start
	invite=$(as secretariat member invite)
	as thief join "$invite" --name "Thief" --kind sme
	as secretariat sync
	refuses 9 as secretariat member approve "$(org thief)" --fingerprint 00000000-00000000-00000000-00000000-00000000
	said 'fingerprint'
	refuses 4 as thief post list
	as secretariat member reject "$(org thief)"
	as thief sync || true
	as thief --json status | grep -q '"status": *"rejected"'
}

@test "an invite works once" {
	exchange_start
	invite=$(as secretariat member invite)
	as first join "$invite" --name First --kind sme
	refuses 7 as second join "$invite" --name Second --kind sme
	said 'invit'
}

@test "an altered invite is refused before anything is made" {
	exchange_start
	invite=$(as secretariat member invite)
	altered=${invite%??}AA
	[[ $altered != "$invite" ]] || altered=${invite%??}BB
	refuses 2 as nobody join "$altered" --name Nobody --kind sme
	[[ ! -e $T/nobody/device.key ]]
}

@test "an ended invite gets nobody in" {
	exchange_start
	invite=$(as secretariat member invite)
	id=$(as secretariat --json member list | value invite_id)
	as secretariat member reject "$id"
	code=0
	as late join "$invite" --name Late --kind sme || code=$?
	[[ $code != 0 ]]
	as secretariat sync
	[[ $(as secretariat --json member list | grep -c Late) == 0 ]]
}

@test "a newcomer reads the posts that are still open" {
	exchange_start
	join company sme
	post company offer "Early offer"
	join late university
	as late feed follow offer
	as late --json post list | grep -q 'Early offer'
}

@test "names with control characters and unknown kinds are refused with a sentence" {
	exchange_start
	invite=$(as secretariat member invite)
	refuses 2 as bad join "$invite" --name $'Bad\x1b[31mName' --kind sme
	refuses 2 as bad join "$invite" --name Good --kind castle
	said 'sme'
}
