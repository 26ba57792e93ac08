"""Output of the commands: messages go to stderr, data to stdout."""

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
# The exit code of `score --exit-code` if it finds lines.
FOUND = 3

# The library names a parameter in its messages as `name` or `name=value`.
_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`]*))?`")
# A call that a message of the library proposes; here it becomes a command.
_CALL = re.compile(r"`(?=charrnn\.(train|resume|compare|tune)\()([^`]*)`")
# Options whose name differs from the parameter.
_OPTIONS = {"temperature": "temp", "out": "checkpoints"}

# Kept where text is shown as text: line breaks, tabs, and spaces of any width.
LAYOUT = "\n\t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# ZWNJ and ZWJ, which occur in Persian and Hindi words and in many emoji. The tags after a flag name its region.
_JOINERS = frozenset("\u200c\u200d")
_FLAG, _TAGS = "\U0001f3f4", frozenset(map(chr, range(0xE0020, 0xE0080)))

# The files of --cells, as they were typed: the commands that messages propose need them too.
typed_cells: list[str] = []

_hushed = False
# Notices of the library that are printed after the current output has ended; None if notices are not held.
_held: list[str] | None = None
# Whether the last output to stdout, on a terminal, is a line without a line break.
_amid_a_line = False


def hush() -> None:
    """Print only errors from now on: if several processes train together, only one prints messages."""
    global _hushed
    _hushed = True


def say(message: str) -> None:
    """Print a message of one line on stderr, unchanged (no markup)."""
    if not _hushed:
        _print(message)


def notify(notice: str) -> None:
    """Print a notice of the library, with its parameters spelled as options."""
    if _held is None:
        say(printable(as_options(notice)))
    else:
        _held.append(notice)


@contextmanager
def notices_after() -> Iterator[None]:
    """Hold the library's notices until the block has ended, so that they appear after its output, not inside it."""
    global _held
    held = _held = []
    try:
        yield
    finally:
        _held = None
        for notice in held:
            notify(notice)


def _print(message: str) -> None:
    """Print a line on stderr; if stderr is closed, do nothing."""
    global _amid_a_line
    if _amid_a_line and sys.stderr.isatty():
        message, _amid_a_line = f"\n{message}", False
    try:
        print(message, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # Nobody reads stderr any more. Redirect the descriptor, so that later writes do not fail either.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def as_options(message: str) -> str:
    """Return a message of the library with its parameters spelled as options: `val=0.1` becomes --val 0.1.

    A call becomes a command: `charrnn.resume('run', steps=9)` becomes charrnn train --resume run --steps 9.
    """

    def option(parameter: re.Match[str]) -> str:
        name, value = parameter.groups()
        spelled = _option(name)
        if value in (None, "True"):
            return spelled
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        return f"{spelled} {value[1:-1] if quoted else value}"

    return _PARAMETER.sub(option, _CALL.sub(lambda call: as_command(call[2]), message))


def as_command(call: str) -> str:
    """Return the command that does the same as a call of `train`, `resume`, `compare` or `tune`."""
    import ast

    made = ast.parse(call, mode="eval").body
    assert isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute)
    first, given = made.args[0], {word.arg or "": ast.literal_eval(word.value) for word in made.keywords}
    function = made.func.attr
    named = {"resume" if function == "resume" else "corpus": ast.literal_eval(first)}
    words = ["charrnn", "train" if function == "resume" else function]
    for name, value in sorted({**named, **given}.items(), key=lambda item: item[0] != "corpus"):
        for one in value if isinstance(value, list) else [value]:
            words += [*([] if name == "corpus" else [_option(name)]), *([] if one is True else [_typed(one)])]
    return shlex.join(words) + with_cells()


def _typed(value: str | float | None) -> str:
    """Return a value as a user would type it: 2, not 2.0; 0 for what is switched off."""
    if value is None:
        return "0"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _option(name: str) -> str:
    """Return the option of a parameter."""
    return "--" + _OPTIONS.get(name, name).replace("_", "-")


def with_cells() -> str:
    """Return the --cells options that were typed, as the end of a proposed command."""
    return "".join(f" --cells {shlex.quote(file)}" for file in typed_cells)


def typed_without(left_out: Sequence[str]) -> str:
    """Return the typed command without some of its words; if a word occurs several times, the last one is left out."""
    words = sys.argv[1:]
    for word in reversed(left_out):
        place = next((place for place in reversed(range(len(words))) if words[place] == word), None)
        if place is not None:
            del words[place]
    return shlex.join(["charrnn", *words])


def printable(text: str) -> str:
    """Return a line of text from outside in a form that is safe on a terminal (`each_printable`)."""
    return text if text.isprintable() else "".join(each_printable(text))


def each_printable(text: str, kept: str = "", before: str = "") -> Iterator[str]:
    """Yield each character of a text as it is shown: itself (if printable or in `kept`) or an escape.

    Characters that a terminal would execute, or does not show, are escaped: control characters, changes of direction,
    surrogates. Bytes that are not valid text (surrogates, by Python's surrogateescape) become escapes such as \\xff.
    Joiners stay if they join emoji or letters, and tags stay if they follow a flag. `before` is the character before
    the text.
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
    """Return whether an invisible character belongs to the character before it."""
    if character in _JOINERS:
        return before > "\x7f" and before.isprintable()
    return character in _TAGS and (before == _FLAG or before in _TAGS)


def show_error(error: CharRNNError) -> None:
    """Print what happened and how to fix it, on stderr."""
    _print(f"charrnn: {printable(as_options(error.message))}")
    if error.hint:
        _print(f"  {printable(as_options(error.hint))}")


def write_data(text: str) -> None:
    """Write text to stdout in UTF-8, unchanged (line breaks too), and flush."""
    Writer().write(text)


class Writer:
    """Writes text to stdout in an encoding, unchanged; a byte order mark, if the encoding has one, is written once.

    errors: what to do with a character that the encoding does not have: "strict" (raise CharRNNError) or "replace".
    to: a file to write to instead of stdout.
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
                hint="UTF-8 can write every character: leave out `encoding`.",
            ) from None
        if self.to is not None:
            self.to.write(data)
            return
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        global _amid_a_line
        _amid_a_line = sys.stdout.isatty() and not text.endswith("\n")


class TextWriter:
    """Writes text of a file or a model to stdout: unchanged, or on a terminal with control characters escaped.

    In `raw` text each character is a byte; on a terminal the bytes are read as UTF-8. The other parameters are those of
    `Writer`.
    """

    def __init__(self, encoding: str = "utf-8", raw: bool = False, errors: str = "strict", to: BinaryIO | None = None):
        self.terminal, self.raw = to is None and sys.stdout.isatty(), raw
        self.before = ""
        self._writer = Writer("latin-1" if raw and not self.terminal else encoding, errors, to)
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, text: str, more: bool = False) -> None:
        """Write a text, or a piece of a text of which `more` follows, and flush."""
        if not self.terminal:
            self._writer.write(text)
            return
        if self.raw:
            text = self._decoder.decode(text.encode("latin-1"), final=not more)
        self._writer.write("".join(each_printable(text, LAYOUT, self.before)))
        self.before = (self.before + text)[-1:] if more else ""
