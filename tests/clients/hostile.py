"""Malformed and hostile requests. A seed and a number determine each request."""

import json
import random
from typing import Any
from urllib.parse import quote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

METHODS = [
    "GET",
    "PUT",
    "POST",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "BREW",
    "G\u00cbT",
    "",
]
# Buckets of signed requests, which may write. The lake's bucket is not among them.
BUCKETS = ["fuzz", "fuzz", "fuzz", "absent", "F\u00dcZZ", "..", "a", "x" * 300, "", "fuzz%00", "%ff%fe"]
LAKE_PATHS = ["/stedi/customer/landing/theirs.json", "/stedi/_state/lake.json", "/stedi", "/stedi/?delete", "/"]
KEYS = [
    "key",
    "a/b",
    "%",
    "%zz",
    "%00",
    "%ff",
    "..",
    "../../etc/passwd",
    "%2e%2e/%2e%2e/x",
    "x" * 1025,
    "\u00fc",
    "a b",
    "",
    "//",
    "key/",
]
PARAMETERS = [
    "list-type=2", "list-type=3", "uploads", "uploadId=none", "uploadId=../x", "partNumber=1", "partNumber=-1", "partNumber=x",
    "max-keys=0", "max-keys=-1", "max-keys=99999999999999999999", "prefix=%ff", "delimiter=%00", "encoding-type=url",
    "encoding-type=x", "continuation-token=x", "marker=a", "start-after=%zz", "delete", "acl", "policy", "tagging", "location",
    "versioning", "versions", "versionId=null", "versionId=7", "attributes", "website", "lifecycle", "cors", "select",
    "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Expires=-1", "X-Amz-Signature=0", "Signature=x&Expires=1&AWSAccessKeyId=test",
    "response-content-type=a%0d%0ab", "=", "&&", "a=b=c", "x" * 3000,
]  # fmt: skip
HEADERS = {
    "Range": ["bytes=0-0", "bytes=-0", "bytes=5-1", "bytes=99999999999999999999-", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4"],
    "If-Match": ["*", '"x"', "x", '"', "W/\"x\"", ", ,"],
    "If-None-Match": ["*", '"x"', "\x01"],
    "If-Modified-Since": ["yesterday", "Mon, 23 Nov 2099 07:00:00 GMT", "0"],
    "Content-Length": ["0", "-1", "5, 6", "99999999999999999999", "x", "6000000000"],
    "Transfer-Encoding": ["chunked", "gzip", "chunked, chunked", "x"],
    "Content-Encoding": ["aws-chunked", "gzip"],
    "Content-MD5": ["x", "AAAA", "1B2M2Y8AsgTpgAmY7PhCfg=="],
    "Content-Type": ["application/xml", "text/plain; charset=\u00fc", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"],
    "Expect": ["100-continue", "200-maybe"],
    "Host": ["localhost", "stedi.localhost", "fuzz.localhost:1", "", "a b", "[::1", "x" * 300, "..localhost"],
    "x-amz-copy-source": ["/fuzz/key", "fuzz/key", "fuzz", "/", "%ff/%ff", "absent/key", "fuzz/key?versionId=7", "arn:aws:s3:::x"],
    "x-amz-copy-source-range": ["bytes=0-1", "bytes=9-", "x"],
    "x-amz-metadata-directive": ["COPY", "REPLACE", "x"],
    "x-amz-content-sha256": ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x", "0" * 64],
    "x-amz-decoded-content-length": ["5", "-1", "x", "99999999999999999999"],
    "x-amz-trailer": ["x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-meta-x", "\u00fc"],
    "x-amz-checksum-crc32": ["AAAAAA==", "x", ""],
    "x-amz-checksum-sha256": ["x" * 44, "AAAA"],
    "x-amz-sdk-checksum-algorithm": ["CRC32", "MD4"],
    "x-amz-meta-x": ["y", "\u00fc", "x" * 3000],
    "x-amz-acl": ["public-read"],
    "x-amz-server-side-encryption": ["aws:kms"],
    "x-amz-security-token": ["x"],
    "x-amz-date": ["20200101T000000Z", "x"],
    "X-Amz-Target": ["AWSGlue.GetTables", "AmazonAthena.ListWorkGroups", "AWSGlue.", "Other.Operation", "."],
    "Authorization": ["AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0", "Basic x", "AWS test:x", "AWS4-HMAC-SHA256 ,,,="],
    "Connection": ["close", "keep-alive", "upgrade"],
    "Upgrade": ["h2c", "websocket"],
}  # fmt: skip
BODIES = [
    b"", b"hello", b"\x00\xff" * 50, b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n",
    b"<Delete><Object><Key>a</Key></Object></Delete>", b"<Delete>" * 2000, b"<Delete><Object>", b"<a>&b;</a>",
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><Delete><Object><Key>&c;</Key></Object></Delete>',
    b"<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
    b"<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint></CreateBucketConfiguration>",
    b"Action=GetCallerIdentity&Version=2011-06-15", b"Action=%ff", b"{}", b"[" * 5000, b"x" * 100_000,
]  # fmt: skip
TABLE = {
    "Name": "t",
    "PartitionKeys": [{"Name": "dt", "Type": "string"}],
    "StorageDescriptor": {
        "Columns": [{"Name": "n", "Type": "bigint"}],
        "Location": "s3://fuzz/t/",
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": {}},
    },
    "Parameters": {},
}
READ = {"DatabaseName": "stedi", "TableName": "accelerometer_trusted"}
OWN = {"DatabaseName": "fuzz", "TableName": "t"}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "AWSGlue.GetDatabases": {"MaxResults": 5},
    "AWSGlue.GetTables": {"DatabaseName": "stedi", "Expression": "customer.*", "MaxResults": 2},
    "AWSGlue.GetTable": {"DatabaseName": "stedi", "Name": "customer_trusted"},
    "AWSGlue.GetPartitions": READ | {"Expression": "dt='2022-06-18' AND (hour>='14' OR NOT hour IN ('1', '2'))", "MaxResults": 3},
    "AWSGlue.GetPartition": READ | {"PartitionValues": ["2024-05-13", "00"]},
    "AWSGlue.BatchGetPartition": READ | {"PartitionsToGet": [{"Values": ["2024-05-13", "00"]}]},
    "AWSGlue.CreateDatabase": {"DatabaseInput": {"Name": "fuzz"}},
    "AWSGlue.CreateTable": {"DatabaseName": "fuzz", "TableInput": TABLE},
    "AWSGlue.UpdateTable": {"DatabaseName": "fuzz", "TableInput": TABLE},
    "AWSGlue.BatchCreatePartition": OWN | {"PartitionInputList": [{"Values": ["a"], "StorageDescriptor": {"Location": "s3://fuzz/t/dt=a/"}}]},
    "AWSGlue.BatchDeletePartition": OWN | {"PartitionsToDelete": [{"Values": ["a"]}]},
    "AWSGlue.DeleteTable": {"DatabaseName": "fuzz", "Name": "t"},
    "AWSGlue.StartJobRun": {"JobName": "x"},
    "AmazonAthena.ListWorkGroups": {"MaxResults": 5},
    "AmazonAthena.GetWorkGroup": {"WorkGroup": "primary"},
    "AmazonAthena.GetQueryExecution": {"QueryExecutionId": "00000000-0000-0000-0000-000000000000"},
    "AmazonAthena.GetQueryResults": {"QueryExecutionId": "../../x", "MaxResults": 1000, "NextToken": "x"},
    "AmazonAthena.StopQueryExecution": {"QueryExecutionId": "x"},
    "AmazonAthena.ListQueryExecutions": {"WorkGroup": "primary", "NextToken": "x", "MaxResults": 1},
    "AmazonAthena.GetTableMetadata": {"CatalogName": "AwsDataCatalog", "DatabaseName": "stedi", "TableName": "customer_trusted"},
    "AmazonAthena.StartQueryExecution": {
        "QueryString": "SELECT count(*), \"user\" FROM stedi.accelerometer_trusted WHERE dt = '2024-05-13' GROUP BY 2 LIMIT 3",
        "QueryExecutionContext": {"Database": "fuzz"},
        "ResultConfiguration": {"OutputLocation": "s3://fuzz/results/"},
        "ExecutionParameters": ["1"],
    },
    "AmazonAthena.CreateNotebook": {"WorkGroup": "primary"},
}  # fmt: skip
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    10**30,
    1.5e308,
    "",
    "x",
    "\u0000",
    "\ud83d\ude00",
    "x" * 10_000,
    [],
    {},
    [[]],
    [None],
    {"a": {"b": 1}},
]
SQL = ["(" * 3000, "SELECT " + "1+" * 3000 + "1", "--", "/*", "'", '"', "`", ";", "\x00", "\u00fc", " UNION ALL SELECT", " JOIN", "?", "99999999999999999999", "$", "\\"]  # fmt: skip


class Hostile:
    """Makes hostile requests to one endpoint."""

    def __init__(self, url: str, credentials: tuple[str, str], region: str):
        self.url, self.region = url, region
        self.credentials = Credentials(*credentials)

    def request(self, seed: int, number: int) -> bytes:
        """Returns the bytes of a request."""
        draw = random.Random(f"{seed} {number}")
        kind = draw.choice(
            [
                self._noise,
                self._unsigned,
                self._unsigned,
                self._signed,
                self._signed,
                self._signed,
                self._json,
                self._json,
            ]
        )
        data = kind(draw)
        match draw.randrange(10):
            case 0:
                data = data[: draw.randrange(len(data) + 1)]
            case 1:
                data += draw.randbytes(draw.randrange(1, 200))
            case 2 if data:
                at = draw.randrange(len(data))
                data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
            case 3:
                data += data
        return data.replace(b"Host: HOST", b"Host: " + self.url.removeprefix("http://").encode())

    def _noise(self, draw: random.Random) -> bytes:
        return draw.choice([
            draw.randbytes(draw.randrange(300)),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + draw.randbytes(50),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(200),
            b"GET " + b"/" * draw.randrange(100_000) + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(draw.randrange(2000))) + b"\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"x" * draw.randrange(1_000_000) + b"\r\n\r\n",
            b"GET http://other/stedi HTTP/1.0\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        ])  # fmt: skip

    def _parts(self, draw: random.Random, paths: list[str]) -> tuple[str, str, dict[str, str], bytes]:
        path = draw.choice(paths)
        if draw.random() < 0.7:
            separator = "&" if "?" in path else "?"
            path += separator + "&".join(draw.sample(PARAMETERS, draw.randrange(1, 4)))
        headers = {name: draw.choice(HEADERS[name]) for name in draw.sample(list(HEADERS), draw.randrange(5))}
        method = draw.choice(METHODS if draw.random() < 0.2 else METHODS[:5])
        return method, path, headers, draw.choice(BODIES)

    def _unsigned(self, draw: random.Random) -> bytes:
        """Makes a request without a signature. It may name the lake's bucket, since it must be refused."""
        paths = [*LAKE_PATHS, *(f"/{bucket}/{key}" for bucket in BUCKETS for key in KEYS)]
        return encoded(*self._parts(draw, paths))

    def _signed(self, draw: random.Random) -> bytes:
        """Makes a request with a valid signature, if the signer accepts the request."""
        paths = [f"/{bucket}" for bucket in BUCKETS] + [
            f"/{bucket}/{quote(key, '/%')}" for bucket in BUCKETS for key in KEYS
        ]
        method, path, headers, body = self._parts(draw, paths)
        own = {
            name: value for name, value in headers.items() if name in ("Host", "Authorization", "Connection", "Expect")
        }
        others = {name: value for name, value in headers.items() if name not in own}
        try:
            request = AWSRequest(method, self.url + path, others, body)
            S3SigV4Auth(self.credentials, "s3", self.region).add_auth(request)
        except Exception:  # The signer refuses some requests; these have no signature.
            return encoded(method, path, headers, body)
        return encoded(method, path, dict(request.headers.items()), body)

    def _json(self, draw: random.Random) -> bytes:
        target = draw.choice(list(DOCUMENTS))
        document = json.loads(json.dumps(DOCUMENTS[target]))
        if "QueryString" in document:
            words = document["QueryString"].split(" ")
            words.insert(draw.randrange(len(words) + 1), draw.choice(SQL))
            document["QueryString"] = " ".join(words)
            document.pop("ExecutionParameters")
        if draw.random() < 0.7:
            mutate(document, draw)
        body = json.dumps(document).encode()
        match draw.randrange(12):
            case 0:
                body = body[: draw.randrange(len(body))]
            case 1:
                body = draw.choice([b"", b"null", b"[]", b"\xff", b"[" * 100_000, b'{"a":' * 50_000])
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        request = AWSRequest("POST", self.url + "/", headers, body)
        service = "glue" if target.startswith("AWSGlue") else "athena"
        SigV4Auth(self.credentials, service, self.region).add_auth(request)
        return encoded("POST", "/", dict(request.headers.items()), body)


def mutate(value: Any, draw: random.Random) -> None:
    """Changes one member at any depth."""
    while True:
        names = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not names:
            return
        name = draw.choice(names)
        if isinstance(value[name], (dict, list)) and value[name] and draw.random() < 0.7:
            value = value[name]
            continue
        match draw.randrange(4):
            case 0:
                del value[name]
            case 1 if isinstance(value, dict):
                value[draw.choice(["Unknown", "", "NextToken", "CatalogId"])] = draw.choice(VALUES)
            case 2 if isinstance(value[name], str) and value[name]:
                at = draw.randrange(len(value[name]))
                value[name] = value[name][:at] + draw.choice(SQL) + value[name][at:]
            case _:
                value[name] = draw.choice(VALUES)
        return


def encoded(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1"]
    named = {name.lower() for name in headers}
    if "host" not in named:
        lines.append("Host: HOST")
    if not named & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
