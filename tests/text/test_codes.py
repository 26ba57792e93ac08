"""Text to codes: numbers in the order of first appearance, of the smallest type, in memory or in a file."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CharRNNError
from charrnn.text import cache, codes
from charrnn.text.codes import CodeWriter

# Code points that are characters, as many as one may want.
POINTS = [point for point in range(0x20, 0x20000) if not 0xD800 <= point < 0xE000]
WIDEST = 66_000


@pytest.fixture
def spilling(monkeypatch, tmp_path):
    """Return a function that makes a writer, which spills what is above so many bytes, and the files it spilled to."""

    def make(in_memory):
        monkeypatch.setattr(codes, "IN_MEMORY", in_memory)
        monkeypatch.setattr(cache, "IN_MEMORY", in_memory)
        # Several pieces of a file are made wider, the last of them smaller.
        monkeypatch.setattr(codes, "_COPIED", 1000)
        return CodeWriter(lambda: open(tmp_path / "codes", "x+b"))

    return make


def written(writer: CodeWriter) -> np.ndarray:
    """Return all codes, wherever they are."""
    if writer.file is None:
        return writer.array()
    writer.file.flush()
    return np.fromfile(writer.file.name, writer.dtype)


def check(writer: CodeWriter, text: str) -> None:
    """Assert that a writer holds just this text."""
    counts = Counter(text)
    assert writer.symbols == "".join(dict.fromkeys(text))
    assert writer.length == len(text) and written(writer).dtype == writer.dtype
    assert writer.counts.tolist() == [counts[symbol] for symbol in writer.symbols]
    points = np.frombuffer(writer.symbols.encode("utf-32-le"), "<u4")
    assert points[written(writer)].tobytes().decode("utf-32-le") == text


@pytest.mark.parametrize("in_memory", [1 << 20, 0, 100, 70_000])
@pytest.mark.parametrize("number", [1, 254, 255, 256, 257, 65_534, 65_535, 65_536, WIDEST])
def test_the_type_is_the_smallest_that_holds_the_symbols(number, in_memory, spilling):
    text = "".join(map(chr, POINTS[:number][::-1]))
    # The last symbols come one by one, behind a repetition: what is there already has to grow.
    pieces = [text[:-3], text[:-3], *text[-3:], text]
    writer = spilling(in_memory)
    for piece in pieces:
        writer.add(piece, "")
    check(writer, "".join(pieces))
    assert writer.dtype == (np.uint8 if number <= 255 else np.uint16 if number <= 65_535 else np.uint32)
    assert (writer.file is not None) == (writer.length * writer.dtype.itemsize > in_memory)


def test_a_file_is_widened_twice_and_written_on(spilling):
    writer, whole = spilling(500), ""
    for number in (200, 300, 5, 65_000, 66_000, 10, 66_000):
        piece = "".join(map(chr, POINTS[:number]))
        writer.add(piece, "")
        whole += piece
    check(writer, whole)
    assert writer.file is not None and writer.dtype == np.uint32


def test_all_symbols_at_once(spilling):
    """From 8 bits to 32 in one step, nothing having been written, or a little, in memory or in a file."""
    widest = "".join(map(chr, POINTS[:WIDEST]))
    for before, in_memory in (("", 1 << 20), ("zyx", 1 << 20), ("zyx" * 1000, 1)):
        writer = spilling(in_memory)
        writer.add(before, "")
        writer.add(widest, "")
        check(writer, before + widest)
        if writer.file is not None:
            writer.file.close()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=8))
def test_pieces_make_no_difference(pieces):
    writer = CodeWriter(lambda: pytest.fail("so little is kept in memory"))
    for piece in pieces:
        writer.add(piece, "")
    check(writer, "".join(pieces))


def test_the_ends_of_unicode():
    writer = CodeWriter(lambda: pytest.fail("so little is kept in memory"))
    writer.add("\U0010ffff\0\ud7ff\ue000\0", "")
    check(writer, "\U0010ffff\0\ud7ff\ue000\0")


def test_it_spills_just_above_the_limit(spilling):
    writer = spilling(10)
    writer.add("0123456789", "")
    assert writer.file is None
    writer.add("", "")
    assert writer.file is None
    writer.add("0", "")
    assert writer.file is not None
    check(writer, "01234567890")


def test_a_lone_surrogate_is_named():
    writer = CodeWriter(lambda: pytest.fail("so little is kept in memory"))
    writer.add("ab", "a.txt")
    with pytest.raises(CharRNNError, match=r"a\.txt has the lone surrogate U\+DC80"):
        writer.add("c\udc80", "a.txt")
