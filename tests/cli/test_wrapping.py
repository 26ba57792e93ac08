"""Lines and tables that fit a terminal."""

import os
import shutil
import subprocess
import sys

import pytest
from wcwidth import wcswidth

from charrnn.cells import CELLS
from charrnn.cli.views.table import aligned
from charrnn.cli.views.wrapping import FIXED, cells, wrapped
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model
from support.terminal import shown_by

CHARRNN = [sys.executable, "-m", "charrnn"]


def lines(text, columns, prefix=None):
    return list(wrapped(text, columns, prefix))


def test_lines_are_broken_between_words():
    assert lines("one two three", 7) == ["one two", "three"]
    assert lines("one two three", 13) == lines("one two three", None) == ["one two three"]
    assert lines("", 5) == [""] and lines("", 5, "| ") == ["| "]
    # The indent of the line is that of all its pieces, as is a prefix; other spaces stay where no line is broken.
    assert lines("  one  two three", 10) == ["  one  two", "  three"]
    assert lines("  one two", 9, "  | ") == ["  |   one", "  | two"]
    assert lines("a part, another".replace(" p", FIXED + "p"), 9) == ["a part,", "another"]


def test_a_word_that_is_longer_than_a_line_is_broken():
    assert lines("ab cdefghijk lm", 5, "> ") == ["> ab", "> cde", "> fgh", "> ijk", "> lm"]
    assert lines("ab cdefghijk lm", 6, "> ") == ["> ab c", "> defg", "> hijk", "> lm"]
    assert "".join(lines("x" * 50, 8)) == "x" * 50 and max(map(len, lines("x" * 50, 8))) == 8
    # Without end: a terminal that is narrower than the prefix.
    assert lines("ab", 1, "  | ") == ["  | ab"]


@pytest.mark.parametrize(
    "text", ["漢字かな" * 9, "e\u0301" * 20, "👍🏽 " * 9, "한국어 " * 9, "❤\ufe0f" * 20, "👩\u200d🚀 " * 9]
)
def test_characters_count_with_the_columns_that_they_take(text):
    for columns in range(4, 30):
        pieces = lines(text, columns)
        assert all(wcswidth(piece) <= cells(piece) <= columns for piece in pieces)
        assert "".join(pieces).replace(" ", "") == text.replace(" ", "")
        # A mark is never torn from its letter.
        assert not any(piece.startswith(("\u0301", "\ufe0f", "\u200d")) for piece in pieces)


def test_a_table_fits_and_nothing_is_cut_off():
    rows = [("name", "what it is", "n"), ("a", "of some words", "1"), ("a-long-name", "b", "1,000")]
    whole = aligned(rows, "<<>")
    assert whole == aligned(rows, "<<>", 33, wrapping=1)
    assert whole.splitlines()[1] == "a            of some words      1"
    assert aligned(rows, "<<>", 27, wrapping=1).splitlines() == [
        "name         what it      n",
        "             is",
        "a            of some      1",
        "             words",
        "a-long-name  b        1,000",
    ]
    assert aligned(rows, "<<>", 20, wrapping=1).splitlines() == [
        "name    what       n",
        "        it is",
        "a       of         1",
        "        some",
        "        words",
        "a-long-name",
        "        b      1,000",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run of a long name and one that cannot be read."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("a-name-that-somebody-took-great-pains-with-so-that-it-tells-all", "short"):
        (folder / "checkpoints" / name).mkdir(parents=True)
        write_model(folder / "checkpoints" / name / "step-00000001.safetensors", Vocabulary.of("abc\n"))
    (folder / "checkpoints/short/step-00000001.safetensors").write_bytes(b"no checkpoint")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("command", ["cells", "runs"])
def test_lists_fit_a_terminal_and_are_whole_elsewhere(command, folder):
    shown = shown_by([*CHARRNN, command], folder)
    lengths = [wcswidth(line) for line in shown.splitlines()]
    assert len(lengths) > 2 and max(lengths) <= 80
    names = CELLS if command == "cells" else os.listdir(folder / "checkpoints")
    assert all(any(line.split()[0] == name for line in shown.splitlines() if line.split()) for name in names)
    piped = subprocess.run([*CHARRNN, command], cwd=folder, capture_output=True, check=True).stdout.decode()
    assert len(piped.splitlines()) == 1 + len(names) and max(map(len, piped.splitlines())) > 80
    assert sorted(piped.split()) == sorted(shown.split())
