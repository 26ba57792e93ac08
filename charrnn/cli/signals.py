"""What SIGINT, SIGTERM, SIGHUP and SIGUSR1 do.

Nothing heavy is imported here: the first handlers stand before TensorFlow, NumPy and Typer are loaded. None raises an
exception inside somebody else's code, where it might be swallowed.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAVING = (signal.SIGUSR1,)


# The real stderr: what native code writes while a backend loads is held back from descriptor 2 (backends/start.py).
_stderr = 2


def leave_early() -> None:
    """Until a command is known: end with one line, and ignore what asks to save."""
    global _stderr
    with suppress(OSError):
        _stderr = os.dup(2)
    for number in ENDING:
        _handle(number, lambda number, frame: leave(number, "Interrupted."))
    for number in SAVING:
        _handle(number, lambda number, frame: None)


def restore_defaults() -> None:
    """For commands that have nothing to save: Python's own ways."""
    for number in (*ENDING, *SAVING):
        _handle(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def tidied(tidy: Callable[[], None]) -> Iterator[None]:
    """Let a signal that ends the process at once do so only after `tidy`; others have handlers, which tidy too."""
    plain = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: Any) -> None:
        try:
            show_cursor()
            tidy()
        finally:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in plain:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in plain:
            signal.signal(number, signal.SIG_DFL)


def ignore() -> None:
    """At the very end: Python resets handlers before it is gone, and a signal would change the exit code."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def leave(number: int, last_words: str) -> None:
    """End the process at once, as the shell expects of this signal."""
    try:
        show_cursor()
        os.write(_stderr, f"{last_words}\n".encode())
    finally:
        os._exit(128 + number)


def show_cursor() -> None:
    """Show it again on a terminal: a progress bar may have hidden it, which is erased, as is the ^C that was echoed."""
    if os.isatty(_stderr):
        os.write(_stderr, b"\x1b[?25h\r\x1b[J")


def _handle(number: int, handler: Any) -> None:
    # What the parent had ignored stays so: nohup and `&` in scripts rely on it.
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, handler)


class Signals:
    """A training run's answers to signals, while it is a context.

    Before the first step of its `training` (`charrnn.api.session.Training`) an ending signal ends the process, which
    tidies up and says its `last_words`. After it, the first asks training to stop after its step, saved, and a second
    ends the process; SIGUSR1 asks it to save and go on.
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
            # The process ends as it was asked to, and has said so.
            ignore()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let an ending signal that comes meanwhile take effect only afterwards."""
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
