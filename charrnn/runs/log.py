"""The log of a training run, `metrics.jsonl`: one JSON object a line; each checkpoint records a prefix of it."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from charrnn.atomic import not_written, sync_folder
from charrnn.errors import CharRNNError
from charrnn.runs.progress import LogPosition


class MetricsLog:
    """The log for its only writer: all lines are in memory, and their first `written` bytes are in the file.

    Nothing is written before the first `append`, which also cuts off lines of steps that a crash undid. If a write
    fails, the next line tries it again; if the file is removed, it is written again.
    """

    def __init__(self, path: Path):
        self.path = path
        self.lines = bytearray()
        self.written = 0
        self.waits = False

    def resume(self, position: LogPosition) -> None:
        """Continue a log from a position that a checkpoint recorded.

        If the log was moved away, a new one begins; CharRNNError if its beginning is not the recorded one.
        """
        length = position.bytes
        if length and not self.path.exists():
            # Its lines wait in memory for the next checkpoint; after a crash before that there is no log, as before.
            self.waits = True
            return
        prefix = self.path.read_bytes()[:length] if length else b""
        if len(prefix) != length or hashlib.sha256(prefix).hexdigest() != position.sha256:
            raise CharRNNError(
                f"{self.path} does not begin with the {length:,} bytes that the checkpoint recorded.",
                hint="Put back the log that belongs to this run, or move this one away: a new log then begins.",
            )
        self.lines, self.written = bytearray(prefix), length

    def take(self, other: Path, position: LogPosition) -> None:
        """Begin the log of a new run with another log up to a position; with no lines if that log has changed."""
        with contextlib.suppress(OSError):
            prefix = other.read_bytes()[: position.bytes]
            if hashlib.sha256(prefix).hexdigest() == position.sha256:
                self.lines = bytearray(prefix)

    def append(self, record: dict[str, Any]) -> None:
        """Add one line with the keys in this order; ValueError for a number that is not finite."""
        self.lines += json.dumps(record, allow_nan=False).encode() + b"\n"
        if not self.waits:
            with contextlib.suppress(OSError):
                self._write()

    def position(self) -> LogPosition:
        """Return the position of the end of the log."""
        return LogPosition(len(self.lines), hashlib.sha256(self.lines).hexdigest())

    def rewind(self, position: LogPosition) -> None:
        """Remove the lines after a position that `position` returned; the next line overwrites them in the file."""
        del self.lines[position.bytes :]
        self.written = min(self.written, position.bytes)

    def sync(self) -> None:
        """Write all lines durably, or raise NotWritten; to be called before a checkpoint records them."""
        if not self.lines and not self.path.exists():
            return
        try:
            self._write()
            with open(self.path, "rb+") as file:
                os.fsync(file.fileno())
            sync_folder(self.path.parent)
        except OSError as error:
            raise not_written(self.path, error) from error
        self.waits = False

    def _write(self) -> None:
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "rb+") as file:
            if os.fstat(file.fileno()).st_size < self.written:
                self.written = 0
            file.truncate(self.written)
            file.seek(self.written)
            file.write(self.lines[self.written :])
        self.written = len(self.lines)
