#!/usr/bin/env python3
"""A handler in Python: the search index of a product table.

The table has one partition per product, PRODUCT#<sku>:

    INFO         name, brand (S), price (N), tags (SS)
    TEXT#<lang>  text (S)

and the index one record per text in the collection "texts". The embedding is made
here, of the words of the text alone, so that the example needs nothing but Python.
A real handler imports vectors (see receipts_places.py) or calls a model that is
part of the program: a handler does no I/O, and the same input has the same output.

The handler is state-based: it recomputes all records of a product from its items
as they are now and does not look at what the changes say. Order, batches and
redelivery then cannot hurt. The protocol is docs/format/exec.md.
"""

import base64
import hashlib
import json
import math
import struct
import sys

COLLECTION = "texts"
DIMENSION = 32

DESCRIPTION = {
    "name": "products",
    "version": "1",
    "reads_format": "products/1",
    "writes_format": "products/1",
    "collections": [{"name": COLLECTION, "dimension": DIMENSION, "space": "cosine"}],
    "entities": [
        {"entity": "PRODUCT", "partition": "PRODUCT#[^#]+", "sort": "INFO"},
        {"entity": "TEXT", "partition": "PRODUCT#[^#]+", "sort": "TEXT#[a-z]{2}"},
    ],
}
ENTITIES = {rule["entity"] for rule in DESCRIPTION["entities"]}


class Refused(Exception):
    """The data cannot be handled. Anything else that is raised is a bug and ends us."""


def reads(messages):
    """All of each product: what a change moves is decided by all items together."""
    partitions = sorted({m["partition"] for m in messages if m["entity"] in ENTITIES})
    return {
        "records": [{"collection": COLLECTION, "id": p + "#", "prefix": True} for p in partitions],
        "items": [{"partition": p, "sort_prefix": ""} for p in partitions],
    }


def plan(messages, view, now):
    cause = {m["partition"]: i for i, m in enumerate(messages) if m["entity"] in ENTITIES}
    have = {r["id"]: r for r in view["records"].get(COLLECTION, [])}
    mutations = []
    for partition in sorted(cause):
        want = {r["id"]: r for r in records(partition, view["items"])}
        for record_id in sorted(set(want) | {i for i in have if i.startswith(partition + "#")}):
            by = {"collection": COLLECTION, "id": record_id, "cause": cause[partition]}
            if record_id not in want:
                mutations.append({**by, "op": "delete"})
            elif not same(want[record_id], have.get(record_id)):
                mutations.append({**by, "op": "upsert", **want[record_id]})
    return mutations


def records(partition, items):
    """The records that the items of one product imply."""
    items = {it["sort"]: it["image"] for it in items if it["partition"] == partition and it["image"] is not None}
    info = items.get("INFO", {})
    for sort, image in items.items():
        if not sort.startswith("TEXT#"):
            continue
        text = string(image, "text")
        if text == "":
            continue
        metadata = {"lang": sort[len("TEXT#"):]}
        for key in ("name", "brand"):
            if string(info, key):
                metadata[key] = string(info, key)
        price = info.get("price", {}).get("N")
        if price is not None:
            metadata["price"] = float(price)  # 12 is 12.0 here: a key has one type
        tags = info.get("tags", {}).get("SS")
        if tags:
            metadata["tags"] = sorted(tags)
        yield {"id": f"{partition}#{sort}", "document": text, "metadata": metadata, "vector": embed(text)}


def string(image, name):
    value = image.get(name, {"S": ""})
    if "S" in value or "NULL" in value:
        return value.get("S", "")
    raise Refused(f"attribute {name} is {'/'.join(value)}, want S")


def same(want, have):
    """Compares as JSON: to Python 1, 1.0 and True are equal, to the index they are not.
    Equal documents have equal vectors here."""
    return have is not None and all(
        json.dumps(want[k], sort_keys=True) == json.dumps(have[k], sort_keys=True) for k in ("document", "metadata")
    )


def embed(text):
    """A unit vector in which each word has moved one component by one."""
    vector = [0] * DIMENSION
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
        vector[digest[0] % DIMENSION] += 1 if digest[1] % 2 else -1
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return base64.b64encode(struct.pack(f"<{DIMENSION}f", *(x / length for x in vector))).decode()


def serve():
    """One line in, one line out, until the input ends. Standard error goes to the log."""
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answer = {"id": request["id"]}
        try:
            if request["request"] == "describe":
                answer.update(protocol="lockstep-exec/1", describe=DESCRIPTION)
            elif request["request"] == "reads":
                answer["reads"] = reads(request["messages"])
            else:
                answer["mutations"] = plan(request["messages"], request["view"], request["now"])
        except Refused as e:
            answer["error"] = {"message": str(e), "class": "invalid"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
