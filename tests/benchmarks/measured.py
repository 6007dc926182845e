"""Shared by the benchmarks: their libraries, processes with time and memory, a running `stedi up`, and data of any size."""

import json
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "end_to_end"))

from lake_folder import LakeFolder  # noqa: E402, F401
from up import Up  # noqa: E402

HERE = Path(__file__).resolve().parent
SOURCES = ("customer", "accelerometer", "step_trainer")
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# When the first upload begins.
BEGIN_MS = 1_655_564_400_000
# The readings of each kind of one upload.
READINGS = 60
# Between two questions whether a running `stedi up` is quiet. Shorter pauses would only slow it down.
POLL_SECONDS = 0.002
TIME = re.compile(rb"(?<=[:\s])\d{13}(?=[,}\s])")
EMAIL = re.compile(rb'("(?:user|email)":\s*"[^"@]*)(?=@)')
SERIAL = re.compile(rb'("serialNumber":\s*"[^"]*)(?=")')


class CannotMeasure(Exception):
    """Something is missing, or went wrong."""


def with_libraries() -> None:
    """Continues in a virtual environment with the libraries of requirements.txt."""
    wanted = (HERE / "requirements.txt").read_bytes()
    folder = ROOT / "target" / "benchmarks_venv"
    python, done = folder / "bin" / "python", folder / "requirements.txt"
    if Path(sys.prefix) == folder:
        return
    if not done.exists() or done.read_bytes() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
        done.write_bytes(wanted)
    os.execv(python, [python, *sys.argv])


@dataclass(frozen=True)
class Measured:
    """A process: wall-clock seconds from start to end, peak memory, standard output, and processor seconds."""

    seconds: float
    bytes: int
    output: bytes
    cpu_seconds: float

    def report(self) -> dict:
        return json.loads(self.output)


# Linux counts the memory that a process had before its exec as its own. So a process that this one started would have at
# least the memory of this one. A small process starts the command instead, and writes what it measured to a pipe.
START = """
import json, os, sys, time
begin = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
measured = time.perf_counter() - begin, os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime
os.write(int(sys.argv[1]), json.dumps(measured).encode())
"""


def process(command: list) -> Measured:
    """Runs a command to its end; it must succeed. Pending writes of earlier commands are flushed first, so that they do not
    take processor time."""
    os.sync()
    parts = [str(part) for part in command]
    reader, writer = os.pipe()
    start = [sys.executable, "-I", "-S", "-c", START, str(writer), *parts]
    with open(reader, "rb") as measured:
        done = subprocess.run(start, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[writer])
        os.close(writer)
        if done.returncode != 0:
            raise CannotMeasure(f"{command} cannot be started")
        seconds, code, kib, cpu_seconds = json.loads(measured.read())
    if code != 0:
        raise CannotMeasure(f"{command} ended with {code}")
    return Measured(seconds, kib * 1024, done.stdout, cpu_seconds)


@dataclass(frozen=True)
class Handled:
    """What an upload took: milliseconds of wall-clock time, milliseconds of processor time, and peak memory so far."""

    milliseconds: float
    cpu_ms: float
    bytes: int


def handled(up: Up, landing: Path) -> Handled:
    """Uploads landing files over HTTP, and measures from the first request until the functions are quiet."""
    files = {file.relative_to(landing).as_posix(): file.read_bytes() for file in sorted(landing.rglob("*.json"))}
    os.sync()
    cpu_ms, begin = cpu_ms_of(up.process.pid), time.perf_counter()
    for key, body in files.items():
        up.put(key, body)
    up.wait_until_quiet(POLL_SECONDS)
    milliseconds = 1e3 * (time.perf_counter() - begin)
    return Handled(milliseconds, cpu_ms_of(up.process.pid) - cpu_ms, peak_of(up.process.pid))


def cpu_ms_of(pid: int) -> float:
    """The processor time of a running process. That of threads that ended is missing; the programs measured keep theirs."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def peak_of(pid: int) -> int:
    """The bytes of a running process's peak memory."""
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]) << 10


def empty(folder: Path) -> None:
    """Truncates the files of a folder, but keeps them. After thousands of files are removed, a file system (ext4 without a
    journal) is slow to make new ones for minutes, which would distort the measurement."""
    for file in folder.rglob("*"):
        if file.is_file():
            os.truncate(file, 0)


def stedi_program(given: Path | None) -> Path:
    program = given or ROOT / "target" / "release" / "stedi"
    if not program.is_file():
        raise CannotMeasure(f"{program} does not exist: run `cargo build --release --locked`")
    return program


def reference(program: Path, given: Path | None, folder: Path) -> Path:
    """The landing files to copy: those given, the reference data beside this project, or generated ones."""
    beside = ROOT.parent / "shared" / "stedi"
    if given or beside.is_dir():
        return given or beside
    process([program, "generate", folder])
    return folder


def shifted(text: bytes, hours: int) -> bytes:
    """The text with all times shifted by some hours."""
    return TIME.sub(lambda found: b"%d" % (int(found.group()) + hours * HOUR_MS), text)


def copy(text: bytes, number: int) -> bytes:
    """The same file with other people, `number` hours later. No two copies share a time."""
    if number == 0:
        return text
    text = EMAIL.sub(rb"\g<1>+%d" % number, shifted(text, number))
    return SERIAL.sub(rb"\g<1>-%d" % number, text)


def landing_files(folder: Path, source: str) -> list[Path]:
    return sorted((folder / source / "landing").glob("*.json"))


def scaled(original: Path, folder: Path, copies: int) -> Path:
    """Makes `copies` copies of every landing file, which multiplies the rows of every table."""
    for source in SOURCES:
        into = folder / source / "landing"
        into.mkdir(parents=True)
        for file in landing_files(original, source):
            text = file.read_bytes()
            for number in range(copies):
                (into / f"{file.stem}-{number:04d}.json").write_bytes(copy(text, number))
    return folder


def arrival(original: Path, folder: Path, hours: int) -> Path:
    """A folder with one more accelerometer file: the first one, shifted by some hours."""
    into = folder / "accelerometer" / "landing"
    into.mkdir(parents=True)
    text = landing_files(original, "accelerometer")[0].read_bytes()
    (into / f"arrival-{hours:04d}.json").write_bytes(shifted(text, hours))
    return folder


def customer(email: str, updated_ms: int = BEGIN_MS, consents: bool = True) -> dict:
    """A customer record."""
    record = {
        "customerName": email.partition("@")[0].title(),
        "email": email,
        "serialNumber": device(email),
        "registrationDate": BEGIN_MS,
        "lastUpdateDate": updated_ms,
    }
    return record | ({"shareWithResearchAsOfDate": BEGIN_MS} if consents else {})


def device(email: str) -> str:
    """The serial number of a customer's device."""
    return f"device of {email}"


def upload(
    folder: Path, source: str, name: str, user: str, number: int, count: int, an_hour: int | None, shift_ms: int = 0
) -> Path:
    """A landing file with `count` readings in the hour of an upload, or with no `an_hour` in one of the hour's minutes."""
    begin = BEGIN_MS + (number // an_hour * HOUR_MS if an_hour else number * 7 % 60 * MINUTE_MS)
    row = {
        "accelerometer": '{{"user":"{user}","timestamp":{time},"x":{value}.0,"y":-1.0,"z":0.5}}\n',
        "step_trainer": '{{"sensorReadingTime":{time},"serialNumber":"{device}","distanceFromObject":{value}}}\n',
    }[source]
    length = HOUR_MS if an_hour else MINUTE_MS
    times = (begin + (number + shift_ms + i * 997) % length for i in range(count))
    rows = (row.format(user=user, device=device(user), time=time, value=i % 7) for i, time in enumerate(times))
    return write(folder, source, name, "".join(rows))


def shift_of_one_more(number: int) -> int:
    """How many milliseconds one more upload is shifted, so that it has no instant of another upload of its hour."""
    return 30 + 60 * number


def write(folder: Path, source: str, name: str, text: str) -> Path:
    """Writes a landing file."""
    file = folder / source / "landing" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def times_as_much(now: float, first: float) -> str:
    """How many times as much the one is as the other."""
    return f"{now / first:.2f} ×"


def machine() -> Iterator[str]:
    """Describes this machine."""
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown processor")
    yield f"{os.cpu_count()} cores ({model})"
    yield f"Linux {os.uname().release}"
    yield subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip().split(" (")[0]
