"""Labelled texts: what is read of lines and of records, and the text that training reads."""

import bz2
import gzip
import json
import lzma
from itertools import pairwise

import numpy as np
import pytest

from charrnn.config import TextConfig
from charrnn.data.corpus import as_ids, classes_of
from charrnn.errors import CharRNNError
from charrnn.text import labelled
from charrnn.text.labelled import FIRST
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary

LINES = TextConfig(labels=True)
RECORDS = TextConfig(field="text", label_field="label")
# Text that looks like a label's symbol, a tab and a line separator inside, letters of other planes, nothing at all.
PAIRS = [("pos", "good"), ("neg", "b\x0bd\ttab"), ("très ", "\U00100000漢 \u2028x"), ("neg", ""), ("pos", "\U0001f600")]


def documents(text) -> list[tuple[str, str]]:
    """Return the labels and texts of a `Text`, from its codes."""
    whole, bounds = text.decode(), [*text.begins.tolist(), len(text)]
    found = [whole[low:high] for low, high in pairwise(bounds)]
    return [(text.labels[ord(one[-1]) - FIRST], one[:-1]) for one in found]


EXPECTED = [("pos", "good"), ("neg", "b\x0bd\ttab"), ("très", "\ufffd漢 \u2028x"), ("neg", ""), ("pos", "\U0001f600")]


def test_lines_are_labels_and_texts(tmp_path, monkeypatch):
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for label, text in PAIRS) + "\n  \n", newline="")
    text = read_text([path], LINES)
    assert documents(text) == EXPECTED and text.labels == ("pos", "neg", "très")
    assert text.labelled == {"pos": 2, "neg": 2, "très": 1}
    assert not any(ord(symbol) >= FIRST for symbol in text.counted)
    # The sizes of blocks and of portions make no difference.
    monkeypatch.setattr("charrnn.text.reader.TOGETHER", 2)
    monkeypatch.setattr("charrnn.text.sources.BLOCK", 7)
    again = read_text([path], LINES)
    assert documents(again) == EXPECTED and np.array_equal(again.codes, text.codes)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_records_have_labels(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps({"n": 1, "label": label, "text": text}) + "\n" for label, text in PAIRS))
    else:
        mark = "," if ending == "csv" else "\t"
        quoted = [(f'"{label}"', '"' + text.replace('"', '""') + '"') for label, text in PAIRS]
        path.write_text(f"text{mark}label\n" + "".join(f"{text}{mark}{label}\n" for label, text in quoted), newline="")
    assert documents(read_text([path], RECORDS)) == EXPECTED


def test_labels_of_json_may_be_numbers(tmp_path):
    path = tmp_path / "a.jsonl"
    records = [{"label": 1, "text": "a"}, {"label": True, "text": "b"}, {"text": "c"}, {"label": None, "text": "d"}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    text = read_text([path], RECORDS)
    assert documents(text) == [("1", "a"), ("true", "b")]
    assert any("2 of 4 records" in notice and "no label under 'label'" in notice for notice in text.notices)


def test_windows_lines_and_several_files_are_read(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"x\tone\r\ny\ttwo\r\n")
    (tmp_path / "b.tsv").write_bytes(b"z\tthree")
    text = read_text([tmp_path / "a.tsv", tmp_path / "b.tsv"], LINES)
    assert documents(text) == [("x", "one"), ("y", "two"), ("z", "three")]


@pytest.mark.parametrize(
    "content, message",
    [
        ("a\tb\nno tab here\n", r"a\.txt:2 has no tab"),
        ("a\tb\n\tnothing before\n", r"a\.txt:2 has no label before its tab"),
        ("\n\n", "The text has no labelled text"),
    ],
)
def test_a_line_without_a_label_is_told(content, message, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(content)
    with pytest.raises(CharRNNError, match=message):
        read_text([path], LINES)


def test_a_missing_column_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("label,sentence\n1,good\n")
    with pytest.raises(CharRNNError, match="has no column 'text', only label, sentence"):
        read_text([path], RECORDS)
    with pytest.raises(CharRNNError, match="has no column 'lable'"):
        read_text([path], TextConfig(field="sentence", label_field="lable"))
    # Without the names of the columns, its lines have no tab.
    with pytest.raises(CharRNNError, match="are not named"):
        read_text([path], LINES)


def test_packed_lines_are_read(tmp_path):
    for ending, pack in (("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)):
        path = tmp_path / f"a.tsv.{ending}"
        path.write_bytes(pack(b"a\tone\nb\ttwo\n"))
        assert documents(read_text([path], LINES)) == [("a", "one"), ("b", "two")]


def test_there_is_a_limit_to_different_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(labelled, "MOST", 3)
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{number % 3}\tx\n" for number in range(9)))
    assert read_text([path], LINES).labels == ("0", "1", "2")
    path.write_text("".join(f"{number}\tx\n" for number in range(4)))
    with pytest.raises(CharRNNError, match="more than 3 different labels; '3' is one"):
        read_text([path], LINES)


@pytest.mark.parametrize(
    "settings",
    [
        {"label_field": "label"},
        {"labels": True, "field": "text"},
        {"label_field": "text", "field": "text"},
        {"labels": True, "one_per_line": True},
        {"labels": True, "loss_after": "\t"},
        {"labels": True, "bytes": True},
    ],
)
def test_settings_that_contradict_labels_are_refused(settings):
    with pytest.raises(CharRNNError):
        TextConfig(**settings)


def test_the_ids_of_a_labelled_text_tell_its_classes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("z\tab\na\tb\nz\t\n")
    text = read_text([path], LINES)
    classes = classes_of(text)
    part = as_ids(text, Vocabulary.of("abc"), classes=classes).part
    assert classes == ("a", "z") and len(part) == 6
    places = np.arange(6)
    assert part.counts(places).tolist() == [False, False, True, False, True, True]
    assert part.targets(places)[[2, 4, 5]].tolist() == [1, 0, 1] and part.counted() == 3
    assert part.begins(places).tolist() == [True, False, False, True, False, True]
    with pytest.raises(CharRNNError, match="does not know the label 'z', which "):
        as_ids(text, Vocabulary.of("abc"), classes=("a", "b"))
