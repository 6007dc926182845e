"""Runs Terraform, and describes its deployment."""

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

from checkout import ROOT
from emulator import Emulator
from event_sources import Mapping

SOURCE = ROOT / "infra" / "terraform"
TIMEOUT_SECONDS = 300
# The key of lakes that hold nothing secret.
HASH_KEY = "0" * 64
# A folder of provider plugins contains this path. With such a folder, Terraform downloads nothing.
PLUGIN = "registry.terraform.io/hashicorp/aws"
DEPTH_MAX = 3
NO_FILES = {"dev", "proc", "sys"}


class Terraform:
    """A copy of the project's Terraform with a state of its own, so that the checkout does not change."""

    def __init__(self, folder: Path, variables: Settings[str, str] = {}):
        self.folder = folder / "terraform"
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfplan", "*.tfvars")
        shutil.copytree(SOURCE, self.folder, ignore=ignored)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))},
            **{f"TF_VAR_{name}": value for name, value in ({"hash_key": HASH_KEY} | dict(variables)).items()},
            "TF_DATA_DIR": str(folder / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        plugins = plugin_folder()
        if plugins:
            # Without this, Terraform also asks configured mirrors.
            self.environment["TF_CLI_CONFIG_FILE"] = os.devnull
        self.run("init", "-input=false", "-backend=false", *([f"-plugin-dir={plugins}"] if plugins else []))

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs terraform; it may fail."""
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

    @property
    def queues(self) -> dict[str, dict[str, Any]]:
        """All queues with their dead-letter queues, by name: FUNCTION-landing and FUNCTION-changes."""
        functions = self.outputs["functions"]
        return {f"{name}-{kind}": queue for name in functions for kind, queue in functions[name]["queues"].items()}

    def mappings(self) -> dict[str, Mapping]:
        """Returns the event source of each queue, read from the Lambda API and not from Terraform."""
        functions = self.outputs["functions"]
        return {f"{name}-{kind}": self.mapping(name, kind) for name in functions for kind in functions[name]["queues"]}

    def mapping(self, name: str, kind: str) -> Mapping:
        api = self.emulator.client("lambda")
        function_name = self.function(name)["function_name"]
        function = api.get_function_configuration(FunctionName=function_name)
        # Searches by queue, because moto finds a function only by the exact name in the mapping.
        queue_arn = self.function(name)["queues"][kind]["arn"]
        (source,) = api.list_event_source_mappings(EventSourceArn=queue_arn)["EventSourceMappings"]
        assert source["FunctionArn"] == function["FunctionArn"]
        account, queue = source["EventSourceArn"].split(":")[4:]
        assert source["State"] == "Disabled", "the emulator must not run the function by itself: event_sources_enabled"
        assert function["CodeSha256"] == package_digest(package(self.packages, name))
        return Mapping(
            name=name,
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
        """The deployed programs, extracted from their packages."""
        return {name: extracted(package(self.packages, name)) for name in self.outputs["functions"]}


def variables(emulator: Emulator, packages: Path, **others: str) -> dict[str, str]:
    """Returns the variables that differ from a deployment to AWS. moto would run an enabled event source in Docker, and
    the packages hold programs of this machine."""
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
    """Makes a package of a binary as cargo-lambda does: without debug information, which is most of a binary."""
    path = package(packages, binary.name)
    path.parent.mkdir(parents=True)
    stripped = path.with_name("stripped")
    subprocess.run(["strip", "-o", stripped, binary], check=True)
    # Fast compression: the package is never downloaded.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(stripped, "bootstrap")
    stripped.unlink()


def extracted(package: Path) -> Path:
    with zipfile.ZipFile(package) as archive:
        path = Path(archive.extract("bootstrap", package.parent))
    path.chmod(0o755)
    return path


def package_digest(package: Path) -> str:
    return b64encode(hashlib.sha256(package.read_bytes()).digest()).decode()


def plugin_folder() -> Path | None:
    """Returns a folder with the AWS provider near the root of the disk or of the user's home, if there is one."""
    roots = [Path.home(), *(root for root in Path("/").iterdir() if root.name not in NO_FILES)]
    for depth, root in itertools.product(range(DEPTH_MAX), roots):
        for provider in root.glob(f"{'*/' * depth}{PLUGIN}"):
            if any(is_usable(version) for version in provider.iterdir()):
                return provider.parents[2]
    return None


def is_usable(version: Path) -> bool:
    """Returns whether a provider is for this machine and of a version that the project allows."""
    number = re.fullmatch(r"5\.(\d+)\.\d+", version.name)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return bool(number) and int(number[1]) >= 100 and (version / f"{platform.system().lower()}_{architecture}").is_dir()
