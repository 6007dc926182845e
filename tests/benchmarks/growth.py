#!/usr/bin/env python3
"""Measures how the cost of one more file grows with the files before it, and memory with the size of a file.

usage: tests/benchmarks/growth.py [STEDI] [--history H ...] [--megabytes M ...] [--runs N] [--svg FILE]

STEDI is the program (target/release/stedi, the default). For each history H (10, 100, 1000 and 10000) a lake is grown to H
accelerometer files, each one phone's upload of 60 readings, of 100 customers and an hour of its own per 100 files; then N
times (5) one more is landed by `stedi run`. Told are the medians of the whole process and of the part up to the tables,
and the requests. For each M (1, 10, 100 and 1000) one file of M megabytes is landed in a new lake; told is the most
memory that took.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import plot
from measured import HOUR_MS, CannotMeasure, process, stedi_program

BEGIN_MS = 1_655_564_400_000
CUSTOMERS, READINGS = 100, 60


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
        arguments.svg.write_text(plot.lines(points, "files before", "one more file"))


def histories(program: Path, folder: Path, counts: list[int], runs: int) -> dict[str, list[tuple[float, float]]]:
    lake, landed = folder / "lake", 0
    points: dict[str, list[tuple[float, float]]] = {"milliseconds": [], "requests": []}
    if counts:
        print("| files before | one more file | requests |\n| --- | --- | --- |")
    for count in counts:
        process([program, "run", uploads(folder / f"grown-{count}", range(landed, count)), "--lake", lake])
        landed = count
        seconds, requests = [], []
        for _ in range(runs):
            done = process([program, "run", uploads(folder / f"more-{landed}", [landed]), "--lake", lake, "--json"])
            landed += 1
            seconds.append(done.seconds)
            requests.append(sum(done.report()["requests"].values()))
        milliseconds = 1e3 * statistics.median(seconds)
        points["milliseconds"].append((count, milliseconds))
        points["requests"].append((count, statistics.median(requests)))
        print(f"| {count:,} | {milliseconds:.0f} ms | {statistics.median(requests):.0f} |", flush=True)
    return points


def uploads(folder: Path, numbers) -> Path:
    """Landing files of these numbers; and, with the first, the customers."""
    into = folder / "accelerometer" / "landing"
    into.mkdir(parents=True)
    for number in numbers:
        (into / f"phone-{number:06d}.json").write_bytes(readings(number, READINGS))
    if 0 in numbers:
        into = folder / "customer" / "landing"
        into.mkdir(parents=True)
        (into / "all.json").write_text("\n".join(json.dumps(customer(person)) for person in range(CUSTOMERS)))
    return folder


def readings(number: int, count: int) -> bytes:
    begin = BEGIN_MS + number // CUSTOMERS * HOUR_MS
    user = f"person{number % CUSTOMERS}@example.com"
    row = '{{"user":"{}","timestamp":{},"x":{}.0,"y":-1.0,"z":0.5}}\n'
    return "".join(row.format(user, begin + i * 997 % HOUR_MS, i % 7) for i in range(count)).encode()


def customer(person: int) -> dict:
    return {
        "customerName": f"Person {person}",
        "email": f"person{person}@example.com",
        "serialNumber": f"device-{person}",
        "registrationDate": BEGIN_MS,
        "lastUpdateDate": BEGIN_MS,
        "shareWithResearchAsOfDate": BEGIN_MS,
    }


def sizes(program: Path, folder: Path, megabytes: list[int]) -> None:
    if megabytes:
        print("\n| size of the file | memory | the whole run |\n| --- | --- | --- |")
    for size in megabytes:
        landing = uploads(folder / f"size-{size}", [0])
        # A part that is repeated at other times: a whole gigabyte takes Python too long.
        part, file = readings(0, 10_000), landing / "accelerometer" / "landing" / "large.json"
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
