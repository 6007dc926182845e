"""`stedi query` and `stedi tables`, on a free lake and on one that a `stedi up` holds."""

import csv
import io
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest

from checkout import ROOT, Stedi
from lake import TABLES, Lake
from landing import SOURCES
from stack import Stack
from terminal import Terminal

SQL = """SELECT "user", "timestamp", x FROM accelerometer_trusted ORDER BY 1, 2, 3 LIMIT 4"""


class Command(Stedi):
    """`stedi` on one lake, with bytes as input and output."""

    def __init__(self, lake: Lake):
        super().__init__(lake.binary, lake.folder.parent, "--lake", lake.folder)
        self.lake = lake

    def attempt(self, *arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return super().attempt(*arguments, input=stdin, text=False)

    def rows(self, sql: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self("query", sql, "--format", "json").splitlines()]


@pytest.fixture(params=["alone", "in use"])
def stedi(request: pytest.FixtureRequest, village_lake: Lake, start: Callable[..., Stack], tmp_path: Path) -> Command:
    """A lake that is free, or that a `stedi up` holds."""
    lake = Lake(village_lake.binary, tmp_path / "copy")
    shutil.copytree(village_lake.folder, lake.folder)
    if request.param == "in use":
        start(lake=lake)
    return Command(lake)


@pytest.fixture
def expected(village_lake: Lake) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        village_lake.load(con, "stedi")
        con.execute("USE stedi")
        return con.execute(SQL).fetchall()


def test_formats(stedi: Command, expected: list[tuple[object, ...]], tmp_path: Path) -> None:
    text = stedi("query", SQL).decode()
    for row in expected:
        assert any(all(str(value) in line for value in row) for line in text.splitlines()), (row, text)
    assert "4 rows" in text
    header, *rows = csv.reader(io.StringIO(stedi("query", SQL, "--format", "csv").decode()))
    assert header == ["user", "timestamp", "x"]
    assert [(user, int(time), float(x)) for user, time, x in rows] == expected
    assert [tuple(row.values()) for row in stedi.rows(SQL)] == expected
    parquet = stedi("query", SQL, "--format", "parquet")
    assert polars.read_parquet(io.BytesIO(parquet)).rows() == expected
    assert stedi("query", SQL, "--format", "parquet", "--output", tmp_path / "rows.parquet") == b""
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert table.schema.types == [pyarrow.string(), pyarrow.int64(), pyarrow.float64()]
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


def test_quotes_nulls_and_numbers(stedi: Command) -> None:
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


def test_names_quoted_or_not_in_any_case(stedi: Command, expected: list[tuple[object, ...]]) -> None:
    for sql in (
        'SELECT "User", "TIMESTAMP", X FROM "stedi"."Accelerometer_Trusted" ORDER BY 1, 2, 3 LIMIT 4',
        "select user, timestamp, x from AwsDataCatalog.Stedi.accelerometer_trusted order by 1, 2, 3 limit 4",
        'SELECT t."user", t.timestamp, t."x" FROM accelerometer_trusted AS t ORDER BY t.user, "timestamp", x LIMIT 4',
    ):
        rows = stedi.rows(sql)
        assert [tuple(row.values()) for row in rows] == expected, sql
        assert list(rows[0]) == ["user", "timestamp", "x"]


def test_statement_from_standard_input(stedi: Command) -> None:
    assert stedi("query", "-", "--format", "csv", stdin=b"SELECT 1 AS one -- a comment\n;\n").split() == [b"one", b"1"]


def test_csv_has_lf(stedi: Command, tmp_path: Path) -> None:
    sql = "SELECT 1 AS one, 'a' AS two"
    assert stedi("query", sql, "--format", "csv") == b"one,two\n1,a\n"
    file = tmp_path / "rows.csv"
    for options, message in (((), f"stedi: wrote 1 row as csv to {file}\n"), (("--quiet",), "")):
        done = stedi.attempt("query", sql, "-o", file, *options)
        assert (done.returncode, done.stdout, done.stderr.decode()) == (0, b"", message)
        assert file.read_bytes() == b"one,two\n1,a\n"
        assert file.stat().st_mode == (stedi.lake.folder / ".emulator" / "lock").stat().st_mode


def test_output_may_be_a_device(stedi: Command) -> None:
    assert stedi("query", "SELECT 1 AS one", "-o", "/dev/stdout", "--format", "csv") == b"one\n1\n"


@pytest.mark.parametrize("name", ["nowhere/x.csv", "folder.csv"])
def test_error_of_an_output_names_it(stedi: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    done = stedi.attempt("query", "SELECT 1", "-o", tmp_path / name)
    reason = "No such file or directory (os error 2)" if "nowhere" in name else "Is a directory (os error 21)"
    assert (done.returncode, done.stderr.decode()) == (1, f"stedi: cannot write {tmp_path / name}: {reason}\n")


QUERIES = sorted((ROOT / "infra" / "terraform" / "queries").glob("*.sql"))


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_saved_queries_run_on_a_local_lake(stedi: Command, file: Path) -> None:
    rows = [json.loads(line) for line in stedi("query", "-f", file, "--format", "json").splitlines()]
    assert (file.stem == "consent_check") == (rows == [])
    if file.stem == "landing_file_row_counts":
        receipts = [receipt for source in SOURCES for receipt in stedi.lake.receipts(source)]
        names = ("source", "kept", "quarantined")
        assert sorted([row["landing_key"], row["row_count"], *(row[name] for name in names)] for row in rows) == sorted(
            [receipt["landing"]["key"], receipt["rows"], *(receipt[name] for name in names)] for receipt in receipts
        )


def test_output_has_the_format_of_its_name(stedi: Command, expected: list[tuple[object, ...]], tmp_path: Path) -> None:
    for name in ("x.parquet", "x.json", "x", "y.parquet"):
        options = ("--format", "json") if name == "y.parquet" else ()
        stedi("query", SQL, "-o", tmp_path / name, *options)
    assert polars.read_parquet(tmp_path / "x.parquet").rows() == expected
    assert [tuple(json.loads(line).values()) for line in (tmp_path / "x.json").read_text().splitlines()] == expected
    assert "(4 rows)" in (tmp_path / "x").read_text()
    # An option has priority.
    assert (tmp_path / "y.parquet").read_bytes() == (tmp_path / "x.json").read_bytes()


SCRIPT = """\
-- Two statements; and a comment.
SELECT 1 AS one;

SELECT ';' AS two
"""


def test_statements_of_a_file_and_of_standard_input_run_in_order(stedi: Command, tmp_path: Path) -> None:
    (tmp_path / "script.sql").write_text(SCRIPT)
    rows = b"one\n1\ntwo\n;\n"
    assert stedi("query", "-f", tmp_path / "script.sql", "--format", "csv") == rows
    assert stedi("query", "--format", "csv", stdin=SCRIPT.encode()) == rows
    assert stedi("query", "-", "--format", "csv", stdin=SCRIPT.encode()) == rows


def test_script_ends_with_its_first_failure(stedi: Command) -> None:
    done = stedi.attempt("query", "--format", "csv", stdin=b"SELECT 1 AS one;\nSELECT nothing;\nSELECT 3")
    assert (done.returncode, done.stdout) == (1, b"one\n1\n")
    assert b"statement 2, which begins in line 2: " in done.stderr
    assert b"COLUMN_NOT_FOUND" in done.stderr


def test_wrong_use_is_refused(stedi: Command, tmp_path: Path) -> None:
    for arguments, stdin, word in (
        (("-o", tmp_path / "x.csv"), b"SELECT 1; SELECT 2", b"several"),
        (("--format", "parquet"), b"SELECT 1; SELECT 2", b"several"),
        (("SELECT 1", "-f", "x.sql"), b"", b"cannot be used with"),
    ):
        done = stedi.attempt("query", *arguments, stdin=stdin)
        assert (done.returncode, done.stdout) == (2, b""), done
        assert word in done.stderr
    for arguments, stdin, word in (
        ((), b" -- nothing\n;", b"no statement in standard input"),
        (("-f", tmp_path / "nowhere.sql"), b"", b"nowhere.sql"),
    ):
        done = stedi.attempt("query", *arguments, stdin=stdin)
        assert (done.returncode, done.stdout) == (1, b""), done
        assert word in done.stderr
    assert not (tmp_path / "x.csv").exists()


def test_failed_query_leaves_the_output_as_it_was(stedi: Command, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("before")
    assert stedi.attempt("query", "SELECT nothing", "-o", tmp_path / "x.csv").returncode == 1
    assert (tmp_path / "x.csv").read_text() == "before"
    assert [path.name for path in tmp_path.glob("*.csv*")] == ["x.csv"]


def prompt(stedi: Command, folder: Path, *options: object, columns: int = 80) -> Terminal:
    command = [stedi.lake.binary, "query", "--lake", stedi.lake.folder, *options]
    return Terminal(command, folder, columns, XDG_STATE_HOME=str(folder / "state"))


def test_prompt_answers_until_ctrl_d(stedi: Command, tmp_path: Path) -> None:
    with prompt(stedi, tmp_path) as terminal:
        assert "Ctrl-D ends" in terminal.read_until("stedi> ")
        terminal.type("SELECT 40\r")
        # The statement goes on.
        terminal.type(" + 2 AS answer;\r")
        assert "42" in terminal.read_until("(1 row)")
        terminal.read_until("stedi> ")
        terminal.type("SELECT nothing;\r")
        assert "COLUMN_NOT_FOUND" in terminal.read_until("COLUMN_NOT_FOUND")
        terminal.read_until("stedi> ")
        terminal.type("SELECT wrong\x03")
        terminal.read_until("stedi> ")
        for word in ("help", "HELP;", "\\?"):
            terminal.type(f"{word}\r")
            assert "end the prompt" in terminal.read_until("show this text")
            terminal.read_until("stedi> ")
        terminal.type("SELECT 1 AS one; SELECT 2 AS two;\r")
        shown = terminal.read_until("(1 row)") + terminal.read_until("(1 row)")
        assert "one" in shown
        assert "two" in shown
        terminal.read_until("stedi> ")
        terminal.type("\x04")
        terminal.read_all()
        assert terminal.process.returncode == 0
    # The next prompt has the statements.
    history = (tmp_path / "state" / "stedi" / "history").read_text()
    assert "answer" in history
    assert "wrong" not in history


def test_prompt_ends_with_exit(stedi: Command, tmp_path: Path) -> None:
    with prompt(stedi, tmp_path, "--quiet") as terminal:
        assert "Ctrl-D" not in terminal.read_until("stedi> ")
        terminal.type("exit\r")
        terminal.read_all()
        assert terminal.process.returncode == 0


def test_interrupted_statement_leaves_the_prompt(stedi: Command, tmp_path: Path) -> None:
    forever = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t;"
    with prompt(stedi, tmp_path) as terminal:
        terminal.read_until("stedi> ")
        terminal.type(forever + "\r")
        time.sleep(1)
        terminal.type("\x03")
        terminal.read_until("interrupted")
        terminal.read_until("stedi> ")
        terminal.type("SELECT 6 * 7 AS answer;\r")
        assert "42" in terminal.read_until("(1 row)")


def test_terminal_gets_lines_of_its_width(stedi: Command, tmp_path: Path) -> None:
    sql = "SELECT * FROM customer_trusted ORDER BY email LIMIT 3"
    command = [stedi.lake.binary, "query", sql, "--lake", stedi.lake.folder]
    with Terminal(command, tmp_path, columns=60) as terminal:
        lines = terminal.read_all().replace("\r", "").splitlines()
    assert lines[-1] == "(cut to 60 columns; a file or a pipe gets whole lines)"
    assert max(len(line) for line in lines) == 60
    assert max(len(line) for line in stedi("query", sql).decode().splitlines()) > 100


def test_terminal_gets_no_parquet(stedi: Command, tmp_path: Path) -> None:
    command = [stedi.lake.binary, "query", "SELECT 1", "--format", "parquet", "--lake", stedi.lake.folder]
    with Terminal(command, tmp_path) as terminal:
        assert "give a file with --output" in terminal.read_all()
    assert terminal.process.returncode == 2


def test_explain_shows_the_objects_to_read(stedi: Command, village_lake: Lake) -> None:
    partition = sorted((village_lake.bucket / "step_trainer" / "trusted").glob("dt=*/hour=*"))[0]
    dt, hour = (part.partition("=")[2] for part in partition.parts[-2:])
    sql = f"SELECT count(*) FROM step_trainer_trusted WHERE dt = '{dt}' AND hour = '{hour}'"
    plan = stedi("query", sql, "--explain").decode()
    assert f"dt={dt}/hour={hour}" in plan
    assert set(re.findall(r"dt=[0-9-]+/hour=\d\d", plan)) == {f"dt={dt}/hour={hour}"}
    assert "step_trainer_trusted" in plan


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nothing FROM customer_trusted", ("COLUMN_NOT_FOUND", "line 1:8", "nothing")),
        ("SELECT * FROM nowhere", ("TABLE_NOT_FOUND", "nowhere")),
        ("SELEC 1", ("line 1:1", "SELEC")),
        ("SELECT 1; SELECT 2", ("several statements: -f FILE or standard input", "Only one sql statement")),
        ("INSERT INTO customer_trusted SELECT * FROM customer_curated", ("customer_trusted",)),
        ("DROP TABLE receipts", ("receipts",)),
    ],
)
def test_wrong_statement_is_explained(stedi: Command, sql: str, words: tuple[str, ...]) -> None:
    done = stedi.attempt("query", sql)
    error = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b""), (sql, done)
    assert "panicked" not in error
    for word in words:
        assert word in error, error
    assert stedi.rows("SELECT count(*) AS n FROM customer_trusted")[0]["n"]


def test_unregistered_partition_is_not_read(village_lake: Lake, tmp_path: Path) -> None:
    stedi = Command(Lake(village_lake.binary, tmp_path / "copy"))
    shutil.copytree(village_lake.folder, stedi.lake.folder)
    count = "SELECT count(*) AS n, max(dt) AS latest FROM accelerometer_trusted"
    (before,) = stedi.rows(count)
    file = stedi.lake.table_files(TABLES["accelerometer_trusted"])[0]
    by_hand = stedi.lake.bucket / "accelerometer" / "trusted" / "dt=2099-01-01" / "hour=00" / "by_hand.parquet"
    by_hand.parent.mkdir(parents=True)
    shutil.copy(file, by_hand)
    assert stedi.rows(count) == [before]
    # A file in a registered partition is.
    shutil.copy(file, file.with_name("by_hand.parquet"))
    assert stedi.rows(count)[0]["n"] == int(str(before["n"])) + pyarrow.parquet.read_metadata(file).num_rows


def test_tables_are_counted(stedi: Command, village_lake: Lake) -> None:
    found = json.loads(stedi("tables", "--json"))
    text = stedi("tables").decode()
    with duckdb.connect() as con:
        village_lake.load(con, "stedi")
        for table in TABLES.values():
            files = village_lake.table_files(table)
            state = found["tables"][table.name]
            rows = con.execute(f"SELECT count(*) FROM stedi.{table.name}").fetchall()[0][0]
            assert (state["rows"], state["objects"]) == (rows, len(files))
            assert state["bytes"] == sum(file.stat().st_size for file in files)
            assert state["partitions"] == len({file.parent for file in files if table.partitioned})
            assert state["zone"] == table.name.rpartition("_")[2]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", state["last_change"]), state
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
