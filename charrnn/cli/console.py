"""Talking to the person at the terminal: stderr for talk, stdout for data."""

import codecs
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from charrnn.errors import CharRNNError

# When the command began; --minutes counts from here. This module is imported first.
STARTED = time.perf_counter()

# The library names a parameter in its messages as `name` or `name=value`.
_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`]*))?`")
# A call that it proposes, which is a command here.
_CALL = re.compile(r"`(?=charrnn\.(train|resume)\()([^`]*)`")
# Options that are called otherwise than the parameter.
_OPTIONS = {"temperature": "temp", "out": "checkpoints"}

# Kept where text is shown as text: line breaks, tabs, and spaces of any width.
LAYOUT = "\n\t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# ZWNJ and ZWJ: Persian and Hindi words and many emoji have them. A flag's tags name its country.
_JOINERS = frozenset("\u200c\u200d")
_FLAG, _TAGS = "\U0001f3f4", frozenset(map(chr, range(0xE0020, 0xE0080)))

# The files of --cells, as they were typed: a command that is proposed needs them too.
typed_cells: list[str] = []

_hushed = False
# Notices of the library that wait for the end of what is being written; None if none has to wait.
_held: list[str] | None = None
# Whether what stdout has shown last on a terminal is a line without its end.
_amid_a_line = False


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
    if _held is None:
        say(printable(as_options(notice)))
    else:
        _held.append(notice)


@contextmanager
def notices_after() -> Iterator[None]:
    """Hold the library's notices until the block has ended: they come after what it writes, not amid it."""
    global _held
    held = _held = []
    try:
        yield
    finally:
        _held = None
        for notice in held:
            notify(notice)


def _print(message: str) -> None:
    """Print a line on stderr; a closed one is no reason to stop."""
    global _amid_a_line
    if _amid_a_line and sys.stderr.isatty():
        message, _amid_a_line = f"\n{message}", False
    try:
        print(message, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # Nobody listens any more. Point the descriptor elsewhere so that later writes do not fail either.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def as_options(message: str) -> str:
    """Return a message of the library with its parameters spelled as options: `val=0.1` becomes --val 0.1.

    A call becomes a command: `charrnn.resume('run', steps=9)` charrnn train --resume run --steps 9.
    """

    def option(parameter: re.Match[str]) -> str:
        name, value = parameter.groups()
        spelled = _option(name)
        if value in (None, "True"):
            return spelled
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        return f"{spelled} {value[1:-1] if quoted else value}"

    return _PARAMETER.sub(option, _CALL.sub(_as_command, message))


def _as_command(call: re.Match[str]) -> str:
    """Return the command that does what a call of `train` or `resume` does."""
    import ast

    made = ast.parse(call[2], mode="eval").body
    assert isinstance(made, ast.Call)
    first, given = made.args[0], {word.arg or "": ast.literal_eval(word.value) for word in made.keywords}
    named = {"corpus" if call[1] == "train" else "resume": ast.literal_eval(first)}
    words = ["charrnn", "train"]
    for name, value in sorted({**named, **given}.items(), key=lambda item: item[0] != "corpus"):
        for one in value if isinstance(value, list) else [value]:
            words += [*([] if name == "corpus" else [_option(name)]), str(one)]
    return shlex.join(words) + with_cells()


def _option(name: str) -> str:
    """Return the option that a parameter is."""
    return "--" + _OPTIONS.get(name, name).replace("_", "-")


def with_cells() -> str:
    """Return the options --cells that were typed, as the end of a command that is proposed."""
    return "".join(f" --cells {shlex.quote(file)}" for file in typed_cells)


def typed_without(left_out: Sequence[str]) -> str:
    """Return the command that was typed, without some words of it; of equal words the last ones are left out."""
    words = sys.argv[1:]
    for word in reversed(left_out):
        place = next((place for place in reversed(range(len(words))) if words[place] == word), None)
        if place is not None:
            del words[place]
    return shlex.join(["charrnn", *words])


def printable(text: str) -> str:
    """Return text from outside, of one line, safe to show on a terminal (`each_printable`)."""
    return text if text.isprintable() else "".join(each_printable(text))


def each_printable(text: str, kept: str = "", before: str = "") -> Iterator[str]:
    """Yield what is shown of each character of a text, which follows `before`: itself, `kept` or not, or an escape.

    What a terminal would obey, or does not show, is escaped: control characters, changes of direction, halves of
    characters; bytes that are no text, which are such halves by Python's surrogateescape, as \\xff. What joins emoji
    and letters stays after one of those, as do the letters of a flag after the flag.
    """
    for character in text:
        if character.isprintable() or character in kept or _joins(before, character):
            yield character
        elif "\udc80" <= character <= "\udcff":
            yield f"\\x{ord(character) - 0xDC00:02x}"
        else:
            yield character.encode("unicode_escape").decode()
        before = character


def _joins(before: str, character: str) -> bool:
    """Return whether a character that is not seen by itself belongs to the one before it."""
    if character in _JOINERS:
        return before > "\x7f" and before.isprintable()
    return character in _TAGS and (before == _FLAG or before in _TAGS)


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

    errors: what becomes of a character that the encoding has not: "strict" (a CharRNNError) or "replace". to: a file
    that is written instead.
    """

    def __init__(self, encoding: str = "utf-8", errors: str = "strict", to: BinaryIO | None = None):
        self.encoding, self.to = encoding, to
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
        if self.to is not None:
            self.to.write(data)
            return
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        global _amid_a_line
        _amid_a_line = sys.stdout.isatty() and not text.endswith("\n")


class TextWriter:
    """Writes text of a file or a model to stdout: as it is or, on a terminal, with what that would obey escaped.

    Of `raw` text each character is a byte; a terminal takes them for UTF-8. The others are as of `Writer`.
    """

    def __init__(self, encoding: str = "utf-8", raw: bool = False, errors: str = "strict", to: BinaryIO | None = None):
        self.terminal, self.raw = to is None and sys.stdout.isatty(), raw
        self.before = ""
        self._writer = Writer("latin-1" if raw and not self.terminal else encoding, errors, to)
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, text: str, more: bool = False) -> None:
        """Write a text, or the next piece of one of which `more` follows, and flush."""
        if not self.terminal:
            self._writer.write(text)
            return
        if self.raw:
            text = self._decoder.decode(text.encode("latin-1"), final=not more)
        self._writer.write("".join(each_printable(text, LAYOUT, self.before)))
        self.before = (self.before + text)[-1:] if more else ""
