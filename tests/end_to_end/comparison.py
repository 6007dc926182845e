"""Comparing tables as multisets of rows, and accounts with what landed."""

from pathlib import Path

import duckdb

import oracle
from lake import TABLES, Lake
from landing import SOURCES

SHOWN_MAX = 5


def difference(con: duckdb.DuckDBPyConnection, table: str, found: str, expected: str) -> str:
    """Which rows only one of two schemas has, some of them in full; empty when the tables are equal."""
    names = ", ".join(f'"{name}"' for name in TABLES[table].columns)
    lines = []
    for title, left, right in (("missing", expected, found), ("too many", found, expected)):
        rows = f"(SELECT {names} FROM {left}.{table} EXCEPT ALL SELECT {names} FROM {right}.{table})"
        count = con.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0]
        if count:
            lines.append(f"{table}: {count} rows {title}, such as")
            lines += [f"    {row}" for row in con.execute(f"FROM {rows} LIMIT {SHOWN_MAX}").fetchall()]
    return "\n".join(lines)


def assert_same(con: duckdb.DuckDBPyConnection, found: str, expected: str) -> None:
    """The five tables of two schemas hold the same rows, each as often."""
    differences = [difference(con, table, found, expected) for table in TABLES]
    assert not any(differences), "\n".join(filter(None, differences))


def assert_tables(lake: Lake, landing: Path) -> None:
    """The tables of the lake are the SQL's over the (clean) landing folder."""
    with duckdb.connect() as con:
        oracle.load(con, "expected", landing, lake.consent)
        lake.load(con, "found")
        assert_same(con, "found", "expected")


def assert_equal_lakes(one: Lake, other: Lake) -> None:
    """The tables of two lakes hold the same rows."""
    with duckdb.connect() as con:
        one.load(con, "one")
        other.load(con, "other")
        assert_same(con, "one", "other")


def assert_accounts(lake: Lake, landing: Path) -> None:
    """Every file of the landing folder (one record a line) has a receipt, and the sums of each agree."""
    accounted = set()
    for source in SOURCES:
        for receipt in lake.receipts(source):
            path = landing / receipt["landing"]["key"]
            accounted.add(path)
            assert receipt["rows"] == len(path.read_text().splitlines()), receipt
            assert receipt["rows"] == receipt["kept"] + sum(receipt["excluded"].values()) + receipt["quarantined"], receipt
            assert receipt["kept"] == sum(output["rows"] for output in receipt["outputs"]), receipt
    landed = {path for source in SOURCES for path in (landing / source / "landing").rglob("*") if path.is_file()}
    assert accounted == landed
