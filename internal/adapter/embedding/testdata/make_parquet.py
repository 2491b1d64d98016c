"""Writes the Parquet fixtures: the same three embeddings as different tools lay them out.

    python make_parquet.py       # made with pyarrow 26, pandas 3 and duckdb 2
"""

import os

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))
IDS = ["c", "a", "b"]
DOCUMENTS = ["third", None, ""]
METADATA = ['{"n":1,"x":1.0,"tags":["b","a"],"gone":null}', None, "{}"]
VECTORS = [[0.5, -1.25, 3.0], [1.0, 2.0, 0.1], [0.0, 0.0, 1e-3]]


def at(name):
    return os.path.join(HERE, name + ".parquet")


def table(column, kind, text=pa.string()):
    return pa.table(
        {
            "id": pa.array(IDS, text),
            "document": pa.array(DOCUMENTS, text),
            column: pa.array(VECTORS, kind),
            "metadata": pa.array(METADATA, text),
        }
    )


pq.write_table(table("embedding", pa.list_(pa.float32())), at("pyarrow"), compression="zstd", data_page_version="2.0")
pq.write_table(table("vector", pa.list_(pa.float64())), at("pyarrow-item"), use_compliant_nested_type=False, row_group_size=2)
pq.write_table(table("embedding", pa.large_list(pa.float32()), pa.large_string()), at("pyarrow-large"), compression="gzip")
pq.write_table(table("embedding", pa.list_(pa.float32(), 3)), at("pyarrow-fixed"), compression=None)

# Every column and every element required, as strict writers do.
required = pa.schema(
    [
        pa.field("id", pa.string(), False),
        pa.field("vector", pa.list_(pa.field("element", pa.float32(), False)), False),
    ]
)
pq.write_table(pa.table({"id": IDS, "vector": VECTORS}, schema=required), at("pyarrow-required"))

frame = pd.DataFrame({"id": IDS, "document": DOCUMENTS, "embedding": VECTORS, "metadata": METADATA})
frame.to_parquet(at("pandas"), index=False)
frame.set_index(pd.Index(["x", "y", "z"])).to_parquet(at("bad-index"))

db = duckdb.connect()
db.register("frame", frame)
select = "SELECT id, document, embedding::FLOAT%s AS embedding, metadata FROM frame"
db.execute("COPY (%s) TO '%s' (FORMAT parquet)" % (select % "[]", at("duckdb")))
db.execute("COPY (%s) TO '%s' (FORMAT parquet)" % (select % "[3]", at("duckdb-array")))

# What has to be refused.
holes = table("embedding", pa.list_(pa.float32())).set_column(2, "embedding", pa.array([[1, None, 3]] * 3, pa.list_(pa.float32())))
pq.write_table(holes, at("bad-null-component"))
pq.write_table(table("embedding", pa.list_(pa.float32())).slice(0, 0), at("bad-empty"))
pq.write_table(pa.table({"id": IDS, "embedding": [1.0, 2.0, 3.0]}), at("bad-scalar"))
pq.write_table(pa.table({"id": IDS, "embedding": pa.array(VECTORS, pa.list_(pa.float16()))}), at("bad-half"))
pq.write_table(pa.table({"id": [1, 2, 3], "embedding": pa.array(VECTORS, pa.list_(pa.float32()))}), at("bad-id"))
pq.write_table(pa.table({"id": IDS}), at("bad-no-vector"))
pq.write_table(pa.table({"id": IDS, "embedding": pa.array([[1.0], None, [2.0]], pa.list_(pa.float32()))}), at("bad-null-vector"))
