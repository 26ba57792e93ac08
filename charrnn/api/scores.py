"""The scores of lines and of whole texts: how many bits they cost a trained model."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from charrnn.api.encoding import Encoder
from charrnn.api.generation import first_few
from charrnn.api.given import check_given, check_unknown, one_or_several
from charrnn.api.named import lines_of
from charrnn.config import QUANTILES, RANK_SAMPLES, RANKS, TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.decoding import prepare

# Modules that only some functions need are imported in them, so that the first sampled character comes sooner.
if TYPE_CHECKING:
    from charrnn.api.calibration import Threshold
    from charrnn.api.scoring import Pieces
    from charrnn.inference.guesses import Guesses, Rank
    from charrnn.inference.lines import Score, Scorer
    from charrnn.text.reader import Watch

# The text before lines: one for all lines, or one for each line.
After = str | bytes | Sequence[str | bytes] | None


class Scores(Encoder):
    """The part of `charrnn.Model` that scores texts."""

    def score(
        self, lines: Iterable[str], *, unknown: str | None = None, line_ends: bool = False, after: After = None
    ) -> "list[Score]":
        """Return how many bits each line costs the model; each line is scored without the lines before it.

        unknown: what to do with characters that the model has never seen: "error", "skip" or "replace"; by default each
        costs 20.1 bits. line_ends: let the end of each line count as a character. after: a text that comes before each
        line, or a list with one for each line; it is read as `prime` is, and its own bits do not count.
        """
        found = lines_of(lines, self.text.bytes)
        if after is None or isinstance(after, str | bytes):
            return self.scorer(unknown=unknown, line_ends=line_ends, after=after or "").score(found)
        contexts = one_or_several("after", after, (str, bytes), "a str or bytes, or a list with one for each line")
        if len(contexts) != len(found):
            raise CharRNNError(
                f"`after` has the length {len(contexts):,}, but `lines` has the length {len(found):,}; `after` must be "
                "one text, or a list with one for each line."
            )
        return self.scorer(unknown=unknown, line_ends=line_ends).score(found, after=list(map(self._given, contexts)))

    def scorer(
        self,
        text: TextConfig | None = None,
        *,
        unknown: str | None = None,
        line_ends: bool = False,
        whole: bool = False,
        after: str | bytes = "",
    ) -> "Scorer":
        """Return a `Scorer` for lines, some at a time; it reads them as `text` says, by default as in training.

        whole: each line is a whole document, and the end of the document counts, even if it is not a line break.
        """
        from charrnn.inference.lines import Scorer

        check_unknown(unknown)
        notify = first_few(self._notify)
        return Scorer(self.network, text or self.read_as(), unknown, line_ends, whole, self._given(after), notify)

    def guess_ranks(
        self,
        lines: Iterable[str],
        *,
        samples: int = RANK_SAMPLES,
        seed: int = 0,
        unknown: str | None = None,
        after: str | bytes = "",
    ) -> "list[Rank]":
        """Return the guess rank of each line: how many guesses, the likeliest text first, are needed to reach it.

        samples: how many samples of the model the ranks are estimated from; seed: their seed. unknown: as in `score`,
        but a line with a character that the model has never seen is never guessed. after: as in `score`, but only one.
        Raise CharRNNError unless the model's texts end: it must be a model of lines, or of documents with an end.
        """
        scorer = self.scorer(unknown=unknown, whole=True, after=after)
        return list(map(self.guesses(scorer, samples, seed).of, scorer.score(lines_of(lines, self.text.bytes))))

    def guesses(
        self, scorer: "Scorer", samples: int = RANK_SAMPLES, seed: int = 0, watch: "Watch | None" = None
    ) -> "Guesses":
        """Return `Guesses`, which rank the scores of a `whole` scorer; `watch` gets the number of samples drawn."""
        from charrnn.api.guesses import drawn

        return drawn(scorer, samples, seed, self.run, watch, self._notify)

    def calibrate(
        self,
        lines: Iterable[str],
        *,
        by: str = RANKS[0],
        quantiles: Sequence[float] = QUANTILES,
        unknown: str | None = None,
        line_ends: bool = False,
        after: After = None,
    ) -> "list[Threshold]":
        """Return a threshold for each quantile: a line whose score is at or above it is odd.

        lines: ordinary lines; the threshold is the quantile of their scores. by: which number of a `Score` is compared:
        "mean", "worst" or "excess". The other arguments are those of `score`, and must be the same where the thresholds
        are used.
        """
        from charrnn.api.calibration import thresholds
        from charrnn.api.records import check_rank

        check_rank(by, None, self)
        scores = self.score(lines, unknown=unknown, line_ends=line_ends, after=after)
        return thresholds(scores, by, quantiles, self._notify)

    def _given(self, after: str | bytes) -> str:
        """Return a text before lines in the form of lines; for a model of bytes, one character per byte."""
        check_given(after=after)
        return prepare(after, TextConfig(bytes=self.text.bytes))

    def pieces(
        self, source: str, text: TextConfig | None = None, *, unknown: str | None = None, watch: "Watch | None" = None
    ) -> "Pieces":
        """Return a whole text in pieces, with the bits of its characters, scored while it is read."""
        from charrnn.api.recorded import familiar
        from charrnn.api.scoring import Pieces

        check_unknown(unknown)
        pieces = Pieces(self.network, source, text or self.read_as(), unknown, watch, self._notify)
        for notice in familiar(self.path, pieces.corpus.text):
            self._notify(notice)
        return pieces
