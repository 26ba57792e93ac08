"""`--engine` and `--weights` of the commands that use a model, and the same arguments in Python."""

import sys

import numpy as np
import pytest

import charrnn
from charrnn.cli.app import main
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.inference.compiled import Compiled
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\n abcdefgh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, config = tmp_path_factory.mktemp("engines"), ModelConfig("gru", 1, 16)
    weights = random_weights(config, VOCAB.size, "float32", scale=4.0)
    write_checkpoint(folder / "model.safetensors", Checkpoint(config, VOCAB, weights))
    (folder / "lines.txt").write_text("".join(f"{a} {b}c\n" for a in "abcd" for b in "efgh" for _ in range(3)))
    return folder


@pytest.fixture
def compiled(monkeypatch):
    """Return how often compiled code was asked for."""
    asked = []
    network = Compiled.network
    monkeypatch.setattr(Compiled, "network", lambda self, one: asked.append(self.model.form) or network(self, one))
    return asked


@pytest.fixture
def run(folder, monkeypatch, capfd):
    """Return a function that runs a command, and returns its exit code, stdout and stderr."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["charrnn", *arguments])
        code = 0
        try:
            main()
        except SystemExit as exit:
            code = exit.code or 0
        return code, *capfd.readouterr()

    return run


COMMANDS = {
    "sample": ("sample", "model.safetensors", "-n", "300", "--seed", "1"),
    "count": ("sample", "model.safetensors", "-n", "60", "--seed", "1", "-c", "20"),
    "beam": ("sample", "model.safetensors", "-n", "30", "--beam", "5"),
    "complete": ("complete", "model.safetensors", "lines.txt", "-n", "9", "--temp", "1", "--seed", "1"),
    "score": ("score", "model.safetensors", "lines.txt"),
    "whole": ("score", "model.safetensors", "lines.txt", "--whole"),
}


def same(text: str, other: str) -> bool:
    """Return whether two outputs differ at most in the last digits of numbers."""
    pairs = zip(text.split("\t"), other.split("\t"), strict=True)
    return all(a == b or abs(float(a) - float(b)) < 2e-4 for a, b in pairs)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_engine_prints_the_same(run, compiled, command):
    printed = []
    for more in ((), ("--engine", "numpy"), ("--engine", "compiled")):
        assert not compiled
        code, text, _ = run(*command, *more)
        assert code == 0 and text
        printed.append(text)
    # Scores that are printed with four digits may end differently.
    assert compiled and all(same(printed[0], other) for other in printed[1:])


def test_weights_of_fewer_bits_are_used(run, folder, compiled):
    _, exact, _ = run(*COMMANDS["sample"])
    for form in ("bf16", "int8"):
        code, text, _ = run(*COMMANDS["sample"], "--engine", "compiled", "--weights", form)
        assert code == 0 and len(text) == 300 and text != exact
    assert {*compiled} == {"bf16", "int8"}
    file, bits = folder / "model.safetensors", []
    for form in ("float32", "bf16", "int8"):
        for engine in ("numpy", "compiled"):
            bits.append(charrnn.load(file, weights=form, engine=engine).score(["abc def"] * 20)[7].bits)
    np.testing.assert_allclose(bits[::2], bits[1::2], rtol=1e-5)
    assert all(1e-5 < abs(rounded / bits[0] - 1) < 0.02 for rounded in (bits[2], bits[4]))


@pytest.mark.parametrize(("option", "value"), [("--engine", "framework"), ("--weights", "int4")])
@pytest.mark.parametrize("command", ["sample", "complete", "score"])
def test_an_unknown_engine_or_form_is_refused(run, folder, command, option, value):
    code, _, said = run(*COMMANDS[command], option, value)
    assert code == 1 and f"{option} is '{value}'" in said and "must be one of" in said
    with pytest.raises(CharRNNError, match="must be one of"):
        charrnn.load(folder / "model.safetensors", **{option.removeprefix("--"): value})


def test_without_a_compiler_one_line_says_that_numpy_computes(run, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "vax")
    monkeypatch.setattr("charrnn.inference.compiled.PATIENCE", 0)
    code, text, said = run(*COMMANDS["sample"])
    assert code == 0 and len(text) == 300 and said.count("\n") == 1
    assert "there is no compiler here for vax" in said and "NumPy" in said
    code, text, said = run(*COMMANDS["sample"], "--engine", "compiled")
    assert code == 1 and not text and "--engine numpy" in said
