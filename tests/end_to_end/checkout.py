"""Files in and beside the checkout, and its command line, for all tests in Python."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from up import SECONDS_MAX

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "stedi"
# The published counts of the reference data under each policy: rows by table. As many training rows are pairs of one customer as there are
# trusted readings.
COUNTS = {
    "ever": {
        "customer_trusted": 482,
        "accelerometer_trusted": 40_981,
        "customer_curated": 482,
        "step_trainer_trusted": 14_460,
        "machine_learning_curated": 43_681,
    },
    "at-reading": {
        "customer_trusted": 482,
        "accelerometer_trusted": 32_025,
        "customer_curated": 464,
        "step_trainer_trusted": 11_297,
        "machine_learning_curated": 34_253,
    },
}
# The landing files of each source, and their rows.
LANDING_COUNTS = {"customer": (1, 956), "accelerometer": (9, 81_273), "step_trainer": (3, 28_680)}


def missing(what: str) -> None:
    """Skips a test because something is missing on this machine; fails it in CI."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def binary() -> Path:
    path = Path(os.environ.get("STEDI", ROOT / "target" / "release" / "stedi"))
    assert path.exists(), f"{path} does not exist: cargo build --release"
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference data, which may lie beside the checkout."""
    if not REFERENCE.is_dir():
        missing(f"the reference data is not at {REFERENCE}")
    return REFERENCE


class Stedi:
    """The command line, in a folder of the test. `options` follow the arguments of each command."""

    def __init__(self, binary: Path, folder: Path, *options: object):
        self.binary, self.folder, self.options = binary, folder, options

    def attempt(self, *arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command; it may fail. `settings` are those of `subprocess.run`."""
        command = [str(part) for part in (self.binary, *arguments, *self.options)]
        default = {"cwd": self.folder, "timeout": SECONDS_MAX, "text": True}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run(command, **default | streams | settings)

    def __call__(self, *arguments: object, **settings: Any) -> str:
        """Runs a command and returns what it prints."""
        done = self.attempt(*arguments, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def stedi(binary: Path, tmp_path: Path) -> Stedi:
    return Stedi(binary, tmp_path)


@pytest.fixture(scope="session")
def generate(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs `stedi generate` with options into a new folder."""

    def generate(*options: object) -> Path:
        folder = tmp_path_factory.mktemp("generated")
        Stedi(binary, folder)("generate", folder, *options)
        assert any((folder / "customer" / "landing").iterdir())
        return folder

    return generate
