"""The cache on disk of encoded texts that are too large for memory, so that they need not be encoded again.

An entry is a folder named by the SHA-256 of its `about.json`, which has all facts about the text, including the text's
SHA-256; `codes` beside it are the characters. An entry is made under another name and renamed when it is complete. A
`.seen` file names the entry of certain files in a certain state (device, inode, size, time of change).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn.atomic import TEMPORARY, replacing
from charrnn.caches import folder
from charrnn.errors import CharRNNError

# Texts with fewer bytes of codes than this need no file.
IN_MEMORY = 32 << 20
_PART = ".part"
_SEEN = ".seen"
_ENTRY = re.compile("[0-9a-f]{64}")
_SEEN_NAME = re.compile(_ENTRY.pattern + re.escape(_SEEN))
_SEEN_TEMPORARY = rf"\.{_SEEN_NAME.pattern}\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}"
# Older versions made the last form.
_HALF_MADE = re.compile(rf"[0-9a-f]{{16}}{re.escape(_PART)}|{_SEEN_TEMPORARY}|[0-9a-f]{{16}}{re.escape(_SEEN + _PART)}")
# An entry that was not used for this many days is removed when another is made.
_DAYS = 30


def load(state: Any) -> tuple[dict[str, Any], np.ndarray] | None:
    """Return the facts about files in this state, and their codes, memory-mapped; None if they are not in the cache.

    `state` is any value that JSON can hold.
    """
    try:
        entry = folder() / _seen(state).read_text()
        facts, codes = _whole(entry)
        # It is used now, so it must not be removed soon. A read-only cache works too.
        with contextlib.suppress(OSError):
            os.utime(entry / "about.json")
    except (OSError, ValueError):
        return None
    return facts, codes


_under_way: list["Work"] = []


class Work:
    """An unfinished entry: it uses no disk before `file` is called, and leaves nothing unless `keep` is called."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._file: BinaryIO | None = None

    def file(self) -> BinaryIO:
        """Make and return the file of the codes."""
        self.path = folder() / f"{secrets.token_hex(8)}{_PART}"
        with explained():
            self.path.mkdir(parents=True)
            self._file = open(self.path / "codes", "w+b")  # noqa: SIM115
            # The lock ends with the process; then other processes may remove the folder.
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._file

    def once(self, facts: dict[str, Any]) -> np.ndarray:
        """Return the codes, memory-mapped, without making an entry of them."""
        assert self.path is not None and self._file is not None
        with explained():
            self._file.flush()
            # The mapping outlives the file's name, which goes with `discard`.
            return _mapped(self.path / "codes", facts)

    def keep(self, facts: dict[str, Any], state: Any) -> np.ndarray:
        """Complete the entry, known by `state`, and return the codes, memory-mapped."""
        assert self.path is not None and self._file is not None
        about = json.dumps(facts, sort_keys=True).encode()
        entry = folder() / hashlib.sha256(about).hexdigest()
        with explained():
            self._file.flush()
            os.fsync(self._file.fileno())
            with replacing(self.path / "about.json") as file:
                file.write(about)
            try:
                _whole(entry)
            except (OSError, ValueError):
                shutil.rmtree(entry, ignore_errors=True)
            # It may exist already, made from the same text in another place.
            with contextlib.suppress(OSError):
                self.path.rename(entry)
            with replacing(_seen(state)) as file:
                file.write(entry.name.encode())
            return _mapped(entry / "codes", facts)

    def discard(self) -> None:
        """Remove the folder unless it has become an entry."""
        if self.path is not None:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._file is not None:
            # Last: a full disk does not let it be closed, nor does Python in a signal that came within a write.
            with contextlib.suppress(OSError, RuntimeError):
                self._file.close()


def scratch() -> BinaryIO:
    """Return a file without a name in the cache's folder; it ends with the process."""
    folder().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder())


def spool() -> BinaryIO:
    """Return a file without a name that is on disk only if it is large."""
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
    return tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder()))  # type: ignore[return-value]


def collect(blocks: Iterable[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Return blocks of a type as one array: in memory, or in a file of the cache if they are large."""
    held: list[np.ndarray] = []
    size, file = 0, None
    with explained():
        for block in blocks:
            held.append(block)
            size += block.nbytes
            if size > IN_MEMORY:
                if file is None:
                    file = scratch()
                for piece in held:
                    file.write(np.ascontiguousarray(piece).data)
                held.clear()
        if file is None:
            return np.concatenate(held) if held else np.zeros(0, dtype)
        file.flush()
        return np.asarray(np.memmap(file, dtype, "r", shape=(size // dtype.itemsize,)))


@contextlib.contextmanager
def working() -> Iterator[Work]:
    """Yield an entry to work on; remove it if it is not completed, and also unfinished entries of killed processes."""
    _sweep()
    work = Work()
    _under_way.append(work)
    try:
        yield work
    finally:
        _under_way.remove(work)
        work.discard()


def tidy() -> None:
    """Remove the unfinished entries of this process: for a signal that ends it at once."""
    for work in _under_way:
        work.discard()


def _sweep() -> None:
    """Remove unfinished entries of dead processes, and entries that were not used for long; no other files."""
    with contextlib.suppress(OSError):
        for path in list(folder().iterdir()):
            with contextlib.suppress(OSError, ValueError):
                if _has_had_its_time(path):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _has_had_its_time(path: Path) -> bool:
    if _HALF_MADE.fullmatch(path.name):
        return _is_abandoned(path)
    if _ENTRY.fullmatch(path.name):
        return time.time() - (path / "about.json").stat().st_mtime > _DAYS * 86400
    return bool(_SEEN_NAME.fullmatch(path.name)) and not (folder() / path.read_text()).exists()


def _is_abandoned(path: Path) -> bool:
    try:
        with open(path / "codes", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        # Perhaps it was just made and not locked yet, or it is a file: give its process some time.
        with contextlib.suppress(OSError):
            return time.time() - path.stat().st_mtime > 60
        return False
    except OSError:
        return False
    return True


def _whole(entry: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Return the facts about an entry's text and its codes; OSError or ValueError if it is damaged or missing."""
    about = (entry / "about.json").read_bytes()
    if hashlib.sha256(about).hexdigest() != entry.name:
        raise ValueError("about.json is damaged")
    facts = json.loads(about)
    codes = _mapped(entry / "codes", facts)
    if (entry / "codes").stat().st_size != codes.nbytes:
        raise ValueError("codes are damaged")
    return facts, codes


def _mapped(path: Path, facts: dict[str, Any]) -> np.ndarray:
    # A plain array: indexing the subclass takes about a third longer.
    return np.asarray(np.memmap(path, facts["dtype"], "r", shape=(facts["characters"],)))


def _seen(state: Any) -> Path:
    return folder() / (hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest() + _SEEN)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn the system's error for a cache that cannot be written into a CharRNNError."""
    try:
        yield
    except OSError as error:
        raise CharRNNError(
            f"The cache {folder()} cannot be written: {error.strerror or error}.",
            hint="charrnn keeps large texts and vectors there. Free some space, or name another folder: "
            "CHARRNN_CACHE=FOLDER charrnn …",
        ) from error
