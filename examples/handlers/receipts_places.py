#!/usr/bin/env python3
"""The receipt domain as a handler in Python: what receipts@2 does, in one file.

It stands for the handler that a team has already and wants to release through
Lockstep: a candidate over the traffic of receipts@1 or receipts@2. The rules are those
of internal/receipt (read its package comment first): the records of "lines" and "words"
are a function of the table's items and of the imports.

    place     merchant, address and so on of every record, from PLACE or METADATA
    labels    the labels of a word, from all its LABEL items
    section   the section of a line, from the SECTION items of its receipt
    import    vector, document and all other keys, from the newest import
    removal   a record ends when its word, line or receipt was removed after its import

Labels are written as arrays; the text format with commas is left out. So is the
comparison of vectors, which needs BLAKE3: an import that changes nothing is answered
as an upsert, and Lockstep finds out that nothing changed.
"""

import collections
import json
import re
import sys

DESCRIPTION = {
    "name": "receipts",
    "version": "2-python",
    "reads_format": "receipts/1",
    "writes_format": "receipts/3",
    "collections": [{"name": name, "space": "l2"} for name in ("lines", "words")],
    "entities": [
        {"entity": entity, "partition": "IMAGE#.+", "sort": "RECEIPT#[0-9]+" + sort}
        for entity, sort in [
            ("", "#LINE#[0-9]+#WORD#[0-9]+#LETTER#.*"), ("RECEIPT_WORD", "#LINE#[0-9]+#WORD#[0-9]+"),
            ("RECEIPT_WORD_LABEL", "#LINE#[0-9]+#WORD#[0-9]+#LABEL#.+"), ("RECEIPT_LINE", "#LINE#[0-9]+"),
            ("RECEIPT_PLACE", "#PLACE"), ("RECEIPT_METADATA", "#METADATA"), ("RECEIPT_SECTION", "#SECTION#.+"),
            ("RECEIPT_SUMMARY", "#SUMMARY"), ("COMPACTION_RUN", "#COMPACTION_RUN#.+"), ("RECEIPT", ""),
        ]
    ],
}
ASPECTS = {
    **dict.fromkeys(["RECEIPT_PLACE", "RECEIPT_METADATA"], "place"),
    **dict.fromkeys(["RECEIPT", "RECEIPT_LINE", "RECEIPT_WORD"], "removal"),
    "RECEIPT_WORD_LABEL": "labels",
    "RECEIPT_SECTION": "section",
    "COMPACTION_RUN": "import",
}
IMPORT_SEQ = "lockstep_import_seq"
CLOCKS = ["last_metadata_update", "last_place_update", "metadata_removed_at", "place_removed_at"]
SORT = re.compile(r"(?s)(RECEIPT#[0-9]+(?=#|\Z))(?:(#LINE#[0-9]+(?=#|\Z))(#WORD#[0-9]+(?=#|\Z))?)?(.*)")


class Refused(Exception):
    """The data cannot be handled. Anything else that is raised is a bug and ends us."""


Key = collections.namedtuple("Key", "receipt line word rest")


def parse_sort(sort):
    """A sort key, cut at its levels; each level is the beginning of the whole."""
    m = SORT.match(sort)
    if m is None:
        return None
    receipt, line, word, rest = m.groups()
    return Key(receipt, receipt + line if line else "", receipt + line + word if word else "", rest[1:])


def parse_record(collection, partition, record_id):
    """The key behind a record id, None for a record that is not ours."""
    if not record_id.startswith(partition + "#"):
        return None
    key = parse_sort(record_id[len(partition) + 1 :])
    if key is None or not key.line or key.rest or bool(key.word) != (collection == "words"):
        return None
    return key


def order(seq):
    """Sequence numbers are whole numbers of any size; "" is before them all."""
    return (seq != "", int(seq or "0"))


def aspect(m, key):
    """What of the records a message can move."""
    what = ASPECTS.get(m["entity"])
    if what == "labels" and not key.word or what == "removal" and m["event"] != "REMOVE":
        return None
    return what


def reads(messages):
    records, items, imports = set(), set(), []
    for i, m in enumerate(messages):
        key = parse_sort(m["sort"])
        if key is None:
            continue
        partition = m["partition"]

        def under(sort, *collections):
            records.update((c, f"{partition}#{sort}#", True) for c in collections)

        what = aspect(m, key)
        if what == "place":
            under(key.receipt, "lines", "words")
            items.update([(partition, key.receipt + "#METADATA"), (partition, key.receipt + "#PLACE")])
        elif what == "labels":
            records.add(("words", f"{partition}#{key.word}", False))
            items.add((partition, key.word + "#LABEL#"))
        elif what == "section":
            under(key.receipt, "lines")
            items.add((partition, key.receipt + "#SECTION#"))
        elif what == "import" and m["event"] == "INSERT" and not key.line:
            for c in ("lines", "words"):
                if location := string(m["new"], c + "_delta_prefix"):
                    imports.append({"collection": c, "location": location, "message": i})
                    under(key.receipt, "lines", "words")
                    items.add((partition, key.receipt))
        elif what == "removal":
            # The level itself, and what is below it.
            if key.word:
                records.add(("words", f"{partition}#{key.word}", False))
            elif key.line:
                records.add(("lines", f"{partition}#{key.line}", False))
            under(key.word or key.line or key.receipt, "lines", "words")
            items.add((partition, key.word or key.line or key.receipt))
    return {
        "records": [{"collection": c, "id": i, "prefix": p} for c, i, p in sorted(records)],
        "items": [{"partition": p, "sort_prefix": s} for p, s in sorted(items)],
        "imports": imports,
    }


class Scope:
    """What to recompute of a receipt: aspects with the last message that asks, -1 for none."""

    def __init__(self, receipt):
        self.receipt = receipt
        self.place = self.section = self.removal = -1
        self.labels = {}  # by the sort key of the word
        self.removed = {}  # by the sort key of the word or line
        self.imports = {"lines": {}, "words": {}}  # by record id: (seq, cause, embedding)


def scopes_of(messages, view, items):
    scopes = {}
    for i, m in enumerate(messages):
        key = parse_sort(m["sort"])
        what = key and aspect(m, key)
        if not what or what == "import":
            continue  # an import brings its scope along
        scope = scopes.setdefault(key.receipt, Scope(key.receipt))
        if what == "labels":
            scope.labels[key.word] = i
        elif what == "removal" and key.line:
            scope.removed[m["sort"]] = i
        else:
            setattr(scope, what, i)
    for imported in view["imports"]:
        i = imported["message"]
        m = messages[i]
        key = parse_sort(m["sort"])
        seq = items.get(m["sort"], {}).get("first") or m["seq"]
        arrived = scopes.setdefault(key.receipt, Scope(key.receipt)).imports[imported["collection"]]
        for e in imported["embeddings"]:
            k = parse_record(imported["collection"], m["partition"], e["id"])
            if k is None or k.receipt != key.receipt:
                raise Refused(f"import {imported['location']}: record {e['id']} is of another receipt")
            if e["id"] not in arrived or order(seq) > order(arrived[e["id"]][0]):
                arrived[e["id"]] = (seq, i, e)
    return [scopes[r] for r in sorted(scopes)]


def plan(messages, view, now):
    partition = messages[0]["partition"]
    items = {it["sort"]: it for it in view["items"] if it["partition"] == partition}
    scopes = scopes_of(messages, view, items)
    mutations = []
    for collection in ("lines", "words"):
        for scope in scopes:
            prefix = f"{partition}#{scope.receipt}#"
            have = {r["id"]: r for r in view["records"].get(collection, []) if r["id"].startswith(prefix)}
            for record_id in sorted(have.keys() | scope.imports[collection].keys()):
                arrived = scope.imports[collection].get(record_id)
                key = parse_record(collection, partition, record_id)
                m = key and decide(collection, scope, key, items, have.get(record_id), arrived)
                if m:
                    mutations.append({"collection": collection, "id": record_id, **m})
    return mutations


def decide(collection, scope, key, items, old, arrived):
    """One record: old is what there is, arrived what an import brings; one may be None."""
    seq = old["metadata"].get(IMPORT_SEQ, "") if old else ""
    if not (isinstance(seq, str) and re.fullmatch("[0-9]*", seq)):
        seq = ""
    if arrived and old and order(arrived[0]) < order(seq):
        arrived = None  # an older import never overwrites
    if arrived:
        seq = arrived[0]
    removal = max(scope.removal, scope.removed.get(key.line, -1), scope.removed.get(key.word, -1))
    if arrived or removal >= 0:
        above = (items[s]["removed"] for s in (key.receipt, key.line, key.word) if s in items)
        gone = max(above, key=order, default="")
        if gone and order(seq) <= order(gone):
            return {"op": "delete", "cause": max(removal, arrived[1] if arrived else 0, 0)} if old else None
    relabels = scope.labels.get(key.word, -1)  # labels and removals name no item ""
    own = relabels if collection == "words" else scope.section
    if arrived:
        _, cause, e = arrived
        metadata = lay(lay(e["metadata"], {IMPORT_SEQ: seq}), place(scope, items))
        metadata = own_keys(collection, scope, key, items, metadata)
        cause = max(cause, scope.place, scope.section, relabels, 0)
        return {"op": "upsert", "document": e["document"], "metadata": metadata, "vector": e["vector"], "cause": cause}
    metadata, cause = old["metadata"], 0
    if scope.place >= 0:
        metadata, cause = laid(metadata, lay(metadata, place(scope, items)), cause, scope.place)
    if own >= 0:
        metadata, cause = laid(metadata, own_keys(collection, scope, key, items, metadata), cause, own)
    if metadata is old["metadata"]:
        return None
    return {"op": "upsert", "document": old["document"], "metadata": metadata, "vector": None, "cause": cause}


def laid(before, after, cause, by):
    """after and its cause, or before when they are the same, which Python's 1 == 1.0 must not say."""
    if json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True):
        return before, cause
    return after, max(cause, by)


def lay(metadata, patch):
    """A copy of metadata in which the keys of patch are as it says; "" and [] say absent."""
    out = {k: v for k, v in metadata.items() if k not in patch}
    out.update((k, v) for k, v in patch.items() if v not in ("", []))
    return out


def string(image, name):
    return (image or {}).get(name, {}).get("S", "")


def place(scope, items):
    """The place keys: from the PLACE item if there is one, else from the METADATA item."""
    image = items.get(scope.receipt + "#PLACE", {}).get("image")
    if image is not None:
        patch = {"address": string(image, "formatted_address"), "canonical_merchant_name": ""}
    else:
        image = items.get(scope.receipt + "#METADATA", {}).get("image")
        patch = {k: string(image, k) for k in ("address", "canonical_merchant_name")}
    for k in ("merchant_category", "merchant_name", "phone_number", "place_id"):
        patch[k] = string(image, k)
    return patch | dict.fromkeys(CLOCKS, "")


def own_keys(collection, scope, key, items, metadata):
    """The keys that only one of the collections has."""
    if collection == "words":
        kept = {k: v for k, v in metadata.items() if not k.startswith("label_")}
        return lay(kept, labels(key.word, items))
    return lay(metadata, {"section_label": section_of(sections(scope, items), metadata, key)})


def upper(text):
    """Letter by letter: a letter whose capital is several letters stays."""
    return "".join(u if len(u := c.upper()) == 1 else c for c in text)


def labels(word, items):
    valid, invalid, pending, validated_at = set(), set(), None, ""
    for sort in sorted(s for s in items if s.startswith(word + "#LABEL#")):
        image, key = items[sort]["image"], parse_sort(sort)
        name = upper(key.rest[len("LABEL#") :])
        if image is None or not key.rest.startswith("LABEL#") or not name:
            continue
        added, status = string(image, "timestamp_added"), string(image, "validation_status")
        if status == "VALID":
            valid.add(name)
            validated_at = max(validated_at, added)
        elif status == "INVALID":
            invalid.add(name)
        elif status == "PENDING" and (pending is None or added > pending[0]):
            pending = (added, string(image, "label_proposed_by"))
    return {
        "label_status": "validated" if valid else "auto_suggested" if pending else "unvalidated",
        "label_proposed_by": pending[1] if pending else "",
        "label_validated_at": validated_at,
        "valid_labels_array": sorted(valid),
        "invalid_labels_array": sorted(invalid),
        **dict.fromkeys(["valid_labels", "invalid_labels", "labels_removed_at", "last_label_update"], ""),
    }


def sections(scope, items):
    """The claim on each line: (rank, confidence, section, drawn by an equal claim)."""
    claims = {}
    prefix = scope.receipt + "#SECTION#"
    for sort in sorted(s for s in items if s.startswith(prefix)):
        image = items[sort]["image"]
        status = string(image, "validation_status")
        if image is None or status == "INVALID":
            continue
        rank, confidence = {"VALID": 2, "PENDING": 1}.get(status, 0), float(image.get("confidence", {}).get("N", -1))
        name = upper(sort[len(prefix) :])
        for line in image.get("line_ids", {}).get("L", []):
            if "N" not in line:
                continue
            line = int(float(line["N"]))
            held = claims.get(line)
            if held is None or (rank, confidence) > held[:2]:
                claims[line] = (rank, confidence, name, False)
            elif (rank, confidence) == held[:2] and name != held[2]:
                claims[line] = (*held[:3], True)
    return claims


def section_of(claims, metadata, key):
    """The section of one record; of a row of several lines, that of most of them."""
    lines = [int(key.line.rsplit("#", 1)[1])]
    try:
        row = json.loads(metadata.get("row_line_ids", ""))
        if isinstance(row, list) and 0 < len(row) <= 1000 and all(type(n) is int for n in row):
            lines = row
    except (TypeError, ValueError):
        pass  # not the lines of a row
    votes = {}
    for line in lines:
        if line in claims and not claims[line][3]:
            votes[claims[line][2]] = votes.get(claims[line][2], 0) + 1
    most = max(votes.values(), default=0)
    best = [name for name, n in votes.items() if n == most]
    return best[0] if len(best) == 1 else ""


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
