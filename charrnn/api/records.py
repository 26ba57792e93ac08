"""Scores of lines, computed while the lines are read; a line may be a JSON object, of which one member is scored."""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from charrnn.api.generation import Notify, first_few
from charrnn.config import RANKS, TextConfig
from charrnn.errors import CharRNNError, did_you_mean
from charrnn.inference.lines import Score, Scorer
from charrnn.text.lines import Member, json_object, member_of, portions

if TYPE_CHECKING:
    from charrnn.api.scores import Scores
    from charrnn.inference.guesses import Guesses, Rank

# A message names at most this many members of an object.
_NAMES = 10


class Record(NamedTuple):
    """The score of a line.

    members: if the line is a JSON object, its other members. written: the scored text as it is written in the object.
    lack: what is wrong with a line that has no text to score; "" if it has one. Without a text no character counts.
    rank: the guess rank of the line, if ranks are wanted.
    """

    score: Score
    members: Sequence[Member] = ()
    written: str | None = None
    lack: str = ""
    rank: "Rank | None" = None


def records(
    source: str,
    scorer: Scorer,
    field: str | None,
    as_they_come: bool,
    notify: Notify,
    context_field: str | None = None,
) -> Iterator[Record]:
    """Yield the scores of the lines of a file, or of stdin (-), in their order.

    as_they_come: score each line as soon as it is read. field: each line is a JSON object, and this member of it is
    scored. context_field: the member whose text comes before the scored text. notify: called for lines that have no
    such text. If no line has one, a CharRNNError is raised after the last line; if the file is a table according to its
    name, at once.
    """
    if context_field is not None and field is None:
        raise CharRNNError(
            "`context_field` names a member of JSON objects, but without `field` the lines are not read as JSON.",
            hint="Use `field` to name the member whose text is to be scored.",
        )
    if field is not None:
        # The csv module is needed only here.
        from charrnn.text.tables import has_rows

        if has_rows(source):
            raise CharRNNError(
                f"{source} is a table, but score reads `field` only from JSON lines.",
                hint="Write each row as a JSON object on its own line, in a .jsonl file.",
            )
    notify_of_line = first_few(notify)
    first, scored, lack = 1, False, ""
    for portion in portions(source, scorer.text, as_they_come, notify):
        if field is None:
            yield from map(Record, scorer.score(portion, first))
        else:
            for record in _objects(portion, first, scorer, field, context_field, notify_of_line):
                scored, lack = scored or not record.lack, lack or record.lack
                yield record
        first += len(portion)
    if lack and not scored:
        raise CharRNNError(
            f"No line could be scored: the first one {lack}.",
            hint="Use `field` to name the member whose text is to be scored.",
        )


def ranked(found: Iterable[Record], guesses: "Guesses") -> Iterator[Record]:
    """Yield records with the guess ranks of their texts; the rank is NaN if there is no text."""
    from charrnn.inference.guesses import Rank

    for record in found:
        yield record._replace(rank=Rank(math.nan, math.nan) if record.lack else guesses.of(record.score))


def check_rank(by: str, threshold: float | None, model: "Scores") -> None:
    """Raise CharRNNError unless `by` is a rank that the model can compute, and `threshold` is finite or None."""
    if threshold is not None and not math.isfinite(threshold):
        raise CharRNNError(
            f"`threshold` is {threshold}; it must be a number of bits.", hint="For example `threshold=4`."
        )
    if by not in RANKS:
        raise CharRNNError(f"`by` is {by!r}; it must be one of {', '.join(RANKS)}.", did_you_mean(str(by), RANKS))
    if by == "excess" and model.network.val_nats is None:
        raise CharRNNError(
            f"`by='excess'` compares with the validation loss of the model, but {model.path} does not record it.",
            hint="Use `by='worst'`, which does not need it. Training records the validation loss, unless `val=0`.",
        )


def chosen(
    found: Iterable[Record], by: str, sort: bool = False, top: int | None = None, threshold: float | None = None
) -> Iterator[Record]:
    """Yield the records whose rank (`Score.by`) is `threshold` or more; with `sort` or `top` the highest ones first.

    top: yield at most this many. Lines in which no character counts have no rank: they are sorted last, and are never
    among the `top`.
    """
    if threshold is not None:
        found = (record for record in found if record.score.by(by) >= threshold)

    def highest_first(record: Record) -> tuple[float, int]:
        return (-record.score.by(by) if record.score.characters else math.inf, record.score.line)

    if top is not None:
        yield from heapq.nsmallest(top, (record for record in found if record.score.characters), key=highest_first)
    else:
        yield from sorted(found, key=highest_first) if sort else found


def _objects(
    lines: Sequence[str], first: int, scorer: Scorer, field: str, context_field: str | None, notify: Notify
) -> Iterator[Record]:
    """Yield the scores of lines that are JSON objects."""
    objects = [json_object(line, scorer.text) for line in lines]
    texts, lacks = _texts(objects, field, scorer.text)
    contexts = None
    if context_field is not None:
        contexts, lacking = _texts(objects, context_field, scorer.text)
        for place, context in enumerate(contexts):
            if not lacking[place] and scorer.ends_within(context):
                contexts[place] = ""
                lacking[place] = (
                    f"has the end of a document in {context_field!r}, and there the model forgets the text before it"
                )
        lacks = [lack or other for lack, other in zip(lacks, lacking, strict=True)]
    scores = scorer.score(texts, first, contexts)
    for line, members, lack, score in zip(lines, objects, lacks, scores, strict=True):
        member = member_of(members, field)
        if not lack and member is not None and members is not None:
            yield Record(score, [other for other in members if other.name != field], member.written)
            continue
        notify(f"Line {score.line:,} {lack}: it is not scored.")
        nothing = np.full(len(line), np.nan)
        odd = replace(score, text=line, read=line, surprisal=nothing, characters=0, bits=0.0, unknown=0)
        yield Record(odd, members or (), lack=lack)


def _texts(objects: Sequence[Sequence[Member] | None], field: str, config: TextConfig) -> tuple[list[str], list[str]]:
    """Return the text that each object has under a name, "" if it has none, and what is wrong with each object."""
    found = [(member := member_of(members, field)) and member.text(config) for members in objects]
    lacks = ["" if text is not None else _lack(own, field) for text, own in zip(found, objects, strict=True)]
    return [text or "" for text in found], lacks


def _lack(members: Sequence[Member] | None, field: str) -> str:
    """Return what is wrong with a line that has no text to score."""
    if members is None:
        return "is not a JSON object, but `field` needs one"
    if member_of(members, field):
        return f"has a member {field!r}, but it is not a text"
    has = ", ".join(member.name for member in members[:_NAMES]) or "nothing"
    return f"has no member {field!r}, only {has}{' …' if len(members) > _NAMES else ''}"
