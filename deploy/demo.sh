#!/bin/bash
# demo.sh: a guided tour of one exchange, on this machine, with the real programs.  It starts a broker on a free loopback
# port in a temporary folder, lets a company, a university and a coordinator join, and walks through the main job:
# offers and needs, a dossier that is refused, an agreement, the dossier under it, a large one, a second machine, the end of the agreement,
# refused again, a receipt, a backup and its return.
# KEEP=1 keeps the folder and says how to go on by hand.  Ends with 0 only if every step did what the text says.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${RENKEI_BUILD:-$PWD/build}
samples=$PWD/deploy/demo
export PATH="$build:$PATH"
work=$(mktemp -d "${TMPDIR:-/tmp}/renkei-demo.XXXXXX")
broker=
bold= dim= off=
if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; fi

finish() {
	local code=$?
	trap - EXIT INT TERM
	if [[ -n $broker ]] && kill -0 "$broker" 2>/dev/null; then
		kill -TERM "$broker" 2>/dev/null || true
		wait "$broker" 2>/dev/null || true
	fi
	if [[ ${KEEP:-0} == 1 ]]; then
		echo
		echo "The folder is kept: $work"
		echo "To go on by hand:"
		echo "  export PATH=\"$build:\$PATH\" RENKEI_PASSPHRASE_FILE=$work/passphrase"
		echo "  renkeid run --data $work/broker &"
		echo "  export RENKEI_HOME=$work/university        # or company, coordinator, secretariat"
		echo "  renkei status; renkei post list; renkei nda list; renkei inbox list"
		echo "To remove it: rm -r $work"
	else
		rm -rf "$work"
	fi
	[[ $code == 0 ]] || echo "demo: FAILED (exit $code)" >&2
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

chapter() { printf '\n%s== %s%s\n' "$bold" "$*" "$off"; }
tell() { printf '%s\n' "$*" | fold -s -w 100; }

# The command as one would type it: words with spaces in double quotes.
typed() {
	local word
	printf '%s%-12s $%s' "$dim" "$1" "$off"
	shift
	for word; do
		[[ $word == *[[:space:]]* || -z $word ]] && printf ' "%s"' "$word" || printf ' %s' "$word"
	done
	echo
}

# show HOME COMMAND...: prints the command as one would type it, then runs it for that participant.
show() {
	local who=$1
	shift
	typed "$who" "$@"
	RENKEI_HOME=$work/$who "$@" 2>&1 | sed 's/^/    /'
}

# refused HOME COMMAND...: the same, and it must end with exit 8, "not permitted".
refused() {
	local who=$1 code=0
	shift
	typed "$who" "$@"
	RENKEI_HOME=$work/$who "$@" >"$work/out" 2>&1 || code=$?
	sed 's/^/    /' "$work/out"
	if [[ $code != 8 ]]; then
		echo "demo: expected exit 8 (not permitted), got $code" >&2
		exit 1
	fi
	tell "    (exit code 8: not permitted)"
}

# ask HOME KEY COMMAND...: runs with --json, without showing it, and prints the value of a key.
ask() {
	local who=$1 key=$2
	shift 2
	RENKEI_HOME=$work/$who renkei --json "$@" | sed -n "s/.*\"$key\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
}

umask 077
head -c 24 /dev/urandom | base64 >"$work/passphrase"
export RENKEI_PASSPHRASE_FILE=$work/passphrase RENKEI_KEY_MEMORY_MIB=${RENKEI_KEY_MEMORY_MIB:-64}
unset RENKEI_HOME
mkdir "$work/papers"
cp "$samples"/*.md "$work/papers"
cd "$work"

chapter "1. The operator sets up a broker; the secretariat founds the exchange"
tell "The operator's machine relays messages and can read none of them. It makes its keys and prints a card, which the secretariat types in."
printf '%soperator     $%s renkeid init --data broker --listen tcp://127.0.0.1:PORT\n' "$dim" "$off"
port=$(python3 - 2>/dev/null <<'PY' || echo 0
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])
PY
)
[[ $port != 0 ]] || port=$((20000 + RANDOM % 20000))
card=$(renkeid init --data "$work/broker" --listen "tcp://127.0.0.1:$port" 2>/dev/null)
echo "    ${card:0:60}…"
show secretariat renkei exchange create "Okhotsk Bio-Industry Cluster" --broker "$card" --out charter.rk
printf '%soperator     $%s renkeid adopt --data broker charter.rk\n' "$dim" "$off"
renkeid adopt --data "$work/broker" "$work/charter.rk" 2>&1 | sed 's/^/    /'
printf '%soperator     $%s renkeid run --data broker &\n' "$dim" "$off"
renkeid run --data "$work/broker" 2>"$work/broker.log" &
broker=$!
for _ in $(seq 100); do
	grep -q ' ready ' "$work/broker.log" && break
	kill -0 "$broker" 2>/dev/null || { cat "$work/broker.log" >&2; exit 1; }
	sleep 0.1
done
grep ' ready ' "$work/broker.log" | sed 's/^/    /'

chapter "2. Three organisations join"
tell "The secretariat hands each an invite on paper. The newcomer makes its own keys and reads a fingerprint aloud on the telephone; only then does the secretariat approve. A stolen invite yields nothing but a request that nobody approves."
join() { # HOME NAME KIND
	local invite fingerprint org
	invite=$(RENKEI_HOME=$work/secretariat renkei -q member invite --for "$2")
	show "$1" renkei join "$invite" --name "$2" --kind "$3"
	fingerprint=$(ask "$1" fingerprint status)
	org=$(ask "$1" org_id status)
	RENKEI_HOME=$work/secretariat renkei -q sync >/dev/null
	show secretariat renkei member approve "$org" --fingerprint "$fingerprint"
	show "$1" renkei sync
}
join company "Kitami Marine Extracts" sme
join university "Okhotsk Institute of Technology" university
join coordinator "Abashiri Technology Bridge" coordinator
show secretariat renkei member list

chapter "3. Offers and needs"
tell "Posts are sealed for the members of the exchange before they leave the sender's machine. The broker sees who posted and when, never what."
show company renkei post publish --type offer --file "papers/chondroitin.md"
show company renkei post publish --type offer --file "papers/waste-oil.md"
show university renkei post publish --type offer --file "papers/surface-80nm.md"
show university renkei feed follow need
show company renkei post publish --type need --file "papers/hypochlorite.md"
need=$(ask company post_id post list --mine --type need)
need=${need:0:12}
show coordinator renkei post publish --type need --file "papers/lsi-inspection.md"
tell "The university was away. It gets what it missed, once and in order:"
show university renkei feed watch --until-idle
show university renkei feed watch --until-idle --topic electronics
show coordinator renkei feed follow offer
show coordinator renkei post list --type offer

chapter "4. First contact, without an agreement"
tell "The university answers a need. This message is sealed, but no confidentiality agreement covers it, and Renkei says so."
show university renkei interest send "$need" --message "Our electrolysis cell yields stable hypochlorite at pH 6. May we show you the data?"
show company renkei interest list

chapter "5. A dossier without an agreement is refused"
printf 'Cell geometry and run data, confidential.\nElectrode gap 0.8 mm, yield 93 %%\n' >papers/cell-data.txt
tell "There is no agreement yet, so there is nothing to send under:"
refused university renkei dossier send --nda "$(printf '0%.0s' {1..64})" --to "Kitami Marine Extracts" papers/cell-data.txt

chapter "6. They sign a confidentiality agreement"
tell "The university proposes one, with a purpose and dates, from yesterday on; both organisations sign with their organisation key. The text is sealed to the two; the broker sees parties and dates, no more."
# Clients send nothing in the first five minutes of an agreement: one that began yesterday lets the tour be taken just after midnight too.
from=$(TZ=Asia/Tokyo date -d yesterday +%F)
until=$(date -u -d '+1 year' +%F)
proposal=(nda propose --with "Kitami Marine Extracts" --purpose "Evaluate the hypochlorite cell for the salmon line" --form plain --from "$from"
	--until "$until" --signatory "Prof. Sato Haruka" --signatory-title "Head of laboratory")
typed university renkei "${proposal[@]}"
nda=$(ask university nda_id "${proposal[@]}")
echo "    agreement ${nda:0:12}"
nda=${nda:0:12}
tell "Before the company has signed, the dossier is still refused:"
refused university renkei dossier send --nda "$nda" papers/cell-data.txt
show company renkei inbox list
show company renkei nda view "$nda"
tell "Before it signs, the company is shown the whole document, in English and Japanese (here we show its beginning)."
show company renkei nda sign "$nda" --yes --signatory "Ito Kenji" --signatory-title "President" >"$work/signing"
head -n 1 "$work/signing"
sed -n '/CONFIDENTIALITY AGREEMENT/,$p' "$work/signing" | sed -n '1,12p'
echo "    …"
tail -n 2 "$work/signing"
show university renkei nda view "$nda"

chapter "7. The dossier goes under the agreement"
tell "The company first sees only who offers what under which agreement. It signs for it, and only then is the content released. So nobody can say: we never received that."
show university renkei dossier send --nda "$nda" --title "Cell data" --message "Run 14, as discussed." papers/cell-data.txt
show company renkei dossier list
dossier=$(ask company dossier_id dossier list)
dossier=${dossier:0:12}
show company renkei dossier get "$dossier" --output company-received
cmp papers/cell-data.txt company-received/cell-data.txt
tell "    The file that arrived is equal to the one sent, byte for byte."
tell "What is large goes as an attachment of up to 2 GiB: encrypted once, sent in parts, resumed after any break. Here 12 MB of measurements:"
head -c 12000000 /dev/urandom >papers/run-14.raw
show university renkei dossier send --nda "$nda" --title "Run 14, raw" papers/run-14.raw
show company renkei sync
raw=$(ask company dossier_id dossier list)
raw=${raw:0:12}
show company renkei dossier get "$raw" --output company-received
cmp papers/run-14.raw company-received/run-14.raw
show university renkei dossier list

chapter "8. A stranger gets nothing"
tell "The coordinator is a member of the exchange, but no party of this agreement:"
refused coordinator renkei dossier send --nda "$nda" --to "Kitami Marine Extracts" papers/cell-data.txt

chapter "9. A second machine of the university"
tell "The laboratory gets a machine of its own. Its keys are made on it; the university's key lets it in, after both screens showed the same fingerprint."
card=$(ask university card device invite)
show laboratory renkei device request "$card" --label "Laboratory" --no-passphrase --out laboratory.request
fingerprint=$(ask laboratory fingerprint status)
show university renkei device add laboratory.request --fingerprint "$fingerprint" --desk "Cell lab"
RENKEI_HOME=$work/laboratory renkei -q sync >/dev/null
RENKEI_HOME=$work/secretariat renkei -q sync >/dev/null
show laboratory renkei sync
show university renkei device list
show university renkei device message --desk "Cell lab" "The company answers by Friday."
show laboratory renkei sync
show laboratory renkei inbox list

chapter "10. The company ends the agreement; the gate closes"
show company renkei nda terminate "$nda" --yes --reason "The evaluation is finished"
tell "From the broker's acknowledgement on, nothing more is released:"
refused university renkei dossier send --nda "$nda" papers/cell-data.txt

chapter "11. What the operator could see"
if grep -aq -e 'hypochlorite' -e 'Electrode gap' -e 'chondroitin' -e 'salmon line' -r "$work/broker"; then
	echo "demo: found content in the broker's files" >&2
	exit 1
fi
tell "We searched the broker's files for words of the posts, the agreement and the dossier: none is there."
kill -TERM "$broker"
wait "$broker"
broker=
tail -n 1 "$work/broker.log" | sed 's/^/    /'
chapter "12. The proof, with the broker gone"
tell "The university writes a receipt of its disclosure. An expert who trusts neither party checks it, offline, with nothing but the exchange's fingerprint; an empty home shows that no account is needed."
show university renkei receipt export "$dossier" --output cell-data.renkei-receipt
root=$(ask university root_fingerprint status)
show expert renkei receipt verify cell-data.renkei-receipt --root "$root"
printf 'X' | dd of=cell-data.renkei-receipt bs=1 seek=20000 conv=notrunc status=none
tell "One byte of it changed, and it proves nothing:"
typed expert renkei receipt verify cell-data.renkei-receipt --root "$root"
if RENKEI_HOME=$work/expert renkei receipt verify cell-data.renkei-receipt --root "$root" >out 2>&1; then
	echo "demo: a changed receipt was verified" >&2
	exit 1
fi
tail -n 2 out | sed 's/^/    /'


chapter "13. The machine is stolen; the backup"
tell "One file holds the whole home: keys, agreements, register, evidence. A recovery code opens it; here the code goes to a file, at a desk it is shown once and typed back."
show university renkei backup university.backup --code-file university.code
rm -r university
show university renkei restore university.backup --code-file university.code
show university renkei receipt export "$dossier" --with-content --output again.renkei-receipt
show expert renkei receipt verify again.renkei-receipt --root "$root"

printf '\n%sDone.%s Every step above did what it said; nothing is left running.\n' "$bold" "$off"
