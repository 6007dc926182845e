"""Checks of the Terraform configuration without a deployment."""

import json
import os
import shutil
import subprocess

import pytest

from checkout import missing
from deployment import SOURCE, TIMEOUT_SECONDS, Terraform

SKIPPED_WITHOUT_REASON = ("", "No comment provided")


@pytest.fixture(scope="module")
def terraform(terraform_program: str, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="module")
def findings() -> dict:
    """The findings of checkov, offline."""
    checkov = os.environ.get("CHECKOV") or shutil.which("checkov")
    if checkov is None:
        missing("checkov is not installed: CHECKOV names no program")
    options = ["--framework", "terraform", "--skip-download", "--compact", "--output", "json"]
    done = subprocess.run(
        [checkov, "--directory", SOURCE, *options], capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_files_are_formatted(terraform: Terraform) -> None:
    done = terraform.attempt("fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


def test_configuration_is_valid(terraform: Terraform) -> None:
    done = terraform.attempt("validate", "-json")
    answer = json.loads(done.stdout)
    assert answer["valid"] and answer["warning_count"] == 0, answer["diagnostics"]


def test_terraform_tests_pass(terraform: Terraform) -> None:
    output = terraform.run("test")
    assert "0 failed" in output and "skipped" not in output, output


def test_checkov_finds_nothing(findings: dict) -> None:
    failed = [f"{check['check_id']} {check['resource']}" for check in findings["results"]["failed_checks"]]
    assert not failed
    # checkov has read the files.
    assert findings["summary"]["passed"] > 20
    assert findings["summary"]["parsing_errors"] == 0


def test_every_skipped_check_has_a_reason(findings: dict) -> None:
    for check in findings["results"]["skipped_checks"]:
        reason = check["check_result"].get("suppress_comment") or ""
        assert reason not in SKIPPED_WITHOUT_REASON, check["check_id"]


def test_triggers_are_the_inputs_of_the_functions() -> None:
    topology = json.loads((SOURCE / "topology.json").read_text())
    assert {trigger["prefix"] for trigger in topology["triggers"]} == {
        prefix for access in topology["functions"].values() for prefix in access["inputs"]
    }
