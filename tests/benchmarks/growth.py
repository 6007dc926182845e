#!/usr/bin/env python3
"""Measures how the cost of one more upload and of a withdrawal grows with the history, and memory with the size of a file.

usage: tests/benchmarks/growth.py [STEDI] [--history H ...] [--hour H ...] [--slices S] [--megabytes M ...] [--runs N]

STEDI is the program (default: target/release/stedi). For each history H (10, 100, 1000 and 10000) the script fills a lake
with H uploads of phones: 60 accelerometer readings in one file, and as many of the step trainer in another. There are 6
customers, and 5 uploads an hour. Then it measures one more upload of both kinds in the last hour, N times (5). And N times
it measures the withdrawal of a customer who has the first 2 uploads, each time after a new consent. For each H of --hour it
does the same in a lake in which all uploads are of one hour, divided into S slices (60). An upload has the readings of one
minute, and no two uploads have readings of one instant.

The time is that of the functions in a running `stedi up`, in milliseconds: from the first request of the upload until no
event is left to deliver. Processor time includes that of the emulated S3. The requests are those of the functions in
`stedi run`: the requests of a run, less those of the same run once more, which finds nothing new. Deletes of work items are
not among them, because `stedi run` does not report deletes. Each number is a median. The columns with × are ratios to the
first line.

For each M (1, 10, 100 and 1000) `stedi run` ingests one file of M megabytes into a new lake. The script prints the peak
memory.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from measured import (
    BEGIN_MS,
    READINGS,
    CannotMeasure,
    Handled,
    LakeFolder,
    Up,
    customer,
    handled,
    process,
    shift_of_one_more,
    stedi_program,
    times_as_much,
    upload,
    write,
)

CUSTOMERS, UPLOADS_AN_HOUR = 5, 5
# The customer who withdraws has the first uploads, and no other.
LEAVING, LEAVING_UPLOADS = "leaving@example.com", 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stedi", type=Path, nargs="?", help="the program (target/release/stedi)")
    parser.add_argument("--history", type=int, nargs="*", default=[10, 100, 1000, 10000], metavar="H")
    parser.add_argument("--hour", type=int, nargs="*", default=[10, 100, 1000, 10000], metavar="H")
    parser.add_argument("--slices", type=int, default=60, metavar="S")
    parser.add_argument("--megabytes", type=int, nargs="*", default=[1, 10, 100, 1000], metavar="M")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    arguments = parser.parse_args()
    program = stedi_program(arguments.stedi)
    with tempfile.TemporaryDirectory(prefix="stedi-growth-") as folder:
        histories(program, Path(folder) / "hours", sorted(arguments.history), UPLOADS_AN_HOUR, 1, arguments.runs)
        histories(program, Path(folder) / "hour", sorted(arguments.hour), None, arguments.slices, arguments.runs)
        sizes(program, Path(folder), arguments.megabytes)


def histories(program: Path, folder: Path, counts: list[int], an_hour: int | None, slices: int, runs: int) -> None:
    """Measures lakes with so many uploads an hour; with all uploads in one hour if `an_hour` is none."""
    if not counts:
        return
    before = "uploads before" if an_hour else f"uploads before, in one hour of {slices} slices"
    columns = "time | time × | processor | processor × | requests | requests ×"
    print(f"\n| {before} | one more: {columns} | a withdrawal: {columns} |\n|{' --- |' * 13}")
    history, first = History(program, folder, an_hour, slices), None
    for count in counts:
        history.grow(count)
        measured = history.measure(runs)
        first = first or measured
        cells = (
            f"{number:{form}} | {times_as_much(number, of_first)}"
            for cost, first_cost in zip(measured, first, strict=True)
            for (number, form), (of_first, _) in zip(cost.numbers(), first_cost.numbers(), strict=True)
        )
        print(f"| {count:,} | {' | '.join(cells)} |", flush=True)


@dataclass(frozen=True)
class Cost:
    """What one kind of work took each time."""

    times: list[Handled]
    requests: list[int]

    def numbers(self) -> list[tuple[float, str]]:
        """Returns the medians: milliseconds, milliseconds of processor time, requests. Each comes with its format."""
        times, cpu = (statistics.median(of) for of in zip(*((one.milliseconds, one.cpu_ms) for one in self.times), strict=True))
        return [(times, ".1f"), (cpu, ".1f"), (statistics.median(self.requests), ".0f")]


class History:
    """A lake to which uploads are added."""

    def __init__(self, program: Path, folder: Path, an_hour: int | None, slices: int):
        self.lake, self.folder = LakeFolder(program, folder / "lake"), folder
        self.an_hour, self.slices = an_hour, slices
        # The uploads, those beside them that were measured, and the changes of consent.
        self.uploaded = self.more = self.changes = 0

    def grow(self, count: int) -> None:
        """Adds uploads until there are `count`."""
        self.run(uploads(self.folder / f"grown-{count}", range(self.uploaded, count), self.an_hour))
        self.uploaded = count

    def measure(self, runs: int) -> tuple[Cost, Cost]:
        """Returns what one more upload costs, and a withdrawal."""
        requests = [self.requests(self.one_more()) for _ in range(runs)]
        of_withdrawals = []
        for _ in range(runs):
            of_withdrawals.append(self.requests(self.change(consents=False)))
            self.run(self.change(consents=True))
        with Up(self.lake) as up:
            # The first of each kind finds cold functions.
            more = [handled(up, self.one_more()) for _ in range(runs + 1)]
            withdrawals = []
            for _ in range(runs + 1):
                withdrawals.append(handled(up, self.change(consents=False)))
                handled(up, self.change(consents=True))
        return Cost(more[1:], requests), Cost(withdrawals[1:], of_withdrawals)

    def run(self, landing: Path) -> int:
        """Ingests a folder. Returns the number of requests."""
        report = process([*self.lake.command(landing), "--slices", self.slices, "--json"]).report()
        return sum(report["requests"].values())

    def requests(self, landing: Path) -> int:
        """Ingests a folder. Returns the number of requests of the functions.

        Both runs have the same requests to open the lake, and two for each file: to ask for its version, and to put it or to
        read its receipt."""
        return self.run(landing) - self.run(landing)

    def one_more(self) -> Path:
        """Landing files of one more upload in the last hour, at instants of its own."""
        number, self.more = self.more, self.more + 1
        landing = self.folder / f"more-{number}"
        user, shift_ms = email(number % CUSTOMERS), shift_of_one_more(number)
        for source in ("accelerometer", "step_trainer"):
            upload(landing, source, f"more-{number}", user, self.uploaded - 1, READINGS, self.an_hour, shift_ms)
        return landing

    def change(self, consents: bool) -> Path:
        """A landing file in which a customer withdraws, or consents again. It replaces the one before."""
        self.changes += 1
        landing = self.folder / f"change-{self.changes}"
        write(landing, "customer", "change", json.dumps(customer(LEAVING, BEGIN_MS + self.changes, consents)))
        return landing


def uploads(folder: Path, numbers: Iterable[int], an_hour: int | None = UPLOADS_AN_HOUR) -> Path:
    """Landing files of these uploads. The first one comes with the customers."""
    for number in numbers:
        user = LEAVING if number < LEAVING_UPLOADS else email(number % CUSTOMERS)
        for source in ("accelerometer", "step_trainer"):
            upload(folder, source, f"phone-{number:06d}", user, number, READINGS, an_hour)
    if 0 in numbers:
        emails = [LEAVING, *map(email, range(CUSTOMERS))]
        write(folder, "customer", "all", "\n".join(json.dumps(customer(email)) for email in emails))
    return folder


def email(person: int) -> str:
    return f"person{person}@example.com"


def sizes(program: Path, folder: Path, megabytes: list[int]) -> None:
    if megabytes:
        print("\n| size of the file | memory | the whole run |\n| --- | --- | --- |")
    for size in megabytes:
        # One part, repeated: Python takes too long to make a gigabyte.
        landing = uploads(folder / f"size-{size}", [0])
        file = upload(landing, "accelerometer", "large", email(0), 0, 10_000, UPLOADS_AN_HOUR)
        part = file.read_bytes()
        with file.open("wb") as out:
            while out.tell() + len(part) <= size * 1_000_000:
                out.write(part)
        done = process([program, "run", landing, "--lake", folder / f"lake-{size}", "--json"])
        print(f"| {size:,} MB | {done.bytes / 2**20:,.0f} MiB | {done.seconds:.2f} s |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except CannotMeasure as error:
        sys.exit(f"growth.py: {error}")
