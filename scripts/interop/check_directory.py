#!/usr/bin/env python3
"""Opens a Chroma directory with the real chromadb library and says whether it
holds what it should.

    check_directory.py check DIR EXPECT.json   compare; exit 1 and list the differences
    check_directory.py write DIR WRITES.json   let Chroma itself write
    check_directory.py hold  DIR               open, read, print "open", wait for stdin to close
    check_directory.py vacuum DIR              empty the write queue, as old tools do

EXPECT.json: {"collections": {NAME: {"records": [{"id", "document", "metadata",
"vector"}], "gone": [{"id", "vector"}]}}}; WRITES.json: [{"collection", "op",
"ids", "embeddings", "documents", "metadatas"}].
It calls nobody and needs only chromadb.
"""
import json
import logging
import os
import sqlite3
import sys

logging.disable(logging.CRITICAL)
os.environ["ANONYMIZED_TELEMETRY"] = "False"

TOLERANCE = 1e-5
SAMPLE = 25


def connect(path):
    import chromadb

    return chromadb.PersistentClient(path, settings=chromadb.Settings(anonymized_telemetry=False))


def same(a, b):
    """Equal, and of the same type: 1, 1.0 and True are three values."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b


def close(a, b):
    return len(a) == len(b) and all(abs(x - y) <= TOLERANCE * max(1.0, abs(y)) for x, y in zip(a, b))


def pages(collection, include):
    offset = 0
    while True:
        got = collection.get(limit=500, offset=offset, include=include)
        if not got["ids"]:
            return
        yield got
        offset += len(got["ids"])


def check_records(collection, want, wrong):
    got = {}
    for page in pages(collection, ["metadatas", "documents", "embeddings"]):
        for i, rid in enumerate(page["ids"]):
            got[rid] = (page["documents"][i], page["metadatas"][i] or {}, [float(x) for x in page["embeddings"][i]])
    if collection.count() != len(want):
        wrong.append(f"count is {collection.count()}, want {len(want)}")
    for rid in sorted(set(got) - set(want)):
        wrong.append(f"{rid}: is there")
    for rid, r in want.items():
        if rid not in got:
            wrong.append(f"{rid}: is missing")
            continue
        document, metadata, vector = got[rid]
        if document != r["document"]:
            wrong.append(f"{rid}: document {document!r}, want {r['document']!r}")
        if set(metadata) != set(r["metadata"]) or any(not same(metadata[k], v) for k, v in r["metadata"].items()):
            wrong.append(f"{rid}: metadata {metadata!r}, want {r['metadata']!r}")
        if not close(vector, r["vector"]):
            wrong.append(f"{rid}: vector {vector[:3]}…, want {r['vector'][:3]}…")


def check_filters(collection, want, wrong):
    """where and where_document answer what a walk over the expected records answers."""
    asked = set()
    for r in want.values():
        for key, value in r["metadata"].items():
            if isinstance(value, list) or (key, type(value)) in asked:
                continue
            asked.add((key, type(value)))
            expected = {i for i, x in want.items() if key in x["metadata"] and same(x["metadata"][key], value)}
            found = set(collection.get(where={key: value}, include=[])["ids"])
            if found != expected:
                wrong.append(f"where {key} = {value!r}: {len(found)} records, want {len(expected)}; differ: {sorted(found ^ expected)[:3]}")
    words = {w for r in list(want.values())[:: max(1, len(want) // SAMPLE)] for w in (r["document"] or "").split() if len(w) >= 3}
    for word in sorted(words)[:SAMPLE]:
        expected = {i for i, x in want.items() if word in (x["document"] or "")}
        found = set(collection.get(where_document={"$contains": word}, include=[])["ids"])
        if found != expected:
            wrong.append(f"$contains {word!r}: {len(found)} records, want {len(expected)}; differ: {sorted(found ^ expected)[:3]}")


def check_queries(collection, want, gone, wrong):
    for rid in list(want)[:: max(1, len(want) // SAMPLE)]:
        got = collection.query(query_embeddings=[want[rid]["vector"]], n_results=min(3, len(want)), include=["distances"])
        if got["ids"][0][0] != rid:
            wrong.append(f"query with the vector of {rid} finds {got['ids'][0]}")
    for r in gone:
        if not want:
            break
        got = collection.query(query_embeddings=[r["vector"]], n_results=min(3, len(want)), include=["distances"])
        if r["id"] in got["ids"][0]:
            wrong.append(f"query with the vector of {r['id']}, which is deleted, finds it")


def check(path, expect):
    client = connect(path)
    wrong = []
    names = sorted(getattr(c, "name", c) for c in client.list_collections())
    if names != sorted(expect["collections"]):
        wrong.append(f"collections {names}, want {sorted(expect['collections'])}")
    for name in names:
        if name not in expect["collections"]:
            continue
        collection = client.get_collection(name, embedding_function=None)
        want = {r["id"]: r for r in expect["collections"][name]["records"]}
        here = []
        check_records(collection, want, here)
        check_filters(collection, want, here)
        check_queries(collection, want, expect["collections"][name].get("gone") or [], here)
        wrong += [f"{name}: {w}" for w in here]
    for w in wrong[:20]:
        print(w)
    return 1 if wrong else 0


def write(path, writes):
    client = connect(path)
    for w in writes:
        collection = client.get_collection(w["collection"], embedding_function=None)
        fields = {k: w[k] for k in ("ids", "embeddings", "documents", "metadatas") if w.get(k) is not None}
        getattr(collection, w["op"])(**fields)
    return 0


def hold(path):
    client = connect(path)
    for c in client.list_collections():
        client.get_collection(getattr(c, "name", c), embedding_function=None).count()
    print("open", flush=True)
    sys.stdin.read()
    return 0


def vacuum(path):
    db = sqlite3.connect(os.path.join(path, "chroma.sqlite3"))
    with db:
        db.execute("DELETE FROM embeddings_queue")
    db.close()
    return 0


def main():
    mode, path = sys.argv[1], sys.argv[2]
    if mode == "hold":
        return hold(path)
    if mode == "vacuum":
        return vacuum(path)
    with open(sys.argv[3], encoding="utf-8") as f:
        body = json.load(f)
    return check(path, body) if mode == "check" else write(path, body)


if __name__ == "__main__":
    sys.exit(main())
