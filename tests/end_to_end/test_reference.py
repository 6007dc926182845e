"""The reference data: the published counts and every row."""

import itertools
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from checkout import COUNTS, LANDING_COUNTS
from comparison import assert_tables
from conftest import PAIRS, POLICIES, Ingestion


@pytest.fixture(params=itertools.product(POLICIES, PAIRS), ids=",".join)
def ingestion(request: pytest.FixtureRequest, reference: Path, ingest_once: Callable[..., Ingestion]) -> Ingestion:
    return ingest_once(reference, *request.param)


def test_counts_equal_the_published_ones(ingestion: Ingestion) -> None:
    counts = COUNTS[ingestion.lake.consent]
    if ingestion.lake.pairs == "same-customer":
        counts = counts | {"machine_learning_curated": counts["accelerometer_trusted"]}
    assert ingestion.run.rows() == counts


def test_pairs_of_one_customer_equal_the_published_ones(ingestion: Ingestion) -> None:
    with duckdb.connect() as con:
        ingestion.lake.load(con, "found")
        found = con.execute("SELECT count(*) FROM found.machine_learning_curated WHERE same_customer").fetchall()
    assert found == [(COUNTS[ingestion.lake.consent]["accelerometer_trusted"],)]


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
