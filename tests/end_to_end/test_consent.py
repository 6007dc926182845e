"""Consent given late, withdrawn or given again; devices that change their owner."""

import itertools
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from comparison import assert_tables
from conftest import POLICIES, VillageCopy
from lake import TABLES, Lake, changed, scan
from landing import BEGIN, HOUR, MINUTE, Landing, Village, customer, email, motion, serial_number, step

LATER = BEGIN + 1000 * HOUR


def people_in(lake: Lake, path: Path) -> set[str]:
    """Returns the customers whose rows are in a file of a table with customers."""
    names = {"customer_trusted": "email", "customer_curated": "email", "step_trainer_trusted": "user"}
    key = path.relative_to(lake.bucket).as_posix()
    table = next(table for table in TABLES.values() if key.startswith(f"{table.folder}/"))
    column = names.get(table.name, "user")
    with duckdb.connect() as con:
        return {row[0] for row in con.execute(f'SELECT DISTINCT "{column}" FROM {scan([path])}').fetchall()}


@pytest.mark.parametrize("consent", POLICIES)
class TestTenWithdrawAndTenGrant:
    """One later customer file: ten people of the houses 0 to 4 withdraw, ten of the houses 10 to 14 grant."""

    WITHDRAWING = [person for person in range(20) if person % 2 == 0]
    GRANTING = [person for person in range(40, 60) if person % 2 == 1]

    def ingest_change(self, copy: VillageCopy) -> None:
        village = copy.village
        village.customers(
            "customers-1.json",
            *(customer(person, LATER) for person in self.WITHDRAWING),
            *(customer(person, LATER, village.hour(person)) for person in self.GRANTING),
        )
        copy.ingest()

    def test_tables_equal_the_sql(self, copy_village: Callable[..., VillageCopy], consent: str) -> None:
        copy = copy_village(consent)
        self.ingest_change(copy)
        assert_tables(copy.lake, copy.village.folder)

    def test_only_rows_of_these_people_change(self, copy_village: Callable[..., VillageCopy], consent: str) -> None:
        copy = copy_village(consent)
        with duckdb.connect() as con:
            copy.lake.load(con, "before")
            self.ingest_change(copy)
            copy.lake.load(con, "after")
            for name, table in TABLES.items():
                person = next((column for column in ("email", "user") if column in table.columns), None)
                for change, left, right, people in (
                    ("removed", "before", "after", self.WITHDRAWING),
                    ("added", "after", "before", self.GRANTING),
                ):
                    rows = f"(FROM {left}.{name} EXCEPT ALL FROM {right}.{name})"
                    if person:
                        found = con.execute(f'SELECT DISTINCT "{person}" FROM {rows}').fetchall()
                        assert {row[0] for row in found} == {email(person) for person in people}, f"{name} {change}"
                    else:
                        hours = {copy.village.partition(person) for person in people}
                        found = con.execute(f"SELECT DISTINCT 'dt=' || dt || '/hour=' || hour FROM {rows}").fetchall()
                        assert {row[0] for row in found} == hours, f"{name} {change}"

    def test_only_files_with_their_rows_are_written(
        self, copy_village: Callable[..., VillageCopy], consent: str
    ) -> None:
        copy = copy_village(consent)
        lake, village = copy.lake, copy.village
        theirs = {email(person) for person in self.WITHDRAWING + self.GRANTING}
        hours = {village.partition(person) for person in self.WITHDRAWING + self.GRANTING}

        def files_with_rows() -> set[str]:
            """Returns the files with rows of these people; of the training table, the files of their hours."""
            return {
                path.relative_to(lake.bucket).as_posix()
                for table in TABLES.values()
                for path in lake.table_files(table)
                if (
                    any(hour in path.as_posix() for hour in hours)
                    if table.name == "machine_learning_curated"
                    else theirs & people_in(lake, path)
                )
            }

        before, files_before = lake.versions(), files_with_rows()
        self.ingest_change(copy)
        touched = {
            key
            for key in changed(before, lake.versions())
            if any(key.startswith(f"{table.folder}/") for table in TABLES.values())
        }
        assert touched == files_before | files_with_rows()

    def test_withdrawal_removes_every_row_and_key(self, copy_village: Callable[..., VillageCopy], consent: str) -> None:
        copy = copy_village(consent)
        self.ingest_change(copy)
        lake = copy.lake
        withdrawn = {email(person) for person in self.WITHDRAWING}
        for table in TABLES.values():
            for path in lake.table_files(table):
                if table.name != "machine_learning_curated":
                    assert not withdrawn & people_in(lake, path), path
        needles = [value.encode() for person in self.WITHDRAWING for value in (email(person), serial_number(person))]
        for path in lake.bucket.rglob("*"):
            if path.is_file() and "landing" not in path.parts:
                held = [needle.decode() for needle in needles if needle in path.read_bytes()]
                assert not held, f"{path} still names {held}"


@pytest.fixture(params=POLICIES)
def lake(request: pytest.FixtureRequest, binary: Path, tmp_path: Path) -> Lake:
    return Lake(binary, tmp_path / "lake", request.param)


def train(landing: Landing, person: int, device: int | None = None) -> None:
    """Writes ten minutes of a person's motion and of a device's steps; by default, of the person's own device."""
    times = [BEGIN + minute * MINUTE for minute in range(10)]
    landing.motions(f"phone-{person}.json", *(motion(person, time, person) for time in times))
    device = person if device is None else device
    landing.steps(f"device-of-{person}.json", *(step(device, time, 200 + person) for time in times))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_consent_given_withdrawn_and_given_again_in_any_order(
    lake: Lake, landing: Landing, order: tuple[int, ...]
) -> None:
    train(landing, 1)
    lake.run(landing.folder)
    given = [BEGIN + 2 * MINUTE, None, BEGIN + 7 * MINUTE]
    for number in order:
        landing.customers(f"customers-{number}.json", customer(1, LATER + number, given[number]))
        lake.run(landing.folder)
        assert_tables(lake, landing.folder)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_record_without_consent_wins_over_one_of_the_same_time(
    lake: Lake, landing: Landing, order: tuple[int, int]
) -> None:
    train(landing, 1)
    for number in order:
        landing.customers(f"customers-{number}.json", customer(1, LATER, BEGIN if number else None))
        lake.run(landing.folder)
    assert_tables(lake, landing.folder)
    assert not any(lake.run(landing.folder).rows().values())


def test_order_does_not_choose_among_records_of_the_same_time(
    lake: Lake, landing: Landing, binary: Path, tmp_path: Path
) -> None:
    train(landing, 1)
    found = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        other = Lake(binary, tmp_path / f"lake-{order}", lake.consent)
        for number in order:
            landing.customers(f"customers-{number}.json", customer(1, LATER, BEGIN, phone=f"202555019{number}"))
            other.run(landing.folder)
        with duckdb.connect() as con:
            other.load(con, "found")
            found.append(con.execute("FROM found.customer_trusted").fetchall())
        for number in order:
            landing.path("customer", f"customers-{number}.json").unlink()
    assert len(found[0]) == 1
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("none", [None, 0])
def test_null_or_zero_means_no_consent(lake: Lake, landing: Landing, none: int | None) -> None:
    train(landing, 1)
    record = customer(1, LATER) | {"shareWithResearchAsOfDate": none}
    landing.customers("customers-0.json", customer(1, BEGIN, BEGIN))
    lake.run(landing.folder)
    landing.customers("customers-1.json", record)
    assert not any(lake.run(landing.folder).rows().values())
    assert_tables(lake, landing.folder)


def test_record_without_update_date_has_the_registration_date(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    landing.customers("customers-0.json", customer(1, BEGIN, BEGIN) | {"registrationDate": BEGIN})
    record = customer(1, BEGIN) | {"registrationDate": LATER}
    del record["lastUpdateDate"]
    landing.customers("customers-1.json", record)
    assert not any(lake.run(landing.folder).rows().values())
    assert_tables(lake, landing.folder)


def test_changed_consent_date_is_applied(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    for number, minute in enumerate((5, 2, 9, 30, 0)):
        landing.customers(f"customers-{number}.json", customer(1, LATER + number, BEGIN + minute * MINUTE))
        lake.run(landing.folder)
        assert_tables(lake, landing.folder)


def test_device_belongs_to_the_customer_with_the_latest_record(lake: Lake, landing: Landing) -> None:
    device = serial_number(1)
    train(landing, 1)
    train(landing, 2, device=1)
    records = [
        customer(1, LATER, BEGIN + 2 * MINUTE),
        customer(2, LATER + 1, BEGIN + 5 * MINUTE, serialNumber=device),
        # The first owner updates another field, and so has the latest record.
        customer(1, LATER + 2, BEGIN + 2 * MINUTE, phone="2025550199"),
        # The second owner has the latest record again, then withdraws.
        customer(2, LATER + 3, BEGIN + 5 * MINUTE, serialNumber=device),
        customer(2, LATER + 4, None, serialNumber=device),
    ]
    for number, record in enumerate(records):
        landing.customers(f"customers-{number}.json", record)
        lake.run(landing.folder)
        assert_tables(lake, landing.folder)


def test_readings_of_a_device_whose_owner_has_no_motion_are_not_admitted(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    landing.customers("customers-0.json", customer(1, LATER, BEGIN))
    assert lake.run(landing.folder).rows()["step_trainer_trusted"] == 10
    landing.customers("customers-1.json", customer(2, LATER + 1, BEGIN, serialNumber=serial_number(1)))
    assert lake.run(landing.folder).rows()["step_trainer_trusted"] == 0
    assert_tables(lake, landing.folder)
    # Then this customer's phone uploads a reading.
    landing.motions("phone-2.json", motion(2, BEGIN + 30 * MINUTE))
    lake.run(landing.folder)
    assert_tables(lake, landing.folder)


def test_customer_with_a_new_device_no_longer_owns_the_old_one(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    landing.steps("device-9.json", *(step(9, BEGIN + minute * MINUTE, 299) for minute in range(10)))
    for number, device in enumerate((serial_number(1), serial_number(9), None, serial_number(1))):
        landing.customers(f"customers-{number}.json", customer(1, LATER + number, BEGIN, serialNumber=device))
        lake.run(landing.folder)
        assert_tables(lake, landing.folder)


def test_customers_may_arrive_after_their_readings(lake: Lake, tmp_path: Path) -> None:
    village = Village(tmp_path / "village").build()
    customers = village.path("customer", "customers-0.json")
    text = customers.read_text()
    customers.unlink()
    rows = lake.run(village.folder).rows()
    assert not any(rows.values()), rows
    customers.write_text(text)
    lake.run(village.folder)
    assert_tables(lake, village.folder)
