"""Text from files, folders and stdin to ids; the training and validation parts; the order in which they are read."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from charrnn.config import DEFAULT_TEXT, TextConfig
from charrnn.errors import CharRNNError
from charrnn.sources import STDIN, documents
from charrnn.text import decode
from charrnn.vocab import Vocabulary

NOTICES = 3


@dataclass(frozen=True)
class Text:
    """What the sources hold, read as `config` says; `notices` are what a person should know of that.

    `parts` pairs the name of each file with its text; `sha256` and `byte_count` are of all files' bytes in that order;
    `sources` are what the user named, as absolute paths ('-' stays); `name` is that of the first, safe as a file name;
    `stdin` holds the bytes that came from there, which cannot be read again.
    """

    parts: tuple[tuple[str, str], ...]
    sha256: str
    byte_count: int
    sources: tuple[str, ...]
    name: str
    stdin: bytes | None = None
    config: TextConfig = DEFAULT_TEXT
    include: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the text of all files, concatenated."""
        return "".join([text for _, text in self.parts])


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as ids, (characters,), of the smallest unsigned type; the other fields are those of `Text`."""

    ids: np.ndarray
    vocab: Vocabulary
    sha256: str
    byte_count: int
    sources: tuple[str, ...]
    name: str
    stdin: bytes | None = None
    config: TextConfig = DEFAULT_TEXT
    include: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Split:
    """The ids to train on, and the segments of ids to validate on, each of them contiguous text."""

    train: np.ndarray
    val: tuple[np.ndarray, ...]


def read_text(
    sources: Sequence[str | Path],
    config: TextConfig = DEFAULT_TEXT,
    include: Sequence[str] = (),
) -> Text:
    """Return the text of sources: files, folders, patterns and '-' for stdin, unpacked (`charrnn.sources`).

    A source that is missing, unreadable, without text or not in the encoding is a CharRNNError.
    """
    if not sources:
        raise CharRNNError("No text was named.", hint="Name a file, a folder, or - for stdin.")
    digest, size, parts, stdin, notices = hashlib.sha256(), 0, [], None, []
    for source in map(str, sources):
        before = size
        for where, data in documents(source, include):
            digest.update(data)
            size += len(data)
            text, noticed = decode(data, config, where)
            parts.append((where, text))
            notices += noticed
            if source == STDIN:
                stdin = data
        if size == before:
            raise _no_text(source, include)
    named = tuple(source if source == STDIN else os.path.abspath(source) for source in map(str, sources))
    return Text(
        tuple(parts),
        digest.hexdigest(),
        size,
        named,
        _name(named[0]),
        stdin,
        config,
        tuple(include),
        tuple(_brief(notices)),
    )


def load_corpus(
    sources: Sequence[str | Path],
    vocab: Vocabulary | None = None,
    config: TextConfig = DEFAULT_TEXT,
    include: Sequence[str] = (),
    besides: Sequence[str] = (),
) -> Corpus:
    """Return the sources' text as ids of `vocab`, by default the characters of that text itself and those `besides`."""
    text = read_text(sources, config, include)
    if vocab is None:
        vocab = Vocabulary.of(text.text + "".join(besides))
    ids = np.concatenate([vocab.encode(part, where) for where, part in text.parts])
    return Corpus(
        ids,
        vocab,
        text.sha256,
        text.byte_count,
        text.sources,
        text.name,
        text.stdin,
        text.config,
        text.include,
        text.notices,
    )


def _brief(notices: list[str]) -> list[str]:
    """Return the first few of many notices."""
    more = len(notices) - NOTICES
    return notices if more <= 0 else [*notices[:NOTICES], f"… and {more:,} more such notices."]


def _no_text(source: str, include: Sequence[str]) -> CharRNNError:
    if source == STDIN:
        return CharRNNError("stdin is empty; a text was expected.", hint="Pipe a text into charrnn, or name a file.")
    if os.path.isdir(source):
        return CharRNNError(
            f"The folder {source} holds no text file (hidden, empty and binary files do not count).",
            hint="Name a folder with text in it, or a file."
            + (f" Only names that match {' or '.join(include)} were looked at." if include else ""),
        )
    return CharRNNError(f"{source} is empty; a text was expected.", hint="Name a file with text in it.")


def _name(source: str) -> str:
    if source == STDIN:
        return "stdin"
    path = Path(source)
    stem = path.name if path.is_dir() else path.stem
    # A letter takes up to four bytes and a file name holds 255, of which a run's number needs some.
    return re.sub(r"[^\w.-]+", "-", stem)[:50].strip(".-") or "corpus"


def split(ids: np.ndarray, kind: str, val: float, batch: int) -> Split:
    """Return the training and validation parts of a text.

    "tail": the contiguous last share `val` validates. "char-rnn": as karpathy/char-rnn, the text is cut into `batch`
    equal streams (the remainder is dropped) and the last 5 % of each validates, whatever `val` says; its training part
    is the rest of each stream in turn.
    """
    n = len(ids)
    if kind == "tail":
        # In floats 10 * (1 - 0.9) is below 1; the decimal number that the user wrote is meant.
        cut = int(n * (1 - Fraction(str(val))))
        parts = Split(ids[:cut], (ids[cut:],) if cut < n else ())
    elif kind == "char-rnn":
        length = n // batch
        cut = length * 95 // 100
        streams = ids[: batch * length].reshape(batch, length)
        parts = Split(streams[:, :cut].reshape(-1), tuple(streams[:, cut:]) if cut < length else ())
    else:
        raise ValueError(kind)
    if not len(parts.train):
        raise CharRNNError(
            f"The text has {n:,} characters: too few to leave any for training beside the validation part.",
            hint="Use a longer text, or --split tail with a smaller --val (0 for none).",
        )
    return parts


def fit_batch(n: int, batch: int, seq: int) -> tuple[int, int]:
    """Return (batch, seq) for `n` training characters, shrunk only if an epoch would have less than two windows.

    The batch is halved first, as fewer streams cost nothing but speed; then `seq` is cut.
    """
    if n < 2:
        raise CharRNNError(f"Training needs at least 2 characters; there are {n}.", hint="Use a longer text.")
    while batch > 1 and n < 2 * batch * seq:
        batch //= 2
    return batch, min(seq, max(1, n // (2 * batch)))


@dataclass(frozen=True, eq=False)
class Streams:
    """The order in which training reads its text: `batch` contiguous streams, `seq` characters a window.

    Every window is a pure function of the fields and the step. Each epoch starts at another place of the text, which is
    read as a ring; `start` is the id of the symbol that stands before a text.
    """

    ids: np.ndarray
    batch: int
    seq: int
    seed: int
    start: int

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1:
            raise CharRNNError(
                f"The training part has {len(self.ids):,} characters; {self.batch} streams of {self.seq} need "
                f"{self.batch * self.seq:,}.",
                hint="Use a smaller --batch or --seq, or a longer text.",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Return how many windows a stream holds."""
        return len(self.ids) // self.batch // self.seq

    def starts(self, step: int) -> bool:
        """Return whether `step` begins an epoch: the hidden state is to be zero before it."""
        return step % self.steps_per_epoch == 0

    def window(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what `step` reads, inputs and targets, int32 (seq, batch): each input is the character before.

        The input is `start` where a stream begins its epoch and where the text itself begins.
        """
        n = len(self.ids)
        epoch, window = divmod(step, self.steps_per_epoch)
        first = self._offset(epoch) + n // self.batch * np.arange(self.batch)
        place = (first + window * self.seq + np.arange(self.seq)[:, None]) % n
        targets = self.ids[place].astype(np.int32)
        inputs = self.ids[place - 1].astype(np.int32)
        inputs[place == 0] = self.start
        if window == 0:
            inputs[0] = self.start
        return inputs, targets

    def _offset(self, epoch: int) -> int:
        # The raw stream of Philox is promised never to change; what Generator.integers makes of it is not.
        return int(np.random.Philox(key=[self.seed, epoch]).random_raw()) % len(self.ids)
