"""Options that all commands share, exit codes, versions, completions and manual pages."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lake import TABLES, Lake
from up import Up

SECONDS_MAX = 120


class Stedi:
    """The command line, in a folder of the test."""

    def __init__(self, binary: Path, folder: Path):
        self.binary, self.folder = binary, folder

    def attempt(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(part) for part in (self.binary, *arguments)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS_MAX)

    def __call__(self, *arguments: object) -> str:
        """Returns what the command prints."""
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def policy(self) -> str:
        return json.loads((self.folder / "lake" / "stedi" / "_state" / "lake.json").read_text())["consent_policy"]


@pytest.fixture
def stedi(binary: Path, tmp_path: Path) -> Stedi:
    return Stedi(binary, tmp_path)


def test_new_lake_has_the_policy_ever(stedi: Stedi) -> None:
    stedi("run")
    assert stedi.policy() == "ever"


def test_commands_take_the_policy_of_the_lake(stedi: Stedi) -> None:
    stedi("run", "--consent", "at-reading")
    assert stedi.policy() == "at-reading"
    stedi("run")
    assert stedi.policy() == "at-reading"
    lake = Lake(stedi.binary, stedi.folder / "lake")
    command = [stedi.binary, "up", "--lake", lake.folder, "--port", 0]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        policy = next(line for line in up.stdout if "CONSENT_POLICY" in line)
        up.send_signal(signal.SIGINT)
    assert policy == "export CONSENT_POLICY=at-reading\n"


@pytest.mark.parametrize(("policy", "other"), [("ever", "at-reading"), ("at-reading", "ever")])
def test_other_policy_is_refused(stedi: Stedi, policy: str, other: str) -> None:
    stedi("run", "--consent", policy)
    done = stedi.attempt("run", "--consent", other)
    assert done.returncode == 1
    assert f"lake/stedi has the consent policy {policy}, but --consent says {other}: leave out --consent" in done.stderr
    assert stedi.policy() == policy


def test_quiet_prints_nothing(stedi: Stedi) -> None:
    for arguments in (("generate", "landing"), ("run", "landing"), ("simulate", "--runs", 2)):
        done = stedi.attempt(*arguments, "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # Results are no reports.
    assert "customer_trusted" in stedi("tables", "--quiet")
    assert json.loads(stedi("run", "landing", "--json", "-q"))["events"] == 0
    done = stedi.attempt("run", "nowhere", "-q")
    assert done.returncode == 1
    assert "nowhere" in done.stderr


def test_quiet_server_prints_its_environment_alone(binary: Path, tmp_path: Path) -> None:
    with Up(Lake(binary, tmp_path / "lake"), "--quiet") as up:
        up.put("customer/landing/a.json", b"7\n")
        until = time.monotonic() + SECONDS_MAX
        while not list(up.lake.receipts("customer")):
            assert time.monotonic() < until
            time.sleep(0.05)
    lines = up.output.read_text().splitlines()
    assert lines
    assert all(line.startswith(("#", "export ")) for line in lines)


def test_tables_has_a_line_for_each_table(stedi: Stedi) -> None:
    stedi("run")
    text = stedi("tables")
    lines = text.splitlines()
    for name in (*TABLES, "customer_landing", "accelerometer_landing", "step_trainer_landing"):
        assert len([line for line in lines if line.startswith(f"{name} ")]) == 1, text
    assert "dt=" not in text
    assert max(len(line) for line in lines) <= 80


def test_tables_shows_partitions_on_demand(stedi: Stedi) -> None:
    stedi("run")
    text = stedi("tables", "--partitions")
    lake = Lake(stedi.binary, stedi.folder / "lake")
    for name, table in TABLES.items():
        partitions = {"/".join(path.parts[-3:-1]) for path in lake.table_files(table)} if table.partitioned else set()
        shown = set(re.findall(rf"^{name} +(dt=\S+/hour=\d\d) ", text, re.MULTILINE))
        assert shown == partitions, name
    assert max(len(line) for line in text.splitlines()) <= 80
    # Either texts or JSON, which has no partitions.
    assert stedi.attempt("tables", "--partitions", "--json").returncode == 2


def test_report_fits_80_columns(stedi: Stedi) -> None:
    text = stedi("run")
    assert max(len(line) for line in text.splitlines() if "tables are in" not in line) <= 80, text


def test_version_names_commit_and_features(stedi: Stedi) -> None:
    pattern = r"stedi \d+\.\d+\.\d+ \((commit [0-9a-f]{10,}, )?features: (query|none)\)\n"
    assert re.fullmatch(pattern, stedi("--version"))
    assert re.fullmatch(r"stedi \d+\.\d+\.\d+\n", stedi("-V"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_completions_know_commands_and_options(stedi: Stedi, shell: str) -> None:
    script = stedi("completions", shell)
    for word in ("simulate", "tables", "partitions", "consent"):
        assert word in script, word


def test_bash_accepts_its_completions(stedi: Stedi) -> None:
    script = stedi("completions", "bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_manual_pages(stedi: Stedi) -> None:
    page = stedi("man")
    assert page.startswith(".ie")
    assert ".SH SUBCOMMANDS" in page
    assert "stedi\\-run" in page
    page = stedi("man", "run")
    assert "\\-\\-shuffle" in page
    done = stedi.attempt("man", "walk")
    assert done.returncode == 2
    assert "no command walk" in done.stderr


def test_help_fits_80_columns(stedi: Stedi) -> None:
    commands = re.findall(r"^  ([a-z]+) ", stedi("--help").partition("Commands:")[2].partition("Options:")[0], re.M)
    assert {"run", "up", "query", "tables", "generate", "simulate", "completions", "man"} <= set(commands)
    for arguments in ((), ("--help",), *((command, "--help") for command in commands if command != "help")):
        text = stedi(*arguments)
        assert max(len(line) for line in text.splitlines()) <= 80, arguments


def test_interruption_ends_with_130(stedi: Stedi) -> None:
    command = [str(stedi.binary), "simulate", "--runs", "1000000"]
    with subprocess.Popen(command, cwd=stedi.folder, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 130
    assert "interrupted" in error


@pytest.mark.parametrize("name", ["x.txt", "a.parquet.gz"])
def test_output_with_an_ending_of_no_format_is_wrong_usage(stedi: Stedi, name: str) -> None:
    done = stedi.attempt("query", "SELECT 1", "-o", name)
    assert done.returncode == 2
    error = f"no format for the ending of {name}, expected .csv, .json or .parquet; or give --format"
    assert error in done.stderr
    assert not list(stedi.folder.iterdir())
    # With a format, any name will do.
    assert "no format" not in stedi.attempt("query", "SELECT 1", "-o", name, "--format", "table").stderr


def test_full_standard_output_is_an_error(stedi: Stedi) -> None:
    stedi("run")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [stedi.binary, "tables"], cwd=stedi.folder, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert "cannot write to standard output: No space left on device" in done.stderr


def test_lake_in_use_names_its_holder(stedi: Stedi, generate: Callable[..., Path]) -> None:
    lake = Lake(stedi.binary, stedi.folder / "lake")
    with Up(lake) as up:
        done = stedi.attempt("run", generate("--customers", 3))
        holder = f"`stedi up` (pid {up.process.pid}, port {up.address[1]})"
        assert done.returncode == 1
        assert f"lake lake is in use by {holder}" in done.stderr
    # It is free again.
    stedi("run", generate("--customers", 3))


def test_lake_of_a_killed_server_is_free(stedi: Stedi) -> None:
    up = Up(Lake(stedi.binary, stedi.folder / "lake"))
    up.end(signal.SIGKILL)
    # The file of the killed holder is there, and says nothing more.
    assert os.path.exists(stedi.folder / "lake" / ".emulator" / "holder")
    assert "customer_trusted" in stedi("tables")
    stedi("run")
