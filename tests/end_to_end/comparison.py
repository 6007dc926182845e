"""Compares tables as multisets of rows, and receipts with landing files."""

from pathlib import Path
from typing import Protocol

import duckdb

import oracle
from lake import TABLES, Lake
from landing import SOURCES

SHOWN_MAX = 5


def difference(con: duckdb.DuckDBPyConnection, table: str, found: str, expected: str) -> str:
    """Describes the rows that only one of two schemas has; empty if the tables are equal."""
    names = TABLES[table].names
    lines = []
    for title, left, right in (("missing", expected, found), ("too many", found, expected)):
        rows = f"(SELECT {names} FROM {left}.{table} EXCEPT ALL SELECT {names} FROM {right}.{table})"
        count = con.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0]
        if count:
            lines.append(f"{table}: {count} rows {title}, such as")
            lines += [f"    {row}" for row in con.execute(f"FROM {rows} LIMIT {SHOWN_MAX}").fetchall()]
    return "\n".join(lines)


def assert_same(con: duckdb.DuckDBPyConnection, found: str, expected: str) -> None:
    """Asserts that the five tables of two schemas hold the same rows, each as often."""
    differences = [difference(con, table, found, expected) for table in TABLES]
    assert not any(differences), "\n".join(filter(None, differences))


class Loadable(Protocol):
    """A lake whose tables DuckDB can read."""

    consent: str
    pairs: str

    def load(self, con: duckdb.DuckDBPyConnection, schema: str) -> None: ...


def assert_adds_up(receipt: dict) -> None:
    """Asserts that a receipt counts each row once."""
    assert receipt["rows"] == receipt["kept"] + sum(receipt["excluded"].values()) + receipt["quarantined"], receipt
    assert receipt["kept"] == sum(output["rows"] for output in receipt["outputs"]), receipt


def assert_tables(lake: Loadable, landing: Path, replaced: Path | None = None) -> None:
    """Asserts that the lake's tables equal the results of the SQL over a clean landing folder.

    `replaced` is a folder of accelerometer files that the lake ingested before others replaced them.
    """
    with duckdb.connect() as con:
        oracle.load(con, "expected", landing, lake.consent, lake.pairs, replaced)
        lake.load(con, "found")
        assert_same(con, "found", "expected")


def assert_equal_lakes(one: Loadable, other: Loadable) -> None:
    """Asserts that the tables of two lakes hold the same rows."""
    with duckdb.connect() as con:
        one.load(con, "one")
        other.load(con, "other")
        assert_same(con, "one", "other")


def assert_receipts(lake: Lake, landing: Path) -> None:
    """Asserts that every landing file, with one record a line, has a receipt whose sums agree."""
    with_receipt = set()
    for source in SOURCES:
        for receipt in lake.receipts(source):
            path = landing / receipt["landing"]["key"]
            with_receipt.add(path)
            assert receipt["rows"] == len(path.read_text().splitlines()), receipt
            assert_adds_up(receipt)
    files = {path for source in SOURCES for path in (landing / source / "landing").rglob("*") if path.is_file()}
    assert with_receipt == files
