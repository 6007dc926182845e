"""A lake of `stedi run`: running it, and reading the tables from its files with DuckDB."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

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
    """Where a table lies below the bucket, and its columns with DuckDB's types."""

    name: str
    folder: str
    columns: dict[str, str]

    @property
    def partitioned(self) -> bool:
        return "dt" in self.columns


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
    """Of a file: what a rewrite changes even if the bytes are the same, and the bytes."""

    modified_ns: int
    digest: str


@dataclass(frozen=True)
class Run:
    """What `stedi run` left behind."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict:
        """The one JSON object on standard output."""
        return json.loads(self.stdout)

    def rows(self) -> dict[str, int]:
        return {name: table["rows"] for name, table in self.report["tables"].items()}


class Lake:
    """A folder that `stedi run --lake` keeps, under one consent policy."""

    def __init__(self, binary: Path, folder: Path, consent: str = "ever"):
        self.binary = binary
        self.folder = folder
        self.consent = consent

    @property
    def bucket(self) -> Path:
        return self.folder / "stedi"

    def command(self, *arguments: object) -> list[str]:
        """`stedi run --lake` with these arguments."""
        command = [self.binary, "run", *arguments, "--lake", self.folder, "--consent", self.consent]
        return [str(part) for part in command]

    def attempt(self, *arguments: object, env: dict[str, str] | None = None) -> Run:
        """Runs it, whatever comes of it."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=300, env=env)
        return Run(done.returncode, done.stdout, done.stderr)

    def run(self, landing: Path, *arguments: object) -> Run:
        """Lands a folder; fails unless everything was derived."""
        run = self.attempt(landing, "--json", *arguments)
        assert run.returncode == 0, f"stedi run ended with {run.returncode}:\n{run.stderr[-4000:]}"
        assert run.report["tables"].keys() == TABLES.keys()
        return run

    def table_files(self, table: Table) -> list[Path]:
        return sorted((self.bucket / table.folder).rglob("*.parquet"))

    def load(self, con: duckdb.DuckDBPyConnection, schema: str) -> None:
        """Fills a new schema of `con` with the five tables, as the files have them."""
        con.execute(f"CREATE SCHEMA {schema}")
        for table in TABLES.values():
            declared = ", ".join(f'"{name}" {kind}' for name, kind in table.columns.items())
            con.execute(f"CREATE TABLE {schema}.{table.name} ({declared})")
            if files := self.table_files(table):
                names = ", ".join(f'"{name}"' for name in table.columns)
                con.execute(f"INSERT INTO {schema}.{table.name} SELECT {names} FROM {scan(files)}")

    def versions(self, folder: str = "") -> dict[str, Version]:
        """Every file below the bucket (or a folder of it) by its key."""
        return {
            path.relative_to(self.bucket).as_posix(): Version(
                path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()
            )
            for path in sorted((self.bucket / folder).rglob("*"))
            if path.is_file()
        }

    def receipts(self, source: str) -> Iterator[dict]:
        """The account of each landing file of a source."""
        for path in sorted((self.bucket / "receipts" / source).rglob("*.json")):
            yield json.loads(path.read_text())

    def landed(self) -> int:
        """How many landing files it holds."""
        return sum(path.is_file() for path in self.bucket.glob("*/landing/**/*"))

    def owed(self) -> set[int]:
        """The events that its journal says are still to be delivered, by number."""
        journal = self.folder / ".stedi" / "events"
        owed: set[int] = set()
        # A killed process may have left half a line.
        for line in journal.read_text().split("\n")[:-1] if journal.exists() else ():
            match json.loads(line):
                case {"Owed": [number, _, _]}:
                    owed.add(number)
                case {"Done": number}:
                    owed.discard(number)
        return owed

    def quarantined(self, source: str) -> dict[str, list[dict]]:
        """The rejected lines of each landing file of a source, by the path of the quarantine file."""
        return {
            path.name.removesuffix(".jsonl"): [json.loads(line) for line in path.read_text().splitlines()]
            for path in sorted((self.bucket / "quarantine" / source).rglob("*.jsonl"))
        }


def scan(files: list[Path]) -> str:
    """Parquet files as a table expression; partitions are strings, as the catalogue declares them."""
    listed = ", ".join(literal(path) for path in files)
    return f"read_parquet([{listed}], hive_partitioning = true, hive_types_autocast = false)"


def changed(before: dict[str, Version], after: dict[str, Version]) -> set[str]:
    """The keys that were written or removed in between."""
    return {key for key in before | after if before.get(key) != after.get(key)}
