"""The bar of a training run: the last line of a terminal, drawn four times a second at the current width.

The cursor waits at the beginning of the bar. So text that the terminal echoes there (^C) is overwritten and never
wraps. If the terminal becomes narrower and breaks the bar into several lines, all of them are after the cursor and are
erased.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.cli.views.wrapping import cells, wrapped

# The bar itself has at least this many columns, or is left out.
SHORTEST = 8
# Sequences that every terminal in use understands: erase from the cursor to the end; turn wrapping off; turn it on.
_ERASE, _NO_WRAP, _WRAP = "\x1b[J", "\x1b[?7l", "\x1b[?7h"
# Magenta is readable on light and on dark terminals; yellow, cyan and greys are not.
_DONE = "magenta"


@dataclass(frozen=True)
class Shown:
    """The content of the bar: the fraction done, the time left, the losses; and, if they fit, their unit and facts."""

    share: float
    time: str
    losses: Sequence[str]
    unit: str
    facts: Sequence[str]


def laid_out(shown: Shown, columns: int) -> tuple[str, int, str]:
    """Return the text before the bar, the columns of the bar, and the text after it.

    If not everything fits, parts are left out in this order: the facts (the last one first), the unit, the bar, the
    losses (the last one last), the time.
    """
    percent = f"{int(100 * shown.share):3d}%"
    needed = [shown.time, *shown.losses]

    def length(parts: Sequence[str]) -> int:
        return cells("  ".join([percent, *parts]))

    while needed and length(needed) > columns:
        del needed[1 if len(needed) > 1 else 0]
    if needed and shown.losses:
        with_unit = [*needed[:-1], f"{needed[-1]} {shown.unit}"]
        needed = with_unit if length(with_unit) + SHORTEST <= columns else needed
    for fact in shown.facts:
        if length([*needed, fact]) + SHORTEST > columns:
            break
        needed.append(fact)
    bar = columns - length(needed)
    # Two spaces were counted before the time; one of them is printed before the bar instead.
    if bar < SHORTEST or not needed:
        return "  ".join([percent, *needed]), 0, ""
    return f"{percent} ", bar, f" {'  '.join(needed)}"


class Bar:
    """Draws the result of `shown` from `start` to `stop`; other output to stderr in that time appears above the bar."""

    def __init__(self, shown: Callable[[], Shown]):
        from rich.console import Console
        from rich.live import Live

        self.shown = shown
        self.console = Console(stderr=True)
        # A dumb terminal cannot return to the beginning of a line.
        self.is_possible = not self.console.is_dumb_terminal
        self._live = Live(get_renderable=lambda: _Drawn(self._line), console=self.console, refresh_per_second=4)

    def start(self) -> None:
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Draw the bar for the last time; it stays on the screen."""
        self._live.stop()

    def refresh(self) -> None:
        """Draw the bar now."""
        self._live.refresh()

    def say(self, line: str, prefix: str | None = None) -> None:
        """Print a line above the bar, broken between words as `wrapped` does."""
        drawn = _Drawn(lambda columns, ascii_only: _above(wrapped(line, columns, prefix)))
        self.console.print(drawn, crop=False, end="")

    def _line(self, columns: int, ascii_only: bool) -> Iterator[Any]:
        from rich.segment import Segment
        from rich.style import Style

        shown = self.shown()
        before, length, after = laid_out(shown, columns)
        done = round(shown.share * length)
        full, empty = "#-" if ascii_only else "━─"
        yield _obeyed(_NO_WRAP)
        yield Segment(before)
        yield Segment(full * done, Style.parse(_DONE))
        yield Segment(empty * (length - done) + after)
        yield _obeyed(_WRAP + "\r")


class _Drawn:
    """Something that Rich draws at the current width of the terminal, replacing everything after the cursor."""

    def __init__(self, draw: Callable[[int, bool], Iterator[Any]]):
        self.draw = draw

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield _obeyed(_ERASE)
        yield from self.draw(console.width, options.ascii_only)


def _above(lines: Iterable[str]) -> Iterator[Any]:
    from rich.segment import Segment

    for line in lines:
        yield Segment(line)
        yield Segment.line()


def _obeyed(sequence: str) -> Any:
    """Return a control sequence, which the terminal executes and does not show, in the form that Rich passes on."""
    from rich.segment import ControlType, Segment

    return Segment(sequence, None, [(ControlType.CLEAR,)])
