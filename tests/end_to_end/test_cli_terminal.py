"""On a terminal: lines that fit, and a progress bar. Elsewhere whole lines, and no bar."""

import re
from pathlib import Path

import pytest

from checkout import Stedi
from terminal import Terminal


@pytest.fixture
def folder(stedi: Stedi) -> Path:
    """A folder with a lake."""
    stedi("run")
    return stedi.folder


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


def test_pipe_gets_whole_lines(stedi: Stedi, folder: Path) -> None:
    printed = stedi("tables", env={"COLUMNS": "40"})
    assert "…" not in printed
    assert "cut to" not in printed


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
