"""Gaps in texts: against all fillings there are."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.api.filling import parted
from charrnn.api.model import Model
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import model as inference
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\nabc")
CONFIG = ModelConfig("lstm", 1, 12)
LINES = TextConfig(one_per_line=True)


def model_of(text: TextConfig, reverse: bool = False, seed: int = 0) -> Model:
    weights = random_weights(CONFIG, VOCAB.size, "float32", scale=3.0, seed=seed)
    return Model(inference.Model(CONFIG, VOCAB, weights, replace(text, reverse=reverse)), Path("model.safetensors"))


def cost(model: Model, left: str, filling: str, right: str) -> float:
    """Return the bits of all that a model reads after what it is given first, with the end."""
    (score,) = model.score([left + filling + right], line_ends=True)
    return float((score.surprisal[: -len(right) - 1] if model.text.reverse else score.surprisal[len(left) :]).sum()) + (
        float(score.surprisal[-1]) if model.text.reverse else 0.0
    )


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES])
@pytest.mark.parametrize("ways", ["forth", "back", "both"])
def test_the_likeliest_filling_of_all_is_found(text, ways):
    forth, back = model_of(text), model_of(text, True, seed=1)
    models = {"forth": [forth], "back": [back], "both": [forth, back]}[ways]
    for left, right in (("ab", "ca"), ("a", "bca"), ("cc", "b")):
        every = ["".join(letters) for n in (1, 2, 3) for letters in itertools.product("abc", repeat=n)]
        costs = {filling: sum(cost(model, left, filling, right) for model in models) for filling in every}
        expected = sorted(costs, key=costs.__getitem__)[:5]
        # As wide as all fillings, so that none is passed over.
        found = models[0].fill(f"{left}____{right}", reverse=(models[1:] or [None])[0], candidates=27, length=3, best=5)
        assert [one.filling for one in found] == expected
        assert [one.text for one in found] == [left + filling + right for filling in expected]
        for one in found:
            assert one.bits == pytest.approx(costs[one.filling], abs=1e-3)


def test_either_model_may_come_first():
    forth, back = model_of(LINES), model_of(LINES, True, seed=1)
    one, other = forth.fill("ab___c", reverse=back, best=3), back.fill("ab___c", reverse=forth, best=3)
    assert [filling.text for filling in one] == [filling.text for filling in other]


def test_drawn_fillings_depend_on_the_seed_only():
    model = model_of(LINES)
    drawn = [model.fill("ab___c", temperature=1.5, candidates=2, length=6, seed=seed)[0].filling for seed in range(9)]
    assert drawn == [
        model.fill("ab___c", temperature=1.5, candidates=2, length=6, seed=seed)[0].filling for seed in range(9)
    ]
    assert len(set(drawn)) > 1 and all("\n" not in filling for filling in drawn)


def test_a_gap_at_either_end():
    model = model_of(LINES)
    assert model.fill("___bca", length=3)[0].text.endswith("bca")
    assert model.fill("bca___", length=3)[0].text.startswith("bca")
    assert parted("ab_____c", "___") == ("ab", "c")
    assert parted("ab<gap>c", "<gap>") == ("ab", "c")


@pytest.mark.parametrize(
    "text, more, message",
    [
        ("abc", {}, "no '___' in the text"),
        ("a___b___c", {}, "more than once"),
        ("a___b", {"gap": ""}, "`gap` is empty"),
        ("a___b", {"seed": 3}, "`seed` has no effect without `temperature`"),
        ("a___b", {"candidates": 0}, "`candidates`"),
        ("a___b", {"length": 0}, "`length`"),
        ("a_☞__b", {}, "no '___'"),
        ("☞___b", {}, "not know"),
    ],
)
def test_what_cannot_be_filled_is_refused(text, more, message):
    with pytest.raises(CharRNNError, match=message):
        model_of(LINES).fill(text, **more)


def test_two_models_must_read_in_opposite_directions():
    with pytest.raises(CharRNNError, match="Both models read from the beginning"):
        model_of(LINES).fill("a___b", reverse=model_of(LINES, seed=1))
    assert not math.isnan(model_of(LINES, True).fill("a___b")[0].bits)
