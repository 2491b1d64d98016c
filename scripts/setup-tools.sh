#!/usr/bin/env bash
# Finds or installs the tools that are not part of the Go toolchain, at the
# versions this repository was checked with, and prints the path of golangci-lint.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=2.15.0

has_version() { # path of a golangci-lint
	[[ -x $1 ]] && "$1" version 2>/dev/null | grep -qE "version v?${version//./\\.} "
}

for candidate in "$root/.cache/bin/golangci-lint" "$(command -v golangci-lint || true)" "$(go env GOPATH)/bin/golangci-lint"; do
	if [[ -n $candidate ]] && has_version "$candidate"; then
		echo "$candidate"
		exit 0
	fi
done

echo "setup-tools: installing golangci-lint $version into .cache/bin" >&2
mkdir -p "$root/.cache/bin"
GOBIN="$root/.cache/bin" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$version" >&2
has_version "$root/.cache/bin/golangci-lint" || {
	echo "setup-tools: the installed golangci-lint does not say version $version" >&2
	exit 1
}
echo "$root/.cache/bin/golangci-lint"
