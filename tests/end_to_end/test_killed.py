"""`stedi run` is killed 50 times at random moments and run again: the tables equal those of a run without a kill.

The seed of a case gives the moments, within the time of a run without a kill. A kill counts only if it hits a running
process. `tests/run end_to_end -k killed -rP` prints what the kills interrupted.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from comparison import assert_receipts, assert_equal_lakes
from conftest import POLICIES, Ingestion
from lake import Lake
from landing import SOURCES

EVER, AT_READING = POLICIES
CASES = (
    ("generated", EVER, ()),
    ("generated", AT_READING, ("--shuffle", 2)),
    ("generated", EVER, ("--duplicate", 3, "--shuffle", 3)),
    ("reference", EVER, ()),
    ("reference", AT_READING, ("--shuffle", 5)),
)
KILLS = 50 // len(CASES)
# For one lake: after many kills, little work is left, and further kills would hit only the start of the process.
KILLS_IN_A_ROW_MAX = 5
LAKES_MAX = 4 * KILLS


def is_killed(command: list[str], seconds: float) -> bool:
    """Kills a process after that time. Returns whether it was still running."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        returncode = process.wait()
        assert returncode in (0, -signal.SIGKILL), f"ended with {returncode}:\n{process.stderr.read()}"
    return returncode == -signal.SIGKILL


@pytest.mark.parametrize("case", range(len(CASES)))
def test_next_run_finishes_a_killed_run(
    case: int,
    request: pytest.FixtureRequest,
    ingest: Callable[..., Ingestion],
    binary: Path,
    tmp_path: Path,
) -> None:
    name, consent, options = CASES[case]
    landing = request.getfixturevalue(name)
    draw = random.Random(case)
    begin = time.monotonic()
    complete = ingest(landing, *options, consent=consent).lake
    seconds = time.monotonic() - begin
    files = sum(len(list(complete.receipts(source))) for source in SOURCES)

    kills = with_undelivered = with_missing_files = finished = lakes = 0
    while kills < KILLS:
        assert lakes < LAKES_MAX, f"{finished} runs were too short to be killed"
        lake = Lake(binary, tmp_path / f"killed-{lakes}", consent)
        lakes += 1
        for _ in range(min(KILLS_IN_A_ROW_MAX, KILLS - kills)):
            if not is_killed(lake.command(landing, *options), draw.uniform(0, seconds)):
                # The run ended before the kill, and this lake is complete.
                finished += 1
                break
            kills += 1
            with_undelivered += bool(lake.undelivered())
            with_missing_files += lake.landing_files() < files
        lake.run(landing, *options)
        assert_equal_lakes(lake, complete)
        assert_receipts(lake, landing)
        assert lake.run(landing).report["writes"] == 0

    print(f"{kills} kills in {lakes} lakes: {with_undelivered} left undelivered events,")
    print(f"{with_missing_files} came before all files were uploaded; {finished} runs ended before the kill")
    assert with_undelivered > 0, "no kill left an undelivered event"
