"""Texts as callers name them: one file, folder or pattern, or several."""

import os
from collections.abc import Iterable, Sequence

from charrnn.errors import CharRNNError

# A text's files, folders, patterns, or "-" for stdin: one or several.
Corpus = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def names(sources: Corpus) -> list[str]:
    """Return sources as a list of names."""
    if isinstance(sources, str | os.PathLike):
        return [os.fspath(sources)]
    return [os.fspath(source) for source in sources]


def lines_of(lines: Iterable[str]) -> list[str]:
    """Return lines as a list; CharRNNError if they are one text, whose characters would pass for lines."""
    if isinstance(lines, str):
        raise CharRNNError("Lines were expected, and one text was given.", hint="Put it in a list, or split it.")
    return list(lines)
