#!/usr/bin/env python3
"""Measures the cost of a cold start: package size, time from exec to the first poll, and memory at that time.

usage: tests/benchmarks/cold_start.py [FOLDER] [--runs N]

FOLDER holds the functions' packages, as NAME/bootstrap.zip (target/lambda, the default), or their programs, as NAME
(such as target/release). Each is started N times, with the settings that Lambda would give it and a stand-in Runtime API
on loopback, which notes when it asks for its first event and never answers. What Lambda itself needs before exec (fetch
and unpack the package, start the sandbox) is not in it; it grows with the package, hence the sizes.

VmRSS is the resident memory at the first poll, VmHWM the most there was until then. Both count the pages of the program
itself, which are read from its file as they are needed.
"""

import argparse
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir())
FIRST_POLL = b"GET /2018-06-01/runtime/invocation/next "
SECONDS_MAX = 10


class CannotMeasure(Exception):
    """Something is missing, or went wrong."""


@dataclass(frozen=True)
class Package:
    """A function's package, or only its program."""

    name: str
    program: Path
    zip_bytes: int | None


@dataclass(frozen=True)
class Start:
    """One cold start."""

    milliseconds: float
    resident_kib: int
    peak_kib: int


def packages(folder: Path, unpacked: Path) -> list[Package]:
    """The functions in the folder. Programs in packages are unpacked."""
    found = []
    for name in FUNCTIONS:
        archive, program = folder / name / "bootstrap.zip", folder / name
        if archive.is_file():
            target = unpacked / name
            with zipfile.ZipFile(archive) as package:
                target.write_bytes(package.read("bootstrap"))
            target.chmod(0o755)
            found.append(Package(name, target, archive.stat().st_size))
        elif program.is_file():
            found.append(Package(name, program, None))
    if not found:
        raise CannotMeasure(
            f"{folder} holds neither packages (customer_trusted/bootstrap.zip, made by infra/package) nor programs "
            "(customer_trusted, made by cargo build --release --workspace)"
        )
    return found


def environment(name: str, api: str) -> dict[str, str]:
    """The environment that Lambda and Terraform set."""
    return {
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "cold-start",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "LAKE_BUCKET": "stedi",
        "HASH_KEY": "0" * 64,
        "CONSENT_POLICY": "ever",
        "PAIRS": "same-instant",
        "CUSTOMER_SHARDS": "16",
        "SLICES_PER_HOUR": "1",
        "GLUE_DATABASE": "stedi",
        "RUST_LOG": "info,lambda_runtime=warn",
    }


def start(package: Package) -> Start:
    """Starts a function, waits for its first poll, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS_MAX)
        api = f"127.0.0.1:{server.getsockname()[1]}"
        begin = time.perf_counter()
        pid = os.posix_spawn(package.program, [str(package.program)], environment(package.name, api))
        try:
            connection, _ = server.accept()
            connection.settimeout(SECONDS_MAX)
            request = connection.recv(len(FIRST_POLL), socket.MSG_WAITALL)
            seconds = time.perf_counter() - begin
            if request != FIRST_POLL:
                raise CannotMeasure(f"{package.name} began with {request!r}, not with a poll for an event")
            memory = status(pid)
        except TimeoutError:
            raise CannotMeasure(f"{package.name} did not ask for an event within {SECONDS_MAX} s") from None
        finally:
            # Before the connection is closed, of which it would complain.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    connection.close()
    return Start(seconds * 1e3, memory["VmRSS"], memory["VmHWM"])


def status(pid: int) -> dict[str, int]:
    """The sizes in /proc/PID/status, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest.endswith("kB")}


def row(package: Package, starts: list[Start]) -> str:
    times = [start.milliseconds for start in starts]
    mebibytes = [
        package.zip_bytes and package.zip_bytes / 2**20,
        package.program.stat().st_size / 2**20,
        statistics.median(start.resident_kib for start in starts) / 2**10,
        max(start.peak_kib for start in starts) / 2**10,
    ]
    sizes = [f"{size:.2f}" if size else "-" for size in mebibytes]
    milliseconds = [f"{time:.1f}" for time in (statistics.median(times), min(times), max(times))]
    return "| " + " | ".join([f"`{package.name}`", *sizes[:2], *milliseconds, *sizes[2:]]) + " |"


def main() -> int:
    if any(argument in ("-h", "--help") for argument in sys.argv[1:]):
        print(__doc__.strip())
        return 0
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "target" / "lambda")
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as unpacked:
            found = packages(arguments.folder, Path(unpacked))
            print("| function | zip MiB | program MiB | first poll ms (median) | min | max | VmRSS MiB | VmHWM MiB |")
            print("|---|---:|---:|---:|---:|---:|---:|---:|")
            for package in found:
                # A warm-up, so that the file is in memory.
                start(package)
                print(row(package, [start(package) for _ in range(arguments.runs)]), flush=True)
    except (CannotMeasure, OSError) as error:
        print(f"cold_start.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
