"""Runs the conformance suite on moto without patches: the behaviors of S3 and Glue on which the lake relies."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from checkout import ROOT
from emulator import Emulator

RESULT = re.compile(r"^test (\S+) \.\.\. (\w+)", re.MULTILINE)
# The same build as for all other tests, so that cargo compiles nothing twice.
BUILD = ["--workspace", "--release", "--locked", "--features", "stedi/query"]
COMMAND = ["cargo", "test", *BUILD, "--test", "endpoint"]
TIMEOUT_SECONDS = 3600


@pytest.fixture(scope="module")
def unpatched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """moto without patches and policies."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator") / "log.txt", "--unpatched")
    yield emulator
    emulator.stop()


def test_unpatched_moto_passes_the_conformance_suite(unpatched: Emulator) -> None:
    assert shutil.which("cargo"), "cargo is not on the PATH"
    environment = os.environ | {"CONFORMANCE_ENDPOINT_URL": unpatched.url}
    done = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    results = dict(RESULT.findall(done.stdout))
    failed = sorted(name for name, result in results.items() if result != "ok")
    assert not failed, done.stdout[-8000:]
    assert done.returncode == 0, done.stderr[-8000:]
    assert results.keys() == behaviors()


def behaviors() -> set[str]:
    """Returns the names of the suite's tests for all implementations, as its source lists them."""
    text = (ROOT / "tests" / "conformance" / "src" / "lib.rs").read_text()
    for_all = text.split("(strict $open:path)")[0]
    modules = re.findall(r"@ \$open, (\w+):\s*([\w,\s]*)\}", for_all)
    return {f"{module}::{name}" for module, names in modules for name in re.findall(r"\w+", names)}
