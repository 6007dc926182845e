"""Hostile requests do not end the process: it refuses them with a reason and serves other clients.

One seed determines all requests of a run. FUZZ_SEED sets it. A failure prints the seed and the bytes of the request.
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
# An error code with a message, in the format of S3 or of the JSON services.
REASON = re.compile(
    rb"<Code>\w+</Code>\s*<Message>[^<]+</Message>|\"__type\": ?\"\w+\".*\"[Mm]essage\": ?\"[^\"]+", re.DOTALL
)


def answer_to(stack: Stack, data: bytes) -> bytes:
    """Sends bytes and returns the answer, read until the server closes the connection."""
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
            # The server refused the request and closed the connection before it received everything.
            pass
    return received


def complaint(answer: bytes, data: bytes) -> str | None:
    """Returns what is wrong with an answer, if anything is."""
    for status in ANSWER.findall(answer):
        if status >= b"500" and status not in (b"501", b"503"):
            return f"status {status.decode()}"
        # An answer to HEAD has no body.
        if status >= b"500" and b"HEAD " not in data and not REASON.search(answer):
            return f"status {status.decode()} without a reason"
    return None


@contextlib.contextmanager
def slow_connections(stack: Stack) -> Iterator[None]:
    """Opens connections that send the start of a request and nothing more."""
    beginning = b"PUT /fuzz/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"
    with contextlib.ExitStack() as open_ones:
        for number in range(SLOW_CONNECTIONS):
            connection = open_ones.enter_context(socket.create_connection(stack.address))
            connection.sendall(beginning[: number * 3])
        yield


def test_hostile_requests_are_refused_and_change_nothing(start: Callable[..., Stack], village: Village) -> None:
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
            complaints = [text for text in senders.map(send, range(REQUESTS)) if text]
        print(f"seed {SEED}: {REQUESTS} requests, {time.monotonic() - began:.1f} s")
        stack.assert_healthy()
        assert not complaints, f"{len(complaints)} of {REQUESTS}\n" + "\n".join(complaints[:20])
        # The stack still serves other clients.
        s3.put_object(Bucket="fuzz", Key="afterwards", Body=b"body")
        assert s3.get_object(Bucket="fuzz", Key="afterwards")["Body"].read() == b"body"
    stack.wait_until_quiet()
    after = stack.lake.versions()
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    # Some requests are queries, which write their results.
    assert not {key for key in changed if not key.startswith("athena/")}
    assert glue.get_tables(DatabaseName="stedi")["TableList"] == tables


def test_same_seed_gives_the_same_requests() -> None:
    one, other = (Hostile("http://127.0.0.1:1", ("test", "test"), "us-east-1") for _ in range(2))
    signed = re.compile(rb"Signature=\w+|X-Amz-Date: \w+|Credential=\w+/\d+", re.IGNORECASE)
    for number in range(300):
        first, second = (signed.sub(b"", hostile.request(SEED, number)) for hostile in (one, other))
        assert first == second
