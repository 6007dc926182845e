"""Shared inputs and lakes. Slow ones are made once; tests that ingest more files do so in a copy."""

import functools
import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkout import binary, generate, reference, stedi
from lake import Lake, Run
from landing import Landing, Village

# pytest finds imported fixtures here.
__all__ = ["binary", "generate", "reference", "stedi"]
POLICIES = ("ever", "at-reading")
PAIRS = ("same-instant", "same-customer")


@dataclass(frozen=True)
class Ingestion:
    """A landing folder, the lake that ingested it, and the output of the command."""

    landing: Path
    lake: Lake
    run: Run


@pytest.fixture(scope="session")
def generated(generate: Callable[..., Path]) -> Path:
    """Clean generated data of the reference data's size."""
    return generate("--seed", 11)


@pytest.fixture(scope="session")
def generated_dirty(generate: Callable[..., Path]) -> Path:
    """The rows of `generated`, in dirty files."""
    return generate("--seed", 11, "--dirty")


@pytest.fixture
def lake(binary: Path, tmp_path: Path) -> Lake:
    """A new lake of the test."""
    return Lake(binary, tmp_path / "lake")


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    """A new landing folder of the test."""
    return Landing(tmp_path / "landing")


@pytest.fixture
def ingest(binary: Path, tmp_path: Path) -> Callable[..., Ingestion]:
    """Ingests a folder into a new lake of the test."""
    numbers = itertools.count()

    def ingest(landing: Path, *arguments: object, consent: str = "ever") -> Ingestion:
        lake = Lake(binary, tmp_path / f"lake-{next(numbers)}", consent)
        return Ingestion(landing, lake, lake.run(landing, *arguments))

    return ingest


@pytest.fixture(scope="session")
def ingest_once(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ingestion]:
    """Ingests a folder with these settings, once for all tests. They may only read the lake."""

    @functools.cache
    def ingest_once(landing: Path, consent: str = "ever", pairs: str = "same-instant") -> Ingestion:
        lake = Lake(binary, tmp_path_factory.mktemp("lake"), consent, pairs)
        return Ingestion(landing, lake, lake.run(landing))

    return ingest_once


@pytest.fixture(scope="session")
def first_village(tmp_path_factory: pytest.TempPathFactory) -> Village:
    return Village(tmp_path_factory.mktemp("village")).build()


@dataclass(frozen=True)
class VillageCopy:
    """A copy of the first village and of the lake that ingested it."""

    village: Village
    lake: Lake

    def ingest(self) -> Run:
        """Ingests the new and changed files of the village's folder."""
        return self.lake.run(self.village.folder)


@pytest.fixture
def copy_village(
    first_village: Village, ingest_once: Callable[..., Ingestion], tmp_path: Path, binary: Path
) -> Callable[..., VillageCopy]:
    """Copies the first village and its lake for one test."""

    def copy_village(consent: str = "ever") -> VillageCopy:
        ingestion = ingest_once(first_village.folder, consent)
        shutil.copytree(first_village.folder, tmp_path / "landing")
        shutil.copytree(ingestion.lake.folder, tmp_path / "lake")
        return VillageCopy(Village(tmp_path / "landing"), Lake(binary, tmp_path / "lake", consent))

    return copy_village
