"""The reference data: the published counts and every row."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from comparison import assert_tables
from conftest import POLICIES, Ingestion

COUNTS = {
    "ever": ((482, 40_981, 482, 14_460, 43_681), 40_981),
    "at-reading": ((482, 32_025, 464, 11_297, 34_253), 32_025),
}
LANDING_COUNTS = {"customer": (1, 956), "accelerometer": (9, 81_273), "step_trainer": (3, 28_680)}
TABLES = (
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
)


@pytest.fixture(params=POLICIES)
def ingestion(request: pytest.FixtureRequest, reference: Path, ingest_once: Callable[..., Ingestion]) -> Ingestion:
    return ingest_once(reference, request.param)


def test_counts_equal_the_published_ones(ingestion: Ingestion) -> None:
    counts, _ = COUNTS[ingestion.lake.consent]
    assert ingestion.run.rows() == dict(zip(TABLES, counts, strict=True))


def test_pairs_of_one_customer_equal_the_published_ones(ingestion: Ingestion) -> None:
    _, same_customer = COUNTS[ingestion.lake.consent]
    with duckdb.connect() as con:
        ingestion.lake.load(con, "found")
        found = con.execute("SELECT count(*) FROM found.machine_learning_curated WHERE same_customer").fetchall()
    assert found == [(same_customer,)]


def test_tables_equal_the_sql(ingestion: Ingestion) -> None:
    assert_tables(ingestion.lake, ingestion.landing)


def test_row_counts_of_landing_files_add_up(ingestion: Ingestion) -> None:
    landing = ingestion.run.report["landing"]
    for source, (files, rows) in LANDING_COUNTS.items():
        counts = landing[source]
        assert (counts["files"], counts["rows"]) == (files, rows), source
        assert counts["kept"] + counts["excluded"] + counts["quarantined"] == rows, source
        assert counts["quarantined"] == 0, source


def test_number_of_kept_rows_is_that_of_the_tables(ingestion: Ingestion) -> None:
    report = ingestion.run.report
    for source, table in {
        "customer": "customer_trusted",
        "accelerometer": "accelerometer_trusted",
        "step_trainer": "step_trainer_trusted",
    }.items():
        assert report["landing"][source]["kept"] == report["tables"][table]["rows"], source
