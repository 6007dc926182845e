#!/usr/bin/env python3
"""The five tables by Polars, lazy and streaming, from all landing files at once. usage: polars_batch.py LANDING OUTPUT"""

import sys
from pathlib import Path

import polars

LANDING, OUTPUT = Path(sys.argv[1]), Path(sys.argv[2])
TIMES = ("registrationDate", "lastUpdateDate", *(f"shareWith{whom}AsOfDate" for whom in ("Research", "Public", "Friends")))
CUSTOMER = dict.fromkeys(("customerName", "email", "phone", "birthDay", "serialNumber"), polars.String)
SCHEMAS = {
    "customer": CUSTOMER | dict.fromkeys(TIMES, polars.Int64),
    "accelerometer": {"user": polars.String, "timestamp": polars.Int64} | dict.fromkeys("xyz", polars.Float64),
    "step_trainer": {
        "sensorReadingTime": polars.Int64,
        "serialNumber": polars.String,
        "distanceFromObject": polars.Int32,
    },
}


def landing(source):
    return polars.scan_ndjson(LANDING / source / "landing" / "*.json", schema=SCHEMAS[source])


def stored(table, query):
    """Streams a table into its file; those that follow read it from there."""
    query.sink_parquet(OUTPUT / f"{table}.parquet", compression="zstd", engine="streaming")
    return polars.scan_parquet(OUTPUT / f"{table}.parquet")


OUTPUT.mkdir(parents=True, exist_ok=True)
consent = polars.col("shareWithResearchAsOfDate").fill_null(0) != 0
customers = stored("customer_trusted", landing("customer").filter(consent))
emails = customers.select("email")
motions = stored("accelerometer_trusted", landing("accelerometer").join(emails, left_on="user", right_on="email"))
readers = customers.join(motions, left_on="email", right_on="user", how="semi")
curated = stored("customer_curated", readers.unique())
devices = curated.select("serialNumber")
steps = stored("step_trainer_trusted", landing("step_trainer").join(devices, on="serialNumber"))
pairs = steps.join(motions, left_on="sensorReadingTime", right_on="timestamp", coalesce=False)
stored("machine_learning_curated", pairs.unique())
