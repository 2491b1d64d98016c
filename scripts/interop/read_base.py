#!/usr/bin/env python3
"""Reads a base (docs/format/base.md) with DuckDB and with pandas, which know
nothing of Lockstep, and prints what each of them sees.

    read_base.py DIR           DIR holds manifest.json and the Parquet files
    read_base.py --can-import  exit 0 if the libraries are there

The output is {"duckdb": VIEW, "pandas": VIEW}; a VIEW is {COLLECTION: [ROW]} with
{"id", "document", "metadata", "vector_hash", "vector_dim", "author_version",
"author_message", "author_revision", "vector", "found"} in order of id. Metadata
values are [TYPE, VALUE], floats in hexadecimal, so that nothing is rounded on the
way. "found" is how many rows the reader finds when it looks for the id, the
metadata and the document, one query each: bounds that lie make it miss rows.
It calls nobody and needs only duckdb, pandas and pyarrow.
"""
import glob
import json
import os
import sys

SAMPLE = 50

COLUMNS = [
    "id", "document", "metadata", "vector_hash", "vector_dim",
    "author_version", "author_message", "author_revision",
]


def tagged(value):
    """The value with its type: 1, 1.0 and True are three values."""
    if isinstance(value, list):
        return ["list", [tagged(v) for v in value]]
    if isinstance(value, float):
        return ["float", value.hex()]
    return [type(value).__name__, value]


def row(values, vector, found):
    out = dict(zip(COLUMNS, values))
    out["metadata"] = {k: tagged(v) for k, v in json.loads(out["metadata"]).items()}
    if out["vector_hash"] is not None:
        out["vector_hash"] = bytes(out["vector_hash"]).hex()
    for number in ("vector_dim", "author_version"):
        out[number] = int(out[number])
    out["vector"] = None if vector is None else [float(x) for x in vector]
    out["found"] = found
    return out


def sampled(count):
    """Every row of a small collection, some of a large one."""
    return set(range(0, count, max(1, count // SAMPLE))) | {count - 1}


def by_duckdb(records, vectors):
    import duckdb

    db = duckdb.connect()
    rows = db.execute(f"SELECT {', '.join(COLUMNS)} FROM read_parquet(?)", [records]).fetchall()
    rows.sort(key=lambda r: r[0].encode())
    have = {}
    if vectors:
        have = dict(db.execute("SELECT id, vector FROM read_parquet(?)", [vectors]).fetchall())

    def found(r):
        counts = []
        for column, value in (("id", r[0]), ("metadata", r[2]), ("document", r[1])):
            query = f"SELECT count(*) FILTER (WHERE id = ?) FROM read_parquet(?) WHERE {column} = ?"
            counts.append(None if value is None else db.execute(query, [r[0], records, value]).fetchone()[0])
        return counts

    look = sampled(len(rows))
    return [row(r, have.get(r[0]), found(r) if i in look else None) for i, r in enumerate(rows)]


def by_pandas(records, vectors):
    import pandas
    import pyarrow.parquet

    def frame(paths, **filters):
        return pandas.concat([pandas.read_parquet(p, engine="pyarrow", **filters) for p in paths], ignore_index=True)

    def value(x):
        return None if x is None or x is pandas.NA or x != x else x

    table = frame(records)
    have = {}
    if vectors:
        have = {r.id: r.vector for r in frame(vectors).itertuples()}

    def found(r):
        counts = []
        for column, x in (("id", r[0]), ("metadata", r[2]), ("document", r[1])):
            if x is None:
                counts.append(None)
                continue
            hits = frame(records, filters=[(column, "=", x)])
            counts.append(int((hits["id"] == r[0]).sum()))
        return counts

    rows = [tuple(value(x) for x in r) for r in table[COLUMNS].itertuples(index=False, name=None)]
    look = sampled(len(rows))
    return [row(r, have.get(r[0]), found(r) if i in look else None) for i, r in enumerate(rows)]


def main(argv):
    if argv[1:] == ["--can-import"]:
        import duckdb, pandas, pyarrow.parquet  # noqa: F401

        return 0
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = argv[1]
    with open(os.path.join(directory, "manifest.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    out = {"duckdb": {}, "pandas": {}}
    for collection in manifest["collections"]:
        name = collection["name"]

        def parts(sort):
            return sorted(glob.glob(os.path.join(glob.escape(directory), f"{glob.escape(name)}.{sort}-*.parquet")))

        records, vectors = parts("records"), parts("vectors")
        for reader, read in (("duckdb", by_duckdb), ("pandas", by_pandas)):
            out[reader][name] = read(records, vectors) if records else []
    json.dump(out, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
