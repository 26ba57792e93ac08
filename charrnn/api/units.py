"""What single units of a model do: which features of a text they follow, and their values."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from charrnn.api.encoding import Encoder, Prime
from charrnn.api.given import check_unknown, check_whole, one_or_several
from charrnn.config import TextConfig
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError, did_you_mean, readable_by
from charrnn.network.units import unit

if TYPE_CHECKING:
    from charrnn.inference.activations import Tell
    from charrnn.inference.neurons import Neurons
    from charrnn.text.features import Feature
    from charrnn.text.reader import Watch


class Units(Encoder):
    """The part of `charrnn.Model` that looks at single units."""

    def neurons(
        self,
        text: Prime | Part,
        *,
        features: str | Sequence[str] | None = None,
        unknown: str | None = None,
        watch: "Tell | None" = None,
    ) -> "Neurons":
        """Return which units follow which features of a text, and how often gates are open or shut.

        text: a text, or a part of one (`part_of`). A model that forgets at documents reads each from its beginning. A
        long text is read in up to 64 stretches at once, each after the 256 characters before it. features: the names of
        some of `charrnn.text.features.FEATURES`, by default all. unknown: as in `encode`.
        watch: is called with the number of characters that have been read, and that of all.
        """
        from charrnn.inference.neurons import neurons

        return neurons(self.network, self._part(text, unknown), chosen(features), watch)

    def activations(
        self,
        text: Prime | Part,
        units: str | Sequence[str],
        *,
        exact: bool = True,
        unknown: str | None = None,
        watch: "Tell | None" = None,
    ) -> np.ndarray:
        """Return the values of units after each character of a text, float32 (characters, units).

        units: their names, such as "layer1/c/117". exact: read the text as one stream; otherwise a long one is read in
        stretches, as `neurons` does, which is faster. unknown, watch: as in `neurons`.
        """
        from charrnn.inference.activations import STRETCHES, activations

        named = one_or_several("units", units, str, "the name of a unit, or several in a list")
        if not named:
            raise CharRNNError("`units` is empty; it must be the name of a unit, or several in a list.")
        found = [unit(self.config, name) for name in named]
        return activations(self.network, self._part(text, unknown), found, 1 if exact else STRETCHES, watch)

    def part_of(
        self,
        sources: Sequence[str],
        text: TextConfig | None = None,
        *,
        limit: int | None = None,
        unknown: str | None = None,
        watch: "Watch | None" = None,
    ) -> Part:
        """Return the first `limit` characters of files (or "-" for stdin), read as in training or as `text` says."""
        from charrnn.data.corpus import as_ids
        from charrnn.text.reader import read_text

        check_unknown(unknown)
        if limit is not None:
            check_whole("limit", limit, least=1)
        # Each character is read, whether its loss counts or not.
        config = replace(text or self.read_as(), loss_after=None)
        if self.config.classes is not None:
            return self._lines(sources, config, limit, unknown, watch)
        with readable_by("encoding", "errors"):
            corpus = as_ids(read_text(sources, config, watch=watch), self.vocab, unknown)
        for notice in corpus.text.notices:
            self._notify(notice)
        if limit is None or limit >= len(corpus):
            return corpus.part
        self._notify(f"The first {limit:,} of {len(corpus):,} {self.text.unit}s are read (`limit`).")
        return corpus.part.cut(0, limit)

    def _lines(
        self, sources: Sequence[str], config: TextConfig, limit: int | None, unknown: str | None, watch: "Watch | None"
    ) -> Part:
        """Return the lines of files, each as a document without its end, as a model of labels reads texts."""
        from charrnn.text.reader import read_text

        with readable_by("encoding", "errors"):
            whole = read_text(sources, config, watch=watch).decode(0, limit)
        lines = [self.encode(line, unknown, "the text") for line in whole.split("\n") if line]
        starts = np.cumsum([0, *(len(ids) for ids in lines[:-1])])
        return Part(np.concatenate([np.zeros(0, np.int32), *lines]), starts=starts, resets=True)

    def _part(self, text: Prime | Part, unknown: str | None) -> Part:
        """Return a text as a part, with the beginnings of its documents."""
        if isinstance(text, Part):
            return text
        ids = self.encode(text, unknown, "`text`")
        if not len(ids):
            raise CharRNNError("`text` is empty; units have values only after characters.")
        end = self.network.end
        starts = None if end is None else np.array(end.places(ids), np.int64)
        return Part(ids, starts=starts, resets=self.text.resets)


def chosen(names: str | Sequence[str] | None) -> "list[Feature]":
    """Return the features with these names, all if None; raise CharRNNError for a name that no feature has."""
    from charrnn.text.features import FEATURES

    known = {feature.name: feature for feature in FEATURES}
    if names is None:
        return list(FEATURES)
    wanted = one_or_several("features", names, str, "the name of a feature, or several in a list")
    for name in wanted:
        if name not in known:
            raise CharRNNError(
                f"There is no feature {name!r}.", did_you_mean(name, known) or f"There are {', '.join(known)}."
            )
    return [known[name] for name in wanted]
