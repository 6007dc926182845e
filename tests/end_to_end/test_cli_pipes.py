"""Closed pipes: a command whose output is no longer read ends, and leaves the lake unlocked."""

import os
import subprocess
from pathlib import Path

import pytest

from checkout import SECONDS_MAX, Stedi


def read_one_line(command: list[str | Path], folder: Path, **environment: str) -> int:
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


def test_run_survives_a_reader_of_its_log_that_leaves(stedi: Stedi, tmp_path: Path) -> None:
    assert read_one_line([stedi.binary, "run"], tmp_path, RUST_LOG="info") == 0
    # Nothing was lost, and the lake is free.
    assert "customer_trusted" in stedi("tables")


def test_closed_standard_error_changes_nothing(binary: Path, tmp_path: Path) -> None:
    shell = Stedi(Path("sh"), tmp_path)
    printed = shell("-c", 'exec "$0" run --json 2>&-', binary, env=os.environ | {"RUST_LOG": "debug"})
    assert '"customer_trusted"' in printed


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("tables",), ("tables", "--json")])
def test_reader_of_the_output_may_leave(stedi: Stedi, arguments: tuple[str, ...]) -> None:
    stedi("run")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = stedi.attempt(*arguments, stdout=closed)
    assert done.returncode == 0, done.stderr
    assert "panicked" not in done.stderr
