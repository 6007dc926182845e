"""awswrangler: the catalog, whole tables, new data sets, and its three ways of running queries."""

from collections.abc import Iterator
from typing import Any

import awswrangler
import duckdb
import pandas
import pytest

from lake import TABLES
from stack import Stack
from test_objects import refused


@pytest.fixture
def session(exported: Stack) -> Any:
    return exported.session


@pytest.fixture
def database(session: Any, bucket: str) -> Iterator[str]:
    name = bucket.replace("-", "_")
    awswrangler.catalog.create_database(name, boto3_session=session)
    yield name
    awswrangler.catalog.delete_database(name, boto3_session=session)


def test_catalog_has_tables_and_partitions(session: Any) -> None:
    assert "stedi" in awswrangler.catalog.databases(boto3_session=session)["Database"].to_list()
    tables = awswrangler.catalog.tables(database="stedi", boto3_session=session)
    assert {*TABLES, "customer_landing"} <= set(tables["Table"])
    for table in TABLES.values():
        found = awswrangler.catalog.table("stedi", table.name, boto3_session=session)
        assert found["Column Name"].to_list() == list(table.columns)
        assert found[found["Partition"]]["Column Name"].to_list() == (["dt", "hour"] if table.partitioned else [])
        location = awswrangler.catalog.get_table_location("stedi", table.name, boto3_session=session)
        assert location.rstrip("/").endswith(table.folder)
    partitions = awswrangler.catalog.get_parquet_partitions("stedi", "accelerometer_trusted", boto3_session=session)
    assert partitions
    dt, hour = sorted(partitions.values())[0]
    some = awswrangler.catalog.get_partitions(
        "stedi", "accelerometer_trusted", expression=f"dt='{dt}' AND hour='{hour}'", boto3_session=session
    )
    assert list(some.values()) == [[dt, hour]]


@pytest.mark.parametrize("table", TABLES)
def test_whole_table_has_all_rows(table: str, session: Any, counts: dict[str, int]) -> None:
    frame = awswrangler.s3.read_parquet_table(table, "stedi", boto3_session=session)
    assert len(frame) == counts[table]
    assert set(frame.columns) == set(TABLES[table].columns)


def test_partition_filter_reads_one_partition(session: Any, expected: duckdb.DuckDBPyConnection) -> None:
    (dt, hour, count) = expected.execute("""
        SELECT dt, hour, count(*) FROM step_trainer_trusted GROUP BY ALL ORDER BY dt, hour LIMIT 1""").fetchall()[0]
    frame = awswrangler.s3.read_parquet_table(
        "step_trainer_trusted",
        "stedi",
        partition_filter=lambda values: values == {"dt": dt, "hour": hour},
        boto3_session=session,
    )
    assert len(frame) == count


def test_new_data_set_is_written_and_queried(session: Any, bucket: str, database: str) -> None:
    frame = pandas.DataFrame(
        {
            "id": range(30),
            "value": [number / 4 for number in range(30)],
            "name": [f"name, {number}" if number % 3 else None for number in range(30)],
            "day": [f"2024-05-{13 + number % 3}" for number in range(30)],
        }
    )
    where = {"path": f"s3://{bucket}/set/", "database": database, "table": "readings", "boto3_session": session}
    written = awswrangler.s3.to_parquet(frame, dataset=True, partition_cols=["day"], **where)
    assert len(written["paths"]) == 3
    ask = {"database": database, "boto3_session": session, "ctas_approach": False}
    sql = "SELECT day, count(*) AS n, sum(value) AS total, count(name) AS named FROM readings GROUP BY day ORDER BY day"
    found = awswrangler.athena.read_sql_query(sql, **ask)
    assert found.to_dict("list") == {
        "day": ["2024-05-13", "2024-05-14", "2024-05-15"],
        "n": [10, 10, 10],
        "total": [33.75, 36.25, 38.75],
        "named": [0, 10, 10],
    }
    awswrangler.s3.to_parquet(frame, dataset=True, partition_cols=["day"], mode="append", **where)
    assert awswrangler.athena.read_sql_query("SELECT count(*) AS n FROM readings", **ask)["n"].to_list() == [60]
    options = {"partition_cols": ["day"], "mode": "overwrite_partitions"}
    awswrangler.s3.to_parquet(frame[frame["day"] == "2024-05-13"], dataset=True, **options, **where)
    assert awswrangler.athena.read_sql_query("SELECT count(*) AS n FROM readings", **ask)["n"].to_list() == [50]
    assert awswrangler.catalog.delete_table_if_exists(database, "readings", boto3_session=session)
    awswrangler.s3.delete_objects(f"s3://{bucket}/set/", boto3_session=session)
    assert awswrangler.s3.list_objects(f"s3://{bucket}/", boto3_session=session) == []


WAYS = {
    "a table of the results": {},
    "no table": {"ctas_approach": False},
    "unload": {"ctas_approach": False, "unload_approach": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_query_gives_the_rows_of_duckdb(
    way: str, session: Any, bucket: str, expected: duckdb.DuckDBPyConnection
) -> None:
    options = dict(WAYS[way])
    if way != "no table":
        options["s3_output"] = f"s3://{bucket}/results/"
    sql = """
        SELECT c.email, count(*) AS readings, min(a.x) AS lowest, max(a."timestamp") AS latest
        FROM customer_curated c JOIN accelerometer_trusted a ON a."user" = c.email GROUP BY c.email"""
    before = set(awswrangler.catalog.tables(database="stedi", limit=1000, boto3_session=session)["Table"])
    frame = awswrangler.athena.read_sql_query(sql, database="stedi", boto3_session=session, **options)
    wanted = expected.execute(sql).fetchall()
    assert sorted(frame.itertuples(index=False, name=None)) == sorted(wanted)
    # No temporary table stays in the catalog.
    assert set(awswrangler.catalog.tables(database="stedi", limit=1000, boto3_session=session)["Table"]) == before


@pytest.mark.parametrize("way", WAYS)
def test_query_in_chunks_gives_all_rows(way: str, session: Any, bucket: str, counts: dict[str, int]) -> None:
    options = WAYS[way] | {"s3_output": f"s3://{bucket}/results/", "chunksize": 5000}
    frames = awswrangler.athena.read_sql_query(
        'SELECT "user", x, dt, hour FROM accelerometer_trusted', database="stedi", boto3_session=session, **options
    )
    sizes = [len(frame) for frame in frames]
    assert sum(sizes) == counts["accelerometer_trusted"]
    assert len(sizes) > 1


def test_query_parameters(session: Any, expected: duckdb.DuckDBPyConnection) -> None:
    ((email,),) = expected.execute("SELECT min(email) FROM customer_trusted").fetchall()
    for style, parameter, values in (("named", ":email", {"email": email}), ("qmark", "?", [f"'{email}'"])):
        frame = awswrangler.athena.read_sql_query(
            f"SELECT count(*) AS n FROM customer_trusted WHERE email = {parameter}",
            database="stedi",
            ctas_approach=False,
            params=values,
            paramstyle=style,
            boto3_session=session,
        )
        assert frame["n"].to_list() == [1], style


def test_whole_table_by_query(session: Any, bucket: str, counts: dict[str, int]) -> None:
    frame = awswrangler.athena.read_sql_table(
        "customer_trusted", "stedi", s3_output=f"s3://{bucket}/results/", boto3_session=session
    )
    assert len(frame) == counts["customer_trusted"]


def test_errors_have_the_text_of_athena(session: Any) -> None:
    with pytest.raises(awswrangler.exceptions.QueryFailed, match="TABLE_NOT_FOUND: line 1:15"):
        awswrangler.athena.read_sql_query(
            "SELECT 1 FROM nowhere", database="stedi", ctas_approach=False, boto3_session=session
        )


def test_repair_registers_partitions(session: Any, bucket: str, database: str) -> None:
    """A table shows files of a new partition only after `MSCK REPAIR TABLE`."""
    frame = pandas.DataFrame({"id": [1, 2]})
    where = {"database": database, "boto3_session": session}
    awswrangler.catalog.create_parquet_table(
        table="late",
        path=f"s3://{bucket}/late/",
        columns_types={"id": "bigint"},
        partitions_types={"day": "string"},
        **where,
    )
    awswrangler.s3.to_parquet(frame, f"s3://{bucket}/late/day=a/1.parquet", boto3_session=session)

    def rows() -> list[int]:
        sql = "SELECT count(*) AS n FROM late"
        return awswrangler.athena.read_sql_query(sql, ctas_approach=False, **where)["n"].to_list()

    assert rows() == [0]
    assert awswrangler.athena.repair_table("late", **where) == "SUCCEEDED"
    assert rows() == [2]
    text = awswrangler.athena.show_create_table("late", **where)
    assert "CREATE EXTERNAL TABLE" in text
    assert f"s3://{bucket}/late" in text
    assert (
        refused(session.client("glue").get_table, DatabaseName=database, Name="never")[0] == "EntityNotFoundException"
    )


def test_create_table_as_select(session: Any, bucket: str, database: str, expected: duckdb.DuckDBPyConnection) -> None:
    awswrangler.athena.create_ctas_table(
        sql="SELECT email, serialnumber, registrationdate FROM stedi.customer_curated",
        database=database,
        ctas_table="copied",
        ctas_database=database,
        s3_output=f"s3://{bucket}/ctas/",
        storage_format="parquet",
        write_compression="snappy",
        wait=True,
        boto3_session=session,
    )
    frame = awswrangler.s3.read_parquet_table("copied", database, boto3_session=session)
    wanted = expected.execute("SELECT email, serialnumber, registrationdate FROM customer_curated").fetchall()
    assert sorted(frame.itertuples(index=False, name=None)) == sorted(wanted)
