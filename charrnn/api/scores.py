"""What a trained model makes of lines, and of a whole text: what they cost it in bits."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from charrnn.api.encoding import Encoder
from charrnn.api.given import check_unknown
from charrnn.api.named import lines_of
from charrnn.config import TextConfig

# What only some uses need is imported there: the first sampled character comes as soon as it can.
if TYPE_CHECKING:
    from charrnn.api.scoring import Pieces
    from charrnn.inference.lines import Score, Scorer
    from charrnn.text.reader import Watch


class Scores(Encoder):
    """The part of `charrnn.Model` that scores texts."""

    def score(self, lines: Iterable[str], *, unknown: str | None = None, line_ends: bool = False) -> "list[Score]":
        """Return what each line costs the model in bits, each scored by itself.

        unknown: what becomes of characters that the model has never seen: "error", "skip" or "replace"; by default each
        costs 20.1 bits. line_ends: let the end of each line count as a character.
        """
        return self.scorer(unknown=unknown, line_ends=line_ends).score(lines_of(lines, self.text.bytes))

    def scorer(
        self, text: TextConfig | None = None, *, unknown: str | None = None, line_ends: bool = False
    ) -> "Scorer":
        """Return what scores lines, some at a time, which are read as `text` says, by default as in training."""
        from charrnn.inference.lines import Scorer

        check_unknown(unknown)
        return Scorer(self.network, text or self.read_as(), unknown, line_ends)

    def pieces(
        self, source: str, text: TextConfig | None = None, *, unknown: str | None = None, watch: "Watch | None" = None
    ) -> "Pieces":
        """Return a whole text in pieces, with the bits of its characters, as it is read."""
        from charrnn.api.recorded import familiar
        from charrnn.api.scoring import Pieces

        check_unknown(unknown)
        pieces = Pieces(self.network, source, text or self.read_as(), unknown, watch, self._notify)
        for notice in familiar(self.path, pieces.corpus.text):
            self._notify(notice)
        return pieces
