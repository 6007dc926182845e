#!/usr/bin/env python3
"""Measures what a lake with many customers costs: a withdrawal, an upload, and a run that finds nothing new.

usage: tests/benchmarks/customers.py [STEDI] [--customers C ...] [--shards S] [--runs N] [--functions FOLDER]

STEDI is the program (default: target/release/stedi). For each C (10000 and 1000000) the script makes a lake with C
customers and S customer shards (as infra/README.md advises: one for 1,000 customers, 16 to 1,024) from files of at most 100,000 records. Half of the customers consent, and 300 of them have readings: an upload
of a phone and its device each, with 60 readings of both kinds. Then it measures, N times (3):

- a withdrawal of a customer with readings, in a customer file of one record;
- an upload of a phone and its device, of a customer with readings;
- nothing new: the same upload once more. A run costs the start of the process, the check of the lake and the report. In a
  `stedi up` the functions handle the events of the repeated upload.

"run" is a whole `stedi run`, with its peak memory and its requests by kind (deletes of work items are not reported).
"up" is a new `stedi up`, so its functions are cold: the time from the first request of the upload until no event is left to
deliver, and the peak memory of the process. Numbers are medians, memory is the maximum. Processor time includes that of the
emulated S3. The lines "ratio" compare the largest C with the smallest. Another table has the first run, and the bytes of
the largest object of each kind that has an entry for each customer.

FOLDER holds the functions' programs, such as target/release. With it, the script also measures each function alone, on the
events of a withdrawal and of an upload: the time from the start of the process until its answer, in a new process for each
batch of events, its peak memory and its requests. `stedi up --no-functions` then serves S3 and Glue.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from measured import (
    BEGIN_MS,
    READINGS,
    ROOT,
    CannotMeasure,
    Handled,
    LakeFolder,
    Measured,
    Up,
    cpu_ms_of,
    customer,
    handled,
    peak_of,
    process,
    shift_of_one_more,
    stedi_program,
    times_as_much,
    upload,
    write,
)

sys.path.append(str(ROOT / "tests" / "aws"))

import cold_start  # noqa: E402
from runtime_api import Instance  # noqa: E402

RECORDS_MAX, WITH_READINGS, UPLOADS_AN_HOUR = 100_000, 300, 5
SECONDS_MAX = 120
KINDS = ("get", "head", "put", "list", "glue")
# The objects that have an entry for each customer of a shard.
BY_CUSTOMER = {
    "customer_trusted": "customer/trusted",
    "customer_curated": "customer/curated",
    "device lookup": "lookup/devices",
    "latest-reading index": "lookup/readings",
}
WORK = {"a withdrawal": "withdrawal", "an upload": "one_more", "nothing new": "again"}
# The prefixes that trigger each function (shared/topology), in the order in which `stedi up` calls the functions.
TRIGGERS = {
    "customer_trusted": ["customer/landing/"],
    "accelerometer_trusted": ["accelerometer/landing/", "customer/trusted/", "_state/work/accelerometer_trusted/"],
    "customer_curated": ["customer/trusted/", "lookup/readings/"],
    "step_trainer_trusted": ["step_trainer/landing/", "lookup/devices/", "_state/work/step_trainer_trusted/"],
    "machine_learning_curated": ["accelerometer/trusted/", "step_trainer/trusted/"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stedi", type=Path, nargs="?", help="the program (target/release/stedi)")
    parser.add_argument("--customers", type=int, nargs="+", default=[10_000, 1_000_000], metavar="C")
    parser.add_argument("--shards", type=int, metavar="S", help="customer shards of each lake")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--functions", type=Path, metavar="FOLDER", help="the functions' programs (not measured)")
    arguments = parser.parse_args()
    program, counts = stedi_program(arguments.stedi), sorted(arguments.customers)
    if counts[0] < 2 * WITH_READINGS:
        raise CannotMeasure(f"{counts[0]} customers are too few: {WITH_READINGS} of the consenting half have readings")
    lakes = []
    with tempfile.TemporaryDirectory(prefix="stedi-customers-") as folder:
        for count in counts:
            shards = arguments.shards or advised_shards(count)
            print(f"{count:,} customers, {shards} shards", file=sys.stderr, flush=True)
            lake = Customers(program, Path(folder) / str(count), count, shards)
            lake.measure(arguments.runs, arguments.functions)
            lakes.append(lake)
    print(stored(lakes), costs(lakes), sep="\n\n")
    if arguments.functions:
        print(f"\n{functions(lakes)}")


@dataclass
class Costs:
    """What one kind of work costs: whole runs, and new `stedi up`s."""

    runs: list[Measured] = field(default_factory=list)
    cold: list[Handled] = field(default_factory=list)

    def numbers(self) -> list[tuple[float, str]]:
        """Returns the number of each column of the table, with its format."""
        of_kind = {kind: statistics.median(run.report()["requests"][kind] for run in self.runs) for kind in KINDS}
        return [
            (1e3 * statistics.median(run.seconds for run in self.runs), ".0f"),
            (1e3 * statistics.median(run.cpu_seconds for run in self.runs), ".0f"),
            (max(run.bytes for run in self.runs) / 2**20, ".0f"),
            *((count, ".0f") for count in of_kind.values()),
            (sum(of_kind.values()), ".0f"),
            (statistics.median(one.milliseconds for one in self.cold), ".0f"),
            (statistics.median(one.cpu_ms for one in self.cold), ".0f"),
            (max(one.bytes for one in self.cold) / 2**20, ".0f"),
        ]


@dataclass(frozen=True)
class Invocation:
    """A cold function on a batch of events: from its start to its answer."""

    milliseconds: float
    cpu_ms: float
    bytes: int
    requests: int


class Customers:
    """A lake with so many customers and customer shards."""

    def __init__(self, program: Path, folder: Path, count: int, shards: int):
        self.lake, self.folder, self.count = LakeFolder(program, folder / "lake"), folder, count
        self.shards = shards
        self.costs = {work: Costs() for work in WORK}
        self.invocations: dict[tuple[str, str, str], list[Invocation]] = {}
        # The uploads and withdrawals that were measured.
        self.more = self.withdrawn = 0
        self.last: Path | None = None
        for first in range(0, count, RECORDS_MAX):
            numbers = range(first, min(count, first + RECORDS_MAX))
            records = (customer(email(number), consents=is_eligible(number)) for number in numbers)
            write(folder / "customers", "customer", f"customers-{first:08d}", lines(records))
        for number in range(WITH_READINGS):
            self.upload(folder / "readings", f"phone-{number:06d}", number, number, 0)
        self.first = self.run(folder / "customers")
        self.run(folder / "readings")

    def run(self, landing: Path) -> Measured:
        return process([*self.lake.command(landing), "--shards", str(self.shards), "--json"])

    def measure(self, runs: int, programs: Path | None) -> None:
        """Measures each work so many times."""
        for _ in range(runs):
            for work, landing in WORK.items():
                self.costs[work].runs.append(self.run(getattr(self, landing)()))
                with Up(self.lake) as up:
                    self.costs[work].cold.append(handled(up, getattr(self, landing)()))
                if programs and landing != "again":
                    self.invoke_each(work, getattr(self, landing)(), programs)
        self.stored = {
            name: max((file.stat().st_size for file in (self.lake.bucket / path).glob("*")), default=0)
            for name, path in BY_CUSTOMER.items()
        }

    def withdrawal(self) -> Path:
        """A landing file in which the next customer with readings withdraws."""
        landing, number = self.folder / f"withdrawal-{self.withdrawn}", self.withdrawn
        self.withdrawn += 1
        record = customer(with_readings(number), BEGIN_MS + 1, consents=False)
        write(landing, "customer", f"withdrawal-{number}", lines([record]))
        return landing

    def one_more(self) -> Path:
        """Landing files of one more upload in the last hour. Its customer has readings, and withdraws in no measurement."""
        landing, number = self.folder / f"more-{self.more}", self.more
        self.more += 1
        user = WITH_READINGS - 1 - number % UPLOADS_AN_HOUR
        self.last = self.upload(landing, f"more-{number}", user, WITH_READINGS - 1, shift_of_one_more(number))
        return landing

    def again(self) -> Path:
        """The landing files of the last upload."""
        return self.last

    def upload(self, landing: Path, name: str, user: int, number: int, shift_ms: int) -> Path:
        for source in ("accelerometer", "step_trainer"):
            upload(landing, source, name, with_readings(user), number, READINGS, UPLOADS_AN_HOUR, shift_ms)
        return landing

    def invoke_each(self, work: str, landing: Path, programs: Path) -> None:
        """Uploads landing files, and calls the functions one at a time until no event is left."""
        files = [file for file in sorted(landing.rglob("*")) if file.is_file()]
        keys = {file.relative_to(landing).as_posix() for file in files}
        with Up(self.lake, "--no-functions") as up:
            up.upload(landing, sorted(keys))
            pending = [(function, prefix, of) for function, prefix, of in triggered(keys)]
            while pending:
                order = list(TRIGGERS)
                pending.sort(key=lambda event: order.index(event[0]))
                function, prefix, of = pending.pop(0)
                before = self.versions()
                invocation = invoke(programs / function, up, sorted(of))
                self.invocations.setdefault((work, function, prefix), []).append(invocation)
                after = self.versions()
                changed = {key for key in after if after[key] != before.get(key)}
                for event in triggered(changed):
                    same = next((other for other in pending if other[:2] == event[:2]), None)
                    if same:
                        same[2].update(event[2])
                    else:
                        pending.append(event)

    def versions(self) -> dict[str, int]:
        """Returns when each object below the functions' prefixes was written. Landing files are left out."""
        prefixes = {prefix for of in TRIGGERS.values() for prefix in of if "/landing/" not in prefix}
        files = (file for prefix in prefixes for file in (self.lake.bucket / prefix).rglob("*") if file.is_file())
        return {file.relative_to(self.lake.bucket).as_posix(): file.stat().st_mtime_ns for file in files}


def triggered(keys: Iterable[str]) -> list[tuple[str, str, set[str]]]:
    """Returns the functions that new objects trigger, each with a prefix and the objects below it."""
    keys, events = set(keys), []
    for function, prefixes in TRIGGERS.items():
        for prefix in prefixes:
            of = {key for key in keys if key.startswith(prefix)}
            if of:
                events.append((function, prefix, of))
    return events


def invoke(program: Path, up: Up, keys: list[str]) -> Invocation:
    """Starts a function and gives it an event of these objects."""
    bucket = up.lake.bucket.name
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2024-03-09T08:30:00.000Z",
    }
    records = [record | {"s3": {"bucket": {"name": bucket}, "object": {"key": key}}} for key in keys]
    # `stedi up` prints the path of the lake's hash key, not the key.
    hash_key = (up.lake.folder / "hash_key").read_text().strip()
    environment = cold_start.environment(program.name, "") | up.environment | {"HASH_KEY": hash_key}
    del environment["AWS_LAMBDA_RUNTIME_API"]
    begin = time.perf_counter()
    instance = Instance(program, environment, f"arn:aws:lambda:us-east-1:000000000000:function:{program.name}")
    try:
        outcome = instance.invoke({"Records": records}, SECONDS_MAX)
        milliseconds = 1e3 * (time.perf_counter() - begin)
        if outcome.error or not instance.alive:
            raise CannotMeasure(f"{program.name} on {keys}: {outcome.error}, {instance.lines[-3:]}")
        cpu_ms, peak = cpu_ms_of(instance.process.pid), peak_of(instance.process.pid)
    finally:
        instance.stop()
    metrics = [json.loads(line) for line in instance.lines if '"s3_requests":' in line]
    requests = sum(line["s3_requests"] + line["glue_requests"] for line in metrics)
    return Invocation(milliseconds, cpu_ms, peak, requests)


def advised_shards(customers: int) -> int:
    return min(max(16, customers // 1_000), 1_024)


def email(number: int) -> str:
    return f"person{number}@example.com"


def is_eligible(number: int) -> bool:
    return number % 2 == 0


def with_readings(number: int) -> str:
    """The email of a customer with readings."""
    return email(2 * number)


def lines(records: Iterable[dict]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def table(name: str, columns: list[str], rows: dict[str, list[list[tuple[float, str]]]], lakes: list[Customers]) -> str:
    """A table with a line for each lake below each name, and the ratio of the last lake to the first."""
    shown = [[name, "customers", *columns]]
    shown.append(["---"] * len(shown[0]))
    for title, of_lakes in rows.items():
        for lake, numbers in zip(lakes, of_lakes, strict=True):
            shown.append([title, f"{lake.count:,}", *(f"{number:{form}}" for number, form in numbers)])
        both = zip(of_lakes[-1], of_lakes[0], strict=True)
        shown.append([title, "ratio", *(times_as_much(now, first) if first else "–" for (now, _), (first, _) in both)])
    return "\n".join("| " + " | ".join(row) + " |" for row in shown)


def stored(lakes: list[Customers]) -> str:
    """The first run, and the bytes of the largest object of each kind."""
    columns = ["first run, s", "MiB", *(f"{name}, bytes" for name in BY_CUSTOMER)]
    sizes = ([(size, ",d") for size in lake.stored.values()] for lake in lakes)
    first = ([(lake.first.seconds, ".2f"), (lake.first.bytes / 2**20, ".0f")] for lake in lakes)
    return table("", columns, {"largest object": [a + b for a, b in zip(first, sizes, strict=True)]}, lakes)


def costs(lakes: list[Customers]) -> str:
    """What each work costs by the number of customers."""
    columns = ["run, ms", "processor ms", "MiB", *KINDS, "requests", "up, cold, ms", "processor ms", "MiB"]
    return table("work", columns, {work: [lake.costs[work].numbers() for lake in lakes] for work in WORK}, lakes)


def functions(lakes: list[Customers]) -> str:
    """What each function costs by the number of customers."""
    rows = {}
    for step in lakes[0].invocations:
        work, function, prefix = step
        rows[f"{work}: `{function}` on `{prefix}`"] = [
            [
                (statistics.median(one.milliseconds for one in lake.invocations[step]), ".0f"),
                (statistics.median(one.cpu_ms for one in lake.invocations[step]), ".0f"),
                (max(one.bytes for one in lake.invocations[step]) / 2**20, ".0f"),
                (statistics.median(one.requests for one in lake.invocations[step]), ".0f"),
            ]
            for lake in lakes
        ]
    return table("function", ["cold, ms", "processor ms", "MiB", "requests"], rows, lakes)


if __name__ == "__main__":
    try:
        main()
    except CannotMeasure as error:
        sys.exit(f"customers.py: {error}")
