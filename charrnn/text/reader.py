"""Reading sources into a `Text`: one pass from bytes to codes, or no pass if the cache has them."""

import base64
import hashlib
import itertools
import os
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn.config import DEFAULT_TEXT, TextConfig, to_json
from charrnn.errors import CharRNNError, NoText
from charrnn.text import cache
from charrnn.text.borders import Borders
from charrnn.text.codes import CodeWriter
from charrnn.text.decoding import Decoder
from charrnn.text.labelled import LabelWriter, labelled
from charrnn.text.sources import BLOCK, STDIN, Document, comes_once, documents
from charrnn.text.tables import Table, is_table
from charrnn.text.text import Text

NOTICES = 3
# A text with a larger share of NULs gives a notice.
NULLS = 0.01
# So many labelled texts are added at once.
TOGETHER = 1024
# Changed when the same bytes would be encoded in another way.
_FORMAT = 4
# A file that was changed less than this many seconds ago may change again with the same time stamp.
SETTLED = 2.0

# Called with the number of bytes read and the number of all bytes (None if unknown); at the end both are equal.
Watch = Callable[[int, int | None], None]


def read_text(
    sources: Sequence[str | Path],
    config: TextConfig = DEFAULT_TEXT,
    include: Sequence[str] = (),
    watch: Watch | None = None,
    keep: bool = False,
) -> Text:
    """Return the text of sources: files, folders, patterns and '-' for stdin, unpacked (`charrnn.text.sources`).

    Raises CharRNNError for a source that is missing, unreadable, without text or not in the encoding. A large text is
    kept in the cache, and not read again while its files are unchanged. With `keep`, the text also has the bytes of
    stdin and pipes.
    """
    if not sources:
        raise CharRNNError("No text was named.", hint="Name a file, a folder, or - for stdin.")
    named = [str(source) for source in sources]
    found = [(source, documents(source, include)) for source in named]
    state = _state(found, config)
    known = cache.load(state) if state else None
    recorded = _recorded(named)
    kept = _spools(name for name in recorded if name.startswith(STDIN)) if keep else {}
    facts, codes = known or _encoded(found, config, include, state, watch, [kept.get(name) for name in recorded])
    text = Text(
        codes=codes,
        symbols=facts["symbols"],
        counts=np.array(facts["counts"], np.int64),
        names=tuple(facts["names"]),
        starts=np.array(facts["starts"], np.int64),
        begins=np.frombuffer(base64.b64decode(facts["begins"]), np.int64) if facts.get("begins") else None,
        labels=tuple(facts["labels"]) if config.labelled else None,
        sha256=facts["sha256"],
        byte_count=facts["byte_count"],
        sources=recorded,
        name=name_of(recorded[0]),
        kept=kept,
        config=config,
        include=tuple(include),
        notices=tuple(facts["notices"]),
    )
    return replace(text, notices=(*text.notices, *_repetition(text), *_nulls(text)))


def _recorded(named: Sequence[str]) -> tuple[str, ...]:
    """Return the names of sources for the record of a run: absolute paths; for stdin and pipes "-", "-2", "-3", …."""
    once = itertools.chain([STDIN], (f"{STDIN}{number}" for number in itertools.count(2)))
    return tuple(next(once) if comes_once(source) else os.path.abspath(source) for source in named)


def _spools(names: Iterable[str]) -> dict[str, BinaryIO]:
    with cache.explained():
        return {name: cache.spool() for name in names}


def _state(found: list[tuple[str, list[Document]]], config: TextConfig) -> Any:
    """Return the state of all files, which tells whether the same text was read before; None if that is unknown."""
    stamps = [(document.name, os.path.abspath(document.name), document.stamp) for _, of in found for document in of]
    if not stamps or any(stamp is None for *_, stamp in stamps):
        return None
    return [_FORMAT, to_json(config), stamps]


def _encoded(
    found: list[tuple[str, list[Document]]],
    config: TextConfig,
    include: Sequence[str],
    state: Any,
    watch: Watch | None,
    spools: Sequence[BinaryIO | None],
) -> tuple[dict[str, Any], np.ndarray]:
    """Read documents to their end; return facts about them and their codes; fill the spool of each source."""
    total = sum(stamp.size for *_, stamp in state[-1]) if state else None
    began = time.time()
    with cache.working() as work:
        reading = _Reading(config, CodeWriter(work.file), watch, total)
        for (source, of), spool in zip(found, spools, strict=True):
            before = reading.bytes_read
            for document in of:
                with _among_others(reading, document):
                    reading.read(document, spool)
            if reading.bytes_read == before:
                raise _no_text(source, include)
        if watch is not None:
            # Everything is read, even if the sizes of the files were different.
            watch(reading.bytes_read, reading.bytes_read)
        if not reading.codes.length:
            raise reading.nothing()
        facts = reading.facts()
        if reading.codes.file is None:
            return facts, reading.codes.array()
        # If a file changed while it was read, or just before, another change might go unnoticed.
        latest = (began - SETTLED) * 1e9
        settled = state and state == _state(found, config) and all(stamp.changed < latest for *_, stamp in state[-1])
        return facts, work.keep(facts, state) if settled else work.once(facts)


class _Reading:
    """One pass over documents: digest, text and codes."""

    def __init__(self, config: TextConfig, codes: CodeWriter, watch: Watch | None, total: int | None):
        self.config, self.codes, self.watch, self.total = config, codes, watch, total
        # Of a file of records only the bytes of its texts count as the text's.
        self.bytes_read = self.byte_count = self._done = 0
        # What the first record lacks that has no text; whether any has one; whether any text has a character.
        self.lack, self._has_texts, self._has_characters = "", False, False
        self._digest = hashlib.sha256()
        self._names: list[str] = []
        self._starts: list[int] = []
        self._begins: list[np.ndarray] = []
        self._notices: list[str] = []
        self._passed_over: list[str] = []
        self._labels = LabelWriter()

    def read(self, document: Document, spool: BinaryIO | None) -> None:
        """Append a document, and its bytes to the spool if there is one."""
        begin, borders = self.codes.length, Borders(self.config)
        if self.config.field is not None and document.text_only and not is_table(document.name):
            self._passed_over.append(document.name)
            return
        if self.config.labelled:
            self._read_labelled(document, self._blocks(document, spool))
        elif self.config.field is not None:
            self._read_records(document, borders, self._blocks(document, spool))
        else:
            decoder = Decoder(self.config, document.name)
            for data in self._blocks(document, spool):
                self.byte_count += len(data)
                self._add(*borders.feed(self._seen(decoder.feed(data))), document)
            self._add(*borders.feed(self._seen(decoder.close()), last=True), document)
            self._notices += decoder.notices
        if self.codes.length == begin and document.text_only and document.stamp and document.stamp.size:
            self._passed_over.append(document.name)
        if self.codes.length > begin:
            self._names.append(document.name)
            self._starts.append(begin)

    def _blocks(self, document: Document, spool: BinaryIO | None) -> Iterator[bytes]:
        """Yield a document's bytes, each block digested, kept in the spool, and told as read when it has been used."""
        on_disk = 0
        for data, on_disk in document.blocks(raw=self.config.bytes and self.config.field is None):
            self._digest.update(data)
            self.bytes_read += len(data)
            if spool is not None:
                with cache.explained():
                    spool.write(data)
            yield data
            if self.watch is not None:
                self.watch(self._done + on_disk, self.total)
        self._done += on_disk

    def _read_labelled(self, document: Document, blocks: Iterator[bytes]) -> None:
        """Append the labelled texts of a document."""
        reader = labelled(self.config, document.name)
        records = reader.records(blocks)
        while some := list(itertools.islice(records, TOGETHER)):
            pieces = [self._labels.document(record) for record in some]
            begins = list(itertools.accumulate(map(len, pieces[:-1]), initial=0))
            self.byte_count += sum(len(record.text.encode()) for record in some)
            self._add("".join(pieces), begins, document)
        self._notices += reader.notices
        self.lack = self.lack or reader.lack

    def _read_records(self, document: Document, borders: Borders, blocks: Iterator[bytes]) -> None:
        """Append the texts of a document's records, some at a time, each as a file of its own."""
        table = Table(self.config, document.name)
        pieces: list[str] = []
        begins: list[int] = []
        size = 0
        for text in table.texts(blocks):
            piece, places = borders.feed(self._seen(text), last=True)
            self._has_texts = True
            begins += [size + place for place in places]
            pieces.append(piece)
            size += len(piece)
            self.byte_count += len(text) if self.config.bytes or text.isascii() else len(text.encode())
            if size > BLOCK:
                self._add("".join(pieces), begins, document)
                pieces, begins, size = [], [], 0
        self._add("".join(pieces), begins, document)
        self._notices += table.notices
        self.lack = self.lack or table.lack

    def _seen(self, text: str) -> str:
        self._has_characters = self._has_characters or bool(text)
        return text

    def nothing(self) -> CharRNNError:
        """Return the error for files that have bytes, but no text."""
        field, marker = self.config.field, self.config.documents_between
        if self.config.labelled:
            return CharRNNError(
                f"The text has no labelled text{': ' if self.lack else ''}{self.lack}.",
                hint="Each line is a label, a tab and a text; of records, name the fields: `label_field` and `field`.",
            )
        if self._has_characters:
            return CharRNNError(
                f"The text has nothing but markers (`documents_between={marker!r}`), so it has no document.",
                hint="Use another text, or another marker.",
            )
        if field is None:
            return CharRNNError("The text has only a byte order mark and no characters.", hint="Use another text.")
        lack = f": {self.lack}" if self.lack else ""
        return CharRNNError(
            f"All texts under {field!r} are empty."
            if self._has_texts
            else f"No record has a text under {field!r}{lack}.",
            hint="Use `field` to name the field whose texts charrnn should read.",
        )

    def facts(self) -> dict[str, Any]:
        """Return the facts about the text, without its codes."""
        return {
            **({"begins": base64.b64encode(np.concatenate(self._begins).tobytes()).decode()} if self._begins else {}),
            "byte_count": self.byte_count,
            "characters": self.codes.length,
            "config": to_json(self.config),
            "counts": self.codes.counts.tolist(),
            "dtype": self.codes.dtype.name,
            **({"labels": self._labels.labels} if self.config.labelled else {}),
            "names": self._names,
            "notices": [*_brief(self._notices), *_left_out(self._passed_over, self.config)],
            "sha256": self._digest.hexdigest(),
            "starts": self._starts,
            "symbols": self.codes.symbols,
        }

    def _add(self, text: str, begins: Sequence[int], document: Document) -> None:
        """Append a piece of text, in which documents begin at some places."""
        inside = self.config.documents_between is not None or self.config.labelled
        if inside or (self.config.field is not None and not self.config.one_per_line):
            self._begins.append(np.array(begins, np.int64) + self.codes.length)
        with cache.explained():
            self.codes.add(text, document.name)


@contextmanager
def _among_others(reading: _Reading, document: Document) -> Iterator[None]:
    """Let the error of a document that cannot be decoded, after others that could, say that it may differ from them."""
    try:
        yield
    except NoText as error:
        encoding = error.ways.get("encoding")
        if not reading.codes.length or not encoding:
            raise
        differs = (
            f"The files before it are in {reading.config.encoding.upper()}. If only this one has another encoding, "
            f"convert it: iconv -f ENCODING -t {reading.config.encoding} {shlex.quote(document.name)} > FILE."
        )
        raise NoText(error.message, differs, {**error.ways, "encoding": f"If all files have it: {encoding}"}) from None


def _brief(notices: list[str]) -> list[str]:
    """Return the first few of many notices."""
    more = len(notices) - NOTICES
    return notices if more <= 0 else [*notices[:NOTICES], f"… and {more:,} more such notices."]


def _left_out(names: list[str], config: TextConfig) -> list[str]:
    """Return a notice about files in folders that are not texts, or have no records where those are to be read."""
    if not names:
        return []
    shown = ", ".join(names[:NOTICES]) + (f" and {len(names) - NOTICES:,} more" if names[NOTICES:] else "")
    return [f"Skipped files that are not {'text' if config.field is None else 'records'}: {shown}."]


def _repetition(text: Text) -> list[str]:
    copies = text.copies()
    if not copies:
        return []
    first, second = (text.names[document] for document in copies[0])
    return [
        f"{first} and {second} have the same content: {len(copies):,} of {len(text.names):,} files "
        f"{'repeats' if len(copies) == 1 else 'repeat'} an earlier one."
    ]


def _nulls(text: Text) -> list[str]:
    """Return a notice about a text with many NULs, which no text has."""
    nulls = text.counted.get("\0", 0)
    if text.config.bytes or nulls < max(2, NULLS * len(text)):
        return []
    return [
        f"{nulls:,} of {len(text):,} characters are NUL, which is unusual in a text. If it is UTF-16 without a byte "
        "order mark, use `encoding='utf-16-le'` or `encoding='utf-16-be'`."
    ]


def _no_text(source: str, include: Sequence[str]) -> CharRNNError:
    if source == STDIN:
        return CharRNNError("stdin is empty; a text was expected.", hint="Pipe a text into charrnn, or name a file.")
    if os.path.isdir(source):
        return CharRNNError(
            f"The folder {source} has no text file (hidden, empty and binary files do not count).",
            hint="Name a folder with text in it, or a file."
            + (f" Only files whose names match {' or '.join(include)} were read." if include else ""),
        )
    return CharRNNError(f"{source} is empty; a text was expected.", hint="Name a file with text in it.")


def name_of(source: str) -> str:
    """Return the name of the runs of a text, by one of its sources."""
    if source.startswith(STDIN):
        return "stdin"
    path = Path(source)
    stem = path.name if path.is_dir() else path.stem
    # A letter has up to four bytes and a file name has at most 255, some of them for a run's number.
    return re.sub(r"[^\w.-]+", "-", stem)[:50].strip(".-") or "corpus"
