"""A landing object that comes again with other content is a correction; one that is gone changes nothing."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from comparison import assert_tables
from conftest import POLICIES, Inhabited
from lake import TABLES
from landing import BEGIN, HOUR, customer, email, motion, serial_number

LATER = BEGIN + 1000 * HOUR


@pytest.fixture(params=POLICIES)
def inhabited(request: pytest.FixtureRequest, settle: Callable[..., Inhabited]) -> Inhabited:
    return settle(request.param)


@dataclass(frozen=True)
class Readings:
    """A landing file of the third house, and its fields for the time and for something measured."""

    source: str
    name: str
    time: str
    value: str


PHONES = Readings("accelerometer", "phones-02.json", "timestamp", "x")
DEVICES = Readings("step_trainer", "devices-02.json", "sensorReadingTime", "distanceFromObject")


Change = Callable[[list[dict]], list[dict]]


def rewrite(inhabited: Inhabited, file: Readings, change: Change) -> None:
    """Lands a file again under its name, with other records."""
    rewrite_file(inhabited, file.source, file.name, change)


def rewrite_customers(inhabited: Inhabited, name: str, change: Change) -> None:
    """Lands a customer file again under its name, with other records."""
    rewrite_file(inhabited, "customer", name, change)


def rewrite_file(inhabited: Inhabited, source: str, name: str, change: Change) -> None:
    path = inhabited.village.path(source, name)
    inhabited.village.write(source, name, change([json.loads(line) for line in path.read_text().splitlines()]))
    inhabited.land()
    assert_tables(inhabited.lake, inhabited.village.folder)


def moved(row: dict, file: Readings, hours: int) -> dict:
    """The same reading, later."""
    return row | {file.time: row[file.time] + hours * HOUR}


@pytest.mark.parametrize("file", [PHONES, DEVICES], ids=lambda file: file.source)
class TestReadings:
    def test_corrected_values(self, inhabited: Inhabited, file: Readings) -> None:
        rewrite(inhabited, file, lambda rows: [row | {file.value: row[file.value] + 7} for row in rows])

    def test_rows_that_move_to_another_hour(self, inhabited: Inhabited, file: Readings) -> None:
        rewrite(inhabited, file, lambda rows: [moved(row, file, 3) for row in rows])

    def test_some_rows_that_move_and_back(self, inhabited: Inhabited, file: Readings) -> None:
        rewrite(inhabited, file, lambda rows: [moved(row, file, 30) for row in rows[::3]] + rows[1::3] + rows[2::3])
        rewrite(inhabited, file, lambda rows: [moved(row, file, -30) for row in rows[:5]] + rows[5:])

    def test_fewer_rows(self, inhabited: Inhabited, file: Readings) -> None:
        rewrite(inhabited, file, lambda rows: rows[::3])

    def test_no_rows_at_all(self, inhabited: Inhabited, file: Readings) -> None:
        rewrite(inhabited, file, lambda _: [])

    def test_more_rows(self, inhabited: Inhabited, file: Readings) -> None:
        rewrite(inhabited, file, lambda rows: rows + [row | {file.value: row[file.value] + 1} for row in rows])

    def test_rows_of_other_people(self, inhabited: Inhabited, file: Readings) -> None:
        other = {"user": email(16), "serialNumber": serial_number(16)}
        rewrite(inhabited, file, lambda rows: [{name: other.get(name, row[name]) for name in row} for row in rows])

    def test_account_is_of_the_latest_content(self, inhabited: Inhabited, file: Readings) -> None:
        """What the file wrote before in other partitions stays listed, with no rows."""
        rewrite(inhabited, file, lambda rows: [moved(row, file, 1) for row in rows[:20]])
        receipts = inhabited.lake.receipts(file.source)
        receipt = next(receipt for receipt in receipts if receipt["landing"]["key"].endswith(file.name))
        assert receipt["rows"] == 20
        assert receipt["kept"] + sum(receipt["excluded"].values()) + receipt["quarantined"] == 20
        assert receipt["kept"] > 0
        village = inhabited.village
        rows = {output["key"]: output["rows"] for output in receipt["outputs"]}
        assert [count for key, count in rows.items() if village.partition(8) in key] == [0]
        assert [count for key, count in rows.items() if village.partition(12) in key] == [receipt["kept"]]


def test_all_motion_of_somebody_gone_takes_them_from_curated(inhabited: Inhabited) -> None:
    rewrite(
        inhabited,
        PHONES,
        lambda rows: [row for row in rows if "person.008" not in row["user"]],
    )


class TestCustomers:
    def test_customer_gone_from_a_file(self, inhabited: Inhabited) -> None:
        rewrite_customers(inhabited, "customers-0.json", lambda rows: rows[10:])

    def test_customer_gone_from_the_latest_file_is_what_the_older_one_says(self, inhabited: Inhabited) -> None:
        village = inhabited.village
        people = (0, 1, 30, 31)
        village.customers(
            "customers-1.json", *(customer(person, LATER, BEGIN if person % 2 else None) for person in people)
        )
        inhabited.land()
        assert_tables(inhabited.lake, village.folder)
        rewrite_customers(inhabited, "customers-1.json", lambda rows: rows[2:])

    def test_consent_corrected_in_place(self, inhabited: Inhabited) -> None:
        def turned_round(row: dict) -> dict:
            number = int(row["email"].split(".")[1].split("@")[0])
            if number % 5:
                return row
            if "shareWithResearchAsOfDate" in row:
                return {name: value for name, value in row.items() if name != "shareWithResearchAsOfDate"}
            return row | {"shareWithResearchAsOfDate": BEGIN}

        rewrite_customers(inhabited, "customers-0.json", lambda rows: [turned_round(row) for row in rows])

    def test_all_customers_gone(self, inhabited: Inhabited) -> None:
        rewrite_customers(inhabited, "customers-0.json", lambda _: [])
        assert not any(inhabited.land().rows().values())


@pytest.mark.parametrize("source", ["customer", "accelerometer", "step_trainer"])
def test_file_removed_from_the_folder_changes_nothing(inhabited: Inhabited, source: str) -> None:
    village, lake = inhabited.village, inhabited.lake
    complete = village.folder.with_name("complete")
    shutil.copytree(village.folder, complete)
    before = lake.versions()
    for path in sorted((village.folder / source / "landing").iterdir())[::2]:
        path.unlink()
    if any(path.is_file() for path in village.folder.rglob("*")):
        assert inhabited.land().report["writes"] == 0
    assert lake.versions() == before
    # Nor do the files that land after it.
    for folder in (village.folder, complete):
        path = folder / "accelerometer" / "landing" / "phones-more.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(motion(4, village.times(4)[3], 0.5)) + "\n")
    inhabited.land()
    assert_tables(lake, complete)


def test_emptied_outputs_are_empty_files(inhabited: Inhabited) -> None:
    """A put and no delete, so that the cascade goes on: no key of a table ever disappears."""
    lake = inhabited.lake
    before = {path for table in TABLES.values() for path in lake.table_files(table)}
    rewrite(inhabited, PHONES, lambda _: [])
    rewrite_customers(inhabited, "customers-0.json", lambda rows: rows[:4])
    assert all(path.exists() for path in before)


def test_moved_file_is_another_file(inhabited: Inhabited) -> None:
    """The same base name in another folder does not replace the first one: its rows are there twice."""
    village = inhabited.village
    path = village.path("accelerometer", "phones-02.json")
    again = village.path("accelerometer", "again/phones-02.json")
    again.parent.mkdir()
    shutil.copy(path, again)
    inhabited.land()
    assert_tables(inhabited.lake, village.folder)
