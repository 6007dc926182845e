"""Uploads by `aws s3 sync`, queries by PyAthena, and compares every answer with DuckDB's on the same files."""

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pandas
import pytest
from pyathena.pandas.cursor import PandasCursor

from checkout import COUNTS, LANDING_COUNTS
from lake import TABLES
from stack import Stack

# Of the reference data under the policy `ever`.
ROWS = {f"{source}_landing": rows for source, (_, rows) in LANDING_COUNTS.items()} | COUNTS["ever"]

CONSENT_CHECK = """
    SELECT count(*)
    FROM {table} r
    LEFT JOIN (
        SELECT email, sharewithresearchasofdate,
               row_number() OVER (
                   PARTITION BY email
                   ORDER BY coalesce(lastupdatedate, registrationdate, 0) DESC, coalesce(sharewithresearchasofdate, 0)
               ) AS age
        FROM customer_landing
    ) c ON c.email = r.{person} AND c.age = 1
    WHERE coalesce(c.sharewithresearchasofdate, 0) = 0"""

# SQL that means the same to Athena and DuckDB, with ordered rows.
QUERIES = {
    "the join": """
        SELECT s.sensorreadingtime, s.distancefromobject, a.x, a.y, a.z, s."user" = a."user" AS same_customer
        FROM step_trainer_trusted s JOIN accelerometer_trusted a ON s.sensorreadingtime = a."timestamp"
        ORDER BY 1, 2, 3, 4, 5, 6""",
    "per hour": """
        SELECT dt, hour, count(*) AS readings, count(DISTINCT "user") AS people, min(x), max(z)
        FROM accelerometer_trusted GROUP BY dt, hour ORDER BY dt, hour""",
    "one partition": """
        SELECT count(*), sum(distancefromobject) FROM step_trainer_trusted
        WHERE dt = (SELECT min(dt) FROM step_trainer_trusted) AND hour >= '00'""",
    "a customer": """
        SELECT customername, email, phone, birthday, serialnumber, registrationdate, sharewithpublicasofdate
        FROM customer_curated ORDER BY email, serialnumber LIMIT 10""",
    "training table": """
        SELECT same_customer, count(*), avg(distancefromobject) FROM machine_learning_curated GROUP BY 1 ORDER BY 1""",
    "window": """
        SELECT "user", n, rank() OVER (ORDER BY n DESC, "user") AS position
        FROM (SELECT "user", count(*) AS n FROM accelerometer_landing GROUP BY "user") AS readings
        ORDER BY position LIMIT 20""",
    "nulls": """
        SELECT count(*), count(sharewithresearchasofdate), count(sharewithpublicasofdate),
               count(sharewithfriendsasofdate), sum(coalesce(sharewithfriendsasofdate, 0)) FROM customer_landing""",
    "set operations": """
        SELECT count(*) FROM (SELECT email FROM customer_trusted EXCEPT SELECT "user" FROM accelerometer_trusted) AS without""",
}


@pytest.fixture(scope="module")
def ask(stack: Stack) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    with stack.as_environment(), stack.athena() as connection:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return connection.cursor().execute(sql).fetchall()

        yield ask


@pytest.mark.parametrize("table", ROWS)
def test_row_counts_of_the_reference_data(table: str, reference: object, ask: Callable[..., Any]) -> None:
    assert ask(f"SELECT count(*) FROM {table}") == [(ROWS[table],)]


def test_pairs_of_one_customer_of_the_reference_data(reference: object, ask: Callable[..., Any]) -> None:
    assert ask("SELECT count(*) FROM machine_learning_curated WHERE same_customer") == [
        (ROWS["accelerometer_trusted"],)
    ]


@pytest.mark.parametrize(
    ("table", "person"),
    [
        ("customer_trusted", "email"),
        ("customer_curated", "email"),
        ("accelerometer_trusted", '"user"'),
        ("step_trainer_trusted", '"user"'),
    ],
)
def test_tables_have_only_customers_whose_latest_record_consents(
    table: str, person: str, ask: Callable[..., Any], expected: duckdb.DuckDBPyConnection
) -> None:
    check = CONSENT_CHECK.format(table=table, person=person)
    assert ask(check) == [(0,)]
    # The check finds rows in landing tables, which hold customers without consent.
    landing = table.replace("trusted", "landing").replace("curated", "landing")
    if landing != "step_trainer_landing":
        check = CONSENT_CHECK.format(table=landing, person=person)
        assert ask(check) == expected.execute(check).fetchall() != [(0,)]


@pytest.mark.parametrize("query", QUERIES)
def test_answers_equal_those_of_duckdb(
    query: str, ask: Callable[..., Any], expected: duckdb.DuckDBPyConnection
) -> None:
    found, wanted = ask(QUERIES[query]), expected.execute(QUERIES[query]).fetchall()
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other) if any(isinstance(value, float) for value in other) else one == other


@pytest.mark.parametrize("table", TABLES)
def test_whole_tables_equal_those_of_duckdb(table: str, stack: Stack, expected: duckdb.DuckDBPyConnection) -> None:
    """Compares each row with its partition columns, and doubles exactly."""
    names = TABLES[table].names
    with stack.as_environment(), stack.athena(cursor_class=PandasCursor) as connection:
        found: pandas.DataFrame = connection.cursor().execute(f"SELECT {names} FROM {table}").as_pandas()
    expected.register("found", found.astype(object).where(found.notna(), None).convert_dtypes())
    casts = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in TABLES[table].columns.items())
    left, right = f"SELECT {casts} FROM found", f"SELECT {names} FROM {table}"
    missing = expected.execute(f"SELECT count(*) FROM ({right} EXCEPT ALL {left})").fetchall()
    too_many = expected.execute(f"SELECT count(*) FROM ({left} EXCEPT ALL {right})").fetchall()
    assert (missing, too_many) == ([(0,)], [(0,)])
    expected.unregister("found")
