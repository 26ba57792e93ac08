"""Which characters of a text a model has never seen: those that `evaluate` would not know, however it reads."""

import pytest

from charrnn.api.model import load
from charrnn.api.vocabulary import characters_of
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

BYTES = Vocabulary(tuple(map(chr, range(256))))
# What a model knows, how it reads, a text in UTF-8, and the characters of it that it does not know.
CASES = {
    "lower": ("abz", TextConfig(lower=True), "ABZ", ""),
    "lower lacks": ("ab", TextConfig(lower=True), "ABZ", "z"),
    "as it is": ("ab", TextConfig(), "abZ", "Z"),
    "bytes": (BYTES, TextConfig(bytes=True), "né☞\r\n", ""),
    "nfc": ("né", TextConfig(normalize="nfc"), "ne\u0301", ""),
    "nfd": ("ne\u0301", TextConfig(normalize="nfd"), "né", ""),
    "line ends": ("ab\n", TextConfig(), "a\r\nb\r", ""),
    "line ends that it knows": ("ab\r\n", TextConfig(), "a\r\nb\r", ""),
    "plain line ends": ("ab\n", TextConfig(newlines="lf"), "a\r\nb", ""),
    "lines": ("ab\n", TextConfig(one_per_line=True), "a\nb☞", "☞"),
    "trained on another encoding": ("né", TextConfig(encoding="latin-1"), "né", ""),
}


def unknown(folder, model, **given):
    """Return the characters of text.txt that are reported."""
    found = characters_of([str(folder / "text.txt")], given, (), str(folder / model), lambda *_: None, lambda _: None)
    return "".join(sorted(symbol["character"] for symbol in found.report["symbols"]))


def write(folder, known, reads, text):
    vocab = known if isinstance(known, Vocabulary) else Vocabulary.of(known)
    write_model(folder / "model.safetensors", vocab, reads)
    (folder / "text.txt").write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize("case", CASES)
def test_what_is_unknown_is_what_the_model_would_not_know(case, tmp_path):
    *written, expected = CASES[case]
    write(tmp_path, *written)
    assert unknown(tmp_path, "model.safetensors") == expected
    model = load(tmp_path / "model.safetensors")
    if not expected:
        assert model.evaluate(tmp_path / "text.txt").characters > 0
    else:
        with pytest.raises(CharRNNError, match="characters that the model does not know"):
            model.evaluate(tmp_path / "text.txt")


def test_what_is_given_comes_before_what_the_model_says(tmp_path):
    write(tmp_path, "né", TextConfig(), "NÉ".encode("latin-1"))
    with pytest.raises(CharRNNError, match="is not UTF-8"):
        unknown(tmp_path, "model.safetensors")
    assert unknown(tmp_path, "model.safetensors", encoding="latin-1") == "NÉ"
    assert unknown(tmp_path, "model.safetensors", encoding="latin-1", lower=True) == ""
    assert unknown(tmp_path, "model.safetensors", errors="replace") == "N\ufffd"
    with pytest.raises(CharRNNError, match="is a model of characters"):
        unknown(tmp_path, "model.safetensors", bytes=True)


def test_a_vocabulary_file_does_not_say_how_a_text_is_read(tmp_path):
    write(tmp_path, "ab", TextConfig(), "AB")
    Vocabulary.of("ab").save(tmp_path / "ab.json")
    assert unknown(tmp_path, "ab.json") == "AB"
    assert unknown(tmp_path, "ab.json", lower=True) == ""
