#!/usr/bin/env python3
"""Measures the time from the end of an upload to its rows being visible to a query, with unmodified clients.

usage: tests/benchmarks/upload_to_query.py [STEDI] [--files N] [--history H ...] [--command]

STEDI is the program (default: target/release/stedi, with the feature query). The script starts `stedi up` on a lake with
100 customers. For each history H (10 and 1000) it uploads accelerometer files until the lake has H of them. Then, N times
(20), it puts one more file with boto3, and queries Athena for the count of rows of its hour until all are there. Each file
is the upload of one phone: 600 readings within an hour of its own.

Per history it prints median and maximum of the milliseconds from the answer to the put until the end of the query that saw
all rows, and the time of such a query alone. With --command it puts with `aws s3 cp` instead, and measures from the time
of the object's file, because the command itself takes long to end.

It needs the libraries of tests/clients/requirements.txt. `tests/run clients` installs them in target/clients_venv, so run
it with target/clients_venv/bin/python.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("clients", "end_to_end")]

from botocore.exceptions import ClientError  # noqa: E402

from lake import Lake  # noqa: E402
from landing import BEGIN, HOUR, customer, motion  # noqa: E402
from stack import Stack  # noqa: E402
from up import until  # noqa: E402

CUSTOMERS = 100
READINGS = 600
SECONDS_MAX = 30
# Between two requests for the status of a query. Shorter pauses would only slow the query down.
POLL_SECONDS = 0.002


class CannotMeasure(Exception):
    """Something went wrong."""


class Benchmark:
    """A running stack, and the number of its accelerometer files."""

    def __init__(self, stack: Stack, folder: Path, command: bool):
        self.stack, self.folder, self.command = stack, folder, command
        self.s3, self.athena = stack.client("s3"), stack.client("athena")
        self.files = 0
        people = (customer(person, BEGIN, BEGIN - HOUR) for person in range(CUSTOMERS))
        self.s3.put_object(Bucket=stack.bucket, Key="customer/landing/all.json", Body=lines(people))

    def grow(self, files: int) -> None:
        """Uploads until there are `files` files, and waits until all are ingested."""
        while self.files < files:
            self.s3.put_object(Bucket=self.stack.bucket, Key=self.key(), Body=self.body())
            self.files += 1
        self.stack.wait_until_quiet()

    def key(self) -> str:
        return f"accelerometer/landing/phone-{self.files:06}.json"

    def hour(self) -> int:
        """The begin of the hour of the next file."""
        return BEGIN + self.files * HOUR

    def body(self) -> bytes:
        person, begin = self.files % CUSTOMERS, self.hour()
        return lines(motion(person, begin + 5000 * number, number / 7, -1.0, 0.25) for number in range(READINGS))

    def upload(self) -> float:
        """Puts the next file. Returns the time at which it was stored."""
        body, key = self.body(), self.key()
        if self.command:
            path = self.folder / "upload.json"
            path.write_bytes(body)
            target = f"s3://{self.stack.bucket}/{key}"
            threading.Thread(target=self.stack.aws, args=("s3", "cp", path, target, "--no-progress")).start()
            stored = self.stack.lake.bucket / key
            until(stored.exists, key)
            return time.perf_counter() - (time.time() - stored.stat().st_mtime)
        self.s3.put_object(Bucket=self.stack.bucket, Key=key, Body=body)
        return time.perf_counter()

    def visible_ms(self) -> float:
        """The time from the end of the put until a query has seen all rows of the file."""
        hour = time.gmtime(self.hour() // 1000)
        where = time.strftime("dt = '%Y-%m-%d' AND hour = '%H'", hour)
        done = self.upload()
        while (rows := self.count(where)) != READINGS:
            if rows > READINGS or time.perf_counter() > done + SECONDS_MAX:
                raise CannotMeasure(f"{rows} rows of {READINGS} of {self.key()}")
        self.files += 1
        return (time.perf_counter() - done) * 1000

    def count(self, where: str) -> int:
        """The number of rows of accelerometer_trusted that one query counts."""
        sql = f"SELECT count(*) FROM accelerometer_trusted WHERE {where}"
        context = {"Database": self.stack.exported["GLUE_DATABASE"]}
        query = self.athena.start_query_execution(QueryString=sql, QueryExecutionContext=context)["QueryExecutionId"]
        while True:
            status = self.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                break
            if status["State"] not in ("QUEUED", "RUNNING"):
                raise CannotMeasure(f"{sql}: {status}")
            time.sleep(POLL_SECONDS)
        rows = self.athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
        return int(rows[1]["Data"][0]["VarCharValue"])

    def query_ms(self) -> float:
        """The time of a query alone, for an hour that has rows."""
        began = time.perf_counter()
        self.count("dt = '2024-05-13' AND hour = '00'")
        return (time.perf_counter() - began) * 1000


def lines(records: Iterable[dict]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def summary(milliseconds: list[float]) -> str:
    return f"median {statistics.median(milliseconds):7.1f}, max {max(milliseconds):7.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stedi", nargs="?", type=Path, default=ROOT / "target" / "release" / "stedi")
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--history", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--command", action="store_true", help="put with `aws s3 cp`")
    arguments = parser.parse_args()
    if not arguments.stedi.is_file():
        print(f"{arguments.stedi} does not exist: cargo build --release --features stedi/query", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Lake(arguments.stedi.resolve(), Path(folder) / "lake")) as stack,
    ):
        benchmark = Benchmark(stack, Path(folder), arguments.command)
        try:
            for history in sorted(arguments.history):
                benchmark.grow(history)
                visible = [benchmark.visible_ms() for _ in range(arguments.files)]
                alone = [benchmark.query_ms() for _ in range(arguments.files)]
                print(f"after {history:5} files: {arguments.files} files visible in ms: {summary(visible)};", end=" ")
                print(f"a query alone: {summary(alone)}", flush=True)
        except (CannotMeasure, ClientError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
