"""Prints generated text: while it is generated, sample by sample, as ids, in colours, as records, or as a table."""

import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO

from charrnn.api.json_text import json_text
from charrnn.cli.console import TextWriter, Writer, printable, say
from charrnn.cli.views.whole import Whole
from charrnn.errors import CharRNNError
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    import numpy as np

    from charrnn.api.generation import Sample
    from charrnn.api.model import Model
    from charrnn.cli.views.sample_files import SampleFiles
    from charrnn.inference.generation import Character

# Streamed text is written at least this often, in seconds, and in pieces of at most this many characters.
_PAUSE = 0.02
_PIECE = 2000


@dataclass(frozen=True)
class Form:
    """How samples are printed: as records, as a table, as ids, in colours, as the `best` of a search, or as they are.

    one_line: whether each sample is a line; if not, samples are separated by an empty line. kept_end: whether the end
    of a line is part of its record. shows_prime: whether the prime is printed too. headed: which of "prime" and
    "temperature" are printed on stderr before the samples that have them in common. marker: the text that ends a
    document, which is not part of a sample; with_marker: whether it is printed after each instead of a line break.
    """

    jsonl: bool = False
    csv: bool = False
    ids: bool = False
    coloured: bool = False
    best: int | None = None
    one_line: bool = False
    kept_end: bool = False
    shows_prime: bool = True
    headed: Sequence[str] = ()
    marker: str = ""
    with_marker: bool = False

    def __post_init__(self) -> None:
        if self.csv and (self.jsonl or self.best is not None):
            raise CharRNNError(
                f"--csv and {'--jsonl' if self.jsonl else '--best'} print different tables.",
                hint="Leave out one of them.",
            )
        if self.coloured and (self.ids or self.is_table):
            raise CharRNNError(
                "--show-surprisal colours the printed text, so it cannot be combined with a table or with --ids.",
                hint="Leave out --jsonl, --csv, --best and --ids.",
            )

    @property
    def is_table(self) -> bool:
        """Return whether each sample is a row or a record."""
        return self.jsonl or self.csv or self.best is not None


class Output:
    """Writes samples that continue `primes`, in an `encoding` (records: UTF-8), to stdout or to `files`.

    Each sample ends with a line break. Use it as a context manager.
    """

    def __init__(
        self,
        model: "Model",
        form: Form,
        primes: "Iterable[np.ndarray]",
        encoding: str,
        files: "SampleFiles | None" = None,
    ):
        self.vocab, self.run, self.text, self.form, self.files = model.vocab, model.run, model.text, form, files
        self.primes = {self.vocab.decode(prime): prime for prime in primes}
        self.encoding, self.coloured = encoding, form.coloured and _colours()
        self.whole, self.before = Whole(model.text.bytes), ""
        self.number = 0
        self._open = ExitStack()
        self._write_to(None)

    def __enter__(self) -> "Output":
        if self.files is not None and not self.files.each:
            self._write_to(self._open.enter_context(self.files.written()))
        if self.form.csv:
            prime = ["prime"] if self.form.shows_prime else []
            self._write(_row(["n", *prime, "temperature", "bits", "bits_per_char", "text"]))
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)

    def _write_to(self, file: BinaryIO | None) -> None:
        """Write to this file from now on, or to stdout."""
        self.writer, self.data = TextWriter(self.encoding, self.text.bytes, to=file), Writer(to=file)
        self.to_terminal = file is None and sys.stdout.isatty()

    @property
    def streams(self) -> bool:
        """Return whether a text can be written while it is generated."""
        return not self.form.is_table and not (self.files and self.files.each)

    def stream(self, characters: Iterable["Character"]) -> None:
        """Write one text while it is generated, unchanged."""
        (prime,) = self.primes.values()
        shown = prime if self.form.shows_prime else ()
        if not self.text.reverse:
            self._write(self._text(shown, more=True), more=True)
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
        # On a terminal the prompt must begin on a new line; a file gets exactly the generated characters.
        last = self._text(ids, nats) + (self._text(shown) if self.text.reverse else "")
        self._write(last + ("\n" if self.form.ids or self.to_terminal else ""))

    def samples(self, samples: Iterable["Sample"]) -> None:
        """Write whole samples, one after the other."""
        group, rank = None, 0
        for sample in samples:
            if group != (sample.prime, sample.temperature):
                group, rank = (sample.prime, sample.temperature), 0
                self._head(sample)
            self.number, rank = self.number + 1, rank + 1
            with self._of_its_own():
                apart = self.number > 1 and not (
                    self.form.one_line or self.form.ids or self.form.is_table or self.form.with_marker
                )
                between = "\n" if apart and not (self.files and self.files.each) else ""
                self._write(between + self._shown(sample, rank))

    @contextmanager
    def _of_its_own(self) -> Iterator[None]:
        """Write to the file of the next sample until the block ends, if each sample has its own file."""
        if self.files is None or not self.files.each:
            yield
            return
        with self.files.written(self.number) as file:
            self._write_to(file)
            yield

    def _head(self, sample: "Sample") -> None:
        """Print what the next samples have in common."""
        if self.form.headed and self.files is None and not self.form.jsonl and not self.form.csv:
            facts = {"prime": repr(readable(sample.prime, self.text)), "temperature": f"{sample.temperature}"}
            say(printable(", ".join(f"{name} {facts[name]}" for name in self.form.headed) + ":"))

    def _shown(self, whole: "Sample", rank: int) -> str:
        """Return a sample as it is printed, with a line break or marker at its end."""
        prime = self.primes[whole.prime] if self.form.shows_prime else ()
        sample = whole.without_end(self.form.marker, whole.prime)
        if not self.form.is_table and self.form.with_marker and not self.form.ids:
            text = self._joined(prime, whole)
            # A document that something else ended has no marker; the next one begins on a new line all the same.
            text += "\n" if sample is whole else ""
            # On a terminal each sample begins on a new line; a file gets exactly what the model has written.
            return text + ("\n" if self.to_terminal and not text.endswith("\n") else "")
        if not self.form.is_table:
            ids = [sample.ids, prime] if self.text.reverse else [prime, sample.ids]
            last = next((part[-1:] for part in reversed(ids) if len(part)), ())
            end = "" if not self.form.ids and self.vocab.decode(last) == "\n" else "\n"
            return self._joined(prime, sample) + end
        if self.form.one_line and not self.form.kept_end:
            # The line break is not part of a line, as in the records of `score`.
            sample = sample.without_line_end()
        if self.form.jsonl:
            return as_line(ranked(sample, rank, self.form.best) | self._record(sample))
        text = self._text(sample.ids).rstrip(" " if self.form.ids else "")
        if self.form.csv:
            facts = [f"{sample.bits:.4f}", "" if sample.bits_per_char is None else f"{sample.bits_per_char:.4f}"]
            heat = "" if sample.temperature is None else f"{sample.temperature:g}"
            begun = [self._text(prime)] if self.form.shows_prime else []
            return _row([str(self.number), *begun, heat, *facts, text])
        parts = [text, self._text(prime)] if self.text.reverse else [self._text(prime), text]
        return columns(sample, "".join(parts).replace("\n", "\\n") + "\n")

    def _joined(self, prime: Any, sample: "Sample") -> str:
        """Return a sample after its prime, or before it if the model reads from the end."""
        if self.text.reverse:
            return self._text(sample.ids, sample.nats, more=True) + self._text(prime)
        return self._text(prime, more=True) + self._text(sample.ids, sample.nats)

    def _text(self, ids: Any, nats: Any = None, more: bool = False) -> str:
        """Return the text that is shown for some ids; in colours, an incomplete UTF-8 character waits for its rest."""
        if self.form.ids:
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
        """Return the record of a sample for --jsonl."""
        facts: dict[str, Any] = {"prime": sample.prime} if self.form.shows_prime else {}
        facts |= {"temperature": sample.temperature, **sample.to_json(), "run": self.run}
        facts |= {name: readable(facts[name], self.text) for name in ("prime", "text") if name in facts}
        return facts | ({"ids": sample.ids.tolist()} if self.form.ids else {})

    def _write(self, text: str, more: bool = False) -> None:
        if self.form.jsonl or self.coloured:
            # Here even bytes have become text: the mark of a line break, for example, is not a byte.
            self.data.write(text)
        else:
            self.writer.write(text, more)


def _row(cells: Sequence[str]) -> str:
    """Return a row of a table of comma-separated values."""
    # Few samples are printed as a table.
    import csv

    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(cells)
    return row.getvalue()


def columns(sample: "Sample", shown: str) -> str:
    """Return the line of a text: its probability and its bits, both including its end, then the text."""
    return f"{sample.probability_with_end:.6g}\t{sample.bits_with_end:.4f}\t{shown}"


def ranked(sample: "Sample", rank: int, best: int | None) -> dict[str, Any]:
    """Return the additional members of the record of one of the `best` N texts; nothing without --best."""
    return {} if best is None else {"rank": rank, "probability_with_end": sample.probability_with_end}


def as_line(facts: dict[str, Any]) -> str:
    """Return a record as a line of JSON."""
    return json_text(facts, ascii_only=False)


def _colours() -> bool:
    from charrnn.cli.views.heat import wanted

    if not wanted():
        say("Colours are printed only to terminals; set FORCE_COLOR=1 to print them anywhere.")
    return wanted()
