"""The sources of a text: files, folders, patterns and stdin, compressed or not, as documents of bytes."""

import errno
import fnmatch
import glob
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from charrnn.errors import CharRNNError
from charrnn.text.formats import DAMAGED, PutBack, kind_of, may_be_packed, no_text, open_lzma, unpacker

STDIN = "-"
BLOCK = 1 << 18

# Each process that opens one of these gets another file, even if that is an ordinary one.
_OF_ONE_PROCESS = re.compile(r"/dev/(stdin|fd/\d+)|/proc/(self|thread-self|\d+)/fd/\d+")

# As in grep and git: a file with a NUL byte near its beginning is not a text, unless a mark says that it is UTF-16.
_BINARY_PROBE = 8192
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LOG = "metrics.jsonl"


def comes_once(source: str | Path) -> bool:
    """Return whether a source can be read only once: stdin, a pipe, a device; no file, folder or pattern."""
    if str(source) == STDIN or _OF_ONE_PROCESS.fullmatch(os.path.abspath(source)):
        return True
    try:
        mode = os.stat(source).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class Stamp(NamedTuple):
    """The state of a file on disk (size in bytes, `changed` in ns), and whether it is read only if it is text."""

    device: int
    inode: int
    size: int
    changed: int
    text_only: bool


@dataclass(frozen=True)
class Document:
    """A file, or stdin if `path` is None. With `text_only`, as in folders, it is skipped if it is not text."""

    name: str
    path: Path | None = None
    text_only: bool = False

    @property
    def stamp(self) -> Stamp | None:
        """Return the state of an ordinary file; None for stdin, pipes and lost files."""
        if self.path is None or comes_once(self.path):
            return None
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, self.text_only)

    def blocks(self, as_they_come: bool = False, raw: bool = False) -> Iterator[tuple[bytes, int]]:
        """Yield the document's bytes, unpacked, in blocks; with each, how many of its bytes on disk were read so far.

        Blocks are full, or with `as_they_come` as large as what a pipe has. Raises CharRNNError if it cannot be read,
        or has a format that is not text, unless `raw` bytes are wanted. With `text_only`, a file that is not text
        yields nothing.
        """
        with _explained(self.name):
            if self.path is None:
                yield from self._read(sys.stdin.buffer, as_they_come, raw)
                return
            with open(self.path, "rb") as file:
                yield from self._read(file, as_they_come, raw)

    def _read(self, file: BinaryIO, as_they_come: bool, raw: bool) -> Iterator[tuple[bytes, int]]:
        if _is_device(file):
            raise CharRNNError(
                f"{self.name} is a device, not a text: its end may never come.",
                hint="Name a file, a folder, a pipe, or - for stdin.",
            )
        seekable = file.seekable()
        # On a terminal, a full block would need one more Ctrl-D.
        as_they_come = as_they_come or file.isatty()
        done = 0
        try:
            unpacked, head = self._unpacked(file, as_they_come)
            if self.text_only and b"\0" in head and not head.startswith(_UTF16_MARKS):
                return
            if self.text_only or not raw:
                kind = kind_of(head, file if seekable and unpacked is file else None)
                if kind and not self.text_only:
                    raise no_text(self.name, self.path, kind)
                if kind:
                    return
            block = head
            while block:
                done += len(block)
                yield block, file.tell() if seekable else done
                block = _read(unpacked, BLOCK, as_they_come)
        except DAMAGED as error:
            raise self._damaged(error) from None
        except OSError as error:
            # bz2 raises it for damage too; an error of the system has a number.
            if error.errno is None:
                raise self._damaged(error) from None
            raise
        except Exception as error:
            # The error of zstandard, which may not be installed.
            if type(error).__name__ == "ZstdError":
                raise self._damaged(error) from None
            raise

    def _unpacked(self, file: Any, as_they_come: bool) -> tuple[Any, bytes]:
        """Return what unpacks a file (itself, if it is not packed) after its first bytes, and these, unpacked."""
        known = self.path is not None and self.path.suffix.lower() == ".lzma"
        while True:
            head = _beginning(file, as_they_come)
            unpack = unpacker(head) or (open_lzma if known else None)
            if unpack is None:
                return file, head
            file, known = unpack(PutBack(head, file), self.name), False

    def _damaged(self, error: Exception) -> CharRNNError:
        return CharRNNError(f"{self.name} cannot be unpacked: {error}.", hint="Copy or download it again.")


def _is_device(file: BinaryIO) -> bool:
    """Return whether a file is a device such as /dev/zero; a terminal and /dev/null do not count."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):
        # A file in memory has no number.
        return False
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        return False
    return not file.isatty() and found.st_rdev != os.stat(os.devnull).st_rdev


def _beginning(file: Any, as_they_come: bool) -> bytes:
    """Return a file's first bytes: _BINARY_PROBE of them, or what there is."""
    data = _read(file, _BINARY_PROBE, as_they_come)
    # A packed file or a pipe may give its bytes in small pieces.
    while (len(data) < _BINARY_PROBE if not as_they_come else may_be_packed(data)) and data:
        more = _read(file, _BINARY_PROBE - len(data), as_they_come)
        if not more:
            break
        data += more
    return data


def _read(file: Any, size: int, as_they_come: bool) -> bytes:
    return file.read1(size) if as_they_come and hasattr(file, "read1") else file.read(size)


def one_document(source: str) -> Document:
    """Return the document of a source that is a file, a pipe, or '-' for stdin, and no folder or pattern."""
    return Document("stdin") if source == STDIN else Document(source, Path(_named(source)))


def _named(source: str) -> str:
    if not source:
        raise CharRNNError(
            "The name of a text is empty.",
            hint="Name a file, or - for stdin. Perhaps it came from a variable of the shell that is not set.",
        )
    return source


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Make what the system says of a file a CharRNNError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise CharRNNError(
            f"{error.filename} does not exist.",
            hint="Check the path, or type `charrnn corpus` for the texts that charrnn can get for you.",
        ) from None
    except IsADirectoryError:
        raise CharRNNError(f"{name} is a folder; a file was expected.", hint="Name a file in it.") from None
    except OSError as error:
        hint = "Check its permissions, or name another file."
        if error.errno == errno.ENAMETOOLONG:
            hint = "Check the path. To give a text itself instead of its path, pipe it in."
        raise CharRNNError(f"{error.filename or name} cannot be read: {error.strerror or error}.", hint) from error


def documents(source: str, include: Sequence[str] = ()) -> list[Document]:
    """Return the documents that a source means, in a stable order.

    A source is a file, a folder (recursively, without hidden, binary and empty files, and without files that match no
    `include` pattern), a pattern such as 'books/*.txt', a pipe, or '-' for stdin.
    """
    with _explained(source):
        if source == STDIN:
            return [Document("stdin")]
        if os.path.isdir(_named(source)):
            return _folder(source, include)
        if not os.path.exists(source) and glob.has_magic(source):
            return _pattern(source, include)
        return [Document(source, Path(source))]


def check_include(include: Sequence[str], sources: Sequence[str]) -> None:
    """Raise CharRNNError if `include` can have no effect, because no source is a folder."""
    if not include or any(map(_names_folders, sources)):
        return
    if all(source == STDIN or os.path.exists(source) or glob.has_magic(source) for source in sources):
        raise CharRNNError(
            "`include` has no effect: it chooses among the files of folders, and no folder was named.",
            hint="Leave it out. You can give a pattern as the text itself, in quotes: 'books/*.txt'",
        )


def _names_folders(source: str) -> bool:
    if os.path.exists(source):
        return os.path.isdir(source)
    # With ** the files of a folder match by themselves.
    return "**" not in source and any(map(os.path.isdir, glob.glob(source)))


def _pattern(pattern: str, include: Sequence[str]) -> list[Document]:
    matches = sorted(glob.glob(pattern, recursive=True))
    if not matches:
        raise CharRNNError(f"Nothing matches {pattern}.", hint="Check the pattern; ** matches folders too.")
    found = []
    for path in matches:
        if comes_once(path):
            # It is read only if it is named itself.
            continue
        if not os.path.isdir(path):
            found.append(Document(path, Path(path)))
        elif "**" not in pattern:
            # With ** the files of a folder match by themselves.
            found += _folder(path, include)
    return found


def _folder(folder: str, include: Sequence[str]) -> list[Document]:
    def stop(error: OSError) -> None:
        raise error

    found = []
    # Without onerror, os.walk would silently leave out a folder that it may not read.
    for parent, folders, files in os.walk(folder, onerror=stop):
        if _LOG in files and any(name.endswith(".safetensors") for name in files):
            # Most likely a run that was trained on this folder: its log is not part of the text.
            folders[:] = []
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".") and _wanted(name, include)]
    return [Document(str(path), path, text_only=True) for path in sorted(found) if path.is_file()]


def _wanted(name: str, include: Sequence[str]) -> bool:
    return not include or any(fnmatch.fnmatch(name, pattern) for pattern in include)
