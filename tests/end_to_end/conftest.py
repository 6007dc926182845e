"""Shared inputs and lakes. What takes long is made once; tests that land more do so in a copy."""

import itertools
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkout import binary, reference
from lake import Lake, Run
from landing import Village

# Fixtures from elsewhere are known by being here.
__all__ = ["binary", "reference"]
POLICIES = ("ever", "at-reading")


@dataclass(frozen=True)
class Landed:
    """A landing folder, the lake it was landed in, and what the command said."""

    landing: Path
    lake: Lake
    run: Run


@pytest.fixture(scope="session")
def generate(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`stedi generate` with these options, into a new folder."""

    def generate(*options: object) -> Path:
        folder = tmp_path_factory.mktemp("generated")
        subprocess.run([str(part) for part in (binary, "generate", folder, *options)], check=True, capture_output=True)
        assert any((folder / "customer" / "landing").iterdir())
        return folder

    return generate


@pytest.fixture(scope="session")
def generated(generate: Callable[..., Path]) -> Path:
    """Clean generated data of the reference data's size."""
    return generate("--seed", 11)


@pytest.fixture(scope="session")
def generated_dirty(generate: Callable[..., Path]) -> Path:
    """The same rows as `generated`, dirty."""
    return generate("--seed", 11, "--dirty")


@pytest.fixture
def land(binary: Path, tmp_path: Path) -> Callable[..., Landed]:
    """Lands a folder in a new lake, which is gone after the test."""
    numbers = itertools.count()

    def land(landing: Path, *arguments: object, consent: str = "ever") -> Landed:
        lake = Lake(binary, tmp_path / f"lake-{next(numbers)}", consent)
        return Landed(landing, lake, lake.run(landing, *arguments))

    return land


@pytest.fixture(scope="session")
def landed_once(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Landed]:
    """Lands a folder under a policy, or gives the lake in which it was landed before: for reading only."""
    known: dict[tuple[Path, str], Landed] = {}

    def landed_once(landing: Path, consent: str = "ever") -> Landed:
        if (landing, consent) not in known:
            lake = Lake(binary, tmp_path_factory.mktemp("lake"), consent)
            known[landing, consent] = Landed(landing, lake, lake.run(landing))
        return known[landing, consent]

    return landed_once


@pytest.fixture(scope="session")
def first_village(tmp_path_factory: pytest.TempPathFactory) -> Village:
    return Village(tmp_path_factory.mktemp("village")).build()


@dataclass(frozen=True)
class Inhabited:
    """A village of one's own, and the lake in which it has landed."""

    village: Village
    lake: Lake

    def land(self) -> Run:
        """Lands what is new in the village's folder."""
        return self.lake.run(self.village.folder)


@pytest.fixture
def settle(
    first_village: Village, landed_once: Callable[..., Landed], tmp_path: Path, binary: Path
) -> Callable[..., Inhabited]:
    """A copy of the village and of its lake."""

    def settle(consent: str = "ever") -> Inhabited:
        landed = landed_once(first_village.folder, consent)
        shutil.copytree(first_village.folder, tmp_path / "landing")
        shutil.copytree(landed.lake.folder, tmp_path / "lake")
        return Inhabited(Village(tmp_path / "landing"), Lake(binary, tmp_path / "lake", consent))

    return settle
