"""From logits to the next character: exact probabilities, every filter as its paper has it, draws that follow them."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling, pick, pick_each, weights
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.chi_squared import follows, probabilities
from support.models import random_weights

LAST_BELOW_ONE = float(np.nextafter(1.0, 0.0))


def some_logits(seed: int = 0, size: int = 30, scale: float = 3.0, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, size).astype(dtype)


def softmax(logits: np.ndarray, temperature: float) -> list[float]:
    """Return exp(logit / temperature) over their sum, in exact sums of Python's floats."""
    top = max(float(logit) for logit in logits)
    powers = [math.exp((float(logit) - top) / temperature) for logit in logits]
    return [power / math.fsum(powers) for power in powers]


# The filters, as their papers define them: of the shares of all characters, which are kept.


def kept_of_top_k(shares: list[float], k: int) -> set[int]:
    """Fan et al. 2018, section 5.4: the k likeliest; all that are as likely as the last of these."""
    least = sorted(shares, reverse=True)[min(k, len(shares)) - 1]
    return {place for place, share in enumerate(shares) if share >= least}


def kept_of_top_p(shares: list[float], p: float) -> set[int]:
    """Holtzman et al. 2020, section 3.1: the smallest set of the likeliest whose sum is at least p; equals likewise."""
    by_share = sorted(shares, reverse=True)
    count = next((n for n in range(1, len(shares)) if math.fsum(by_share[:n]) >= p), len(shares))
    return {place for place, share in enumerate(shares) if share >= by_share[count - 1]}


def kept_of_min_p(shares: list[float], p: float) -> set[int]:
    """Nguyen et al. 2024, section 3: those with at least p times the probability of the likeliest."""
    return {place for place, share in enumerate(shares) if share >= p * max(shares)}


def kept_of_typical(shares: list[float], tau: float) -> set[int]:
    """Meister et al. 2023, section 4: the smallest set of those nearest to the entropy whose sum is at least tau."""
    possible = [place for place, share in enumerate(shares) if share > 0]
    entropy = -math.fsum(shares[place] * math.log(shares[place]) for place in possible)
    order = sorted(possible, key=lambda place: abs(-math.log(shares[place]) - entropy))
    count = next((n for n in range(1, len(order)) if math.fsum(shares[place] for place in order[:n]) >= tau), None)
    return set(order[:count])


FILTERS: dict[str, Callable[[list[float], float], set[int]]] = {
    "top_k": kept_of_top_k,
    "top_p": kept_of_top_p,
    "min_p": kept_of_min_p,
    "typical": kept_of_typical,
}


def filtered(logits: np.ndarray, sampling: Sampling) -> list[float]:
    """Return the shares that are drawn from: a softmax, then one filter after the other, each of what is left."""
    shares = softmax(logits, sampling.temperature)
    for name, kept_of in FILTERS.items():
        value = getattr(sampling, name)
        if value is not None:
            kept = kept_of(shares, value)
            total = math.fsum(shares[place] for place in kept)
            shares = [share / total if place in kept else 0.0 for place, share in enumerate(shares)]
    return shares


# The softmax


@pytest.mark.parametrize("temperature", [0.05, 0.5, 0.8, 1.0, 1.7, 40.0])
def test_probabilities_are_the_softmax(temperature):
    logits = some_logits()
    found = probabilities(logits, Sampling(temperature))
    assert found.dtype == np.float64 and found.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(found, softmax(logits, temperature), rtol=1e-12, atol=1e-300)
    # What is sampled from is in proportion to them, to the rounding of float32 (which grows with the exponent).
    scaled = weights(logits, temperature).astype(np.float64)
    assert scaled.max() == 1
    np.testing.assert_allclose(scaled / scaled.sum(), found, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("sampling", [Sampling(0), Sampling(), Sampling(0.7, 5, 0.9, 0.01, 0.8)], ids=str)
def test_logits_are_not_changed(sampling):
    for logits in (some_logits(), np.stack([some_logits(1), some_logits(2)])):
        before = logits.copy()
        sampling.weights(logits)
        probabilities(logits, sampling)
        assert (logits == before).all()


def test_temperature_zero_takes_the_first_of_the_likeliest():
    logits = np.array([1, 7, -2, 7, 3], np.float32)
    for sampling in (Sampling(0), Sampling(0, 3, 0.5, 0.5, 0.5)):
        assert probabilities(logits, sampling).tolist() == sampling.weights(logits).tolist() == [0, 1, 0, 0, 0]
    for uniform in (0.0, 0.5, LAST_BELOW_ONE):
        assert pick(weights(logits, 0), uniform) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-45, 1e-30, 1e-10])
def test_a_tiny_temperature_is_greedy(temperature, dtype):
    logits = some_logits(dtype=dtype) * 1000
    for more in ({}, {"top_k": 4, "top_p": 0.9, "min_p": 0.1, "typical": 0.9}):
        sampling = Sampling(temperature, **more)
        for found in (sampling.weights(logits), probabilities(logits, sampling)):
            assert found.tolist() == weights(logits, 0).tolist()
    # Of equals each has its share; only temperature 0 chooses among them.
    assert probabilities(np.array([2, 5, 5], dtype), Sampling(temperature)).tolist() == [0, 0.5, 0.5]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [1e10, 1e30, 1e38, 1e39, 1e300])
def test_a_huge_temperature_is_uniform(temperature, dtype):
    logits = some_logits(dtype=dtype)
    assert np.abs(probabilities(logits, Sampling(temperature)) - 1 / 30).max() < 1e-9
    assert np.abs(weights(logits, temperature) - 1).max() < 1e-6
    # What must not be drawn is not drawn at any temperature.
    logits[7] = -np.inf
    assert (probabilities(logits, Sampling(temperature)) > 0).tolist() == [place != 7 for place in range(30)]


@pytest.mark.filterwarnings("error")
def test_large_logits_and_impossible_ones():
    logits = np.array([3e38, -3e38, 3e38, -np.inf], np.float64).astype(np.float32)
    for more in ({}, {"top_k": 2}, {"top_p": 0.9}, {"min_p": 1}, {"typical": 0.7}, {"top_k": 9, "typical": 1}):
        assert probabilities(logits, Sampling(1.0, **more)).tolist() == [0.5, 0, 0.5, 0], more


# The filters


def choices() -> list[Sampling]:
    """Return each filter by itself, loose and strict, and all that two values and none of each give together."""
    values = {
        "top_k": (None, 3, 12),
        "top_p": (None, 0.6, 0.95),
        "min_p": (None, 0.03, 0.4),
        "typical": (None, 0.3, 0.9),
    }
    return [Sampling(0.9, *settings) for settings in product(*values.values())]  # type: ignore[arg-type]


def test_filters_alone_and_together_are_those_of_the_papers():
    changed = 0
    for seed, sampling in enumerate(choices()):
        for size, scale, impossible in ((30, 2.0, 0), (200, 1.0, 20), (6, 0.3, 2)):
            logits = some_logits(seed, size, scale, "float64")
            logits[:impossible] = -np.inf
            expected = filtered(logits, sampling)
            np.testing.assert_allclose(probabilities(logits, sampling), expected, rtol=1e-11, err_msg=str(sampling))
            # And what is drawn from, in float32.
            found = sampling.weights(logits.astype(np.float32)).astype(np.float64)
            np.testing.assert_allclose(found / found.sum(), expected, rtol=1e-5, err_msg=str(sampling))
            changed += 0.0 in expected[impossible:]
    assert changed > 200, "most of them leave something out"


def test_the_order_of_the_filters_matters_and_is_the_one_that_is_documented():
    logits = np.log(np.array([0.4, 0.3, 0.15, 0.1, 0.05]))
    # Of the two likeliest one alone has half; of all it takes two.
    assert (probabilities(logits, Sampling(top_k=2, top_p=0.5)) > 0).sum() == 1
    assert (probabilities(logits, Sampling(top_p=0.5)) > 0).sum() == 2
    # What is typical is reckoned from what the others have left.
    assert (probabilities(logits, Sampling(typical=0.25)) > 0).tolist() == [False, True, False, False, False]
    assert (probabilities(logits, Sampling(top_k=2, typical=0.25)) > 0).tolist() == [True, *[False] * 4]
    # All of them see the temperature.
    for sampling in (Sampling(top_p=0.5), Sampling(min_p=0.8), Sampling(typical=0.5)):
        kept = [(probabilities(logits, replace(sampling, temperature=t)) > 0).sum() for t in (0.2, 1.0, 30.0)]
        assert kept == sorted(kept) and kept[0] < kept[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_rows_are_filtered_as_one(dtype):
    rows = np.stack([scale * some_logits(seed, 40, 1.0, dtype) for seed, scale in enumerate([0.1, 1, 3, 10, 100])])
    rows[3, 5:] = -np.inf
    rows[4] = rows[4].round(-2)
    for sampling in (Sampling(0), *choices()):
        found = sampling.weights(rows)
        assert found.dtype == dtype and found.shape == rows.shape
        for row, alone in zip(found, rows, strict=True):
            assert row.tolist() == sampling.weights(alone).tolist(), sampling
        of_blocks = probabilities(rows.reshape(5, 1, 40), sampling)
        assert of_blocks.tolist() == [[probabilities(row, sampling).tolist()] for row in rows]


def test_of_equals_all_are_kept_or_none():
    logits = np.log(np.array([1, 4, 4, 4, 2, 2, 1, 1]))

    def kept(**settings: float) -> list[int]:
        return np.flatnonzero(probabilities(logits, Sampling(**settings))).tolist()

    likeliest, all_but_rare = [1, 2, 3], [1, 2, 3, 4, 5]
    assert kept(top_k=1) == kept(top_k=2) == kept(top_k=3) == likeliest
    assert kept(top_k=4) == kept(top_k=5) == all_but_rare and kept(top_k=6) == list(range(8))
    assert kept(top_p=0.01) == kept(top_p=0.6) == likeliest and kept(top_p=0.7) == all_but_rare
    assert kept(min_p=1) == kept(min_p=0.51) == likeliest and kept(min_p=0.49) == all_but_rare
    # Of what is equally typical, the first: as many as it takes.
    level = np.zeros(8)
    assert np.flatnonzero(probabilities(level, Sampling(typical=0.3))).tolist() == [0, 1, 2]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_settings(dtype):
    logits = some_logits(3, 30, 2.0, dtype)
    likeliest, everything = [int(logits.argmax())], list(range(30))
    steep = np.where(np.arange(30) < 2, 0, -2000).astype(dtype)

    def kept(logits: np.ndarray, **settings: float) -> list[int]:
        both = (sampled := Sampling(**settings)).weights(logits), sampled.weights(np.stack([logits, logits]))[1]
        assert both[0].tolist() == both[1].tolist() and np.isfinite(both[0]).all()
        return np.flatnonzero(both[0]).tolist()

    for settings in (
        {"top_k": 30},
        {"top_k": 31},
        {"top_k": 10**9},
        {"top_p": 1.0},
        {"typical": 1.0},
        {"min_p": 1e-300},
    ):
        assert kept(logits, **settings) == everything, settings
        # What has underflowed was not to be drawn anyhow.
        assert kept(steep, **settings) == [0, 1], settings
    for settings in ({"top_k": 1}, {"top_p": 1e-12}, {"top_p": 5e-324}, {"min_p": 1.0}):
        assert kept(logits, **settings) == likeliest, settings
        assert kept(steep, **settings) == [0, 1], settings
    level = some_logits(3, 30, 0.7, dtype)
    entropy = -sum(share * math.log(share) for share in softmax(level, 1))
    most_typical = min(everything, key=lambda place: abs(-math.log(softmax(level, 1)[place]) - entropy))
    assert kept(level, typical=1e-12) == kept(level, typical=5e-324) == [most_typical] != [int(level.argmax())]
    assert kept(steep[:1], top_k=5, top_p=0.5, min_p=0.5, typical=0.5) == [0]


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"temperature": -0.1}, "`temperature` is -0.1"),
        ({"temperature": math.nan}, "`temperature` is nan"),
        ({"top_k": 0}, "`top_k` is 0"),
        *(({name: value}, f"`{name}` is {value}") for name in ("top_p", "min_p", "typical")
          for value in (0.0, -0.5, 1.0000001, math.nan, math.inf)),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_setting_is_refused(settings, option):
    with pytest.raises(CharRNNError) as refused:
        Sampling(**settings)
    assert refused.value.message.startswith(f"{option}; it must be")


# Draws


@pytest.fixture(scope="module")
def predicted() -> np.ndarray:
    """What a model makes of a text: logits, (vocab,), float32."""
    config, vocab = ModelConfig(cell="lstm", layers=2, units=8), Vocabulary.of("\n abcdefghijkl")
    model = Model(config, vocab, random_weights(config, vocab.size, "float32", scale=3.0))
    return Stream(model).feed(np.array([vocab.start, *vocab.encode("abba")])[:, None])[-1, 0]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(0.9),
        Sampling(top_k=5),
        Sampling(top_p=0.8),
        Sampling(min_p=0.2),
        Sampling(typical=0.7),
        Sampling(1.5, 11, 0.95, 0.05, 0.9),
    ],
    ids=str,
)
def test_draws_follow_the_probabilities(sampling, predicted):
    draws, size = 200_000, len(predicted)
    uniforms = np.random.Generator(np.random.Philox(5)).random(draws)
    found = sampling.weights(predicted)
    side_by_side = np.concatenate([
        pick_each(sampling.weights(np.tile(predicted, (len(some), 1))), some) for some in np.split(uniforms, 20)
    ])  # fmt: skip
    one_by_one = [pick(found, uniform) for uniform in uniforms[: draws // 4].tolist()]
    assert side_by_side[: draws // 4].tolist() == one_by_one
    counts = np.bincount(side_by_side, minlength=size)
    shares = np.array(filtered(predicted, sampling))
    assert follows(counts, shares)
    # As sharp as it should be: neither a slightly other temperature nor a character more or less would pass.
    if sampling.temperature != 1:
        other = replace(sampling, temperature=sampling.temperature * 1.03)
        assert not follows(counts, np.array(filtered(predicted, other)))
    if 0 in shares:
        assert not follows(counts, np.array(softmax(predicted, sampling.temperature)))
        assert not follows(counts, np.where(shares == shares[shares > 0].min(), 0, shares))


def test_a_draw_falls_on_the_character_whose_share_it_hits():
    shares = np.array([0, 1, 0, 2, 1, 0], np.float32)
    hits = {0.0: 1, 0.2499: 1, 0.25: 3, 0.7499: 3, 0.75: 4, LAST_BELOW_ONE: 4}
    assert {uniform: pick(shares, uniform) for uniform in hits} == hits
    assert pick_each(np.tile(shares, (6, 1)), np.array(list(hits))).tolist() == list(hits.values())
    assert isinstance(pick(shares, 0.5), int)


def test_no_draw_falls_behind_the_last_possible_character():
    rng = np.random.default_rng(6)
    for _ in range(3000):
        size = int(rng.integers(1, 300))
        shares = np.exp(-rng.exponential(20, size)).astype(rng.choice(["float32", "float64"]))
        possible = int(rng.integers(1, size + 1))
        shares[possible:] = 0
        shares[0] = 0 if possible > 1 else 1
        uniforms = [0.0, 5e-324, LAST_BELOW_ONE]
        chosen = [pick(shares, uniform) for uniform in uniforms]
        assert all(0 <= one < possible and shares[one] > 0 for one in chosen)
        assert pick_each(np.tile(shares, (3, 1)), np.array(uniforms)).tolist() == chosen


def test_a_draw_from_what_is_not_a_number_falls_behind_the_last_character():
    for sampling in (Sampling(), Sampling(0.5, 2, 0.9, 0.1)):
        assert pick(sampling.weights(np.array([1, np.nan, 2], np.float32)), 0.5) == 3
