#!/usr/bin/env python3
"""The five tables by DuckDB, from all landing files at once. usage: duckdb_batch.py LANDING OUTPUT"""

import sys
from pathlib import Path

import duckdb

LANDING, OUTPUT = Path(sys.argv[1]), Path(sys.argv[2])
TIMES = ("registrationDate", "lastUpdateDate", *(f"shareWith{whom}AsOfDate" for whom in ("Research", "Public", "Friends")))
CUSTOMER = dict.fromkeys(("customerName", "email", "phone", "birthDay", "serialNumber"), "VARCHAR")
COLUMNS = {
    "customer": CUSTOMER | dict.fromkeys(TIMES, "BIGINT"),
    "accelerometer": {"user": "VARCHAR", "timestamp": "BIGINT"} | dict.fromkeys("xyz", "DOUBLE"),
    "step_trainer": {"sensorReadingTime": "BIGINT", "serialNumber": "VARCHAR", "distanceFromObject": "INTEGER"},
}
TABLES = {
    "customer_trusted": "FROM customer_landing WHERE coalesce(shareWithResearchAsOfDate, 0) <> 0",
    "accelerometer_trusted": 'SELECT a.* FROM accelerometer_landing a JOIN customer_trusted c ON a."user" = c.email',
    "customer_curated": 'SELECT DISTINCT c.* FROM customer_trusted c SEMI JOIN accelerometer_trusted a ON c.email = a."user"',
    "step_trainer_trusted": "SELECT s.* FROM step_trainer_landing s JOIN customer_curated USING (serialNumber)",
    "machine_learning_curated": "SELECT DISTINCT s.*, a.* FROM step_trainer_trusted s "
    'JOIN accelerometer_trusted a ON s.sensorReadingTime = a."timestamp"',
}

OUTPUT.mkdir(parents=True, exist_ok=True)
connection = duckdb.connect()
connection.execute("SET preserve_insertion_order = false")
for source, columns in COLUMNS.items():
    files = LANDING / source / "landing" / "*.json"
    read = f"read_json('{files}', format = 'newline_delimited', columns = {columns})"
    connection.execute(f"CREATE VIEW {source}_landing AS FROM {read}")
for table, query in TABLES.items():
    file = OUTPUT / f"{table}.parquet"
    connection.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
    connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{file}')")
