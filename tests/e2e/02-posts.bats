#!/usr/bin/env bats
# Posts: publish, import of real records, revise, renew, withdraw.
load kit

@test "a post is published, listed by others, revised, renewed and withdrawn" {
	exchange_start
	join company sme
	join reader university
	as reader feed follow offer
	id=$(post company offer "Salmon heads")
	as reader sync
	as reader --json post list | grep -q 'Salmon heads'
	as reader post view "$id" | grep -q 'Body of Salmon heads'
	printf 'Title: Salmon noses\nTopics: test/one\n\nNew text.\n' >"$T/new.md"
	as company post revise "$id" --file "$T/new.md"
	as reader sync
	as reader post view "$id" | grep -q 'New text'
	as company post renew "$id"
	as reader sync
	refuses 2 as company post withdraw "$id" --reason sold
	as company post withdraw "$id"
	as reader sync
	[[ $(as reader --json post list | grep -c 'Salmon') == 0 ]]
}

@test "only the owner may revise or withdraw" {
	exchange_start
	join company sme
	join other sme
	as other feed follow offer
	id=$(post company offer "Mine")
	as other sync
	refuses 7 as other post withdraw "$id" || refuses 8 as other post withdraw "$id"
	as other sync
	as other --json post list | grep -q Mine
}

@test "an interest keeps its one id: sent, answered, viewed" {
	exchange_start
	join company sme
	join lab university
	as lab feed follow offer
	id=$(post company offer "Salmon heads")
	as lab sync
	interest=$(as lab --json interest send "$id" --message "May we have some?" | value interest_id)
	as company sync
	[[ $(as company --json interest accept "$interest" | value interest_id) == "$interest" ]]
	[[ $(as company --json interest view "$interest" | value outcome) == accepted ]]
	as lab sync
	[[ $(as lab --json interest view "$interest" | value outcome) == accepted ]]
}

@test "all real records are imported, and importing again posts nothing new" {
	data=${RENKEI_DATA:-$BATS_TEST_DIRNAME/../../../shared/data}
	[[ -f $data/offers.jsonl ]] || skip "no data at $data"
	exchange_start
	join company sme
	as company post import "$data/offers.jsonl" >"$T/told" 2>&1
	as company post import "$data/needs.jsonl" >>"$T/told" 2>&1
	cat "$T/told"
	grep -i 'title' "$T/told"
	join reader university
	as reader feed follow offer
	as reader feed follow need
	[[ $(as reader --json post list --type offer | count post_id) == 160 ]]
	[[ $(as reader --json post list --type need | count post_id) == 80 ]]
	as company post import "$data/offers.jsonl"
	as reader sync
	[[ $(as reader --json post list --type offer | count post_id) == 160 ]]
}

@test "a bad line is told by number and the others still go" {
	exchange_start
	join company sme
	{
		echo '{"kind":"offer","title":"One","summary":"s","body":"b","topics":["a/b"],"deadline":"","source":"t/1"}'
		echo '{"kind":"offer","title":'
		printf '{"kind":"offer","title":"Bad \xff text","summary":"s","body":"b","topics":[],"deadline":"","source":"t/2"}\n'
		echo '{"kind":"castle","title":"Three","summary":"s","body":"b","topics":[],"deadline":"","source":"t/3"}'
		echo '{"kind":"need","title":"Four","summary":"s","body":"b","topics":[],"deadline":"","source":"t/4"}'
	} >"$T/mixed.jsonl"
	refuses 3 as company post import "$T/mixed.jsonl"
	said '\b2\b'
	said '\b3\b'
	said '\b4\b'
	[[ $(as company --json post list --mine | count post_id) == 2 ]]
}

@test "a post file with a bad line is refused with its number" {
	exchange_start
	join company sme
	printf 'Title: Good\nthis is no header\n\nBody\n' >"$T/bad.md"
	refuses 1 as company post publish --type offer --file "$T/bad.md"
	said 'line 2|:2'
	printf 'Title: \xff\xfe\n\nBody\n' >"$T/bad.md"
	refuses 1 as company post publish --type offer --file "$T/bad.md"
	said 'UTF-8'
}

@test "only the secretariat posts notices and calls" {
	exchange_start
	join company sme
	printf 'Title: Call\n\nText\n' >"$T/post.md"
	refuses 8 as company post publish --type call --file "$T/post.md"
	as secretariat post publish --type notice --file "$T/post.md"
}
