"""Generated data of the reference data's size: tables, columns, partitions and order of rows."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from comparison import assert_equal_lakes, assert_tables
from conftest import POLICIES, Ingestion
from lake import TABLES, Lake

ARROW = {
    "VARCHAR": pyarrow.string(),
    "BIGINT": pyarrow.int64(),
    "INTEGER": pyarrow.int32(),
    "DOUBLE": pyarrow.float64(),
    "BOOLEAN": pyarrow.bool_(),
}


@pytest.mark.parametrize("consent", POLICIES)
def test_tables_equal_the_sql(generated: Path, ingest_once: Callable[..., Ingestion], consent: str) -> None:
    ingestion = ingest_once(generated, consent)
    assert_tables(ingestion.lake, generated)


def test_every_table_has_rows_and_some_pairs_are_of_two_customers(
    generated: Path, ingest_once: Callable[..., Ingestion]
) -> None:
    rows = ingest_once(generated).run.rows()
    assert min(rows.values()) > 400, rows
    assert rows["customer_curated"] < rows["customer_trusted"], "some customers consent and have no motion"
    assert rows["machine_learning_curated"] > rows["accelerometer_trusted"], "some times are shared"


def test_files_have_the_columns_of_their_table(generated: Path, ingest_once: Callable[..., Ingestion]) -> None:
    lake = ingest_once(generated).lake
    for table in TABLES.values():
        expected = {name: ARROW[kind] for name, kind in table.columns.items() if name not in ("dt", "hour")}
        files = lake.table_files(table)
        assert files, table.name
        for path in files:
            schema = pyarrow.parquet.read_schema(path)
            assert dict(zip(schema.names, schema.types, strict=True)) == expected, path


def test_only_tables_of_readings_are_partitioned(generated: Path, ingest_once: Callable[..., Ingestion]) -> None:
    ingestion = ingest_once(generated)
    for table in TABLES.values():
        folders = {
            path.parent.relative_to(ingestion.lake.bucket / table.folder) for path in ingestion.lake.table_files(table)
        }
        if table.partitioned:
            assert {folder.as_posix() for folder in folders} == {"dt=2024-03-09/hour=06", "dt=2024-03-09/hour=07"}
        else:
            assert folders == {Path()}
        assert ingestion.run.report["tables"][table.name]["partitions"] == (2 if table.partitioned else 0), table.name


def test_rows_in_a_file_are_sorted(generated: Path, ingest_once: Callable[..., Ingestion]) -> None:
    """A cell of readings has the rows of one landing file after the other, each sorted."""
    lake = ingest_once(generated).lake
    for table in TABLES.values():
        by = next(name for name in ("timestamp", "sensorreadingtime", "email") if name in table.columns)
        source = table.name.removesuffix("_trusted")
        files = len(list(lake.receipts(source))) if source in ("accelerometer", "step_trainer") else 1
        for path in lake.table_files(table):
            values = pyarrow.parquet.ParquetFile(path).read([by]).column(by).to_pylist()
            starts = sum(earlier > later for earlier, later in itertools.pairwise(values)) + 1
            assert starts <= files, path


def test_number_of_generated_customers_is_an_option(
    generate: Callable[..., Path], ingest: Callable[..., Ingestion]
) -> None:
    for customers in (1, 7, 1000):
        landing = generate("--customers", customers, "--seed", 3)
        ingestion = ingest(landing)
        assert ingestion.run.report["landing"]["customer"]["rows"] == customers
        assert_tables(ingestion.lake, landing)


def test_same_seed_generates_the_same_files(generate: Callable[..., Path]) -> None:
    def files(*options: object) -> dict[str, bytes]:
        folder = generate(*options)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    options = ("--customers", 20, "--dirty", "--seed")
    assert files(*options, 1) == files(*options, 1)
    assert files(*options, 1) != files(*options, 2)


def test_run_without_landing_folder_generates_its_own(lake: Lake) -> None:
    run = lake.attempt("--json")
    assert run.returncode == 0, run.stderr
    assert run.report["landing"]["customer"]["rows"] == 956
    # The lake keeps the landing files, so the SQL can run over it.
    assert_tables(lake, lake.bucket)


def test_lake_keeps_the_bytes_of_landing_files(generated: Path, ingest_once: Callable[..., Ingestion]) -> None:
    lake = ingest_once(generated).lake
    for path in generated.rglob("*.json"):
        assert (lake.bucket / path.relative_to(generated)).read_bytes() == path.read_bytes(), path


def test_same_files_give_the_same_bytes_of_the_training_table(
    generated: Path, ingest_once: Callable[..., Ingestion], ingest: Callable[..., Ingestion]
) -> None:
    def without_footers(lake: Lake) -> dict[str, bytes]:
        """Returns the bytes of each file before its footer, which names versions of the cells."""
        files = {path.relative_to(lake.bucket).as_posix(): path.read_bytes() for path in lake.table_files(table)}
        # The last eight bytes are the length of the footer and the magic bytes.
        return {key: body[: -8 - int.from_bytes(body[-8:-4], "little")] for key, body in files.items()}

    table = TABLES["machine_learning_curated"]
    one, other = ingest_once(generated).lake, ingest(generated).lake
    assert_equal_lakes(one, other)
    assert without_footers(one) == without_footers(other)
    assert all(len(body) > 1000 for body in without_footers(one).values())
