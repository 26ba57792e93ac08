"""Texts as callers name them: one file, folder or pattern, or several."""

import os
from collections.abc import Iterable, Sequence

from charrnn.api.given import one_or_several
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.decoding import prepare
from charrnn.text.sources import check_include

# A text's files, folders, patterns, or "-" for stdin: one or several.
Corpus = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def names(sources: Corpus, parameter: str = "corpus") -> list[str]:
    """Return sources as a list of names; raise CharRNNError, which names the parameter, if one is not a name."""
    what = f"{'a pattern' if parameter == 'include' else 'a file, folder or pattern'}, or several in a list"
    return [os.fspath(source) for source in one_or_several(parameter, sources, (str, os.PathLike), what)]


def names_and_patterns(sources: Corpus, include: Corpus) -> tuple[list[str], list[str]]:
    """Return sources, and the patterns for files in folders; raise CharRNNError for patterns without a folder."""
    named, patterns = names(sources, "sources"), names(include, "include")
    check_include(patterns, named)
    return named, patterns


def lines_of(lines: Iterable[str], of_bytes: bool, parameter: str = "lines") -> list[str]:
    """Return lines as a list; for a model of bytes, each line as its UTF-8, one character per byte.

    Raise CharRNNError, which names the parameter, for what is no list of lines; a single str is none either: each of
    its characters would be taken for a line.
    """
    if isinstance(lines, str):
        raise CharRNNError(
            "A list of lines was expected, but a single text was given.",
            hint="Put the text in a list, or split it into lines.",
        )
    found = one_or_several(parameter, lines, str, "a list of lines, each a str")
    return [prepare(line, TextConfig(bytes=True)) for line in found] if of_bytes else found
