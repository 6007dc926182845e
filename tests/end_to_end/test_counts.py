"""The report of a run counts the rows and files of the whole lake."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from conftest import POLICIES, VillageCopy
from lake import TABLES, Lake, Run
from landing import BEGIN, HOUR, SOURCES, Landing, customer, motion, step
from oracle import literal


def assert_counts(run: Run, lake: Lake) -> None:
    """Asserts that the report counts the rows and files below the bucket."""
    tables, landing = run.report["tables"], run.report["landing"]
    with duckdb.connect() as con:
        for name, table in TABLES.items():
            files = lake.table_files(table)
            listed = ", ".join(literal(path) for path in files)
            # A file that was copied by hand may be outside a partition's folder.
            count = f"SELECT count(*) FROM read_parquet([{listed}], hive_partitioning = false)"
            rows = con.execute(count).fetchall()[0][0] if files else 0
            assert (tables[name]["rows"], tables[name]["objects"]) == (rows, len(files)), name
    for source in SOURCES:
        receipts = list(lake.receipts(source))
        rows, quarantined = (sum(receipt[name] for receipt in receipts) for name in ("rows", "quarantined"))
        # A receipt does not follow later files and changes of consent.
        kept = tables[f"{source}_trusted"]["rows"]
        # An object that was copied by hand may give more rows than the files have.
        excluded = max(rows - quarantined - kept, 0)
        assert landing[source] == {
            "files": len(receipts),
            "rows": rows,
            "kept": kept,
            "excluded": excluded,
            "quarantined": quarantined,
        }, source


def motions(copy: VillageCopy) -> None:
    """Writes motions of people of several hours, which have motions and steps already."""
    village = copy.village
    village.motions("phones-more.json", *(motion(person, village.times(person)[5], 0.25) for person in (0, 20, 78)))


def steps(copy: VillageCopy) -> None:
    village = copy.village
    village.steps("devices-more.json", *(step(person, village.times(person)[5], 300) for person in (4, 6, 60)))


def motions_without_consent(copy: VillageCopy) -> None:
    """Writes motions of people without consent and of an unknown person."""
    village = copy.village
    village.motions("phones-more.json", *(motion(person, village.hour(0)) for person in (1, 3, 99)))


def nothing(_: VillageCopy) -> None:
    pass


def motions_of_another_hour(copy: VillageCopy) -> None:
    copy.village.motions("phones-more.json", motion(0, BEGIN + 500 * HOUR), motion(2, BEGIN + 500 * HOUR))


def same_customers(copy: VillageCopy) -> None:
    village = copy.village
    village.customers("customers-1.json", *(village.registered(person) for person in range(village.PEOPLE)))


def consent(copy: VillageCopy) -> None:
    """Writes a customer file in which two people grant consent and one withdraws it."""
    given = (customer(person, BEGIN + HOUR, BEGIN) for person in (1, 41))
    copy.village.customers("customers-1.json", *given, customer(0, BEGIN + HOUR))


CHANGES = [motions, steps, motions_without_consent, nothing, motions_of_another_hour, same_customers, consent]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("change", CHANGES)
def test_report_counts_the_whole_lake_after_a_change(
    copy_village: Callable[..., VillageCopy], change: Callable[[VillageCopy], None], policy: str
) -> None:
    copy = copy_village(policy)
    change(copy)
    assert_counts(copy.ingest(), copy.lake)


def test_report_of_the_first_run_counts_the_whole_lake(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    shutil.rmtree(copy.lake.folder)
    assert_counts(copy.ingest(), copy.lake)


def test_report_counts_the_whole_lake_over_many_runs(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    for change in (motions, consent, steps, nothing, motions_of_another_hour):
        change(copy)
        assert_counts(copy.ingest(), copy.lake)


def test_objects_that_a_run_writes_several_times_count_once(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    for file in range(1, 4):
        copy.village.customers(f"customers-{file}.json", customer(1, BEGIN + file * HOUR, BEGIN + file))
    # With --shuffle, the files arrive one by one.
    run = copy.lake.run(copy.village.folder, "--shuffle", 1)
    assert_counts(run, copy.lake)


def remove(path: Path) -> None:
    path.unlink()


def copy_beside(path: Path) -> None:
    shutil.copy(path, path.with_stem("by-hand"))


def copy_into_a_new_folder(path: Path) -> None:
    folder = path.parent / "by-hand"
    folder.mkdir()
    shutil.copy(path, folder)


def replace(path: Path) -> None:
    """Replaces a file by a rename, as careful tools do."""
    other = next(other for other in sorted(path.parent.parent.rglob(f"*{path.suffix}")) if other != path)
    new = path.with_suffix(".new")
    shutil.copy(other, new)
    os.replace(new, path)


def parquet_file(copy: VillageCopy) -> Path:
    """Returns a file of a house that has no new readings in the test."""
    table = TABLES["step_trainer_trusted"]
    (path,) = (copy.lake.bucket / table.folder / copy.village.partition(20)).iterdir()
    return path


def receipt(copy: VillageCopy) -> Path:
    """Returns the receipt of the file of the same house."""
    file = next(
        receipt["file"]
        for receipt in copy.lake.receipts("step_trainer")
        if receipt["landing"]["key"] == "step_trainer/landing/devices-05.json"
    )
    return copy.lake.bucket / "receipts" / "step_trainer" / f"{file}.json"


@pytest.mark.parametrize("file", [parquet_file, receipt])
@pytest.mark.parametrize("change", [remove, copy_beside, copy_into_a_new_folder, replace])
def test_report_counts_files_that_were_changed_by_hand(
    copy_village: Callable[..., VillageCopy],
    tmp_path: Path,
    file: Callable[[VillageCopy], Path],
    change: Callable[[Path], None],
) -> None:
    copy = copy_village()
    change(file(copy))
    # A run of the village's folder would ingest a file again whose receipt is missing.
    more = Landing(tmp_path / "more")
    more.motions("phones-more.json", motion(4, copy.village.times(4)[7], 0.25))
    run = copy.lake.run(more.folder)
    assert_counts(run, copy.lake)
    again = copy.lake.run(more.folder)
    assert (again.report["tables"], again.report["landing"]) == (run.report["tables"], run.report["landing"])
