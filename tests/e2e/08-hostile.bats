#!/usr/bin/env bats
# A member with real keys and a client of its own that tries every gate: each attempt gets its typed refusal (P2, P6, P7).
load kit

hostile() { timeout 120 "$RENKEI_BUILD/tests/e2e/hostile" "$T/$1" "${@:2}"; }

agree() { # A B [ARG...]: an agreement signed by both; sets NDA
	local a=$1 b=$2
	shift 2
	NDA=$(propose "$a" "$(org "$b")" "$@")
	as "$b" sync
	as "$b" nda sign "$NDA" --yes --signatory B
	as "$a" sync
}

@test "altered requests that need no agreement" {
	exchange_start
	join bad sme
	join peer sme
	as bad sync
	hostile bad form "$(org peer)"
}

@test "altered requests under an agreement in force" {
	exchange_start
	join bad sme
	join peer sme
	agree bad peer
	hostile bad nda "$NDA" "$(org peer)"
}

@test "every state of the gate answers with its own refusal" {
	exchange_start
	join bad sme
	join peer sme
	# proposed
	NDA=$(propose bad "$(org peer)")
	hostile bad gate "$NDA" "$(org peer)" 502
	as peer sync; as peer nda sign "$NDA" --yes --signatory B; as bad sync
	hostile bad gate "$NDA" "$(org peer)" 0
	as peer nda hold "$NDA"; as bad sync
	hostile bad gate "$NDA" "$(org peer)" 504
	as peer nda resume "$NDA"; as bad sync
	as secretariat member suspend "$(org peer)" --yes; as bad sync
	code=0; hostile bad gate "$NDA" "$(org peer)" 505 >"$T/out" || code=$?
	# without a target of the suspended organisation the envelope has no wrap for it: the gate speaks first
	cat "$T/out"; [[ $code == 0 ]]
	as secretariat member reinstate "$(org peer)"; as bad sync
	as peer sync
	as peer nda terminate "$NDA" --yes; as bad sync
	hostile bad gate "$NDA" "$(org peer)" 510
	# declined, withdrawn
	NDA=$(propose bad "$(org peer)")
	as peer sync; as peer nda decline "$NDA"; as bad sync
	hostile bad gate "$NDA" "$(org peer)" 506
	NDA=$(propose bad "$(org peer)")
	as bad nda withdraw "$NDA"; as bad sync
	hostile bad gate "$NDA" "$(org peer)" 507
	# not yet
	agree bad peer --from "$(date -u -d '+10 days' +%F)"
	hostile bad gate "$NDA" "$(org peer)" 503
	# against the direction, as a false reply, unmarked
	agree bad peer --discloser "$(org peer)"
	hostile bad gate "$NDA" "$(org peer)" 512
	hostile bad gate "$NDA" "$(org peer)" 0 reply
	agree bad peer --marking-required
	hostile bad gate "$NDA" "$(org peer)" 206 unmarked
	hostile bad gate "$NDA" "$(org peer)" 0
}

@test "a stranger learns nothing of an agreement, its envelopes and its content" {
	exchange_start
	join a sme
	join b sme
	join bad sme
	agree a b
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	env=$(as a --json dossier list | value dossier_id)
	as bad sync
	hostile bad gate "$NDA" "$(org a)" 501
	hostile bad gate "$(printf '0%.0s' {1..64})" "$(org a)" 501
	hostile bad fetch "$env" 601
	code=$(hostile bad pickup "$NDA" "$env" 501 | grep -c 'FAIL' || true)
	[[ $code == 0 ]] || hostile bad pickup "$NDA" "$env" 601
}

@test "a recipient cannot fetch without its signed pickup, nor pick up when the agreement has ended" {
	exchange_start
	join a sme
	join b sme
	agree a b
	echo x >"$T/x.txt"
	as a dossier send --nda "$NDA" "$T/x.txt"
	env=$(as a --json dossier list | value dossier_id)
	as b sync
	hostile b fetch "$env" 105
	hostile b pickup "$NDA" "$env" 0
	hostile b fetch "$env" 0
	as a nda terminate "$NDA" --yes
	hostile b fetch "$env" 510
}

@test "an expelled member that only listens gets nothing after the acknowledgement" {
	exchange_start
	join a sme
	join bad sme
	hostile bad deaf 6 >"$T/deaf" &
	pid=$!
	for _ in $(seq 50); do grep -q listening "$T/deaf" && break; sleep 0.1; done
	post a offer "one" >/dev/null
	sleep 0.5
	as secretariat member expel "$(org bad)" --yes
	as a sync
	post a offer "two" >/dev/null
	wait $pid
	cat "$T/deaf"
	grep -q '^deliveries 1$' "$T/deaf"
}

@test "lines in a text do not look like fields" {
	exchange_start
	join a sme
	join b sme
	nda=$(propose a "$(org b)" --purpose $'Try it\nState               in force')
	as b sync
	as b nda view "$nda" >"$T/view"
	cat "$T/view"
	[[ $(grep -c '^State ' "$T/view") == 1 ]]
	grep -q '^State  *proposed' "$T/view"
	grep -q '^  *State  *in force' "$T/view"
}

@test "no core file of a client is ever written" {
	exchange_start
	join a sme
	as a feed follow offer
	ulimit -c unlimited 2>/dev/null || skip "core files cannot be turned on here"
	renkei --no-input --home "$T/a" feed watch >/dev/null &
	WATCH=$!
	for _ in $(seq 50); do
		[[ $(readlink "/proc/$WATCH/exe") == */renkei ]] && grep -q '^Max core file size *0 *0 ' "/proc/$WATCH/limits" && break
		sleep 0.1
	done
	grep '^Max core file size *0 *0 ' "/proc/$WATCH/limits"
	kill "$WATCH"
	wait "$WATCH" || true
	WATCH=
}
