"""Runs `stedi run` on a lake, and reads the lake's tables from its files with DuckDB."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lake_folder import LakeFolder
from oracle import literal

CUSTOMER = {
    "customername": "VARCHAR",
    "email": "VARCHAR",
    "phone": "VARCHAR",
    "birthday": "VARCHAR",
    "serialnumber": "VARCHAR",
    "registrationdate": "BIGINT",
    "lastupdatedate": "BIGINT",
    "sharewithresearchasofdate": "BIGINT",
    "sharewithpublicasofdate": "BIGINT",
    "sharewithfriendsasofdate": "BIGINT",
}
PARTITION = {"dt": "VARCHAR", "hour": "VARCHAR"}


@dataclass(frozen=True)
class Table:
    """A table's folder below the bucket, and its columns with DuckDB's types."""

    name: str
    folder: str
    columns: dict[str, str]

    @property
    def partitioned(self) -> bool:
        return "dt" in self.columns

    @property
    def names(self) -> str:
        """The names of its columns in SQL."""
        return ", ".join(f'"{name}"' for name in self.columns)

    def create(self, con: duckdb.DuckDBPyConnection, schema: str, rows: str | None) -> None:
        """Creates the table in a schema of `con`, with the rows of a table expression."""
        declared = ", ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        con.execute(f"CREATE TABLE {schema}.{self.name} ({declared})")
        if rows:
            con.execute(f"INSERT INTO {schema}.{self.name} SELECT {self.names} FROM {rows}")


TABLES = {
    table.name: table
    for table in (
        Table("customer_trusted", "customer/trusted", CUSTOMER),
        Table(
            "accelerometer_trusted",
            "accelerometer/trusted",
            {"user": "VARCHAR", "timestamp": "BIGINT", "x": "DOUBLE", "y": "DOUBLE", "z": "DOUBLE"} | PARTITION,
        ),
        Table("customer_curated", "customer/curated", CUSTOMER),
        Table(
            "step_trainer_trusted",
            "step_trainer/trusted",
            {
                "sensorreadingtime": "BIGINT",
                "serialnumber": "VARCHAR",
                "distancefromobject": "INTEGER",
                "user": "VARCHAR",
            }
            | PARTITION,
        ),
        Table(
            "machine_learning_curated",
            "step_trainer/curated",
            {
                "sensorreadingtime": "BIGINT",
                "distancefromobject": "INTEGER",
                "x": "DOUBLE",
                "y": "DOUBLE",
                "z": "DOUBLE",
                "same_customer": "BOOLEAN",
            }
            | PARTITION,
        ),
    )
}


@dataclass(frozen=True)
class Version:
    """A file's time, which every rewrite changes, and the digest of its bytes."""

    modified_ns: int
    digest: str


@dataclass(frozen=True)
class Run:
    """Exit status and output of a command."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict:
        """The one JSON object on standard output."""
        return json.loads(self.stdout)

    def rows(self) -> dict[str, int]:
        return {name: table["rows"] for name, table in self.report["tables"].items()}


class Lake(LakeFolder):
    """The folder of a lake of one consent policy and one kind of pairs."""

    def __init__(self, binary: Path, folder: Path, consent: str = "ever", pairs: str = "same-instant"):
        super().__init__(binary, folder)
        self.consent = consent
        self.pairs = pairs

    @property
    def options(self) -> list[object]:
        """The options that make this lake, and that agree with it later."""
        return [*super().options, "--consent", self.consent, "--pairs", self.pairs]

    def attempt(self, *arguments: object, env: dict[str, str] | None = None) -> Run:
        """Runs the command; it may fail."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=300, env=env)
        return Run(done.returncode, done.stdout, done.stderr)

    def run(self, landing: Path, *arguments: object) -> Run:
        """Ingests a folder and asserts that the command succeeds."""
        run = self.attempt(landing, "--json", *arguments)
        assert run.returncode == 0, f"stedi run ended with {run.returncode}:\n{run.stderr[-4000:]}"
        assert run.report["tables"].keys() == TABLES.keys()
        return run

    def table_files(self, table: Table) -> list[Path]:
        return sorted((self.bucket / table.folder).rglob("*.parquet"))

    def load(self, con: duckdb.DuckDBPyConnection, schema: str) -> None:
        """Fills a new schema of `con` with the five tables, read from the files."""
        con.execute(f"CREATE SCHEMA {schema}")
        for table in TABLES.values():
            files = self.table_files(table)
            table.create(con, schema, scan(files) if files else None)

    def versions(self, folder: str = "") -> dict[str, Version]:
        """Returns the version of every file below the bucket, or below a folder of it, by key."""
        return {
            path.relative_to(self.bucket).as_posix(): Version(
                path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()
            )
            for path in sorted((self.bucket / folder).rglob("*"))
            if path.is_file()
        }

    def receipts(self, source: str) -> Iterator[dict]:
        """Yields the receipt of each landing file of a source."""
        for path in sorted((self.bucket / "receipts" / source).rglob("*.json")):
            yield json.loads(path.read_text())

    def landing_files(self) -> int:
        """Returns the number of landing files in the lake."""
        return sum(path.is_file() for path in self.bucket.glob("*/landing/**/*"))

    def quarantined(self, source: str) -> dict[str, list[dict]]:
        """Returns the rejected lines of each landing file of a source, by the name of the quarantine file."""
        return {
            path.name.removesuffix(".jsonl"): [json.loads(line) for line in path.read_text().splitlines()]
            for path in sorted((self.bucket / "quarantine" / source).rglob("*.jsonl"))
        }


def scan(files: list[Path]) -> str:
    """Returns Parquet files as a table expression; partition columns are strings, as in the catalog."""
    listed = ", ".join(literal(path) for path in files)
    return f"read_parquet([{listed}], hive_partitioning = true, hive_types_autocast = false)"


def changed(before: dict[str, Version], after: dict[str, Version]) -> set[str]:
    """Returns the keys that were written or removed in between."""
    return {key for key in before | after if before.get(key) != after.get(key)}
