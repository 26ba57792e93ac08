"""Features of a text, against loops over its characters and texts whose features are written below them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.features import FEATURES

OF = {feature.name: feature.of for feature in FEATURES}
texts = st.text('aB1 \t\n.,"\\“”«»()[]{}é', max_size=60)


def shown(name: str, text: str) -> str:
    """Return a feature as one digit for each character; line breaks stay, so that both can be compared by eye."""
    return "".join("\n" if c == "\n" else str(int(v)) for c, v in zip(text, OF[name](text), strict=True))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("quotes", 'a "b" c', "0011000"),
        ("quotes", "“a «b” c” »«d»", "11111000000110"),
        ("quotes", r'"a\"b"c', "1111100"),
        ("quotes", '"a\n\nb"c', "11\n\n011"),
        ("quotes", '"a\n\n  b"c', "11\n\n11100"),
        ("quotes", '"""a"b\n\nc"""d', "101111\n\n11100"),
        ("quotes", 'f("", x)', "00100000"),
        ("depth", "(a[b{c}d]e)f)", "1122332211000"),
        ("depth", "([)(]", "12011"),
        ("depth", "f(a,\n\nb", "0111\n\n0"),
        ("depth", "{\n\n  a}", "1\n\n1110"),
        ("brackets", "(a[b]c)d", "11111100"),
        ("column", "ab\nc\n\nd", "12\n1\n\n1"),
        ("indentation", "  a b\n\tc\nd ", "12222\n11\n00"),
        ("indent", "  a b\n\tc\nd ", "11000\n10\n00"),
        ("paragraph", "ab\nc\n \nde", "12\n4\n6\n12"),
        ("word", "ab1 c-de", "12301012"),
        ("word-end", "ab1 c-de", "00010100"),
        ("capital", "aÉB1", "0110"),
        ("letter", "aé1 漢", "11001"),
        ("vowel", "aÉby я", "110001"),
        ("digit", "a1²", "011"),
        ("space", "a \tb", "0110"),
        ("line-break", "a\n\r", "0\n0"),
        ("punctuation", "a.,-(1 \x00", "01111000"),
        ("next-line-break", "ab\nc", "01\n0"),
        ("next-space", "a b", "100"),
        ("next-same", "ab1, .", "100000"),
    ],
)
def test_a_feature_is_what_is_written_below_the_text(name, text, expected):
    assert shown(name, text) == expected


def test_what_no_digit_shows():
    assert OF["column"]("a" * 12 + "\nb").tolist() == [*range(1, 13), 0, 1]
    assert OF["line-break"]("a\nb").tolist() == [False, True, False]
    assert OF["paragraph"]("a\n\nb\n\n\nc").tolist() == [1, 2, 0, 1, 2, 0, 0, 1]
    assert OF["quotes"]('"a\nb\n').tolist() == [True] * 5
    assert OF["word-end"]("a\n").tolist() == [False, True]
    assert OF["next-same"]("a  \nb").tolist() == [False, True, True, False, False]


@given(texts)
def test_a_state_could_know_each_feature(text):
    """No feature but the last three depends on what comes after a character; those look at one more."""
    for feature in FEATURES:
        whole = feature.of(text)
        assert whole.shape == (len(text),) and whole.dtype in (bool, np.int64), feature.name
        for length in range(len(text)):
            known = max(0, length - feature.ahead)
            assert (feature.of(text[:length])[:known] == whole[:known]).all(), feature.name


@given(texts)
def test_counts_are_those_of_a_loop(text):
    column = paragraph = word = indentation = 0
    began = blank = True
    for place, character in enumerate(text):
        if character == "\n":
            paragraph = 0 if blank else paragraph + 1
            column, indentation, began, blank = 0, 0, True, True
        else:
            column, paragraph = column + 1, paragraph + 1
            blank = blank and character in " \t"
            began = began and character in " \t"
            indentation += began
        word = word + 1 if character.isalnum() else 0
        found = [int(OF[name](text)[place]) for name in ("column", "paragraph", "word", "indentation", "indent")]
        assert found == [column, paragraph, word, indentation, int(began and character != "\n")], (place, text)


def test_names_are_different_and_in_the_table():
    from charrnn.text import features

    assert len(OF) == len(FEATURES)
    for name in OF:
        assert f" {name} " in (features.__doc__ or "").replace(",", " "), name
