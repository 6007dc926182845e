#!/usr/bin/env python3
"""Compares `stedi run` with batch engines: whole processes on the same landing files in one session.

usage: tests/benchmarks/compare.py [STEDI] [--copies K ...] [--runs N] [--reference FOLDER] [--readme]

STEDI is the program (default: target/release/stedi, made by `cargo build --release --locked`). For each K (1, 10 and 100)
the script makes K copies of the landing data, each with other people and shifted by an hour. The landing data is the
reference data beside this project, or the output of `stedi generate`. STEDI, DuckDB and Polars run on the copies in turn,
N times (3) after a warm-up, each into a new folder. Their five tables must agree, row for row.

Then it measures one more accelerometer file and one withdrawn consent, N times each, on the lakes of the smallest and the
largest K. It compares them with a hand-written increment, and with the whole batch again. All times are medians of whole
processes.

The data is in a temporary folder (some 3 GB for K = 100), the engines in target/benchmarks_venv. --readme writes the table
into tests/README.md, between the benchmark comments, and the plot to tests/benchmarks/compare.svg.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import plot
from measured import (
    HERE,
    CannotMeasure,
    Measured,
    arrival,
    empty,
    landing_files,
    machine,
    process,
    reference,
    scaled,
    stedi_program,
    with_libraries,
)

TABLES = {
    "customer_trusted": "email, serialnumber, registrationdate, sharewithresearchasofdate",
    "accelerometer_trusted": '"user", "timestamp", x, y, z',
    "customer_curated": "email, serialnumber, registrationdate, sharewithresearchasofdate",
    "step_trainer_trusted": "sensorreadingtime, serialnumber, distancefromobject",
    "machine_learning_curated": "sensorreadingtime, distancefromobject, x, y, z",
}
OURS = "STEDI Lake"
BEGIN, END = "<!-- benchmark: tests/benchmarks/compare.py --readme -->", "<!-- /benchmark -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stedi", type=Path, nargs="?", help="the program (target/release/stedi)")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 10, 100], metavar="K")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--reference", type=Path, metavar="FOLDER", help="landing files that are copied")
    parser.add_argument("--readme", action="store_true", help="write the table and the plot into the project")
    arguments = parser.parse_args()
    with_libraries()
    program = stedi_program(arguments.stedi)
    with tempfile.TemporaryDirectory(prefix="stedi-compare-") as folder:
        comparison = Comparison(program, Path(folder), arguments)
        comparison.run()
        text = comparison.table()
        print(text)
        if arguments.readme:
            write_readme(text)
            (HERE / "compare.svg").write_text(plot.lines(comparison.points(), "copies of the reference data", "seconds"))


class Comparison:
    def __init__(self, program: Path, folder: Path, arguments: argparse.Namespace):
        self.program, self.folder, self.runs = program, folder, arguments.runs
        self.copies = sorted(arguments.copies)
        self.original = reference(program, arguments.reference, folder / "generated")
        self.whole: dict[int, dict[str, list[Measured]]] = {}
        self.increments: dict[int, dict[str, list[Measured]]] = {}
        self.fresh = 0

    def new(self, name: str) -> Path:
        """The path of a new folder."""
        self.fresh += 1
        return self.folder / f"{name}-{self.fresh}"

    def run(self) -> None:
        for copies in self.copies:
            progress(f"x{copies}: making the data")
            landing = scaled(self.original, self.new(f"landing-x{copies}"), copies)
            tables = self.whole_batch(copies, landing)
            if copies in (self.copies[0], self.copies[-1]):
                self.one_more(copies, tables)
            # So that the disk holds one size at a time.
            for folder in [*tables.values(), landing]:
                empty(folder)

    def whole_batch(self, copies: int, landing: Path) -> dict[str, Path]:
        commands = {
            OURS: lambda output: [self.program, "run", landing, "--lake", output, "--json"],
            "DuckDB": lambda output: [sys.executable, HERE / "peers" / "duckdb_batch.py", landing, output],
            "Polars": lambda output: [sys.executable, HERE / "peers" / "polars_batch.py", landing, output],
        }
        measured: dict[str, list[Measured]] = {engine: [] for engine in commands}
        last: dict[str, Path] = {}
        for run in range(self.runs + 1):
            for engine, command in commands.items():
                progress(f"x{copies}: {engine}, run {run} of {self.runs}")
                output = self.new(f"{engine.split()[0].lower()}-x{copies}")
                done = process(command(output))
                if run > 0:
                    measured[engine].append(done)
                if engine in last:
                    empty(last[engine])
                last[engine] = output
        agree(last)
        self.whole[copies] = measured
        return last

    def one_more(self, copies: int, tables: dict[str, Path]) -> None:
        """Measures one more accelerometer file and one withdrawn consent, each in a new process."""
        lake, measured = tables[OURS], {OURS: [], "withdrawn": [], "increment by DuckDB": []}
        process([self.program, "run", arrival(self.original, self.new("warm"), copies), "--lake", lake])
        for run in range(self.runs):
            progress(f"x{copies}: one more file, {run + 1} of {self.runs}")
            landing = arrival(self.original, self.new("arrival"), copies + 1 + run)
            measured[OURS].append(process([self.program, "run", landing, "--lake", lake, "--json"]))
            file = landing_files(landing, "accelerometer")[0]
            peer = [sys.executable, HERE / "peers" / "duckdb_increment.py", file, tables["DuckDB"], self.new("increment")]
            measured["increment by DuckDB"].append(process(peer))
        for run, record in enumerate(consenting(self.original, self.runs)):
            progress(f"x{copies}: a withdrawn consent, {run + 1} of {self.runs}")
            into = self.new("withdrawal") / "customer" / "landing"
            into.mkdir(parents=True)
            withdrawn = {name: value for name, value in record.items() if name != "shareWithResearchAsOfDate"}
            withdrawn["lastUpdateDate"] = 4_000_000_000_000
            (into / f"withdrawal-{run}.json").write_text(json.dumps(withdrawn))
            measured["withdrawn"].append(process([self.program, "run", into.parents[1], "--lake", lake, "--json"]))
        self.increments[copies] = measured

    def table(self) -> str:
        header = ["work", OURS, "DuckDB", "Polars", "against the best", "memory, ours", "memory, best", "requests per file"]
        rows = []
        for copies, measured in self.whole.items():
            seconds = {engine: median(runs) for engine, runs in measured.items()}
            best = min((engine for engine in seconds if engine != OURS), key=seconds.get)
            report = measured[OURS][-1].report()
            rows.append([
                f"×{copies}, {files_of(report):,} files",
                *(f"{seconds[engine]:.3f} s" for engine in (OURS, "DuckDB", "Polars")),
                ratio(seconds[best], seconds[OURS]),
                *(mebibytes(measured[engine]) for engine in (OURS, best)),
                f"{sum(report['requests'].values()) / files_of(report):.1f}",
            ])
        for copies, measured in self.increments.items():
            peer, again = median(measured["increment by DuckDB"]), median(self.whole[copies]["DuckDB"])
            for what, runs, against in [
                ("one more accelerometer file", measured[OURS], peer),
                ("one consent withdrawn", measured["withdrawn"], again),
            ]:
                how = "increment by hand" if against == peer else "the batch again"
                requests = sum(runs[-1].report()["requests"].values())
                rows.append([
                    f"{what} at ×{copies}", f"{median(runs):.3f} s", f"{against:.3f} s ({how})", "–",
                    ratio(against, median(runs)), mebibytes(runs), "–", str(requests),
                ])  # fmt: skip
        rows = [header, ["---"] * len(header), *rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        about = [*machine(), "DuckDB " + version("duckdb"), "Polars " + version("polars")]
        smallest, largest = (median(self.increments[copies][OURS]) for copies in (self.copies[0], self.copies[-1]))
        flat = f"One more file takes {largest / smallest:.1f} times as long at ×{self.copies[-1]} as at ×{self.copies[0]}."
        return "\n".join([*lines, "", flat, f"Medians of {self.runs} runs of whole processes, in one session: {', '.join(about)}."])

    def points(self) -> dict[str, list[tuple[float, float]]]:
        engines = [OURS, "DuckDB", "Polars"]
        return {e: [(copies, median(measured[e])) for copies, measured in self.whole.items()] for e in engines}


def agree(tables: dict[str, Path]) -> None:
    """Checks that the tables of all engines hold the same rows, in any order."""
    import duckdb

    for table, columns in TABLES.items():
        zone, name = table.rsplit("_", 1)[::-1]
        folder = {"machine_learning": "step_trainer"}.get(name, name)
        contents = {}
        for engine, output in tables.items():
            files = output / "stedi" / folder / zone if engine == OURS else output
            found = f"{files}/**/*.parquet" if engine == OURS else f"{files}/{table}.parquet"
            query = f"SELECT count(*), sum(hash({columns})) FROM read_parquet('{found}', hive_partitioning = false)"
            contents[engine] = duckdb.sql(query).fetchall()[0]
        if len(set(contents.values())) != 1 or contents[OURS][0] == 0:
            raise CannotMeasure(f"the engines disagree on {table}: {contents}")


def consenting(original: Path, count: int) -> list[dict]:
    """The first customers who consent."""
    records = [json.loads(line) for line in landing_files(original, "customer")[0].read_text().splitlines() if line]
    return [record for record in records if record.get("shareWithResearchAsOfDate")][:count]


def files_of(report: dict) -> int:
    return sum(source["files"] for source in report["landing"].values())


def median(runs: list[Measured]) -> float:
    return statistics.median(run.seconds for run in runs)


def mebibytes(runs: list[Measured]) -> str:
    return f"{max(run.bytes for run in runs) / 2**20:.0f} MiB"


def ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.2f} × as fast"


def version(library: str) -> str:
    return __import__(library).__version__


def write_readme(text: str) -> None:
    readme = HERE.parent / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise CannotMeasure(f"{readme} has no block {BEGIN} … {END}")
    readme.write_text(f"{before}{BEGIN}\n{text}\n{end}{after}")


def progress(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except CannotMeasure as error:
        sys.exit(f"compare.py: {error}")
