#!/usr/bin/env python3
"""Measures how the cost of one more upload and of a withdrawal grows with the history, and memory with the size of a file.

usage: tests/benchmarks/growth.py [STEDI] [--history H ...] [--hour H ...] [--slices S] [--megabytes M ...] [--runs N]

STEDI is the program (default: target/release/stedi). For each history H (10, 100, 1000 and 10000) the script fills a lake
with H uploads of phones: 60 accelerometer readings in one file, and as many of the step trainer in another. There are 6
customers, and 5 uploads an hour. Then `stedi run` ingests one more upload of both kinds in the last hour, N times (5). And
N times it ingests the withdrawal of a customer who has the first 2 uploads, each time after a new consent. The script
prints the medians of whole processes and of their requests. For each H of --hour it does the same in a lake in which all
uploads are of one hour, divided into S slices (60). An upload has the readings of one minute.

For each M (1, 10, 100 and 1000) `stedi run` ingests one file of M megabytes into a new lake. The script prints the peak
memory.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from measured import HOUR_MS, CannotMeasure, Measured, process, stedi_program

BEGIN_MS = 1_655_564_400_000
MINUTE_MS = 60_000
CUSTOMERS, UPLOADS_AN_HOUR, READINGS = 5, 5, 60
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
    lake, uploaded, changes = folder / "lake", 0, 0

    def run(landing: Path) -> Measured:
        return process([program, "run", landing, "--lake", lake, "--slices", str(slices), "--json"])

    def median(measured: list[Measured]) -> str:
        milliseconds = 1e3 * statistics.median(one.seconds for one in measured)
        requests = statistics.median(sum(one.report()["requests"].values()) for one in measured)
        return f"{milliseconds:.0f} ms | {requests:.0f}"

    if counts:
        before = "uploads before" if an_hour else f"uploads before, in one hour of {slices} slices"
        print(f"\n| {before} | one more upload | requests | a withdrawal | requests |\n| --- | --- | --- | --- | --- |")
    for count in counts:
        run(uploads(folder / f"grown-{count}", range(uploaded, count), an_hour))
        uploaded = count
        more, withdrawals = [], []
        for number in range(runs):
            landing = folder / f"more-{count}-{number}"
            for source in ("accelerometer", "step_trainer"):
                name, user = f"more-{count}-{number}", email(number % CUSTOMERS)
                upload(landing, source, name, user, count - 1, READINGS, an_hour)
            more.append(run(landing))
        for _ in range(runs):
            for consents in (False, True):
                changes += 1
                done = run(change(folder / f"change-{changes}", changes, consents))
                withdrawals += [done] * (not consents)
        print(f"| {count:,} | {median(more)} | {median(withdrawals)} |", flush=True)


def change(folder: Path, number: int, consents: bool) -> Path:
    """A landing file in which a customer withdraws, or consents again. It replaces the one before."""
    record = customer(LEAVING) | {"lastUpdateDate": BEGIN_MS + number}
    if not consents:
        del record["shareWithResearchAsOfDate"]
    write(folder, "customer", "change", json.dumps(record))
    return folder


def uploads(folder: Path, numbers, an_hour: int | None = UPLOADS_AN_HOUR) -> Path:
    """Landing files of these uploads. The first one comes with the customers."""
    for number in numbers:
        user = LEAVING if number < LEAVING_UPLOADS else email(number % CUSTOMERS)
        for source in ("accelerometer", "step_trainer"):
            upload(folder, source, f"phone-{number:06d}", user, number, READINGS, an_hour)
    if 0 in numbers:
        emails = [LEAVING, *map(email, range(CUSTOMERS))]
        write(folder, "customer", "all", "\n".join(json.dumps(customer(email)) for email in emails))
    return folder


def upload(folder: Path, source: str, name: str, user: str, number: int, count: int, an_hour: int | None) -> Path:
    """A landing file with `count` readings in the hour of an upload."""
    # In one hour, the uploads begin at any of its minutes.
    begin = BEGIN_MS + (number // an_hour * HOUR_MS if an_hour else number * 7 % 60 * MINUTE_MS)
    row = {
        "accelerometer": '{{"user":"{user}","timestamp":{time},"x":{value}.0,"y":-1.0,"z":0.5}}\n',
        "step_trainer": '{{"sensorReadingTime":{time},"serialNumber":"{device}","distanceFromObject":{value}}}\n',
    }[source]
    length = HOUR_MS if an_hour else MINUTE_MS
    times = (begin + (number + i * 997) % length for i in range(count))
    rows = (row.format(user=user, device=device(user), time=time, value=i % 7) for i, time in enumerate(times))
    return write(folder, source, name, "".join(rows))


def write(folder: Path, source: str, name: str, text: str) -> Path:
    file = folder / source / "landing" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def email(person: int) -> str:
    return f"person{person}@example.com"


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
