"""A new version of a landing object replaces its rows; a removed landing object changes nothing."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import pytest

from comparison import assert_adds_up, assert_tables
from conftest import POLICIES, VillageCopy
from lake import TABLES
from landing import BEGIN, HOUR, customer, email, motion, serial_number

LATER = BEGIN + 1000 * HOUR


@pytest.fixture(params=POLICIES)
def copy(request: pytest.FixtureRequest, copy_village: Callable[..., VillageCopy]) -> VillageCopy:
    return copy_village(request.param)


@dataclass(frozen=True)
class Readings:
    """A landing file of the third house, and the names of its fields for the time and a measured value."""

    source: str
    name: str
    time: str
    value: str


PHONES = Readings("accelerometer", "phones-02.json", "timestamp", "x")
DEVICES = Readings("step_trainer", "devices-02.json", "sensorReadingTime", "distanceFromObject")


Change = Callable[[list[dict]], list[dict]]


def rewrite(copy: VillageCopy, file: Readings, change: Change) -> None:
    """Ingests other records under the name of a file of readings."""
    rewrite_file(copy, file.source, file.name, change)


def rewrite_customers(copy: VillageCopy, name: str, change: Change) -> None:
    """Ingests other records under the name of a customer file."""
    rewrite_file(copy, "customer", name, change)


def rewrite_file(copy: VillageCopy, source: str, name: str, change: Change) -> None:
    path = copy.village.path(source, name)
    replaced = copy.village.folder.with_name("replaced")
    replaced.mkdir(exist_ok=True)
    if source == "accelerometer":
        shutil.copy(path, replaced / f"{len(list(replaced.iterdir()))}.json")
    copy.village.write(source, name, change([json.loads(line) for line in path.read_text().splitlines()]))
    copy.ingest()
    assert_tables(copy.lake, copy.village.folder, replaced)


def moved(row: dict, file: Readings, hours: int) -> dict:
    """Returns the same reading at a later time."""
    return row | {file.time: row[file.time] + hours * HOUR}


@pytest.mark.parametrize("file", [PHONES, DEVICES], ids=lambda file: file.source)
class TestReadings:
    def test_corrected_values(self, copy: VillageCopy, file: Readings) -> None:
        rewrite(copy, file, lambda rows: [row | {file.value: row[file.value] + 7} for row in rows])

    def test_rows_moved_to_another_hour(self, copy: VillageCopy, file: Readings) -> None:
        rewrite(copy, file, lambda rows: [moved(row, file, 3) for row in rows])

    def test_some_rows_moved_and_moved_back(self, copy: VillageCopy, file: Readings) -> None:
        rewrite(copy, file, lambda rows: [moved(row, file, 30) for row in rows[::3]] + rows[1::3] + rows[2::3])
        rewrite(copy, file, lambda rows: [moved(row, file, -30) for row in rows[:5]] + rows[5:])

    def test_fewer_rows(self, copy: VillageCopy, file: Readings) -> None:
        rewrite(copy, file, lambda rows: rows[::3])

    def test_no_rows(self, copy: VillageCopy, file: Readings) -> None:
        rewrite(copy, file, lambda _: [])

    def test_more_rows(self, copy: VillageCopy, file: Readings) -> None:
        rewrite(copy, file, lambda rows: rows + [row | {file.value: row[file.value] + 1} for row in rows])

    def test_rows_of_other_people(self, copy: VillageCopy, file: Readings) -> None:
        other = {"user": email(16), "serialNumber": serial_number(16)}
        rewrite(copy, file, lambda rows: [{name: other.get(name, row[name]) for name in row} for row in rows])

    def test_receipt_counts_the_latest_content(self, copy: VillageCopy, file: Readings) -> None:
        rewrite(copy, file, lambda rows: [moved(row, file, 1) for row in rows[:20]])
        receipts = copy.lake.receipts(file.source)
        receipt = next(receipt for receipt in receipts if receipt["landing"]["key"].endswith(file.name))
        assert receipt["rows"] == 20
        assert_adds_up(receipt)
        assert receipt["kept"] > 0
        village = copy.village
        cell = f"{file.source}/trusted/{village.partition(12)}/00.parquet"
        assert receipt["outputs"] == [{"key": cell, "rows": receipt["kept"]}]


def test_customer_without_remaining_motion_stays_curated(copy: VillageCopy) -> None:
    def people(column: str, table: str) -> set[str]:
        with duckdb.connect() as con:
            copy.lake.load(con, "found")
            return {row[0] for row in con.execute(f'SELECT DISTINCT "{column}" FROM found.{table}').fetchall()}

    rewrite(copy, PHONES, lambda rows: [row for row in rows if row["user"] != email(8)])
    assert email(8) not in people("user", "accelerometer_trusted")
    assert email(8) in people("email", "customer_curated")
    assert email(8) in people("user", "step_trainer_trusted")


class TestCustomers:
    def test_customers_removed_from_a_file(self, copy: VillageCopy) -> None:
        rewrite_customers(copy, "customers-0.json", lambda rows: rows[10:])

    def test_customers_removed_from_the_latest_file_get_their_older_record(self, copy: VillageCopy) -> None:
        village = copy.village
        people = (1, 31, 0, 30)
        village.customers(
            "customers-1.json", *(customer(person, LATER, BEGIN if person % 2 else None) for person in people)
        )
        copy.ingest()
        assert_tables(copy.lake, village.folder)
        rewrite_customers(copy, "customers-1.json", lambda rows: rows[2:])

    def test_corrected_consent(self, copy: VillageCopy) -> None:
        def with_other_consent(row: dict) -> dict:
            number = int(row["email"].split(".")[1].split("@")[0])
            if number % 5:
                return row
            if "shareWithResearchAsOfDate" in row:
                return {name: value for name, value in row.items() if name != "shareWithResearchAsOfDate"}
            # Later than the withdrawal of the former version, which counts for ever.
            return row | {"shareWithResearchAsOfDate": BEGIN, "lastUpdateDate": row["lastUpdateDate"] + 1}

        rewrite_customers(copy, "customers-0.json", lambda rows: [with_other_consent(row) for row in rows])

    def test_withdrawal_removed_from_a_file_stays(self, copy: VillageCopy) -> None:
        village = copy.village
        people = [person for person in range(8) if "shareWithResearchAsOfDate" in village.registered(person)]
        village.customers("customers-1.json", *(customer(person, LATER) for person in people))
        after = copy.ingest().rows()
        assert_tables(copy.lake, village.folder)
        village.customers("customers-1.json")
        assert copy.ingest().rows() == after

    def test_all_customers_removed(self, copy: VillageCopy) -> None:
        rewrite_customers(copy, "customers-0.json", lambda _: [])
        assert not any(copy.ingest().rows().values())


@pytest.mark.parametrize("source", ["customer", "accelerometer", "step_trainer"])
def test_file_removed_from_the_folder_changes_nothing(copy: VillageCopy, source: str) -> None:
    village, lake = copy.village, copy.lake
    complete = village.folder.with_name("complete")
    shutil.copytree(village.folder, complete)
    before = lake.versions()
    for path in sorted((village.folder / source / "landing").iterdir())[::2]:
        path.unlink()
    if any(path.is_file() for path in village.folder.rglob("*")):
        assert copy.ingest().report["writes"] == 0
    assert lake.versions() == before
    # Files that arrive later give the tables of the complete folder.
    for folder in (village.folder, complete):
        path = folder / "accelerometer" / "landing" / "phones-more.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(motion(4, village.times(4)[3], 0.5)) + "\n")
    copy.ingest()
    assert_tables(lake, complete)


def test_outputs_without_rows_stay_as_empty_files(copy: VillageCopy) -> None:
    """The functions put an empty object and delete nothing, so that an event triggers the next functions."""
    lake = copy.lake
    before = {path for table in TABLES.values() for path in lake.table_files(table)}
    rewrite(copy, PHONES, lambda _: [])
    rewrite_customers(copy, "customers-0.json", lambda rows: rows[:4])
    assert all(path.exists() for path in before)


def test_same_name_in_another_folder_is_another_file(copy: VillageCopy) -> None:
    """A copy of a file in another folder does not replace the first one: the tables hold its rows twice."""
    village = copy.village
    path = village.path("accelerometer", "phones-02.json")
    again = village.path("accelerometer", "again/phones-02.json")
    again.parent.mkdir()
    shutil.copy(path, again)
    copy.ingest()
    assert_tables(copy.lake, village.folder)
