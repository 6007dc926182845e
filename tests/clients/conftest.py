"""One stack that ingested all files, for tests that only read; tests that ingest files make their own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

import oracle
from checkout import REFERENCE, binary, generate, reference
from lake import TABLES, Lake
from landing import Village
from stack import Stack

# pytest finds imported fixtures here.
__all__ = ["binary", "generate", "reference"]
BUCKETS = itertools.count()


@pytest.fixture(scope="session")
def landing(generate: Callable[..., Path]) -> Path:
    """The reference data, or generated data of its size if it is missing."""
    return REFERENCE if REFERENCE.is_dir() else generate("--seed", 11)


@pytest.fixture(scope="session")
def village(tmp_path_factory: pytest.TempPathFactory) -> Village:
    return Village(tmp_path_factory.mktemp("village")).build()


@pytest.fixture(scope="session")
def village_lake(binary: Path, village: Village, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake of one undisturbed `stedi run` on the village. Tests may read or copy it."""
    lake = Lake(binary, tmp_path_factory.mktemp("village-lake") / "lake")
    lake.run(village.folder)
    return lake


@pytest.fixture(scope="session")
def stack(binary: Path, landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that ingested all files of an `aws s3 sync`. Tests must not upload landing files to it."""
    with Stack(Lake(binary, tmp_path_factory.mktemp("stack") / "lake")) as stack:
        stack.aws("s3", "sync", landing, f"s3://{stack.bucket}", "--no-progress")
        stack.wait_until_quiet()
        yield stack
        stack.assert_healthy()


@pytest.fixture
def start(binary: Path, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Starts a stack of the test, on a new lake or on an existing one."""
    numbers = itertools.count()
    started: list[Stack] = []

    def start(*options: object, lake: Lake | None = None) -> Stack:
        stack = Stack(lake or Lake(binary, tmp_path / f"lake-{next(numbers)}"), *options)
        started.append(stack)
        return stack

    yield start
    for stack in started:
        assert "panicked" not in stack.errors.read_text(errors="replace")
        if stack.process.poll() is None:
            stack.end()


@pytest.fixture
def exported(stack: Stack) -> Iterator[Stack]:
    """The stack, with its exported variables in the environment of this process."""
    with stack.as_environment():
        yield stack


@pytest.fixture
def bucket(stack: Stack) -> str:
    """A new bucket of the test in the stack."""
    name = f"bucket-{next(BUCKETS)}"
    stack.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def expected(landing: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the landing tables and the SQL's tables, in the schema `expected`."""
    with duckdb.connect() as con:
        oracle.load(con, "expected", landing, "ever", "same-instant")
        con.execute("USE expected")
        yield con


@pytest.fixture
def counts(expected: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """The number of rows of each table."""
    return {name: expected.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in TABLES}
