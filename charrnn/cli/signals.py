"""Handlers of SIGINT, SIGTERM, SIGHUP and SIGUSR1.

Nothing heavy is imported here: the first handlers are installed before TensorFlow, NumPy and Typer are loaded. No
handler raises an exception, because code of other libraries might catch it.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAVING = (signal.SIGUSR1,)


# What to do before a signal ends the process (`tidied`).
_tidying: list[Callable[[], None]] = []

# The real stderr: while a backend loads, descriptor 2 does not lead there, to hide output of native code
# (backends/start.py).
_stderr = 2


def leave_early() -> None:
    """Install handlers for the time before a command is known: print one line and exit; ignore SIGUSR1."""
    global _stderr
    with suppress(OSError):
        _stderr = os.dup(2)
    for number in ENDING:
        _handle(number, lambda number, frame: leave(number, "Interrupted."))
    for number in SAVING:
        _handle(number, lambda number, frame: None)


def restore_defaults() -> None:
    """Restore Python's own handlers, for commands that have nothing to save."""
    for number in (*ENDING, *SAVING):
        _handle(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def tidied(tidy: Callable[[], None]) -> Iterator[None]:
    """Call `tidy` before a signal without a handler ends the process; existing handlers call it themselves.

    Blocks may be nested: then all their functions are called.
    """
    plain = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: Any) -> None:
        try:
            show_cursor()
            for tidy_one in _tidying:
                tidy_one()
        finally:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    _tidying.append(tidy)
    for number in plain:
        signal.signal(number, end)
    try:
        yield
    finally:
        _tidying.remove(tidy)
        for number in plain:
            signal.signal(number, signal.SIG_DFL)


def ignore() -> None:
    """Ignore signals at the very end: Python resets its handlers before it exits, so a signal could change the code."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def leave(number: int, last_words: str) -> None:
    """Print a message and end the process immediately, with the exit code that shells expect for this signal."""
    try:
        show_cursor()
        os.write(_stderr, f"{last_words}\n".encode())
    finally:
        os._exit(128 + number)


def show_cursor() -> None:
    """Show the cursor on a terminal, in case a progress bar has hidden it, and erase the bar and the echoed ^C."""
    if os.isatty(_stderr):
        os.write(_stderr, b"\x1b[?25h\r\x1b[J")


def _handle(number: int, handler: Any) -> None:
    # Signals that the parent process ignores stay ignored: nohup and `&` in scripts rely on this.
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, handler)


class Signals:
    """Handlers of signals during a training run; use it as a context manager.

    Before the first step of `training` (`charrnn.api.session.Training`), an ending signal ends the process, after
    tidying up and printing `last_words`. Later, the first ending signal asks training to save and stop after the
    current step, and a second one ends the process. SIGUSR1 asks training to save and continue.
    """

    def __init__(self) -> None:
        self.training: Any = None
        self.received: int | None = None
        self.last_words: Callable[[], str] = lambda: "Interrupted before the first step: nothing was written."
        self._holding, self._late = False, 0

    def __enter__(self) -> "Signals":
        self._before = {number: signal.getsignal(number) for number in (*ENDING, *SAVING)}
        for number in ENDING:
            _handle(number, self._end)
        for number in SAVING:
            _handle(number, self._save)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.received is not None:
            # The process is ending as the signal asked, and has printed its message.
            ignore()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Delay an ending signal until the end of the block."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            if self._late:
                self._end(self._late, None)

    def _end(self, number: int, frame: Any) -> None:
        if self._holding:
            self._late = number
            return
        if self.received is None and self.training is not None and self.training.is_stepping:
            self.received = number
            self.training.stop()
            return
        try:
            if self.training is not None:
                self.training.tidy()
        finally:
            leave(number, self.last_words())

    def _save(self, number: int, frame: Any) -> None:
        if self.training is not None:
            self.training.save()
