"""The format of a file by its first bytes: packed, or not a text, and then how to get its text."""

import bz2
import gzip
import io
import lzma
import re
import shlex
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from charrnn.errors import CharRNNError, NoText

# This many bytes at its beginning tell whether a file is packed.
TELLING = 10
DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)

# Is given a file and its name.
Unpack = Callable[[Any, str], Any]


def open_lzma(file: Any, name: str) -> Any:
    """Return a reader that unpacks a file of xz or of plain LZMA, which has no mark of its own."""
    return lzma.open(file)


def _open_zstd(file: Any, name: str) -> Any:
    try:
        import zstandard
    except ImportError:
        raise CharRNNError(
            f"{name} is compressed with zstd, which needs the package zstandard.",
            hint="pip install zstandard, or unpack it first: zstd -d",
        ) from None
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


# By what a packed file begins with: the fixed part, and all that is looked at.
_PACKED: tuple[tuple[bytes, bytes, Unpack], ...] = (
    (b"\x1f\x8b\x08", rb"[\x00-\x1f]", lambda file, name: gzip.GzipFile(fileobj=file, mode="rb")),
    (b"BZh", rb"[1-9](?:1AY&SY|\x17rE8P\x90)", lambda file, name: bz2.BZ2File(file)),
    (b"\xfd7zXZ\0", b"", open_lzma),
    (b"\x28\xb5\x2f\xfd", b"", _open_zstd),
)


def unpacker(head: bytes) -> Unpack | None:
    """Return what unpacks a file that begins with `head` (TELLING bytes, or all); None if it is not packed."""
    for begin, more, unpack in _PACKED:
        if head.startswith(begin) and re.compile(more, re.DOTALL).match(head, len(begin)):
            return unpack
    return None


def may_be_packed(head: bytes) -> bool:
    """Return whether more bytes are needed to tell that a file which begins with `head` is packed."""
    return len(head) < TELLING and any(begin.startswith(head) or head.startswith(begin) for begin, *_ in _PACKED)


class PutBack(io.RawIOBase):
    """A file from its beginning, although its first bytes, `head`, have been read already."""

    def __init__(self, head: bytes, file: BinaryIO):
        self._head, self._more = head, getattr(file, "read1", file.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, as much as fits."""
        size = len(buffer)
        data, self._head = (self._head[:size], self._head[size:]) if self._head else (self._more(size), b"")
        buffer[: len(data)] = data
        return len(data)


class Kind(NamedTuple):
    """A format that is not text, and a hint for the user; {file} and {text} are its name and the name of its text.

    ways: what the user can do with a parameter, as in NoText.
    """

    what: str
    hint: str
    ways: Mapping[str, str] = {}


_PANDOC = "Get its text first: pandoc -f {kind} {{file}} -t plain -o {{text}}"
_SAVE = "Save it as text in the program that made it, and name the new file."
_IMAGE = "charrnn cannot read images. If it shows a text: tesseract {file} stdout > {text}"
_DATA = "Write the text in it to a file, and name that file."
_AS_BYTES = {"bytes": "A model of bytes (`bytes=True`) can read it."}

_ZIP = rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"
# Recognised by the names in the archive, or by the type at its beginning.
_ZIPPED = (
    (rb"\bword/document", Kind("a Word document (a zip archive)", _PANDOC.format(kind="docx"))),
    (rb"\bxl/workbook", Kind("an Excel workbook (a zip archive)", _SAVE)),
    (rb"\bppt/presentation", Kind("a PowerPoint presentation (a zip archive)", _SAVE)),
    (rb"vnd\.oasis\.opendocument\.text", Kind("an OpenDocument text (a zip archive)", _PANDOC.format(kind="odt"))),
    (rb"vnd\.oasis\.opendocument", Kind("an OpenDocument file (a zip archive)", _SAVE)),
    (rb"epub\+zip|META-INF/container\.xml", Kind("an EPUB book (a zip archive)", _PANDOC.format(kind="epub"))),
    (rb"\.npy\b|/data\.pkl\b", Kind("a file of arrays (a zip archive, of NumPy or PyTorch)", _DATA, _AS_BYTES)),
    (b"", Kind("a zip archive", "Unpack it first: unzip {file} -d {folder}, and name that folder.")),
)
# A text may begin with %PDF too, so such a mark counts only together with the bytes after it, which no text has.
_KINDS = (
    (
        rb"%PDF-\d\.\d\s*[\r\n](?:%[\x80-\xff]{3}|.*?\d \d+ obj\b)",
        Kind("a PDF document", "Get its text first: pdftotext {file} {text}"),
    ),
    (
        rb"\{\\rtf\d?\s*\\(?:ansi|mac|pca?|fbidis|adeflang\d+|deff\d+|uc\d)\b",
        Kind("an RTF document", _PANDOC.format(kind="rtf")),
    ),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("an old Office document (.doc, .xls, .ppt)", _SAVE)),
    (rb"\x89PNG\r\n\x1a\n", Kind("a PNG image", _IMAGE)),
    (rb"\xff\xd8\xff[\xc0-\xfe]", Kind("a JPEG image", _IMAGE)),
    (rb"GIF8[79]a(?:.[\x00-\x1f]){2}[\x00\x80-\xff]", Kind("a GIF image", _IMAGE)),
    (rb"II\*\0|MM\0\*", Kind("a TIFF image", _IMAGE)),
    (rb"RIFF.{4}WEBPVP8", Kind("a WebP image", _IMAGE)),
    (
        rb"SQLite format 3\0",
        Kind("an SQLite database", "Get its text first: sqlite3 {file} 'SELECT column FROM table' > {text}"),
    ),
    (rb"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", _DATA, _AS_BYTES)),
    (
        rb"\x80[\x04\x05]\x95.{6}\0\0|\x80[\x02\x03](?:[]}]q|\([^\0]|c[a-z_]|\x8a\n|X..\0\0)",
        Kind("a pickle of Python", _DATA, _AS_BYTES),
    ),
    (rb"\x93NUMPY[\x01-\x03]\0", Kind("a NumPy array", _DATA, _AS_BYTES)),
    (
        rb'.{4}\0{4}\{"__metadata__":\{"charrnn":',
        Kind(
            "a checkpoint of charrnn",
            "Name a text.",
            {"init": "`init={file}` begins with its weights.", "resume": "`resume={file}` goes on with its run."},
        ),
    ),
    (rb'.{4}\0{4}\{\s*"', Kind("a safetensors file", _DATA, _AS_BYTES)),
    (rb"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", "Unpack it first: 7z x {file} -o{folder}, and name that folder.")),
    (rb"Rar!\x1a\x07", Kind("a RAR archive", "Unpack it first: unrar x {file} {folder}/, and name that folder.")),
    (
        rb".{257}ustar(?:\0|  \0)",
        Kind("a tar archive", "Unpack it first: mkdir {folder}; tar -xf {file} -C {folder}, and name that folder."),
    ),
    (rb"\x7fELF[\x01\x02][\x01\x02]\x01", Kind("a program or library (ELF)", _DATA, _AS_BYTES)),
)


def kind_of(head: bytes, file: BinaryIO | None = None) -> Kind | None:
    """Return the format of a file that begins with `head`, None if it may be a text; `file` may be searched."""
    if re.match(_ZIP, head):
        inside = head + _names(file)
        return next(kind for pattern, kind in _ZIPPED if re.search(pattern, inside))
    return next((kind for pattern, kind in _KINDS if re.match(pattern, head, re.DOTALL)), None)


def _names(file: BinaryIO | None) -> bytes:
    """Return the names in a zip archive, as far as they can be read."""
    import zipfile

    try:
        return "\n".join(zipfile.ZipFile(file).namelist()).encode("utf-8", "replace") if file else b""
    except (EOFError, OSError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile):
        return b""


def no_text(name: str, path: Path | None, kind: Kind) -> CharRNNError:
    """Return the error for a file that is not a text."""
    file = Path("FILE") if path is None else path
    folder, text = file.with_suffix(""), file.with_suffix(".txt")
    if file in (folder, text):
        folder, text = Path(f"{file}-files"), Path(f"{file}.txt")
    places = {"file": file, "text": text, "folder": folder}
    quoted = {what: shlex.quote(str(place)) for what, place in places.items()}
    ways = {name: way.format(**quoted) for name, way in kind.ways.items()}
    return NoText(f"{name} is {kind.what}, not a text.", kind.hint.format(**quoted), ways)
