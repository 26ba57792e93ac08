"""Reading a text for a command: with a progress bar where it takes long, and a word on what was odd about it."""

import sys
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import printable, say

if TYPE_CHECKING:
    from charrnn.config import TextConfig
    from charrnn.text.text import Text

# Seconds before anything is shown, and between the lines where stderr is no terminal.
_PATIENCE = 0.7
_LINE_EVERY = 15.0


def read(
    sources: Sequence[str], config: "TextConfig", include: Sequence[str] | None = None, keep_stdin: bool = False
) -> "Text":
    """Return the text of sources (`corpus.read_text`), and show how far it is."""
    from charrnn.text.reader import read_text

    with _Progress() as progress:
        return read_text(sources, config, include or (), progress.show, keep_stdin)


def tell(notices: Iterable[str]) -> None:
    """Say what a person should know of how a text was read."""
    for notice in notices:
        say(printable(notice))


class _Progress:
    """How much of a text has been read: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.next = perf_counter() + _PATIENCE

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def show(self, done: int, total: int | None) -> None:
        now = perf_counter()
        if now < self.next:
            return
        if not sys.stderr.isatty():
            share = f" of {total / 1e6:,.0f}" if total else ""
            say(f"Reading: {done / 1e6:,.0f}{share} MB …")
            self.next = now + _LINE_EVERY
            return
        self.next = now + 0.1
        if self.bar is None:
            self.bar = _bar()
            self.task = self.bar.add_task("Reading", total=total)
            self.bar.start()
        self.bar.update(self.task, completed=done)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        refresh_per_second=4,
        transient=True,
    )
