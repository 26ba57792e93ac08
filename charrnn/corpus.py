"""Texts as a model sees them: characters, documents, and ids of its vocabulary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from charrnn.config import DEFAULT_TEXT, TextConfig, TrainConfig
from charrnn.errors import CharRNNError
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

    def places(self, characters: Iterable[str], limit: int) -> dict[str, list[str]]:
        """Return where some characters first stand, FILE:LINE:COLUMN from 1, at most `limit` places of each."""
        found: dict[str, list[str]] = {character: [] for character in characters}
        wanted = np.array([symbol in found for symbol in self.symbols])
        lines = _Lines(self)
        for low in range(0, len(self) if wanted.any() else 0, BLOCK):
            block = self.codes[low : low + BLOCK]
            lines.enter(low, block)
            hits = np.flatnonzero(wanted[block])
            codes = block[hits]
            for code in np.unique(codes).tolist():
                places = found[self.symbols[code]]
                places += map(lines.place, (low + hits[codes == code][: limit - len(places)]).tolist())
                wanted[code] = len(places) < limit
        return found


class _Lines:
    """Tells file, line and column of places in a text that is gone through block by block."""

    def __init__(self, text: Text):
        self.text = text
        self.line_break = text.symbols.find("\n")
        self.breaks = np.zeros(0, np.int64)
        # Line breaks before this block, the place of the last of them, those before the document that it begins in.
        self.low, self.before, self.last, self.before_document = 0, 0, -1, 0

    def enter(self, low: int, block: np.ndarray) -> None:
        """Go on to the block that begins at `low`."""
        starts = self.text.starts
        document = int(np.searchsorted(starts, low)) - 1
        if document >= 0:
            self.before_document = self._before_document(int(starts[document]))
        self.before += len(self.breaks)
        self.last = int(self.breaks[-1]) if len(self.breaks) else self.last
        self.low, self.breaks = low, low + np.flatnonzero(block == self.line_break)

    def place(self, place: int) -> str:
        """Return FILE:LINE:COLUMN of a character of this block."""
        document = int(np.searchsorted(self.text.starts, place, side="right")) - 1
        begin = int(self.text.starts[document])
        passed = int(np.searchsorted(self.breaks, place))
        line = 1 + self.before + passed - self._before_document(begin)
        last = int(self.breaks[passed - 1]) if passed else self.last
        return f"{self.text.names[document]}:{line}:{place - max(last, begin - 1)}"

    def _before_document(self, begin: int) -> int:
        """Return how many line breaks stand before the document that begins at `begin`."""
        if begin < self.low:
            return self.before_document
        return self.before + int(np.searchsorted(self.breaks, begin))


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text and the vocabulary that its ids, `part`, are of; `complete` if it has all of its characters."""

    text: Text
    vocab: Vocabulary
    part: Part
    complete: bool = True

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
        _separator(text, vocab),
    )
    where = text.names[0] if len(text.names) == 1 else "the text"
    if lacking:
        stand_in, notice = vocab.admission(lacking, unknown, where, lambda: _first(text, next(iter(lacking))))
        table[table < 0] = -1 if stand_in is None else stand_in
        if stand_in is None:
            whole = select(whole, lambda low, high: table[text.codes[low:high]] >= 0)
        text = replace(text, notices=(*text.notices, notice))
        if not len(whole):
            raise nothing_left(where)
    _check_counts(where, text, [whole], "Use a text in whose documents something follows it.")
    return Corpus(text, vocab, whole, not lacking)


def _separator(text: Text, vocab: Vocabulary) -> int | None:
    """Return the code of the character behind which the loss counts, None if all of the text does."""
    separator = text.config.loss_after
    if separator is None:
        return None
    if separator not in text.symbols:
        raise CharRNNError(
            f"{separator!r} does not occur in the text ({text.names[0]}{', …' if len(text.names) > 1 else ''}); "
            "--loss-after counts only what follows it.",
            hint="Use a text in which it stands between the two parts of each document.",
        )
    if separator not in vocab.symbols:
        raise CharRNNError(
            f"The vocabulary lacks {separator!r}, which --loss-after names.", hint="Use one that has it, or no --vocab."
        )
    return text.symbols.index(separator)


def _check_counts(where: str, text: Text, parts: Sequence[Part], hint: str) -> None:
    """Raise CharRNNError if no character at all counts in parts that are read together."""
    stretches = ((part, np.arange(*bounds)) for part in parts for bounds in part.blocks())
    if parts and not any(part.counts(places).any() for part, places in stretches):
        raise CharRNNError(
            f"In {where} nothing follows {text.config.loss_after!r}: with --loss-after no character of it counts.",
            hint=hint,
        )


def _first(text: Text, character: str) -> str:
    return text.places(character, 1)[character][0]


def dataset(text: Text, vocab: Vocabulary, config: TrainConfig, validation: Text | None = None) -> Dataset:
    """Return the training, validation and test parts of a text; all of it trains if there is a text to validate on."""
    corpus = as_ids(text, vocab)
    other = None if validation is None else as_ids(validation, vocab)
    parts = split(corpus.part, config)
    hint = "Use a longer text, another --split, --val or --test."
    for name, part in (("training", [parts.train]), ("validation", parts.val), ("test", parts.test)):
        _check_counts(f"the {name} part", text, part, hint)
    return Dataset(corpus, parts if other is None else replace(parts, val=(other.part,)), other)
