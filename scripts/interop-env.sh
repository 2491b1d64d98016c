#!/usr/bin/env bash
# Makes the two Python environments of the interop tests under .cache/ and prints
# their interpreters, "oldest:newest", as LOCKSTEP_INTEROP_PYTHONS wants them.
#
# An environment is complete when its stamp, written last, holds the hash of its
# requirements and of the interpreter's version; anything else is removed and built
# anew, so an interrupted run costs time and nothing else.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}

if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	echo "interop-env: $python is not a Python >= 3.11 with venv; install python3 and python3-venv, or set PYTHON" >&2
	exit 1
fi

make_env() { # name of the requirements
	local name=$1
	local requirements="$root/scripts/interop/requirements-$name.txt"
	local env="$root/.cache/interop-$name"
	local want
	want=$(cat <("$python" --version) "$requirements" | sha256sum | cut -d' ' -f1)
	if [[ -f $env/stamp && $(<"$env/stamp") == "$want" && -x $env/bin/python ]]; then
		return
	fi
	echo "interop-env: building $env" >&2
	rm -rf "$env"
	"$python" -m venv "$env" >&2
	"$env/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" >&2
	"$env/bin/python" -m pip check >&2 || echo "interop-env: pip check complains about $env; the tests decide" >&2
	# The stamp comes last: without it the next run starts over.
	echo "$want" >"$env/stamp"
}

mkdir -p "$root/.cache"
exec 9>"$root/.cache/interop.lock"
flock 9 # two makes at once would build into one directory
make_env oldest
make_env newest
echo "$root/.cache/interop-oldest/bin/python:$root/.cache/interop-newest/bin/python"
