"""Advice on a text and on a model's size: silent where it suits the text, and never for a size that it has."""

import shlex
import sys
from itertools import islice

import numpy as np
import pytest

from charrnn.api.advice import FEW, PLENTY, UNITS, advice, rarity
from charrnn.api.datasets import Sources, new_dataset
from charrnn.api.settings import settings
from charrnn.config import ModelConfig, TextConfig
from charrnn.network.parameters import parameter_count
from charrnn.text.reader import read_text
from support.commands import charrnn_in


def test_a_size_that_suits_its_text_needs_no_advice():
    assert advice(1_003_854, ModelConfig(), 65) is None
    parameters = parameter_count(ModelConfig(), 65)
    for characters in (round(FEW * parameters) + 1, parameters, round(PLENTY * parameters) - 1):
        assert advice(characters, ModelConfig(), 65) is None


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("characters", [10, 1000, 30_000, 10**6, 10**8, 10**11])
def test_what_is_advised_suits_the_text_better(units, characters):
    said = advice(characters, ModelConfig(units=units), 65)
    each = characters / parameter_count(ModelConfig(units=units), 65)
    if said is None:
        assert FEW <= each <= PLENTY or units in (UNITS[0], UNITS[-1])
        return
    advised = int(said.partition("`units=")[2].partition("`")[0])
    assert advised in UNITS and (advised < units) == (each < FEW) and (advised > units) == (each > PLENTY)
    assert advice(characters, ModelConfig(units=advised), 65) is None or advised in (UNITS[0], UNITS[-1])


def test_training_says_it_before_it_starts(tmp_path):
    # Of a backend that is not there: it is looked for after that.
    script = "import sys; sys.modules['jax'] = None; from charrnn.__main__ import main; sys.argv[0] = 'charrnn'; main()"
    (tmp_path / "short.txt").write_text("a short text\n" * 30)
    tiny = ("--layers", 1, "--batch", 1, "--steps", 1)
    words = ("-c", script, "train", "short.txt", "--units", 64, *tiny)
    said = charrnn_in(tmp_path, *words, command=shlex.quote(sys.executable)).stderr
    assert said.index("soon overfit") < said.index("Loading") and "--units 32" in said


def said_of(path, text, **form):
    path.write_text(text, encoding="utf-8")
    return rarity(read_text([path], TextConfig(**form)))


def letters(count):
    """Return so many different letters of scripts that have many: Chinese, Korean, Yi, Ethiopic, …."""
    return "".join(islice((c for c in map(chr, range(0x1000, 0x20000)) if c.isalpha()), count))


def test_a_text_of_characters_that_hardly_occur_twice_is_told(tmp_path):
    said = said_of(tmp_path / "a", letters(20_000))
    assert "20,000 different characters among 20,000: each occurs 1.0 times on average, and 20,000 of them" in said
    # To follow it would be an error.
    assert "`min_count=2` would replace all of them. `bytes=True`" in said and "`encoding`" in said
    drawn = np.random.default_rng(0).choice(list(letters(20_000)), 60_000)
    said = said_of(tmp_path / "b", "".join(drawn))
    assert (
        "`min_count=2` replaces characters that occur once by one unknown symbol" in said
        and "each occurs 3.2 times" in said
    )
    # What is no text, in an encoding that takes nearly anything.
    (tmp_path / "c").write_bytes(np.random.default_rng(0).integers(0, 0xD800, 9000).astype("<u2").tobytes())
    assert rarity(read_text([tmp_path / "c"], TextConfig(encoding="utf-16-le")))


def test_a_text_in_a_script_of_many_characters_is_one_like_any_other(tmp_path):
    # Poems in Chinese: 20,000 characters, some 2,000 different ones, a few of which are most of the text.
    ranks = np.arange(1, 2501)
    shares = 1 / (ranks + 10)
    drawn = np.random.default_rng(0).choice(list(letters(2500)), 20_000, p=shares / shares.sum())
    assert 1900 < len(set(drawn)) <= 2500
    assert said_of(tmp_path / "poems", "".join(drawn)) is None
    assert said_of(tmp_path / "few", "".join(map(chr, range(0x4E00, 0x4E00 + 200)))) is None
    assert said_of(tmp_path / "bytes", letters(20_000), bytes=True) is None


def test_it_takes_the_place_of_advice_on_the_size(tmp_path):
    # As above: what comes before a backend is loaded.
    script = "import sys; sys.modules['jax'] = None; from charrnn.__main__ import main; sys.argv[0] = 'charrnn'; main()"
    (tmp_path / "a.txt").write_text(letters(2000) + "a" * 9, encoding="utf-8")
    for more, told in (((), True), (("--min-count", 2), False), (("--bytes",), False)):
        words = ("-c", script, "train", "a.txt", "--units", 32, "--steps", 1, "--quiet", *more)
        said = charrnn_in(tmp_path, *words, command=shlex.quote(sys.executable)).stderr
        assert ("2,001 different characters" in said and "--min-count 2 replaces" in said) == told
        assert not told or "per parameter" not in said


def told_before_training(path, content, **form):
    path.write_bytes(content)
    chosen = settings({"batch": 2, "seq": 8, **form})
    found = new_dataset(Sources([str(path)]), chosen, None, None)
    return [noticed.message for noticed in found if "empty" in noticed.message]


def test_empty_lines_that_are_documents_are_told(tmp_path):
    half = b"".join(b"name %d\n\n" % n for n in range(200))
    said = (
        "200 of 400 lines are empty, and each is a document: about 50 % of the samples will be empty. "
        "grep -v '^$' removes them."
    )
    assert told_before_training(tmp_path / "a", half, one_per_line=True) == [said]
    assert told_before_training(tmp_path / "a", half, one_per_line=True, bytes=True) == [said]
    windows = half.replace(b"\n", b"\r\n")
    returns, empty = told_before_training(tmp_path / "a", windows, one_per_line=True)
    assert "has carriage returns" in returns
    # The CR is no end of a line for grep.
    assert empty == said.replace("^$", "^[[:space:]]*$")
    assert told_before_training(tmp_path / "a", windows, one_per_line=True, newlines="lf") == [said]


def test_a_few_empty_lines_or_those_of_a_plain_text_are_not(tmp_path):
    names = b"".join(b"name %d\n" % n for n in range(198))
    assert told_before_training(tmp_path / "a", names + b"\n", one_per_line=True) == []
    assert told_before_training(tmp_path / "a", names + b"\n\n", one_per_line=True)[0].startswith(
        "2 of 200 lines are empty"
    )
    assert told_before_training(tmp_path / "a", b"name\n" + names + b"\n\n", one_per_line=True) == []
    assert told_before_training(tmp_path / "a", b"name\n" * 20 + b"\n", one_per_line=True) == []
    assert told_before_training(tmp_path / "a", b"name\n\n" * 200) == []
