#!/usr/bin/env python3
"""What a hand-written increment costs: one more accelerometer file, against the tables of duckdb_batch.py.

It writes the new rows of three tables beside the others. Step trainer readings that a newly curated customer would bring
in are left out, as are replaced files and late consent. usage: duckdb_increment.py FILE TABLES OUTPUT
"""

import sys
from pathlib import Path

import duckdb

FILE, TABLES, OUTPUT = (Path(argument) for argument in sys.argv[1:4])
COLUMNS = {"user": "VARCHAR", "timestamp": "BIGINT", "x": "DOUBLE", "y": "DOUBLE", "z": "DOUBLE"}


def stored(table):
    return f"read_parquet('{TABLES / table}.parquet')"


QUERIES = {
    "accelerometer_trusted": f"SELECT a.* FROM read_json('{FILE}', format = 'newline_delimited', columns = {COLUMNS}) a "
    f'JOIN {stored("customer_trusted")} c ON a."user" = c.email',
    "customer_curated": f"SELECT DISTINCT c.* FROM {stored('customer_trusted')} c SEMI JOIN accelerometer_trusted a "
    f'ON c.email = a."user" ANTI JOIN {stored("customer_curated")} o ON c.email = o.email',
    "machine_learning_curated": f"SELECT DISTINCT s.*, a.* FROM {stored('step_trainer_trusted')} s "
    'JOIN accelerometer_trusted a ON s.sensorReadingTime = a."timestamp"',
}

OUTPUT.mkdir(parents=True, exist_ok=True)
connection = duckdb.connect()
connection.execute("SET preserve_insertion_order = false")
for table, query in QUERIES.items():
    connection.execute(f"CREATE TEMP TABLE {table} AS {query}")
    connection.execute(f"COPY {table} TO '{OUTPUT / table}.parquet' (FORMAT parquet, COMPRESSION zstd)")
