"""Decoding block by block: however a document's bytes are cut, the text and the errors are those of the whole."""

import itertools
import sys
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.config import DEFAULT_TEXT, TextConfig
from charrnn.errors import CharRNNError
from charrnn.text import decoding as module
from charrnn.text.decoding import Decoder, prepare

FORMS = ("nfc", "nfd", "nfkc", "nfkd")
# Latin, Greek with its two small sigmas, Cyrillic, jamo, a Hangul syllable, marks that reorder and compose, signs that
# decompose, half-width kana and jamo, a letter beyond 16 bits, and all that ends a line or a word.
LETTERS = (
    "aÅeﬁıİΣσςΑΆЙк½①㎏ ㅏㄱ\u1100\u1161\u11a8\uac00한\u0301\u0323\u0308\u0345\u3099\u09c7\u09be"
    "ｶﾞﾡￂ\U0001f600\r\n .'\u00ad7"
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return data in blocks that begin at some places (of a ring)."""
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[low:high] for low, high in itertools.pairwise(bounds)]


def decode(blocks: list[bytes], config: TextConfig) -> tuple[str, list[str]]:
    decoder = Decoder(config, "a.txt")
    return "".join([*map(decoder.feed, blocks), decoder.close()]), decoder.notices


def beyond_the_head(encoding: str) -> bytes:
    """Return what makes a document's encoding known, so that the cuts behind it are those of the decoder."""
    return "\n".encode(encoding) * 1100


texts = st.text(st.sampled_from(LETTERS), max_size=40)
places = st.lists(st.integers(0, 200), max_size=12)


@given(
    texts, places, st.booleans(), st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"])
)
def test_cuts_make_no_difference_to_unicode(text, places, long, encoding):
    text = "x" * 1100 * long + text
    data = text.encode(encoding)
    where = [len(data) - 1 - place for place in places]
    assert decode(cut(data, where), TextConfig(encoding=encoding))[0] == text


@given(
    st.text(st.sampled_from("aあアｱ漢字ソ\\\n\r"), max_size=40),
    places,
    st.sampled_from(["shift_jis", "euc_jp", "iso2022_jp_ext"]),
)
def test_cuts_make_no_difference_to_other_encodings(text, places, encoding):
    data = text.encode(encoding)
    where = [1100 + place for place in places]
    blocks = cut(beyond_the_head("ascii") + data, where)
    assert decode(blocks, TextConfig(encoding=encoding))[0] == "\n" * 1100 + data.decode(encoding)


@given(st.binary(max_size=60), places, st.sampled_from(["latin-1", "cp437"]))
def test_cuts_make_no_difference_to_single_bytes(data, places, encoding):
    assert decode(cut(data, places), TextConfig(encoding=encoding))[0] == data.decode(encoding)
    assert decode(cut(data, places), TextConfig(bytes=True))[0] == data.decode("latin-1")


@given(st.text(st.sampled_from("a\r\n\u2028"), max_size=40), places, st.sampled_from(["utf-8", "utf-16-be"]))
@example("\r\n\r\r\n\n\r", [0, 1, 2, 3, 4, 5, 6], "utf-8")
def test_line_ends_are_one_however_they_are_cut(text, places, encoding):
    blocks = [beyond_the_head(encoding), *cut(text.encode(encoding), places)]
    found, _ = decode(blocks, TextConfig(encoding=encoding, newlines="lf"))
    assert found == "\n" * 1100 + text.replace("\r\n", "\n").replace("\r", "\n")
    kept = Decoder(TextConfig(encoding=encoding), "a.txt")
    assert "".join([*map(kept.feed, blocks), kept.close()]) == "\n" * 1100 + text


@given(texts, places, st.sampled_from(FORMS), st.booleans())
@example("e\u0323\u0301 \u1100\u1161\u11a8", list(range(40)), "nfc", False)
@example("ΛΟΓΟΣ ΛΟΓΟΣ", list(range(40)), "nfc", True)
def test_forms_are_those_of_the_whole(text, places, form, lower):
    config = TextConfig(normalize=form, lower=lower)
    whole = unicodedata.normalize(form.upper(), text)
    blocks = [beyond_the_head("utf-8"), *cut(text.encode(), places)]
    assert decode(blocks, config)[0] == "\n" * 1100 + (whole.lower() if lower else whole)
    assert prepare(text, config) == (whole.lower() if lower else whole)


@given(st.text(st.sampled_from("ΑΣ'aÅ\u0301 .7\u00adあ\n"), max_size=30), places)
@example("ΑΣ", [2])
@example("ΑΣ'Α", [2, 4, 6])
def test_lower_case_is_that_of_the_whole(text, places):
    blocks = [beyond_the_head("utf-8"), *cut(text.encode(), places)]
    assert decode(blocks, TextConfig(lower=True))[0] == "\n" * 1100 + text.lower()


@pytest.mark.parametrize("config", [TextConfig(lower=True), TextConfig(normalize="nfc")])
def test_a_text_without_a_place_to_cut_is_not_held_back_for_ever(monkeypatch, config):
    monkeypatch.setattr(module, "_HELD", 5000)
    decoder, longest, length = Decoder(config, ""), 0, 0
    for _ in range(60):
        length += len(decoder.feed(b"A\xcc\x81" * 500))
        longest = max(longest, len(decoder._held))
    assert longest <= 5000 + 1000 and length > 20_000 / 2
    assert length + len(decoder.close()) == 60 * 500 * (1 if config.normalize else 2)


def test_no_character_that_may_combine_with_the_one_before_begins_a_block():
    """Marks, the second halves of all characters that are composed, vowels and finals of Hangul, and what has them."""
    joins = {chr(point) for span in (range(0x1161, 0x1176), range(0x11A8, 0x11C3)) for point in span}
    for character in map(chr, range(sys.maxunicode + 1)):
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            joins.add(chr(int(parts[1], 16)))
        if unicodedata.combining(character):
            joins.add(character)
    assert len(joins) > 900
    joins |= {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.normalize("NFKD", c)[0] in joins}
    assert [hex(ord(character)) for character in joins if not module._joins(character)] == []
    assert not any(map(module._joins, "a Σ\n\u1100\uac00é漢"))


# --- Bytes that are no text ---


@given(st.text(st.sampled_from("a\nй漢\U0001f600"), max_size=40), places)
def test_the_place_of_an_undecodable_byte(text, places):
    good = "\n" * 1100 + text
    data = good.encode() + b"\xff" + b"\n\xfe" * 20
    with pytest.raises(CharRNNError) as caught:
        decode(cut(data, [len(good.encode()) + 20 - place for place in places]), DEFAULT_TEXT)
    line, offset = good.count("\n") + 1, len(good.encode())
    assert caught.value.message == f"a.txt is not UTF-8: byte 0xff at offset {offset:,}, line {line:,}."


# In the second and the last text there are bytes 0x0a that end no line.
@pytest.mark.parametrize("letters", ["ab\n", "\u0a05\u010a\n", "漢字\n", "\u0a0a\U00010a0a\n"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@given(places=places)
def test_the_place_in_utf16(letters, encoding, places):
    good = letters * 400
    data = "\ufeff".encode(encoding) + good.encode(encoding)
    offset = len(data)
    data += "\udc00".encode(encoding, "surrogatepass") + "\n".encode(encoding) * 30
    with pytest.raises(CharRNNError) as caught:
        decode(cut(data, [offset + 20 - place for place in places]), DEFAULT_TEXT)
    assert f"at offset {offset:,}, line 401." in caught.value.message
    assert f"is not {encoding.upper()}:" in caught.value.message


@pytest.mark.parametrize(
    ("encoding", "bad"), [("shift_jis", b"\x81\x20"), ("gb18030", b"\x81\xff"), ("cp1252", b"\x81")]
)
@given(places=places)
def test_the_place_in_other_encodings(encoding, bad, places):
    good = b"line\n" * 300
    with pytest.raises(CharRNNError) as caught:
        decode(cut(good + bad + b"\n" * 50, [1510 - place for place in places]), TextConfig(encoding=encoding))
    assert "byte 0x81 at offset 1,500, line 301." in caught.value.message


def test_a_document_that_ends_within_a_character():
    for tail, place in ((b"\xe2\x98", 1100), (b"ab\n\xe2", 1103)):
        with pytest.raises(CharRNNError, match=rf"byte 0xe2 at offset {place:,}, line {tail.count(10) + 1}\."):
            decode([b"a" * 1100, *(tail[place : place + 1] for place in range(len(tail)))], DEFAULT_TEXT)
    assert decode([b"a" * 1100, b"\xe2", b"\x98"], TextConfig(errors="replace"))[0] == "a" * 1100 + "\ufffd"


# --- UTF-16 without a mark ---


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@given(places=places)
def test_unmarked_utf16_is_recognised_wherever_it_is_cut(encoding, places):
    text = "plain Western text, é too\n" * 30
    found, notices = decode(cut(text.encode(encoding), places), DEFAULT_TEXT)
    assert found == text
    assert notices == [f"a.txt is taken for {encoding.upper()}: every other byte of it is zero."]


@pytest.mark.parametrize("text", ["ab\n" * 500, "\u0a05" * 600, "漢字" * 300, "é"])
def test_utf16_that_was_asked_for_needs_no_mark(text):
    assert decode([text.encode("utf-16-le")], TextConfig(encoding="utf-16"))[0] == text
    assert decode([text.encode("utf-32-le")], TextConfig(encoding="UTF32"))[0] == text
    # Without a mark only Western text tells that the higher byte comes first.
    big = decode([text.encode("utf-16-be")], TextConfig(encoding="utf-16"))[0]
    assert (big == text) == text.startswith("ab")


@pytest.mark.parametrize("data", [b"", b"a", b"\0", b"\0\0", b"a\0", b"\0\0\0\0", b"a\0b", b"ab\0\0" * 300])
def test_what_is_not_taken_for_utf16(data):
    assert decode([data], DEFAULT_TEXT)[0] == data.decode()


@given(places)
def test_the_beginning_alone_tells(places):
    """As much of it as is always there: what the first block holds beyond that must not matter."""
    wide = "ab" * 300
    data = wide.encode("utf-16-le") + b"ab" * 2000
    expected = (wide.encode("utf-16-le") + b"ab" * 2000).decode("utf-16-le")
    for blocks in ([data], cut(data, places), cut(data, [900 + 10 * place for place in places])):
        assert decode(blocks, DEFAULT_TEXT)[0] == expected


@settings(max_examples=200)
@given(st.binary(max_size=3000), places, st.sampled_from(["utf-8", "utf-16", "utf-16-be", "shift_jis", "gb18030"]))
def test_whatever_is_replaced_is_replaced_alike(data, places, encoding):
    config = TextConfig(encoding=encoding, errors="replace")
    assert decode(cut(data, [17 * place for place in places]), config) == decode([data], config)
