"""Advice on a model's size: silent where it suits the text, and never for a size that it has."""

import shlex
import sys

import pytest

from charrnn.api.advice import FEW, PLENTY, UNITS, advice
from charrnn.config import ModelConfig
from charrnn.network.parameters import parameter_count
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
    assert said.index("known by heart") < said.index("Loading") and "--units 32" in said
