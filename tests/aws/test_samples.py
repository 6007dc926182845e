"""Every sample event gives the result in the index, by `cargo lambda watch` and `cargo lambda invoke`."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from checkout import ROOT
from conftest import FUNCTIONS
from deployed_lake import batches
from deployment import HASH_KEY, SOURCE
from emulator import Emulator
from up import keys_of, until

EVENTS = ROOT / "events"
BUCKET = "stedi"
COLUMNS = ["event", "function", "shows", "answer", "writes"]
FIRST_SECTION = "One event for each trigger"
TIMEOUT_SECONDS = 60
# cargo-lambda draws these around the text of an error and breaks its lines.
FRAME = re.compile(r"[\s│×├─▶╰]+")


@dataclass(frozen=True)
class Sample:
    """A row of the index."""

    section: str
    event: str
    function: str
    answer: str
    writes: str

    def __str__(self) -> str:
        return f"{self.event.removesuffix('.json')}-{self.function}"


def samples() -> list[Sample]:
    """Returns the rows of all tables of the index."""
    found: list[Sample] = []
    section = ""
    for line in (EVENTS / "README.md").read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("|"):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            assert len(cells) == len(COLUMNS), line
            if cells != COLUMNS and set(cells[0]) != {"-"}:
                event, function, _, answer, writes = cells
                found.append(Sample(section, event, function, answer, writes))
    return found


SAMPLES = samples()
IN_ORDER = [sample for sample in SAMPLES if sample.section.startswith(FIRST_SECTION)]
OTHERS = [sample for sample in SAMPLES if sample not in IN_ORDER]


class Watch:
    """`cargo lambda watch` with the release binaries. It does not build them, because a build of single functions would
    compile the SDKs again, with other features than the workspace's."""

    def __init__(self, release: Path, emulator: Emulator, folder: Path):
        self.emulator, self.folder = emulator, folder
        self.port = free_port()
        with ExitStack() as stack:
            watch = ["watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1", "--invoke-port", self.port]
            self._start(stack, "watch", cargo_lambda(*watch), os.environ.copy())
            until(self._listens, lambda: f"cargo lambda watch: {(folder / 'watch.log').read_text()}")
            for name in FUNCTIONS:
                self._start(stack, name, [str(release / name)], self._environment(name))
            self.processes = stack.pop_all()

    def invoke(self, function: str, event: Path) -> tuple[int, str]:
        """Returns the exit status and the output."""
        options = ["--invoke-address", "127.0.0.1", "--invoke-port", self.port, "--data-file", event]
        done = subprocess.run(
            cargo_lambda("invoke", function, *options, "--output-format", "json"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        return done.returncode, done.stdout if done.returncode == 0 else done.stderr

    def _environment(self, name: str) -> dict[str, str]:
        return self.emulator.environment() | {
            "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{self.port}/.rt/{name}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "LAKE_BUCKET": BUCKET,
            "HASH_KEY": HASH_KEY,
        }

    def _start(self, stack: ExitStack, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        # The stack runs its callbacks in reverse order: kill, then wait.
        stack.callback(process.wait)
        stack.callback(process.kill)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cargo_lambda(*arguments: object) -> list[str]:
    """Returns a command of cargo-lambda, from the environment of these tests if it is there."""
    beside = Path(sys.executable).with_name("cargo-lambda")
    program = beside if beside.exists() else shutil.which("cargo-lambda")
    assert program, "cargo-lambda is not installed: see requirements.txt"
    return [str(part) for part in (program, "lambda", *arguments)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator with the bucket and the tables that the events name."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator") / "log.txt", "--without-iam")
    emulator.client("s3").create_bucket(Bucket=BUCKET)
    glue = emulator.client("glue")
    glue.create_database(DatabaseInput={"Name": BUCKET})
    for name, table in json.loads((SOURCE / "tables.json").read_text())["tables"].items():
        columns, keys = (
            [{"Name": column["name"], "Type": column["type"]} for column in table[of]]
            for of in ("columns", "partition_columns")
        )
        storage = {"Columns": columns, "Location": f"s3://{BUCKET}/{table['prefix']}"}
        described = {"Name": name, "StorageDescriptor": storage, "PartitionKeys": keys}
        glue.create_table(DatabaseName=BUCKET, TableInput=described)
    yield emulator
    emulator.stop()


@pytest.fixture(scope="module")
def s3(stack: Emulator, generate: Callable[..., Path]) -> Any:
    """A client of the bucket, which holds the files of `stedi generate`."""
    s3 = stack.client("s3")
    folder = generate()
    for key in keys_of(folder):
        s3.put_object(Bucket=BUCKET, Key=key, Body=(folder / key).read_bytes())
    return s3


@pytest.fixture
def watch(release: Path, stack: Emulator, s3: Any, tmp_path: Path) -> Iterator[Watch]:
    """cargo-lambda and the functions, with a bucket that holds landing files and no derived objects."""
    keys = [key for key in objects(s3) if "/landing/" not in key and key != "_state/lake.json"]
    for some in batches([{"Key": key} for key in keys], 1000):
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": some})
    watch = Watch(release, stack, tmp_path)
    # The first function of a lake writes the lake config.
    watch.invoke("customer_trusted", EVENTS / "test_event.json")
    with watch.processes:
        yield watch


def objects(s3: Any) -> dict[str, str]:
    """Returns the ETag of every object."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {entry["Key"]: entry["ETag"] for page in pages for entry in page.get("Contents", [])}


def check(watch: Watch, s3: Any, sample: Sample) -> None:
    """Invokes the function with the sample, and compares the answer and the bucket with the index."""
    before = objects(s3)
    status, answer = watch.invoke(sample.function, EVENTS / sample.event)
    if sample.answer.startswith("error: "):
        expected = sample.answer.removeprefix("error: ")
        assert status != 0 and FRAME.sub("", expected) in FRAME.sub("", answer), answer
    else:
        assert status == 0, answer
        assert json.loads(answer) == json.loads(sample.answer)
    after = objects(s3)
    if sample.writes == "nothing":
        assert after == before
    else:
        assert any(key.startswith(sample.writes) for key in after), sorted(set(after) - set(before))


def test_index_lists_every_event() -> None:
    assert {sample.event for sample in SAMPLES} == {path.name for path in EVENTS.glob("*.json")}
    assert {sample.function for sample in SAMPLES} == set(FUNCTIONS)
    assert IN_ORDER and OTHERS


def test_index_has_every_trigger() -> None:
    """The index has one sample for each pair of a prefix and a function that it triggers."""
    topology = json.loads((SOURCE / "topology.json").read_text())
    pairs = {(trigger["prefix"], name) for trigger in topology["triggers"] for name in trigger["functions"]}
    found = set()
    for sample in IN_ORDER:
        (record,) = json.loads((EVENTS / sample.event).read_text())["Records"]
        prefixes = [prefix for prefix, _ in pairs if record["s3"]["object"]["key"].startswith(prefix)]
        found |= {(prefix, sample.function) for prefix in prefixes}
    assert found == pairs


def test_events_of_the_triggers_make_tables(watch: Watch, s3: Any) -> None:
    """Invokes the samples in the order of the index, since each one needs the outputs of the earlier ones."""
    for sample in IN_ORDER:
        exists = any(key.startswith(sample.writes) for key in objects(s3))
        assert not exists, f"{sample}: {sample.writes} exists before"
        check(watch, s3, sample)


@pytest.mark.parametrize("sample", OTHERS, ids=str)
def test_sample_gives_the_result_of_the_index(watch: Watch, s3: Any, sample: Sample) -> None:
    check(watch, s3, sample)
