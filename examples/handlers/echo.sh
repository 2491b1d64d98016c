#!/bin/sh
# A handler in sh, without any other program: the smallest thing that keeps the contract.
#
# The table holds marks: items with the partition key NOTE#<letters, digits, dashes> and
# the sort key MARK. The index has one record for each, in the collection "marks", with
# the partition key as its id and a fixed document and vector. A removed mark has none.
#
# It does not parse JSON. It relies on what docs/format/exec.md promises of requests:
# members in the order of that page, no white space; and on its own rules, which let
# nothing into a key that JSON would escape. Whoever needs an attribute of an item should
# take a language with a JSON parser.
set -u

describe='{"name":"marks","version":"1","collections":[{"name":"marks","dimension":2}],"entities":[{"entity":"MARK","partition":"NOTE#[A-Za-z0-9-]+","sort":"MARK"}]}'
q='"' # inside ${...} a literal quote would need escapes that shells disagree on

while IFS= read -r line; do
	id=${line#*:} # {"id":17,"request":"plan", ...
	id=${id%%,*}
	rest=${line#*,}
	# What was asked about: everything before the view. No attribute of an item can look
	# like this, because the value of an attribute is an object that begins with its type.
	before_view='],"view":{"records":{'
	messages=${rest%%"$before_view"*}
	case $messages in
	*'","entity":"MARK","event":"'*) known=yes ;;
	*) known=no ;;
	esac
	case $rest in
	'"request":"describe",'*)
		printf '{"id":%s,"protocol":"lockstep-exec/1","describe":%s}\n' "$id" "$describe"
		;;
	'"request":"reads",'*)
		if [ $known = no ]; then
			printf '{"id":%s,"reads":{}}\n' "$id"
			continue
		fi
		note=${messages#*'","entity":"MARK","event":"'*'","partition":"'}
		note=${note%%"$q"*}
		# Also the record, which only who asked for it may change.
		printf '{"id":%s,"reads":{"records":[{"collection":"marks","id":"%s"}],"items":[{"partition":"%s","sort_prefix":"MARK"}]}}\n' "$id" "$note" "$note"
		;;
	'"request":"plan",'*)
		# All messages of a unit have one partition, and a partition has one mark.
		first_item='},"items":[{"partition":"'
		item=${rest#*"$first_item"}
		if [ $known = no ] || [ "$item" = "$rest" ]; then
			printf '{"id":%s,"mutations":[]}\n' "$id"
			continue
		fi
		note=${item%%"$q"*}
		case $item in
		*'","entity":"MARK","image":null,"seq":"'*)
			printf '{"id":%s,"mutations":[{"collection":"marks","op":"delete","id":"%s","cause":0}]}\n' "$id" "$note"
			;;
		*)
			printf '{"id":%s,"mutations":[{"collection":"marks","op":"upsert","id":"%s","document":"marked","metadata":{"mark":true},"vector":[1,0],"cause":0}]}\n' "$id" "$note"
			;;
		esac
		;;
	*)
		printf '{"id":%s,"error":{"message":"unknown request","class":"refused"}}\n' "$id"
		;;
	esac
done
