"""N-gram models that are trained on the training part of a text and predict what is held out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.config import NGRAM_ORDER
from charrnn.data.corpus import Dataset
from charrnn.data.parts import Part
from charrnn.data.turned import turned
from charrnn.inference.ngrams import predicted

# At most this many characters are trained on, the last ones: for them a gigabyte of memory is enough if the text is
# natural, and two if it is random.
TRAINED = 20_000_000
# At the end of training, n-gram models are trained if all characters together are at most so many: it takes about a
# second (`benchmarks/ngrams.py`). The size decides, not a clock, so that every machine logs the same figures.
QUICK = 2_000_000
# Characters on which the speed is measured. Longer texts take longer for each character.
_MEASURED, _LONGER = 50_000, 1.5


@dataclass(frozen=True)
class NGrams:
    """How well the n-gram model of an order predicts a held-out part.

    nats_per_char: the mean over the characters that count. ngrams: how many n-grams it stores, of all lengths.
    """

    order: int
    nats_per_char: float
    ngrams: int

    @property
    def bits_per_char(self) -> float:
        """Return the mean cross-entropy in bits per character."""
        return self.nats_per_char / math.log(2)

    def to_json(self) -> dict[str, Any]:
        """Return all numbers by name."""
        return {
            "order": self.order,
            "bits_per_char": self.bits_per_char,
            "nats_per_char": self.nats_per_char,
            "ngrams": self.ngrams,
        }


def ngram_models(
    data: Dataset, held: Mapping[str, Sequence[Part]], highest: int = NGRAM_ORDER
) -> dict[str, tuple[NGrams, ...]]:
    """Return for each of some held-out parts, by name, how well the orders from 1 to `highest` predict it.

    The models read the text in the direction in which a network would. The loss of a part of which nothing counts is
    NaN.
    """
    train = data.parts.train
    parts = [_in_order(part, data) for some in held.values() for part in some]
    found = predicted(
        _in_order(train.cut(max(0, len(train) - TRAINED), len(train)), data), parts, data.corpus.vocab.size, highest
    )
    nats, models, low = -np.log(found.probabilities), {}, 0
    for name, some in held.items():
        counted = sum(part.counted() for part in some)
        means = nats[:, low : low + counted].mean(axis=1) if counted else np.full(highest, math.nan)
        low += counted
        models[name] = tuple(map(NGrams, range(1, highest + 1), means.tolist(), found.ngrams))
    return models


def best_quick(data: Dataset, held: Sequence[Part]) -> NGrams | None:
    """Return the model of the best order for a held-out part; None if that would take long or there is none."""
    if not is_quick(data, held) or not any(part.counted() for part in held):
        return None
    return best(ngram_models(data, {"": held})[""])


def best(models: Sequence[NGrams]) -> NGrams:
    """Return the model that predicts best; of equally good ones, that of the lowest order."""
    return min(models, key=lambda model: model.nats_per_char)


def is_quick(data: Dataset, held: Sequence[Part]) -> bool:
    """Return whether n-gram models are trained at the end of training: of characters, and if there are not too many."""
    return data.classes is None and bool(held) and len(data.parts.train) + sum(map(len, held)) <= QUICK


def seconds_of_ngrams(data: Dataset, held: Sequence[Part]) -> float:
    """Return an estimate of the seconds that `best_quick` will take, from a few characters."""
    if not is_quick(data, held):
        return 0.0
    train = data.parts.train.cut(0, _MEASURED)
    few = replace(data, parts=replace(data.parts, train=train))
    began = perf_counter()
    ngram_models(few, {"": [held[0].cut(0, min(len(held[0]), 1000))]})
    share = (len(data.parts.train) + sum(map(len, held))) / len(train)
    return (perf_counter() - began) * max(1.0, share * _LONGER)


def _in_order(part: Part, data: Dataset) -> Part:
    """Return a part in the order in which it is read."""
    text = data.corpus.text.config
    if not text.reverse:
        return part
    return turned(part, data.corpus.vocab.encode(text.document_end or "").tolist())
