"""Lines that fit a terminal: broken between words, because the terminal itself would break them anywhere."""

import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

from charrnn.cli.console import say

# A space at which a line is not broken. Text that is shown never contains it, because `printable` escapes it.
FIXED = "\xa0"
# Turns the character before it into an emoji, which is two columns wide.
_EMOJI_STYLE = "\ufe0f"
_JOINER = "\u200d"
# The categories of characters that have no width.
_MARKS = ("Mn", "Me", "Cf")


def columns_of(stream: TextIO) -> int | None:
    """Return the width of a stream's terminal in columns, or COLUMNS if that is set; None if it is not a terminal."""
    if not stream.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        try:
            return os.get_terminal_size(stream.fileno()).columns or 80
        except OSError:
            return 80


def tell(line: str) -> None:
    """Print a message on stderr; on a terminal it is broken between words, but not inside a command at its end.

    If the message is too long, the command gets its own line. Only the terminal breaks that line: users can copy it.
    """
    columns = columns_of(sys.stderr)
    head, separator, command = line.partition(": charrnn ")
    if columns is not None and separator and cells(line) > columns:
        line, command = f"{head}:", f"  charrnn {command}"
    else:
        command = ""
    for part in [*wrapped(line, columns), *([command] if command else [])]:
        say(part)


def wrapped(line: str, columns: int | None, prefix: str | None = None) -> Iterator[str]:
    """Yield a line as lines of at most `columns` columns (None: of any length), broken between words.

    Each begins with the prefix, by default the spaces at the beginning of the line. A word that is longer than a line
    is broken, but combining marks stay with their letters, and joined emoji stay together.
    """
    if prefix is None:
        line, indented = line.lstrip(" "), len(line)
        prefix = " " * (indented - len(line))
    # A terminal that is narrower than the prefix breaks the lines itself.
    room = float("inf") if columns is None else max(2, columns - cells(prefix))
    current, used = "", 0
    for word in re.findall(r" *[^ ]+| +", line):
        bare = cells(word.lstrip(" "))
        if current and used + cells(word) > room and bare <= room:
            yield (prefix + current).replace(FIXED, " ")
            word, current, used = word.lstrip(" "), "", 0
        for part in _inseparable(word):
            taken = cells(part)
            if current and used + taken > room:
                yield (prefix + current.rstrip(" ")).replace(FIXED, " ")
                current, used = "", 0
                if part == " ":
                    continue
            current, used = current + part, used + taken
    yield (prefix + current).replace(FIXED, " ")


def cells(text: str) -> int:
    """Return how many columns a text needs on a terminal; where terminals differ, the largest number."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _inseparable(word: str) -> Iterator[str]:
    """Yield each character with the combining marks after it, and with the characters that a joiner joins to it."""
    part = ""
    for character in word:
        if part and not (part[-1] == _JOINER or unicodedata.category(character) in _MARKS):
            yield part
            part = ""
        part += character
    yield part


def _cells(character: str) -> int:
    if character.isascii() or character == _EMOJI_STYLE:
        return 1
    if unicodedata.category(character) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
