#!/bin/bash
# arch.sh: ARCHITECTURE.md against the tree: every source file has its line there and every line its file; includes point one way; and
# those of the things that never may be which a script can find.
set -u
cd "$(dirname "$0")/.."
folders=(proto store broker client client/cli)
faults=0

fault() {
	echo "$*"
	faults=$((faults + 1))
}

# The names in the first column of the tables of one section.
named() {
	awk -v title="## $1/" '/^## / { on = $0 == title } on && /^\| `/ { print }' ARCHITECTURE.md | cut -d'|' -f2 | grep -o '`[^`]*`' | tr -d '`'
}

sources() {
	find "$1" -maxdepth 1 -type f \( -name '*.[ch]' -o -name '*.inc' -o -name '*.proto' -o -name '*.awk' \) -printf '%f\n' | sort
}

check_names() {
	local names file stem name pattern known
	mapfile -t names < <(named "$1")
	for file in $(sources "$1"); do
		stem=${file%.*}
		known=
		for pattern in "${names[@]}"; do
			# shellcheck disable=SC2053
			[[ $stem == $pattern ]] && known=1
		done
		[[ $known ]] || fault "$1/$file: is not in the section '$1/' of ARCHITECTURE.md"
	done
	for name in "${names[@]}"; do
		compgen -G "$1/$name.[chipa]*" >/dev/null || fault "ARCHITECTURE.md: names $1/$name, which is not there"
	done
}

# may_include FOLDER REGEX: what stands in quotes after #include must match.
may_include() {
	local line
	while IFS= read -r line; do
		fault "$line: against the direction of includes"
	done < <(grep -HnoE '^#include "[^"]+"' "$1"/*.[ch] | grep -vE "#include \"($2)\"$")
}

# only_in PATTERN FILES... : an extended regex that occurs in these files and no others (of the folders).
only_in() {
	local pattern=$1 line file
	shift
	while IFS= read -r line; do
		file=${line%%:*}
		[[ " $* " == *" $file "* ]] || fault "$line: not here"
	done < <(grep -HnE "$pattern" $(printf '%s/*.[ch] ' "${folders[@]}") /dev/null)
}

# never_in PATTERN FILES...: an extended regex that occurs in none of them.
never_in() {
	local pattern=$1 line
	shift
	while IFS= read -r line; do
		fault "$line: not here"
	done < <(grep -HnE "$pattern" "$@" /dev/null)
}

for folder in "${folders[@]}"; do
	check_names "$folder"
done

may_include proto      '(proto/.*|renkei\.pb-c\.h|rules\.inc)'
may_include store      '(proto/.*|store/.*|renkei\.pb-c\.h)'
may_include broker     '(proto/.*|store/.*|broker/.*|renkei\.pb-c\.h)'
may_include client     '(proto/.*|store/env\.h|store/stream\.h|client/[a-z_]*\.h|renkei\.pb-c\.h|local\.pb-c\.h)'
may_include client/cli '(proto/.*|client/.*|renkei\.pb-c\.h|local\.pb-c\.h)'

only_in '#include <lmdb\.h>' store/env_internal.h
only_in '#include "store/env_internal\.h"' store/env.c store/env_cursor.c store/env_open.c store/env_ahead.c store/env_journal.c
only_in '#include "store/blob\.h"' store/blob_internal.h broker/blobs_internal.h broker/cmd_blobs.c
only_in '#include <zmq\.h>' broker/message.h broker/socket.c client/link_wire.c
only_in '#include <ini\.h>' broker/config.c
only_in '#include <libsmartcols' client/cli/out.c
only_in 'crypto_sign_(detached|verify_detached)|crypto_sign_open' proto/object.c proto/note.c
only_in 'crypto_box_seal(_open)? *\(' proto/envelope.c proto/trust_feed.c

never_in '#include <(time|sys/[a-z]*|unistd|fcntl|pthread|poll|errno|zmq|lmdb)\.h>' proto/*.[ch]
never_in '\b(fopen|fprintf|printf|open|getenv|time|clock_gettime) *\(' proto/*.c
never_in 'unpack *\(' $(ls proto/*.c store/*.c broker/*.c | grep -v '^proto/strict.c$')

state=$(ls broker/apply_*.c broker/apply.c broker/rows*.c)
never_in '\b(time|clock_gettime|gettimeofday|getenv|rand|randombytes[a-z_]*) *\(' $state
never_in '\b(object_verify|object_check|envelope_verify) *\(' $(grep -v apply_adopt <<<"$state")
never_in '\b(printf|puts|putchar|vprintf) *\(|\bstdout\b|printf *\( *stderr' client/*.c

((faults == 0)) || { echo "architecture: $faults faults"; exit 1; }
echo "architecture: $(for f in "${folders[@]}"; do sources "$f"; done | wc -l) files, each with its line; includes point one way"
