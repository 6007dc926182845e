"""A file of some hundred megabytes needs no more memory than a function has."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow
import pytest

from lake import Lake
from landing import HOUR

DAYS = 25
MEMORY_BYTES_MAX = 2 << 30


@pytest.mark.parametrize("packing", [None, "zstd"])
def test_large_file_needs_bounded_memory(
    generate: Callable[..., Path], lake: Lake, tmp_path: Path, packing: str | None
) -> None:
    """One accelerometer file holds the motion of 956 customers on 25 days."""
    landing = generate("--seed", 5)
    folder = landing / "accelerometer" / "landing"
    rows, users = [], []
    for path in folder.iterdir():
        for line in path.read_text().splitlines():
            users.append(json.loads(line)["user"])
            before, _, rest = line.partition('"timestamp":')
            moment, _, after = rest.partition(",")
            rows.append((f'{before}"timestamp":', int(moment), f",{after}\n"))
        path.unlink()
    output = pyarrow.OSFile(str(folder / "export.json"), "wb")
    with pyarrow.CompressedOutputStream(output, packing) if packing else output as file:
        for day in range(DAYS):
            later = day * 24 * HOUR
            file.write("".join(f"{before}{moment + later}{after}" for before, moment, after in rows).encode())
    with (tmp_path / "stdout").open("wb") as stdout:
        process = subprocess.Popen(lake.command(landing, "--json"), stdout=stdout)
        # Unlike `wait`, wait4 returns the memory of this one process.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    (receipt,) = lake.receipts("accelerometer")
    assert receipt["rows"] == DAYS * len(rows)
    with duckdb.connect() as con:
        lake.load(con, "found")
        days = con.execute("SELECT count(*) FROM found.accelerometer_trusted GROUP BY dt").fetchall()
        trusted = {email for (email,) in con.execute("SELECT email FROM found.customer_trusted").fetchall()}
    kept = sum(user in trusted for user in users)
    assert kept > 0
    assert days == [(kept,)] * DAYS
    assert usage.ru_maxrss * 1024 < MEMORY_BYTES_MAX, f"{usage.ru_maxrss >> 10} MiB"
