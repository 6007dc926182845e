"""Closed pipes: a command whose output is no longer read ends, and leaves the lake unlocked."""

import os
import subprocess
from pathlib import Path

import pytest

from lake import Lake

SECONDS_MAX = 120


@pytest.fixture
def lake(binary: Path, tmp_path: Path) -> Lake:
    return Lake(binary, tmp_path / "lake")


def read_one_line(command: list[str], folder: Path, **environment: str) -> int:
    """Runs a command whose output and errors go to one pipe, which is closed after the first line; the exit status."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | environment
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline()
        process.stdout.close()
        return process.wait(SECONDS_MAX)
    finally:
        process.kill()


def test_run_survives_a_reader_of_its_log_that_leaves(lake: Lake, tmp_path: Path) -> None:
    command = [str(part) for part in (lake.binary, "run", "--lake", lake.folder)]
    assert read_one_line(command, tmp_path, RUST_LOG="info") == 0
    # Nothing was lost, and the lake is free.
    done = subprocess.run(
        [lake.binary, "tables", "--lake", lake.folder], capture_output=True, text=True, timeout=SECONDS_MAX
    )
    assert done.returncode == 0, done.stderr
    assert "customer_trusted" in done.stdout


def test_closed_standard_error_changes_nothing(lake: Lake, tmp_path: Path) -> None:
    command = [str(part) for part in (lake.binary, "run", "--lake", lake.folder, "--json")]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"RUST_LOG": "debug"},
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0
    assert '"customer_trusted"' in done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("tables",), ("tables", "--json")])
def test_reader_of_the_output_may_leave(lake: Lake, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    subprocess.run([lake.binary, "run", "--lake", lake.folder], capture_output=True, check=True, timeout=SECONDS_MAX)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        options = () if "--help" in arguments else ("--lake", lake.folder)
        done = subprocess.run(
            [lake.binary, *arguments, *options], cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, timeout=SECONDS_MAX
        )
    assert done.returncode == 0, done.stderr
    assert b"panicked" not in done.stderr
