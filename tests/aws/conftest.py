"""One emulator and one deployment for all tests that only read the deployment; other tests make their own."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployed_lake import DeployedLake, running
from deployment import Deployment, Terraform, make_package, variables
from emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "stedi"
SECONDS = pytest.StashKey[dict[str, float]]()
FUNCTIONS = (
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SECONDS] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the times for which the project has an aim."""
    for what, seconds in config.stash[SECONDS].items():
        terminalreporter.write_line(f"{what}: {seconds:.0f} s")


def missing(what: str) -> None:
    """Skips a test because something is missing on this machine; fails it in CI."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def release() -> Path:
    """The folder of the release binaries `stedi` and the five functions."""
    path = Path(os.environ.get("STEDI", ROOT / "target" / "release" / "stedi"))
    for name in ("stedi", *FUNCTIONS):
        assert (path.parent / name).exists(), f"{path.parent / name} does not exist: cargo build --workspace --release"
    return path.parent


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference data, which may lie beside the checkout."""
    if not REFERENCE.is_dir():
        missing(f"the reference data is not at {REFERENCE}")
    return REFERENCE


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
