"""Whatever is sent to the endpoint: the process lives, says what it refuses, and serves others as before.

All requests of a run follow from one seed, which the environment may give as FUZZ_SEED; it is told when something fails,
with the bytes of the request.
"""

import concurrent.futures
import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator

from hostile import Hostile
from landing import Village
from stack import MIB, Stack

SEED = int(os.environ.get("FUZZ_SEED", "1"))
REQUESTS = 20_000
SENDERS = 4
ANSWER_SECONDS_MAX = 30
SLOW_CONNECTIONS = 30
ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")
# With a code and a message, in S3's form or in that of the JSON services.
REASON = re.compile(
    rb"<Code>\w+</Code>\s*<Message>[^<]+</Message>|\"__type\": ?\"\w+\".*\"[Mm]essage\": ?\"[^\"]+", re.DOTALL
)


def answer_to(stack: Stack, data: bytes) -> bytes:
    """Everything that comes back for it, until the other side has closed the connection."""
    received = b""
    with socket.create_connection(stack.address, timeout=ANSWER_SECONDS_MAX) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(MIB):
                received += piece
        except TimeoutError:
            raise
        except OSError:
            # Refused, and the connection closed, before all was sent.
            pass
    return received


def complaint(answer: bytes, data: bytes) -> str | None:
    """What is wrong with an answer."""
    for status in ANSWER.findall(answer):
        if status >= b"500" and status not in (b"501", b"503"):
            return f"status {status.decode()}"
        # Of an answer to HEAD there is only the status.
        if status >= b"500" and b"HEAD " not in data and not REASON.search(answer):
            return f"status {status.decode()} without a reason"
    return None


@contextlib.contextmanager
def slow_connections(stack: Stack) -> Iterator[None]:
    """Some that have said little, and say no more."""
    beginning = b"PUT /fuzz/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"
    with contextlib.ExitStack() as open_ones:
        for number in range(SLOW_CONNECTIONS):
            connection = open_ones.enter_context(socket.create_connection(stack.address))
            connection.sendall(beginning[: number * 3])
        yield


def test_no_request_breaks_it(start: Callable[..., Stack], village: Village) -> None:
    stack = start()
    stack.aws("s3", "sync", village.folder, f"s3://{stack.bucket}", "--no-progress")
    stack.wait_until_quiet()
    s3, glue = stack.client("s3"), stack.client("glue")
    s3.create_bucket(Bucket="fuzz")
    s3.put_object(Bucket="fuzz", Key="key", Body=b"body")
    before = stack.lake.versions()
    tables = glue.get_tables(DatabaseName="stedi")["TableList"]
    hostile = Hostile(stack.url, stack.credentials, stack.exported["AWS_REGION"])
    began = time.monotonic()

    def send(number: int) -> str | None:
        data = hostile.request(SEED, number)
        try:
            answer = answer_to(stack, data)
        except TimeoutError:
            answer, wrong = b"", f"no end within {ANSWER_SECONDS_MAX} s"
        else:
            wrong = complaint(answer, data)
        return wrong and f"FUZZ_SEED={SEED}, request {number}: {wrong}\n  {data[:2000]!r}\n  {answer[:1000]!r}"

    with slow_connections(stack):
        with concurrent.futures.ThreadPoolExecutor(SENDERS) as senders:
            complaints = [told for told in senders.map(send, range(REQUESTS)) if told]
        print(f"seed {SEED}: {REQUESTS} requests, {time.monotonic() - began:.1f} s")
        stack.assert_healthy()
        assert not complaints, f"{len(complaints)} of {REQUESTS}\n" + "\n".join(complaints[:20])
        # Others are served as before.
        s3.put_object(Bucket="fuzz", Key="afterwards", Body=b"body")
        assert s3.get_object(Bucket="fuzz", Key="afterwards")["Body"].read() == b"body"
    stack.wait_until_quiet()
    after = stack.lake.versions()
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    # Queries were among the requests, and leave their results.
    assert not {key for key in changed if not key.startswith("athena/")}
    assert glue.get_tables(DatabaseName="stedi")["TableList"] == tables


def test_requests_follow_from_the_seed() -> None:
    one, other = (Hostile("http://127.0.0.1:1", ("test", "test"), "us-east-1") for _ in range(2))
    signed = re.compile(rb"Signature=\w+|X-Amz-Date: \w+|Credential=\w+/\d+", re.IGNORECASE)
    for number in range(300):
        first, second = (signed.sub(b"", hostile.request(SEED, number)) for hostile in (one, other))
        assert first == second
