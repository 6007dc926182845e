"""One more file changes only the objects that depend on it."""

from collections.abc import Callable

import pytest

from comparison import assert_tables
from conftest import POLICIES, VillageCopy
from lake import TABLES, changed
from landing import HOUR, MINUTE, customer, motion, step


def written_keys(copy: VillageCopy) -> dict[str, set[str]]:
    """Ingests new files. Returns the written keys of each table, relative to the table's folder."""
    before = copy.lake.versions()
    copy.ingest()
    keys = changed(before, copy.lake.versions())
    return {
        table.name: {key.removeprefix(f"{table.folder}/") for key in keys if key.startswith(f"{table.folder}/")}
        for table in TABLES.values()
    }


def partitions(keys: set[str]) -> set[str]:
    return {key.rsplit("/", 1)[0] for key in keys}


@pytest.mark.parametrize("consent", POLICIES)
def test_accelerometer_file_writes_the_cells_of_its_hours(
    copy_village: Callable[..., VillageCopy], consent: str
) -> None:
    copy = copy_village(consent)
    village = copy.village
    # The times are between the first and the last motion of each person; person 9 has no consent.
    people = (4, 6, 9)
    rows = [motion(person, village.times(person)[7], 0.25) for person in people]
    village.motions("phones-more.json", *rows)
    written = written_keys(copy)
    assert_tables(copy.lake, village.folder)
    assert len(written["accelerometer_trusted"]) == 1
    assert partitions(written["accelerometer_trusted"]) == {village.partition(4)}
    assert partitions(written["machine_learning_curated"]) == {village.partition(4)}
    assert not written["customer_trusted"]
    assert not written["customer_curated"]
    assert not written["step_trainer_trusted"]


def test_accelerometer_file_over_several_hours_writes_one_cell_per_hour(
    copy_village: Callable[..., VillageCopy],
) -> None:
    copy = copy_village()
    village = copy.village
    people = (0, 20, 78)
    village.motions("phones-more.json", *(motion(person, village.times(person)[3], 0.25) for person in people))
    written = written_keys(copy)
    assert_tables(copy.lake, village.folder)
    hours = {village.partition(person) for person in people}
    assert partitions(written["accelerometer_trusted"]) == hours
    assert len(written["accelerometer_trusted"]) == len(hours)
    assert partitions(written["machine_learning_curated"]) == hours


def test_step_trainer_files_of_one_hour_write_one_cell(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    village = copy.village
    village.steps("devices-more.json", *(step(person, village.times(person)[2] + 1, 300) for person in (4, 5)))
    # Person 6 has a motion at this time, too.
    village.steps("devices-most.json", step(6, village.times(6)[2], 300))
    written = written_keys(copy)
    assert_tables(copy.lake, village.folder)
    assert len(written["step_trainer_trusted"]) == 1
    assert partitions(written["step_trainer_trusted"]) == {village.partition(4)}
    assert partitions(written["machine_learning_curated"]) == {village.partition(4)}
    for table in ("customer_trusted", "accelerometer_trusted", "customer_curated"):
        assert not written[table], table


def test_readings_without_consent_write_no_table(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    village = copy.village
    village.motions("phones-more.json", *(motion(person, village.times(person)[3], 0.25) for person in (1, 3, 99)))
    village.steps("devices-more.json", *(step(person, village.times(person)[3] + 1) for person in (1, 3, 99)))
    written = written_keys(copy)
    # Who has readings is known of all customers, so a shard of them may have a new version.
    assert not any(keys for table, keys in written.items() if table != "customer_curated")
    assert_tables(copy.lake, village.folder)


def test_same_customers_in_another_file_write_no_readings(copy_village: Callable[..., VillageCopy]) -> None:
    """A daily export of all customers changes only customer shards: `customer_trusted` records the file, and
    `customer_curated` names the versions of these shards."""
    copy = copy_village()
    village = copy.village
    village.customers("customers-1.json", *(village.registered(person) for person in range(village.PEOPLE)))
    before = copy.lake.versions("lookup")
    written = written_keys(copy)
    assert written.pop("customer_curated") == written.pop("customer_trusted")
    assert not any(written.values()), written
    assert copy.lake.versions("lookup") == before, "no claim and no latest reading changed"
    assert_tables(copy.lake, village.folder)


def test_first_motion_makes_a_customer_curated(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    village = copy.village
    village.customers("customers-new.json", customer(90, village.hour(0), village.hour(0)))
    village.steps("devices-new.json", *(step(90, village.hour(0) + minute * MINUTE) for minute in range(4)))
    written = written_keys(copy)
    assert_tables(copy.lake, village.folder)
    assert len(written["customer_trusted"]) == 1
    # It has the claim to the device, and the row only after the first motion.
    assert len(written["customer_curated"]) == 1
    assert not written["step_trainer_trusted"]
    village.motions("phones-new.json", motion(90, village.hour(0) + 30 * HOUR))
    written = written_keys(copy)
    assert_tables(copy.lake, village.folder)
    assert len(written["customer_curated"]) == 1
    assert partitions(written["step_trainer_trusted"]) == {village.partition(0)}
    assert not written["customer_trusted"]
