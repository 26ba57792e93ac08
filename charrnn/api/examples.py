"""Labelled texts from which a probe is fitted, or on which it is tested."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.api.given import one_or_several
from charrnn.api.named import lines_of
from charrnn.errors import CharRNNError

# The share of the texts that is held out if no others are given: one of so many.
ONE_OF = 5
# A message names at most this many labels.
_NAMED = 3


@dataclass(frozen=True)
class Examples:
    """Texts and their labels, one for each."""

    texts: list[str]
    labels: list[str]

    @classmethod
    def of(cls, texts: Iterable[str], labels: Iterable[Any], parameter: str) -> "Examples":
        """Return texts and labels as callers give them; a message names the parameter."""
        found, whole = lines_of(texts, False), (str, int, np.integer)
        if isinstance(labels, str):
            raise CharRNNError("A list of labels was expected, but a single text was given.")
        names = [str(label) for label in one_or_several("labels", labels, whole, "a list of labels, each a str")]
        if len(found) != len(names):
            raise CharRNNError(f"There are {len(found):,} texts, but {len(names):,} labels; each text needs one.")
        if not found:
            raise CharRNNError(f"`{parameter}` has no texts.")
        return cls(found, names)

    def classes(self) -> list[str]:
        """Return the different labels, sorted; CharRNNError unless there are two, of at least two texts each."""
        counts = Counter(self.labels)
        if len(counts) == 1:
            raise CharRNNError(
                f"All {len(self.labels):,} texts have the same label, {self.labels[0]!r}; two labels are the least."
                if self.labels[1:]
                else f"There is only one text, and so only one label, {self.labels[0]!r}; two labels are the least.",
                hint="Check which field has the labels.",
            )
        single = sorted(label for label, count in counts.items() if count == 1)
        if single:
            some = named(single)
            raise CharRNNError(
                f"{'This label has' if len(single) == 1 else f'{len(single):,} labels have'} a single text: {some}.",
                hint="Each label needs at least two texts; leave out rare ones, or check which field has the labels.",
            )
        return sorted(counts)

    def parted(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of the texts to train on, and of those held out at random: of each label one of ONE_OF.

        Of a label at least two texts are left to train on. Raise CharRNNError if nothing can be held out.
        """
        rng, label = np.random.default_rng(seed), np.array(self.labels, object)
        held_out = np.zeros(len(label), bool)
        for name in self.classes():
            places = rng.permutation(np.flatnonzero(label == name))
            count = min(len(places) - 2, round(len(places) / ONE_OF))
            held_out[places[:count]] = True
        if not held_out.any():
            raise CharRNNError(
                "Each label has only two texts, so none can be held out.", hint="Give more texts, or `test`."
            )
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def at(self, places: np.ndarray) -> "Examples":
        """Return the examples at some places."""
        return Examples([self.texts[place] for place in places], [self.labels[place] for place in places])


def notices(train: Examples, held_out: Examples) -> Iterator[str]:
    """Yield what makes the figures of held-out texts less meaningful than they look."""
    has = set(train.labels)
    lacking = [label for label in held_out.labels if label not in has]
    if lacking:
        yield (
            f"{len(lacking):,} of the {len(held_out.labels):,} held-out texts have a label that no training text has "
            f"({named(sorted(set(lacking)))}): they count as wrong."
        )
    known = set(train.texts)
    repeated = sum(text in known for text in held_out.texts)
    if repeated:
        yield f"{repeated:,} of the {len(held_out.texts):,} held-out texts also occur among the training texts."


def named(labels: Sequence[str]) -> str:
    """Return the first few labels for a message."""
    return ", ".join(map(repr, labels[:_NAMED])) + (", …" if len(labels) > _NAMED else "")
