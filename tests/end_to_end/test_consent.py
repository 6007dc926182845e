"""Consent that is given late, withdrawn, or given again; and devices that change hands."""

import itertools
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from comparison import assert_tables
from conftest import POLICIES, Inhabited
from lake import TABLES, Lake, changed, scan
from landing import BEGIN, HOUR, MINUTE, Landing, Village, customer, email, motion, serial_number, step

LATER = BEGIN + 1000 * HOUR


def people_in(lake: Lake, path: Path) -> set[str]:
    """Whose rows a file of a table with people in it holds."""
    names = {"customer_trusted": "email", "customer_curated": "email", "step_trainer_trusted": "user"}
    key = path.relative_to(lake.bucket).as_posix()
    table = next(table for table in TABLES.values() if key.startswith(f"{table.folder}/"))
    column = names.get(table.name, "user")
    with duckdb.connect() as con:
        return {row[0] for row in con.execute(f'SELECT DISTINCT "{column}" FROM {scan([path])}').fetchall()}


@pytest.mark.parametrize("consent", POLICIES)
class TestTenWithdrawAndTenGrant:
    """One later customer file. The withdrawing live in the houses 0 to 4, the granting in 10 to 14."""

    WITHDRAWING = [person for person in range(20) if person % 2 == 0]
    GRANTING = [person for person in range(40, 60) if person % 2 == 1]

    def land_change(self, inhabited: Inhabited) -> None:
        village = inhabited.village
        village.customers(
            "customers-1.json",
            *(customer(person, LATER) for person in self.WITHDRAWING),
            *(customer(person, LATER, village.hour(person)) for person in self.GRANTING),
        )
        inhabited.land()

    def test_tables_are_those_of_the_sql(self, settle: Callable[..., Inhabited], consent: str) -> None:
        inhabited = settle(consent)
        self.land_change(inhabited)
        assert_tables(inhabited.lake, inhabited.village.folder)

    def test_exactly_their_rows_change(self, settle: Callable[..., Inhabited], consent: str) -> None:
        inhabited = settle(consent)
        with duckdb.connect() as con:
            inhabited.lake.load(con, "before")
            self.land_change(inhabited)
            inhabited.lake.load(con, "after")
            for name, table in TABLES.items():
                person = next((column for column in ("email", "user") if column in table.columns), None)
                for gone, left, right, people in (
                    ("lost", "before", "after", self.WITHDRAWING),
                    ("gained", "after", "before", self.GRANTING),
                ):
                    rows = f"(FROM {left}.{name} EXCEPT ALL FROM {right}.{name})"
                    if person:
                        found = con.execute(f'SELECT DISTINCT "{person}" FROM {rows}').fetchall()
                        assert {row[0] for row in found} == {email(person) for person in people}, f"{name} {gone}"
                    else:
                        hours = {inhabited.village.partition(person) for person in people}
                        found = con.execute(f"SELECT DISTINCT 'dt=' || dt || '/hour=' || hour FROM {rows}").fetchall()
                        assert {row[0] for row in found} == hours, f"{name} {gone}"

    def test_files_without_their_rows_are_not_rewritten(self, settle: Callable[..., Inhabited], consent: str) -> None:
        inhabited = settle(consent)
        lake, village = inhabited.lake, inhabited.village
        theirs = {email(person) for person in self.WITHDRAWING + self.GRANTING}
        hours = {village.partition(person) for person in self.WITHDRAWING + self.GRANTING}

        def held() -> set[str]:
            """The files that hold their rows; of the training table, those of their hours."""
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

        before, held_before = lake.versions(), held()
        self.land_change(inhabited)
        touched = {
            key
            for key in changed(before, lake.versions())
            if any(key.startswith(f"{table.folder}/") for table in TABLES.values())
        }
        assert touched == held_before | held()

    def test_withdrawing_leaves_no_row_and_no_key_behind(self, settle: Callable[..., Inhabited], consent: str) -> None:
        inhabited = settle(consent)
        self.land_change(inhabited)
        lake = inhabited.lake
        gone = {email(person) for person in self.WITHDRAWING}
        for table in TABLES.values():
            for path in lake.table_files(table):
                if table.name != "machine_learning_curated":
                    assert not gone & people_in(lake, path), path
        needles = [value.encode() for person in self.WITHDRAWING for value in (email(person), serial_number(person))]
        for path in lake.bucket.rglob("*"):
            if path.is_file() and "landing" not in path.parts:
                held = [needle.decode() for needle in needles if needle in path.read_bytes()]
                assert not held, f"{path} still names {held}"


@pytest.fixture(params=POLICIES)
def lake(request: pytest.FixtureRequest, binary: Path, tmp_path: Path) -> Lake:
    return Lake(binary, tmp_path / "lake", request.param)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


def train(landing: Landing, person: int, device: int | None = None) -> None:
    """Files of that person's motion and of a device's steps (their own, if no other is named), ten minutes long."""
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
def test_of_equally_late_records_the_one_without_consent_wins(
    lake: Lake, landing: Landing, order: tuple[int, int]
) -> None:
    train(landing, 1)
    for number in order:
        landing.customers(f"customers-{number}.json", customer(1, LATER, BEGIN if number else None))
        lake.run(landing.folder)
    assert_tables(lake, landing.folder)
    assert not any(lake.run(landing.folder).rows().values())


def test_of_equally_late_records_order_does_not_choose(
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
def test_consent_of_null_or_zero_is_none(lake: Lake, landing: Landing, none: int | None) -> None:
    train(landing, 1)
    record = customer(1, LATER) | {"shareWithResearchAsOfDate": none}
    landing.customers("customers-0.json", customer(1, BEGIN, BEGIN))
    lake.run(landing.folder)
    landing.customers("customers-1.json", record)
    assert not any(lake.run(landing.folder).rows().values())
    assert_tables(lake, landing.folder)


def test_registration_dates_a_record_without_update(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    landing.customers("customers-0.json", customer(1, BEGIN, BEGIN) | {"registrationDate": BEGIN})
    record = customer(1, BEGIN) | {"registrationDate": LATER}
    del record["lastUpdateDate"]
    landing.customers("customers-1.json", record)
    assert not any(lake.run(landing.folder).rows().values())
    assert_tables(lake, landing.folder)


def test_consent_moved_to_another_date(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    for number, minute in enumerate((5, 2, 9, 30, 0)):
        landing.customers(f"customers-{number}.json", customer(1, LATER + number, BEGIN + minute * MINUTE))
        lake.run(landing.folder)
        assert_tables(lake, landing.folder)


def test_device_that_changes_hands_follows_the_latest_record(lake: Lake, landing: Landing) -> None:
    device = serial_number(1)
    train(landing, 1)
    train(landing, 2, device=1)
    records = [
        customer(1, LATER, BEGIN + 2 * MINUTE),
        customer(2, LATER + 1, BEGIN + 5 * MINUTE, serialNumber=device),
        # The first owner updates something else, and so has the latest record.
        customer(1, LATER + 2, BEGIN + 2 * MINUTE, phone="2025550199"),
        # The second one again, then no more.
        customer(2, LATER + 3, BEGIN + 5 * MINUTE, serialNumber=device),
        customer(2, LATER + 4, None, serialNumber=device),
    ]
    for number, record in enumerate(records):
        landing.customers(f"customers-{number}.json", record)
        lake.run(landing.folder)
        assert_tables(lake, landing.folder)


def test_later_owner_without_motion_does_not_own_the_device(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    landing.customers("customers-0.json", customer(1, LATER, BEGIN))
    landing.customers("customers-1.json", customer(2, LATER + 1, BEGIN, serialNumber=serial_number(1)))
    assert lake.run(landing.folder).rows()["step_trainer_trusted"] == 10
    assert_tables(lake, landing.folder)
    # Until their phone uploads something.
    landing.motions("phone-2.json", motion(2, BEGIN + 30 * MINUTE))
    lake.run(landing.folder)
    assert_tables(lake, landing.folder)


def test_customer_with_another_device_leaves_the_old_one(lake: Lake, landing: Landing) -> None:
    train(landing, 1)
    landing.steps("device-9.json", *(step(9, BEGIN + minute * MINUTE, 299) for minute in range(10)))
    for number, device in enumerate((serial_number(1), serial_number(9), None, serial_number(1))):
        landing.customers(f"customers-{number}.json", customer(1, LATER + number, BEGIN, serialNumber=device))
        lake.run(landing.folder)
        assert_tables(lake, landing.folder)


def test_customer_who_lands_long_after_the_readings(lake: Lake, tmp_path: Path) -> None:
    village = Village(tmp_path / "village").build()
    customers = village.path("customer", "customers-0.json")
    text = customers.read_text()
    customers.unlink()
    rows = lake.run(village.folder).rows()
    assert not any(rows.values()), rows
    customers.write_text(text)
    lake.run(village.folder)
    assert_tables(lake, village.folder)
