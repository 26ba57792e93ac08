"""Texts as a model sees them: characters, documents, and ids of its vocabulary."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from charrnn.config import DEFAULT_TEXT, TextConfig, TrainConfig
from charrnn.parts import BLOCK, Part, Split, select, split
from charrnn.vocab import Vocabulary, nothing_left


@dataclass(frozen=True, eq=False)
class Text:
    """What the sources hold, read as `config` says; `notices` are what a person should know of that.

    `codes`, (characters,), are places in `symbols`, the characters in the order in which they first appear; `counts`
    says how often each does. Document `names[i]` begins at character `starts[i]`. `sha256` and `byte_count` are of all
    files' bytes, unpacked; `sources` are what the user named, as absolute paths ('-' stays); `name` is that of the
    first, safe as a file name; `stdin` holds the bytes that came from there, if they were to be kept.
    """

    codes: np.ndarray
    symbols: str
    counts: np.ndarray
    names: tuple[str, ...]
    starts: np.ndarray
    sha256: str
    byte_count: int
    sources: tuple[str, ...]
    name: str
    stdin: BinaryIO | None = None
    config: TextConfig = DEFAULT_TEXT
    include: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def _points(self) -> np.ndarray:
        return np.frombuffer(self.symbols.encode("utf-32-le"), "<u4")

    @property
    def counted(self) -> dict[str, int]:
        """Return how often each character occurs."""
        return dict(zip(self.symbols, self.counts.tolist(), strict=True))

    def decode(self, low: int = 0, high: int | None = None) -> str:
        """Return a stretch of the text, by default all of it."""
        return self._points[self.codes[low:high]].tobytes().decode("utf-32-le")

    def places(self, character: str, limit: int) -> Iterator[str]:
        """Yield where a character stands, FILE:LINE:COLUMN from 1, at most `limit` times."""
        code = self.symbols.find(character)
        for low in range(0, len(self) if code >= 0 else 0, BLOCK):
            for place in np.flatnonzero(self.codes[low : low + BLOCK] == code)[:limit].tolist():
                yield self._place(low + place)
                limit -= 1
            if limit == 0:
                return

    def _place(self, place: int) -> str:
        document = int(np.searchsorted(self.starts, place, side="right")) - 1
        begin, line, column = int(self.starts[document]), 1, 1
        line_break = self.symbols.find("\n")
        for low in range(begin, place, BLOCK):
            breaks = np.flatnonzero(self.codes[low : min(low + BLOCK, place)] == line_break)
            if len(breaks):
                line, begin = line + len(breaks), low + int(breaks[-1]) + 1
        column += place - begin
        return f"{self.names[document]}:{line}:{column}"


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text and the vocabulary that its ids, `part`, are of."""

    text: Text
    vocab: Vocabulary
    part: Part

    def __len__(self) -> int:
        return len(self.part)


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a run is trained on: a text and its parts, whose validation part may be `validation`, another text."""

    corpus: Corpus
    parts: Split
    validation: Corpus | None = None

    @property
    def notices(self) -> list[str]:
        """Return what a person should know of how the texts were read."""
        return [*self.corpus.text.notices, *(self.validation.text.notices if self.validation else ())]

    @property
    def record(self) -> dict[str, Any]:
        """Return what a checkpoint records of it, which `--resume` reads again."""
        text = self.corpus.text
        record = {
            "sources": list(text.sources),
            "include": list(text.include),
            "sha256": text.sha256,
            "characters": len(text),
        }
        if self.validation is not None:
            record |= {"val_sources": list(self.validation.text.sources), "val_sha256": self.validation.text.sha256}
        return record


def as_ids(text: Text, vocab: Vocabulary, unknown: str | None = None) -> Corpus:
    """Return a text as ids of a vocabulary; `unknown` is what becomes of characters that it lacks (`admission`)."""
    known = set(vocab.symbols)
    lacking = {symbol: count for symbol, count in text.counted.items() if symbol not in known}
    table = vocab.table(text.symbols)
    whole = Part(
        text.codes,
        table,
        None if text.config.lines else text.starts,
        text.symbols.find("\n") if text.config.lines else None,
        text.config.resets,
    )
    if lacking:
        where = text.names[0] if len(text.names) == 1 else "the text"
        stand_in, notice = vocab.admission(lacking, unknown, where, lambda: next(text.places(next(iter(lacking)), 1)))
        table[table < 0] = -1 if stand_in is None else stand_in
        if stand_in is None:
            whole = select(whole, lambda low, high: table[text.codes[low:high]] >= 0)
        text = replace(text, notices=(*text.notices, notice))
        if not len(whole):
            raise nothing_left(where)
    return Corpus(text, vocab, whole)


def dataset(text: Text, vocab: Vocabulary, config: TrainConfig, validation: Text | None = None) -> Dataset:
    """Return the training, validation and test parts of a text; all of it trains if there is a text to validate on."""
    corpus = as_ids(text, vocab)
    parts = split(corpus.part, config)
    if validation is None:
        return Dataset(corpus, parts)
    other = as_ids(validation, vocab)
    return Dataset(corpus, replace(parts, val=(other.part,)), other)
