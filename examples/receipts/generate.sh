#!/bin/sh
# Makes a migration to roll back, in an empty directory and offline:
#
#   repo/       a git repository: the package receipt_chroma and the handlers that use it,
#               before and after the compaction moved from the handlers to the package
#   venv/       a virtual environment in which the package is installed
#   deployed/   what deploy.sh has deployed: handlers-1 before the migration, handlers-2 after it
#   lockstep.yaml, deploy.sh, reinstall.py
#
# usage: generate.sh DIRECTORY [undeployed]
# With "undeployed" the migration is committed and installed, and handlers-1 still runs.
set -eu
examples=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: generate.sh DIRECTORY [undeployed]}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
if [ -e "$dir/repo" ]; then
	echo "generate: $dir/repo exists already" >&2
	exit 1
fi
cp "$examples/lockstep.yaml" "$examples/deploy.sh" "$examples/reinstall.py" "$dir"
python3 -m venv --without-pip "$dir/venv"

# The commits are the same wherever they are made.
GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.com GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.com
export GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
day=10
dated() {
	day=$((day + 1))
	GIT_AUTHOR_DATE="2024-12-${day}T09:00:00Z" GIT_COMMITTER_DATE="2024-12-${day}T09:00:00Z" "$@"
}
commit() {
	git add -A
	dated git commit -q -m "$1"
}
put() {
	mkdir -p "$(dirname "$1")"
	cat >"$1"
}

git init -q -b upload-refactor "$dir/repo"
cd "$dir/repo"
git config user.name Ada
git config user.email ada@example.com
package=receipt_chroma/receipt_chroma
lambdas=infra/chromadb_compaction/lambdas

# Before: the handlers hold the logic.
put .gitignore <<'END'
__pycache__/
END
put README.md <<'END'
# Receipts
END
put receipt_chroma/pyproject.toml <<'END'
[project]
name = "receipt-chroma"
dynamic = ["version"]
END
put $package/__init__.py <<'END'
"""Receipts in Chroma."""
__version__ = "1.4.0"
END
put $package/client.py <<'END'
def connect():
    return "client"
END
put receipt_chroma/tests/__init__.py </dev/null
put receipt_chroma/tests/test_client.py <<'END'
import unittest

from receipt_chroma.client import connect


class Client(unittest.TestCase):
    def test_connects(self):
        self.assertEqual(connect(), "client")
END
put $lambdas/enhanced_compaction_handler.py <<'END'
from compaction.label_handler import apply_labels


def handler(event):
    return {"status": apply_labels(event["labels"])}
END
put $lambdas/compaction/__init__.py </dev/null
put $lambdas/compaction/label_handler.py <<'END'
def apply_labels(labels):
    return "|".join(sorted(labels))
END
put $lambdas/tests/__init__.py </dev/null
put $lambdas/tests/test_handler.py <<'END'
import unittest

from enhanced_compaction_handler import handler


class Handler(unittest.TestCase):
    def test_labels(self):
        self.assertEqual(handler({"labels": ["B", "A"]}), {"status": "A|B"})
END
put integration/test_local.py <<'END'
"""The package and the handlers, together."""
import pathlib
import sys
import unittest

import receipt_chroma.client

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "infra/chromadb_compaction/lambdas"))
from enhanced_compaction_handler import handler


class Local(unittest.TestCase):
    def test_one_record_goes_through(self):
        self.assertEqual(receipt_chroma.client.connect(), "client")
        self.assertEqual(handler({"labels": ["TOTAL"]})["status"], "TOTAL")
END
commit "Receipts in Chroma"
put $package/client.py <<'END'
def connect():
    """Returns a client."""
    return "client"
END
commit "Describe the client"
(cd receipt_chroma && "$dir/venv/bin/python" "$dir/reinstall.py")

# The migration: on a branch, merged without fast-forward, and one commit behind it.
git checkout -q -b move-compaction
put $package/stream/__init__.py <<'END'
def parse(labels):
    return sorted(labels)
END
put $package/compaction/__init__.py <<'END'
from .update import update_receipt_metadata
END
put $package/compaction/update.py <<'END'
from ..stream import parse


def update_receipt_metadata(labels):
    return "|".join(parse(labels))
END
commit "compaction migration: create compaction and stream modules"
put $package/__init__.py <<'END'
"""Receipts in Chroma."""
__version__ = "2.0.0"
from .compaction import update_receipt_metadata
END
put receipt_chroma/tests/test_compaction.py <<'END'
import unittest

from receipt_chroma.compaction import update_receipt_metadata


class Compaction(unittest.TestCase):
    def test_labels(self):
        self.assertEqual(update_receipt_metadata(["B", "A"]), "A|B")
END
commit "compaction migration: move the logic to receipt_chroma"
git checkout -q upload-refactor
put docs/runbook.md <<'END'
# Runbook
END
commit "Begin a runbook"
"$dir/deploy.sh" up handlers-1 >"$dir/deploy.log"
dated git merge -q --no-ff -m "Merge the compaction migration" move-compaction
git branch -q -d move-compaction
put $lambdas/enhanced_compaction_handler.py <<'END'
from receipt_chroma.compaction import update_receipt_metadata


def handler(event):
    return {"status": update_receipt_metadata(event["labels"])}
END
git rm -q -r $lambdas/compaction
commit "compaction migration: the handlers import receipt_chroma"

# Something else, later, that has to stay.
put README.md <<'END'
# Receipts

Ask Ada.
END
commit "Say whom to ask"
(cd receipt_chroma && "$dir/venv/bin/python" "$dir/reinstall.py")
# Whoever has worked with it has left compiled files, of which git knows nothing.
"$dir/venv/bin/python" -c 'import receipt_chroma.compaction'
if [ "${2:-}" != undeployed ]; then
	"$dir/deploy.sh" up handlers-2 >>"$dir/deploy.log"
fi
