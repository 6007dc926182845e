"""`infra/package` with a stub of cargo-lambda, whose build takes half an hour."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from checkout import ROOT
from lake import TABLES

# cargo calls it as `cargo-lambda lambda build ...`. It writes the time into the archive, as cargo-lambda does.
CARGO_LAMBDA = """#!/usr/bin/env python3
import os, pathlib, sys, zipfile
arguments = sys.argv[1:]
pathlib.Path(os.environ["ARGUMENTS"]).write_text("\\n".join(arguments))
folder = pathlib.Path(arguments[arguments.index("--lambda-dir") + 1])
for name in (after for flag, after in zip(arguments, arguments[1:]) if flag == "-p"):
    (folder / name).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name / "bootstrap.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("bootstrap", (int(os.environ["YEAR"]), 1, 1, 0, 0, 0)), name * 1000)
"""
RUSTC = """#!/bin/sh
[ "$4" = x86_64-unknown-linux-gnu ] && echo / || echo /no/such/folder
"""


class Checkout:
    """A copy of the files that the script reads, and stubs of the programs that it runs."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "infra").mkdir()
        shutil.copy(ROOT / "infra" / "package", folder / "infra")
        for manifest in (ROOT / "functions").glob("*/Cargo.toml"):
            (folder / "functions" / manifest.parent.name).mkdir(parents=True)
            shutil.copy(manifest, folder / "functions" / manifest.parent.name)
        (folder / "bin").mkdir()
        for name, text in (("cargo-lambda", CARGO_LAMBDA), ("rustc", RUSTC)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)

    def package(self, *arguments: str, year: int = 2026) -> subprocess.CompletedProcess:
        environment = os.environ | {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "ARGUMENTS": str(self.folder / "arguments"),
            "YEAR": str(year),
        }
        command = [self.folder / "infra" / "package", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

    def packages(self) -> dict[str, bytes]:
        return {path.parent.name: path.read_bytes() for path in (self.folder / "target/lambda").glob("*/bootstrap.zip")}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_same_programs_give_the_same_packages(checkout: Checkout) -> None:
    done = checkout.package("--x86-64")
    assert done.returncode == 0, done.stderr
    packages = checkout.packages()
    assert packages.keys() == TABLES.keys()
    for name in packages:
        assert f"target/lambda/{name}/bootstrap.zip" in done.stdout
        with zipfile.ZipFile(checkout.folder / "target/lambda" / name / "bootstrap.zip") as archive:
            (entry,) = archive.infolist()
            assert (entry.filename, entry.external_attr >> 16) == ("bootstrap", 0o100755)
            assert archive.read(entry) == name.encode() * 1000
    arguments = (checkout.folder / "arguments").read_text().split("\n")
    assert arguments[:2] == ["lambda", "build"]
    assert {"--locked", "--x86-64", "deployed", "zip"} <= set(arguments)
    assert checkout.package("--x86-64", year=2027).returncode == 0
    assert checkout.packages() == packages


def test_missing_target_is_refused_before_the_build(checkout: Checkout) -> None:
    done = checkout.package()
    assert done.returncode == 1
    assert "rustup target add aarch64-unknown-linux-gnu" in done.stderr
    assert not (checkout.folder / "arguments").exists()


def test_wrong_usage_is_explained(checkout: Checkout) -> None:
    done = checkout.package("--mips")
    assert done.returncode == 2
    assert "--x86-64" in done.stderr
