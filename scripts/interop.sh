#!/usr/bin/env bash
# Runs the tests that need real ChromaDB or another foreign program: those in files
# with the build tag interop. They are found by the tag and not by name, because a
# name that does not fit a pattern would be a test that silently never runs.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t files < <(grep -rlE --include='*_test.go' '^//go:build (.*[^a-z!])?interop' cmd internal | sort)
if ((${#files[@]} == 0)); then
	echo "interop: no test file has the build tag interop" >&2
	exit 1
fi
tests=$(sed -nE 's/^func (Test[A-Za-z0-9_]*)\(.*/\1/p' "${files[@]}" | sort -u | paste -sd'|')
packages=$(printf './%s\n' "${files[@]%/*}" | sort -u)

LOCKSTEP_INTEROP_PYTHONS=$(scripts/interop-env.sh)
export LOCKSTEP_INTEROP_PYTHONS
# -count=1: what these tests judge is outside of what the go command can see change.
# -v, because a test that skips itself must be seen and must not pass for one that ran.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # one word per package
go test -vet=off -count=1 -v -tags interop -run "^($tests)\$" $packages 2>&1 | tee "$log" | grep -vE '^(=== |    --- PASS)'
if grep -E '^ *--- SKIP' "$log"; then
	echo "interop: the tests above were skipped although both environments are there" >&2
	exit 1
fi
