"""A full disk is named, with the folder of the lake."""

import subprocess
from pathlib import Path

import pytest

SECONDS_MAX = 300
SCRIPT = """
mount -t tmpfs -o size=1m tmpfs "$1" || exit 77
exec "$2" run "$3" --lake "$1/lake"
"""


def test_full_standard_output_does_not_blame_the_lake(binary: Path, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [binary, "run"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX
        )
    assert done.returncode == 1
    assert "cannot write to standard output: No space left on device" in done.stderr
    assert "no space left in" not in done.stderr


def test_full_disk_is_named(binary: Path, tmp_path: Path) -> None:
    disk, landing = tmp_path / "disk", tmp_path / "landing"
    disk.mkdir()
    subprocess.run([binary, "generate", landing], check=True, capture_output=True, timeout=SECONDS_MAX)
    # A mount in a namespace of its own, which ends with the process.
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh", disk, binary, landing]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if "unshare" in done.stderr or done.returncode == 77:
        pytest.skip(f"cannot mount a small disk: {done.stderr}")
    assert done.returncode == 1, done.stderr
    assert f"no space left in {disk}/lake; free some" in done.stderr
    assert "panicked" not in done.stderr
