"""Printing generated text: as it is made, a sample at a time, as ids, in colours, or as records."""

import math
import sys
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from charrnn.api.json_text import json_text
from charrnn.cli.console import TextWriter, say, write_data
from charrnn.cli.views.whole import Whole
from charrnn.errors import CharRNNError
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    import numpy as np

    from charrnn.api.generation import Sample
    from charrnn.api.model import Model
    from charrnn.inference.generation import Character

# Text that is streamed is written at least so often, in seconds, and in pieces of at most so many characters.
_PAUSE = 0.02
_PIECE = 2000


class Output:
    """Where samples go that follow the ids `prime`, in an `encoding`; records are in UTF-8. None is a prime not shown.

    Each is ended by a line break; where they are not of `one_line`, an empty line is between them. In records the end
    of a line is no part of it, unless it is a `kept_end`.
    """

    def __init__(
        self,
        model: "Model",
        prime: "np.ndarray | None",
        as_records: bool,
        as_ids: bool,
        coloured: bool,
        one_line: bool,
        kept_end: bool,
        encoding: str,
    ):
        self.vocab, self.run, self.form = model.vocab, model.run, model.text
        self.prime: Sequence[int] | np.ndarray = () if prime is None else prime
        self.shows_prime = prime is not None
        self.as_records, self.as_ids, self.one_line, self.kept_end = as_records, as_ids, one_line, kept_end
        if coloured and (as_records or as_ids):
            raise CharRNNError("--show-surprisal colours the text itself.", hint="Leave out --jsonl and --ids.")
        self.coloured = coloured and _colours()
        self.writer = TextWriter(encoding, model.text.bytes)
        self.whole, self.before = Whole(model.text.bytes), ""

    def stream(self, characters: Iterable["Character"]) -> None:
        """Write one text as it comes, exactly as it is."""
        self._write(self._text(self.prime, more=True), more=True)
        ids: list[int] = []
        nats: list[float] = []
        written = 0.0
        for character, cost in characters:
            ids.append(character)
            nats.append(cost)
            if len(ids) == _PIECE or perf_counter() - written > _PAUSE:
                self._write(self._text(ids, nats, more=True), more=True)
                ids.clear()
                nats.clear()
                written = perf_counter()
        # A terminal's prompt belongs on a line of its own; a file gets the characters asked for and no other.
        self._write(self._text(ids, nats) + ("\n" if self.as_ids or sys.stdout.isatty() else ""))

    def samples(self, samples: Iterable["Sample"]) -> None:
        """Write whole samples, one after the other."""
        for number, sample in enumerate(samples):
            if self.as_records:
                self._write(as_line(self._record(sample)))
                continue
            between = "\n" if number and not self.one_line and not self.as_ids else ""
            last = sample.ids[-1:] if len(sample.ids) else self.prime[-1:]
            end = "" if not self.as_ids and self.vocab.decode(last) == "\n" else "\n"
            self._write(between + self._text(self.prime, more=True) + self._text(sample.ids, sample.nats) + end)

    def found(self, samples: Iterable["Sample"], best: int | None) -> None:
        """Write the texts that a search has found: as others are, or ranked, where it was asked for the `best` N."""
        if best is None:
            self.samples(samples)
            return
        for rank, sample in enumerate(samples, 1):
            if self.as_records:
                self._write(as_line(ranked(sample, rank, best) | self._record(sample)))
            else:
                sample = sample.without_line_end() if self.one_line and not self.kept_end else sample
                text = (self._text(self.prime) + self._text(sample.ids)).removesuffix(" " if self.as_ids else "")
                self._write(columns(sample, text.replace("\n", "\\n") + "\n"))

    def _text(self, ids: Any, nats: Any = None, more: bool = False) -> str:
        """Return what is shown of some ids; bytes that more of the same text may follow wait for it in colours."""
        if self.as_ids:
            return "".join(f"{id} " for id in ids)
        text = self.vocab.decode(ids)
        if not self.coloured:
            return text
        from charrnn.cli.views.heat import coloured

        costs = [math.nan] * len(text) if nats is None else [cost / math.log(2) for cost in nats]
        text, bits = self.whole(text, costs, more)
        before, self.before = self.before, text[-1:] or self.before
        return coloured(text, bits, before)

    def _record(self, sample: "Sample") -> dict[str, Any]:
        """Return what --jsonl says of a sample; of a line its end is no part, as in the records of `score`."""
        sample = sample.without_line_end() if self.one_line and not self.kept_end else sample
        facts = {"prime": self.vocab.decode(self.prime)} if self.shows_prime else {}
        facts |= {**sample.to_json(), "run": self.run}
        facts |= {name: readable(facts[name], self.form) for name in ("prime", "text") if name in facts}
        return facts | ({"ids": sample.ids.tolist()} if self.as_ids else {})

    def _write(self, text: str, more: bool = False) -> None:
        if self.as_records or self.coloured:
            # Even bytes have become text: the mark of a line break is none of them.
            write_data(text)
        else:
            self.writer.write(text, more)


def columns(sample: "Sample", shown: str) -> str:
    """Return a text as it is shown after the probability and the bits of it and its end."""
    return f"{sample.probability_with_end:.6g}\t{sample.bits_with_end:.4f}\t{shown}"


def ranked(sample: "Sample", rank: int, best: int | None) -> dict[str, Any]:
    """Return what the record of a text says more that is one of the `best` N; nothing if it is not."""
    return {} if best is None else {"rank": rank, "probability_with_end": sample.probability_with_end}


def as_line(facts: dict[str, Any]) -> str:
    """Return a record as a line of JSON."""
    return json_text(facts, ascii_only=False)


def _colours() -> bool:
    from charrnn.cli.views.heat import wanted

    if not wanted():
        say("Colours are for terminals; FORCE_COLOR=1 writes them anywhere.")
    return wanted()
