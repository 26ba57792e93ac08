"""Whole samples: many made in parallel, the choice of those to keep, and the likeliest ones of a search."""

import math
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product, repeat
from types import NoneType
from typing import TYPE_CHECKING

import numpy as np

from charrnn.api.cuts import Cuts
from charrnn.api.encoding import Encoder, Prime
from charrnn.api.generation import How, Notify, Sample, by_lines, check_beam, generation, sampling, several
from charrnn.api.given import check_given, check_whole, one_or_several
from charrnn.api.named import Corpus, names
from charrnn.config import RECORD_END, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import generation as made
from charrnn.inference.batch import SIDE_BY_SIDE, generate
from charrnn.text.tables import is_table

if TYPE_CHECKING:
    from charrnn.api.novelty import Wanted
    from charrnn.text.reader import Watch


class Which(How, total=False):
    """How samples are made, and which of them are kept.

    unique: keep no text twice. novel: keep no text that occurs in the training text; upper and lower case make no
    difference. novel_to: keep no text that occurs in these texts, which are in UTF-8 or in `encoding`. min_length,
    max_length: keep no text with fewer or more characters, not counting the prime and the end of the line. sort: rank
    the texts of each prime and temperature, the fewest bits per character (the most plausible) first. watch: is called
    with the number of bytes of a large text read so far, and of all.
    """

    unique: bool
    novel: bool
    novel_to: Corpus
    encoding: str | None
    min_length: int | None
    max_length: int | None
    sort: bool
    watch: "Watch | None"


def samples_of(
    model: Encoder,
    primes: Iterable[Prime] | Prime,
    temperatures: Iterable[float | None] | float | None,
    count: int,
    length: int,
    which: Which,
    notify: Notify,
) -> Iterator[Sample]:
    """Yield `count` new texts for each prime and temperature, in turn; fewer if none to keep is found for long."""
    check_whole("count", count, least=0)
    check_given(**{name: which.get(name) for name in ("unique", "novel", "sort")})
    starts = one_or_several("primes", primes, (str, bytes, np.ndarray), "a text, bytes or ids, or several in a list")
    heats = one_or_several(
        "temperatures", temperatures, (int, float, np.number, NoneType), "a number, or several in a list"
    )
    if which.get("temperature") is not None:
        raise CharRNNError("`temperatures` already names all temperatures.", hint="Leave out `temperature`.")
    how = by_lines(model.network, _how(which))
    units = several(model.network, how)
    if units > 1:
        # They do not depend on each other, so each of them is a separate sample.
        unit = "lines" if how.get("lines") else "documents"
        count, how = count * units, {**how, unit: 1}  # type: ignore[misc]
    if which.get("sort") and count == 1:
        raise CharRNNError("`sort` ranks several samples, but only one is made.", hint="Ask for more with `count`.")
    wanted = generation(model.network, length, how, notify)
    draws = [sampling({**how, "temperature": heat}) for heat in heats]
    ids = [model.encode(prime, how.get("unknown"), "`prime`") for prime in starts]
    take, end = _wanted(model, which, wanted.ending, notify), _end(model, wanted.ending)
    if take is not None and take.most is not None:
        # Longer samples are skipped anyway.
        ends = max([1, len(wanted.ending.end or ()), *map(len, wanted.ending.stops)])
        wanted = replace(wanted, ending=replace(wanted.ending, length=min(length, take.most + ends)))

    def each() -> Iterator[Sample]:
        for start, drawing in product(ids, draws):
            seed = wanted.seed if how.get("seed") is not None else secrets.randbits(63)
            made = drawn(model, start, replace(wanted, sampling=drawing, seed=seed), count, skipping=take is not None)
            if take is not None:
                from charrnn.api.novelty import kept

                made = kept(made, model.network, start, take, count, notify, end)
            found = _named(model, made, start, drawing.temperature)
            yield from sorted(found, key=partial(_bits, end)) if which.get("sort") else found

    return Cuts(wanted.ending, notify).watched(each())


def _end(model: Encoder, ending: made.Ending) -> str:
    """Return the end of a sample that is a line or a document; it does not count as a part of the sample."""
    if ending.lines == 1:
        return "\n"
    return "" if ending.end is None else model.vocab.decode(ending.end.ids)


def _bits(end: str, sample: Sample) -> float:
    """Return the bits per character of a sample without its `end`; infinity if empty, to be sorted last."""
    bits = sample.without_end(end, sample.prime).bits_per_char
    return math.inf if bits is None else bits


def _wanted(model: Encoder, which: Which, ending: made.Ending, notify: Notify) -> "Wanted | None":
    """Return the choice of samples to keep; None if all are kept."""
    unique, novel, novel_to = bool(which.get("unique")), which.get("novel"), which.get("novel_to") or ()
    least, most = which.get("min_length"), which.get("max_length")
    if not (unique or novel or novel_to or least is not None or most is not None):
        return None
    from charrnn.api.novelty import Wanted, known_text

    if least is not None or most is not None:
        _check_lengths(least, most, ending)
    known = None
    if novel and novel_to:
        raise CharRNNError(
            "`novel` compares with the training text, `novel_to` with another text; they cannot be combined.",
            hint="Leave out `novel`.",
        )
    if novel or novel_to:
        form = _compared_as(model, novel_to, which.get("encoding")) if novel_to else model.text
        known = known_text(model.path, form, names(novel_to, "novel_to"), which.get("watch"), notify)
    return Wanted(unique, known, least, most)


def _compared_as(model: Encoder, novel_to: Corpus, encoding: str | None) -> TextConfig:
    """Return how the texts of `novel_to` are read: records by the field of the model, other texts as it reads them."""
    form = model.read_as(encoding)
    if model.text.field is None:
        return form
    if all(is_table(name) for name in names(novel_to, "novel_to")):
        return replace(form, field=model.text.field)
    # Plain texts do not have the end that records get: any part of them is known.
    return replace(form, documents_between=None, loss_after=None) if form.documents_between == RECORD_END else form


def _check_lengths(least: int | None, most: int | None, ending: made.Ending) -> None:
    """Raise CharRNNError if no sample can have `min_length` to `max_length` characters, or all are equally long."""
    for name, value in (("min_length", least), ("max_length", most)):
        if value is not None:
            check_whole(name, value, least=1)
    if not ending.is_told:
        raise CharRNNError(
            "`min_length` and `max_length` are for samples that come to an end.",
            hint="Set their end with `until`, `lines` or `documents`; `length` cuts texts that have no end.",
        )
    most, name = (ending.length, "length") if most is None or most > ending.length else (most, "max_length")
    if (least or 0) > most:
        raise CharRNNError(f"`min_length={least}` is more than `{name}={most}`.", hint="Give a smaller `min_length`.")


def _how(which: Which) -> How:
    """Return how samples are made, without the choice of those to keep."""
    kept = Which.__annotations__.keys() - How.__annotations__.keys()
    return {name: value for name, value in which.items() if name not in kept}  # type: ignore[return-value]


def drawn(model: Encoder, ids: np.ndarray, how: made.Generation, count: int, skipping: bool) -> Iterator[made.Sample]:
    """Yield samples made in parallel: `count` of them, or endlessly many if some of them will be skipped."""
    before = model.network.before(ids)
    befores = repeat(before[-1:]) if skipping else repeat(before[-1:], count)
    made = generate(model.network, before[:-1], befores, how, min(SIDE_BY_SIDE, count)) if count else iter(())
    return (sample.in_order(model.network, len(ids) > 0) for sample in made)


def n_best(model: Encoder, beam: int, best: int, length: int, prime: Prime, how: How, notify: Notify) -> list[Sample]:
    """Return the `best` likeliest texts that a beam search with `beam` candidates finds, the likeliest first."""
    from charrnn.inference import beam as search

    check_beam(beam, how, best)
    if several(model.network, how) > 1:
        unit = "documents" if how.get("documents") else "lines"
        raise CharRNNError(
            f"`{unit}` has no effect with `beam`: the search would find the same text each time.",
            hint="Leave it out.",
        )
    wanted = generation(model.network, length, by_lines(model.network, how), notify)
    ids = model.encode(prime, how.get("unknown"), "`prime`")
    before = model.network.before(ids)
    found = search.n_best(model.network, before, beam, best, wanted.ending, wanted.banned)
    found = [sample.in_order(model.network, len(ids) > 0) for sample in found]
    if len(found) < best:
        notify(f"Found {len(found):,} of {best:,} texts; a wider `beam` may find more, if there are more.")
    return list(Cuts(wanted.ending, notify).watched(_named(model, found, ids, None)))


def _named(
    model: Encoder, samples: Iterable[made.Sample], prime: np.ndarray, temperature: float | None
) -> Iterator[Sample]:
    begun = model.vocab.decode(prime)
    return (Sample(model.vocab.decode(sample.ids), *sample, begun, temperature) for sample in samples)
