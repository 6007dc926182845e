"""Serves Lambda's Runtime API to the process of an unmodified function binary.

One server and one process are an instance, as in Lambda. An instance handles one event at a time. It is not used again
after its process ended or exceeded the function's time limit.
"""

import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

API = "/2018-06-01/runtime"
# The interval at which a waiting thread checks whether the process still runs.
POLL_SECONDS = 0.05
REQUEST_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Outcome:
    """The outcome of an invocation: the function's answer, or an error."""

    answer: Any = None
    error: str | None = None


@dataclass
class Invocation:
    """An event that a function handles."""

    event: Any
    deadline_ms: int
    request_id: str = field(default_factory=lambda: f"00000000-0000-4000-8000-{next(REQUEST_NUMBERS):012x}")
    outcome: queue.Queue[Outcome] = field(default_factory=queue.Queue)


class Server(ThreadingHTTPServer):
    """Prints no traceback when a process is killed that has a connection."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Instance:
    """A running function binary."""

    def __init__(self, binary: Path, environment: Mapping[str, str], function_arn: str):
        self.function_arn = function_arn
        self.lines: list[str] = []
        self.stopping = False
        self.waiting: queue.Queue[Invocation] = queue.Queue()
        self.handled: dict[str, Invocation] = {}
        self.server = Server(("127.0.0.1", 0), handler_of(self))
        self.server.daemon_threads = True
        host, port = self.server.server_address[:2]
        self.process = subprocess.Popen(
            [binary],
            env={"AWS_LAMBDA_RUNTIME_API": f"{host}:{port}", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        # A connection made before this waits until the server runs.
        threading.Thread(target=self.server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def invoke(self, event: Any, timeout_seconds: float) -> Outcome:
        """Gives the function an event and waits for its answer. Kills the process after the time-out."""
        deadline = time.time() + timeout_seconds
        invocation = Invocation(event, int(deadline * 1000))
        self.handled[invocation.request_id] = invocation
        self.waiting.put(invocation)
        while time.time() < deadline:
            try:
                return invocation.outcome.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if not self.alive:
                    return Outcome(error=f"the process ended with {self.process.returncode}: {self.lines[-3:]}")
        self.process.kill()
        return Outcome(error=f"no answer after {timeout_seconds} s")

    def kill(self) -> None:
        """Kills the process, as Lambda may at any moment."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.stopping = True
        self.process.kill()
        self.process.wait()
        self.reader.join(timeout=10)
        self.server.shutdown()
        self.server.server_close()

    def logged(self) -> list[dict]:
        """Returns the lines that the function wrote so far. All must be JSON, as Lambda's log format says."""
        return [json.loads(line) for line in list(self.lines)]

    def next(self) -> Invocation | None:
        """Returns the next event for the function, or none if the instance stops."""
        while not self.stopping and self.alive:
            try:
                return self.waiting.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
        return None

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


def handler_of(instance: Instance) -> type[BaseHTTPRequestHandler]:
    """Returns the HTTP handler of an instance."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path != f"{API}/invocation/next":
                self.answer(404)
            elif invocation := instance.next():
                self.answer(
                    200,
                    json.dumps(invocation.event).encode(),
                    {
                        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                        "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                        "Lambda-Runtime-Invoked-Function-Arn": instance.function_arn,
                        "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
                    },
                )
            else:
                self.close_connection = True

        def do_POST(self) -> None:
            body = self.body()
            match self.path.removeprefix(f"{API}/").split("/"):
                case ["invocation", request_id, "response"]:
                    self.end(request_id, Outcome(answer=json.loads(body)))
                case ["invocation", request_id, "error"]:
                    self.end(request_id, Outcome(error=body.decode(errors="replace")))
                case ["init", "error"]:
                    self.answer(202)
                case _:
                    self.answer(404)

        def end(self, request_id: str, outcome: Outcome) -> None:
            invocation = instance.handled.pop(request_id, None)
            if invocation:
                invocation.outcome.put(outcome)
            self.answer(202 if invocation else 404)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def answer(self, status: int, body: bytes = b"{}", headers: Mapping[str, str] = {}) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Suppresses the line for each request."""

    return Handler
