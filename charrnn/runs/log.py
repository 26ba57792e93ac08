"""The log of a training run, `metrics.jsonl`: a JSON object a line; every checkpoint vouches for a prefix of it."""

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
    """The log as its one writer sees it: all lines in memory, of which the first `written` bytes are in the file.

    Nothing is written before the first `append`; that is when lines of steps that a crash undid are cut off. What the
    disk does not take is tried again with the next line; a file that somebody removes meanwhile is written again.
    """

    def __init__(self, path: Path):
        self.path = path
        self.lines = bytearray()
        self.written = 0
        self.waits = False

    def resume(self, position: LogPosition) -> None:
        """Take up a log at a position that a checkpoint vouches for.

        A log that has been moved away begins anew; one that does not begin as it did then is a CharRNNError.
        """
        length = position.bytes
        if length and not self.path.exists():
            # Its lines wait for a checkpoint that vouches for them; a crash before that leaves none, as it was.
            self.waits = True
            return
        prefix = self.path.read_bytes()[:length] if length else b""
        if len(prefix) != length or hashlib.sha256(prefix).hexdigest() != position.sha256:
            raise CharRNNError(
                f"{self.path} does not begin with the {length:,} bytes that the checkpoint recorded.",
                hint="Put back the log that belongs to this run, or move it away: a new one is begun.",
            )
        self.lines, self.written = bytearray(prefix), length

    def take(self, other: Path, position: LogPosition) -> None:
        """Begin, in a new run, as another log does up to a position; without lines if it is not that log any more."""
        with contextlib.suppress(OSError):
            prefix = other.read_bytes()[: position.bytes]
            if hashlib.sha256(prefix).hexdigest() == position.sha256:
                self.lines = bytearray(prefix)

    def append(self, record: dict[str, Any]) -> None:
        """Add one line, the keys in the order given; a number that is not finite is a ValueError."""
        self.lines += json.dumps(record, allow_nan=False).encode() + b"\n"
        if not self.waits:
            with contextlib.suppress(OSError):
                self._write()

    def position(self) -> LogPosition:
        """Return where the log ends."""
        return LogPosition(len(self.lines), hashlib.sha256(self.lines).hexdigest())

    def rewind(self, position: LogPosition) -> None:
        """Forget the lines after a position that `position` returned; the next line overwrites them."""
        del self.lines[position.bytes :]
        self.written = min(self.written, position.bytes)

    def sync(self) -> None:
        """Put all lines on disk for good, or raise NotWritten; to be called before a checkpoint vouches for them."""
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
