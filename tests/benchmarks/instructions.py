#!/usr/bin/env python3
"""Counts the instructions of the hot paths, and compares them with instructions.json. It does not measure time.

usage: tests/benchmarks/instructions.py [BENCHMARKS] [--write]

BENCHMARKS is the program (default: target/release/benchmarks, made by `cargo build --release --locked -p benchmarks`).
Each piece of work runs once and three times under callgrind; half the difference is its count. The script fails if a count
is more than a tenth above instructions.json, and prints it if it is more than a tenth below. --write writes the counts: use
it when a change is meant to cost, and say why. Without valgrind the script exits with 77.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
COUNTS = HERE / "instructions.json"
PROGRAM = HERE.parents[1] / "target" / "release" / "benchmarks"
TOLERANCE = 0.10
NO_VALGRIND = 77


def count(program: Path, work: str, times: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        done = subprocess.run([*tool, program, work, str(times)], capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"instructions.py: cannot count {work}:\n{done.stderr}")
    return int(found.group(1))


def names(program: Path) -> list[str]:
    usage = subprocess.run([program], capture_output=True, text=True).stderr
    return usage.rsplit("the pieces are ", 1)[1].strip().split(", ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, nargs="?", default=PROGRAM, help="target/release/benchmarks")
    parser.add_argument("--write", action="store_true", help="write the counts instead of comparing them")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("instructions.py: valgrind is not installed, so nothing was counted")
        sys.exit(NO_VALGRIND)
    counts = {}
    for work in names(arguments.program):
        counts[work] = (count(arguments.program, work, 3) - count(arguments.program, work, 1)) // 2
        print(f"{work:32} {counts[work]:>14,}", flush=True)
    if arguments.write:
        COUNTS.write_text(json.dumps(counts, indent=2) + "\n")
        return
    known = json.loads(COUNTS.read_text())
    if known.keys() != counts.keys():
        sys.exit(f"instructions.py: counted {sorted(counts)}, but {COUNTS.name} has {sorted(known)}: use --write")
    worse = []
    for work, instructions in counts.items():
        more = instructions / known[work] - 1
        if more > TOLERANCE:
            worse.append(f"{work} takes {more:.0%} more instructions than before: {known[work]:,} → {instructions:,}")
        elif more < -TOLERANCE:
            print(f"{work} takes {-more:.0%} fewer instructions than before: record that with --write")
    if worse:
        sys.exit("instructions.py: " + "\n".join(worse))


if __name__ == "__main__":
    main()
