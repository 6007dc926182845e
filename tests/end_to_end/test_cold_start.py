"""`tests/benchmarks/cold_start.py` starts each function's program until its first poll."""

import subprocess
import sys
from pathlib import Path

from checkout import ROOT
from lake import TABLES

SCRIPT = ROOT / "tests" / "benchmarks" / "cold_start.py"


def test_every_function_polls_for_an_event(binary: Path) -> None:
    command = [sys.executable, SCRIPT, binary.parent, "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    rows = done.stdout.splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == sorted(TABLES)


def test_folder_without_functions_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "infra/package" in done.stderr
