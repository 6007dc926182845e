#!/usr/bin/env python3
"""Measures the time from the end of an upload to its rows being visible to a query, with clients that know nothing of it.

usage: tests/benchmarks/upload_to_query.py [STEDI] [--files N] [--history H ...]

STEDI is the program (target/release/stedi, the default). It starts `stedi up` on an empty lake of 100 customers, and for
each history H (10 and 1000) uploads accelerometer files until the lake has H of them; then, N times (20), puts one more
file with boto3 and asks Athena for the count of its hour's rows, one query after the other, until they are all there. Each
file is one phone's upload: 600 readings within an hour of its own.

Told are, per history, median and maximum of the milliseconds from the answer to the put until the end of the query that
saw the rows (so with one query, or more, in it), and what such a query takes by itself. With --command it puts with
`aws s3 cp` instead, and counts from when the object's file was placed, since the command takes its time to end. It needs the libraries of tests/clients/requirements.txt:
`tests/run clients` leaves them in target/clients_venv, so run it with target/clients_venv/bin/python.
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
# Between two looks at a query. Shorter ones only take the processor from it.
POLL_SECONDS = 0.002


class CannotMeasure(Exception):
    """What went otherwise than it must."""


class Benchmark:
    """A running stack, and how many accelerometer files it has."""

    def __init__(self, stack: Stack, folder: Path, command: bool):
        self.stack, self.folder, self.command = stack, folder, command
        self.s3, self.athena = stack.client("s3"), stack.client("athena")
        self.files = 0
        people = (customer(person, BEGIN, BEGIN - HOUR) for person in range(CUSTOMERS))
        self.s3.put_object(Bucket=stack.bucket, Key="customer/landing/all.json", Body=lines(people))

    def grow(self, files: int) -> None:
        """Uploads until there are so many files, and waits until all is done."""
        while self.files < files:
            self.s3.put_object(Bucket=self.stack.bucket, Key=self.key(), Body=self.body())
            self.files += 1
        self.stack.wait_until_quiet()

    def key(self) -> str:
        return f"accelerometer/landing/phone-{self.files:06}.json"

    def hour(self) -> int:
        """When the hour of the next file begins."""
        return BEGIN + self.files * HOUR

    def body(self) -> bytes:
        person, begin = self.files % CUSTOMERS, self.hour()
        return lines(motion(person, begin + 5000 * number, number / 7, -1.0, 0.25) for number in range(READINGS))

    def upload(self) -> float:
        """Puts the next file; when it was there."""
        body, key = self.body(), self.key()
        if self.command:
            path = self.folder / "upload.json"
            path.write_bytes(body)
            place = f"s3://{self.stack.bucket}/{key}"
            threading.Thread(target=self.stack.aws, args=("s3", "cp", path, place, "--no-progress")).start()
            placed = self.stack.lake.bucket / key
            until(placed.exists, key)
            return time.perf_counter() - (time.time() - placed.stat().st_mtime)
        self.s3.put_object(Bucket=self.stack.bucket, Key=key, Body=body)
        return time.perf_counter()

    def visible_ms(self) -> float:
        """From the end of the put until a query has seen all rows of the file."""
        hour = time.gmtime(self.hour() // 1000)
        where = time.strftime("dt = '%Y-%m-%d' AND hour = '%H'", hour)
        done = self.upload()
        while (rows := self.count(where)) != READINGS:
            if rows > READINGS or time.perf_counter() > done + SECONDS_MAX:
                raise CannotMeasure(f"{rows} rows of {READINGS} of {self.key()}")
        self.files += 1
        return (time.perf_counter() - done) * 1000

    def count(self, where: str) -> int:
        """The rows of the trusted table there, by one query."""
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
        """A query alone, of an hour that is there."""
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
