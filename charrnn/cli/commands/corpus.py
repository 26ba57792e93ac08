"""`charrnn corpus`: list the well-known corpora, download one, or build one from what is on this machine."""

import os
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.atomic import replacing
from charrnn.cli.console import say, write_data
from charrnn.cli.views.table import aligned
from charrnn.errors import CharRNNError, did_you_mean

Pieces = Generator[bytes, None, None]

MANIFEST = Path(__file__).parent.parent.parent / "corpora.toml"

_UNITS = {"K": 1_000, "M": 1_000_000}
_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30

# Left out of the Python corpus: other people's packages, tests, applications, tables and generated files.
_NO_SOURCES = {"site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test", "encodings", "pydoc_data"}
_GENERATED = "_sysconfigdata"


def _size(text: str) -> int:
    number, unit = (text[:-1], _UNITS[text[-1].upper()]) if text[-1:].upper() in _UNITS else (text, 1)
    try:
        size = int(float(number) * unit)
    except (ValueError, OverflowError):
        size = 0
    if size < 1:
        raise typer.BadParameter(f"{text!r} is no size; write bytes, or 500K or 2M.", param_hint="--size")
    return size


def corpus(
    name: Annotated[str | None, typer.Argument(help="The corpus to get; without it, list what there is.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.", show_default="corpora/NAME.txt")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Size of a corpus that is built: bytes, or as 500K or 2M.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    manifest: Annotated[Path, typer.Option(envvar="CHARRNN_CORPORA", hidden=True)] = MANIFEST,
) -> None:
    """Get a corpus to train on: `charrnn corpus` lists what there is, `charrnn corpus NAME` writes it to a file."""
    known = _read_manifest(manifest)
    if name is None:
        write_data(_table(known))
        return
    if name not in known:
        raise _unknown_name(name, known)
    entry = known[name]
    path = output or Path("corpora", f"{name}.txt")
    if path.is_dir():
        raise CharRNNError(f"{path} is a folder; a file was expected.", hint=f"Say -o {path / name}.txt")
    if "url" in entry:
        if size is not None:
            raise typer.BadParameter(f"{name} is downloaded whole.", param_hint="--size")
        if path.exists() and _digest(path) == entry["sha256"]:
            say(f"{path} is there already, and is what it should be (SHA-256 verified).")
            say(f"Next: charrnn train {_quoted(path)}")
            return
        _refuse_to_replace(path, force)
        written = _write(path, _verified(name, entry))
    else:
        wanted = entry["bytes"] if size is None else _size(size)
        _refuse_to_replace(path, force)
        written = _write(path, python_sources(wanted))
    characters = len(path.read_bytes().decode("utf-8", "replace"))
    say(f"Wrote {path}: {written:,} bytes, {characters:,} characters.")
    say(f"Next: charrnn train {_quoted(path)}")


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CharRNNError(f"The list of corpora {path} does not exist.", hint="Unset CHARRNN_CORPORA.") from None
    except ValueError as error:
        raise CharRNNError(f"The list of corpora {path} is no TOML: {error}.", hint="Unset CHARRNN_CORPORA.") from None


def _table(known: dict[str, dict[str, Any]]) -> str:
    rows = [("NAME", "BYTES", "DESCRIPTION")]
    rows += [(name, f"{entry['bytes']:,}", entry["description"]) for name, entry in known.items()]
    return aligned(rows, "<><")


def _unknown_name(name: str, known: Iterable[str]) -> CharRNNError:
    return CharRNNError(
        f"No corpus is called {name!r}; there are {', '.join(sorted(known))}.",
        hint=did_you_mean(name, known, command="charrnn corpus ") or "A text of your own: charrnn train FILE",
    )


def _refuse_to_replace(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise CharRNNError(f"{path} exists already.", hint="Replace it with --force, or name another file with -o.")


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, pieces: Pieces) -> int:
    """Write a file that appears only when it is whole; return its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file, closing(pieces):
        return sum(file.write(piece) for piece in pieces)


def _verified(name: str, entry: dict[str, Any]) -> Pieces:
    """Yield the pieces of a download; that it is not what the manifest says is an error, raised after the last."""
    import hashlib

    digest, received, expected = hashlib.sha256(), 0, entry["bytes"]
    # Closed before any error is told, so that the progress bar is gone by then.
    with closing(_shown(_download(name, entry["url"]), name, expected)) as pieces:
        for piece in pieces:
            digest.update(piece)
            received += len(piece)
            yield piece
            if received > expected:
                break
    if received != expected:
        amount = "more" if received > expected else f"{received:,}"
        raise CharRNNError(
            f"The download of {name} brought {amount} bytes where {expected:,} were expected; it was thrown away.",
            hint="Try again; if it happens again, the file has changed at its source.",
        )
    if digest.hexdigest() != entry["sha256"]:
        raise CharRNNError(
            f"The download of {name} has SHA-256 {digest.hexdigest()} where {entry['sha256']} was expected; "
            "it was thrown away.",
            hint="Try again; if it happens again, the file has changed at its source.",
        )


def _download(name: str, url: str) -> Pieces:
    import http.client
    import urllib.error
    import urllib.request

    hint = f"Try again, or get {url} by other means and train on that file."
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            while piece := response.read(_CHUNK):
                yield piece
    except urllib.error.HTTPError as error:
        raise CharRNNError(f"{name} cannot be downloaded: {url} answers {error.code} {error.reason}.", hint) from error
    except urllib.error.URLError as error:
        raise CharRNNError(
            f"{name} cannot be downloaded: {url} cannot be reached ({error.reason}).",
            hint="Check the network, or type `charrnn corpus python`, which needs none.",
        ) from error
    except (http.client.HTTPException, OSError) as error:
        raise CharRNNError(f"The download of {name} broke off: {error!r}.", hint) from error


def _shown(pieces: Pieces, name: str, expected: int) -> Pieces:
    import sys

    if not sys.stderr.isatty():
        say(f"Downloading {name}, {expected:,} bytes.")
        yield from pieces
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"Downloading {name}", total=expected)
        for piece in pieces:
            progress.advance(task, len(piece))
            yield piece


def python_sources(size: int) -> Pieces:
    """Yield whole source files of the standard library, together at most `size` bytes, always in the same order."""
    import hashlib
    import sysconfig

    stdlib = Path(sysconfig.get_paths()["stdlib"])
    paths = []
    for parent, folders, files in os.walk(stdlib):
        folders[:] = [folder for folder in folders if folder not in _NO_SOURCES]
        paths += [Path(parent, name) for name in files if name.endswith(".py") and not name.startswith(_GENERATED)]

    def mixed(path: Path) -> bytes:
        # In the order of names the last tenth, which validates, would be a few packages; hashes mix them, always alike.
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
            hint="Ask for more with --size, or train on a text of your own.",
        )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
