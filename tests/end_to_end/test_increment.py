"""One more file touches what it must, and nothing else."""

from collections.abc import Callable

import pytest

from comparison import assert_tables
from conftest import POLICIES, Inhabited
from lake import TABLES, changed
from landing import HOUR, MINUTE, customer, motion, step


def touched_in_tables(inhabited: Inhabited, land: Callable[[], object]) -> dict[str, set[str]]:
    """The keys of each table that landing something writes, relative to the table's folder."""
    before = inhabited.lake.versions()
    land()
    keys = changed(before, inhabited.lake.versions())
    return {
        table.name: {key.removeprefix(f"{table.folder}/") for key in keys if key.startswith(f"{table.folder}/")}
        for table in TABLES.values()
    }


def partitions(keys: set[str]) -> set[str]:
    return {key.rsplit("/", 1)[0] for key in keys}


@pytest.mark.parametrize("consent", POLICIES)
def test_accelerometer_file_touches_its_own_outputs_and_partitions(
    settle: Callable[..., Inhabited], consent: str
) -> None:
    inhabited = settle(consent)
    village = inhabited.village
    # Between the first and the last motion that is known of each of them; person 9 has no consent.
    people = (4, 6, 9)
    rows = [motion(person, village.times(person)[7], 0.25) for person in people]
    village.motions("phones-more.json", *rows)
    touched = touched_in_tables(inhabited, inhabited.land)
    assert_tables(inhabited.lake, village.folder)
    assert len(touched["accelerometer_trusted"]) == 1
    assert partitions(touched["accelerometer_trusted"]) == {village.partition(4)}
    assert "phones-more" in touched["accelerometer_trusted"].pop()
    assert partitions(touched["machine_learning_curated"]) == {village.partition(4)}
    assert not touched["customer_trusted"]
    assert not touched["customer_curated"]
    assert not touched["step_trainer_trusted"]


def test_accelerometer_file_over_several_hours_has_one_output_per_hour(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle()
    village = inhabited.village
    people = (0, 20, 78)
    village.motions("phones-more.json", *(motion(person, village.times(person)[3], 0.25) for person in people))
    touched = touched_in_tables(inhabited, inhabited.land)
    assert_tables(inhabited.lake, village.folder)
    hours = {village.partition(person) for person in people}
    assert partitions(touched["accelerometer_trusted"]) == hours
    assert len(touched["accelerometer_trusted"]) == len(hours)
    assert partitions(touched["machine_learning_curated"]) == hours


def test_step_trainer_file_touches_its_own_outputs_and_partitions(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle()
    village = inhabited.village
    village.steps("devices-more.json", *(step(person, village.times(person)[2] + 1, 300) for person in (4, 5)))
    # A time at which there is motion too.
    village.steps("devices-most.json", step(6, village.times(6)[2], 300))
    touched = touched_in_tables(inhabited, inhabited.land)
    assert_tables(inhabited.lake, village.folder)
    assert len(touched["step_trainer_trusted"]) == 2
    assert partitions(touched["step_trainer_trusted"]) == {village.partition(4)}
    assert partitions(touched["machine_learning_curated"]) == {village.partition(4)}
    for table in ("customer_trusted", "accelerometer_trusted", "customer_curated"):
        assert not touched[table], table


def test_readings_of_nobody_who_consents_touch_no_table(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle()
    village = inhabited.village
    village.motions("phones-more.json", *(motion(person, village.times(person)[3], 0.25) for person in (1, 3, 99)))
    village.steps("devices-more.json", *(step(person, village.times(person)[3] + 1) for person in (1, 3, 99)))
    assert not any(touched_in_tables(inhabited, inhabited.land).values())
    assert_tables(inhabited.lake, village.folder)


def test_customers_landed_again_in_another_file_touch_no_reading(settle: Callable[..., Inhabited]) -> None:
    """A daily export of all customers. Only their shards remember that one more file names them."""
    inhabited = settle()
    village = inhabited.village
    village.customers("customers-1.json", *(village.registered(person) for person in range(village.PEOPLE)))
    touched = touched_in_tables(inhabited, inhabited.land)
    touched.pop("customer_trusted")
    assert not any(touched.values()), touched
    assert_tables(inhabited.lake, village.folder)


def test_first_motion_makes_a_customer_curated(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle()
    village = inhabited.village
    village.customers("customers-new.json", customer(90, village.hour(0), village.hour(0)))
    village.steps("devices-new.json", *(step(90, village.hour(0) + minute * MINUTE) for minute in range(4)))
    touched = touched_in_tables(inhabited, inhabited.land)
    assert_tables(inhabited.lake, village.folder)
    assert len(touched["customer_trusted"]) == 1
    assert not touched["customer_curated"]
    assert not touched["step_trainer_trusted"]
    village.motions("phones-new.json", motion(90, village.hour(0) + 30 * HOUR))
    touched = touched_in_tables(inhabited, inhabited.land)
    assert_tables(inhabited.lake, village.folder)
    assert len(touched["customer_curated"]) == 1
    assert partitions(touched["step_trainer_trusted"]) == {village.partition(0)}
    assert not touched["customer_trusted"]
