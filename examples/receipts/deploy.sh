#!/bin/sh
# A deployment tool that a person can read: what was deployed is a directory, what runs is
# named in a file, and another file is the history. It stands for Pulumi, which needs an
# account, or for whatever you have.
#
#   deploy.sh up VERSION   deploy what the working tree holds, and call it VERSION
#   deploy.sh current      print the version that runs
#   deploy.sh history      print every deployment, as a list in JSON
#   deploy.sh probe        let what runs handle one record
set -eu
here=$(cd "$(dirname "$0")" && pwd)
state=$here/deployed
mkdir -p "$state"

case ${1:-} in
up)
	version=$2
	if ! mkdir "$state/lock" 2>/dev/null; then
		echo "the stack is locked: another deployment is under way" >&2
		exit 3
	fi
	trap 'rmdir "$state/lock"' EXIT
	start=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	rm -rf "$state/next"
	cp -R "$here/repo/infra/chromadb_compaction/lambdas" "$state/next"
	rm -rf "${state:?}/$version"
	mv "$state/next" "$state/$version"
	commit=$(git -C "$here/repo" rev-parse HEAD)
	printf '{"id":"%s","kind":"update","result":"succeeded","start":"%s","end":"%s","version":"%s","commit":"%s"}\n' \
		"$(($(cat "$state/history" 2>/dev/null | wc -l) + 1))" "$start" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$version" "$commit" >>"$state/history"
	echo "$version" >"$state/current.next"
	mv "$state/current.next" "$state/current"
	echo "deployed $version from $commit"
	;;
current)
	cat "$state/current"
	;;
history)
	echo "[$(paste -sd, "$state/history")]"
	;;
probe)
	cd "$state/$(cat "$state/current")"
	"$here/venv/bin/python" -B -c 'import enhanced_compaction_handler as h; print(h.handler({"labels": ["TOTAL"]}))'
	;;
*)
	echo "deploy.sh up VERSION | current | history | probe" >&2
	exit 2
	;;
esac
