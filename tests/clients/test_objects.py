"""boto3: objects with conditions, checksums and copies, and lists of objects."""

import base64
import concurrent.futures
import hashlib
import io
import socket
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import awscrt.checksums
import pytest
from botocore.exceptions import ClientError

from stack import Stack, fetch

BODY = b"the quick brown fox"


@pytest.fixture(scope="module")
def s3(stack: Stack) -> Any:
    return stack.client("s3")


def refused(call: Callable[..., Any], *arguments: Any, **parameters: Any) -> tuple[str, int]:
    """Calls an operation that must fail. Returns the error's code and status."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolves names below `localhost` to this machine, as browsers and curl do and some resolvers do not."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_path_and_virtual_host_addresses(stack: Stack, bucket: str, style: str, localhost: None) -> None:
    url = f"http://localhost:{urlsplit(stack.url).port}"
    s3 = stack.client("s3", url=url, s3={"addressing_style": style})
    hosts = []
    s3.meta.events.register("before-send.s3", lambda request, **_: hosts.append(urlsplit(request.url).hostname))
    s3.put_object(Bucket=bucket, Key="a/b c+d", Body=BODY)
    assert s3.get_object(Bucket=bucket, Key="a/b c+d")["Body"].read() == BODY
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/b c+d"]
    assert fetch(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b c+d"})) == (200, BODY)
    assert set(hosts) == {f"{bucket}.localhost" if style == "virtual" else "localhost"}
    assert stack.client("s3").head_object(Bucket=bucket, Key="a/b c+d")["ContentLength"] == len(BODY)


def crc(value: int, size: int) -> str:
    return base64.b64encode(value.to_bytes(size, "big")).decode()


CHECKSUMS: dict[str, Callable[[bytes], str]] = {
    "CRC32": lambda body: crc(zlib.crc32(body), 4),
    "CRC32C": lambda body: crc(awscrt.checksums.crc32c(body), 4),
    "CRC64NVME": lambda body: crc(awscrt.checksums.crc64nvme(body), 8),
    "SHA1": lambda body: base64.b64encode(hashlib.sha1(body).digest()).decode(),
    "SHA256": lambda body: base64.b64encode(hashlib.sha256(body).digest()).decode(),
}


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_checksums_are_verified_and_kept(s3: Any, bucket: str, algorithm: str) -> None:
    name, right = f"Checksum{algorithm}", CHECKSUMS[algorithm](BODY)
    # A checksum by the SDK, one by the caller, and one of a stream.
    assert s3.put_object(Bucket=bucket, Key="header", Body=BODY, ChecksumAlgorithm=algorithm)[name] == right
    assert s3.put_object(Bucket=bucket, Key="given", Body=BODY, **{name: right})[name] == right
    stream = io.BufferedReader(io.BytesIO(BODY))
    assert s3.put_object(Bucket=bucket, Key="stream", Body=stream, ChecksumAlgorithm=algorithm)[name] == right
    for key in ("header", "given", "stream"):
        found = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert (found[name], found["Body"].read()) == (right, BODY)
        assert s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")[name] == right
    assert name not in s3.head_object(Bucket=bucket, Key="given")
    wrong = CHECKSUMS[algorithm](BODY + b".")
    assert refused(s3.put_object, Bucket=bucket, Key="wrong", Body=BODY, **{name: wrong}) == ("BadDigest", 400)
    assert refused(s3.head_object, Bucket=bucket, Key="wrong") == ("404", 404)


def test_digest_of_the_body_is_verified(s3: Any, bucket: str) -> None:
    right, wrong = (base64.b64encode(hashlib.md5(body).digest()).decode() for body in (BODY, b"other"))
    s3.put_object(Bucket=bucket, Key="right", Body=BODY, ContentMD5=right)
    assert refused(s3.put_object, Bucket=bucket, Key="wrong", Body=BODY, ContentMD5=wrong) == ("BadDigest", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="wrong", Body=BODY, ContentMD5="?")[0] == "InvalidDigest"


def test_delete_may_be_conditional(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "key"}
    first, second = (s3.put_object(**where, Body=body)["ETag"] for body in (BODY, b"second"))
    assert refused(s3.delete_object, **where, IfMatch=first) == ("PreconditionFailed", 412)
    s3.delete_object(**where, IfMatch=second)


def test_bucket_is_in_the_first_region_and_unversioned(s3: Any, bucket: str) -> None:
    # S3 has no location constraint for us-east-1.
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert s3.get_bucket_versioning(Bucket=bucket).get("Status") is None


def test_lists_are_complete_for_any_page_size(s3: Any, bucket: str) -> None:
    keys = sorted([f"{letter}/{number:02}" for letter in "abc" for number in range(20)] + ["d", "e f", "g+h", "ü"])
    with concurrent.futures.ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=key.encode()), keys))
    for operation in ("list_objects", "list_objects_v2", "list_object_versions"):
        for size in (1, 7, 1000):
            options = {"Bucket": bucket, "PaginationConfig": {"PageSize": size}}
            paginator = s3.get_paginator(operation)
            name = "Versions" if operation == "list_object_versions" else "Contents"
            assert [each["Key"] for page in paginator.paginate(**options) for each in page.get(name, [])] == keys
            pages = list(paginator.paginate(**options, Delimiter="/"))
            assert [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])] == ["a/", "b/", "c/"]
            assert [each["Key"] for page in pages for each in page.get(name, [])] == ["d", "e f", "g+h", "ü"]
    assert s3.list_objects_v2(Bucket=bucket, StartAfter="c/18", MaxKeys=1)["Contents"][0]["Key"] == "c/19"
    assert s3.list_objects(Bucket=bucket, Marker="c/18", MaxKeys=1)["Contents"][0]["Key"] == "c/19"
    found = s3.list_objects_v2(Bucket=bucket, Prefix="a/", MaxKeys=0)
    assert (found["KeyCount"], found["IsTruncated"]) == (0, False)


def test_delete_of_many_objects(s3: Any, bucket: str) -> None:
    keys = [f"key & <{number}>" for number in range(1000)]
    with concurrent.futures.ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda key: s3.put_object(Bucket=bucket, Key=key), keys[:50]))
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert {each["Key"] for each in deleted["Deleted"]} == set(keys)
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}], "Quiet": True})
    assert not quiet.get("Deleted") and not quiet.get("Errors")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    too_many = {"Objects": [{"Key": key} for key in [*keys, "one more"]]}
    assert refused(s3.delete_objects, Bucket=bucket, Delete=too_many)[0] == "MalformedXML"


def test_reads_with_ranges_and_response_headers(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY, CacheControl="max-age=1", ContentDisposition="inline")
    found = s3.get_object(Bucket=bucket, Key="key", ResponseContentType="a/b", ResponseCacheControl="no-cache")
    assert (found["ContentType"], found["CacheControl"], found["ContentDisposition"]) == ("a/b", "no-cache", "inline")
    some = s3.head_object(Bucket=bucket, Key="key", Range="bytes=4-8")
    assert (some["ContentLength"], some["ResponseMetadata"]["HTTPStatusCode"]) == (5, 206)
    assert some["ResponseMetadata"]["HTTPHeaders"]["content-range"] == f"bytes 4-8/{len(BODY)}"
    assert s3.get_object(Bucket=bucket, Key="key", Range="bytes=17-99")["Body"].read() == BODY[17:]


@pytest.mark.parametrize(
    "key", ["a//b", "./a", "a/../b", "/a", "a/", "%2F", "\u00e9", "e\u0301", "a\tb", "x" * 1024, "*?"]
)
def test_unusual_keys_are_kept_unchanged(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=BODY)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == BODY
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_too_long_key_is_refused(s3: Any, bucket: str) -> None:
    assert refused(s3.put_object, Bucket=bucket, Key="x" * 1025, Body=BODY) == ("KeyTooLongError", 400)


@pytest.mark.parametrize("version", [None, "s3v4"])
@pytest.mark.parametrize(
    ("method", "operation"), [("GET", "get_object"), ("PUT", "put_object"), ("HEAD", "head_object")]
)
def test_presigned_url_is_for_one_key_and_method(
    stack: Stack, s3: Any, bucket: str, version: str | None, method: str, operation: str
) -> None:
    s3.put_object(Bucket=bucket, Key="signed", Body=BODY)
    # Without a version, clients sign with an old one.
    signer = stack.client("s3", signature_version=version)
    url = signer.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": "signed"}, ExpiresIn=60)
    assert ("X-Amz-Signature=" in url) == (version == "s3v4")
    body = b"by anybody" if method == "PUT" else None
    assert fetch(url, method, body) == (200, BODY if method == "GET" else b"")
    assert s3.get_object(Bucket=bucket, Key="signed")["Body"].read() == (body or BODY)
    # Another key or method does not match the signature.
    for changed, other in ((url.replace("/signed", "/other"), "GET"), (url, "DELETE")):
        status, answer = fetch(changed, other)
        assert (status, b"<Code>SignatureDoesNotMatch</Code>" in answer) == (403, True), answer
