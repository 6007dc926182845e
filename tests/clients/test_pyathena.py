"""PyAthena: cursors, parameters, errors, cancellation."""

import datetime
import decimal
import threading
from collections.abc import Iterator
from typing import Any

import duckdb
import pandas
import pyathena.error
import pytest
from pyathena.async_cursor import AsyncCursor
from pyathena.connection import Connection
from pyathena.cursor import DictCursor
from pyathena.pandas.cursor import PandasCursor

from stack import Stack
from up import until

CUSTOMERS = "SELECT email, registrationdate FROM customer_trusted ORDER BY email LIMIT 5"
# Takes hours and little memory.
ENDLESS = "SELECT sum(a.x * b.y * c.z) FROM accelerometer_landing a, accelerometer_landing b, accelerometer_landing c"


@pytest.fixture
def connection(exported: Stack) -> Iterator[Connection[Any]]:
    with exported.athena() as connection:
        yield connection


@pytest.fixture
def customers(expected: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return expected.execute(CUSTOMERS).fetchall()


def test_cursor_returns_rows_in_order(connection: Connection[Any], customers: list[tuple[Any, ...]]) -> None:
    cursor = connection.cursor()
    cursor.execute(CUSTOMERS)
    assert [(column[0], column[1]) for column in cursor.description] == [
        ("email", "varchar"),
        ("registrationdate", "bigint"),
    ]
    assert cursor.fetchone() == customers[0]
    assert cursor.fetchmany(2) == customers[1:3]
    assert list(cursor) == customers[3:]
    assert cursor.fetchone() is None
    assert cursor.state == "SUCCEEDED"
    assert cursor.data_scanned_in_bytes > 0
    assert cursor.output_location.startswith("s3://")


def test_dictionary_cursor_names_the_columns(connection: Connection[Any], customers: list[tuple[Any, ...]]) -> None:
    rows = connection.cursor(DictCursor).execute(CUSTOMERS).fetchall()
    assert rows == [{"email": email, "registrationdate": date} for email, date in customers]


def test_result_of_many_pages_is_complete(connection: Connection[Any], expected: duckdb.DuckDBPyConnection) -> None:
    """A page has at most 1,000 rows; only the first page has the header."""
    sql = 'SELECT "timestamp", "user", x FROM accelerometer_landing ORDER BY 1, 2, 3 LIMIT 5500'
    assert connection.cursor().execute(sql).fetchall() == expected.execute(sql).fetchall()


@pytest.mark.parametrize("options", [{}, {"unload": True}, {"chunksize": 1000}])
def test_pandas_cursor_returns_all_rows(
    exported: Stack, bucket: str, expected: duckdb.DuckDBPyConnection, options: dict[str, Any]
) -> None:
    sql = "SELECT sensorreadingtime, distancefromobject, x, same_customer, dt FROM machine_learning_curated"
    # UNLOAD needs an output location of the client.
    with exported.athena(s3_staging_dir=f"s3://{bucket}/results/") as connection:
        found = connection.cursor(PandasCursor, **options).execute(sql).as_pandas()
        if options.get("chunksize"):
            frames = list(found)
            assert len(frames) > 1
            found = pandas.concat(frames)
    totals = "count(*), sum(sensorreadingtime), sum(distancefromobject), count(*) FILTER (WHERE same_customer), max(dt)"
    rows = expected.execute(f"SELECT {totals} FROM ({sql})").fetchall()[0]
    assert rows == (
        len(found),
        found["sensorreadingtime"].sum(),
        found["distancefromobject"].sum(),
        found["same_customer"].sum(),
        found["dt"].max(),
    )


def test_query_parameters(connection: Connection[Any], customers: list[tuple[Any, ...]]) -> None:
    sql = "SELECT email FROM customer_trusted WHERE email = {} AND registrationdate >= {}"
    email, date = customers[2]
    cursor = connection.cursor()
    assert cursor.execute(sql.format("%(email)s", "%(date)d"), {"email": email, "date": date}).fetchall() == [(email,)]
    for text in (email, "o'hara", "?", "%", "\\"):
        values = [f"'{text.replace(chr(39), chr(39) * 2)}'", str(date)]
        found = cursor.execute(sql.format("?", "?"), values, paramstyle="qmark").fetchall()
        assert found == ([(email,)] if text == email else [])


def test_sql_types_become_python_types(connection: Connection[Any]) -> None:
    values = {
        "CAST(1 AS tinyint)": 1,
        "CAST(1 AS bigint)": 1,
        "1.5e0": 1.5,
        "CAST(1.25 AS decimal(5, 2))": decimal.Decimal("1.25"),
        "'text, \"quoted\"\nwith a line'": 'text, "quoted"\nwith a line',
        "''": "",
        "CAST(NULL AS varchar)": None,
        "true": True,
        "date '2022-06-18'": datetime.date(2022, 6, 18),
        "timestamp '2022-06-18 14:00:00.123'": datetime.datetime(2022, 6, 18, 14, 0, 0, 123_000),
        "7 / 2": 3,
        "from_unixtime(0)": datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
    }
    columns = ", ".join(f"{value} AS c{number}" for number, value in enumerate(values))
    row = connection.cursor().execute(f"SELECT {columns}").fetchone()
    for (sql, wanted), found in zip(values.items(), row, strict=True):
        assert found == wanted, sql


def test_names_are_case_insensitive(connection: Connection[Any]) -> None:
    cursor = connection.cursor()
    cursor.execute('SELECT "User", USER, Timestamp, "timestamp" FROM Stedi.Accelerometer_Trusted LIMIT 1')
    (row,) = cursor.fetchall()
    assert row[0] == row[1]
    assert row[2] == row[3]
    cursor.execute('SELECT count(*), max(email) AS "Last" FROM "awsdatacatalog"."stedi"."customer_trusted"')
    assert [column[0] for column in cursor.description] == ["_col0", "Last"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nothing FROM customer_trusted", "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved"),
        ("SELECT 1 FROM nowhere", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.stedi.nowhere' does not exist"),
        ("SELECT 1 FROM missing.nowhere", "SCHEMA_NOT_FOUND: line 1:15: Schema 'missing' does not exist"),
        ("SELECT no_such_function(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'no_such_function' not registered"),
    ],
)
def test_failed_query_has_the_error_text_of_athena(connection: Connection[Any], sql: str, message: str) -> None:
    with pytest.raises(pyathena.error.OperationalError) as caught:
        connection.cursor().execute(sql)
    assert message in str(caught.value)


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT 1; SELECT 2", "SELECT (1", "SELECT 'open"])
def test_invalid_sql_is_refused(connection: Connection[Any], sql: str) -> None:
    with pytest.raises(pyathena.error.DatabaseError) as caught:
        connection.cursor().execute(sql)
    assert "InvalidRequestException" in str(caught.value) or "Parameter validation" in str(caught.value)


def test_cancelled_query_ends(connection: Connection[Any]) -> None:
    cursor = connection.cursor()
    outcome: list[Exception] = []

    def run() -> None:
        try:
            cursor.execute(ENDLESS)
        except pyathena.error.Error as error:
            outcome.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    until(lambda: cursor.query_id is not None, "the query to be started")
    cursor.cancel()
    runner.join(60)
    assert not runner.is_alive()
    assert outcome
    ended = connection.client.get_query_execution(QueryExecutionId=cursor.query_id)["QueryExecution"]
    assert ended["Status"]["State"] == "CANCELLED"


def test_concurrent_queries(exported: Stack) -> None:
    with exported.athena(cursor_class=AsyncCursor) as connection:
        cursor = connection.cursor(max_workers=8)
        futures = [cursor.execute(f"SELECT {number}, count(*) FROM customer_landing")[1] for number in range(12)]
        rows = [future.result(60).fetchone() for future in futures]
    assert [row[0] for row in rows] == list(range(12))
    assert len({row[1] for row in rows}) == 1


def test_statements_show_the_catalog(connection: Connection[Any]) -> None:
    cursor = connection.cursor()
    tables = {row[0] for row in cursor.execute("SHOW TABLES").fetchall()}
    assert {"customer_landing", "customer_trusted", "accelerometer_trusted", "machine_learning_curated"} <= tables
    assert ("stedi",) in cursor.execute("SHOW DATABASES").fetchall()
    partitions = cursor.execute("SHOW PARTITIONS accelerometer_trusted").fetchall()
    assert partitions
    assert all(row[0].startswith("dt=") and "/hour=" in row[0] for row in partitions)
    columns = cursor.execute("""
        SELECT column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'stedi' AND table_name = 'accelerometer_trusted' ORDER BY ordinal_position""").fetchall()
    assert columns[:3] == [("user", "varchar"), ("timestamp", "bigint"), ("x", "double")]
    described = "\n".join(row[0] for row in cursor.execute("DESCRIBE customer_trusted").fetchall())
    assert "email" in described
    assert [column.name for column in cursor.get_table_metadata("customer_trusted").columns][:2] == [
        "customername",
        "email",
    ]


def test_results_outlive_the_process(start: Any, exported: Stack) -> None:
    stack = start()
    athena = stack.client("athena")
    query = athena.start_query_execution(QueryString="SELECT 1 AS one UNION ALL SELECT 2 ORDER BY 1")[
        "QueryExecutionId"
    ]

    def state() -> str:
        return athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"]

    until(lambda: state() == "SUCCEEDED", "the query")
    before = athena.get_query_results(QueryExecutionId=query)["ResultSet"]
    assert [row["Data"][0]["VarCharValue"] for row in before["Rows"]] == ["one", "1", "2"]
    assert stack.end() == 0
    athena = start(lake=stack.lake).client("athena")
    assert state() == "SUCCEEDED"
    assert athena.get_query_results(QueryExecutionId=query)["ResultSet"] == before
    assert query in athena.list_query_executions()["QueryExecutionIds"]
