# rules.awk: turns renkei.proto with its `//@` annotations into the tables of proto/strict_rules.c: for each message, sorted by name, one line
#   MESSAGE(Type, type, number of its first row, number of its rows)
# and for each of its fields, sorted by number, one row of struct strict_rule (proto/strict_internal.h), whose columns are
#   FIELD or LIST(Type, member, number of the field, wire type, kind, flags, len_min, len_max, count_min, count_max, min, max, listed, inner)
# Anything it does not understand fails the build: a rule that is misspelt must not be a rule that is missing.
# Plain awk, without gawk's extensions; run it with LC_ALL=C, as the order of messages is by byte.

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

# The name of a message in names of functions, as protoc-c makes it: NdaTerms is nda_terms.
function snake(name,    i, c, out, was_upper) {
	was_upper = 1
	for (i = 1; i <= length(name); i++) {
		c = substr(name, i, 1)
		if (c ~ /[A-Z]/ && !was_upper)
			out = out "_"
		was_upper = c ~ /[A-Z]/
		out = out tolower(c)
	}
	return out
}

# The values of an enum on one line of it, as bits: rows have 64.
function take_enum_values(text,    n, part, i, value) {
	sub(/\/\/.*/, "", text)
	n = split(text, part, ";")
	for (i = 1; i <= n; i++) {
		if (part[i] ~ /^[ \t}]*$/)
			continue
		if (part[i] !~ /^[ \t]*[A-Z0-9_]+ = [0-9]+[ \t]*$/)
			fail("not a value of an enum: " part[i])
		value = part[i]
		sub(/.* = /, "", value)
		if (value + 0 > 63)
			fail("an enum's value above 63")
		if (!((enum, value + 0) in is_value))
			enum_values[enum] = enum_values[enum] (enum_values[enum] == "" ? "" : " | ") "BIT(" (value + 0) ")"
		is_value[enum, value + 0] = 1
		if (value + 0 > enum_max[enum] + 0)
			enum_max[enum] = value + 0
	}
}

function is_int(type) {
	return type ~ /^u?int(32|64)$/
}

function is_run(type) {
	return type == "bytes" || type == "string" || type in is_message
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
		# So that its bytes in memory are a size_t on every machine.
		if (high + 0 > 1048576)
			fail_field(i, "a list of more than 2^20")
		count_min = low
		count_max = high
	} else if ((key == "min" || key == "max") && is_int(type) && is_number(value)) {
		if (type !~ /64$/ && value + 0 > (type == "int32" ? 2147483647 : 4294967295))
			fail_field(i, "beyond its type: " word)
		if (type == "int64" && value + 0 >= 9223372036854775807)
			fail_field(i, "beyond its type: " word)
		if (key == "min") {
			min = "UINT64_C(" value ")"
			is_above_0 = value + 0 > 0
		} else {
			max = "UINT64_C(" value ")"
		}
	} else if (key == "version" && type == "uint32" && !repeated[i] && is_number(value)) {
		add_flag("STRICT_VERSION")
		min = max = "UINT64_C(" value ")"
		is_above_0 = value + 0 > 0
	} else if (word == "reserved" && !repeated[i] && (is_int(type) || type == "bytes" || type == "string")) {
		add_flag("STRICT_RESERVED")
	} else if ((word == "text" || word == "name") && type == "string") {
		add_flag(word == "text" ? "STRICT_TEXT" : "STRICT_NAME")
	} else {
		fail_field(i, "unknown annotation: " word)
	}
}

# What its absence breaks, its value being the default then: decided here, so that a field that is not there costs a look at a flag.
function is_required(i, type) {
	if (repeated[i])
		return count_min > 0
	if (seen[i, "reserved"] || type in is_message)
		return 0
	if (type == "bytes" || type == "string")
		return flags !~ /STRICT_LEN_OR_0/ && len_min > 0
	return is_above_0
}

# The row of field i.
function make_row(i,    n, word, w, type, kind) {
	type = type_of[i]
	flags = "0"
	len_min = len_max = count_min = count_max = is_above_0 = 0
	min = "0"
	listed = "UINT64_MAX"
	if (!is_int(type) && type != "bool" && type != "bytes" && type != "string" && !(type in is_enum) && !(type in is_message))
		fail_field(i, "unknown type " type)
	n = split(rule_of[i], word, " ")
	# A rule on a signed field makes every negative value illegal; without one they are all legal, which only 64 bits can say.
	if (type == "int32" && n == 0)
		fail_field(i, "an int32 without a rule")
	max = type == "uint32" ? "UINT32_MAX" : type == "int32" ? "INT32_MAX" : type == "int64" && n > 0 ? "INT64_MAX" : "UINT64_MAX"
	if (type == "bool")
		max = "1"
	if (type in is_enum) {
		max = enum_max[type] + 0
		listed = enum_values[type]
		if (!((type, 0) in is_value))
			fail_field(i, "an enum without 0")
	}
	for (w = 1; w <= n; w++)
		parse_word(i, word[w])
	if (seen[i, "reserved"] && is_int(type))
		min = max = "0"
	if ((type == "bytes" || type == "string") && !seen[i, "len"])
		fail_field(i, "no len= rule")
	if (type == "string" && seen[i, "text"] + seen[i, "name"] != 1)
		fail_field(i, "needs one of: text, name")
	if (repeated[i] && !seen[i, "count"])
		fail_field(i, "no count= rule")
	if (is_required(i, type))
		add_flag("STRICT_REQUIRED")
	kind = type in is_enum ? "ENUM" : type in is_message ? "MESSAGE" : toupper(type)
	if (repeated[i])
		add_flag("STRICT_LIST")
	return sprintf("%s, %d, %d, STRICT_%s, %s, %s, %s, %s, %s, %s, %s, %s, %d)",
		name_of[i], number_of[i], repeated[i] || is_run(type) ? 2 : 0, kind, flags, len_min, len_max, count_min, count_max,
		min, max, listed, place_of[type])
}

/^[ \t]*(\/\/.*)?$/ { next }
/^(syntax|package) / { next }

/^enum [A-Za-z]+ \{/ {
	if (message != "")
		fail("nested enum")
	enum = $2
	is_enum[enum] = 1
	in_enum = $0 !~ /\}/
	take_enum_values(substr($0, index($0, "{") + 1))
	next
}
in_enum {
	if (/^\}/)
		in_enum = 0
	take_enum_values($0)
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
	for (i = 1; i <= n_messages; i++)
		place_of[messages[i]] = i - 1
	for (i = 1; i <= n_fields; i++)
		rows[message_of[i], ++n_rows[message_of[i]]] = make_row(i)
	for (i = 1; i <= n_messages; i++) {
		printf "MESSAGE(%s, %s, %d, %d)\n", messages[i], snake(messages[i]), first, n_rows[messages[i]]
		first += n_rows[messages[i]]
		for (j = 1; j <= n_rows[messages[i]]; j++)
			printf "%s(%s, %s\n", rows[messages[i], j] ~ /STRICT_LIST/ ? "LIST" : "FIELD", messages[i], rows[messages[i], j]
	}
}
