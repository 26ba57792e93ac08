"""Texts as input of a model: characters, documents, and ids of its vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from charrnn.config import TrainConfig
from charrnn.data.parts import Part, select
from charrnn.data.repeated import Repeated, repeated
from charrnn.data.splits import Split, split
from charrnn.errors import CharRNNError
from charrnn.text.labelled import FIRST, is_label
from charrnn.text.text import Text
from charrnn.text.vocabulary import READERS_HINT, Vocabulary, nothing_left

# How many labels a message names.
SHOWN = 10


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text and the vocabulary that its ids, `part`, are of; `complete` if it has all of its characters."""

    text: Text
    vocab: Vocabulary
    part: Part
    complete: bool = True

    def __len__(self) -> int:
        return len(self.part)


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a run is trained on: a text and its parts, whose validation part may be `validation`, another text.

    `classes` are the labels to be predicted; None if characters are.
    """

    corpus: Corpus
    parts: Split
    validation: Corpus | None = None
    classes: tuple[str, ...] | None = None

    @property
    def notices(self) -> list[str]:
        """Return notices for the user about how the texts were read."""
        return [*self.corpus.text.notices, *(self.validation.text.notices if self.validation else ())]

    @cached_property
    def repeated(self) -> dict[str, Repeated]:
        """Return, for each held-out part, how much of it also occurs in the training part, if that is worth telling."""
        train, held_out = self.parts.train, {"validation": self.parts.val, "test": self.parts.test}
        unit = self.corpus.text.config.unit
        found = {part: repeated(train, parts, unit) for part, parts in held_out.items()}
        return {part: of for part, of in found.items() if of.matters}


def classes_of(*texts: Text | None) -> tuple[str, ...] | None:
    """Return the labels of texts, sorted, each once; None if the texts are not labelled."""
    labels = [text.labels for text in texts if text is not None and text.labels is not None]
    return tuple(sorted(set().union(*labels))) if labels else None


def as_ids(
    text: Text,
    vocab: Vocabulary,
    unknown: str | None = None,
    hint: str = READERS_HINT,
    classes: tuple[str, ...] | None = None,
) -> Corpus:
    """Return a text as ids of a vocabulary; `unknown` says how to treat characters that it lacks (`admission`).

    If they are an error, its hint is `hint`. classes: the labels of a model, which are those that the text may have.
    """
    known = set(vocab.symbols)
    lacking = {symbol: count for symbol, count in text.counted.items() if symbol not in known}
    table, numbers = vocab.table(text.symbols), _numbers(text, classes)
    if numbers is not None:
        # No input is a label, so its id does not matter.
        table[numbers >= 0] = 0
    whole = Part(
        text.codes,
        table,
        None if text.config.one_per_line else text.starts if text.begins is None else text.begins,
        text.symbols.find("\n") if text.config.one_per_line else None,
        text.config.resets,
        _separator(text, vocab),
        inner=text.begins is not None,
        classes=numbers,
    )
    where = text.names[0] if len(text.names) == 1 else "the text"
    if lacking:
        stand_in, notice = vocab.admission(lacking, unknown, where, lambda: _first(text, next(iter(lacking))), hint)
        table[table < 0] = -1 if stand_in is None else stand_in
        if stand_in is None:
            whole = select(whole, lambda low, high: table[text.codes[low:high]] >= 0)
        text = replace(text, notices=(*text.notices, notice))
        if not len(whole):
            raise nothing_left(where)
    _check_counts(where, text, [whole], "Use a text whose documents have characters after it.")
    return Corpus(text, vocab, whole, not lacking)


def _numbers(text: Text, classes: tuple[str, ...] | None) -> np.ndarray | None:
    """Return the number of the label that each symbol of a text stands for, int32, -1 for a character; or None."""
    if text.labels is None or classes is None:
        return None
    if odd := [label for label in text.labels if label not in classes]:
        raise CharRNNError(
            f"The model does not know the label {odd[0]!r}, which {text.names[0]} has; it knows "
            f"{', '.join(map(repr, classes[:SHOWN]))}{' …' if classes[SHOWN:] else ''}.",
            hint="A model cannot get new labels. A new one can be trained with them, from its weights: use `init`.",
        )
    numbers = [classes.index(text.labels[ord(symbol) - FIRST]) if is_label(symbol) else -1 for symbol in text.symbols]
    return np.array(numbers, np.int32)


def _separator(text: Text, vocab: Vocabulary) -> int | None:
    """Return the code of the character after which the loss counts, None if all of the text counts."""
    separator = text.config.loss_after
    if separator is None:
        return None
    if separator not in text.symbols:
        raise CharRNNError(
            f"{separator!r} does not occur in the text ({text.names[0]}"
            f"{', …' if len(text.names) > 1 else ''}); "
            "with `loss_after` only characters after it count.",
            hint="Use a text that has it between the two parts of each document.",
        )
    if separator not in vocab.symbols:
        raise CharRNNError(
            f"The vocabulary lacks {separator!r}, which `loss_after` names.", hint="Use one that has it, or no `vocab`."
        )
    return text.symbols.index(separator)


def _check_counts(where: str, text: Text, parts: Sequence[Part], hint: str) -> None:
    """Raise CharRNNError if no character counts in parts that are read together."""
    stretches = ((part, np.arange(*bounds)) for part in parts for bounds in part.blocks())
    if parts and not any(part.counts(places).any() for part, places in stretches):
        raise CharRNNError(
            f"In {where} nothing follows {text.config.loss_after!r}: with `loss_after` no character of it counts.",
            hint=hint,
        )


def _first(text: Text, character: str) -> str:
    return text.places(character, 1)[character][0]


def dataset(
    text: Text,
    vocab: Vocabulary,
    config: TrainConfig,
    validation: Text | None = None,
    hint: str = READERS_HINT,
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """Return the training, validation and test parts of a text; with another `validation` text, all of it trains.

    `hint` is the hint of the error for characters that the vocabulary lacks. `classes` are the labels of the model.
    """
    corpus = as_ids(text, vocab, hint=hint, classes=classes)
    other = None if validation is None else as_ids(validation, vocab, hint=hint, classes=classes)
    parts = split(corpus.part, config)
    hint = "Use a longer text, another `split`, `val` or `test`."
    for name, part in (("training", [parts.train]), ("validation", parts.val), ("test", parts.test)):
        _check_counts(f"the {name} part", text, part, hint)
    return Dataset(corpus, parts if other is None else replace(parts, val=(other.part,)), other, classes)
