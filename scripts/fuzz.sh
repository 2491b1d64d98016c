#!/usr/bin/env bash
# Runs every fuzz target of every package for FUZZTIME (default 10s) each; go test
# takes one target at a time. Arguments are packages; none means all. What fails is
# run to the end of the list and named again there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
fuzztime=${FUZZTIME:-10s}
failed=()
count=0

while read -r package; do
	targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
	for target in $targets; do
		count=$((count + 1))
		echo "== $package $target ($fuzztime)"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$package" || failed+=("$package $target")
	done
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "${@:-./...}")

if ((count == 0)); then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
if ((${#failed[@]})); then
	printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "fuzz: $count targets, nothing found"
