"""The log of a training run, `metrics.jsonl`: a JSON object a line; every checkpoint vouches for a prefix of it."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from charrnn.checkpoint import sync_folder
from charrnn.errors import CharRNNError, NotWritten


class MetricsLog:
    """The log as its one writer sees it: `length` bytes, of which the last may still be in memory.

    Nothing is written before the first `append`; that is when lines of steps that a crash undid are cut off. What the
    disk does not take stays in memory and is tried again with the next line.
    """

    def __init__(self, path: Path):
        self.path = path
        self.length = 0
        self.digest = hashlib.sha256()
        self.unwritten = b""

    def append(self, record: dict[str, Any]) -> None:
        """Add one line, the keys in the order given; a number that is not finite is a ValueError."""
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        self.length += len(line)
        self.digest.update(line)
        self.unwritten += line
        with contextlib.suppress(OSError):
            self._write()

    def position(self) -> tuple[int, str]:
        """Return the log's length in bytes and its SHA-256, for `rewind`."""
        return self.length, self.digest.hexdigest()

    def sync(self) -> None:
        """Put all lines on disk for good, or raise NotWritten; to be called before a checkpoint vouches for them."""
        if not self.length and not self.path.exists():
            return
        try:
            self._write()
            with open(self.path, "rb+") as file:
                os.fsync(file.fileno())
            sync_folder(self.path.parent)
        except OSError as error:
            raise NotWritten(
                f"{self.path} could not be written: {error.strerror or error}.", hint="Its lines are kept in memory."
            ) from error

    def rewind(self, length: int, sha256: str) -> None:
        """Go back to a position; what follows is forgotten, and overwritten by the next line.

        A log that has been removed begins anew; one that does not begin as it did then is a CharRNNError.
        """
        if length and not self.length and not self.path.exists():
            return
        there = self.path.read_bytes() if self.path.exists() else b""
        if self.length:
            there = there[: self.length - len(self.unwritten)] + self.unwritten
        prefix = there[:length]
        digest = hashlib.sha256(prefix)
        if len(prefix) != length or digest.hexdigest() != sha256:
            raise CharRNNError(
                f"{self.path} does not begin with the {length:,} bytes that the checkpoint recorded.",
                hint="Put back the log that belongs to this run, or move it away: a new one is begun.",
            )
        on_disk = min(length, self.length - len(self.unwritten)) if self.length else length
        self.length, self.digest, self.unwritten = length, digest, prefix[on_disk:]

    def _write(self) -> None:
        start = self.length - len(self.unwritten)
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "rb+") as file:
            file.truncate(start)
            file.seek(start)
            file.write(self.unwritten)
        self.unwritten = b""
