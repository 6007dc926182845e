"""On a terminal: lines that fit, and a progress bar. Elsewhere whole lines, and no bar."""

import re
import subprocess
from pathlib import Path

import pytest

from terminal import Terminal

SECONDS_MAX = 120


@pytest.fixture
def folder(binary: Path, tmp_path: Path) -> Path:
    """A folder with a lake."""
    subprocess.run([binary, "run"], cwd=tmp_path, capture_output=True, check=True, timeout=SECONDS_MAX)
    return tmp_path


def test_wide_lines_are_cut_with_a_note(binary: Path, folder: Path) -> None:
    with Terminal([binary, "tables"], folder, columns=40) as terminal:
        lines = terminal.read_all().replace("\r", "").splitlines()
    assert lines[-1] == "(cut to 40 columns; a file or a pipe gets whole lines)"
    assert max(len(line) for line in lines[:-1]) == 40
    assert any(line.endswith("…") for line in lines)


def test_lines_that_fit_are_whole(binary: Path, folder: Path) -> None:
    with Terminal([binary, "tables"], folder) as terminal:
        text = terminal.read_all()
    assert "cut to" not in text
    assert "…" not in text


def test_json_is_never_cut(binary: Path, folder: Path) -> None:
    with Terminal([binary, "tables", "--json"], folder, columns=20) as terminal:
        assert "…" not in terminal.read_all()


def test_pipe_gets_whole_lines(binary: Path, folder: Path) -> None:
    done = subprocess.run(
        [binary, "tables"], cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, env={"COLUMNS": "40"}
    )
    assert "…" not in done.stdout
    assert "cut to" not in done.stdout


def test_progress_says_files_and_rate(binary: Path, tmp_path: Path) -> None:
    with Terminal([binary, "run", "--duplicate", "20"], tmp_path, columns=100) as terminal:
        shown = terminal.read_all()
    assert terminal.process.returncode == 0
    assert re.search(r"\d+/\d+ files, \d{1,3}(,\d{3})* rows/s", shown), shown
    assert not re.search(r"\b0s left", shown), shown


def test_quiet_run_shows_no_progress(binary: Path, tmp_path: Path) -> None:
    with Terminal([binary, "run", "--quiet"], tmp_path) as terminal:
        assert terminal.read_all() == ""


def test_interruption_begins_a_new_line(binary: Path, tmp_path: Path) -> None:
    with Terminal([binary, "simulate", "--runs", "1000000"], tmp_path) as terminal:
        terminal.read_until("runs")
        terminal.type("\x03")
        shown = terminal.read_all()
    assert terminal.process.returncode == 130
    assert "\r\nstedi: interrupted; nothing is left behind" in shown
