"""Requests without the printed credentials are refused with the errors of S3, Glue and Athena."""

import base64
import datetime
import hashlib
import zlib

import botocore.auth
import botocore.crt.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

import stack as stacks
from stack import Stack, fetch
from test_objects import refused

WRONG = {
    "InvalidAccessKeyId": ("unknown", "test"),
    "SignatureDoesNotMatch": ("test", "a guess"),
}
# The error codes of the JSON services in the same order.
WRONG_JSON = dict(zip(WRONG, ("UnrecognizedClientException", "InvalidSignatureException"), strict=True))


@pytest.mark.parametrize("code", WRONG)
def test_s3_refuses_wrong_credentials(stack: Stack, code: str) -> None:
    s3 = stack.client("s3", credentials=WRONG[code])
    assert refused(s3.list_objects_v2, Bucket=stack.bucket) == (code, 403)
    assert refused(s3.put_object, Bucket=stack.bucket, Key="customer/landing/theirs", Body=b"{}") == (code, 403)
    assert refused(s3.head_object, Bucket=stack.bucket, Key="_state/lake.json") == ("403", 403)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": stack.bucket, "Key": "_state/lake.json"})
    assert code.encode() in answer_to(url)


@pytest.mark.parametrize("code", WRONG)
def test_glue_and_athena_refuse_wrong_credentials(stack: Stack, code: str) -> None:
    glue, athena = (stack.client(service, credentials=WRONG[code]) for service in ("glue", "athena"))
    assert refused(glue.get_databases) == (WRONG_JSON[code], 400)
    assert refused(athena.list_work_groups) == (WRONG_JSON[code], 400)
    assert refused(athena.start_query_execution, QueryString="SELECT 1") == (WRONG_JSON[code], 400)


def answer_to(url: str) -> bytes:
    """Requests a URL that must be refused. Returns the body."""
    status, answer = fetch(url)
    assert status == 403, answer
    return answer


def test_unsigned_requests_are_refused(stack: Stack) -> None:
    assert b"<Code>AccessDenied</Code>" in answer_to(f"{stack.url}/{stack.bucket}/_state/lake.json")
    assert b"<Code>AccessDenied</Code>" in answer_to(f"{stack.url}/{stack.bucket}?list-type=2")
    status, answer = fetch(stack.url, "POST", b"{}", **{"X-Amz-Target": "AmazonAthena.ListWorkGroups"})
    assert (status, b"MissingAuthenticationTokenException" in answer) == (400, True), answer


def test_presigned_url_expires(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    move_clock(monkeypatch, datetime.timedelta(minutes=-2))
    where = {"Bucket": stack.bucket, "Key": "_state/lake.json"}
    s3 = stack.client("s3", signature_version="s3v4")
    assert b"Request has expired" in answer_to(s3.generate_presigned_url("get_object", Params=where, ExpiresIn=60))
    assert fetch(s3.generate_presigned_url("get_object", Params=where, ExpiresIn=600))[0] == 200


@pytest.mark.parametrize("minutes", [-20, 20])
def test_request_of_a_wrong_clock_is_refused(stack: Stack, minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    move_clock(monkeypatch, datetime.timedelta(minutes=minutes))
    assert refused(stack.client("s3").list_buckets) == ("RequestTimeTooSkewed", 403)


def move_clock(monkeypatch: pytest.MonkeyPatch, by: datetime.timedelta) -> None:
    """Moves the clock of both signers of boto3."""
    now = botocore.auth.get_current_datetime
    for signer in (botocore.auth, botocore.crt.auth):
        monkeypatch.setattr(signer, "get_current_datetime", lambda *rest, **options: now(*rest, **options) + by)


def test_unknown_session_token_is_refused(stack: Stack) -> None:
    key, secret = stack.credentials
    s3 = stacks.SESSION.client(
        "s3",
        endpoint_url=stack.url,
        region_name=stack.exported["AWS_REGION"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token="unknown",
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert refused(s3.list_buckets)[0] == "InvalidToken"


def signed(stack: Stack, method: str, path: str, body: bytes, trailer: bool = False, **headers: str) -> AWSRequest:
    """Returns a request with a valid signature, and with a checksum after the body if `trailer` is set."""
    request = AWSRequest(method, stack.url + path, dict(headers), body)
    if trailer:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    signer = botocore.auth.S3SigV4Auth(Credentials(*stack.credentials), "s3", stack.exported["AWS_REGION"])
    signer.add_auth(request)
    return request


def test_changed_body_or_key_does_not_match_the_signature(stack: Stack, bucket: str) -> None:
    body = b"signed body"
    digest = {"X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
    right = signed(stack, "PUT", f"/{bucket}/key", body, **digest)
    assert fetch(right.url, "PUT", body, **right.headers)[0] == 200
    right = signed(stack, "PUT", f"/{bucket}/other", body, **digest)
    status, answer = fetch(right.url, "PUT", b"sligned bod", **right.headers)
    assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in answer) == (400, True), answer
    status, answer = fetch(right.url.replace("/other", "/another"), "PUT", body, **right.headers)
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in answer) == (403, True), answer
    keys = [found["Key"] for found in stack.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["key"]


@pytest.mark.parametrize(("checksum", "refused_as"), [(zlib.crc32(b"body" * 9), None), (7, b"<Code>BadDigest</Code>")])
def test_checksum_after_the_body_is_verified(
    stack: Stack, bucket: str, checksum: int, refused_as: bytes | None
) -> None:
    """SDKs send unsigned chunks with a checksum as trailer over TLS, and some of them also without TLS."""
    encoded = base64.b64encode(checksum.to_bytes(4, "big"))
    body = b"24\r\n" + b"body" * 9 + b"\r\n0\r\nx-amz-checksum-crc32:" + encoded + b"\r\n\r\n"
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": "36",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    right = signed(stack, "PUT", f"/{bucket}/trailer", body, trailer=True, **headers)
    assert right.headers["X-Amz-Content-SHA256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    status, answer = fetch(right.url, "PUT", body, **right.headers)
    if refused_as:
        assert (status, refused_as in answer) == (400, True), answer
        return
    assert status == 200, answer
    found = stack.client("s3").get_object(Bucket=bucket, Key="trailer", ChecksumMode="ENABLED")
    assert (found["Body"].read(), found["ChecksumCRC32"]) == (b"body" * 9, encoded.decode())
    assert found.get("ContentEncoding", "") == ""
