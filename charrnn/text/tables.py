"""Files of records (lines of JSON, or tables): reads the text of one field of each record."""

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import NamedTuple

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError, did_you_mean
from charrnn.text.decoding import HEAD, Decoder, prepare

# The endings of names; before the form of the records is read from a name, the ending of a packed file is removed.
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".lzma")
_JSON, _DELIMITERS = (".jsonl", ".ndjson"), {".csv": ",", ".tsv": "\t"}
# A message names at most this many fields of a record.
_NAMES = 10
# If a field has more characters, most likely a closing quotation mark is missing.
_LONGEST = 1 << 27
_SURROGATE = re.compile("[\ud800-\udfff]")


def is_table(name: str) -> bool:
    """Return whether a file has records, according to its name."""
    return _suffix(name) in (*_JSON, *_DELIMITERS)


def has_rows(name: str) -> bool:
    """Return whether the records of a file are the rows of a table (.csv, .tsv), according to its name."""
    return _suffix(name) in _DELIMITERS


def is_tsv(name: str) -> bool:
    """Return whether a file is a table with tabs, according to its name."""
    return _suffix(name) == ".tsv"


def check_table(name: str, field: str) -> None:
    """Raise CharRNNError if the name of a file does not show the form of its records."""
    if is_table(name):
        return
    what = "stdin has no name that shows" if name == "stdin" else f"The name {name} does not show"
    raise CharRNNError(
        f"{what} the form of its records; `field={field!r}` reads .jsonl and .ndjson (lines of JSON), .csv and .tsv "
        "(tables), packed or not (.csv.gz).",
        hint="Give the file such a name. To turn a JSON array into lines: jq -c '.[]' a.json > a.jsonl",
    )


def _suffix(name: str) -> str:
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix in _PACKED else path.suffix


class Labelled(NamedTuple):
    """A text and its label."""

    label: str
    text: str


def as_written(config: TextConfig) -> TextConfig:
    """Return how records are decoded: the settings change the texts in the records, not the records themselves."""
    return replace(config, bytes=False, newlines="keep", normalize=None, lower=False)


def without_surrogates(text: str) -> str:
    """Return a text with U+FFFD in place of each half of a character."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def whole_lines(decoder: Decoder, blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a file with their ends."""
    begun: list[str] = []
    for data in blocks:
        *whole, last = decoder.feed(data).split("\n")
        if whole:
            begun.append(whole[0])
            yield "".join(begun) + "\n"
            yield from (f"{line}\n" for line in whole[1:])
            begun.clear()
        begun.append(last)
    *whole, last = ("".join(begun) + decoder.close()).split("\n")
    yield from (f"{line}\n" for line in whole)
    if last:
        yield last


class Table:
    """The texts under the name `config.field` in the records of a file, read in one pass, maybe with their labels.

    The texts are prepared for a model (`prepare`). Records without a text, or without a label if labels are wanted, are
    skipped: `notices` say so, and `lack` says what is wrong with the first of them, and where it is. `lines`: a file
    whose name does not show the form of its records has lines of JSON. `at_once`: the first record is read before more
    of the file is there; its first block tells the encoding.
    """

    def __init__(self, config: TextConfig, where: str, lines: bool = False, at_once: bool = False):
        if not lines:
            check_table(where, config.field or "")
        self.config, self.where, self.field = config, where, config.field or ""
        self.label_field = config.label_field
        self.decoder = Decoder(as_written(config), where, 1 if at_once else HEAD)
        self._records = self._lacking = 0
        self.lack = ""

    @property
    def notices(self) -> list[str]:
        """Return notices for the user about how the file was read."""
        if not self._lacking:
            return self.decoder.notices
        have = "has" if self._lacking == 1 else "have"
        return [
            *self.decoder.notices,
            f"{self._lacking:,} of {self._records:,} records of {self.where} {have} no {self._what}, and "
            f"{'is' if self._lacking == 1 else 'are'} skipped. The first: {self.lack}.",
        ]

    @property
    def _what(self) -> str:
        return f"text under {self.field!r}" + (
            "" if self.label_field is None else f", or no label {self.label_field!r}"
        )

    def texts(self, blocks: Iterable[bytes]) -> Iterator[str]:
        """Yield the texts of the records in a file's bytes; broken CSV is a CharRNNError that names the line."""
        return (record.text for record in self.records(blocks))

    def records(self, blocks: Iterable[bytes]) -> Iterator[Labelled]:
        """Yield the texts of the records in a file's bytes with their labels ("" without a `label_field`)."""
        lines = whole_lines(self.decoder, blocks)
        delimiter = _DELIMITERS.get(_suffix(self.where))
        for label, text in self._of_json(lines) if delimiter is None else self._of_table(lines, delimiter):
            # An escape in JSON can be half of a character (a lone surrogate). Most encodings cannot have one.
            yield Labelled(without_surrogates(label).strip(), prepare(without_surrogates(text), self.config))

    def _of_json(self, lines: Iterable[str]) -> Iterator[Labelled]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            self._records += 1
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                self._skip(number, "is not a JSON object, but `field` needs one")
                continue
            text, label = record.get(self.field), ""
            if self.label_field is not None:
                named = record.get(self.label_field)
                label = named if isinstance(named, str) else "" if named is None else json.dumps(named)
                if not label.strip():
                    self._skip(number, f"has no label under {self.label_field!r}, only {_shown(list(record))}")
                    continue
            if isinstance(text, str):
                yield Labelled(label, text)
            elif self.field in record:
                self._skip(number, f"has a member {self.field!r}, but it is not a text")
            else:
                self._skip(number, f"has no member {self.field!r}, only {_shown(list(record))}")

    def _of_table(self, lines: Iterator[str], delimiter: str) -> Iterator[Labelled]:
        first = next(lines, "")
        if delimiter == "," and ";" in first and self.field in _names(next(csv.reader([first], delimiter=";"))):
            # Spreadsheets write this delimiter in countries where numbers have a decimal comma.
            delimiter = ";"
        # Many texts are longer than the default limit of the csv module, 131,072 characters.
        csv.field_size_limit(_LONGEST)
        rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
        passed = 0
        try:
            names = _names(next(filter(None, rows), []))
            if not names:
                return
            wanted = [self.field] if self.label_field is None else [self.field, self.label_field]
            for name in wanted:
                if name not in names:
                    raise CharRNNError(
                        f"{self.where} has no column {name!r}, only {_shown(names)}.",
                        did_you_mean(name, names) or "The first line names the columns.",
                    )
            columns, passed = [names.index(name) for name in wanted], rows.line_num
            for row in rows:
                self._records += bool(row)
                if row and len(row) <= max(columns):
                    self._skip(passed + 1, f"has only {len(row)} of {len(names)} columns")
                elif row and self.label_field is not None and not row[columns[1]].strip():
                    self._skip(passed + 1, f"has no label under {self.label_field!r}")
                elif row:
                    yield Labelled("" if self.label_field is None else row[columns[1]], row[columns[0]])
                passed = rows.line_num
        except csv.Error as error:
            raise CharRNNError(
                f"{self.where}:{passed + 1} is not a record of a table: {error}.",
                hint="A text with quotation marks or line breaks must be in quotation marks, and each quotation mark "
                'in it must be doubled: "".',
            ) from None

    def _skip(self, line: int, lack: str) -> None:
        self._lacking += 1
        self.lack = self.lack or f"{self.where}:{line} {lack}"


def _names(row: Sequence[str]) -> list[str]:
    return [name.strip() for name in row]


def _shown(names: Sequence[str]) -> str:
    """Return the first few names of fields."""
    return ", ".join(names[:_NAMES]) + (" …" if len(names) > _NAMES else "") if names else "nothing"
