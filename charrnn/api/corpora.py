"""The well-known corpora: the list of them, and how to get one, by download or from files of this machine."""

import hashlib
import http.client
import os
import sysconfig
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from charrnn.atomic import replacing
from charrnn.errors import CharRNNError

Pieces = Generator[bytes, None, None]
# A function that gets the pieces of a download, the name of the corpus and its size in bytes. It yields the pieces, and
# may show the progress of the download.
Show = Callable[[Pieces, str, int], Pieces]

MANIFEST = Path(__file__).parent.parent / "corpora.toml"

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30

# Left out of the Python corpus: third-party packages, tests, applications, tables and generated files.
_NO_SOURCES = {"site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test", "encodings", "pydoc_data"}
_GENERATED = "_sysconfigdata"


def unshown(pieces: Pieces, name: str, size: int) -> Pieces:
    """Yield the pieces of a download without showing its progress."""
    yield from pieces


def known_corpora(manifest: Path = MANIFEST) -> dict[str, dict[str, Any]]:
    """Return the corpora by name: each has bytes, description and, if it is downloaded, url and sha256."""
    try:
        return tomllib.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CharRNNError(f"The list of corpora {manifest} does not exist.", hint="Unset CHARRNN_CORPORA.") from None
    except ValueError as error:
        raise CharRNNError(
            f"The list of corpora {manifest} is not valid TOML: {error}.", hint="Unset CHARRNN_CORPORA."
        ) from None


def get_corpus(
    name: str, entry: dict[str, Any], path: Path, size: int | None = None, force: bool = False, show: Show = unshown
) -> int | None:
    """Write a corpus to a file; return its size in bytes, or None if the file was already there.

    The file appears only when it is complete. entry: the corpus's entry in `known_corpora`. size: the largest size in
    bytes, for a corpus that is built on this machine.
    """
    if os.path.isdir(path):
        raise CharRNNError(f"{path} is a folder; a file was expected.", hint=f"Name a file: -o {path / name}.txt")
    if "url" in entry:
        if os.path.exists(path) and _digest(path) == entry["sha256"]:
            return None
        _refuse_to_replace(path, force)
        return _write(path, _verified(name, entry, show))
    _refuse_to_replace(path, force)
    return _write(path, python_sources(size or entry["bytes"]))


def _refuse_to_replace(path: Path, force: bool) -> None:
    if os.path.exists(path) and not force:
        raise CharRNNError(
            f"{path} exists already.", hint="Replace it with `force=True`, or name another file with -o."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, pieces: Pieces) -> int:
    """Write a file, which appears only when it is complete; return its size in bytes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file, closing(pieces):
            return sum(file.write(piece) for piece in pieces)
    except OSError as error:
        reason = f"{path.parent} is a file" if isinstance(error, FileExistsError) else error.strerror
        raise CharRNNError(
            f"The corpus cannot be written to {path}: {reason}.",
            hint="Name a file in a folder that you may write to, on a disk with free space: -o FILE",
        ) from error


def _verified(name: str, entry: dict[str, Any], show: Show) -> Pieces:
    """Yield the pieces of a download; after the last, raise CharRNNError if the manifest expects another content."""
    digest, received, expected = hashlib.sha256(), 0, entry["bytes"]
    # The progress bar is closed before an error message is printed.
    with closing(show(_download(name, entry["url"]), name, expected)) as pieces:
        for piece in pieces:
            digest.update(piece)
            received += len(piece)
            yield piece
            if received > expected:
                break
    if received != expected:
        amount = "too many" if received > expected else f"{received:,}"
        raise CharRNNError(
            f"The download of {name} has {amount} bytes; {expected:,} were expected. The file was deleted.",
            hint="Try again. If it happens again, the file on the server has changed.",
        )
    if digest.hexdigest() != entry["sha256"]:
        raise CharRNNError(
            f"The download of {name} has the SHA-256 {digest.hexdigest()}; {entry['sha256']} was expected. "
            "The file was deleted.",
            hint="Try again. If it happens again, the file on the server has changed.",
        )


def _download(name: str, url: str) -> Pieces:
    hint = f"Try again, or download {url} in another way and train on that file."
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            while piece := response.read(_CHUNK):
                yield piece
    except urllib.error.HTTPError as error:
        raise CharRNNError(f"{name} cannot be downloaded: {url} answers {error.code} {error.reason}.", hint) from error
    except urllib.error.URLError as error:
        raise CharRNNError(
            f"{name} cannot be downloaded: {url} cannot be reached ({error.reason}).",
            hint="Check the network, or type `charrnn corpus python`, which needs no network.",
        ) from error
    except (http.client.HTTPException, OSError) as error:
        raise CharRNNError(f"The download of {name} was interrupted: {error!r}.", hint) from error


def python_sources(size: int) -> Pieces:
    """Yield whole source files of the standard library, at most `size` bytes in total, always in the same order."""
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    paths = []
    for parent, folders, files in os.walk(stdlib):
        folders[:] = [folder for folder in folders if folder not in _NO_SOURCES]
        paths += [Path(parent, name) for name in files if name.endswith(".py") and not name.startswith(_GENERATED)]

    def mixed(path: Path) -> bytes:
        # If the files were sorted by name, the validation part (the last tenth) would be only a few packages. Sorting
        # by hash mixes the files, always in the same order.
        return hashlib.sha256(path.relative_to(stdlib).as_posix().encode()).digest()

    left = size
    for path in sorted(paths, key=mixed):
        source = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if source and not source.endswith(b"\n"):
            source += b"\n"
        if len(source) <= left and _is_utf8(source):
            left -= len(source)
            yield source
    if left == size:
        raise CharRNNError(
            f"No source file of the standard library in {stdlib} fits into {size:,} bytes.",
            hint="Choose a larger `size`, or train on your own text.",
        )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
