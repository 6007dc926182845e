"""`stedi simulate`: a seed gives the same run in every process, statistics add up, and no file is left behind."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Stedi
from lake import Run

Simulate = Callable[..., Run]
SEEDS = 40
KINDS = {
    "duplicate",
    "reorder",
    "delay",
    "kill",
    "stall",
    "lost-response",
    "time-out",
    "slow-down",
    "conflict",
    "throttle",
    "concurrent-modification",
    "partition-error",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working and temporary folders of a simulation, which must leave no file there."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "here").mkdir()
    return tmp_path


@pytest.fixture
def simulate(binary: Path, folder: Path) -> Simulate:
    stedi = Stedi(binary, folder / "here")

    def simulate(*arguments: object) -> Run:
        done = stedi.attempt("simulate", *arguments, timeout=300, env=environment(folder))
        assert "panicked" not in done.stderr
        assert not any((folder / "temporary").iterdir())
        return Run(done.returncode, done.stdout, done.stderr)

    return simulate


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(folder / "temporary")}


def test_same_seed_gives_the_same_trace_in_every_process(simulate: Simulate) -> None:
    first, second = (simulate("--runs", SEEDS, "--trace", "--jobs", jobs) for jobs in (1, 3))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout
    lines = [line.split(" ") for line in first.stdout.splitlines()]
    assert [int(seed) for seed, _ in lines] == list(range(1, SEEDS + 1))
    assert len({digest for _, digest in lines}) == SEEDS
    # One seed alone prints its whole trace.
    whole = simulate("--runs", 1, "--seed", 7, "--trace")
    assert whole.stdout.splitlines()[-1] == f"trace {lines[6][1]}"
    assert len(whole.stdout.splitlines()) > 100


def test_statistics_are_sums_and_do_not_depend_on_threads(simulate: Simulate) -> None:
    def statistics(*arguments: object) -> dict:
        run = simulate("--json", *arguments)
        assert run.returncode == 0, run.stderr
        assert run.report["seconds"] > 0
        return {name: value for name, value in run.report.items() if name != "seconds"}

    whole = statistics("--runs", 12)
    assert whole == statistics("--runs", 12, "--jobs", 1) == statistics("--runs", 12, "--jobs", 5)
    parts = [statistics("--seed", seed, "--runs", 4) for seed in (1, 5, 9)]
    for name in ("runs", "invocations", "requests", "writes", "compared"):
        assert whole[name] == sum(part[name] for part in parts) > 0, name
    assert whole["faults"].keys() == KINDS
    for kind, fault in whole["faults"].items():
        for name in ("injected", "mattered"):
            assert fault[name] == sum(part["faults"][kind][name] for part in parts), (kind, name)
    assert whole["requests"] > whole["writes"] > whole["compared"] >= whole["runs"] == 12
    assert whole["seed"] == 1
    assert whole["violation"] is None
    assert len(whole["invariants"]) == 10


def test_option_none_injects_no_faults(simulate: Simulate) -> None:
    run = simulate("--runs", 5, "--faults", "none", "--json")
    assert run.returncode == 0, run.stderr
    assert run.report["faults"] == {}
    assert not re.search("|".join(KINDS), simulate("--runs", 1, "--faults", "none", "--trace").stdout)


def test_only_named_faults_are_injected(simulate: Simulate) -> None:
    run = simulate("--runs", 10, "--faults", "kill,stall", "--json")
    assert run.returncode == 0, run.stderr
    assert run.report["faults"].keys() == {"kill", "stall"}
    assert all(fault["injected"] > 0 for fault in run.report["faults"].values())


def test_report_as_text_lists_all_faults_and_invariants(simulate: Simulate) -> None:
    run = simulate("--runs", 3)
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    for word in (*KINDS, *(f"L{number} " for number in range(1, 9)), "progress", "3 runs", "No invariant was violated"):
        assert word in run.stdout, word


CASE = {
    "scenario": {
        "policy": "ever",
        "pairs": "same-instant",
        "customer_shards": 1,
        "phases": [
            [
                {
                    "at_ms": 5,
                    "key": "accelerometer/landing/motions.json",
                    "content": {"lines": [{"motion": {"name": "ann", "spelling": 0, "time": 1000, "number": 1}}]},
                },
                {"at_ms": 3, "key": "customer/landing/customers.json", "content": "damaged"},
            ]
        ],
    },
    "faults": ["kill"],
    "schedule": 1,
}


def test_case_is_replayed(simulate: Simulate, folder: Path) -> None:
    (folder / "here" / "case.json").write_text(json.dumps(CASE))
    runs = [simulate("--replay", "case.json") for _ in range(2)]
    assert runs[0].returncode == 0, runs[0].stderr
    assert runs[0] == runs[1]
    for word in ("ann@example.com", "damaged", "accelerometer_trusted#", "\ntrace ", "no invariant is violated"):
        assert word in runs[0].stdout, word


def test_impossible_scenario_is_refused(simulate: Simulate, folder: Path) -> None:
    case = CASE | {"scenario": CASE["scenario"] | {"customer_shards": 0}}
    (folder / "here" / "case.json").write_text(json.dumps(case))
    run = simulate("--replay", "case.json")
    assert run.returncode == 1
    assert "case.json cannot be run" in run.stderr


@pytest.mark.parametrize("seconds", [0.05, 0.5, 2])
def test_interruption_leaves_nothing_behind(binary: Path, folder: Path, seconds: float) -> None:
    with subprocess.Popen(
        [binary, "simulate", "--runs", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder / "here",
        env=environment(folder),
    ) as process:
        # Before it makes its folder, the process does not handle the signal yet.
        deadline = time.monotonic() + 60
        while not any((folder / "temporary").iterdir()):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        time.sleep(seconds)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert time.monotonic() - begin < 20
    assert not stdout
    assert "nothing is left behind" in stderr
    assert not any((folder / "temporary").iterdir())
    assert not any((folder / "here").iterdir())
