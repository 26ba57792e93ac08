"""Completions of lines: the answers of a model that was trained on lines of source, separator and target."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from charrnn.api.alignment import Alignment, alignment
from charrnn.api.cuts import Cuts
from charrnn.api.generation import (
    FILTERS,
    How,
    Notify,
    Sample,
    best_of_drawn,
    check_beam,
    check_keep,
    check_random,
    first_few,
    unheard,
)
from charrnn.api.given import check_given
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import generation as made
from charrnn.inference.batch import generate
from charrnn.inference.beam import n_best
from charrnn.inference.ends import turned_ids
from charrnn.inference.generation import Generation
from charrnn.inference.model import Model
from charrnn.inference.reading import admitted
from charrnn.text.decoding import prepare
from charrnn.text.lines import portions, seen


def completing(model: Model, how: How, beam: int | None, best: int | None) -> How:
    """Return how lines are completed: to their end, with the likeliest characters, unless `how` replaces this."""
    if beam is not None:
        check_beam(beam, how, best or 1)
    elif best is not None:
        raise best_of_drawn()
    elif how.get("temperature") is None:
        # With an explicit temperature of 0 a seed is allowed: it does what it promises, the same text each time.
        check_random(how, (*FILTERS, "seed"))
    check_keep(how)
    # The end of a document if the model forgets documents, or else of a line.
    end = (model.text.document_end if model.text.resets else None) or "\n"
    given: Any = {name: value for name, value in how.items() if value is not None}
    return {"temperature": 0.0, "until": [end] if set(end) <= set(model.vocab.symbols) else [], **given}


class Answers:
    """Completes lines; `append` is put after each line, by default the model's separator if a line lacks it.

    beam: how many candidates a beam search has; None draws. best: how many texts it finds for each line. unknown:
    what to do with characters that the model has never seen (`Vocabulary.admission`).
    """

    def __init__(
        self,
        model: Model,
        how: Generation,
        beam: int | None,
        best: int | None,
        append: str | bytes | None,
        unknown: str | None,
        notify: Notify,
    ):
        check_given(append=append)
        self.model, self.how, self.beam, self.best, self.unknown = model, how, beam, best or 1, unknown
        self.append = None if append is None else prepare(append, model.reads)
        self.before = model.before(np.zeros(0, np.int64))
        self.notify = first_few(notify)
        self.cuts = Cuts(how.ending, notify, "completion")

    def to(self, lines: Sequence[str], before: int = 0) -> Iterator[Sample]:
        """Yield the completion of each of some lines, which come after `before` other lines."""
        if self.beam is not None:
            return (found[0] for found in self.n_best(lines, before))
        return map(self._named, self._drawn(lines, before))

    def n_best(self, lines: Sequence[str], before: int = 0) -> Iterator[list[Sample]]:
        """Yield the best completions of each of some lines, which come after `before` others; without a beam, one."""
        if self.beam is None:
            return ([sample] for sample in self.to(lines, before))
        return ([self._named(sample) for sample in found] for found in self._found(lines, before))

    def _named(self, sample: made.Sample) -> Sample:
        self.cuts.count(sample.ended)
        sample = sample.in_order(self.model, before_prime=True)
        return Sample(self.model.vocab.decode(sample.ids), *sample)

    def alignment(self, line: str, number: int, sample: Sample) -> Alignment:
        """Return where the model looked in line `number` while it wrote a completion of it."""
        ids = self._ids(line, number, unheard)
        return alignment(self.model, ids, sample.ids)

    def end(self) -> None:
        """Report how many completions were cut at their length."""
        self.cuts.tell()

    def _drawn(self, lines: Sequence[str], before: int) -> Iterator[made.Sample]:
        ids = (self._ids(line, number) for number, line in enumerate(lines, before + 1))
        after = (np.concatenate([self.before[-1:], self._read(own)]) for own in ids)
        return generate(self.model, self.before[:-1], after, self.how, first=before)

    def _found(self, lines: Sequence[str], before: int) -> Iterator[list[made.Sample]]:
        for number, line in enumerate(lines, before + 1):
            begin = np.concatenate([self.before, self._read(self._ids(line, number))])
            yield n_best(self.model, begin, self.beam or 1, self.best, self.how.ending, self.how.banned)

    def _read(self, ids: np.ndarray) -> np.ndarray:
        """Return the ids of a line as the model reads them: one that reads from the end writes what is before them."""
        return turned_ids(ids) if self.model.text.reverse else ids

    def _ids(self, line: str, number: int, notify: Notify | None = None) -> np.ndarray:
        text = seen(line, self.model.reads)
        between = self.append
        if between is None:
            separator = self.model.text.loss_after or ""
            between = "" if separator in text else separator
        text += between
        ids, notice = admitted(self.model.vocab, self.model.vocab.table(text), text, self.unknown, f"line {number}")
        if notice:
            (notify or self.notify)(notice)
        return ids[ids >= 0]


class Targets:
    """The right completions, as the lines of a text; counts how many completions are equal to them."""

    def __init__(self, model: Model, source: str, config: TextConfig):
        self.model = model
        self.compared = self.right = 0
        self._lines = chain.from_iterable(portions(source, config))

    def compare(self, text: str) -> dict[str, Any]:
        """Return the target of the next line, and whether a completion is right."""
        self.compared += 1
        target = next(self._lines, None)
        if target is None:
            raise CharRNNError(f"`check` has no line {self.compared:,}.", hint="It needs one target for each line.")
        right = text == seen(target, self.model.reads)
        self.right += right
        return {"target": target, "right": right}

    def end(self) -> None:
        """Raise CharRNNError unless there was one target for each line, and at least one line."""
        if next(self._lines, None) is not None:
            raise CharRNNError(
                f"`check` has more than {self.compared:,} lines.", hint="It needs one target for each line."
            )
        if not self.compared:
            raise CharRNNError("There were no lines to complete.", hint="Name a text with lines, or pipe one.")
