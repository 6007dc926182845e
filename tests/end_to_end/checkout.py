"""Fixtures for files in and beside the checkout."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "stedi"


@pytest.fixture(scope="session")
def binary() -> Path:
    path = Path(os.environ.get("STEDI", ROOT / "target" / "release" / "stedi"))
    assert path.exists(), f"{path} does not exist: cargo build --release"
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference data, which may lie beside the checkout."""
    if not REFERENCE.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the reference data is not at {REFERENCE}")
        pytest.skip(f"the reference data is not at {REFERENCE}")
    return REFERENCE
