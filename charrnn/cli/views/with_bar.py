"""Lines on stderr, above the bar of what is under way if there is one."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from charrnn.cli.console import say
from charrnn.cli.views.wrapping import columns_of, wrapped

if TYPE_CHECKING:
    from charrnn.cli.views.bar import Bar, Shown


class WithBar:
    """Prints lines and, between `start_bar` and `stop_bar`, a bar, if stderr is a terminal."""

    def __init__(self) -> None:
        self.bar: Bar | None = None

    def shown(self) -> "Shown":
        """Return what the bar shows now."""
        raise NotImplementedError

    def start_bar(self) -> None:
        from charrnn.cli.views.bar import Bar

        bar = Bar(self.shown)
        if bar.is_possible:
            self.bar = bar
            bar.start()

    def stop_bar(self) -> None:
        """Draw the bar for the last time."""
        self._on_bar(lambda bar: bar.stop())
        self.bar = None

    def print(self, line: str, prefix: str | None = None) -> None:
        """Print a line; on a terminal it is broken between words, and each piece gets the prefix."""
        if not self._on_bar(lambda bar: bar.say(line, prefix)):
            for part in wrapped(line, columns_of(sys.stderr), prefix):
                say(part)

    def _on_bar(self, action: "Callable[[Bar], None]") -> bool:
        """Call `action` with the bar; return whether there is a bar. Training continues if the terminal is gone."""
        if self.bar is not None:
            try:
                action(self.bar)
            except OSError:
                # The bar has replaced sys.stderr; stopping it puts the real one back.
                with suppress(OSError):
                    self.bar.stop()
                self.bar = None
        return self.bar is not None
