"""The reference data: the published counts, and every row."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from comparison import assert_tables
from conftest import POLICIES, Landed

COUNTS = {
    "ever": ((482, 40_981, 482, 14_460, 43_681), 40_981),
    "at-reading": ((482, 32_025, 464, 11_297, 34_253), 32_025),
}
LANDED = {"customer": (1, 956), "accelerometer": (9, 81_273), "step_trainer": (3, 28_680)}
TABLES = (
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
)


@pytest.fixture(params=POLICIES)
def landed(request: pytest.FixtureRequest, reference: Path, landed_once: Callable[..., Landed]) -> Landed:
    return landed_once(reference, request.param)


def test_counts_are_the_published_ones(landed: Landed) -> None:
    counts, _ = COUNTS[landed.lake.consent]
    assert landed.run.rows() == dict(zip(TABLES, counts, strict=True))


def test_pairs_of_one_customer_are_the_published_ones(landed: Landed) -> None:
    _, same_customer = COUNTS[landed.lake.consent]
    with duckdb.connect() as con:
        landed.lake.load(con, "found")
        found = con.execute("SELECT count(*) FROM found.machine_learning_curated WHERE same_customer").fetchall()
    assert found == [(same_customer,)]


def test_rows_are_those_of_the_sql(landed: Landed) -> None:
    assert_tables(landed.lake, landed.landing)


def test_accounts_of_landing_add_up(landed: Landed) -> None:
    landing = landed.run.report["landing"]
    for source, (files, rows) in LANDED.items():
        account = landing[source]
        assert (account["files"], account["rows"]) == (files, rows), source
        assert account["kept"] + account["excluded"] + account["quarantined"] == rows, source
        assert account["quarantined"] == 0, source


def test_kept_rows_are_the_rows_of_the_tables(landed: Landed) -> None:
    report = landed.run.report
    for source, table in {
        "customer": "customer_trusted",
        "accelerometer": "accelerometer_trusted",
        "step_trainer": "step_trainer_trusted",
    }.items():
        assert report["landing"][source]["kept"] == report["tables"][table]["rows"], source
