"""`stedi up` as a process, and what an S3 client without any library needs."""

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

from lake import Lake

SECONDS_MAX = 120
READY = "Ctrl-C ends this"


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition, but not for ever."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS_MAX} s for: {what}"
        time.sleep(0.01)


class Up:
    """`stedi up` on a free port, from when it is ready. As a context it is ended by Ctrl-C."""

    def __init__(self, lake: Lake, *options: object):
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
        """Sends a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS_MAX)

    @property
    def environment(self) -> dict[str, str]:
        """What it says to export."""
        return dict(re.findall(r"^export (\w+)=(.*)$", self.output.read_text(), re.MULTILINE))

    @property
    def address(self) -> tuple[str, int]:
        url = urlsplit(self.environment["AWS_ENDPOINT_URL"])
        return url.hostname, url.port

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS_MAX)
        headers = self.signed(method, path, body, **headers)
        try:
            connection.request(method, quote(path), body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def signed(self, method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, str]:
        """The request's headers and its signature, of version 4."""
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
        """The head of a signed request, as it is sent."""
        lines = [f"{method} {path} HTTP/1.1", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.signed(method, path, body).items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def put(self, key: str, body: bytes) -> None:
        status, answer = self.request("PUT", f"/{self.lake.bucket.name}/{key}", body)
        assert status == 200, answer

    def upload(self, folder: Path, keys: list[str]) -> None:
        for key in keys:
            self.put(key, (folder / key).read_bytes())

    def wait_until_quiet(self) -> None:
        until(lambda: not self.lake.owed(), "every event to be delivered")

    def told(self) -> dict[str, list[str]]:
        """What was said of each landing file, by key."""
        said: dict[str, list[str]] = {}
        for line in self.output.read_text().splitlines():
            if line.startswith("s3://"):
                place, _, rest = line.partition(": ")
                said.setdefault(place.removeprefix(f"s3://{self.lake.bucket.name}/"), []).append(rest)
        return said


def command(lake: Lake, *options: object) -> list[str]:
    parts = [lake.binary, "up", "--lake", lake.folder, "--consent", lake.consent, *options]
    return [str(part) for part in parts]


def keys_of(folder: Path) -> list[str]:
    """The landing files of a folder, in the order of their keys."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
