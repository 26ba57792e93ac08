"""Where text comes from: files, folders, patterns and stdin, compressed or not, as documents of bytes."""

import bz2
import fnmatch
import glob
import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from charrnn.errors import CharRNNError

STDIN = "-"

# As grep and git judge: a file with a NUL byte near its beginning is no text, unless a mark says that it is UTF-16.
_BINARY_PROBE = 8192
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LOG = "metrics.jsonl"


def _open_plain(path: Path) -> Any:
    return open(path, "rb")


def _open_zstd(path: Path) -> Any:
    try:
        import zstandard
    except ImportError:
        raise CharRNNError(
            f"{path} is compressed with zstd, which needs the package zstandard.",
            hint="pip install zstandard, or unpack it first: zstd -d",
        ) from None
    return zstandard.open(path, "rb")


_OPEN: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".lzma": lzma.open,
    ".zst": _open_zstd,
}
_DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)


def documents(source: str, include: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of every document that a source means, unpacked, in a stable order.

    A source is a file, a folder (recursively; hidden, binary and empty files left out, those that match none of the
    `include` patterns too), a pattern such as 'books/*.txt', or '-' for stdin. What cannot be read is a CharRNNError.
    """
    try:
        if source == STDIN:
            yield "stdin", sys.stdin.buffer.read()
        elif os.path.isdir(source):
            yield from _folder(source, include)
        elif not os.path.exists(source) and glob.has_magic(source):
            yield from _pattern(source, include)
        else:
            yield source, read(Path(source))
    except FileNotFoundError as error:
        raise CharRNNError(
            f"{error.filename} does not exist.",
            hint="Check the path, or type `charrnn corpus` for the texts that charrnn can get for you.",
        ) from None
    except OSError as error:
        raise CharRNNError(
            f"{error.filename or source} cannot be read: {error.strerror or error}.",
            hint="Check its permissions, or name another file.",
        ) from error


def read(path: Path, *, text_only: bool = False) -> bytes:
    """Return a file's bytes, unpacked if its name says that it is packed; CharRNNError if the packing is damaged.

    With `text_only` nothing is returned of a file that is no text; no more than its beginning is read then.
    """
    try:
        with _OPEN.get(path.suffix.lower(), _open_plain)(path) as file:
            head = file.read(_BINARY_PROBE)
            if text_only and b"\0" in head and not head.startswith(_UTF16_MARKS):
                return b""
            return head + file.read()
    except _DAMAGED as error:
        raise _damaged(path, error) from None
    except OSError as error:
        # bz2 says so of damage too; without a number it is not the system that says it.
        if error.errno is None:
            raise _damaged(path, error) from None
        raise


def _damaged(path: Path, error: Exception) -> CharRNNError:
    return CharRNNError(f"{path} cannot be unpacked: {error}.", hint="Copy or download it again.")


def _pattern(pattern: str, include: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise CharRNNError(f"Nothing matches {pattern}.", hint="Check the pattern; ** matches folders too.")
    for path in found:
        if os.path.isdir(path):
            # With ** the files of a folder match by themselves.
            if "**" not in pattern:
                yield from _folder(path, include)
        else:
            yield path, read(Path(path))


def _folder(folder: str, include: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    def stop(error: OSError) -> None:
        raise error

    found = []
    # Without onerror, os.walk would silently leave out a folder that it may not read.
    for parent, folders, files in os.walk(folder, onerror=stop):
        if _LOG in files and any(name.endswith(".safetensors") for name in files):
            # A run that was trained on this very folder, most likely: its log is no part of the text.
            folders[:] = []
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".") and _wanted(name, include)]
    for path in sorted(found):
        if path.is_file():
            data = read(path, text_only=True)
            if data:
                yield str(path), data


def _wanted(name: str, include: Sequence[str]) -> bool:
    return not include or any(fnmatch.fnmatch(name, pattern) for pattern in include)
