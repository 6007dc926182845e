"""Random histories: files arrive, in any order and several times, and are replaced; processes are killed.

After each run, the tables equal the SQL and the receipts add up. The same seed gives the same history, except the
moments of the kills. HISTORIES sets their number. Some seeds from 12 on fail: there a customer file with a withdrawal is
replaced, and the SQL does not know withdrawals of replaced files, which count for ever.
"""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from comparison import assert_receipts, assert_tables
from conftest import POLICIES
from lake import Lake
from landing import BEGIN, MINUTE, SOURCES, Landing, customer, motion, serial_number, step

HISTORIES = int(os.environ.get("HISTORIES", "12"))
MINUTES = 240
ROUNDS_MAX = 6
FILES_MAX = 6


class History:
    """Draws what happens next. There are few people, devices, files and moments, so that many of them coincide."""

    def __init__(self, seed: int, folder: Path):
        self.random = random.Random(seed)
        self.landing = Landing(folder)
        self.ingested = folder.with_name("ingested")
        self.rounds = 0
        self.people = self.random.choice([3, 6, 12])
        # Each record has another date, because the SQL does not order records of the same date.
        self.dates = self.random.sample(range(BEGIN, BEGIN + 10**9), 1000)

    def write_files(self, files: int) -> None:
        """Writes files of each source and replaces some older ones."""
        for source in SOURCES:
            for _ in range(files):
                name = f"file-{self.random.randrange(FILES_MAX)}.json"
                draw = {"customer": self.customer, "accelerometer": self.motion, "step_trainer": self.step}[source]
                self.landing.write(source, name, [draw() for _ in range(self.random.choice([0, 1, 3, 10, 20]))])

    def remember_motions(self) -> None:
        """Copies the accelerometer files, which later ones may replace."""
        folder = self.landing.path("accelerometer", "")
        if folder.exists():
            shutil.copytree(folder, self.ingested / str(self.rounds))
        self.rounds += 1

    def customer(self) -> dict:
        person = self.random.randrange(self.people)
        consent = self.random.choice([None, self.moment(), self.moment()])
        device = serial_number(self.random.choice([person, person, self.random.randrange(self.people)]))
        date = self.dates.pop()
        record = customer(person, date, consent, serialNumber=self.random.choice([device] * 9 + [None]))
        if self.random.random() < 0.15:
            del record["lastUpdateDate"]
            record["registrationDate"] = date
        return record

    def motion(self) -> dict:
        return motion(self.random.randrange(self.people), self.moment(), self.random.choice([-1.0, 0.0, 1.0]))

    def step(self) -> dict:
        return step(self.random.randrange(self.people), self.moment(), self.random.choice([200, 201]))

    def moment(self) -> int:
        return BEGIN + self.random.randrange(MINUTES) // self.random.choice([1, 20]) * MINUTE

    def options(self) -> list[object]:
        """Draws the options of a run."""
        shuffle = ["--shuffle", self.random.randrange(1000)] if self.random.random() < 0.7 else []
        return shuffle + (["--duplicate", self.random.randint(2, 4)] if self.random.random() < 0.4 else [])


def kill_soon(lake: Lake, history: History, options: list[object]) -> None:
    command = lake.command(history.landing.folder, *options)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(history.random.random() / 8)
        process.kill()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_tables_equal_the_sql_after_any_history(seed: int, binary: Path, tmp_path: Path) -> None:
    history = History(seed, tmp_path / "landing")
    lake = Lake(binary, tmp_path / "lake", POLICIES[seed % 2])
    for number in range(history.random.randint(2, ROUNDS_MAX)):
        history.write_files(history.random.randint(0 if number else 1, 3))
        options = history.options()
        for _ in range(history.random.choice([0, 0, 1, 3])):
            kill_soon(lake, history, options)
        lake.run(history.landing.folder, *options)
        history.remember_motions()
        assert_tables(lake, history.landing.folder, history.ingested)
        assert_receipts(lake, history.landing.folder)
    assert lake.run(history.landing.folder).report["writes"] == 0
