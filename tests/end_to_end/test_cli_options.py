"""Options that all commands share, exit codes, versions, completions and manual pages."""

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import COUNTS, Stedi
from comparison import assert_equal_lakes
from conftest import Ingestion
from lake import TABLES, Lake
from up import Up, until


def settings(lake: Lake) -> tuple[str, str, int, int]:
    config = json.loads((lake.bucket / "_state" / "lake.json").read_text())
    return config["consent_policy"], config["pairs"], config["slices_per_hour"], config["customer_shards"]


def test_new_lake_has_the_default_settings(stedi: Stedi, lake: Lake) -> None:
    stedi("run")
    assert settings(lake) == ("ever", "same-instant", 1, 16)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (("--consent", "at-reading"), ("at-reading", "same-instant", 1, 16)),
        (("--pairs", "same-customer"), ("ever", "same-customer", 1, 16)),
        (("--slices", "60"), ("ever", "same-instant", 60, 16)),
        (("--shards", "3"), ("ever", "same-instant", 1, 3)),
    ],
)
def test_commands_take_the_settings_of_the_lake(
    stedi: Stedi, lake: Lake, given: tuple[str, ...], made: tuple[str, str, int, int]
) -> None:
    for options in (given, ()):
        stedi("run", *options)
        assert settings(lake) == made
    command = [stedi.binary, "up", "--lake", lake.folder, "--port", 0]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        names = ("CONSENT_POLICY", "PAIRS", "SLICES_PER_HOUR", "CUSTOMER_SHARDS")
        printed = [next(line for line in up.stdout if name in line) for name in names]
        up.send_signal(signal.SIGINT)
    assert printed == [f"export {name}={value}\n" for name, value in zip(names, made, strict=True)]


def test_other_slices_than_those_of_the_lake_are_refused(stedi: Stedi, lake: Lake) -> None:
    stedi("run", "--slices", "4")
    before = lake.versions()
    for arguments in (("run", "--slices", "60"), ("up", "--port", 0, "--slices", "1")):
        done = stedi.attempt(*arguments)
        assert done.returncode == 1
        assert f"has the slices per hour 4, but --slices says {arguments[-1]}" in done.stderr
    assert lake.versions() == before
    stedi("run", "--slices", "4")


@pytest.mark.parametrize("slices", ["0", "7", "3601", "7200", "-1", "1.5", "many", ""])
def test_slices_that_do_not_divide_an_hour_are_wrong_usage(stedi: Stedi, lake: Lake, slices: str) -> None:
    done = stedi.attempt("run", f"--slices={slices}")
    assert done.returncode == 2
    assert "expected a divisor of 3600" in done.stderr
    assert not lake.bucket.exists()


def test_slices_change_the_objects_of_tables_and_no_row(reference: Path, ingest: Callable[..., Ingestion]) -> None:
    whole, sliced = ingest(reference), ingest(reference, "--slices", 60)
    assert sliced.run.rows() == whole.run.rows() == COUNTS["ever"]
    assert_equal_lakes(sliced.lake, whole.lake)
    report = subprocess.check_output([sliced.lake.binary, "tables", "--json", "--lake", sliced.lake.folder], text=True)
    shown = json.loads(report)["tables"]
    for name, table in TABLES.items():
        assert shown[name]["rows"] == COUNTS["ever"][name], name
        if table.partitioned:
            files = sliced.lake.table_files(table)
            assert {file.name for file in whole.lake.table_files(table)} == {"00.parquet"}, name
            assert all(re.fullmatch(r"[0-5]\d\.parquet", file.name) for file in files), name
            partitions = {file.parent for file in files}
            assert len(files) > len(partitions), name
            assert len(partitions) == len(whole.lake.table_files(table)), name


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


def test_quiet_server_prints_its_environment_alone(lake: Lake) -> None:
    with Up(lake, "--quiet") as up:
        up.put("customer/landing/a.json", b"7\n")
        until(lambda: bool(list(lake.receipts("customer"))), "a receipt")
    lines = up.output.read_text().splitlines()
    assert lines
    assert all(line.startswith(("#", "export ")) for line in lines)


def test_reports_fit_80_columns_and_tables_has_a_line_for_each_table(stedi: Stedi) -> None:
    text = stedi("run")
    assert max(len(line) for line in text.splitlines() if "tables are in" not in line) <= 80, text
    text = stedi("tables")
    lines = text.splitlines()
    for name in (*TABLES, "customer_landing", "accelerometer_landing", "step_trainer_landing"):
        assert len([line for line in lines if line.startswith(f"{name} ")]) == 1, text
    assert "dt=" not in text
    assert max(len(line) for line in lines) <= 80


def test_tables_shows_partitions_on_demand(stedi: Stedi, lake: Lake) -> None:
    stedi("run")
    text = stedi("tables", "--partitions")
    for name, table in TABLES.items():
        partitions = {"/".join(path.parts[-3:-1]) for path in lake.table_files(table)} if table.partitioned else set()
        shown = set(re.findall(rf"^{name} +(dt=\S+/hour=\d\d) ", text, re.MULTILINE))
        assert shown == partitions, name
    assert max(len(line) for line in text.splitlines()) <= 80


def test_version_names_commit_features_and_stored_format(stedi: Stedi) -> None:
    pattern = r"stedi \d+\.\d+\.\d+ \((commit [0-9a-f]{10,}, )?features: (query|none), stored format 5\)\n"
    assert re.fullmatch(pattern, stedi("--version"))
    assert re.fullmatch(r"stedi \d+\.\d+\.\d+\n", stedi("-V"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_completions_know_commands_and_options(stedi: Stedi, shell: str) -> None:
    script = stedi("completions", shell)
    for word in ("simulate", "tables", "partitions", "consent", "pairs", "slices"):
        assert word in script, word


def test_bash_accepts_its_completions(stedi: Stedi) -> None:
    script = stedi("completions", "bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_lake_of_a_killed_server_is_free(stedi: Stedi, lake: Lake) -> None:
    Up(lake).end(signal.SIGKILL)
    # The file of the killed holder is there, and says nothing more.
    assert (lake.folder / ".emulator" / "holder").exists()
    assert "customer_trusted" in stedi("tables")
    stedi("run")
