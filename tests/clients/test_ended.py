"""`stedi up` ends by Ctrl-C, by a kill during uploads, or because it refuses to start."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from comparison import assert_equal_lakes
from lake import Lake
from landing import Village
from stack import AWS, MIB, Stack
from up import SECONDS_MAX, keys_of, until

PART = 5 * MIB


@pytest.mark.parametrize("files", [1, 12, 30])
def test_kill_while_a_sync_runs(files: int, start: Callable[..., Stack], village: Village, village_lake: Lake) -> None:
    """The next process ingests the uploaded files, and the next sync uploads the rest."""
    stack = start()
    sync = ["s3", "sync", str(village.folder), f"s3://{stack.bucket}", "--no-progress"]
    with subprocess.Popen(
        [sys.executable, AWS, *sync], env=stack.for_clients, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as client:
        until(lambda: stack.lake.landing_files() >= files, "some files to be uploaded")
        assert stack.end(signal.SIGKILL) == -signal.SIGKILL
        client.kill()
    assert stack.lake.landing_files() >= files
    undelivered = stack.lake.undelivered()
    again = start(lake=stack.lake)
    again.wait_until_quiet()
    again.aws(*sync[:3], f"s3://{again.bucket}", "--no-progress")
    again.wait_until_quiet()
    assert again.end() == 0
    assert_equal_lakes(stack.lake, village_lake)
    print(f"{len(undelivered)} events were undelivered")


def test_kill_while_parts_are_uploaded(start: Callable[..., Stack], village: Village) -> None:
    """After the kill, the parts exist and the object does not. The upload can continue."""
    stack = start()
    key = "customer/landing/by parts.json"
    lines = (village.folder / "customer/landing/customers-0.json").read_bytes()
    bodies = [lines + b"\n" * PART, b"\n" * PART, b"\n"]
    where = {"Bucket": stack.bucket, "Key": key}
    s3 = stack.client("s3")
    upload = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    etags = [s3.upload_part(**upload, PartNumber=1, Body=bodies[0])["ETag"]]
    # Kills the process in the middle of the second part.
    with socket.create_connection(stack.address) as client:
        signer = stack.client("s3", signature_version="s3v4")
        url = signer.generate_presigned_url("upload_part", Params=upload | {"PartNumber": 2})
        path = url.removeprefix(stack.url)
        client.sendall(f"PUT {path} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\nContent-Length: {PART}\r\n\r\n".encode())
        client.sendall(bodies[1][:MIB])
        until(lambda: any((stack.lake.folder / ".emulator" / "tmp").iterdir()), "the part to begin")
        assert stack.end(signal.SIGKILL) == -signal.SIGKILL
    again = start(lake=stack.lake)
    s3 = again.client("s3")
    assert [part["ETag"] for part in s3.list_parts(**upload)["Parts"]] == etags
    assert not any(found["Key"] == key for found in s3.list_objects_v2(Bucket=again.bucket).get("Contents", []))
    etags += [s3.upload_part(**upload, PartNumber=number, Body=bodies[number - 1])["ETag"] for number in (2, 3)]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    until(lambda: key in again.messages(), "a message about the file")
    again.wait_until_quiet()
    (receipt,) = again.lake.receipts("customer")
    assert receipt["rows"] == len(lines.splitlines())
    # The next process removed the unfinished files.
    assert not any((stack.lake.folder / ".emulator" / "tmp").iterdir())


def test_kill_after_the_last_part(start: Callable[..., Stack], village: Village) -> None:
    """The upload was answered, so the next process delivers its event."""
    stack = start()
    s3 = stack.client("s3")
    where = {"Bucket": stack.bucket, "Key": "customer/landing/completed.json"}
    upload = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    lines = (village.folder / "customer/landing/customers-0.json").read_bytes()
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=lines)["ETag"]}
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    assert stack.end(signal.SIGKILL) == -signal.SIGKILL
    again = start(lake=stack.lake)
    again.wait_until_quiet()
    (receipt,) = again.lake.receipts("customer")
    assert receipt["rows"] == len(lines.splitlines())


def test_running_query_fails_when_the_process_is_killed(start: Callable[..., Stack], village: Village) -> None:
    stack = start()
    stack.aws("s3", "sync", village.folder, f"s3://{stack.bucket}", "--no-progress")
    stack.wait_until_quiet()
    athena = stack.client("athena")
    rows = "accelerometer_landing"
    sql = f"SELECT sum(a.x * b.y * c.z * d.x) FROM {rows} a, {rows} b, {rows} c, {rows} d"
    context = {"Database": "stedi"}
    query = athena.start_query_execution(QueryString=sql, QueryExecutionContext=context)["QueryExecutionId"]

    def status(athena: Any) -> dict[str, str]:
        return athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]

    until(lambda: status(athena)["State"] == "RUNNING", "the query to run")
    assert stack.end(signal.SIGKILL) == -signal.SIGKILL
    found = status(start(lake=stack.lake).client("athena"))
    assert found["State"] == "FAILED"
    assert found["StateChangeReason"]


def test_ctrl_c_with_connections_open(start: Callable[..., Stack], village: Village, village_lake: Lake) -> None:
    """One connection sends nothing, and one reads a large object slowly."""
    stack = start()
    s3 = stack.client("s3")
    s3.put_object(Bucket=stack.bucket, Key="large", Body=bytes(20 * MIB))
    stack.aws("s3", "sync", village.folder, f"s3://{stack.bucket}", "--no-progress")
    signer = stack.client("s3", signature_version="s3v4")
    url = signer.generate_presigned_url("get_object", Params={"Bucket": stack.bucket, "Key": "large"})
    request = f"GET {url.removeprefix(stack.url)} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\n\r\n".encode()
    with socket.create_connection(stack.address), socket.create_connection(stack.address) as reading:
        reading.sendall(request)
        assert reading.recv(12) == b"HTTP/1.1 200"
        stack.process.send_signal(signal.SIGINT)
        until(lambda: "stopping" in stack.errors.read_text(), "the end to begin")
        with pytest.raises((BotoCoreError, ClientError)):
            stack.client("s3", connect_timeout=2, read_timeout=2).put_object(Bucket=stack.bucket, Key="late", Body=b"")
        # The running download is completed.
        received = 12
        while piece := reading.recv(MIB):
            received += len(piece)
        assert received > 20 * MIB
    assert stack.process.wait(SECONDS_MAX) == 0
    again = start(lake=stack.lake)
    again.wait_until_quiet()
    assert sorted(keys_of(village.folder)) == sorted(
        path.relative_to(again.lake.bucket).as_posix() for path in again.lake.bucket.glob("*/landing/*")
    )
    again.end()
    assert_equal_lakes(again.lake, village_lake)
