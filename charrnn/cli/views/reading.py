"""How much of a text has been read: shown as a bar on a terminal, elsewhere as a line every few seconds."""

import sys
from contextlib import suppress
from time import perf_counter
from typing import Any

from charrnn.cli.console import say
from charrnn.cli.signals import tidied
from charrnn.text import cache

# Seconds before anything is shown, and between two lines if stderr is not a terminal.
_PATIENCE = 0.7
_LINE_EVERY = 15.0


class Reading:
    """Shows how much of a text has been read, as reported to `show`. Use it as a context manager.

    A signal that ends the process inside the context leaves no incomplete file in the cache.
    """

    what = "Reading"

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.next = perf_counter() + _PATIENCE
        self._tidied = tidied(cache.tidy)

    def __enter__(self) -> "Reading":
        self._tidied.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._tidied.__exit__(None, None, None)
        self.stop()

    def stop(self) -> None:
        """Remove the bar: everything has been read."""
        if self.bar is not None:
            bar, self.bar = self.bar, None
            # The command continues if the terminal is gone.
            with suppress(OSError):
                bar.stop()

    def show(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` bytes have been read; `total` is None if it is not known."""
        now = perf_counter()
        if done == total:
            self.stop()
        elif now > self.next and not self.quiet:
            self._show(now, done, total)

    def _show(self, now: float, done: int, total: int | None) -> None:
        # While Rich 13 shows a bar, sys.stderr.isatty() is False.
        if self.bar is None and not sys.stderr.isatty():
            say(self._line(done, total))
            self.next = now + _LINE_EVERY
            return
        self.next = now + 0.1
        if self.bar is None:
            self.bar = _bar(*self._columns())
            self.task = self.bar.add_task(self.what, total=total)
            self.bar.start()
        self.bar.update(self.task, completed=done)

    def _line(self, done: int, total: int | None) -> str:
        share = f" of {total / 1e6:,.0f}" if total else ""
        return f"{self.what}: {done / 1e6:,.0f}{share} MB …"

    def _columns(self) -> list[Any]:
        from rich.progress import DownloadColumn, TransferSpeedColumn

        return [DownloadColumn(), TransferSpeedColumn()]


class Drawing(Reading):
    """Shows how many samples have been drawn, or another number, in the same way as `Reading` shows bytes."""

    def __init__(self, what: str = "Sampling") -> None:
        super().__init__()
        self.what = what

    def _line(self, done: int, total: int | None) -> str:
        return f"{self.what}: {done:,} of {total:,} …"

    def _columns(self) -> list[Any]:
        from rich.progress import MofNCompleteColumn

        return [MofNCompleteColumn()]


def _bar(*columns: Any) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        *columns,
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        refresh_per_second=4,
        transient=True,
    )
