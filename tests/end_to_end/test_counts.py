"""The report counts what a run changed, and says what a count of everything would say."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from conftest import POLICIES, Inhabited
from lake import TABLES, Lake, Run
from landing import BEGIN, HOUR, SOURCES, Landing, customer, motion, step
from oracle import literal


def told(run: Run) -> tuple[dict, dict]:
    """What the report says of the lake."""
    return run.report["tables"], run.report["landing"]


def assert_counts(run: Run, lake: Lake) -> None:
    """The report has the rows and files that are below the bucket."""
    tables, landing = told(run)
    with duckdb.connect() as con:
        for name, table in TABLES.items():
            files = lake.table_files(table)
            listed = ", ".join(literal(path) for path in files)
            # By their content alone: what is copied in by hand may be in no partition.
            count = f"SELECT count(*) FROM read_parquet([{listed}], hive_partitioning = false)"
            rows = con.execute(count).fetchall()[0][0] if files else 0
            assert (tables[name]["rows"], tables[name]["objects"]) == (rows, len(files)), name
    for source in SOURCES:
        receipts = list(lake.receipts(source))
        assert landing[source] == {
            "files": len(receipts),
            "rows": sum(receipt["rows"] for receipt in receipts),
            "kept": sum(receipt["kept"] for receipt in receipts),
            "excluded": sum(sum(receipt["excluded"].values()) for receipt in receipts),
            "quarantined": sum(receipt["quarantined"] for receipt in receipts),
        }, source


def totals(lake: Lake) -> Path:
    return lake.folder / ".stedi" / "counts"


def counted_anew(inhabited: Inhabited) -> tuple[dict, dict]:
    totals(inhabited.lake).unlink()
    run = inhabited.land()
    assert_counts(run, inhabited.lake)
    return told(run)


def assert_as_counted_anew(run: Run, inhabited: Inhabited) -> None:
    assert told(run) == counted_anew(inhabited)


TOO_MANY = 1_000_000


def add_too_many(lake: Lake) -> None:
    """To the rows of each table: whoever counts everything does not tell of them."""
    kept = json.loads(totals(lake).read_text())
    for counts in kept["totals"]["tables"].values():
        counts[0] += TOO_MANY
    totals(lake).write_text(json.dumps(kept))


def motions(inhabited: Inhabited) -> None:
    """Of people of several hours, in which there are motions and steps of them."""
    village = inhabited.village
    village.motions("phones-more.json", *(motion(person, village.times(person)[5], 0.25) for person in (0, 20, 78)))


def steps(inhabited: Inhabited) -> None:
    village = inhabited.village
    village.steps("devices-more.json", *(step(person, village.times(person)[5], 300) for person in (4, 6, 60)))


def motions_of_nobody(inhabited: Inhabited) -> None:
    """Of people without consent, or of whom nothing is known."""
    village = inhabited.village
    village.motions("phones-more.json", *(motion(person, village.hour(0)) for person in (1, 3, 99)))


def nothing(_: Inhabited) -> None:
    pass


def motions_of_another_hour(inhabited: Inhabited) -> None:
    inhabited.village.motions("phones-more.json", motion(0, BEGIN + 500 * HOUR), motion(2, BEGIN + 500 * HOUR))


def customers_again(inhabited: Inhabited) -> None:
    village = inhabited.village
    village.customers("customers-1.json", *(village.registered(person) for person in range(village.PEOPLE)))


def consent(inhabited: Inhabited) -> None:
    """Of a few people, given or withdrawn: what was derived of them before is derived anew."""
    given = (customer(person, BEGIN + HOUR, BEGIN) for person in (1, 41))
    inhabited.village.customers("customers-1.json", *given, customer(0, BEGIN + HOUR))


LANDS = [motions, steps, motions_of_nobody, nothing, motions_of_another_hour, customers_again, consent]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("land", LANDS)
def test_the_report_costs_by_what_the_run_changed(
    settle: Callable[..., Inhabited], land: Callable[[Inhabited], None], policy: str
) -> None:
    inhabited = settle(policy)
    add_too_many(inhabited.lake)
    land(inhabited)
    tables, landing = told(inhabited.land())
    for table in tables.values():
        table["rows"] -= TOO_MANY
    assert (tables, landing) == counted_anew(inhabited)


def test_the_first_run_counts_what_it_stores(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle()
    shutil.rmtree(inhabited.lake.folder)
    assert_as_counted_anew(inhabited.land(), inhabited)


def test_totals_stay_right_over_many_runs(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle()
    for land in (motions, consent, steps, nothing, motions_of_another_hour):
        land(inhabited)
        assert_counts(inhabited.land(), inhabited.lake)
    assert_as_counted_anew(inhabited.land(), inhabited)


def test_what_a_run_stores_again_and_again_is_counted_once(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle()
    for file in range(1, 4):
        inhabited.village.customers(f"customers-{file}.json", customer(1, BEGIN + file * HOUR, BEGIN + file))
    # One by one.
    run = inhabited.lake.run(inhabited.village.folder, "--shuffle", 1)
    assert_as_counted_anew(run, inhabited)


def remove(path: Path) -> None:
    path.unlink()


def copy_beside(path: Path) -> None:
    shutil.copy(path, path.with_stem("by-hand"))


def copy_into_a_new_folder(path: Path) -> None:
    folder = path.parent / "by-hand"
    folder.mkdir()
    shutil.copy(path, folder)


def replace(path: Path) -> None:
    """By a rename, as careful tools do it."""
    other = next(other for other in sorted(path.parent.parent.rglob(f"*{path.suffix}")) if other != path)
    copy = path.with_suffix(".new")
    shutil.copy(other, copy)
    os.replace(copy, path)


def parquet_file(inhabited: Inhabited) -> Path:
    """Of a house of which nothing lands any more."""
    table = TABLES["step_trainer_trusted"]
    (path,) = (inhabited.lake.bucket / table.folder / inhabited.village.partition(20)).iterdir()
    return path


def receipt(inhabited: Inhabited) -> Path:
    return next((inhabited.lake.bucket / "receipts" / "step_trainer").glob("devices-05-*.json"))


@pytest.mark.parametrize("file", [parquet_file, receipt])
@pytest.mark.parametrize("change", [remove, copy_beside, copy_into_a_new_folder, replace])
def test_what_is_changed_by_hand_is_seen_by_the_next_run(
    settle: Callable[..., Inhabited],
    tmp_path: Path,
    file: Callable[[Inhabited], Path],
    change: Callable[[Path], None],
) -> None:
    inhabited = settle()
    change(file(inhabited))
    # Another folder, since a file whose receipt is missing lands once more.
    more = Landing(tmp_path / "more")
    more.motions("phones-more.json", motion(4, inhabited.village.times(4)[7], 0.25))
    run = inhabited.lake.run(more.folder)
    assert_counts(run, inhabited.lake)
    # And once it is counted, it stays so.
    again = inhabited.lake.run(more.folder)
    assert told(again) == told(run)


def test_run_that_was_refused_leaves_no_totals(settle: Callable[..., Inhabited]) -> None:
    inhabited = settle("ever")
    assert totals(inhabited.lake).exists()
    inhabited.lake.consent = "at-reading"
    assert inhabited.lake.attempt(inhabited.village.folder).returncode == 1
    assert not totals(inhabited.lake).exists()
    inhabited.lake.consent = "ever"
    motions(inhabited)
    assert_as_counted_anew(inhabited.land(), inhabited)
