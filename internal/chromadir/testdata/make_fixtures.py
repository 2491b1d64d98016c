"""Makes the fixtures of package chromadir with a real Chroma.

    python make_fixtures.py            # writes <kind>-<version>.tar.gz and .json here
    python make_fixtures.py pickles    # needs chromadb 0.6.3 or older

Run it once per interpreter that has a chromadb installed (made with 0.5.5,
0.6.3, 1.0.0 and 1.5.9). Each fixture is a persist directory and, beside it, what
Chroma itself answered by get(include=[documents, metadatas, embeddings, uris])
in a fresh process, on a copy, because opening a directory changes its bytes.
"""

import gzip
import io
import json
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile

import chromadb
import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = chromadb.__version__
ARRAYS = tuple(int(x) for x in VERSION.split(".")[:2]) >= (1, 5)
INCLUDE = ["documents", "metadatas", "embeddings", "uris"]


def vector(seed, dim):
    rng = random.Random(seed)
    return [float(numpy.float32(rng.uniform(-2, 2))) for _ in range(dim)]


def metadata(i):
    m = {"text": "wörd %d" % i, "whole": i - 3}
    if i % 4:
        return m
    m |= {
        "big": 2**53 + 1 + i,
        "real": float(i),
        "half": i + 0.5,
        "flag": i % 2 == 0,
        "empty": "",
    }
    if ARRAYS and i % 8 == 0:
        m["tags"] = ["b", "a", "b"]
        m["numbers"] = [3, 1, 2]
        m["reals"] = [1.0, 0.25]
        m["flags"] = [True, False]
    return m


def client(path):
    return chromadb.PersistentClient(
        path, settings=chromadb.Settings(anonymized_telemetry=False)
    )


def create(c, name, space, threshold):
    return c.create_collection(
        name,
        embedding_function=None,
        metadata={
            "hnsw:space": space,
            "hnsw:sync_threshold": threshold,
            "hnsw:batch_size": min(threshold, 5),
            "note": "a fixture",
        },
    )


def add(col, first, last, dim, step=7):
    for lo in range(first, last, step):
        ids = list(range(lo, min(lo + step, last)))
        col.add(
            ids=["REC#%04d" % i for i in ids],
            embeddings=[vector(i, dim) for i in ids],
            documents=["document %d of the fixture" % i for i in ids],
            metadatas=[metadata(i) for i in ids],
        )


def build_queue(path):
    """Thirty records that were never persisted to HNSW files."""
    c = client(path)
    col = create(c, "words", "l2", 1000)
    add(col, 0, 30, 4)
    col.add(ids=["bare"], embeddings=[vector(100, 4)])
    col.add(ids=["uri"], embeddings=[vector(101, 4)], uris=["s3://bucket/one"])
    col.add(ids=["blank"], embeddings=[vector(102, 4)], documents=[""])
    col.add(ids=["REC#0001"], embeddings=[vector(103, 4)], documents=["ignored"])
    col.update(ids=["missing"], embeddings=[vector(1, 4)], documents=["ignored"])
    col.delete(ids=["REC#0002", "REC#0003"])
    col.add(ids=["REC#0003"], embeddings=[vector(104, 4)], documents=["came back"])
    col.update(ids=["REC#0004"], metadatas=[{"text": "changed", "real": 7}])
    col.upsert(ids=["REC#0005"], embeddings=[vector(105, 4)], metadatas=[{"new": True}])
    c.create_collection("empty", embedding_function=None)


def build_hnsw(path):
    """HNSW files of three spaces, with changes both before and after the persist."""
    c = client(path)
    for name, space, dim in (("lines", "l2", 6), ("words", "cosine", 5), ("inner", "ip", 4)):
        col = create(c, name, space, 20)
        add(col, 0, 40, dim)
        col.delete(ids=["REC#0001", "REC#0030", "REC#0039"])
        add(col, 40, 50, dim)
        col.delete(ids=["REC#0005", "REC#0045"])
        col.update(ids=["REC#0006", "REC#0046"], embeddings=[vector(206, dim), vector(246, dim)])
        col.update(ids=["REC#0007"], metadatas=[{"text": "changed", "third": "set"}])
        col.upsert(
            ids=["REC#0008", "NEW#1"],
            embeddings=[vector(208, dim), vector(301, dim)],
            documents=["again", "new"],
            metadatas=[{"text": "upserted"}, {"text": "new"}],
        )
        col.add(ids=["REC#0005"], embeddings=[vector(205, dim)], documents=["back"])


def build_stalled(path):
    """A directory stopped between the push of a batch and its backfill.

    The database of a moment t0 receives the queue rows that the same Chroma wrote
    after t0: those are pushed, and nothing of them is indexed.
    """
    run("build", "before", path)
    later = path + "-later"
    shutil.copytree(path, later)
    run("build", "after", later)
    at = os.path.join(path, "chroma.sqlite3")
    db = sqlite3.connect(at)
    with db:
        db.execute("ATTACH ? AS later", (os.path.join(later, "chroma.sqlite3"),))
        db.execute(
            "INSERT INTO embeddings_queue SELECT * FROM later.embeddings_queue"
            " WHERE seq_id > (SELECT max(seq_id) FROM embeddings_queue)"
        )
    db.close()
    shutil.rmtree(later)


def build_before(path):
    add(create(client(path), "words", "l2", 1000), 0, 12, 4)


def build_after(path):
    col = client(path).get_collection("words", embedding_function=None)
    col.delete(ids=["REC#0000", "REC#0001"])
    col.add(ids=["REC#0001"], embeddings=[vector(401, 4)], documents=["back"], metadatas=[{"a": 1}])
    col.update(ids=["REC#0002"], metadatas=[{"text": None, "real": "now text", "third": "x"}])
    col.update(ids=["REC#0003"], embeddings=[vector(403, 4)], documents=["rewritten"])
    col.update(ids=["missing"], metadatas=[{"x": 1}])
    col.add(ids=["REC#0004"], embeddings=[vector(404, 4)], documents=["ignored"])
    col.upsert(
        ids=["REC#0005", "NEW#1"],
        embeddings=[vector(405, 4), vector(501, 4)],
        metadatas=[{"whole": 1.5}, {"fresh": True}],
    )
    if ARRAYS:
        col.update(ids=["REC#0006"], metadatas=[{"text": ["now", "a", "list"]}])
        col.update(ids=["REC#0008"], metadatas=[{"tags": "now text", "numbers": None}])


def answer(path):
    out = {}
    c = client(path)
    # 0.6 lists names that are strings and refuse any other attribute.
    names = [x if isinstance(x, str) else x.name for x in c.list_collections()]
    for name in sorted(names):
        got = c.get_collection(name, embedding_function=None).get(include=INCLUDE)
        rows = []
        for i, rid in enumerate(got["ids"]):
            rows.append(
                {
                    "id": rid,
                    "document": got["documents"][i],
                    "uri": (got.get("uris") or [None] * len(got["ids"]))[i],
                    # Typed, because JSON readers like to make 1 of 1.0.
                    "metadata": {
                        k: typed(v)
                        for k, v in (got["metadatas"][i] or {}).items()
                        if not k.startswith("chroma:")
                    },
                    # The shortest text that reads back as the same float32.
                    "vector": [str(numpy.float32(x)) for x in got["embeddings"][i]],
                }
            )
        out[name] = rows
    lines = (
        "%s: [\n%s\n]"
        % (json.dumps(name), ",\n".join(json.dumps(r, ensure_ascii=False, sort_keys=True) for r in rows))
        for name, rows in out.items()
    )
    print("{" + ",\n".join(lines) + "}")


def typed(v):
    if isinstance(v, list):
        return ["list"] + [typed(x) for x in v]
    if isinstance(v, float):
        return ["float", v.hex()]
    return [type(v).__name__, str(v)]


def pickles():
    """The index metadata as the Python of each pickle protocol wrote it (<= 0.6.3)."""
    from chromadb.segment.impl.vector.local_persistent_hnsw import PersistentData

    ids = {"a": 1, "bb": 2, "é": 70000}
    for protocol in (2, 3, 4, 5):
        d = PersistentData(4, 70000, ids, {v: k for k, v in ids.items()}, {"a": 12})
        d.max_seq_id = 2**40 + 5
        with open(os.path.join(HERE, "persistent-data-%d.pickle" % protocol), "wb") as f:
            pickle.dump(d, f, protocol)


def run(*args):
    return subprocess.run(
        [sys.executable, os.path.abspath(__file__), *args], check=True, stdout=subprocess.PIPE
    ).stdout


def plain(info):
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


def pack(path, name):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(path, arcname=".", filter=plain)
    with open(os.path.join(HERE, name), "wb") as f:
        with gzip.GzipFile(fileobj=f, mode="wb", compresslevel=9, mtime=0, filename="") as z:
            z.write(raw.getvalue())


def main():
    kinds = sys.argv[1:] or (["queue", "hnsw"] if VERSION[0] != "0" else ["hnsw"])
    if ARRAYS and not sys.argv[1:]:
        kinds.append("stalled")
    for kind in kinds:
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "dir")
            run("build", kind, path)
            copy = os.path.join(tmp, "copy")
            shutil.copytree(path, copy)
            text = run("answer", copy).decode()
            db = sqlite3.connect(os.path.join(path, "chroma.sqlite3"))
            db.execute("VACUUM")
            db.close()
            name = "%s-%s" % (kind, VERSION)
            pack(path, name + ".tar.gz")
            with open(os.path.join(HERE, name + ".json"), "w") as f:
                f.write(text[text.index("{") :])
            print(name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["build"]:
        globals()["build_" + sys.argv[2]](sys.argv[3])
    elif sys.argv[1:2] == ["answer"]:
        answer(sys.argv[2])
    elif sys.argv[1:2] == ["pickles"]:
        pickles()
    else:
        main()
