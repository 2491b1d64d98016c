"""Makes a table in a DynamoDB emulator, writes receipts to it, and records its stream.

usage: emulator_stream.py ENDPOINT OUT_LAMBDA OUT_RAW

OUT_LAMBDA gets one Lambda stream record a line, OUT_RAW what GetRecords answered.
"""
import base64
import json
import sys
import time

import boto3

endpoint, out_lambda, out_raw = sys.argv[1:]
keys = dict(endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
db = boto3.client("dynamodb", **keys)
streams = boto3.client("dynamodbstreams", **keys)

table = db.create_table(
    TableName="ReceiptsTable",
    KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("PK", "SK")],
    BillingMode="PAY_PER_REQUEST",
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)["TableDescription"]

IMAGES = ["3f8f2a10-5b0d-4c77-9a57-2f6f0f7a1c0%d" % i for i in (1, 2)]
RUNS = ["9d2d1b9c-0c3e-4a4e-8d3f-5b9f6f1d7a1%d" % i for i in (1, 2)]


def put(image, sk, **attrs):
    item = {"PK": {"S": "IMAGE#" + image}, "SK": {"S": sk}}
    item.update(attrs)
    db.put_item(TableName="ReceiptsTable", Item=item)


def drop(image, sk):
    db.delete_item(TableName="ReceiptsTable", Key={"PK": {"S": "IMAGE#" + image}, "SK": {"S": sk}})


def s(text):
    return {"S": text}


for image, run in zip(IMAGES, RUNS):
    put(image, "RECEIPT#00001", TYPE=s("RECEIPT"), width={"N": "1024"}, raw={"B": b"\x00\x01\xff"},
        flags={"SS": ["b", "a"]}, sizes={"NS": ["2", "1.5"]}, blobs={"BS": [b"x"]}, noisy={"BOOL": False},
        corners={"M": {"top_left": {"M": {"x": {"N": "0.1"}, "y": {"N": "0.9"}}}}}, empty={"L": []}, gone={"NULL": True})
    for word in (1, 2, 3):
        put(image, "RECEIPT#00001#LINE#00001#WORD#%05d" % word, TYPE=s("RECEIPT_WORD"), text=s("word%d" % word))
    put(image, "RECEIPT#00001#LINE#00001", TYPE=s("RECEIPT_LINE"), text=s("word1 word2 word3"))
    put(image, "RECEIPT#00001#COMPACTION_RUN#" + run, TYPE=s("COMPACTION_RUN"), run_id=s(run), image_id=s(image), receipt_id={"N": "1"},
        lines_delta_prefix=s("lines/delta/%s/" % run), words_delta_prefix=s("words/delta/%s/" % run))
    put(image, "RECEIPT#00001#PLACE", TYPE=s("RECEIPT_PLACE"), place_id=s("p1"), merchant_name=s("First Shop"), phone_number=s("555-0100"))
    label = "RECEIPT#00001#LINE#00001#WORD#00001#LABEL#"
    put(image, label + "TAX", TYPE=s("RECEIPT_WORD_LABEL"), validation_status=s("VALID"), timestamp_added=s("2026-01-05T09:00:00"), reasoning={"NULL": True})
    put(image, label + "TIP", TYPE=s("RECEIPT_WORD_LABEL"), validation_status=s("INVALID"), timestamp_added=s("2026-01-05T09:00:01"), reasoning={"NULL": True})

image = IMAGES[0]
put(image, "RECEIPT#00001#PLACE", TYPE=s("RECEIPT_PLACE"), place_id=s("p1"), merchant_name=s("Second Shop"), phone_number={"NULL": True})
drop(image, label + "TIP")
drop(image, "RECEIPT#00001#LINE#00001#WORD#00003")
db.put_item(TableName="ReceiptsTable", Item={"PK": {"S": "USER#1"}, "SK": {"S": "PROFILE"}})

records = []
arn = table["LatestStreamArn"]
for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
    it = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    for _ in range(50):
        answer = streams.get_records(ShardIterator=it)
        records += answer["Records"]
        it = answer.get("NextShardIterator")
        if not it or not answer["Records"]:
            break


def plain(v, when):
    if isinstance(v, bytes):
        return base64.b64encode(v).decode()
    if hasattr(v, "timestamp"):
        return when(v)
    if isinstance(v, dict):
        return {k: plain(x, when) for k, x in v.items()}
    if isinstance(v, (list, set, tuple)):
        return [plain(x, when) for x in v]
    return v


with open(out_lambda, "w") as f:
    for r in records:
        f.write(json.dumps(plain(r, lambda t: t.timestamp())) + "\n")
with open(out_raw, "w") as f:
    json.dump(plain({"Records": records}, lambda t: t.isoformat()), f)
print(json.dumps({"records": len(records), "images": IMAGES, "runs": RUNS, "at": time.time()}))
