"""Whole samples: many made side by side, those of them that are wanted, and the likeliest of a search."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from charrnn.api.encoding import Encoder, Prime
from charrnn.api.generation import Cuts, How, Notify, Sample, by_lines, check_beam, generation
from charrnn.api.given import check_whole
from charrnn.api.named import Corpus, names
from charrnn.errors import CharRNNError
from charrnn.inference import generation as made
from charrnn.inference.batch import SIDE_BY_SIDE, generate

if TYPE_CHECKING:
    from charrnn.text.reader import Watch


class Which(How, total=False):
    """How samples are made, and which of them are kept.

    unique: no text twice. novel: none that occurs in the training text. novel_to: none that occurs in these texts,
    which are in UTF-8 or an `encoding`. watch: is told how far a large one has been read.
    """

    unique: bool
    novel: bool
    novel_to: Corpus
    encoding: str | None
    watch: "Watch | None"


def samples(model: Encoder, count: int, length: int, prime: Prime, which: Which, notify: Notify) -> Iterator[Sample]:
    """Yield new texts, made side by side; fewer than `count` if no new one comes for long."""
    check_whole("count", count, least=0)
    unique, novel, novel_to = which.get("unique"), which.get("novel"), which.get("novel_to") or ()
    how = by_lines(model.network, _how(which))
    if model.text.lines and how.get("lines"):
        # Lines know nothing of each other: each is a sample of its own.
        check_whole("lines", how["lines"], least=1)
        count, how = count * (how["lines"] or 1), {**how, "lines": 1}
    wanted = generation(model.network, length, how, notify)
    ids = model.encode(prime, how.get("unknown"), "`prime`")
    cuts = Cuts(wanted.ending, notify)
    if not (unique or novel or novel_to):
        return cuts.watched(_named(model, drawn(model, ids, wanted, count, skipping=False)))
    from charrnn.api.novelty import known_text, new_samples

    known = None
    if novel and novel_to:
        raise CharRNNError("`novel_to` names what to compare with instead of the training text: leave out `novel`.")
    if novel or novel_to:
        form = model.read_as(which.get("encoding")) if novel_to else model.text
        known = known_text(model.path, form, names(novel_to, "novel_to"), which.get("watch"), notify)
    every = drawn(model, ids, wanted, count, skipping=True)
    return cuts.watched(_named(model, new_samples(every, model.network, ids, bool(unique), known, count, notify)))


def _how(which: Which) -> How:
    """Return how samples are made, without which of them are kept."""
    kept = Which.__annotations__.keys() - How.__annotations__.keys()
    return {name: value for name, value in which.items() if name not in kept}  # type: ignore[return-value]


def drawn(model: Encoder, ids: np.ndarray, how: made.Generation, count: int, skipping: bool) -> Iterator[made.Sample]:
    """Yield samples made side by side: so many, or without an end if some of them will be skipped."""
    before = model.network.before(ids)
    befores = repeat(before[-1:]) if skipping else repeat(before[-1:], count)
    return generate(model.network, before[:-1], befores, how, min(SIDE_BY_SIDE, count)) if count else iter(())


def n_best(model: Encoder, beam: int, best: int, length: int, prime: Prime, how: How, notify: Notify) -> list[Sample]:
    """Return the `best` likeliest texts that a search along `beam` beginnings finds, the likeliest first."""
    from charrnn.inference import beam as search

    check_beam(beam, how, best)
    if model.text.lines and (how.get("lines") or 1) != 1:
        raise CharRNNError(
            "`lines` has no effect with `beam`: lines know nothing of each other, and each would be the same.",
            hint="Leave it out.",
        )
    wanted = generation(model.network, length, by_lines(model.network, how), notify)
    before = model.network.before(model.encode(prime, how.get("unknown"), "`prime`"))
    found = search.n_best(model.network, before, beam, best, wanted.ending, wanted.banned)
    if len(found) < best:
        notify(f"Found {len(found):,} of {best:,} texts; a wider `beam` may find more, if there are more.")
    return list(Cuts(wanted.ending, notify).watched(_named(model, found)))


def _named(model: Encoder, samples: Iterable[made.Sample]) -> Iterator[Sample]:
    return (Sample(model.vocab.decode(sample.ids), *sample) for sample in samples)
