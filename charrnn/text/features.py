"""Features of a text at each of its characters: what a unit of a network may have learned to follow.

| name | at each character |
|---|---|
| quotes | inside "...", “...” or «...» |
| brackets | inside (...), [...] or {...} |
| depth | how many of these brackets are open |
| column | how many characters follow the last line break |
| indentation | how many spaces and tabs begin the line, as far as it has been read |
| indent | the character is one of these spaces and tabs |
| paragraph | how many characters follow the last empty line |
| word | how many letters and digits follow the last other character |
| word-end | a word has just ended: the character is neither a letter nor a digit, but the one before it is |
| capital, letter, vowel, digit, space, line-break, punctuation | what the character is; a line break is a space, too |
| next-line-break, next-space | what the next character is |
| next-same | the next character is of the same kind: a letter, a digit, a space, or punctuation |

A feature at a character depends only on the text up to it, as the state of a network does. Only the last three look at
the character that the network predicts. The opening quote or bracket is inside, the closing one is not. What was not
closed ends at an empty line, unless the next line is indented; so one mistake in a text has no effect on the rest.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_QUOTES = {'"': '"', "“": "”", "«": "»"}
_TRIPLE = '"""'
# An empty line, and after it a line without indentation, whose first character tells.
_BREAK = r"\n[ \t]*\n(?=[^\s])"
_MARKS = re.compile(rf"{_BREAK}|[()\[\]{{}}]")
_QUOTED = re.compile(rf'{_BREAK}|\\.|["“”«»]', re.DOTALL)
_VOWELS = frozenset("aeiouаеиоуыэюяαεηιουω")


class Feature(NamedTuple):
    """A feature: its name; its value at each character of a text, `of(text)`, (characters,), bool or int64.

    `ahead`: it looks at the next character.
    """

    name: str
    of: Callable[[str], np.ndarray]
    ahead: bool = False


def _each(text: str, test: Callable[[str], bool]) -> np.ndarray:
    """Return whether each character passes a test, bool."""
    passes = {character: test(character) for character in set(text)}
    return np.fromiter((passes[character] for character in text), bool, len(text))


def _since(begins: np.ndarray) -> np.ndarray:
    """Return how many characters follow the last place that is true, 0 there; before the first one, from 1 on."""
    places = np.arange(len(begins))
    return places - np.maximum.accumulate(np.where(begins, places, -1))


def _held(values: list[tuple[int, int]], length: int) -> np.ndarray:
    """Return int64, (length,): from each place on the value that belongs to it, and 0 before; pairs are in order."""
    places = [0, *(place for place, _ in values), length]
    return np.repeat(np.array([0, *(value for _, value in values)], np.int64), np.diff(places))


def _place(mark: re.Match[str]) -> int:
    """Return the place from which on a mark matters: its last character; of an empty line, the character after it."""
    return mark.end() - (not mark[0].startswith("\n"))


def depth(text: str) -> np.ndarray:
    """Return how many brackets are open. A closing one also closes what was opened after its partner."""
    opened: list[str] = []
    changes = []
    for mark in _MARKS.finditer(text):
        shown = mark[0]
        if shown in _BRACKETS:
            opened.append(_BRACKETS[shown])
        elif shown in opened:
            while opened.pop() != shown:
                pass
        elif shown[0] == "\n":
            opened.clear()
        changes.append((_place(mark), len(opened)))
    return _held(changes, len(text))


def quotes(text: str) -> np.ndarray:
    """Return whether a character is inside double quotes; text in triple quotes, as in Python, may have empty lines."""
    # What ends the quotation, and how many straight quotes have been read in a row.
    inside, row, end = "", 0, -1
    changes = []
    for mark in _QUOTED.finditer(text):
        shown = mark[0]
        row = row + 1 if mark.start() == end else 1
        end = mark.end()
        if shown[0] == "\n":
            inside = inside if inside == _TRIPLE else ""
        elif shown == '"' and row == 3 and inside in ("", _TRIPLE):
            inside, row = "" if inside else _TRIPLE, 0
        elif inside:
            inside = "" if shown == inside else inside
        else:
            inside = _QUOTES.get(shown, "")
        changes.append((_place(mark), int(bool(inside))))
    return _held(changes, len(text)).astype(bool)


def _is_break(text: str) -> np.ndarray:
    return _each(text, "\n".__eq__)


def column(text: str) -> np.ndarray:
    """Return how many characters follow the last line break; 0 at a line break."""
    return _since(_is_break(text))


def indent(text: str) -> np.ndarray:
    """Return whether a character is a space or a tab that only others precede in its line."""
    blank = _each(text, " \t".__contains__)
    return blank & (_since(~blank) == column(text))


def indentation(text: str) -> np.ndarray:
    """Return how many spaces and tabs begin the line, as far as it has been read."""
    inside, breaks = indent(text), _is_break(text)
    count = np.cumsum(inside)
    before = np.maximum.accumulate(np.where(breaks, count, 0))
    return count - before


def paragraph(text: str) -> np.ndarray:
    """Return how many characters follow the last empty line; 0 at the line break that ends it."""
    breaks, written = _is_break(text), np.cumsum(_each(text, lambda character: not character.isspace()))
    # What had been written at the line break before.
    before = np.concatenate([[0], np.maximum.accumulate(np.where(breaks, written, 0))])[: len(text)]
    empty = breaks & (written == before)
    return _since(empty)


def _in_word(text: str) -> np.ndarray:
    return _each(text, str.isalnum)


def word(text: str) -> np.ndarray:
    """Return how many letters and digits follow the last other character."""
    return _since(~_in_word(text))


def word_end(text: str) -> np.ndarray:
    """Return whether a word has just ended."""
    inside = _in_word(text)
    return ~inside & np.concatenate([[False], inside[:-1]])[: len(text)]


def _is_vowel(character: str) -> bool:
    return unicodedata.normalize("NFD", character)[0].lower() in _VOWELS


def _is_punctuation(character: str) -> bool:
    return not character.isalnum() and not character.isspace() and character.isprintable()


def _next(values: np.ndarray) -> np.ndarray:
    """Return each value at the place before it; false at the last place."""
    return np.concatenate([values[1:], np.zeros(1, values.dtype)])[: len(values)]


def next_same(text: str) -> np.ndarray:
    """Return whether the next character is of the same kind: letter, digit, space, or punctuation."""
    kinds = np.zeros(len(text), np.int64)
    for number, test in enumerate((str.isalpha, str.isdigit, str.isspace, _is_punctuation), 1):
        kinds[_each(text, test)] = number
    return np.concatenate([kinds[1:] == kinds[:-1], [False]])[: len(text)]


FEATURES = (
    Feature("quotes", quotes),
    Feature("brackets", lambda text: depth(text) > 0),
    Feature("depth", depth),
    Feature("column", column),
    Feature("indentation", indentation),
    Feature("indent", indent),
    Feature("paragraph", paragraph),
    Feature("word", word),
    Feature("word-end", word_end),
    Feature("capital", lambda text: _each(text, str.isupper)),
    Feature("letter", lambda text: _each(text, str.isalpha)),
    Feature("vowel", lambda text: _each(text, _is_vowel)),
    Feature("digit", lambda text: _each(text, str.isdigit)),
    Feature("space", lambda text: _each(text, str.isspace)),
    Feature("line-break", _is_break),
    Feature("punctuation", lambda text: _each(text, _is_punctuation)),
    Feature("next-line-break", lambda text: _next(_is_break(text)), ahead=True),
    Feature("next-space", lambda text: _next(_each(text, str.isspace)), ahead=True),
    Feature("next-same", next_same, ahead=True),
)
