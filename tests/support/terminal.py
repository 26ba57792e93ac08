"""A terminal: a pseudo-terminal, and an emulator that shows what is written to it."""

import fcntl
import os
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
from wcwidth import wcswidth

# Seconds to wait for what is sure to come, on a machine that is slow and busy.
LIMIT = 300.0
# So high that nothing scrolls out of sight.
ROWS = 400
SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\^_])")


class Terminal:
    """What `descriptor` is open on; `keyboard` types, and what is written to it is read at once, by a thread."""

    def __init__(self, columns: int = 80):
        self.keyboard, self.descriptor = os.openpty()
        self.raw = b""
        self._came = threading.Condition()
        self._syncs = 0
        self.screen = pyte.Screen(columns, ROWS)
        self._stream, self._fed = pyte.ByteStream(self.screen), 0
        self._set_size(columns)
        self._reader = threading.Thread(target=self._read, args=(self.keyboard,), daemon=True)
        self._reader.start()

    def resize(self, columns: int) -> int:
        """Give the terminal another width; return how many bytes had been written until then, read or not."""
        self.sync()
        self._set_size(columns)
        self.screen.resize(ROWS, columns)
        return self.sync()

    def wait_for(self, condition: Callable[[bytes], object], what: str = "", alive: Callable[[], bool] = lambda: True):
        """Wait until what has been written fulfils a condition, as long as who writes it is alive."""
        deadline = time.monotonic() + LIMIT
        with self._came:
            while not condition(self.raw):
                assert alive() and time.monotonic() < deadline, f"{what}: {self.raw.decode(errors='replace')}"
                self._came.wait(0.2)

    def feed(self) -> None:
        """Show all that has been read so far."""
        with self._came:
            new, self._fed = self.raw[self._fed :], len(self.raw)
        self._stream.feed(new)

    def sync(self) -> int:
        """Show all that has been written so far, return how many bytes; `descriptor` must still be open."""
        self._syncs += 1
        mark = f"\x1b]0;sync {self._syncs}\x07".encode()
        os.write(self.descriptor, mark)
        self.wait_for(lambda raw: mark in raw, "sync")
        self.feed()
        return self.raw.index(mark) + len(mark)

    def lines(self) -> list[str]:
        """Return the lines that are to be seen, without the empty ones below."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def shows_cursor(self) -> bool:
        return not self.screen.cursor.hidden

    @property
    def modes(self) -> list:
        return termios.tcgetattr(self.descriptor)

    def hang_up(self) -> None:
        """Be gone: whoever writes gets EIO."""
        self._stop_reading()

    def close(self) -> None:
        self._stop_reading()
        os.close(self.descriptor)

    def _stop_reading(self) -> None:
        if self._reader.is_alive():
            # The thread may be inside a read of the descriptor, which closing would not end.
            self._stopping = True
            os.write(self.descriptor, b"\x1b]0;stop\x07")
            self._reader.join(LIMIT)
        if self.keyboard >= 0:
            os.close(self.keyboard)
            self.keyboard = -1

    _stopping = False

    def _read(self, descriptor: int) -> None:
        while not self._stopping:
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                return
            with self._came:
                self.raw += data
                self._came.notify_all()

    def _set_size(self, columns: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))


def shown_by(command: list[str], folder: Path, stdin: bytes = b"", **environment: str) -> str:
    """Return what a command writes to stdout where that is a terminal; stderr is none."""
    terminal = Terminal()
    try:
        variables = {**os.environ, "TERM": "xterm", **environment}
        run = subprocess.run(
            command, cwd=folder, env=variables, input=stdin, stdout=terminal.descriptor, stderr=subprocess.PIPE
        )
        assert run.returncode == 0, run.stderr.decode()
        os.write(terminal.descriptor, b"<end>")
        terminal.wait_for(lambda raw: raw.endswith(b"<end>"))
    finally:
        terminal.close()
    return terminal.raw.partition(b"<end>")[0].decode().replace("\r\n", "\n")


@contextmanager
def as_standard_streams(descriptor: int) -> Iterator[None]:
    """Let descriptors 0, 1 and 2 be this one meanwhile: Rich asks each of them for the terminal's size."""
    before = [os.dup(number) for number in range(3)]
    try:
        for number in range(3):
            os.dup2(descriptor, number)
        yield
    finally:
        for number, saved in enumerate(before):
            os.dup2(saved, number)
            os.close(saved)


def widths(raw: bytes) -> list[int]:
    """Return how many columns each piece of what was written takes, between one return or cursor movement and the next.

    A line that takes more than the terminal has would be broken, and what moves the cursor up would miss its start.
    """
    text = raw.decode(errors="replace")
    moved = re.sub(r"\x1b\[[0-9;]*[A-HJKf]", "\n", text)
    return [wcswidth(SEQUENCE.sub("", piece)) for piece in re.split(r"[\r\n]+", moved)]
