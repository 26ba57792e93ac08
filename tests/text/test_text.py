"""Bytes to text: encodings, marks, line ends, Unicode forms; and a model remembers how."""

import codecs
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from charrnn.text.decoding import Decoder, prepare
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import charrnn_in


def decode(data: bytes, config: TextConfig, where: str, block: int = 1 << 18) -> tuple[str, list[str]]:
    """Return the text of a document that comes in blocks, and the notices."""
    decoder = Decoder(config, where)
    pieces = [decoder.feed(data[low : low + block]) for low in range(0, len(data), block)]
    return "".join([*pieces, decoder.close()]), decoder.notices


ODD = "Ärger\r\nO\u0308l\rﬁn\n€"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_mark_tells_the_encoding_and_is_no_text(encoding):
    mark = "\ufeff".encode(encoding)
    text, notices = decode(mark + ODD.encode(encoding), DEFAULT_TEXT, "a.txt")
    assert text == ODD
    told = [notice for notice in notices if "by its mark" in notice]
    assert told == ([] if encoding == "utf-8" else [f"a.txt is {encoding[:-3].upper()} by its mark."])
    # Elsewhere it is a character like any other.
    assert decode(("a" + "\ufeff").encode(), DEFAULT_TEXT, "")[0] == "a\ufeff"


@pytest.mark.parametrize("encoding", ["utf-16", "UTF8", "utf-8-sig", "utf-32"])
def test_an_encoding_that_a_mark_confirms_needs_no_notice(encoding):
    assert decode("é".encode(encoding), TextConfig(encoding=encoding), "a.txt") == ("é", [])


def test_other_encodings():
    assert decode(b"\x80 \xe9", TextConfig(encoding="cp1252"), "")[0] == "€ é"
    assert decode(codecs.BOM_UTF8, TextConfig(encoding="latin-1"), "")[0] == "ï»¿"
    for encoding in ("klingon", "rot13", "hex", ""):
        with pytest.raises(CharRNNError, match="`encoding`"):
            TextConfig(encoding=encoding)


def test_bytes_that_are_no_text_are_named_with_their_place():
    with pytest.raises(CharRNNError, match=r"a\.txt is not UTF-8: byte 0xff at offset 7, line 2\.") as caught:
        decode(codecs.BOM_UTF8 + b"ab\nc\xffd", DEFAULT_TEXT, "a.txt")
    assert "`encoding='latin-1'`" in caught.value.hint and "`errors='replace'`" in caught.value.hint
    with pytest.raises(CharRNNError) as caught:
        decode("é".encode("utf-16-le") * 5 + b"\xff", DEFAULT_TEXT, "a.txt")
    # It is what it was taken for, and damaged.
    assert caught.value.hint.startswith("Or replace such bytes: `errors='replace'`.")
    assert decode(b"a\xffb", TextConfig(errors="replace"), "")[0] == "a\ufffdb"
    with pytest.raises(CharRNNError, match=r"offset 2"):
        decode(b"a\0\0", TextConfig(encoding="utf-16-le"), "a.txt")


def test_line_ends_stay_unless_told_otherwise():
    assert decode(b"a\r\nb\rc\n\r\r\n", DEFAULT_TEXT, "a.txt") == ("a\r\nb\rc\n\r\r\n", [])
    assert decode(b"a\r\nb\rc\n\r\r\n", TextConfig(newlines="lf"), "a.txt") == ("a\nb\nc\n\n\n", [])


def test_carriage_returns_are_told_to_who_trains(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\r\nb\rc\n\r\r\n")
    (tmp_path / "b.txt").write_bytes(b"plain\n")
    (notice,) = read_text([tmp_path / "a.txt"]).carriage_returns()
    assert "a.txt has carriage returns (4," in notice and "`newlines='lf'`" in notice
    (notice,) = read_text([tmp_path / "b.txt", tmp_path / "a.txt"]).carriage_returns()
    assert notice.startswith("The text has carriage returns (4,")
    assert f"the first at {tmp_path / 'a.txt'}:1:2)" in notice
    for form in (TextConfig(newlines="lf"), TextConfig(bytes=True)):
        assert read_text([tmp_path / "a.txt"], form).carriage_returns() == []
    assert read_text([tmp_path / "b.txt"]).carriage_returns() == []


@pytest.mark.parametrize("form", ["nfc", "nfd", "nfkc", "nfkd"])
def test_unicode_forms_and_case(form):
    assert prepare(ODD, TextConfig(normalize=form)) == unicodedata.normalize(form.upper(), ODD)
    assert prepare("ÄÖ A", TextConfig(lower=True)) == "äö a"


def test_notices_of_many_files_are_brief(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text(f"a{number}\n", encoding="utf-16")
    notices = read_text([tmp_path]).notices
    assert len(notices) == 4 and notices[-1] == "… and 6 more such notices."


def write_all(folder, **contents):
    for name, content in contents.items():
        (folder / name).write_text(content)
    return read_text([folder], include=[*contents])


def test_files_with_the_same_content_are_told_once(tmp_path):
    long = "a long one" * 1000
    text = write_all(tmp_path, a="1", b="22", c="1", d=long, e=long[:-1] + "f", f="22", g="1", h=long)
    assert text.copies() == [(0, 2), (0, 6), (1, 5), (3, 7)]
    names = [str(tmp_path / name) for name in "ac"]
    assert text.notices == (f"{names[0]} and {names[1]} have the same content: 4 of 8 files repeat an earlier one.",)
    pair = write_all(tmp_path, d=long, h=long)
    assert pair.notices[0].endswith("have the same content: 1 of 2 files repeats an earlier one.")
    assert write_all(tmp_path, d=long, e=long[:-1] + "f").notices == ()


def test_the_same_file_named_twice_is_told(tmp_path):
    write_all(tmp_path, a="a text\n", b="a text")
    assert "1 of 2 files" in read_text([tmp_path / "a", tmp_path / "a"]).notices[0]
    # Its last line gets an end.
    assert "1 of 2 files" in read_text([tmp_path / "a", tmp_path / "b"], TextConfig(one_per_line=True)).notices[0]
    assert read_text([tmp_path / "a", tmp_path / "b"]).notices == ()


def test_nothing_is_read_again_of_files_that_differ_in_length_or_at_once(tmp_path, monkeypatch):
    text = write_all(tmp_path, a="1" * 9000, b="2" * 9000, c="3" * 9001)
    monkeypatch.setattr("charrnn.text.text.hashlib", None)
    assert text.copies() == []
    with pytest.raises(AttributeError):
        write_all(tmp_path, a="1" * 9000, b="1" * 8999 + "2")


@pytest.mark.parametrize("block", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize(
    ("content", "empty"),
    [
        (b"\n\na\n\nb\n\n", 4),
        (b"\r\na\r\n\r\n\r\nb\r\n", 3),
        (b"a\n \n\t\nb", 0),
        (b"a\r\r\n\r\r\n", 0),
        (b"\n", 1),
        (b"abc", 0),
    ],
)
def test_empty_lines_are_counted(content, empty, block, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(content)
    monkeypatch.setattr("charrnn.text.text.BLOCK", block)
    for form in (TextConfig(one_per_line=True), TextConfig(one_per_line=True, bytes=True)):
        assert read_text([tmp_path / "a"], form).empty_lines() == empty
        # The line before a file begins has come to its end.
        assert read_text([tmp_path / "a", tmp_path / "a"], form).empty_lines() == 2 * empty
    plain = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    read = read_text([tmp_path / "a"], TextConfig(one_per_line=True, newlines="lf"))
    assert read.empty_lines() == plain.split(b"\n")[: plain.count(b"\n")].count(b"")


def test_a_corpus_is_read_as_it_says(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("É\r\n".encode("latin-1"))
    config = TextConfig(encoding="latin-1", newlines="lf", lower=True)
    text = read_text([path], config)
    assert text.decode() == "é\n" and text.config == config


def test_a_model_remembers_how_it_wants_its_text(tmp_path):
    vocab, model = Vocabulary.of("abé\n"), ModelConfig("rnn", 1, 4)
    config = TextConfig(encoding="latin-1", newlines="lf", normalize="nfc", lower=True)
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, Checkpoint(model, vocab, initial_weights(model, vocab.size, 0), text=config))
    assert read_checkpoint(path).text == config
    (tmp_path / "t.txt").write_bytes("ABÉ\r\n".encode("latin-1"))
    (tmp_path / "u.txt").write_text("ABE\u0301\n")
    results = [
        charrnn_in(tmp_path, "eval", "m.safetensors", "t.txt", "--encoding", "latin-1"),
        charrnn_in(tmp_path, "eval", "m.safetensors", "u.txt"),
    ]
    assert [result.returncode for result in results] == [0, 0]
    # The same text, but for its bytes.
    assert results[0].stdout.splitlines()[:-1] == results[1].stdout.splitlines()[:-1]
    sampled = charrnn_in(tmp_path, "sample", "m.safetensors", "--prime", "ABE\u0301", "-n", "3")
    assert sampled.returncode == 0 and sampled.stdout.decode().startswith("abé")
    assert np.isfinite(float(results[0].stdout.split()[-1]))
    write_checkpoint(path, replace(read_checkpoint(path), text=DEFAULT_TEXT))
    assert charrnn_in(tmp_path, "eval", "m.safetensors", "t.txt", "--encoding", "latin-1").returncode == 1
