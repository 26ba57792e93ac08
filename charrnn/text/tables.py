"""Files of records, lines of JSON or tables, of each of which the text of one field is read; record by record."""

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError, did_you_mean
from charrnn.text.decoding import Decoder, prepare

# By the ends of names, after those of packed files have been taken off.
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".lzma")
_JSON, _DELIMITERS = (".jsonl", ".ndjson"), {".csv": ",", ".tsv": "\t"}
# Of a record's fields, so many are named.
_NAMES = 10
# A field of more characters is most likely a quotation mark whose partner is missing.
_LONGEST = 1 << 27
_SURROGATE = re.compile("[\ud800-\udfff]")


def is_table(name: str) -> bool:
    """Return whether a file's name says that it holds records."""
    return _suffix(name) in (*_JSON, *_DELIMITERS)


def check_table(name: str, field: str) -> None:
    """Raise CharRNNError unless a file's name says what form its records have."""
    if is_table(name):
        return
    what = "stdin has no name that tells" if name == "stdin" else f"The name {name} does not tell"
    raise CharRNNError(
        f"{what} what form its records have; `field={field!r}` reads .jsonl and .ndjson (lines of JSON), .csv and .tsv "
        "(tables), packed or not (.csv.gz).",
        hint="Give the file such a name. One array of JSON becomes lines with: jq -c '.[]' a.json > a.jsonl",
    )


def _suffix(name: str) -> str:
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix in _PACKED else path.suffix


class Table:
    """The texts under the name `config.field` in the records of a file, read in one pass.

    They are as a model is to see them (`prepare`). Records without a text are passed over: `notices` say so, and
    `lack` is the first of them, with its place.
    """

    def __init__(self, config: TextConfig, where: str):
        check_table(where, config.field or "")
        self.config, self.where, self.field = config, where, config.field or ""
        # What is in a record is changed as the settings say; the record itself is not.
        as_written = replace(config, bytes=False, newlines="keep", normalize=None, lower=False)
        self.decoder = Decoder(as_written, where)
        self._records = self._lacking = 0
        self.lack = ""

    @property
    def notices(self) -> list[str]:
        """Return what a person should know of how the file was read."""
        if not self._lacking:
            return self.decoder.notices
        have = "has" if self._lacking == 1 else "have"
        return [
            *self.decoder.notices,
            f"{self._lacking:,} of {self._records:,} records of {self.where} {have} no text under {self.field!r}, and "
            f"{'is' if self._lacking == 1 else 'are'} passed over. The first: {self.lack}.",
        ]

    def texts(self, blocks: Iterable[bytes]) -> Iterator[str]:
        """Yield the texts of the records in a file's bytes; broken CSV is a CharRNNError that names the line."""
        lines = self._lines(blocks)
        delimiter = _DELIMITERS.get(_suffix(self.where))
        for text in self._of_json(lines) if delimiter is None else self._of_table(lines, delimiter):
            # An escape in JSON can be half of a character (a lone surrogate). Most encodings cannot have one.
            yield prepare(text if text.isascii() else _SURROGATE.sub("\ufffd", text), self.config)

    def _lines(self, blocks: Iterable[bytes]) -> Iterator[str]:
        """Yield the lines of a file with their ends."""
        begun: list[str] = []
        for data in blocks:
            *whole, last = self.decoder.feed(data).split("\n")
            if whole:
                begun.append(whole[0])
                yield "".join(begun) + "\n"
                yield from (f"{line}\n" for line in whole[1:])
                begun.clear()
            begun.append(last)
        *whole, last = ("".join(begun) + self.decoder.close()).split("\n")
        yield from (f"{line}\n" for line in whole)
        if last:
            yield last

    def _of_json(self, lines: Iterable[str]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            self._records += 1
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            text = record.get(self.field) if isinstance(record, dict) else None
            if isinstance(text, str):
                yield text
            elif not isinstance(record, dict):
                self._pass_over(number, "is no object of JSON, which `field` expects")
            elif self.field in record:
                self._pass_over(number, f"has something else than a text under {self.field!r}")
            else:
                self._pass_over(number, f"has no {self.field!r}, only {_shown(list(record))}")

    def _of_table(self, lines: Iterator[str], delimiter: str) -> Iterator[str]:
        first = next(lines, "")
        if delimiter == "," and ";" in first and self.field in _names(next(csv.reader([first], delimiter=";"))):
            # As spreadsheets write where the comma is in numbers.
            delimiter = ";"
        # Longer ones than the module's own limit of 131,072 are common among texts.
        csv.field_size_limit(_LONGEST)
        rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
        passed = 0
        try:
            names = _names(next(filter(None, rows), []))
            if not names:
                return
            if self.field not in names:
                raise CharRNNError(
                    f"{self.where} has no column {self.field!r}, only {_shown(names)}.",
                    did_you_mean(self.field, names) or "The first line names the columns.",
                )
            column, passed = names.index(self.field), rows.line_num
            for row in rows:
                self._records += bool(row)
                if len(row) > column:
                    yield row[column]
                elif row:
                    self._pass_over(passed + 1, f"has only {len(row)} of {len(names)} columns")
                passed = rows.line_num
        except csv.Error as error:
            raise CharRNNError(
                f"{self.where}:{passed + 1} is not a record of a table: {error}.",
                hint="A text with quotation marks or line breaks must be in quotation marks, with each of its own "
                'written twice: "".',
            ) from None

    def _pass_over(self, line: int, lack: str) -> None:
        self._lacking += 1
        self.lack = self.lack or f"{self.where}:{line} {lack}"


def _names(row: Sequence[str]) -> list[str]:
    return [name.strip() for name in row]


def _shown(names: Sequence[str]) -> str:
    """Return the first few names of fields."""
    return ", ".join(names[:_NAMES]) + (" …" if len(names) > _NAMES else "") if names else "nothing"
