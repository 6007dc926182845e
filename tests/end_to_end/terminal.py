"""A terminal for commands: its columns, what is typed, and what it shows."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

from checkout import SECONDS_MAX


class Terminal:
    """A command on a terminal of so many columns. As a context manager, it ends the command."""

    def __init__(self, command: list[object], folder: Path, columns: int = 80, **environment: str):
        self.controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.shown = ""
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=folder,
            env=os.environ | {"TERM": "xterm-256color"} | environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.controller)

    def type(self, text: str) -> None:
        os.write(self.controller, text.encode())

    def read_until(self, text: str) -> str:
        """Reads until a text is shown; returns what was shown before it, since the last call, with the text."""
        deadline = time.monotonic() + SECONDS_MAX
        while text not in self.shown:
            assert self.read(deadline), f"the command ended without {text!r}: {self.shown}"
        shown, _, self.shown = self.shown.partition(text)
        return shown + text

    def read_all(self) -> str:
        """Reads until the command ends; returns all that was shown since the last call."""
        deadline = time.monotonic() + SECONDS_MAX
        while self.read(deadline):
            pass
        self.process.wait(SECONDS_MAX)
        shown, self.shown = self.shown, ""
        return shown

    def read(self, deadline: float) -> bool:
        """Reads what is shown next. Returns false when the command has ended."""
        ready, _, _ = select.select([self.controller], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more in {SECONDS_MAX} s after: {self.shown}"
        try:
            data = os.read(self.controller, 65536)
        except OSError:
            # Linux answers so when no process has the terminal open.
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)
