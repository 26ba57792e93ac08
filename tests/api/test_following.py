"""What may follow a text: the next characters with their probabilities, from Python and from the command line."""

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import model as inference
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.commands import HEAVY, loaded_by
from support.models import random_weights, write_model

VOCAB = Vocabulary.of("\n abcdefgh☞", has_unknown=True)
READ = "abba\ncab ☞"


def model_of(text: TextConfig = DEFAULT_TEXT, dtype: str = "float64", cell: str = "lstm") -> charrnn.Model:
    """Return a model whose predictions depend on all that it has read."""
    config = ModelConfig(cell, 2, 8)
    weights = random_weights(config, VOCAB.size, dtype, scale=4.0)
    return charrnn.Model(inference.Model(config, VOCAB, weights, text), Path("toy.safetensors"))


def loop(model: charrnn.Model, text: str) -> list[float]:
    """Return the probabilities after a text in the plainest way: a step a character, then softmax in float64."""
    stream, logits = Stream(model.network), np.zeros(0)
    for id in [VOCAB.start, *VOCAB.encode(text).tolist()]:
        logits = stream.step(id).astype(np.float64)
    shares = [math.exp(logit) for logit in logits]
    return [share / math.fsum(shares) for share in shares]


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm-mogrifier"])
@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-12), ("float32", 1e-5)])
def test_probabilities_are_those_of_a_loop(cell, dtype, close):
    model = model_of(dtype=dtype, cell=cell)
    for text in (READ, 3_000 * "abc ", "☞"):
        found, expected = model.next(text, top=None), loop(model, text)
        assert [one.probability for one in found] == pytest.approx(sorted(expected, reverse=True), rel=close)
        assert sorted(one.id for one in found) == list(range(VOCAB.size))
        for one in found:
            assert one.probability == pytest.approx(expected[one.id], rel=close)
            assert one.character == (*VOCAB.symbols, "\ufffd")[one.id] and one.bits == -math.log2(one.probability)
    assert math.fsum(one.probability for one in found) == pytest.approx(1, rel=1e-12)


def test_the_likeliest_come_first_and_as_many_as_wanted():
    model = model_of()
    every = model.next(READ, top=None)
    assert model.next(READ, top=3) == every[:3] and model.next(READ) == every[:10]
    assert model.next(READ, top=99) == every
    for wrong in (0, -1, 2.5, "3"):
        with pytest.raises(CharRNNError, match="`top` is"):
            model.next(READ, top=wrong)
    with pytest.raises(CharRNNError, match="`text` is 5"):
        model.next(5)


def test_what_a_model_of_lines_has_ended_is_forgotten():
    of_lines, of_streams = model_of(TextConfig(one_per_line=True)), model_of()
    assert of_lines.next("abba\nca") == of_lines.next("ca") != of_lines.next("bca")
    assert of_lines.next("abba\n") == of_lines.next("")
    assert of_streams.next("abba\nca") != of_streams.next("ca")


def test_a_damaged_model_has_no_answer():
    model = model_of()
    model.network.weights["output/b"][0] = np.nan
    with pytest.raises(CharRNNError, match="are not numbers"):
        model.next(READ)


# From the command line


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return the current folder, with a run and a model of bytes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    (tmp_path / "checkpoints/run").mkdir(parents=True)
    write_model(tmp_path / "checkpoints/run/best.safetensors", Vocabulary.of("\n abcdefgh"))
    write_model(tmp_path / "bytes.safetensors", Vocabulary(tuple(map(chr, range(256)))), TextConfig(bytes=True))
    return tmp_path


def said(*arguments, stdin=b""):
    return CliRunner().invoke(app, ["next", *map(str, arguments)], input=stdin)


def test_the_command_prints_what_python_returns(here):
    expected = charrnn.load("run").next("ab\n", top=4)
    rows = said("run", r"ab\n", "--top", 4).stdout.splitlines()
    assert rows[0].split() == ["CHARACTER", "PROBABILITY", "BITS"]
    assert [row.rsplit(maxsplit=2) for row in rows[1:]] == [
        [repr(one.character), f"{one.probability:.6f}", f"{one.bits:.3f}"] for one in expected
    ]
    records = [json.loads(line) for line in said("run", r"ab\n", "--top", 4, "--jsonl").stdout.splitlines()]
    assert records == [{**one.to_json(), "run": "run"} for one in expected]
    # Of the newest run, and what may begin a text.
    newest = said(r"ab\n", "--top", 4)
    assert newest.stdout.splitlines() == rows and newest.stderr == "The model is run (best.safetensors).\n"
    assert said("run").stdout == said("run", "").stdout != said("run", "a").stdout


def test_bytes_are_shown_as_bytes(here):
    model = charrnn.load("bytes.safetensors")
    assert model.next(b"\xff") != model.next("\xff") == model.next("ÿ".encode())
    rows = said("bytes.safetensors", r"\xff", "--top", 256).stdout.splitlines()[1:]
    assert {row.rsplit(maxsplit=2)[0] for row in rows} >= {r"'\xff'", "'a'", r"'\x80'", r"'\n'"}
    (first, *_) = [json.loads(line) for line in said("bytes.safetensors", r"\xff", "--jsonl").stdout.splitlines()]
    assert first["id"] == model.next(b"\xff")[0].id


def test_a_text_from_stdin_loses_one_line_break(here, monkeypatch):
    def piped(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return said("run", "-", stdin=data).stdout

    assert piped(b"ab\n") == said("run", "ab").stdout
    assert piped(b"ab\n\n") == said("run", r"ab\n").stdout


def test_mistakes_are_explained(here):
    def refused(*arguments):
        result = said(*arguments)
        assert isinstance(result.exception, CharRNNError) and result.stdout == ""
        return result.exception

    assert "The text has characters that the model does not know: 'X'" in refused("run", "aXb").message
    assert said("run", "aXb", "--unknown", "skip").stdout == said("run", "ab").stdout
    assert "3 words were given" in refused("run", "ab", "ba").message
    assert "nowhere" in refused("nowhere", "ab").message
    assert "--top" in refused("run", "ab", "--top", 0).message


def test_nothing_heavy_is_loaded(here):
    result, loaded = loaded_by(here, "next", "run", "ab")
    assert result.returncode == 0 and not loaded & HEAVY
