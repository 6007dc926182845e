"""The folder of a lake: the options of its commands, and its undelivered events. It needs no library."""

import json
from pathlib import Path


class LakeFolder:
    """The folder of a lake of `stedi run --lake`."""

    def __init__(self, binary: Path, folder: Path):
        self.binary = binary
        self.folder = folder

    @property
    def options(self) -> list[object]:
        """The options of each command on the lake."""
        return ["--lake", self.folder]

    @property
    def bucket(self) -> Path:
        return self.folder / "stedi"

    def command(self, *arguments: object) -> list[str]:
        """Returns the command `stedi run --lake` with these arguments."""
        command = [self.binary, "run", *arguments, *self.options]
        return [str(part) for part in command]

    def undelivered(self) -> set[int]:
        """Returns the numbers of the undelivered events in the lake's journal."""
        journal = self.folder / ".emulator" / "events"
        undelivered: set[int] = set()
        # A killed process may have left half a line.
        for line in journal.read_text().split("\n")[:-1] if journal.exists() else ():
            match json.loads(line):
                case {"Undelivered": [number, _, _]}:
                    undelivered.add(number)
                case {"Done": number}:
                    undelivered.discard(number)
        return undelivered
