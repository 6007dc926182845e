"""The tables do not depend on the order of events, on repeated events, or on the number of runs."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

import oracle
from comparison import assert_same, assert_tables
from conftest import POLICIES, Ingestion
from lake import Lake, changed
from landing import BEGIN, HOUR, MINUTE, SOURCES, Landing, customer, motion, step

SEEDS = range(1, 21)


@pytest.fixture(scope="module")
def expected(generated: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the SQL's tables of the generated data, in one schema per policy."""
    with duckdb.connect() as con:
        for consent in POLICIES:
            oracle.load(con, schema(consent), generated, consent, "same-instant")
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
def test_order_of_files_does_not_matter(
    expected: duckdb.DuckDBPyConnection,
    generated: Path,
    ingest: Callable[..., Ingestion],
    ingest_once: Callable[..., Ingestion],
    seed: int,
) -> None:
    consent = POLICIES[seed % 2]
    ingestion = ingest(generated, "--shuffle", seed, consent=consent)
    assert_expected(expected, ingestion.lake)
    assert ingestion.run.report["landing"] == ingest_once(generated, consent).run.report["landing"]


@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_files_does_not_matter_for_the_reference_data(
    reference: Path, ingest_once: Callable[..., Ingestion], ingest: Callable[..., Ingestion], seed: int
) -> None:
    with duckdb.connect() as con:
        ingest_once(reference).lake.load(con, "straight")
        ingest(reference, "--shuffle", seed).lake.load(con, "shuffled")
        assert_same(con, "shuffled", "straight")


@pytest.mark.parametrize("consent", POLICIES)
def test_events_delivered_three_times_give_the_same_tables(
    expected: duckdb.DuckDBPyConnection, generated: Path, ingest: Callable[..., Ingestion], consent: str
) -> None:
    assert_expected(expected, ingest(generated, "--duplicate", 3, "--shuffle", 5, consent=consent).lake)


def test_second_run_writes_nothing(generated: Path, ingest: Callable[..., Ingestion]) -> None:
    ingestion = ingest(generated)
    before = ingestion.lake.versions()
    again = ingestion.lake.run(generated)
    assert again.report["writes"] == 0
    assert not changed(before, ingestion.lake.versions())
    assert again.report["tables"] == ingestion.run.report["tables"]


@pytest.mark.parametrize("consent", POLICIES)
@pytest.mark.parametrize("first", [*SOURCES, "one of each"])
def test_files_ingested_in_two_runs_give_the_same_tables(
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
def test_order_of_files_does_not_matter_when_consent_changes(tmp_path: Path, binary: Path, consent: str) -> None:
    """Ten people have records of different times in several files, and the consent of each one changes differently."""
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
