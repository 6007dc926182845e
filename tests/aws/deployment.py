"""Terraform, and what it deployed."""

import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import zipfile
from base64 import b64encode
from collections.abc import Mapping as Settings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from emulator import Emulator
from event_sources import Mapping

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "infra" / "terraform"
TIMEOUT_SECONDS = 300
# A folder of provider plugins holds this; where there is one, nothing is downloaded.
PLUGIN = "registry.terraform.io/hashicorp/aws"
DEPTH_MAX = 3
NO_FILES = {"dev", "proc", "sys"}


class Terraform:
    """A copy of the project's Terraform with a state of its own, so that the checkout stays as it is."""

    def __init__(self, folder: Path, variables: Settings[str, str] = {}):
        self.folder = folder / "terraform"
        leave = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfplan", "*.tfvars")
        shutil.copytree(SOURCE, self.folder, ignore=leave)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))},
            **{f"TF_VAR_{name}": value for name, value in variables.items()},
            "TF_DATA_DIR": str(folder / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        plugins = plugin_folder()
        if plugins:
            # Mirrors that are configured would be asked as well.
            self.environment["TF_CLI_CONFIG_FILE"] = os.devnull
        self.run("init", "-input=false", "-backend=false", *([f"-plugin-dir={plugins}"] if plugins else []))

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs terraform, whatever comes of it."""
        return subprocess.run(
            ["terraform", f"-chdir={self.folder}", *arguments, *(["-no-color"] if arguments[0] != "output" else [])],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )

    def run(self, *arguments: str) -> str:
        done = self.attempt(*arguments)
        assert done.returncode == 0, (
            f"terraform {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        )
        return done.stdout


@dataclass
class Deployment:
    """A lake on an emulator."""

    emulator: Emulator
    terraform: Terraform
    packages: Path

    def apply(self) -> None:
        self.terraform.run("apply", "-auto-approve", "-input=false", "-parallelism=40")
        self.__dict__.pop("outputs", None)

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return {name: output["value"] for name, output in json.loads(self.terraform.run("output", "-json")).items()}

    @property
    def lake_bucket(self) -> str:
        return self.outputs["lake_bucket"]

    @property
    def database(self) -> str:
        return self.outputs["glue_database"]

    def function(self, name: str) -> dict[str, Any]:
        return self.outputs["functions"][name]

    def mappings(self) -> dict[str, Mapping]:
        """The event source of each function, as the Lambda API tells it, and not as Terraform does."""
        return {name: self.mapping(name) for name in self.outputs["functions"]}

    def mapping(self, name: str) -> Mapping:
        api = self.emulator.client("lambda")
        function_name = self.function(name)["function_name"]
        function = api.get_function_configuration(FunctionName=function_name)
        # By the queue, since moto compares what it was given as the function's name to the letter.
        found = api.list_event_source_mappings(EventSourceArn=self.function(name)["queue_arn"])["EventSourceMappings"]
        (source,) = (source for source in found if source["FunctionArn"] == function["FunctionArn"])
        account, queue = source["EventSourceArn"].split(":")[4:]
        assert source["State"] == "Disabled", "the emulator must not run the function by itself: event_sources_enabled"
        assert function["CodeSha256"] == package_digest(package(self.packages, name))
        return Mapping(
            function_name=function_name,
            function_arn=function["FunctionArn"],
            role_arn=function["Role"],
            environment=function["Environment"]["Variables"],
            timeout_seconds=function["Timeout"],
            memory_mb=function["MemorySize"],
            queue_url=f"{self.emulator.url}/{account}/{queue}",
            queue_arn=source["EventSourceArn"],
            batch_size=source["BatchSize"],
            concurrency_max=source["ScalingConfig"]["MaximumConcurrency"],
            reports_failures="ReportBatchItemFailures" in source.get("FunctionResponseTypes", []),
        )

    @cached_property
    def binaries(self) -> dict[str, Path]:
        """The programs that were deployed, taken out of their packages."""
        return {name: unpacked(package(self.packages, name)) for name in self.outputs["functions"]}


def variables(emulator: Emulator, packages: Path, **others: str) -> dict[str, str]:
    """What differs from a deployment to AWS: moto would run an enabled event source in Docker, and the packages hold
    what this machine can run."""
    return {
        "endpoint_url": emulator.url,
        "packages_dir": str(packages),
        "architecture": "x86_64",
        "event_sources_enabled": "false",
        "region": "us-east-1",
        **others,
    }


def package(packages: Path, name: str) -> Path:
    return packages / name / "bootstrap.zip"


def make_package(binary: Path, packages: Path) -> None:
    """A package of that binary, as cargo-lambda makes it: without what is for debuggers, which is most of it."""
    path = package(packages, binary.name)
    path.parent.mkdir(parents=True)
    stripped = path.with_name("stripped")
    subprocess.run(["strip", "-o", stripped, binary], check=True)
    # Compressed as little as possible: nobody downloads it.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(stripped, "bootstrap")
    stripped.unlink()


def unpacked(package: Path) -> Path:
    with zipfile.ZipFile(package) as archive:
        path = Path(archive.extract("bootstrap", package.parent))
    path.chmod(0o755)
    return path


def package_digest(package: Path) -> str:
    return b64encode(hashlib.sha256(package.read_bytes()).digest()).decode()


def plugin_folder() -> Path | None:
    """A folder that holds the AWS provider, near the root of the disk or of the user's home, if there is one."""
    places = [Path.home(), *(place for place in Path("/").iterdir() if place.name not in NO_FILES)]
    for depth, place in itertools.product(range(DEPTH_MAX), places):
        for found in place.glob(f"{'*/' * depth}{PLUGIN}"):
            if any(is_wanted(version) for version in found.iterdir()):
                return found.parents[2]
    return None


def is_wanted(version: Path) -> bool:
    """Whether it is the provider of a version that the project allows, for this machine."""
    number = re.fullmatch(r"5\.(\d+)\.\d+", version.name)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return bool(number) and int(number[1]) >= 100 and (version / f"{platform.system().lower()}_{architecture}").is_dir()
