"""Events come in any order, more than once, and in several runs: the tables do not depend on it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

import oracle
from comparison import assert_same, assert_tables
from conftest import POLICIES, Landed
from lake import Lake, changed
from landing import BEGIN, HOUR, MINUTE, SOURCES, Landing, customer, motion, step

SEEDS = range(1, 21)


@pytest.fixture(scope="module")
def expected(generated: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The SQL's tables of the generated data, in one schema per policy."""
    with duckdb.connect() as con:
        for consent in POLICIES:
            oracle.load(con, schema(consent), generated, consent)
        yield con


def schema(consent: str) -> str:
    return consent.replace("-", "_")


def assert_expected(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    lake.load(con, "found")
    try:
        assert_same(con, "found", schema(lake.consent))
    finally:
        con.execute("DROP SCHEMA found CASCADE")


@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_landing_does_not_matter(
    expected: duckdb.DuckDBPyConnection, generated: Path, land: Callable[..., Landed], seed: int
) -> None:
    consent = POLICIES[seed % 2]
    assert_expected(expected, land(generated, "--shuffle", seed, consent=consent).lake)


@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_landing_does_not_matter_for_the_reference_data(
    reference: Path, landed_once: Callable[..., Landed], land: Callable[..., Landed], seed: int
) -> None:
    with duckdb.connect() as con:
        landed_once(reference).lake.load(con, "straight")
        land(reference, "--shuffle", seed).lake.load(con, "shuffled")
        assert_same(con, "shuffled", "straight")


@pytest.mark.parametrize("consent", POLICIES)
def test_events_delivered_three_times_make_the_same_tables(
    expected: duckdb.DuckDBPyConnection, generated: Path, land: Callable[..., Landed], consent: str
) -> None:
    assert_expected(expected, land(generated, "--duplicate", 3, "--shuffle", 5, consent=consent).lake)


def test_running_again_writes_nothing(generated: Path, land: Callable[..., Landed]) -> None:
    landed = land(generated)
    before = landed.lake.versions()
    again = landed.lake.run(generated)
    assert again.report["writes"] == 0
    assert not changed(before, landed.lake.versions())
    assert again.report["tables"] == landed.run.report["tables"]


@pytest.mark.parametrize("consent", POLICIES)
@pytest.mark.parametrize("first", [*SOURCES, "one of each"])
def test_files_landed_in_two_runs_make_the_same_tables(
    expected: duckdb.DuckDBPyConnection, generated: Path, binary: Path, tmp_path: Path, first: str, consent: str
) -> None:
    lake = Lake(binary, tmp_path / "lake", consent)
    chosen = [
        path
        for source in (SOURCES if first == "one of each" else [first])
        for path in sorted((generated / source / "landing").iterdir())[: 1 if first == "one of each" else 3]
    ]
    for path in chosen:
        target = tmp_path / "landing" / path.relative_to(generated)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    lake.run(tmp_path / "landing")
    assert_tables(lake, tmp_path / "landing")
    lake.run(generated)
    assert_expected(expected, lake)


@pytest.mark.parametrize("consent", POLICIES)
def test_order_of_landing_does_not_matter_when_consent_comes_and_goes(
    tmp_path: Path, binary: Path, consent: str
) -> None:
    """Ten people whose records of different times are spread over files, at random but with a pattern per person."""
    landing = Landing(tmp_path / "landing")
    people = range(10)
    for number in range(6):
        records = []
        for person in people:
            updated = BEGIN + (number * 7 + person * 3) % 11 * HOUR
            given = (number * 5 + person) % 3 != 0
            records.append(customer(person, updated, BEGIN + (number + person) % 4 * MINUTE if given else None))
        landing.customers(f"export-{number}.json", *records)
        landing.motions(
            f"phones-{number}.json", *(motion(person, BEGIN + number * MINUTE, number) for person in people)
        )
        landing.steps(f"devices-{number}.json", *(step(person, BEGIN + number * MINUTE) for person in people))
    for seed in range(1, 6):
        lake = Lake(binary, tmp_path / f"lake-{seed}", consent)
        lake.run(landing.folder, "--shuffle", seed, "--duplicate", 2)
        assert_tables(lake, landing.folder)
