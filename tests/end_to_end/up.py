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
        """One signed request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS_MAX)
        try:
            signature = self.signature(method, quote(path), body, "glue" if "x-amz-target" in headers else "s3")
            connection.request(method, quote(path), body, headers | signature)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def head(self, method: str, path: str, body: bytes = b"") -> bytes:
        """What comes before the body of a signed request."""
        host, port = self.address
        headers = {"Host": f"{host}:{port}", "Content-Length": str(len(body))} | self.signature(method, path, body)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def signature(self, method: str, path: str, body: bytes = b"", service: str = "s3") -> dict[str, str]:
        """The headers that sign a request without a query (AWS Signature Version 4)."""
        environment, (host, port) = self.environment, self.address
        time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = [time[:8], environment["AWS_REGION"], service, "aws4_request"]
        content = hashlib.sha256(body).hexdigest()
        signed = {"host": f"{host}:{port}", "x-amz-content-sha256": content, "x-amz-date": time}
        names = ";".join(signed)
        lines = [method, path, "", *(f"{name}:{value}" for name, value in signed.items()), "", names, content]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        key = f"AWS4{environment['AWS_SECRET_ACCESS_KEY']}".encode()
        for part in (*scope, "\n".join(["AWS4-HMAC-SHA256", time, "/".join(scope), digest])):
            key = hmac.digest(key, part.encode(), "sha256")
        credential = "/".join([environment["AWS_ACCESS_KEY_ID"], *scope])
        del signed["host"]
        return signed | {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"
        }

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
