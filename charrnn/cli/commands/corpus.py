"""`charrnn corpus`: lists the well-known corpora, downloads one, or builds one from files on this machine."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.arguments import amount
from charrnn.cli.console import say, write_data
from charrnn.cli.views.table import aligned
from charrnn.errors import CharRNNError, did_you_mean

if TYPE_CHECKING:
    from charrnn.api.corpora import Pieces


def corpus(
    name: Annotated[str | None, typer.Argument(help="The corpus to get; without it, all corpora are listed.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.", show_default="corpora/NAME.txt")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="BYTES", help="Size of a corpus that is built on this machine: bytes, or 500K, 2M."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    manifest: Annotated[Path | None, typer.Option(envvar="CHARRNN_CORPORA", hidden=True)] = None,
) -> None:
    """List well-known corpora, or get one to train on.

    `charrnn corpus` lists the corpora, `charrnn corpus NAME` writes one to a file.
    """
    from charrnn.api.corpora import MANIFEST, get_corpus, known_corpora

    known = known_corpora(manifest or MANIFEST)
    if name is None:
        if output is not None or size is not None or force:
            raise CharRNNError(
                "No corpus was named; --output, --size and --force need the name of a corpus.",
                hint="charrnn corpus lists them.",
            )
        write_data(_table(known))
        return
    if name not in known:
        raise _unknown_name(name, known)
    entry, path = known[name], output or Path("corpora", f"{name}.txt")
    if "url" in entry and size is not None:
        raise typer.BadParameter(
            f"{name} is downloaded, so its size cannot be chosen. Leave out --size.", param_hint="--size"
        )
    wanted = (
        None if size is None else amount(size, "--size", "a size; write a number of bytes, or for example 500K or 2M")
    )
    written = get_corpus(name, entry, path, wanted, force, _shown)
    if written is None:
        say(f"{path} exists already and has the expected content (SHA-256 verified).")
    else:
        characters = len(path.read_bytes().decode("utf-8", "replace"))
        say(f"Wrote {path}: {written:,} bytes, {characters:,} characters.")
    say(f"Next: charrnn train {shlex.quote(str(path))}")


def _table(known: dict[str, dict[str, Any]]) -> str:
    rows = [("NAME", "BYTES", "DESCRIPTION")]
    rows += [(name, f"{entry['bytes']:,}", entry["description"]) for name, entry in known.items()]
    return aligned(rows, "<><")


def _unknown_name(name: str, known: dict[str, Any]) -> CharRNNError:
    return CharRNNError(
        f"There is no corpus {name!r}; the corpora are {', '.join(sorted(known))}.",
        hint=did_you_mean(name, known, command="charrnn corpus ") or "To train on your own text: charrnn train FILE",
    )


def _shown(pieces: "Pieces", name: str, expected: int) -> "Pieces":
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
