"""Parts whose documents are read from their ends."""

import numpy as np
import pytest

from charrnn.config import TextConfig
from charrnn.data import parts
from charrnn.data.corpus import as_ids
from charrnn.data.turned import turned
from charrnn.inference.ends import turned_ids
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary


def read(tmp_path, texts, **config):
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_text(text)
    text = read_text(files, TextConfig(**config))
    vocab = Vocabulary.of(text.symbols)
    return text, vocab, as_ids(text, vocab).part


def documents(part, vocab) -> list[str]:
    """Return the documents of a part, each with its end."""
    begins = np.flatnonzero(part.begins(np.arange(len(part)))).tolist()
    return [vocab.decode(part.ids(low, high)) for low, high in zip(begins, [*begins[1:], len(part)], strict=True)]


@pytest.mark.parametrize(
    "texts, config, expected",
    [
        (["abc\ndefg\nh\n"], {"one_per_line": True}, ["h\n", "gfed\n", "cba\n"]),
        (["ab\n\nc"], {"one_per_line": True}, ["c\n", "\n", "ba\n"]),
        (["ab%%cde%%f"], {"documents_between": "%%"}, ["f%%", "edc%%", "ba%%"]),
        (["abc", "de"], {"separator": "|", "reset_at_documents": True}, ["ed|", "cba|"]),
        (["abc", "de"], {"reset_at_documents": True}, ["ed", "cba"]),
        (["abc", "de"], {"separator": "|"}, ["|ed|cba"]),
        (["abc\nde\n"], {}, ["\ned\ncba"]),
    ],
)
def test_documents_are_turned_and_keep_their_ends(texts, config, expected, tmp_path, monkeypatch):
    text, vocab, part = read(tmp_path, texts, **config)
    end = vocab.encode(text.config.document_end or "").tolist()
    assert documents(turned(part, end), vocab) == expected
    # However the part is divided into blocks.
    for size in (1, 2, 5):
        monkeypatch.setattr(parts, "BLOCK", size)
        found = turned(part, end)
        assert documents(found, vocab) == expected
        assert found.codes.dtype == part.codes.dtype


def test_a_last_document_without_its_end_is_turned_whole(tmp_path):
    _, vocab, part = read(tmp_path, ["abc", "defg"], separator="|", reset_at_documents=True)
    assert documents(turned(part.cut(0, 7), vocab.encode("|").tolist()), vocab) == ["fed", "cba|"]


def test_a_last_line_without_its_break_is_turned_whole(tmp_path):
    _, vocab, part = read(tmp_path, ["abc\ndefg\n"], one_per_line=True)
    assert documents(turned(part.cut(0, 7), vocab.encode("\n").tolist()), vocab) == ["fed\n", "cba"]


def test_ids_are_turned_and_turned_back():
    ids = np.arange(6)
    assert turned_ids(ids, 2).tolist() == [3, 2, 1, 0, 4, 5]
    assert turned_ids(turned_ids(ids, 2), 2).tolist() == ids.tolist()
    assert turned_ids(ids).tolist() == [5, 4, 3, 2, 1, 0]
    assert turned_ids(ids[:1], 1).tolist() == [0]
