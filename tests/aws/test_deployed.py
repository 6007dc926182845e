"""The deployed lake ingests the reference data: boto3 uploads, functions run in their roles, awswrangler reads
tables."""

import json
from collections.abc import Iterator
from pathlib import Path

import awswrangler
import duckdb
import pytest

import oracle
from comparison import assert_adds_up, assert_same
from checkout import COUNTS, LANDING_COUNTS
from conftest import SECONDS
from deployed_lake import DeployedLake
from deployment import SOURCE
from lake import TABLES


@pytest.fixture(scope="module")
def con(lake: DeployedLake, reference: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the lake's tables (`found`) and the SQL's over the landing files (`expected`)."""
    with duckdb.connect() as con:
        oracle.load(con, "expected", reference, "ever", "same-instant")
        lake.load(con, "found")
        yield con


def test_tables_are_registered(lake: DeployedLake) -> None:
    tables = awswrangler.catalog.tables(database=lake.deployment.database, boto3_session=lake.session)
    declared = json.loads((SOURCE / "tables.json").read_text())["tables"]
    assert set(tables["Table"]) == set(declared)
    assert set(TABLES) <= set(declared)


@pytest.mark.parametrize("name", TABLES)
def test_counts_equal_the_published_ones(con: duckdb.DuckDBPyConnection, name: str) -> None:
    assert con.execute(f"SELECT count(*) FROM found.{name}").fetchall() == [(COUNTS["ever"][name],)]


def test_pairs_of_one_customer_equal_the_published_ones(con: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT count(*) FROM found.machine_learning_curated WHERE same_customer"
    assert con.execute(query).fetchall() == [(COUNTS["ever"]["accelerometer_trusted"],)]


def test_tables_equal_the_sql(con: duckdb.DuckDBPyConnection) -> None:
    assert_same(con, "found", "expected")


@pytest.mark.parametrize("name", [table.name for table in TABLES.values() if table.partitioned])
def test_partitions_are_registered_where_their_objects_are(lake: DeployedLake, name: str) -> None:
    table = TABLES[name]
    keys = [key for key in lake.versions(f"{table.folder}/") if key.endswith(".parquet")]
    folders = {key.rsplit("/", 1)[0] for key in keys}
    registered = lake.partitions(name)
    assert {location.removeprefix(f"s3://{lake.bucket}/").rstrip("/") for location in registered.values()} == folders
    assert set(registered) == {"/".join(part.split("=")[1] for part in folder.split("/")[-2:]) for folder in folders}


def test_row_counts_of_landing_files_add_up(lake: DeployedLake) -> None:
    receipts = lake.receipts()
    for source, (files, rows) in LANDING_COUNTS.items():
        own = [receipt for receipt in receipts if receipt["source"] == source]
        assert (len(own), sum(receipt["rows"] for receipt in own)) == (files, rows), source
        for receipt in own:
            assert_adds_up(receipt)


def test_every_invocation_succeeds(lake: DeployedLake) -> None:
    """A message may be delivered again, but no function crashed, exceeded its time limit or was denied access."""
    handled = lake.sources.handled()
    assert {one.function for one in handled} == {
        function["function_name"] for function in lake.deployment.outputs["functions"].values()
    }
    assert [one.outcome.error for one in handled if one.outcome.error] == []
    assert not any("AccessDenied" in line for line in lake.sources.errors())


def test_delivering_all_events_again_writes_nothing(lake: DeployedLake) -> None:
    before = lake.versions()
    for one in lake.sources.handled():
        for record in one.event["Records"]:
            lake.sqs.send_message(QueueUrl=one.queue_url, MessageBody=record["body"])
    lake.wait()
    assert lake.versions() == before


def test_uploading_the_same_files_again_changes_no_row(lake: DeployedLake, reference: Path) -> None:
    """The same bytes have the same ETag. Only of a customer file, when it was stored is part of its version: it may end a
    suspension. Shards of `customer_curated` name the versions of those of `customer_trusted`, and checkpoints follow both."""
    before = lake.versions()
    lake.upload(reference)
    lake.wait()
    changed = {key for key, version in lake.versions().items() if before.get(key) != version}
    landing = {key for key in before if key.split("/")[1] == "landing"}
    assert landing <= changed
    of_file = ("_state/manifests/customer/", "receipts/customer/")
    expected = ("customer/trusted/", "customer/curated/", "_state/checkpoints/", *of_file)
    assert not {key for key in changed - landing if not key.startswith(expected)}


def test_second_plan_has_no_changes(lake: DeployedLake) -> None:
    """The objects and partitions of the functions are not changes for Terraform."""
    done = lake.deployment.terraform.attempt("plan", "-detailed-exitcode", "-input=false", "-parallelism=40")
    assert done.returncode == 0, done.stdout[-6000:]


def test_deployment_and_ingestion_take_minutes(lake: DeployedLake, pytestconfig: pytest.Config) -> None:
    """The limit is generous, for machines with other work."""
    assert sum(pytestconfig.stash[SECONDS].values()) < 300
