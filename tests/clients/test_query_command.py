"""`stedi query` and `stedi tables`, on a lake of their own and on one that a `stedi up` has."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest

from lake import TABLES, Lake
from stack import Stack

SQL = """SELECT "user", "timestamp", x FROM accelerometer_trusted ORDER BY 1, 2, 3 LIMIT 4"""


class Command:
    """`stedi`, on one lake."""

    def __init__(self, lake: Lake):
        self.lake = lake

    def attempt(self, name: str, *arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = [self.lake.binary, name, *arguments, "--lake", self.lake.folder]
        return subprocess.run([str(part) for part in command], input=stdin, capture_output=True, timeout=120)

    def __call__(self, name: str, *arguments: object, stdin: bytes | None = None) -> bytes:
        """What it prints."""
        done = self.attempt(name, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def rows(self, sql: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self("query", sql, "--format", "json").splitlines()]


@pytest.fixture(params=["alone", "in use"])
def stedi(request: pytest.FixtureRequest, village_lake: Lake, start: Callable[..., Stack], tmp_path: Path) -> Command:
    """A lake that is free, or in use by a `stedi up`."""
    lake = Lake(village_lake.binary, tmp_path / "copy")
    shutil.copytree(village_lake.folder, lake.folder)
    if request.param == "in use":
        start(lake=lake)
    return Command(lake)


@pytest.fixture
def wanted(village_lake: Lake) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        village_lake.load(con, "stedi")
        con.execute("USE stedi")
        return con.execute(SQL).fetchall()


def test_formats(stedi: Command, wanted: list[tuple[object, ...]], tmp_path: Path) -> None:
    text = stedi("query", SQL).decode()
    for row in wanted:
        assert any(all(str(value) in line for value in row) for line in text.splitlines()), (row, text)
    assert "4 rows" in text
    header, *rows = csv.reader(io.StringIO(stedi("query", SQL, "--format", "csv").decode()))
    assert header == ["user", "timestamp", "x"]
    assert [(user, int(time), float(x)) for user, time, x in rows] == wanted
    assert [tuple(row.values()) for row in stedi.rows(SQL)] == wanted
    parquet = stedi("query", SQL, "--format", "parquet")
    assert polars.read_parquet(io.BytesIO(parquet)).rows() == wanted
    assert stedi("query", SQL, "--format", "parquet", "--output", tmp_path / "rows.parquet") == b""
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert table.schema.types == [pyarrow.string(), pyarrow.int64(), pyarrow.float64()]
    assert [tuple(row.values()) for row in table.to_pylist()] == wanted


def test_values_that_want_care(stedi: Command) -> None:
    sql = (
        """SELECT 'a, "b"' AS quoted, '' AS empty, CAST(NULL AS varchar) AS nothing, 1.0e0 AS double, 7 / 2 AS whole"""
    )
    lines = stedi("query", sql, "--format", "csv").decode().splitlines()
    assert lines[0] == "quoted,empty,nothing,double,whole"
    assert lines[1].startswith('"a, ""b""","",,')
    (row,) = stedi.rows(sql)
    assert row["quoted"] == 'a, "b"'
    assert row["empty"] == ""
    assert row.get("nothing") is None
    assert (row["double"], row["whole"]) == (1.0, 3)
    assert "NULL" in stedi("query", sql).decode()


def test_names_quoted_or_not_in_any_case(stedi: Command, wanted: list[tuple[object, ...]]) -> None:
    for sql in (
        'SELECT "User", "TIMESTAMP", X FROM "stedi"."Accelerometer_Trusted" ORDER BY 1, 2, 3 LIMIT 4',
        "select user, timestamp, x from AwsDataCatalog.Stedi.accelerometer_trusted order by 1, 2, 3 limit 4",
        'SELECT t."user", t.timestamp, t."x" FROM accelerometer_trusted AS t ORDER BY t.user, "timestamp", x LIMIT 4',
    ):
        rows = stedi.rows(sql)
        assert [tuple(row.values()) for row in rows] == wanted, sql
        assert list(rows[0]) == ["user", "timestamp", "x"]


def test_standard_input(stedi: Command) -> None:
    assert stedi("query", "-", "--format", "csv", stdin=b"SELECT 1 AS one -- a comment\n;\n").split() == [b"one", b"1"]


def test_explain_tells_what_would_be_read(stedi: Command, village_lake: Lake) -> None:
    partition = sorted((village_lake.bucket / "step_trainer" / "trusted").glob("dt=*/hour=*"))[0]
    dt, hour = (part.partition("=")[2] for part in partition.parts[-2:])
    sql = f"SELECT count(*) FROM step_trainer_trusted WHERE dt = '{dt}' AND hour = '{hour}'"
    plan = stedi("query", sql, "--explain").decode()
    assert f"dt={dt}/hour={hour}" in plan
    # And no other one.
    assert set(re.findall(r"dt=[0-9-]+/hour=\d\d", plan)) == {f"dt={dt}/hour={hour}"}
    assert "step_trainer_trusted" in plan


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nothing FROM customer_trusted", ("COLUMN_NOT_FOUND", "line 1:8", "nothing")),
        ("SELECT * FROM nowhere", ("TABLE_NOT_FOUND", "nowhere")),
        ("SELEC 1", ("line 1:1", "SELEC")),
        ("SELECT 1; SELECT 2", ("statement",)),
        ("INSERT INTO customer_trusted SELECT * FROM customer_curated", ("customer_trusted",)),
    ],
)
def test_error_names_what_is_wrong(stedi: Command, sql: str, words: tuple[str, ...]) -> None:
    done = stedi.attempt("query", sql)
    error = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b""), (sql, done)
    assert "panicked" not in error
    for word in words:
        assert word in error, error
    assert stedi.rows("SELECT count(*) AS n FROM customer_trusted")[0]["n"]


def test_unregistered_partition_is_not_there(village_lake: Lake, tmp_path: Path) -> None:
    stedi = Command(Lake(village_lake.binary, tmp_path / "copy"))
    shutil.copytree(village_lake.folder, stedi.lake.folder)
    count = "SELECT count(*) AS n, max(dt) AS latest FROM accelerometer_trusted"
    (before,) = stedi.rows(count)
    file = stedi.lake.table_files(TABLES["accelerometer_trusted"])[0]
    by_hand = stedi.lake.bucket / "accelerometer" / "trusted" / "dt=2099-01-01" / "hour=00" / "by_hand.parquet"
    by_hand.parent.mkdir(parents=True)
    shutil.copy(file, by_hand)
    assert stedi.rows(count) == [before]
    # Within one that is registered, it is.
    shutil.copy(file, file.with_name("by_hand.parquet"))
    assert stedi.rows(count)[0]["n"] == int(str(before["n"])) + pyarrow.parquet.read_metadata(file).num_rows


def test_tables_are_counted(stedi: Command, village_lake: Lake) -> None:
    found = json.loads(stedi("tables", "--json"))
    text = stedi("tables").decode()
    with duckdb.connect() as con:
        village_lake.load(con, "stedi")
        for table in TABLES.values():
            files = village_lake.table_files(table)
            counted = found["tables"][table.name]
            rows = con.execute(f"SELECT count(*) FROM stedi.{table.name}").fetchall()[0][0]
            assert (counted["rows"], counted["objects"]) == (rows, len(files))
            assert counted["bytes"] == sum(file.stat().st_size for file in files)
            assert counted["partitions"] == len({file.parent for file in files if table.partitioned})
            assert counted["zone"] == table.name.rpartition("_")[2]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", counted["last_change"]), counted
            line = next(line for line in text.splitlines() if table.name in line)
            assert f"{rows:,}" in line
    for source in ("customer", "accelerometer", "step_trainer"):
        counts = found["landing"][source]
        assert counts["rows"] == counts["kept"] + counts["excluded"] + counts["quarantined"] > 0


def test_missing_lake_is_an_error(binary: Path, tmp_path: Path) -> None:
    stedi = Command(Lake(binary, tmp_path / "none"))
    for arguments in (("query", "SELECT 1"), ("tables",)):
        done = stedi.attempt(*arguments)
        assert done.returncode == 1
        assert b"no lake in" in done.stderr
    assert not stedi.lake.folder.exists()


def test_alone_it_says_what_to_do_first(binary: Path) -> None:
    done = subprocess.run([binary], capture_output=True, text=True, timeout=60)
    for command in ("stedi run", "stedi up", "stedi query", "stedi tables"):
        assert command in done.stdout + done.stderr
