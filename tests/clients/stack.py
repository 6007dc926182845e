"""`stedi up`, and clients that use only the variables that it prints to export."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pyathena
from botocore.config import Config

from lake import Lake
from up import SECONDS_MAX, Up

AWS = Path(sys.executable).with_name("aws")
MIB = 1 << 20
# All clients share one session: each new one reads the descriptions of the services, which takes longer than most
# tests.
SESSION = boto3.Session()


class Stack(Up):
    """A running `stedi up`. Its clients see none of this machine's settings for AWS."""

    def __init__(self, lake: Lake, *options: object):
        super().__init__(lake, *options)
        # `stedi up` prints all variables before it is ready.
        self.exported = self.environment
        self.bucket = self.exported["LAKE_BUCKET"]
        self.url = self.exported["AWS_ENDPOINT_URL"]

    @property
    def for_clients(self) -> dict[str, str]:
        """The complete environment of a client."""
        without = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        return without | self.exported | nothing | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}

    @contextmanager
    def as_environment(self) -> Iterator[None]:
        """Replaces this process's environment, for libraries that read it."""
        before = dict(os.environ)
        self._replace(self.for_clients)
        try:
            yield
        finally:
            self._replace(before)

    @staticmethod
    def _replace(environment: Mapping[str, str]) -> None:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)

    @property
    def session(self) -> boto3.Session:
        """A session for libraries that make their own clients and take the endpoint from the environment."""
        return boto3.Session(*self.credentials, region_name=self.exported["AWS_REGION"])

    @property
    def credentials(self) -> tuple[str, str]:
        return self.exported["AWS_ACCESS_KEY_ID"], self.exported["AWS_SECRET_ACCESS_KEY"]

    def client(
        self, service: str, *, url: str | None = None, credentials: tuple[str, str] | None = None, **config: Any
    ) -> Any:
        """Returns a boto3 client without retries, so that tests see every failure."""
        key, secret = credentials or self.credentials
        return SESSION.client(
            service,
            endpoint_url=url or self.url,
            region_name=self.exported["AWS_REGION"],
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(**{"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}} | config),
        )

    def athena(self, **options: Any) -> Any:
        """Returns a PyAthena connection. Call it within `as_environment`."""
        return pyathena.connect(**{"schema_name": "stedi", "work_group": "primary", "poll_interval": 0.02} | options)

    def try_aws(self, *arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Runs the AWS command line; it may fail."""
        command = [sys.executable, str(AWS), *map(str, arguments)]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS_MAX, env=self.for_clients)

    def aws(self, *arguments: object, stdin: bytes | None = None) -> str:
        """Runs the AWS command line and returns its output."""
        done = self.try_aws(*arguments, stdin=stdin)
        assert done.returncode == 0, f"aws {' '.join(map(str, arguments))}\n{done.stderr.decode()}"
        return done.stdout.decode()

    def aws_json(self, *arguments: object) -> Any:
        return json.loads(self.aws(*arguments, "--output", "json"))

    def peak_bytes(self) -> int:
        """Returns the peak of the process's memory since its start or the last `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) << 10

    def forget_peak(self) -> None:
        # By proc(5), the value 5 resets the peak.
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def assert_healthy(self) -> None:
        """Asserts that the process runs and has not panicked."""
        assert self.process.poll() is None, self.errors.read_text()[-4000:]
        assert "panicked" not in self.errors.read_text(errors="replace"), self.errors.read_text()[-4000:]


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Sends one request without additional headers. Returns status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS_MAX)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
