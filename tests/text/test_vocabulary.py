import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary

# All planes and lone surrogates: whatever a str can hold.
characters = st.characters(min_codepoint=0, max_codepoint=0x10FFFF)
texts = st.text(characters, min_size=1) | st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010), min_size=1)


@given(texts)
def test_decode_is_the_inverse_of_encode(text):
    vocab = Vocabulary.of(text)
    ids = vocab.encode(text)
    assert vocab.decode(ids) == text
    assert [vocab.symbols[i] for i in ids] == list(text)


@given(texts, texts)
def test_only_known_characters_are_encoded(known, text):
    vocab = Vocabulary.of(known)
    unknown = vocab.unknown(text)
    assert unknown == {c: text.count(c) for c in text if c not in known}
    if unknown:
        with pytest.raises(CharRNNError):
            vocab.encode(text)
    else:
        assert vocab.decode(vocab.encode(text)) == text


def test_code_points_beyond_the_last_symbol_are_unknown():
    vocab = Vocabulary.of("ab")
    for code in [*range(97), *range(99, 500), 0xFFFF, 0x10000, 0x10FFFF]:
        with pytest.raises(CharRNNError):
            vocab.encode(chr(code))


def test_surrogate_pairs_are_not_joined():
    text = "\ud83d\ude00\U0001f600"
    vocab = Vocabulary.of(text)
    assert vocab.size == 3
    assert vocab.decode(vocab.encode(text)) == text


def test_ids_follow_code_points_and_start_comes_last():
    vocab = Vocabulary.of("banana\n")
    assert vocab.symbols == ("\n", "a", "b", "n")
    assert (vocab.size, vocab.start) == (4, 4)
    assert vocab.encode("nab\n").tolist() == [3, 1, 2, 0]
    assert vocab.decode([1, 2]) == "ab"
    assert vocab.decode([]) == ""
    assert vocab.encode("").tolist() == []


@pytest.mark.parametrize(("size", "dtype"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16), (65536, np.uint32)])
def test_the_smallest_type_that_holds_the_start_symbol(size, dtype):
    vocab = Vocabulary(tuple(chr(i) for i in range(size)))
    ids = vocab.encode(vocab.symbols[-1])
    assert ids.dtype == dtype
    assert ids.tolist() == [size - 1]
    assert np.iinfo(dtype).max >= vocab.start


def test_long_texts_are_encoded_in_blocks_without_a_seam(monkeypatch):
    monkeypatch.setattr("charrnn.text.vocabulary._BLOCK", 7)
    text = "In Xanadu\ndid Kubla Khan \U0001f3ef"
    vocab = Vocabulary.of(text)
    assert vocab.decode(vocab.encode(text)) == text
    with pytest.raises(CharRNNError, match="line 2, column 8"):
        vocab.encode("Khan did\nXanadu ?")


def test_unknown_characters_are_named_with_their_place():
    with pytest.raises(CharRNNError) as caught:
        Vocabulary.of("abc\n").encode("abc\nabé\u200bé'", "prime.txt")
    assert caught.value.message == (
        "prime.txt has characters that the model does not know: 'é' (U+00E9) x 2, '\\u200b' (U+200B) x 1, "
        '"\'" (U+0027) x 1, first at line 2, column 3.'
    )
    assert caught.value.hint


def test_at_most_ten_unknown_characters_are_listed():
    with pytest.raises(CharRNNError) as caught:
        Vocabulary.of("x").encode("ABCDEFGHIJKL")
    assert "'J' (U+004A) x 1 and 2 more" in caught.value.message
    assert "'K'" not in caught.value.message


def test_unknown_characters_are_left_out_or_replaced_and_that_is_said():
    vocab = Vocabulary.of("abc?\n")

    def admitted(vocab, text, policy):
        ids, notice = vocab.admit(text, policy, "x.txt")
        return vocab.decode(ids), notice

    assert admitted(vocab, "abc", "skip") == ("abc", None)
    assert admitted(vocab, "aéb☞☞", "skip") == (
        "ab",
        "3 characters of x.txt are unknown and were left out: 'é' (U+00E9) x 1, '☞' (U+261E) x 2.",
    )
    text, notice = admitted(vocab, "aéb", "replace")
    assert text == "a?b" and "was replaced by '?'" in notice
    assert admitted(Vocabulary.of("a\ufffd?"), "é", "replace")[0] == "\ufffd"
    assert admitted(Vocabulary.of("a "), "é", "replace")[0] == " "
    with pytest.raises(CharRNNError, match="has none of these"):
        Vocabulary.of("ab").admit("é", "replace", "")
    with pytest.raises(CharRNNError, match=r"x\.txt has characters that the model"):
        vocab.admit("é", "error", "x.txt")
    with pytest.raises(CharRNNError, match=r"x\.txt has characters that the model"):
        vocab.admit("é", None, "x.txt")


@pytest.mark.parametrize(
    ("symbols", "says"),
    [
        ((), "at least one"),
        (("a", "bc"), "single characters"),
        (("a", ""), "single characters"),
        (("a", "b", "b"), r"'b' \(U\+0062\) twice"),
        (("b", "a"), "sorted"),
    ],
)
def test_what_is_no_vocabulary(symbols, says):
    with pytest.raises(CharRNNError, match=says):
        Vocabulary(symbols)


def test_the_file_is_pinned_to_its_bytes(tmp_path):
    path = tmp_path / "vocab.json"
    Vocabulary.of('a\n"é\U0001f600\\').save(path)
    assert path.read_bytes() == (
        b'{"format": "charrnn-vocab", "version": 1, "symbols": "\\n\\"\\\\a\xc3\xa9\xf0\x9f\x98\x80"}\n'
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["vocab.json"]


@given(st.text(min_size=1))
def test_json_round_trip(text):
    vocab = Vocabulary.of(text)
    assert Vocabulary.from_json(json.loads(json.dumps(vocab.to_json()))) == vocab


def test_save_and_load(tmp_path):
    path = tmp_path / "vocab.json"
    vocab = Vocabulary.of("\x00\t\r\n é\u2028\uffff\U0010ffff")
    Vocabulary.of("older").save(path)
    vocab.save(path)
    assert Vocabulary.load(path) == vocab


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "vocab.json"
    Vocabulary.of("old").save(path)
    before = path.read_bytes()
    failures = []

    def full(part, target):
        failures.append(target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(CharRNNError, match="No space left"):
        Vocabulary.of("new").save(path)
    assert failures == [path]
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["vocab.json"]


def test_save_into_a_missing_folder(tmp_path):
    with pytest.raises(CharRNNError, match=r"cannot be written to .*vocab\.json: No such file"):
        Vocabulary.of("a").save(tmp_path / "missing" / "vocab.json")


def test_lone_surrogates_are_not_written():
    # As JSON this pair would be read back as one character.
    with pytest.raises(CharRNNError, match=r"U\+DBFF"):
        Vocabulary.of("\udbff\udc00").to_json()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"abc", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", 'no "format"'),
        (b'{"symbols": "ab"}', 'no "format"'),
        (b'{"format": "other", "version": 1, "symbols": "ab"}', 'no "format"'),
        (b'{"format": "charrnn-vocab", "version": 2, "symbols": "ab"}', "version 2; this charrnn reads version 1"),
        (b'{"format": "charrnn-vocab", "symbols": "ab"}', "version is None"),
        (b'{"format": "charrnn-vocab", "version": "1", "symbols": "ab"}', "version is '1'"),
        (b'{"format": "charrnn-vocab", "version": 1}', '"symbols" must be'),
        (b'{"format": "charrnn-vocab", "version": 1, "symbols": ["a", "b"]}', '"symbols" must be'),
        (b'{"format": "charrnn-vocab", "version": 1, "symbols": ""}', "at least one"),
        (b'{"format": "charrnn-vocab", "version": 1, "symbols": "aa"}', "twice"),
        (b'{"format": "charrnn-vocab", "version": 1, "symbols": "ba"}', "sorted"),
    ],
)
def test_files_that_are_no_vocabulary(tmp_path, content, says):
    path = tmp_path / "vocab.json"
    path.write_bytes(content)
    with pytest.raises(CharRNNError, match=says) as caught:
        Vocabulary.load(path)
    assert str(path) in caught.value.message


def test_a_missing_vocabulary_file(tmp_path):
    with pytest.raises(CharRNNError, match="does not exist") as caught:
        Vocabulary.load(tmp_path / "vocab.json")
    assert "charrnn vocab" in caught.value.hint


def test_a_folder_is_no_vocabulary_file(tmp_path):
    with pytest.raises(CharRNNError, match="cannot be read"):
        Vocabulary.load(tmp_path)
