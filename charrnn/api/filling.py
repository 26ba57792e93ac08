"""Texts with a gap, and what may be missing there."""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.api.given import check_whole
from charrnn.errors import CharRNNError
from charrnn.inference.filling import Gap, Ids
from charrnn.inference.generation import not_a_number
from charrnn.inference.kinds import check_predicts_characters
from charrnn.inference.model import Model


@dataclass(frozen=True)
class Filling:
    """A text whose gap was filled.

    filling: what was missing; for a model of bytes, each character of both is one byte. bits: what it costs the models,
    with all that each of them reads after it; the fillings of a text are ranked by it.
    """

    text: str
    filling: str
    bits: float

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {"text": self.text, "filling": self.filling, "bits": self.bits}


def check_pair(model: Model, other: Model) -> None:
    """Raise CharRNNError unless two models read in opposite directions, and characters or bytes both."""
    if model.text.reverse == other.text.reverse:
        raise CharRNNError(
            f"Both models read from the {'end' if model.text.reverse else 'beginning'}.",
            hint="Train one of them with `reverse=True`.",
        )
    if model.text.bytes != other.text.bytes:
        raise CharRNNError("One model reads characters, and the other one bytes.", hint="Use two of the same kind.")


def parted(text: str, gap: str) -> tuple[str, str]:
    """Return what is before and after the gap of a text; a longer run of the last character of `gap` is one gap."""
    if not gap:
        raise CharRNNError("`gap` is empty; it must be the text that marks what is missing.")
    left, found, right = text.partition(gap)
    right = right.lstrip(gap[-1]) if set(gap) == {gap[-1]} else right
    if not found:
        raise CharRNNError(f"There is no {gap!r} in the text.", hint=f"Put {gap} where something is missing.")
    if gap in right:
        raise CharRNNError(f"The text has {gap!r} more than once.", hint="Fill one gap at a time.")
    return left, right


def fill(
    models: Sequence[Model],
    sides: tuple[str, str],
    texts: Sequence[tuple[np.ndarray, np.ndarray]],
    candidates: int,
    best: int,
    length: int,
    temperature: float | None,
    seed: int | None,
) -> list[Filling]:
    """Return the `best` fillings of a text, the likeliest first.

    models: one, or two that read in opposite directions. sides, texts: what is before and after the gap, as a text and
    as ids of each model.
    candidates, length: how many fillings of each length up to `length` each model proposes. temperature: propose texts
    that are drawn, with the random numbers of a seed; None searches for the likeliest ones.
    """
    for model in models:
        check_predicts_characters(model)
    if seed is not None:
        check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("candidates", candidates, least=1)
    check_whole("length", length, least=1)
    check_whole("best", best, least=1)
    if seed is not None and temperature is None:
        raise CharRNNError("`seed` has no effect without `temperature`: nothing is drawn.", hint="Leave it out.")
    gaps = [Gap(model, *sides) for model, sides in zip(models, texts, strict=True)]
    seed = secrets.randbits(63) if seed is None else seed
    # By the text, because the models may have different ids; the first proposal of each, so that ties have an order.
    found: dict[str, None] = {}
    for gap in gaps:
        proposed = (
            gap.likely(candidates, length) if temperature is None else gap.drawn(candidates, length, temperature, seed)
        )
        found |= dict.fromkeys(gap.model.vocab.decode(np.array(ids, np.int64)) for ids in proposed)
    known = [filling for filling in found if all(_knows(gap.model, filling) for gap in gaps)]
    if not known:
        raise CharRNNError("The models know no characters in common that could fill the gap.")
    total = np.sum([gap.costs([_ids(gap.model, filling) for filling in known]) for gap in gaps], axis=0)
    if np.isnan(total).any():
        raise not_a_number()
    order = np.argsort(total, kind="stable")[:best].tolist()
    return [Filling(sides[0] + known[at] + sides[1], known[at], float(total[at]) / math.log(2)) for at in order]


def _ids(model: Model, text: str) -> Ids:
    return tuple(model.vocab.encode(text).tolist())


def _knows(model: Model, text: str) -> bool:
    return bool((model.vocab.table(text) >= 0).all())
