"""Scores of lines, each line as a separate record."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference.kinds import check_predicts_characters
from charrnn.inference.model import Model
from charrnn.inference.reading import LineReader, admitted
from charrnn.inference.scoring import begin, score, score_after
from charrnn.text.decoding import prepare
from charrnn.text.lines import seen

# The cost of a character that the model has never seen: the bits needed to name one character of Unicode.
UNKNOWN_BITS = math.log2(0x110000 - 0x800)
# The length of the worst part of a line. Of 4 to 16, 8 detected manipulated lines best (benchmarks/strangers.py).
WORST = 8


@dataclass(frozen=True, slots=True)
class Score:
    """A scored line: as it was written, as the model read it, and its `surprisal` in bits, one number per character.

    Characters that do not count have NaN. `unknown` is the number of characters that the model has never seen. `usual`
    is the validation loss of the model in bits per character, NaN if that is not known.
    """

    line: int
    text: str
    read: str
    surprisal: np.ndarray
    characters: int
    bits: float
    unknown: int
    usual: float = math.nan

    @property
    def bits_per_char(self) -> float:
        """Return the bits per character, NaN if no character counts."""
        return self.bits / self.characters if self.characters else math.nan

    @property
    def worst(self) -> float:
        """Return the bits per character of the most expensive WORST characters in a row, NaN if none counts.

        The bits of a shorter line are also divided by WORST, so that a few characters do not score higher than a longer
        line that contains them.
        """
        bits = self.surprisal[~np.isnan(self.surprisal)]
        if len(bits) <= WORST:
            return float(bits.sum()) / WORST if len(bits) else math.nan
        return float(np.lib.stride_tricks.sliding_window_view(bits, WORST).sum(1).max()) / WORST

    @property
    def excess(self) -> float:
        """Return the bits above the usual bits of this many characters, divided by the square root of their number.

        The standard deviation of a line's bits is about proportional to that root, so the excess of long and short
        lines can be compared. NaN if no character counts.
        """
        return (self.bits - self.usual * self.characters) / math.sqrt(self.characters) if self.characters else math.nan

    def by(self, rank: str) -> float:
        """Return the score of this name, one of config.RANKS; NaN if no character counts."""
        number: float = getattr(self, {"mean": "bits_per_char"}.get(rank, rank))
        return number


class Scorer(LineReader):
    """Scores lines, each as a separate text that follows a line break or begins a document.

    `text` says how lines are read. `unknown` is one of config.UNKNOWN, or None: unknown characters are then replaced by
    the unknown symbol or, if the model has no such symbol, each costs UNKNOWN_BITS and is not read. With `line_ends`,
    line breaks count. With `whole`, the end of a document counts. With `after`, each line follows this text, which is
    read once and does not count; its unknown characters are left out by default, and `notify` gets a message about
    them.
    """

    def __init__(
        self,
        model: Model,
        text: TextConfig,
        unknown: str | None = None,
        line_ends: bool = False,
        whole: bool = False,
        after: str = "",
        notify: Callable[[str], None] = lambda notice: None,
    ):
        check_predicts_characters(model)
        super().__init__(model, text, unknown)
        self.notify = notify
        self.usual = math.nan if model.val_nats is None else model.val_nats / math.log(2)
        self.end = (model.text.document_end or "") if whole else "\n" if line_ends else ""
        if line_ends and "\n" not in model.vocab.symbols:
            raise CharRNNError("`line_ends` scores line breaks, but the model has never seen a line break.")
        self.before, self.separated = self._before(after, "`after`")
        self.begun = begin(model, self.before)

    def score(self, lines: Sequence[str], first: int = 1, after: Sequence[str] | None = None) -> list[Score]:
        """Return the scores of lines (without line breaks), numbered from `first`.

        Each line follows its own text in `after`; without `after`, all follow the text that was given to the scorer.
        """
        read = [seen(line, self.text) + self.end for line in lines]
        ids = [self.ids(text, f"line {line}") for line, text in enumerate(read, first)]
        known = [own[own >= 0] for own in ids]
        orders = [self.model.order(own) for own in known]
        known = [own[order] for own, order in zip(known, orders, strict=True)]
        separated = [self.separated] * len(lines)
        if after is None:
            nats = score_after(self.begun, known)
        else:
            befores, separated = [], []
            for line, context in enumerate(after, first):
                before, has_separator = self._before(context, f"the context of line {line}")
                befores.append(before[1:])
                separated.append(has_separator)
            together = [np.concatenate(pair) for pair in zip(befores, known, strict=True)]
            nats = score(self.model, self.before[:1], together)
            nats = [costs[len(before) :] for costs, before in zip(nats, befores, strict=True)]
        nats = [costs[order] for costs, order in zip(nats, orders, strict=True)]
        return [
            self._scored(
                first + place,
                lines[place],
                read[place],
                ids[place],
                nats[place],
                int((self.model.vocab.table(read[place]) < 0).sum()),
                separated[place],
            )
            for place in range(len(lines))
        ]

    def ends_within(self, after: str) -> bool:
        """Return whether a text before lines contains the end of a document, after which the model forgets the text."""
        end = self.model.text.document_end
        return self.model.text.resets and end is not None and end in self._seen(after)

    def _seen(self, after: str) -> str:
        """Return a text before lines in the form that the model was trained to read; it need not be a whole line."""
        return after if self.text.bytes else prepare(after, self.text)

    def _before(self, after: str, where: str) -> tuple[np.ndarray, bool]:
        """Return the ids to read before a line that follows a text, and whether the text contains the separator."""
        if self.ends_within(after):
            raise CharRNNError(
                f"The end of a document, {self.model.text.document_end!r}, is in {where}: the model forgets the text "
                "before it.",
                hint="Give only the text after it.",
            )
        if after and self.model.text.reverse:
            raise CharRNNError(
                "This model reads from the end: it cannot score a line as the continuation of a text.",
                hint="Leave out `after`, or use a model that was trained without `reverse`.",
            )
        text, vocab, separator = self._seen(after), self.model.vocab, self.model.text.loss_after
        policy = self.unknown or (None if vocab.has_unknown else "skip")
        ids, notice = admitted(vocab, vocab.table(text), text, policy, where)
        if notice:
            self.notify(notice)
        return self.model.before(ids[ids >= 0]), separator is not None and separator in text

    def _scored(
        self, line: int, text: str, read: str, ids: np.ndarray, nats: np.ndarray, unknown: int, separated: bool
    ) -> Score:
        known = ids >= 0
        bits = np.full(len(ids), math.nan if self.unknown == "skip" else UNKNOWN_BITS)
        bits[known] = nats / math.log(2)
        separator = self.model.text.loss_after
        if separator is not None and not separated:
            # The training loss does not include the text up to the separator.
            place = read.find(separator)
            bits[: len(read) if place < 0 else place + 1] = math.nan
        counted = ~np.isnan(bits)
        return Score(line, text, read, bits, int(counted.sum()), float(bits[counted].sum()), unknown, self.usual)
