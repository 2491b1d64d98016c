"""What a user of Chroma does with a directory: makes deltas, reads, and writes.

usage: chroma_peer.py delta DIR COLLECTION IMAGE    writes a small legacy delta
       chroma_peer.py read DIR IMAGE                prints what Chroma finds
       chroma_peer.py write DIR                     changes one record
"""
import json
import sys

import chromadb
from chromadb.config import Settings

verb, path = sys.argv[1:3]
client = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))


def vector(i):
    return [1.0 if i == k else 0.125 for k in range(4)]


if verb == "delta":
    name, image = sys.argv[3:5]
    line = "IMAGE#%s#RECEIPT#00001#LINE#00001" % image
    ids = [line] if name == "lines" else [line + "#WORD#%05d" % w for w in (1, 2, 3)]
    col = client.create_collection(name)
    col.add(ids=ids, embeddings=[vector(i) for i in range(len(ids))], documents=["document of " + i for i in ids],
            metadatas=[{"x": 0.5, "n": i, "text": "t%d" % i} for i in range(len(ids))])
    col.count()
elif verb == "read":
    prefix = "IMAGE#%s#RECEIPT#00001#LINE#00001" % sys.argv[3]
    words = client.get_collection("words")
    one = words.get(ids=[prefix + "#WORD#00001"], include=["metadatas", "documents", "embeddings"])
    shop = one["metadatas"][0].get("merchant_name", "")
    near = words.query(query_embeddings=[list(map(float, one["embeddings"][0]))], n_results=1)
    print(json.dumps({
        "words": words.count(), "lines": client.get_collection("lines").count(),
        "metadata": one["metadatas"][0], "document": one["documents"][0],
        "where": sorted(words.get(where={"merchant_name": shop})["ids"]),
        "number": sorted(words.get(where={"x": {"$gt": 0.25}})["ids"]),
        "contains": sorted(words.get(where_document={"$contains": "WORD#00002"})["ids"]),
        "nearest": near["ids"][0][0], "gone": words.get(ids=[prefix + "#WORD#00003"])["ids"],
    }))
elif verb == "write":
    words = client.get_collection("words")
    first = words.get(limit=1)["ids"][0]
    words.update(ids=[first], metadatas=[{"merchant_name": "Somebody Else"}])
    print(first)
