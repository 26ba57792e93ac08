"""The cache of encoded texts on disk: what is too large for memory, and need not be encoded twice.

An entry is a folder named by the SHA-256 of its `about.json`, which tells everything of the text, its own SHA-256
included; `codes` beside it are the characters. It is made under another name and renamed when it is whole. A `.seen`
file says which entry holds certain files in a certain state (device, inode, size, time of change).
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
from charrnn.errors import CharRNNError

# What is smaller than this, in bytes of codes, needs no file.
IN_MEMORY = 32 << 20
_PART = ".part"
_SEEN = ".seen"
_ENTRY = re.compile("[0-9a-f]{64}")
_SEEN_NAME = re.compile(_ENTRY.pattern + re.escape(_SEEN))
_SEEN_TEMPORARY = rf"\.{_SEEN_NAME.pattern}\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}"
# The last were made by older versions.
_HALF_MADE = re.compile(rf"[0-9a-f]{{16}}{re.escape(_PART)}|{_SEEN_TEMPORARY}|[0-9a-f]{{16}}{re.escape(_SEEN + _PART)}")
# An entry that was not used for so long is removed when another is made.
_DAYS = 30


def folder() -> Path:
    """Return the folder of the cache: the environment's CHARRNN_CACHE, or charrnn in the user's folder of caches."""
    given = os.environ.get("CHARRNN_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or Path(base, "charrnn")).expanduser()


def load(state: Any) -> tuple[dict[str, Any], np.ndarray] | None:
    """Return what is known of files in this state, and their codes, memory-mapped; None if they are not in the cache.

    `state` is anything that JSON can hold.
    """
    try:
        entry = folder() / _seen(state).read_text()
        facts, codes = _whole(entry)
        # Used now: not to be removed soon. A cache that may only be read serves all the same.
        with contextlib.suppress(OSError):
            os.utime(entry / "about.json")
    except (OSError, ValueError):
        return None
    return facts, codes


_under_way: list["Work"] = []


class Work:
    """An entry in the making: nothing of it is on disk before `file` is called, nothing is left unless it is `kept`."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._file: BinaryIO | None = None

    def file(self) -> BinaryIO:
        """Make and return the file of the codes."""
        self.path = folder() / f"{secrets.token_hex(8)}{_PART}"
        with explained():
            self.path.mkdir(parents=True)
            self._file = open(self.path / "codes", "w+b")  # noqa: SIM115
            # It dies with the process, and then others may sweep.
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
        """Make the entry whole, known by `state`, and return the codes, memory-mapped."""
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
            # It may be there already, made from the same text in another place.
            with contextlib.suppress(OSError):
                self.path.rename(entry)
            with replacing(_seen(state)) as file:
                file.write(entry.name.encode())
            return _mapped(entry / "codes", facts)

    def discard(self) -> None:
        """Remove what has not become an entry."""
        if self.path is not None:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._file is not None:
            # Last: a full disk does not let it be closed, nor does Python in a signal that came within a write.
            with contextlib.suppress(OSError, RuntimeError):
                self._file.close()


def scratch() -> BinaryIO:
    """Return a nameless file in the cache's folder, which is gone with the process."""
    folder().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder())


def spool() -> BinaryIO:
    """Return a nameless file that is on disk only if it grows large."""
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
    return tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder()))  # type: ignore[return-value]


def collect(blocks: Iterable[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Return blocks of a type put together: in memory, or when they are large in a nameless file of the cache."""
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
    """Give an entry to work on, and leave nothing half made, neither of it nor by those who were killed before."""
    _sweep()
    work = Work()
    _under_way.append(work)
    try:
        yield work
    finally:
        _under_way.remove(work)
        work.discard()


def tidy() -> None:
    """Remove what this process has half made: for a signal that ends it at once."""
    for work in _under_way:
        work.discard()


def _sweep() -> None:
    """Remove what dead processes left half made, and what nobody has used for long; nothing that is not ours."""
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
        # A moment ago it was not locked yet, or it is a file: give its maker the time.
        with contextlib.suppress(OSError):
            return time.time() - path.stat().st_mtime > 60
        return False
    except OSError:
        return False
    return True


def _whole(entry: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Return what is known of an entry's text and its codes; OSError or ValueError if it is damaged or not there."""
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
    """Make what the system says of a cache that cannot be written a CharRNNError."""
    try:
        yield
    except OSError as error:
        raise CharRNNError(
            f"The cache {folder()} cannot be written: {error.strerror or error}.",
            hint="Texts too large for memory are encoded there. Free some space, or name another folder: "
            "CHARRNN_CACHE=FOLDER charrnn …",
        ) from error
