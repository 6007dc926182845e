"""A full disk is named, with the folder of the lake."""

import subprocess
from pathlib import Path

import pytest

from checkout import SECONDS_MAX, Stedi

SCRIPT = """
mount -t tmpfs -o size=1m tmpfs "$1" || exit 77
exec "$2" run "$3" --lake "$1/lake"
"""


def test_full_standard_output_does_not_blame_the_lake(stedi: Stedi) -> None:
    with open("/dev/full", "wb") as full:
        done = stedi.attempt("run", stdout=full)
    assert done.returncode == 1
    assert "cannot write to standard output: No space left on device" in done.stderr
    assert "no space left in" not in done.stderr


def test_full_disk_is_named(binary: Path, generated: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # A mount in a namespace of its own, which ends with the process.
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh", disk, binary, generated]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if "unshare" in done.stderr or done.returncode == 77:
        pytest.skip(f"cannot mount a small disk: {done.stderr}")
    assert done.returncode == 1, done.stderr
    assert f"no space left in {disk}/lake; free some" in done.stderr
    assert "panicked" not in done.stderr
