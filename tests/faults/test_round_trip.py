"""Promise 10: text survives. What was encoded decodes to the same, by a vocabulary alone and all the way from files."""

import bz2
import gzip
import lzma
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import TextConfig
from charrnn.data.corpus import as_ids
from charrnn.errors import CharRNNError
from charrnn.text.decoding import prepare
from charrnn.text.reader import read_text
from charrnn.text.sources import Document
from charrnn.text.text import Text
from charrnn.text.vocabulary import Vocabulary
from support.tally import Tally, share

pytestmark = pytest.mark.promise(10)

BATCH = 1000
SURROGATES = range(0xD800, 0xE000)
# Marks that combine, joiners, jamo, and what lies at the ends of planes and of encodings' lengths.
EDGES = [*range(0x300, 0x320), 0x200D, 0xFE0F, 0x1112, 0x1161, 0x11AB, 0xFEFF, 0xFFFD, 0, 10, 13, 0x85, 0x2028]
EDGES += [
    0x3A3,
    0x3A3,
    0x391,
    0x3B1,
    0x130,
    0x7F,
    0x80,
    0x7FF,
    0x800,
    0xFFFE,
    0xFFFF,
    0x10000,
    0x10FFFF,
    *range(0x1F1E6, 0x1F1F0),
    0x1F468,
]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def strings(rng: np.random.Generator, count: int, surrogates: bool) -> list[str]:
    """Return strings, most of them short: each of one plane, of edges or of an alphabet of its own, and of all."""
    lengths = np.minimum(rng.geometric(0.06, count), 400)
    lengths[rng.random(count) < 0.02] = 0
    owner = np.repeat(np.arange(count), lengths)
    total = len(owner)
    low = rng.integers(0, 17, count)[owner] << 16
    points = low + rng.integers(0, 1 << 16, total)
    kind = rng.integers(0, 5, count)[owner]
    points = np.where(kind == 1, rng.choice(EDGES, total), points)
    points = np.where(
        kind == 2, rng.integers(0, 0x110000, count)[owner] // 64 * 64 + rng.integers(0, 64, total), points
    )
    points = np.where(kind == 3, rng.integers(0, 256, total), points)
    mixed = (kind == 4) & (rng.random(total) < 0.5)
    points = np.where(mixed, rng.integers(0xD7F0, 0xE010, total), points)
    lone = (points >= SURROGATES.start) & (points < SURROGATES.stop)
    points = np.where(lone & (not surrogates), 0x1F600, points).astype("<u4")
    text, ends = points.tobytes().decode("utf-32-le", "surrogatepass"), np.cumsum(lengths).tolist()
    return [text[low:high] for low, high in zip([0, *ends], ends, strict=False)]


def survives(vocab: Vocabulary, string: str) -> bool:
    """Return whether a string is the same after encoding and decoding, and its ids are those of its characters."""
    ids = vocab.encode(string)
    return vocab.decode(ids) == string and len(ids) == len(string) and not (ids >= len(vocab.symbols)).any()


@pytest.mark.parametrize("part", range(2))
def test_strings_survive_a_vocabulary(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    for batch in range(share(5, 500)):
        rng = np.random.default_rng([part, batch])
        surrogates = batch % 2 == 0
        drawn = strings(rng, BATCH, surrogates)
        whole = "".join(drawn)
        vocab = Vocabulary.of(whole, has_unknown=batch % 3 == 0)
        monkeypatch.setattr("charrnn.text.vocabulary._BLOCK", int(rng.choice([7, 4096, 1 << 20])))
        path = tmp_path / "vocab.json"
        if surrogates and any(ord(symbol) in SURROGATES for symbol in vocab.symbols):
            with pytest.raises(CharRNNError, match="lone surrogate"):
                vocab.save(path)
            read = vocab
        else:
            vocab.save(path)
            read = Vocabulary.load(path)
        tally.check(read == vocab, f"{part} {batch}: another vocabulary was loaded")
        ids = vocab.encode(whole)
        decoded = read.decode(ids)
        # By hand, for one of them.
        one = drawn[int(rng.integers(BATCH))]
        tally.check([vocab.symbols[i] for i in vocab.encode(one)] == list(one), f"{one!r} has other ids")
        end = 0
        for string in drawn:
            tally.inject()
            begin, end = end, end + len(string)
            packed = ids[begin:end].tobytes() == vocab.encode(string).tobytes() and decoded[begin:end] == string
            tally.check(packed and survives(read, string), f"{part} {batch}: {string!r}")


def test_every_character_survives(tally: Tally) -> None:
    everything = "".join(map(chr, range(0x110000)))
    vocab = Vocabulary(tuple(everything))
    ids = vocab.encode(everything)
    assert np.array_equal(ids, np.arange(0x110000))
    for plane in range(17):
        tally.inject()
        tally.check(
            vocab.decode(ids[plane << 16 : (plane + 1) << 16]) == everything[plane << 16 : (plane + 1) << 16],
            f"{plane}",
        )


def test_bytes_survive(tally: Tally) -> None:
    vocab, form, rng = Vocabulary(tuple(map(chr, range(256)))), TextConfig(bytes=True), random.Random(10)
    for number in range(share(1000, 100_000)):
        data = bytes(range(256)) if number == 0 else rng.randbytes(rng.randrange(60))
        # As an argument comes from the shell, and as a sample goes to it.
        text = prepare(data.decode("utf-8", "surrogateescape"), form)
        tally.inject()
        tally.check(vocab.decode(vocab.encode(text)).encode("latin-1") == data, f"{data!r}")


# --- from files ---


def encoded(string: str, encoding: str) -> bytes:
    """Return a document; one that could be taken for another form of Unicode is marked."""
    doubtful = string.startswith("\ufeff") or "\0" in string
    mark = "\ufeff" if doubtful and encoding == "utf-8" else ""
    return (mark + string).encode(encoding)


def form_and_strings(rng: random.Random, numbers: np.random.Generator, count: int) -> tuple[TextConfig, str, list[str]]:
    """Return how a text is read, how its files are encoded, and strings that this encoding has."""
    if rng.random() < 0.2:
        return (
            TextConfig(bytes=True),
            "latin-1",
            [rng.randbytes(rng.randint(1, 300)).decode("latin-1") for _ in range(count)],
        )
    drawn = [string for string in strings(numbers, 2 * count, surrogates=False) if string.strip("\ufeff")][:count]
    encoding = rng.choice(
        ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-32-be", "gb18030", "cp1252"]
    )
    if encoding == "cp1252":
        drawn = [
            rng.choices("naïve “text” €\r\n\t", k=40) and "".join(rng.choices("naïve “text” €\n", k=40)) for _ in drawn
        ]
    if encoding.startswith("utf-16") or encoding in ("utf-32-be", "gb18030"):
        # They would be taken for marks, or a zero behind the mark of UTF-16 for that of UTF-32.
        drawn = [string.lstrip("\ufeff\ufffe\0") or "x" for string in drawn]
    forms = {
        "newlines": rng.choice(["keep", "keep", "lf"]),
        "normalize": rng.choice([None, None, "nfc", "nfd", "nfkc"]),
    }
    told = encoding if encoding not in ("utf-16", "utf-32") or rng.random() < 0.5 else "utf-8"
    return TextConfig(encoding=told, lower=rng.random() < 0.4, **forms), encoding, drawn


def write(folder: Path, drawn: list[str], encoding: str, rng: random.Random) -> list[Path]:
    """Write a file for each string, some packed, all of them old enough for the cache."""
    folder.mkdir()
    paths = []
    for number, string in enumerate(drawn):
        suffix = rng.choice(["", "", *PACK])
        path = folder / f"{number:04d}.txt{suffix}"
        path.write_bytes(PACK[suffix](encoded(string, encoding)))
        os.utime(path, (10**9, 10**9))
        paths.append(path)
    return paths


def documents(text: Text, decoded: str) -> Iterator[str]:
    ends = [*text.starts.tolist(), len(text)]
    for low, high in pairwise(ends):
        yield decoded[low:high]


@pytest.mark.parametrize("part", range(2))
def test_texts_survive_files(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    blocks, opened = Document.blocks, []

    def counted(document: Document, raw: bool) -> Iterator[tuple[bytes, int]]:
        opened.append(document)
        return blocks(document, raw=raw)

    monkeypatch.setattr(Document, "blocks", counted)
    files, cached = 25, 0
    for case in range(share(4, 200)):
        rng = random.Random(f"{part} {case}")
        config, encoding, drawn = form_and_strings(rng, np.random.default_rng([part, case]), files)
        if case % 4 == 0:
            # One that is longer than any of the blocks; a sigma's lower case depends on what stands around it.
            between = " " if encoding in ("latin-1", "cp1252") else " ΟΔΥΣΣΕΥΣ "
            drawn[0] = between.join(drawn) * 30
            config = config if config.bytes else replace(config, lower=True)
        paths = write(tmp_path / str(case), drawn, encoding, rng)
        spilled = rng.random() < 0.5
        with monkeypatch.context() as patch:
            patch.setattr("charrnn.text.sources.BLOCK", rng.choice([1, 3, 64, 8191]))
            patch.setattr("charrnn.text.text.BLOCK", rng.choice([5, 1000]))
            patch.setattr("charrnn.text.codes._COPIED", rng.choice([5, 1000]))
            if spilled:
                for module in ("cache", "codes"):
                    patch.setattr(f"charrnn.text.{module}.IN_MEMORY", rng.choice([0, 100]))
            text = read_text(paths, config)
            again = read_text(paths, config)
        from_cache = len(opened) == len(drawn)
        opened.clear()
        tally.check(from_cache == spilled, f"{part} {case}: the cache was {'not ' * spilled}used")
        cached += from_cache
        vocab = Vocabulary.of(text.counted)
        vocab.save(tmp_path / "vocab.json")
        read = Vocabulary.load(tmp_path / "vocab.json")
        expected = [prepare(string, config) if not config.bytes else string for string in drawn]
        for found in (text, again):
            decoded = read.decode(as_ids(found, read).part.ids())
            kept = list(documents(found, decoded))
            tally.check(
                len(kept) == len(expected) and found.decode() == decoded, f"{part} {case}: {len(kept)} documents"
            )
            for string, same in zip(expected, kept, strict=False):
                tally.inject(landed=from_cache and found is again)
                tally.check(same == string, f"{part} {case} {config} {encoding}: {string[:60]!r} became {same[:60]!r}")
    assert cached, "nothing came from the cache"
