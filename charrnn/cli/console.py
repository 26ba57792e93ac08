"""Talking to the person at the terminal: stderr for talk, stdout for data."""

import codecs
import os
import re
import sys
import time
from contextlib import suppress

from charrnn.errors import CharRNNError

# When the command began; --minutes counts from here. This module is imported first.
STARTED = time.perf_counter()

# The library names a parameter in its messages as `name` or `name=value`.
_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`]*))?`")
# Options that are called otherwise than the parameter.
_OPTIONS = {"temperature": "temp"}

_hushed = False


def hush() -> None:
    """Say nothing from now on but errors: of several processes that train together, one talks."""
    global _hushed
    _hushed = True


def say(message: str) -> None:
    """Print one line of talk on stderr, exactly as it is (no markup)."""
    if not _hushed:
        _print(message)


def notify(notice: str) -> None:
    """Say a notice of the library."""
    say(printable(as_options(notice)))


def _print(message: str) -> None:
    """Print a line on stderr; a closed one is no reason to stop."""
    try:
        print(message, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # Nobody listens any more. Point the descriptor elsewhere so that later writes do not fail either.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def as_options(message: str) -> str:
    """Return a message of the library with its parameters spelled as options: `val=0.1` becomes --val 0.1."""

    def option(parameter: re.Match[str]) -> str:
        name, value = parameter.groups()
        spelled = "--" + _OPTIONS.get(name, name).replace("_", "-")
        if value in (None, "True"):
            return spelled
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        return f"{spelled} {value[1:-1] if quoted else value}"

    return _PARAMETER.sub(option, message)


def printable(text: str) -> str:
    """Return text from outside with control characters escaped, safe to show on a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show_error(error: CharRNNError) -> None:
    """Print what happened and how to fix it, on stderr."""
    _print(f"charrnn: {printable(as_options(error.message))}")
    if error.hint:
        _print(f"  {printable(as_options(error.hint))}")


def write_data(text: str) -> None:
    """Write text to stdout in UTF-8, exactly as it is (newlines untouched), and flush."""
    Writer().write(text)


class Writer:
    """Writes text to stdout in an encoding, exactly as it is; a byte order mark, if it has one, once.

    errors: what becomes of a character that the encoding has not: "strict" (a CharRNNError) or "replace".
    """

    def __init__(self, encoding: str = "utf-8", errors: str = "strict"):
        self.encoding = encoding
        self._encoder = codecs.getincrementalencoder(encoding)(errors)

    def write(self, text: str) -> None:
        """Write and flush."""
        try:
            data = self._encoder.encode(text)
        except UnicodeEncodeError as error:
            character = text[error.start]
            raise CharRNNError(
                f"{character!r} (U+{ord(character):04X}) cannot be written in {self.encoding}.",
                hint="UTF-8 has every character: leave out `encoding`.",
            ) from None
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
