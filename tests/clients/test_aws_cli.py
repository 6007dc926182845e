"""The AWS command line with only the variables that `stedi up` prints to export."""

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from landing import Village
from stack import MIB, Stack, fetch
from up import keys_of, until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files with unusual names, one of them larger than a part of a multipart upload."""
    folder = tmp_path / "files"
    draw = random.Random(1)
    for name, size in {
        "a.txt": 10,
        "empty": 0,
        "with space & plus+.txt": 20,
        "deep/er/ünï.json": 30,
        "deep/percent%25.txt": 40,
        "large.bin": 20 * MIB,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(draw.randbytes(size))
    return aged(folder)


def aged(folder: Path) -> Path:
    """Gives all files an old time: `aws s3 sync` compares whole seconds and uploads files again that are newer than
    their copies."""
    for key in keys_of(folder):
        os.utime(folder / key, (1_700_000_000, 1_700_000_000))
    return folder


def listed(stack: Stack, location: str) -> dict[str, int]:
    """Returns the keys and sizes that `aws s3 ls --recursive` prints."""
    lines = stack.aws("s3", "ls", "--recursive", location).splitlines()
    return {line[31:]: int(line[19:30]) for line in lines}


def contents(folder: Path) -> dict[str, bytes]:
    return {key: (folder / key).read_bytes() for key in keys_of(folder)}


def test_sync_uploads_and_downloads_changes_only(stack: Stack, bucket: str, folder: Path, tmp_path: Path) -> None:
    stack.aws("s3", "sync", folder, f"s3://{bucket}/in", "--no-progress")
    assert listed(stack, f"s3://{bucket}/in/") == {f"in/{key}": len(body) for key, body in contents(folder).items()}
    stack.aws("s3", "sync", f"s3://{bucket}/in", tmp_path / "back", "--no-progress")
    assert contents(tmp_path / "back") == contents(folder)
    # A second sync does nothing, in both directions.
    assert stack.aws("s3", "sync", folder, f"s3://{bucket}/in") == ""
    assert stack.aws("s3", "sync", f"s3://{bucket}/in", tmp_path / "back") == ""
    (folder / "a.txt").unlink()
    (folder / "empty").write_text("no more")
    aged(folder)
    said = stack.aws("s3", "sync", "--delete", folder, f"s3://{bucket}/in", "--no-progress")
    assert {line.split(":")[0] for line in said.splitlines()} == {"delete", "upload"}
    assert len(said.splitlines()) == 2
    assert set(listed(stack, f"s3://{bucket}/in/")) == {f"in/{key}" for key in contents(folder)}


def test_sync_between_buckets(stack: Stack, bucket: str, folder: Path) -> None:
    stack.aws("s3", "mb", f"s3://{bucket}-copy")
    stack.aws("s3", "sync", folder, f"s3://{bucket}", "--no-progress")
    stack.aws("s3", "sync", f"s3://{bucket}", f"s3://{bucket}-copy", "--no-progress")
    assert listed(stack, f"s3://{bucket}-copy") == listed(stack, f"s3://{bucket}")
    stack.aws("s3", "rb", "--force", f"s3://{bucket}-copy")
    assert bucket in stack.aws("s3", "ls")
    assert f"{bucket}-copy" not in stack.aws("s3", "ls")


def test_copy_move_list_and_remove(stack: Stack, bucket: str, folder: Path, tmp_path: Path) -> None:
    location = f"s3://{bucket}"
    stack.aws("s3", "cp", folder / "large.bin", f"{location}/one/large.bin", "--no-progress")
    stack.aws("s3", "cp", f"{location}/one/large.bin", f"{location}/two/copy.bin", "--no-progress")
    stack.aws("s3", "mv", f"{location}/two/copy.bin", f"{location}/two/moved.bin", "--no-progress")
    stack.aws("s3", "cp", f"{location}/two/moved.bin", tmp_path / "moved.bin", "--no-progress")
    assert (tmp_path / "moved.bin").read_bytes() == (folder / "large.bin").read_bytes()
    assert [line.split() for line in stack.aws("s3", "ls", f"{location}/").splitlines()] == [
        ["PRE", "one/"],
        ["PRE", "two/"],
    ]
    assert set(listed(stack, location)) == {"one/large.bin", "two/moved.bin"}
    stack.aws("s3", "rm", f"{location}/one/large.bin")
    assert set(listed(stack, location)) == {"two/moved.bin"}
    stack.aws("s3", "cp", "--recursive", folder, f"{location}/many", "--no-progress")
    stack.aws("s3", "rm", "--recursive", f"{location}/many")
    assert set(listed(stack, location)) == {"two/moved.bin"}
    # `ls` fails for a prefix without objects.
    assert stack.try_aws("s3", "ls", f"{location}/many/").returncode == 1


def test_copy_from_and_to_streams(stack: Stack, bucket: str) -> None:
    body = random.Random(2).randbytes(9 * MIB)
    done = stack.try_aws("s3", "cp", "-", f"s3://{bucket}/stream", stdin=body)
    assert done.returncode == 0, done.stderr
    done = stack.try_aws("s3", "cp", f"s3://{bucket}/stream", "-")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(body).digest()


def test_presigned_url_needs_no_credentials(stack: Stack, bucket: str) -> None:
    stack.client("s3").put_object(Bucket=bucket, Key="a key", Body=b"body")
    url = stack.aws("s3", "presign", f"s3://{bucket}/a key", "--expires-in", 60).strip()
    assert url.startswith(stack.url)
    assert fetch(url) == (200, b"body")


def test_head_copy_range_and_deletes(stack: Stack, bucket: str, tmp_path: Path) -> None:
    body = bytes(range(256))
    (tmp_path / "body").write_bytes(body)
    where = ("--bucket", bucket, "--key", "first ü+%41")
    stack.aws(
        "s3api", "put-object", *where, "--body", tmp_path / "body", "--metadata", "who=me", "--content-type", "x/y"
    )
    head = stack.aws_json("s3api", "head-object", *where)
    assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (256, "x/y", {"who": "me"})
    copy = ("--bucket", bucket, "--key", "second")
    stack.aws("s3api", "copy-object", *copy, "--copy-source", f"{bucket}/first ü+%41")
    assert stack.aws_json("s3api", "head-object", *copy)["Metadata"] == {"who": "me"}
    replaced = ("--metadata-directive", "REPLACE", "--metadata", "who=you")
    stack.aws("s3api", "copy-object", *copy, "--copy-source", f"{bucket}/first ü+%41", *replaced)
    assert stack.aws_json("s3api", "head-object", *copy)["Metadata"] == {"who": "you"}
    for asked, expected in {"bytes=0-9": body[:10], "bytes=250-": body[250:], "bytes=-3": body[-3:]}.items():
        answer = stack.aws_json("s3api", "get-object", *copy, "--range", asked, tmp_path / "some")
        assert (tmp_path / "some").read_bytes() == expected
        assert answer["ContentRange"].endswith("/256")
    beyond = stack.try_aws("s3api", "get-object", *copy, "--range", "bytes=256-", tmp_path / "some")
    assert b"InvalidRange" in beyond.stderr
    deletion = json.dumps({"Objects": [{"Key": "first ü+%41"}, {"Key": "second"}, {"Key": "never there"}]})
    deleted = stack.aws_json("s3api", "delete-objects", "--bucket", bucket, "--delete", deletion)
    assert {found["Key"] for found in deleted["Deleted"]} == {"first ü+%41", "second", "never there"}
    assert "Contents" not in stack.aws_json("s3api", "list-objects-v2", "--bucket", bucket)


def test_caller_identity(stack: Stack) -> None:
    answer = stack.aws_json("sts", "get-caller-identity")
    assert answer["Account"].isdecimal()
    assert answer["Arn"].startswith("arn:aws:")


def test_athena_runs_a_query(stack: Stack, tmp_path: Path) -> None:
    assert "primary" in [group["Name"] for group in stack.aws_json("athena", "list-work-groups")["WorkGroups"]]
    sql = "SELECT email, customername FROM customer_trusted ORDER BY email LIMIT 3"
    query = ("--query-execution-id", execution(stack, sql))
    found = stack.aws_json("athena", "get-query-execution", *query)["QueryExecution"]
    assert found["Status"]["State"] == "SUCCEEDED", found
    assert found["Query"] == sql
    results = stack.aws_json("athena", "get-query-results", *query)["ResultSet"]
    rows = [[column["VarCharValue"] for column in row["Data"]] for row in results["Rows"]]
    assert rows[0] == ["email", "customername"]
    assert len(rows) == 4
    assert [(c["Name"], c["Type"]) for c in results["ResultSetMetadata"]["ColumnInfo"]] == [
        ("email", "varchar"),
        ("customername", "varchar"),
    ]
    # The result file has the same rows, in Athena's format.
    stack.aws("s3", "cp", found["ResultConfiguration"]["OutputLocation"], tmp_path / "result.csv", "--no-progress")
    lines = [",".join(f'"{value}"' for value in row) for row in rows]
    assert (tmp_path / "result.csv").read_text() == "\n".join(lines) + "\n"
    assert found["QueryExecutionId"] in stack.aws("athena", "list-query-executions")


def test_athena_explains_failed_queries(stack: Stack) -> None:
    query = ("--query-execution-id", execution(stack, "SELECT nothing FROM customer_trusted"))
    status = stack.aws_json("athena", "get-query-execution", *query)["QueryExecution"]["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith("COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved")
    assert status["AthenaError"]["ErrorCategory"] == 2
    refused = stack.try_aws("athena", "start-query-execution", "--query-string", "SELEC 1")
    assert b"InvalidRequestException" in refused.stderr
    assert b"mismatched input 'SELEC'" in refused.stderr
    unknown = stack.try_aws("athena", "get-query-execution", "--query-execution-id", "never-started")
    assert b"InvalidRequestException" in unknown.stderr


def execution(stack: Stack, sql: str) -> str:
    """Runs a query to its end. Returns its id."""
    started = stack.aws_json(
        "athena", "start-query-execution", "--query-string", sql, "--query-execution-context", "Database=stedi"
    )
    athena = stack.client("athena")

    def ended() -> bool:
        state = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]["Status"]
        return state["State"] in ("SUCCEEDED", "FAILED", "CANCELLED")

    until(ended, "the query to end")
    return started["QueryExecutionId"]


def test_synced_files_are_ingested(start: Callable[..., Stack], village: Village) -> None:
    stack = start()
    stack.aws("s3", "sync", aged(village.folder), f"s3://{stack.bucket}", "--no-progress")
    stack.wait_until_quiet()
    until(lambda: stack.messages().keys() == set(keys_of(village.folder)), "a message about every file")
    # A second sync uploads nothing.
    before = stack.lake.versions()
    assert stack.aws("s3", "sync", village.folder, f"s3://{stack.bucket}") == ""
    stack.wait_until_quiet()
    assert stack.lake.versions() == before
