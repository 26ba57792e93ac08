"""Texts as callers name them: one file, folder or pattern, or several."""

import os
from collections.abc import Iterable, Sequence

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.decoding import prepare

# A text's files, folders, patterns, or "-" for stdin: one or several.
Corpus = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def names(sources: Corpus) -> list[str]:
    """Return sources as a list of names."""
    if isinstance(sources, str | os.PathLike):
        return [os.fspath(sources)]
    return [os.fspath(source) for source in sources]


def lines_of(lines: Iterable[str], of_bytes: bool) -> list[str]:
    """Return lines as a list, for a model of bytes their UTF-8, a character a byte.

    One text, whose characters would pass for lines, is a CharRNNError.
    """
    if isinstance(lines, str):
        raise CharRNNError("Lines were expected, and one text was given.", hint="Put it in a list, or split it.")
    return [prepare(line, TextConfig(bytes=True)) for line in lines] if of_bytes else list(lines)
