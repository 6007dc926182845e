"""The output of `stedi run` and `stedi tables`: one JSON object, tables for people, and errors."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Ingestion, VillageCopy
from lake import TABLES, Lake, Run
from landing import SOURCES


def assert_refused(run: Run, *words: str) -> None:
    """Asserts exit status 1, nothing on standard output, and an error with these words."""
    assert run.returncode == 1, (run.returncode, run.stderr)
    assert not run.stdout
    assert "panicked" not in run.stderr
    assert "RUST_BACKTRACE" not in run.stderr
    for word in words:
        assert word in run.stderr, run.stderr


def assert_listed(text: str, rows: dict[str, int]) -> None:
    """Asserts a line for each table, with its number of rows."""
    assert rows.keys() == TABLES.keys()
    for name, count in rows.items():
        lines = [line for line in text.splitlines() if name in line]
        numbers = [re.findall(r"\d+", line.replace(",", "").replace(name, "")) for line in lines]
        assert any(str(count) in found for found in numbers), (name, count, lines)


def test_json_is_one_object_with_all_counts(generated: Path, ingest_once: Callable[..., Ingestion]) -> None:
    report = ingest_once(generated).run.report
    assert set(report["tables"]) == set(TABLES)
    for name, table in report["tables"].items():
        assert table.keys() >= {"rows", "objects", "partitions"}, name
        assert table["objects"] == len(ingest_once(generated).lake.table_files(TABLES[name])), name
    assert set(report["landing"]) == set(SOURCES)
    for source, counts in report["landing"].items():
        assert counts.keys() >= {"files", "rows", "kept", "excluded", "quarantined"}, source
        assert counts["rows"] == counts["kept"] + counts["excluded"] + counts["quarantined"], source
    assert report["requests"].keys() >= {"get", "head", "put", "list", "glue"}
    assert report["events"] > 13
    assert report["writes"] > 13
    assert report["seconds"] > 0


def test_json_is_all_of_standard_output(generated: Path, ingest_once: Callable[..., Ingestion]) -> None:
    stdout = ingest_once(generated).run.stdout
    _, end = json.JSONDecoder().raw_decode(stdout)
    assert not stdout[end:].strip()
    assert stdout.startswith("{")


def test_plain_run_lists_the_five_tables(generated: Path, lake: Lake, ingest_once: Callable[..., Ingestion]) -> None:
    run = lake.attempt(generated)
    assert run.returncode == 0, run.stderr
    rows = ingest_once(generated).run.rows()
    assert_listed(run.stdout, rows)


def test_bucket_has_the_name_that_was_given(generate: Callable[..., Path], lake: Lake) -> None:
    run = lake.run(generate("--customers", 3), "--bucket", "another-lake")
    assert run.rows()["customer_trusted"] == 2
    buckets = [path.name for path in lake.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert buckets == ["another-lake"]


@pytest.mark.parametrize(
    ("setting", "made", "other"), [("consent", "ever", "at-reading"), ("pairs", "same-instant", "same-customer")]
)
def test_lake_of_another_setting_is_refused(
    copy_village: Callable[..., VillageCopy], setting: str, made: str, other: str
) -> None:
    copy = copy_village()
    before = copy.lake.versions()
    setattr(copy.lake, setting, other)
    copy.village.customers("customers-1.json", copy.village.registered(1))
    assert_refused(copy.lake.attempt(copy.village.folder), f"--{setting}", made, other)
    after = copy.lake.versions()
    assert {key: after[key] for key in before} == before
    assert not [key for key in after.keys() - before.keys() if "/landing/" not in key]


def test_lake_of_another_number_of_shards_is_refused(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    copy.village.customers("customers-1.json", copy.village.registered(1))
    assert_refused(copy.lake.attempt(copy.village.folder, "--shards", 5), "customer shards 16", "--shards says 5")


def test_lake_needs_its_hash_key(copy_village: Callable[..., VillageCopy]) -> None:
    copy = copy_village()
    key = copy.lake.folder / "hash_key"
    assert key.stat().st_mode & 0o777 == 0o600
    text, before = key.read_text(), copy.lake.versions()
    copy.village.customers("customers-1.json", copy.village.registered(1))
    key.unlink()
    assert_refused(copy.lake.attempt(copy.village.folder), "hash_key is missing", "put the file back")
    key.write_text("0" * 63)
    assert_refused(copy.lake.attempt(copy.village.folder), "64 lower-case hexadecimal digits")
    key.write_text("0" * 64)
    assert_refused(copy.lake.attempt(copy.village.folder), "another HASH_KEY")
    assert copy.lake.versions() == before
    key.write_text(text)
    assert copy.lake.run(copy.village.folder).rows()["customer_trusted"]


def test_lake_of_another_format_is_refused(copy_village: Callable[..., VillageCopy]) -> None:
    """Functions of another version would read the lake's state as damaged."""
    copy = copy_village()
    config = copy.lake.bucket / "_state" / "lake.json"
    # The first format recorded no format, and another format may lack settings of this one.
    config.write_text(json.dumps({"customer_shards": 16}))
    copy.village.customers("customers-1.json", copy.village.registered(1))
    assert_refused(copy.lake.attempt(copy.village.folder), "this version of the software", "format 1", "new lake")
