#!/usr/bin/env python3
"""Measures how the costs of one more file and of a withdrawal grow with the files before, and memory with a file's size.

usage: tests/benchmarks/growth.py [STEDI] [--history H ...] [--megabytes M ...] [--runs N] [--svg FILE]

STEDI is the program (target/release/stedi, the default). For each history H (10, 100, 1000 and 10000) a lake is grown to H
uploads of phones: 60 accelerometer readings in one file, and as many of the step trainer in another. They are of 100
customers, and 10 of each hour. Then N times (5) one more accelerometer file is landed by `stedi run`, in an hour that has 5;
and N times a customer of 2 uploads withdraws, each time after consenting again. Told are the medians of whole processes, and
of their requests. For each M (1, 10, 100 and 1000) one file of M megabytes is landed in a new
lake; told is the most memory that took.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import plot
from measured import HOUR_MS, CannotMeasure, Measured, process, stedi_program

BEGIN_MS = 1_655_564_400_000
CUSTOMERS, UPLOADS_AN_HOUR, READINGS = 100, 10, 60
# Customers who withdraw, one in each lake, have the first uploads, and no other.
LEAVING, LEAVING_UPLOADS = 5, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stedi", type=Path, nargs="?", help="the program (target/release/stedi)")
    parser.add_argument("--history", type=int, nargs="*", default=[10, 100, 1000, 10000], metavar="H")
    parser.add_argument("--megabytes", type=int, nargs="*", default=[1, 10, 100, 1000], metavar="M")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also draw the growth with the history")
    arguments = parser.parse_args()
    program = stedi_program(arguments.stedi)
    with tempfile.TemporaryDirectory(prefix="stedi-growth-") as folder:
        points = histories(program, Path(folder), sorted(arguments.history), arguments.runs)
        sizes(program, Path(folder), arguments.megabytes)
    if arguments.svg:
        arguments.svg.write_text(plot.lines(points, "uploads before", ""))


def histories(program: Path, folder: Path, counts: list[int], runs: int) -> dict[str, list[tuple[float, float]]]:
    lake, landed, changes = folder / "lake", 0, 0
    points: dict[str, list[tuple[float, float]]] = {}

    def run(landing: Path) -> Measured:
        return process([program, "run", landing, "--lake", lake, "--json"])

    def median(name: str, measured: list[Measured]) -> str:
        milliseconds = 1e3 * statistics.median(one.seconds for one in measured)
        requests = statistics.median(sum(one.report()["requests"].values()) for one in measured)
        points.setdefault(f"{name}: ms", []).append((count, milliseconds))
        points.setdefault(f"{name}: requests", []).append((count, requests))
        return f"{milliseconds:.0f} ms | {requests:.0f}"

    if counts:
        print("| uploads before | one more file | requests | a withdrawal | requests |\n| --- | --- | --- | --- | --- |")
    for place, count in enumerate(counts):
        run(uploads(folder / f"grown-{count}", range(landed, count)))
        more, withdrawals = [], []
        for landed in range(count, count + runs):
            more.append(run(uploads(folder / f"more-{landed}", [landed], ["accelerometer"])))
        landed = count + runs
        for _ in range(runs):
            for consents in (False, True):
                changes += 1
                done = run(change(folder / f"change-{changes}", leaving(place % LEAVING), changes, consents))
                withdrawals += [done] * (not consents)
        print(f"| {count:,} | {median('one more', more)} | {median('withdrawal', withdrawals)} |", flush=True)
    return points


def change(folder: Path, email: str, number: int, consents: bool) -> Path:
    """A landing file in which a customer withdraws, or consents again."""
    into = folder / "customer" / "landing"
    into.mkdir(parents=True)
    record = customer(email) | {"lastUpdateDate": BEGIN_MS + number}
    if not consents:
        del record["shareWithResearchAsOfDate"]
    (into / f"change-{number:06d}.json").write_text(json.dumps(record))
    return folder


def uploads(folder: Path, numbers, sources=("accelerometer", "step_trainer")) -> Path:
    """Landing files of these uploads; and, with the first, the customers."""
    for source in sources:
        into = folder / source / "landing"
        into.mkdir(parents=True)
        for number in numbers:
            (into / f"phone-{number:06d}.json").write_bytes(readings(source, number, READINGS))
    if 0 in numbers:
        into = folder / "customer" / "landing"
        into.mkdir(parents=True)
        emails = [*map(leaving, range(LEAVING)), *map(email, range(CUSTOMERS))]
        (into / "all.json").write_text("\n".join(json.dumps(customer(email)) for email in emails))
    return folder


def readings(source: str, number: int, count: int) -> bytes:
    # Every history that is a multiple of 10 ends in the middle of an hour.
    begin = BEGIN_MS + (number + UPLOADS_AN_HOUR // 2) // UPLOADS_AN_HOUR * HOUR_MS
    leaves = number < LEAVING * LEAVING_UPLOADS
    user = leaving(number // LEAVING_UPLOADS) if leaves else email(number % CUSTOMERS)
    row = {
        "accelerometer": '{{"user":"{user}","timestamp":{time},"x":{value}.0,"y":-1.0,"z":0.5}}\n',
        "step_trainer": '{{"sensorReadingTime":{time},"serialNumber":"{device}","distanceFromObject":{value}}}\n',
    }[source]
    times = (begin + (number + i * 997) % HOUR_MS for i in range(count))
    return "".join(row.format(user=user, device=device(user), time=time, value=i % 7) for i, time in enumerate(times)).encode()


def email(person: int) -> str:
    return f"person{person}@example.com"


def leaving(person: int) -> str:
    return f"leaving{person}@example.com"


def device(email: str) -> str:
    return f"device of {email}"


def customer(email: str) -> dict:
    return {
        "customerName": email.partition("@")[0].title(),
        "email": email,
        "serialNumber": device(email),
        "registrationDate": BEGIN_MS,
        "lastUpdateDate": BEGIN_MS,
        "shareWithResearchAsOfDate": BEGIN_MS,
    }


def sizes(program: Path, folder: Path, megabytes: list[int]) -> None:
    if megabytes:
        print("\n| size of the file | memory | the whole run |\n| --- | --- | --- |")
    for size in megabytes:
        landing = uploads(folder / f"size-{size}", [0], ["accelerometer"])
        # A part that is repeated at other times: a whole gigabyte takes Python too long.
        part, file = readings("accelerometer", 0, 10_000), landing / "accelerometer" / "landing" / "large.json"
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
