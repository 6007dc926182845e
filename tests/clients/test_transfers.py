"""Large objects: multipart uploads by boto3's transfer manager, downloads of ranges, and the server's memory."""

import concurrent.futures
import hashlib
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from landing import Village
from stack import MIB, Stack
from up import until

LARGE = 100 * MIB
HUGE = 600 * MIB
MEMORY_GROWTH_MAX = 150 * MIB
PART = 5 * MIB


class Pattern(io.RawIOBase):
    """A stream of `size` bytes that needs no memory: a block is repeated, each time after its number."""

    BLOCK = random.Random(7).randbytes(MIB - 8)

    def __init__(self, size: int):
        self.size, self.position = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        return self.position

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read(self, size: int | None = -1) -> bytes:
        wanted = self.size - self.position if size is None or size < 0 else min(size, self.size - self.position)
        pieces = []
        while wanted > 0:
            number, offset = divmod(self.position, MIB)
            piece = (number.to_bytes(8, "big") + self.BLOCK)[offset : offset + wanted]
            pieces.append(piece)
            self.position += len(piece)
            wanted -= len(piece)
        return b"".join(pieces)


def digest(stream: Any) -> str:
    found = hashlib.sha256()
    while piece := stream.read(MIB):
        found.update(piece)
    return found.hexdigest()


@pytest.fixture(scope="module")
def s3(stack: Stack) -> Any:
    return stack.client("s3", max_pool_connections=10)


@pytest.mark.parametrize("algorithm", [None, "CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"])
def test_large_object_is_uploaded_and_downloaded(s3: Any, bucket: str, tmp_path: Path, algorithm: str | None) -> None:
    size = LARGE if algorithm is None else 17 * MIB
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=8)
    options = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    s3.upload_fileobj(Pattern(size), bucket, "large", ExtraArgs=options, Config=config)
    head = s3.head_object(Bucket=bucket, Key="large", ChecksumMode="ENABLED")
    assert head["ContentLength"] == size
    assert head["ETag"].endswith(f'-{-(-size // (8 * MIB))}"')
    if algorithm:
        assert head[f"Checksum{algorithm}"]
    s3.download_file(bucket, "large", str(tmp_path / "large"), Config=config)
    with (tmp_path / "large").open("rb") as found:
        assert digest(found) == digest(Pattern(size))
    # Ranges within a part, across two parts, and at the end.
    for start, end in ((0, 0), (8 * MIB - 3, 8 * MIB + 3), (size - 5, size - 1)):
        expected = Pattern(size)
        expected.seek(start)
        found = s3.get_object(Bucket=bucket, Key="large", Range=f"bytes={start}-{end}")
        assert found["Body"].read() == expected.read(end - start + 1)


def test_transfer_manager_copies_a_large_object(s3: Any, bucket: str) -> None:
    s3.upload_fileobj(Pattern(30 * MIB), bucket, "large")
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy", Config=config)
    assert digest(s3.get_object(Bucket=bucket, Key="copy")["Body"]) == digest(Pattern(30 * MIB))


def test_huge_objects_need_bounded_memory(start: Callable[..., Stack]) -> None:
    """A put, a multipart upload, a copy and a read do not hold the whole object in memory."""
    stack = start()
    s3 = stack.client("s3", read_timeout=300)
    s3.create_bucket(Bucket="huge")
    stack.forget_peak()
    before = stack.peak_bytes()

    def assert_bounded(what: str) -> None:
        grown = stack.peak_bytes() - before
        assert grown < MEMORY_GROWTH_MAX, f"{what}: {grown >> 20} MiB more"

    s3.put_object(Bucket="huge", Key="one", Body=Pattern(HUGE), ContentLength=HUGE)
    assert_bounded("put")
    config = TransferConfig(multipart_chunksize=64 * MIB, max_concurrency=4)
    s3.upload_fileobj(Pattern(HUGE), "huge", "parts", Config=config)
    assert_bounded("multipart upload")
    s3.copy_object(Bucket="huge", Key="copy", CopySource={"Bucket": "huge", "Key": "parts"})
    assert_bounded("copy")
    expected = digest(Pattern(HUGE))
    for key in ("one", "copy"):
        assert digest(s3.get_object(Bucket="huge", Key=key)["Body"]) == expected
        s3.delete_object(Bucket="huge", Key=key)
    assert_bounded("get")


@pytest.mark.parametrize("how", ["parts", "put"])
def test_landing_file_triggers_the_function_once(start: Callable[..., Stack], village: Village, how: str) -> None:
    stack = start()
    s3 = stack.client("s3")
    key = "customer/landing/customers-0.json"
    lines = (village.folder / key).read_bytes()
    # Blank lines are not rows. With them, the file has more than one part and the same row counts.
    body = lines + b"\n" * PART
    if how == "put":
        s3.put_object(Bucket=stack.bucket, Key=key, Body=body)
    else:
        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
        s3.upload_fileobj(io.BytesIO(body), stack.bucket, key, Config=config)
    until(lambda: key in stack.messages(), "a message about the file")
    stack.wait_until_quiet()
    assert len(stack.messages()[key]) == 1
    (receipt,) = stack.lake.receipts("customer")
    assert receipt["rows"] == len(lines.splitlines())


def test_concurrent_reads_and_writes(s3: Any, bucket: str) -> None:
    def write_and_read(number: int) -> None:
        body = random.Random(number).randbytes(100_000 + number)
        s3.put_object(Bucket=bucket, Key=f"key/{number}", Body=body)
        assert s3.get_object(Bucket=bucket, Key=f"key/{number}")["Body"].read() == body

    with concurrent.futures.ThreadPoolExecutor(10) as clients:
        list(clients.map(write_and_read, range(200)))
    assert s3.list_objects_v2(Bucket=bucket, Prefix="key/")["KeyCount"] == 200
