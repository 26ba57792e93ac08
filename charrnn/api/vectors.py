"""Vectors of texts, made of the hidden state of a model."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from charrnn.api.encoding import Encoder
from charrnn.api.given import check_one_of, check_unknown, check_whole, unfit
from charrnn.api.named import lines_of
from charrnn.config import LAYER, POOLS, STATE, TextConfig
from charrnn.inference.reading import LineReader
from charrnn.inference.scoring import Reader, begin
from charrnn.inference.vectors import vectors, width
from charrnn.network.units import Field, fields


class Embedder:
    """Makes a vector of each text, some texts at a time; `width` is the length of a vector.

    pool: how the states after the characters of a text become one vector, one of POOLS. fields: of the hidden state.
    """

    def __init__(self, reader: LineReader, pool: str, of: Sequence[Field]):
        self.reader, self.pool, self.fields = reader, pool, of
        self.width = width(reader.model, pool, of)

    @cached_property
    def _begun(self) -> Reader:
        return begin(self.reader.model, self.reader.model.before(np.zeros(0, np.int64)))

    def embed(self, texts: Sequence[str], first: int = 1) -> np.ndarray:
        """Return a vector for each text (a line without its end), float32 (texts, width); numbered from `first`."""
        return vectors(self._begun, self.reader.read(texts, first), self.pool, self.fields)


class Vectors(Encoder):
    """The part of `charrnn.Model` that makes vectors of texts."""

    def embed(
        self,
        lines: Iterable[str],
        *,
        pool: str = POOLS[0],
        layer: int | None = LAYER,
        state: str | None = STATE,
        unknown: str | None = None,
    ) -> np.ndarray:
        """Return a vector for each line, float32 (lines, width), made of the hidden state while the model reads it.

        pool: "mean", "max" or "last" of the states after each character, or "first-last". layer: whose state, from 0;
        -1 is the highest, None all of them. state: which field of it, such as "h" or "c"; None all of them. unknown:
        what to do with characters that the model has never seen, as in `score`. Each line is read without those before
        it. Vectors of several fields, or of the first and the last state, are side by side.
        """
        embedder = self.embedder(pool=pool, layer=layer, state=state, unknown=unknown)
        return embedder.embed(lines_of(lines, self.text.bytes))

    def embedder(
        self,
        text: TextConfig | None = None,
        *,
        pool: str = POOLS[0],
        layer: int | None = LAYER,
        state: str | None = STATE,
        unknown: str | None = None,
    ) -> Embedder:
        """Return an `Embedder`, for some lines at a time; it reads them as `text` says, by default as in training."""
        check_unknown(unknown)
        check_one_of("pool", pool, POOLS)
        if layer is not None:
            check_whole("layer", layer, least=-self.config.layers)
        if state is not None and not isinstance(state, str):
            raise unfit("state", state, "a str")
        reader = LineReader(self.network, text or self.read_as(), unknown)
        return Embedder(reader, pool, fields(self.config, layer, state))
