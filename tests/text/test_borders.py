"""Documents inside files: what ends them, and where they begin, however a text is cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.borders import Borders
from charrnn.text.reader import read_text

BLANK = "\n\n"


def documents(text: str, config: TextConfig, cuts: tuple[int, ...] = ()) -> list[str]:
    """Return the documents of a text that comes in pieces."""
    borders, found, begins = Borders(config), "", []
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for low, high in pairwise(places):
        piece, some = borders.feed(text[low:high], last=False)
        begins += [len(found) + place for place in some]
        found += piece
    piece, some = borders.feed("", last=True)
    begins += [len(found) + place for place in some]
    found += piece
    assert begins == sorted(set(begins)) and (not found or begins[0] == 0)
    return [found[low:high] for low, high in pairwise([*begins, len(found)])]


@pytest.mark.parametrize(
    ("marker", "text", "expected"),
    [
        (BLANK, "A\nb\n\nC\n\n", ["A\nb\n\n", "C\n\n"]),
        # The last one gets what it lacks of the marker.
        (BLANK, "A\n\nB\n", ["A\n\n", "B\n\n"]),
        (BLANK, "A\n\nB", ["A\n\n", "B\n\n"]),
        # More blank lines are one border, and no document is empty.
        (BLANK, "\n\n\nA\n\n\nB\n\n\n\n\n", ["A\n\n", "B\n\n"]),
        (BLANK, "\nA\n \nB", ["A\n \nB\n\n"]),
        ("\n", "a\n\nb", ["a\n", "b\n"]),
        ("%%\n", "a\n%%\nb\n%%", ["a\n%%\n", "b\n%%\n"]),
        ("%%\n", "%%\n%%\na", ["a%%\n"]),
        ("\n%\n", "%\na\n%\n%\nb\n", ["a\n%\n", "b\n%\n"]),
        ("--", "a-----b-c--", ["a--", "b-c--"]),
        ("END", "no FRIEND", ["no FRIEND"]),
        ("END", "aENb", ["aENbEND"]),
        (BLANK, "", []),
        (BLANK, "\n\n\n", []),
    ],
)
def test_documents_are_what_is_between_markers(marker, text, expected):
    config = TextConfig(documents_between=marker)
    assert documents(text, config) == expected
    assert documents(text, config, tuple(range(len(text)))) == expected


@given(
    st.sampled_from([BLANK, "\n", "%%\n", "\n%\n", "aba", "abab", "ab", "\x1e"]),
    st.text("ab%\n\x1e", max_size=24),
    st.lists(st.integers(0, 24), max_size=8).map(tuple),
)
def test_how_a_text_is_cut_makes_no_difference(marker, text, cuts):
    config = TextConfig(documents_between=marker)
    found = documents(text, config, cuts)
    assert found == documents(text, config)
    assert all(document.endswith(marker) and len(document) > len(marker) for document in found)
    # What is not a marker is all there.
    if marker in ("\x1e", "\n"):
        assert found == [f"{document}{marker}" for document in text.split(marker) if document]


@pytest.mark.parametrize(
    ("settings", "text", "expected"),
    [
        ({}, "a\n\nb", "a\n\nb"),
        ({"one_per_line": True}, "a\n\nb", "a\n\nb\n"),
        ({"one_per_line": True}, "a\n", "a\n"),
        ({"separator": "|"}, "a\n", "a\n|"),
        ({"separator": "|"}, "", ""),
    ],
)
def test_without_a_marker_a_text_is_ended_as_a_file_is(settings, text, expected):
    config = TextConfig(**settings)
    assert "".join(documents(text, config, tuple(range(len(text))))) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n\n\n\n", "The text has nothing but markers"),
        (b"\xef\xbb\xbf", "only a byte order mark"),
    ],
)
def test_a_text_without_a_document_is_refused(content, said, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CharRNNError, match=said):
        read_text([tmp_path / "a"], TextConfig(documents_between=BLANK))


def test_each_file_ends_its_last_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"a": "A\n\n\nB", "b": "\n", "c": "C\n"}.items():
        (tmp_path / name).write_text(text)
    text = read_text(["a", "b", "c"], TextConfig(documents_between=BLANK))
    assert text.decode() == "A\n\nB\n\nC\n\n" and text.begins.tolist() == [0, 3, 6]
    # Files are told by their own beginnings.
    assert (text.names, text.starts.tolist(), text.inner_documents) == (("a", "c"), [0, 6], 3)
    assert read_text(["a"], TextConfig(one_per_line=True)).inner_documents == 4
    assert read_text(["a"]).begins is read_text(["a"]).inner_documents is None
    raw = read_text(["a"], TextConfig(documents_between="\n\n", bytes=True))
    assert raw.begins.tolist() == [0, 3] and raw.byte_count == 5
    lower = read_text(["a"], TextConfig(documents_between="a", lower=True))
    assert lower.decode() == "\n\n\nba"
