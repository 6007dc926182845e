"""Dirty files: receipts count every line, the quarantine holds rejected lines, and the tables equal the clean ones."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from comparison import assert_adds_up, assert_equal_lakes, assert_tables
from conftest import POLICIES, Ingestion
from lake import Lake
from landing import BEGIN, SOURCES, Landing, customer, email, motion, step


@pytest.fixture(scope="module")
def dirty(generated_dirty: Path, ingest_once: Callable[..., Ingestion]) -> Ingestion:
    return ingest_once(generated_dirty)


@pytest.mark.parametrize("consent", POLICIES)
def test_tables_equal_those_of_the_clean_files(
    generated: Path, generated_dirty: Path, ingest_once: Callable[..., Ingestion], consent: str
) -> None:
    dirty = ingest_once(generated_dirty, consent)
    assert_tables(dirty.lake, generated)
    assert_equal_lakes(dirty.lake, ingest_once(generated, consent).lake)


@pytest.mark.parametrize("source", SOURCES)
def test_every_file_has_a_receipt(dirty: Ingestion, source: str) -> None:
    files = [path for path in (dirty.landing / source / "landing").rglob("*") if path.is_file()]
    keys = {path.relative_to(dirty.landing).as_posix() for path in files}
    receipts = list(dirty.lake.receipts(source))
    assert {receipt["landing"]["key"] for receipt in receipts} == keys
    assert len(receipts) == len(keys)
    assert dirty.run.report["landing"][source]["files"] == len(keys)


@pytest.mark.parametrize("source", SOURCES)
def test_row_counts_add_up(dirty: Ingestion, source: str) -> None:
    total = {"rows": 0, "quarantined": 0}
    for receipt in dirty.lake.receipts(source):
        assert_adds_up(receipt)
        for name in total:
            total[name] += receipt[name]
    # The receipts say what was kept when the files were ingested, the report what is in the table.
    total["kept"] = dirty.run.rows()[f"{source}_trusted"]
    total["excluded"] = total["rows"] - total["kept"] - total["quarantined"]
    reported = dirty.run.report["landing"][source]
    assert {name: reported[name] for name in total} == total


@pytest.mark.parametrize("source", SOURCES)
def test_rows_outside_the_quarantine_are_the_clean_rows(
    dirty: Ingestion, generated: Path, ingest_once: Callable[..., Ingestion], source: str
) -> None:
    clean, found = ingest_once(generated).run.report["landing"][source], dirty.run.report["landing"][source]
    assert clean["quarantined"] == 0
    assert (found["kept"], found["excluded"]) == (clean["kept"], clean["excluded"])
    assert found["quarantined"] > 150


@pytest.mark.parametrize("source", SOURCES)
def test_quarantine_holds_as_many_lines_as_the_receipt_counts(dirty: Ingestion, source: str) -> None:
    quarantined = dirty.lake.quarantined(source)
    for receipt in dirty.lake.receipts(source):
        assert len(quarantined.get(receipt["file"], [])) == receipt["quarantined"], receipt["landing"]["key"]


@pytest.mark.parametrize("source", SOURCES)
def test_quarantined_lines_are_lines_of_the_file(dirty: Ingestion, source: str) -> None:
    keys = {receipt["file"]: receipt["landing"]["key"] for receipt in dirty.lake.receipts(source)}
    originals = 0
    for name, lines in dirty.lake.quarantined(source).items():
        stored = (dirty.landing / keys[name]).read_bytes()
        content = decompressed(stored)
        for line in lines:
            assert line["reason"], line
            original = original_bytes(line)
            assert original in content or original in stored, (name, line["line"])
            assert line["line"] <= content.count(b"\n") + 1, (name, line["line"])
            # Line 0 means the whole file.
            assert line["line"] > 0 or len(lines) == 1, name
            originals += 1
    assert originals > 150


def test_line_numbers_count_from_one_and_include_blank_lines(lake: Lake, landing: Landing) -> None:
    valid = json.dumps(motion(1, BEGIN))
    path = landing.motions("phones.json", motion(1, BEGIN))
    path.write_bytes("\r\n".join(["\ufeff" + valid, "", "garbage", valid, '{"user":', "  ", "", valid, "42"]).encode())
    lake.run(landing.folder)
    (lines,) = lake.quarantined("accelerometer").values()
    assert [(line["line"], original_bytes(line).strip()) for line in lines] == [
        (3, b"garbage"),
        (5, b'{"user":'),
        (9, b"42"),
    ]
    (receipt,) = lake.receipts("accelerometer")
    assert (receipt["rows"], receipt["kept"], receipt["quarantined"]) == (6, 0, 3)


REJECTED = {
    "time in seconds": motion(1, BEGIN // 1000),
    "time in microseconds": motion(1, BEGIN * 1000),
    "negative time": motion(1, -BEGIN),
    "time zero": motion(1, 0),
    "no user": {"timestamp": BEGIN, "x": 1, "y": 1, "z": 1},
    "null user": motion(1, BEGIN) | {"user": None},
    "no z": {"user": email(1), "timestamp": BEGIN, "x": 1, "y": 1},
    "not a number": motion(1, BEGIN) | {"y": "fast"},
    "not a finite number": motion(1, BEGIN) | {"x": float("nan")},
    "infinite": motion(1, BEGIN) | {"x": float("inf")},
    "infinite in a string": motion(1, BEGIN) | {"x": "Infinity"},
    "half a millisecond": motion(1, BEGIN) | {"timestamp": BEGIN + 0.5},
    "same field twice": f'{{"user":"{email(1)}","timestamp":{BEGIN},"x":1,"y":1,"z":1,"X":1}}',
}


@pytest.mark.parametrize("name", REJECTED)
def test_invalid_reading_is_rejected(lake: Lake, landing: Landing, name: str) -> None:
    rejected = REJECTED[name]
    landing.customers("customers.json", customer(1, BEGIN, BEGIN))
    path = landing.motions("phones.json", motion(1, BEGIN))
    line = rejected if isinstance(rejected, str) else json.dumps(rejected)
    path.write_text(f"{line}\n{path.read_text()}")
    rows = lake.run(landing.folder).rows()
    assert rows["accelerometer_trusted"] == 1
    (lines,) = lake.quarantined("accelerometer").values()
    assert [(line["line"], original_bytes(line).strip()) for line in lines] == [(1, line.encode())]


def test_times_in_seconds_and_in_microseconds_have_different_reasons(lake: Lake, landing: Landing) -> None:
    landing.motions("phones.json", motion(1, BEGIN // 1000), motion(1, BEGIN * 1000))
    lake.run(landing.folder)
    (lines,) = lake.quarantined("accelerometer").values()
    assert len({line["reason"] for line in lines}) == 2


ACCEPTED = {
    "other case": lambda row: {name.upper(): value for name, value in row.items()},
    "numbers in strings": lambda row: {name: str(value) for name, value in row.items()},
    "further fields": lambda row: row | {"device": {"user": "another", "x": [1, {"timestamp": 0}]}, "note": None},
    "integral floats": lambda row: {
        name: float(value) if isinstance(value, int) else value for name, value in row.items()
    },
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_other_spelling_is_accepted(lake: Lake, tmp_path: Path, name: str) -> None:
    plain, spelled = Landing(tmp_path / "plain"), Landing(tmp_path / "spelled")
    for landing, spell in ((plain, dict), (spelled, ACCEPTED[name])):
        landing.customers("customers.json", spell(customer(1, BEGIN, BEGIN)))
        landing.motions("phones.json", spell(motion(1, BEGIN, -0.1, 2.0, 1e-7)), spell(motion(2, BEGIN)))
        landing.steps("devices.json", spell(step(1, BEGIN)))
    rows = lake.run(spelled.folder).rows()
    assert set(rows.values()) == {1}
    assert_tables(lake, plain.folder)


def test_undecodable_file_is_quarantined_as_one_line(lake: Lake, landing: Landing) -> None:
    landing.customers("customers.json", customer(1, BEGIN, BEGIN))
    landing.motions("phones-0.json", motion(1, BEGIN))
    path = landing.motions("phones-1.json", *(motion(1, BEGIN + minute) for minute in range(5000)))
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])
    assert lake.run(landing.folder).rows()["accelerometer_trusted"] == 1
    receipt = next(r for r in lake.receipts("accelerometer") if r["landing"]["key"].endswith("phones-1.json"))
    assert (receipt["rows"], receipt["kept"], receipt["quarantined"]) == (1, 0, 1)
    (line,) = lake.quarantined("accelerometer")[receipt["file"]]
    assert line["reason"]
    assert line["line"] == 0


def test_customer_without_serial_number_is_trusted(lake: Lake, landing: Landing) -> None:
    record = {"email": email(1), "lastUpdateDate": BEGIN, "shareWithResearchAsOfDate": BEGIN}
    landing.customers("customers.json", record)
    landing.motions("phones.json", motion(1, BEGIN))
    landing.steps("devices.json", step(1, BEGIN), step(1, BEGIN) | {"serialNumber": ""})
    rows = lake.run(landing.folder).rows()
    assert (rows["customer_trusted"], rows["customer_curated"], rows["step_trainer_trusted"]) == (1, 1, 0)
    assert_tables(lake, landing.folder)


def original_bytes(line: dict) -> bytes:
    """Returns the rejected line with its bytes in the file."""
    if "original_base64" in line:
        return base64.b64decode(line["original_base64"], validate=True)
    return line["original"].encode()


def decompressed(content: bytes) -> bytes:
    """Returns a file's decompressed content, or the content itself if it is not compressed or is damaged."""
    try:
        if content.startswith(b"\x1f\x8b"):
            return gzip.decompress(content)
        if content.startswith(b"\x28\xb5\x2f\xfd"):
            with pyarrow.CompressedInputStream(pyarrow.py_buffer(content), "zstd") as stream:
                return stream.read()
    except (OSError, EOFError):
        pass
    return content
