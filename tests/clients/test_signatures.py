"""Signatures of boto3's signer that no SDK in the Rust tests makes, and the refusals of Athena."""

import base64
import zlib

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stack import Stack, fetch
from test_objects import refused


@pytest.mark.parametrize(
    ("code", "credentials"),
    [("UnrecognizedClientException", ("unknown", "test")), ("InvalidSignatureException", ("test", "a guess"))],
)
def test_athena_refuses_wrong_credentials(stack: Stack, code: str, credentials: tuple[str, str]) -> None:
    athena = stack.client("athena", credentials=credentials)
    assert refused(athena.list_work_groups) == (code, 400)
    assert refused(athena.start_query_execution, QueryString="SELECT 1") == (code, 400)


def test_athena_refuses_unsigned_requests(stack: Stack) -> None:
    status, answer = fetch(stack.url, "POST", b"{}", **{"X-Amz-Target": "AmazonAthena.ListWorkGroups"})
    assert (status, b"MissingAuthenticationTokenException" in answer) == (400, True), answer


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
    request = AWSRequest("PUT", f"{stack.url}/{bucket}/trailer", headers, body)
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    signer = botocore.auth.S3SigV4Auth(Credentials(*stack.credentials), "s3", stack.exported["AWS_REGION"])
    signer.add_auth(request)
    assert request.headers["X-Amz-Content-SHA256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    status, answer = fetch(request.url, "PUT", body, **request.headers)
    if refused_as:
        assert (status, refused_as in answer) == (400, True), answer
        return
    assert status == 200, answer
    found = stack.client("s3").get_object(Bucket=bucket, Key="trailer", ChecksumMode="ENABLED")
    assert (found["Body"].read(), found["ChecksumCRC32"]) == (b"body" * 9, encoded.decode())
    assert found.get("ContentEncoding", "") == ""
