"""Vectors of texts, made of the hidden state of one or several models, and what is done with them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from charrnn.api.encoding import Encoder
from charrnn.api.given import check_one_of, check_unknown, check_whole, unfit
from charrnn.api.named import lines_of
from charrnn.config import LAYER, MAPS, POOLS, SIMILAR, STATE, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference.reading import LineReader
from charrnn.inference.scoring import Reader, begin
from charrnn.inference.vectors import vectors, width
from charrnn.network.units import Field, fields
from charrnn.text.lines import PORTION

if TYPE_CHECKING:
    from charrnn.api.similar import Similar


class Pooled(TypedDict, total=False):
    """How a vector is made of the states of a model; all of these are optional.

    pool: "mean", "max" or "last" of the states after each character, or "first-last". layer: whose state, from 0; -1 is
    the highest, None all of them. state: which field of it, such as "h" or "c"; None all of them. unknown: what to do
    with characters that the model has never seen: "error", "skip" or "replace"; by default they are not read.
    """

    pool: str
    layer: int | None
    state: str | None
    unknown: str | None


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

    def embed(self, texts: Sequence[str], first: int = 1, what: str = "line") -> np.ndarray:
        """Return a vector for each text (a line without its end), float32 (texts, width).

        Messages number the texts from `first`, and say `what` they are.
        """
        return vectors(self._begun, self.reader.read(texts, first, what), self.pool, self.fields)


class Joined:
    """Makes vectors of texts with one or several models, whose vectors are side by side.

    `text` says how texts are decoded; each model then prepares them as it was trained. `width` is the length of a
    vector. encoding, errors: as in `Model.read_as`, but invalid bytes are replaced by default.
    """

    def __init__(
        self,
        models: Sequence["Vectors"],
        encoding: str | None = None,
        errors: str | None = None,
        **how: Unpack[Pooled],
    ):
        of_bytes = [model.text.bytes for model in models]
        if any(of_bytes) and not all(of_bytes):
            raise CharRNNError(
                "A model of bytes and a model of characters cannot be joined: they do not read the same text.",
                hint="Make their vectors separately.",
            )
        configs = [model.read_as(encoding, errors or ("strict" if of_bytes[0] else "replace")) for model in models]
        self.embedders = [model.embedder(config, **how) for model, config in zip(models, configs, strict=True)]
        self.width = sum(embedder.width for embedder in self.embedders)
        newlines = "keep" if any(config.newlines == "keep" for config in configs) else "lf"
        self.text = replace(configs[0], newlines=newlines, normalize=None, lower=False)

    def embed(self, texts: Sequence[str], first: int = 1, what: str = "line") -> np.ndarray:
        """Return a vector for each text, float32 (texts, width); `first` and `what` as in `Embedder.embed`."""
        found = [embedder.embed(texts, first, what) for embedder in self.embedders]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def each(self, portions: Iterable[list[str]]) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield portions of texts, which are numbered from 1, with their vectors."""
        first = 1
        for texts in portions:
            yield texts, self.embed(texts, first)
            first += len(texts)


def in_portions(texts: list[str]) -> Iterator[list[str]]:
    """Yield texts in portions of the size that is processed at once."""
    for low in range(0, len(texts), PORTION):
        yield texts[low : low + PORTION]


class Vectors(Encoder):
    """The part of `charrnn.Model` that makes vectors of texts, and compares them."""

    def embed(self, lines: Iterable[str], **how: Unpack[Pooled]) -> np.ndarray:
        """Return a vector for each line, float32 (lines, width), made of the hidden state while the model reads it.

        how: which states, and how they become one vector (`charrnn.api.vectors.Pooled`): `pool`, `layer`, `state`,
        `unknown`. Each line is read without those before it. Vectors of several fields, or of the first and the last
        state, are side by side.
        """
        return self.embedder(**how).embed(lines_of(lines, self.text.bytes))

    def similar(
        self,
        queries: Iterable[str],
        lines: Iterable[str],
        *,
        top: int = SIMILAR,
        whiten: bool = False,
        **how: Unpack[Pooled],
    ) -> "list[list[Similar]]":
        """Return for each query the `top` lines whose vectors are most similar to its own, the most similar first.

        Similarity is the cosine of two vectors after the mean of the vectors of all lines was subtracted; with `whiten`
        their directions are also made uncorrelated and equally wide. Lines that are equally similar keep their order.
        how: as in `embed`.
        """
        from charrnn.api.similar import Search

        check_whole("top", top, least=1)
        given = lines_of(queries, self.text.bytes, "queries")
        with Search(Joined([self], **how), whiten) as search:
            for portion in in_portions(lines_of(lines, self.text.bytes)):
                search.add(portion)
            return search.nearest(given, top)

    def map(self, lines: Iterable[str], *, method: str = MAPS[0], seed: int = 0, **how: Unpack[Pooled]) -> np.ndarray:
        """Return a place on a map of two dimensions for each line, float64 (lines, 2): similar lines are near.

        The vectors are standardized. method: "pca" (their two principal components) or "tsne", which keeps neighbours
        together, for at most 20,000 lines; both are scikit-learn's. seed: of the random numbers of t-SNE. how: as in
        `embed`.
        """
        from charrnn.api.mapping import check_method, check_most, map_of

        check_method(method, seed or None)
        given = lines_of(lines, self.text.bytes)
        check_most(method, len(given))
        return map_of(Joined([self], **how), given, method, seed).points

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
