# rules.awk: turns the `//@` annotations of renkei.proto into the rows of struct strict_rule (proto/strict.h), sorted by
# message name and field number.  Anything it does not understand fails the build: a rule that is misspelt must not be
# a rule that is missing.  Plain awk, without gawk's extensions; run it with LC_ALL=C, as the order of rows is by byte.

function fail(why) {
	printf "%s:%d: %s\n", FILENAME, FNR, why >"/dev/stderr"
	failed = 1
	exit 1
}

function fail_field(i, why) {
	printf "%s:%d: field %s of %s: %s\n", FILENAME, line_of[i], name_of[i], message_of[i], why >"/dev/stderr"
	failed = 1
	exit 1
}

function is_number(text) {
	return text ~ /^[0-9]+$/
}

# Splits "A..B", "N" or "0|N" into low and high; returns 1 for "0|N".
function parse_range(i, text,    part) {
	if (text ~ /^0\|[0-9]+$/) {
		split(text, part, "|")
		low = 0
		high = part[2]
		return 1
	}
	if (is_number(text)) {
		low = high = text
		return 0
	}
	if (text !~ /^[0-9]+\.\.[0-9]+$/ || split(text, part, /\.\./) != 2 || part[1] + 0 > part[2] + 0)
		fail_field(i, "not a range: " text)
	low = part[1]
	high = part[2]
	return 0
}

function add_flag(flag) {
	flags = flags == "0" ? flag : flags " | " flag
}

function is_int(type) {
	return type ~ /^u?int(32|64)$/
}

# One word of an annotation, for field i.
function parse_word(i, word,    key, value, type) {
	type = type_of[i]
	key = word
	sub(/=.*/, "", key)
	value = substr(word, length(key) + 2)
	if (seen[i, key]++)
		fail_field(i, "twice: " key)
	if (key == "len" && (type == "bytes" || type == "string")) {
		if (parse_range(i, value))
			add_flag("STRICT_LEN_OR_0")
		len_min = low
		len_max = high
	} else if (key == "count" && repeated[i]) {
		if (parse_range(i, value))
			fail_field(i, "not a range: " value)
		count_min = low
		count_max = high
	} else if ((key == "min" || key == "max") && is_int(type) && is_number(value)) {
		if (key == "min")
			min = "UINT64_C(" value ")"
		else
			max = "UINT64_C(" value ")"
	} else if (key == "version" && type == "uint32" && !repeated[i] && is_number(value)) {
		add_flag("STRICT_VERSION")
		min = max = "UINT64_C(" value ")"
	} else if (word == "reserved" && !repeated[i] && (is_int(type) || type == "bytes" || type == "string")) {
		add_flag("STRICT_RESERVED")
	} else if ((word == "text" || word == "name") && type == "string") {
		add_flag(word == "text" ? "STRICT_TEXT" : "STRICT_NAME")
	} else {
		fail_field(i, "unknown annotation: " word)
	}
}

# The row of field i, or "" where it needs none.
function make_row(i,    n, word, w, type) {
	type = type_of[i]
	flags = "0"
	len_min = len_max = count_min = count_max = 0
	min = "0"
	max = "UINT64_MAX"
	if (!is_int(type) && type != "bool" && type != "bytes" && type != "string" && !(type in is_enum) && !(type in is_message))
		fail_field(i, "unknown type " type)
	n = split(rule_of[i], word, " ")
	for (w = 1; w <= n; w++)
		parse_word(i, word[w])
	if ((type == "bytes" || type == "string") && !seen[i, "len"])
		fail_field(i, "no len= rule")
	if (type == "string" && seen[i, "text"] + seen[i, "name"] != 1)
		fail_field(i, "needs one of: text, name")
	if (repeated[i] && !seen[i, "count"])
		fail_field(i, "no count= rule")
	if (n == 0)
		return ""
	return sprintf("%d, %s, %s, %s, %s, %s, %s, %s},",
		number_of[i], flags, len_min, len_max, count_min, count_max, min, max)
}

/^[ \t]*(\/\/.*)?$/ { next }
/^(syntax|package) / { next }

/^enum [A-Za-z]+ \{/ {
	if (message != "")
		fail("nested enum")
	is_enum[$2] = 1
	in_enum = $0 !~ /\}/
	next
}
in_enum {
	if (/^\}/)
		in_enum = 0
	next
}

/^message [A-Za-z]+ \{$/ {
	if (message != "")
		fail("nested message")
	message = $2
	is_message[message] = 1
	messages[++n_messages] = message
	next
}
/^\}$/ && message != "" {
	message = ""
	next
}

message != "" && /^  (repeated )?[A-Za-z0-9]+ [a-z0-9_]+ = [0-9]+;[ \t]*(\/\/@ .*)?$/ {
	i = ++n_fields
	message_of[i] = message
	line_of[i] = FNR
	repeated[i] = ($1 == "repeated")
	type_of[i] = repeated[i] ? $2 : $1
	name_of[i] = repeated[i] ? $3 : $2
	number_of[i] = (repeated[i] ? $5 : $4) + 0
	rule_of[i] = ""
	if (match($0, /\/\/@ /))
		rule_of[i] = substr($0, RSTART + 4)
	if (message == message_of[i - 1] && number_of[i] <= number_of[i - 1])
		fail("field numbers must ascend")
	next
}

{ fail("not understood: " $0) }

END {
	if (failed)
		exit 1
	# Insertion sort: some hundred names.
	for (i = 2; i <= n_messages; i++) {
		moved = messages[i]
		for (j = i - 1; j >= 1 && ("" messages[j]) > ("" moved); j--)
			messages[j + 1] = messages[j]
		messages[j + 1] = moved
	}
	for (i = 1; i <= n_fields; i++) {
		row = make_row(i)
		if (row != "")
			rows[message_of[i], ++n_rows[message_of[i]]] = row
	}
	for (i = 1; i <= n_messages; i++)
		for (j = 1; j <= n_rows[messages[i]]; j++)
			printf "{\"rk.%s\", %d, %s\n", messages[i], n_rows[messages[i]] - j + 1, rows[messages[i], j]
}
