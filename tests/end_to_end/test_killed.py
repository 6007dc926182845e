"""`stedi run` is killed at random moments, 50 times in all, and run again: the tables are those of an unkilled run.

Moments are drawn from the seed of a case, between the start and the end of a run, as long as it took unkilled. A kill
counts only if it hit a running process. What the kills left behind is told by: tests/run end_to_end -k killed -rP
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from comparison import assert_accounts, assert_equal_lakes
from conftest import POLICIES, Landed
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
# Of one lake: behind many kills there is little left to do, and a kill would hit nothing but the start.
KILLS_IN_A_ROW_MAX = 5
LAKES_MAX = 4 * KILLS


def is_killed(command: list[str], seconds: float) -> bool:
    """Kills a process after that time; whether it was still running."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        returncode = process.wait()
        assert returncode in (0, -signal.SIGKILL), f"ended with {returncode}:\n{process.stderr.read()}"
    return returncode == -signal.SIGKILL


@pytest.mark.parametrize("case", range(len(CASES)))
def test_killed_runs_are_finished_by_the_next(
    case: int,
    request: pytest.FixtureRequest,
    land: Callable[..., Landed],
    binary: Path,
    tmp_path: Path,
) -> None:
    name, consent, options = CASES[case]
    landing = request.getfixturevalue(name)
    draw = random.Random(case)
    begin = time.monotonic()
    unkilled = land(landing, *options, consent=consent).lake
    seconds = time.monotonic() - begin
    files = sum(len(list(unkilled.receipts(source))) for source in SOURCES)

    kills = owed = landed_less = finished = lakes = 0
    while kills < KILLS:
        assert lakes < LAKES_MAX, f"{finished} runs were too short to be killed"
        lake = Lake(binary, tmp_path / f"killed-{lakes}", consent)
        lakes += 1
        for _ in range(min(KILLS_IN_A_ROW_MAX, KILLS - kills)):
            if not is_killed(lake.command(landing, *options), draw.uniform(0, seconds)):
                # Nothing is left to do in this lake.
                finished += 1
                break
            kills += 1
            owed += bool(lake.owed())
            landed_less += lake.landed() < files
        lake.run(landing, *options)
        assert_equal_lakes(lake, unkilled)
        assert_accounts(lake, landing)
        assert lake.run(landing).report["writes"] == 0

    print(f"{kills} kills in {lakes} lakes: {owed} left events owed, {landed_less} came before all files had landed;")
    print(f"{finished} runs ended before the kill")
    assert owed > 0, "no kill left anything to do"
