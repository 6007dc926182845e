"""`stedi up` as a process, and an S3 client without libraries."""

import hashlib
import hmac
import http.client
import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from lake_folder import LakeFolder

SECONDS_MAX = 120
PAUSE_SECONDS = 0.01
READY = "Ctrl-C ends this"


def until(condition: Callable[[], bool], what: str | Callable[[], str], pause_seconds: float = PAUSE_SECONDS) -> None:
    """Waits until a condition holds, for a bounded time. `what` says what it waits for."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS_MAX} s for: {what if isinstance(what, str) else what()}"
        time.sleep(pause_seconds)


class Up:
    """A ready `stedi up` on a free port. As a context manager, it ends the process by Ctrl-C."""

    def __init__(self, lake: LakeFolder, *options: object):
        self.lake = lake
        lake.folder.parent.mkdir(parents=True, exist_ok=True)
        self.output = lake.folder.with_suffix(".out")
        self.errors = lake.folder.with_suffix(".err")
        with self.output.open("w") as stdout, self.errors.open("w") as stderr:
            self.process = subprocess.Popen(command(lake, "--port", 0, *options), stdout=stdout, stderr=stderr)
        until(lambda: READY in self.output.read_text() or self.process.poll() is not None, "stedi up")
        assert self.process.poll() is None, self.errors.read_text()

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, number: int = signal.SIGINT) -> int:
        """Sends a signal and returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS_MAX)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it prints to export."""
        return dict(re.findall(r"^export (\w+)=(.*)$", self.output.read_text(), re.MULTILINE))

    @property
    def address(self) -> tuple[str, int]:
        url = urlsplit(self.environment["AWS_ENDPOINT_URL"])
        return url.hostname, url.port

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Sends one request on a connection of its own. Returns status and body."""
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS_MAX)
        headers = self.signed(method, path, body, **headers)
        try:
            connection.request(method, quote(path), body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def signed(self, method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, str]:
        """Returns the request's headers with a signature of version 4."""
        key, secret, region = (
            self.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        )
        service = "glue" if "x-amz-target" in headers else "s3"
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        host, port = self.address
        headers = headers | {"host": f"{host}:{port}", "x-amz-content-sha256": digest, "x-amz-date": stamp}
        names = sorted(headers)
        request = [method, quote(path), "", *(f"{name}:{headers[name]}" for name in names), "", ";".join(names), digest]
        scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
        text = ["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256("\n".join(request).encode()).hexdigest()]
        signature = f"AWS4{secret}".encode()
        for step in (*scope.split("/"), "\n".join(text)):
            signature = hmac.digest(signature, step.encode(), "sha256")
        claim = f"Credential={key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature.hex()}"
        return headers | {"authorization": f"AWS4-HMAC-SHA256 {claim}"}

    def head(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Returns the head of a signed request as bytes."""
        lines = [f"{method} {path} HTTP/1.1", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.signed(method, path, body).items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def put(self, key: str, body: bytes) -> None:
        status, answer = self.request("PUT", f"/{self.lake.bucket.name}/{key}", body)
        assert status == 200, answer

    def upload(self, folder: Path, keys: list[str]) -> None:
        for key in keys:
            self.put(key, (folder / key).read_bytes())

    def wait_until_quiet(self, pause_seconds: float = PAUSE_SECONDS) -> None:
        until(lambda: not self.lake.undelivered(), "every event to be delivered", pause_seconds)

    def messages(self) -> dict[str, list[str]]:
        """Returns the printed messages about each landing file, by key."""
        messages: dict[str, list[str]] = {}
        for line in self.output.read_text().splitlines():
            if line.startswith("s3://"):
                location, _, message = line.partition(": ")
                key = location.removeprefix(f"s3://{self.lake.bucket.name}/")
                messages.setdefault(key, []).append(message)
        return messages


def command(lake: LakeFolder, *options: object) -> list[str]:
    parts = [lake.binary, "up", *lake.options, *options]
    return [str(part) for part in parts]


def keys_of(folder: Path) -> list[str]:
    """Returns the sorted keys of the landing files of a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
