"""One emulator and one deployment for all tests that only read the deployment; other tests make their own."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout import binary, generate, missing, reference
from deployed_lake import DeployedLake, running
from deployment import Deployment, Terraform, make_package, variables
from emulator import Emulator
from lake import TABLES

# pytest finds imported fixtures here.
__all__ = ["binary", "generate", "reference"]
SECONDS = pytest.StashKey[dict[str, float]]()
# Each table has a function of its name.
FUNCTIONS = tuple(TABLES)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SECONDS] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the times for which the project has an aim."""
    for what, seconds in config.stash[SECONDS].items():
        terminalreporter.write_line(f"{what}: {seconds:.0f} s")


@pytest.fixture(scope="session")
def release(binary: Path) -> Path:
    """The folder of the release binaries `stedi` and the five functions."""
    for name in FUNCTIONS:
        assert binary.with_name(name).exists(), f"there is no {name} beside {binary}: cargo build --workspace --release"
    return binary.parent


@pytest.fixture(scope="session")
def terraform_program() -> str:
    program = shutil.which("terraform")
    if program is None:
        missing("terraform is not on the PATH")
    return program


@pytest.fixture(scope="session")
def packages(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the five functions."""
    folder = tmp_path_factory.mktemp("packages")
    for name in FUNCTIONS:
        make_package(release / name, folder)
    return folder


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator of AWS that enforces policies."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator") / "log.txt")
    yield emulator
    emulator.stop()
    assert emulator.errors() == ""


@pytest.fixture(scope="session")
def deployment(
    emulator: Emulator,
    packages: Path,
    terraform_program: str,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Deployment:
    """The lake as Terraform deploys it, without files and without running functions."""
    terraform = Terraform(tmp_path_factory.mktemp("terraform"), variables(emulator, packages))
    deployment = Deployment(emulator, terraform, packages)
    began = time.monotonic()
    deployment.apply()
    pytestconfig.stash[SECONDS]["terraform apply"] = time.monotonic() - began
    return deployment


@pytest.fixture(scope="module")
def lake(deployment: Deployment, reference: Path, pytestconfig: pytest.Config) -> Iterator[DeployedLake]:
    """A lake that ingested the reference data, with two concurrent instances of each function."""
    with running(deployment, instances=2) as lake:
        began = time.monotonic()
        assert lake.upload(reference) == 13
        lake.wait()
        pytestconfig.stash[SECONDS]["reference data, first upload to empty queues"] = time.monotonic() - began
        yield lake
