"""The training table has no personal value and no hash of one: not in bytes, metadata or keys.

No key of the lake has the name of a landing file.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest

from conftest import Ingestion
from lake import Lake
from landing import BEGIN, HOUR, SOURCES, Landing, customer, email, motion, serial_number, step

PERSONAL = ("customername", "email", "phone", "birthday", "serialnumber")
HASHES = ("md5", "sha1", "sha256", "blake2b")
FOLDER = "step_trainer/curated"


def personal_values(landing: Path) -> set[str]:
    """Returns every personal value of a clean landing folder."""
    records = [
        json.loads(line)
        for path in (landing / "customer" / "landing").rglob("*")
        if path.is_file()
        for line in path.read_text().splitlines()
    ]
    return {value for record in records for name, value in record.items() if name.lower() in PERSONAL}


def exposed(lake: Lake) -> bytes:
    """Returns everything a reader of the training table can see: keys, bytes, metadata, decompressed values."""
    parts = []
    for path in sorted((lake.bucket / FOLDER).rglob("*")):
        parts.append(path.relative_to(lake.bucket).as_posix().encode())
        if not path.is_file():
            continue
        parts.append(path.read_bytes())
        file = pyarrow.parquet.ParquetFile(path)
        parts.append(str(file.metadata.to_dict()).encode())
        for name, value in (file.metadata.metadata or {}).items():
            parts += [name, value]
            if name == b"ARROW:schema":
                parts.append(base64.b64decode(value))
        for column in file.read().columns:
            parts.append("\n".join(map(str, column.to_pylist())).encode())
    return b"\n".join(parts)


def assert_no_identifiers(lake: Lake, values: set[str]) -> None:
    content = exposed(lake)
    assert content, "the training table is empty"
    found = [value for value in values if value.encode() in content]
    assert not found, f"{len(found)} personal values in {FOLDER}, such as {found[:3]}"


@pytest.mark.parametrize("data", ["generated", "reference"])
def test_no_personal_value_in_any_byte(
    data: str, request: pytest.FixtureRequest, ingest_once: Callable[..., Ingestion]
) -> None:
    landing = request.getfixturevalue(data)
    assert_no_identifiers(ingest_once(landing).lake, personal_values(landing))


def test_no_personal_value_after_dirty_files(
    generated: Path, generated_dirty: Path, ingest_once: Callable[..., Ingestion]
) -> None:
    assert_no_identifiers(ingest_once(generated_dirty).lake, personal_values(generated))


def test_no_column_of_text(generated: Path, ingest_once: Callable[..., Ingestion]) -> None:
    for path in (ingest_once(generated).lake.bucket / FOLDER).rglob("*.parquet"):
        kinds = {str(kind) for kind in pyarrow.parquet.read_schema(path).types}
        assert kinds <= {"int64", "int32", "double", "bool"}, path


def test_no_hash_of_a_personal_value(generate: Callable[..., Path], ingest: Callable[..., Ingestion]) -> None:
    """Looks for the first eight bytes of common hashes, as bytes and as hexadecimal digits."""
    landing = generate("--customers", 60)
    content = exposed(ingest(landing).lake)
    for value in personal_values(landing):
        for text in (value, value.lower()):
            for name in HASHES:
                digest = hashlib.new(name, text.encode()).digest()[:8]
                assert digest not in content, (name, value)
                assert digest.hex().encode() not in content.lower(), (name, value)


def test_landing_files_named_after_people_leave_no_name(lake: Lake, landing: Landing) -> None:
    landing.customers(f"{email(1)}.json", customer(1, BEGIN, BEGIN))
    landing.motions(f"{email(1)}/phone of {email(1)}.json", motion(1, BEGIN))
    landing.steps(f"{serial_number(1)}.json", step(1, BEGIN))
    assert lake.run(landing.folder).rows()["machine_learning_curated"] == 1
    assert_no_identifiers(lake, {email(1), serial_number(1), "person.001"})


def test_no_key_has_the_name_of_a_landing_file(lake: Lake, landing: Landing) -> None:
    """Each kind of file has rejected lines and two versions, and the consent is withdrawn and given again."""
    customers, phone = f"customers of {email(1)}.json", f"phones/phone of {email(1)}.json"
    device = f"{serial_number(1)}.json"
    for version in (1, 2):
        landing.customers(customers, customer(1, BEGIN, BEGIN), {"version": version})
        landing.motions(phone, *(motion(1, BEGIN + hour * HOUR, version) for hour in range(3)), {"version": version})
        landing.steps(device, *(step(1, BEGIN + hour * HOUR, version) for hour in range(3)), {"version": version})
        rows = lake.run(landing.folder).rows()
        assert rows["machine_learning_curated"] == 3
    for number, consent in enumerate((None, BEGIN)):
        landing.customers(f"consent-{number} of {email(1)}.json", customer(1, BEGIN + HOUR + number, consent))
        lake.run(landing.folder)
    paths = [path for path in landing.folder.rglob("*") if path.is_file()]
    folders = tuple(f"{source}/landing/" for source in SOURCES)
    keys = [key for key in lake.versions() if not key.startswith(folders)]
    for kind in ("receipts/", "quarantine/", "_state/manifests/", "_state/index/", "accelerometer/trusted/", "lookup/"):
        assert any(key.startswith(kind) for key in keys), kind
    names = {path.stem.lower() for path in paths} | {email(1), serial_number(1), "person.001"}
    for key in keys:
        assert not [name for name in names if name in key.lower()], key


def test_nothing_personal_is_printed_or_logged(generated: Path, generated_dirty: Path, lake: Lake) -> None:
    run = lake.attempt(generated_dirty, env=os.environ | {"RUST_LOG": "info"})
    assert run.returncode == 0, run.stderr[-2000:]
    printed = run.stdout + run.stderr
    found = [value for value in personal_values(generated) if value in printed]
    assert not found, found[:3]
