"""Bar 5: the Keras model and the NumPy runtime give the same logits on the same weights."""

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.config import ModelConfig
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.network.states import initial_states
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.engine import compiled, xp
from charrnn.training.network import CharRNN
from support.models import random_weights
from support.representatives import COMPOSITES, ON_JAX, REPRESENTATIVES, case, slow_on_jax

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

BATCH, UNITS = 3, 12
# Of the weights: large, but where a cell would magnify rounding without bounds or run away.
SCALE = {"rnn": 1.2, "irnn": 0.8, "lstm-no-output-activation": 1.5, "mlstm": 2.0, "lstm-depth-gated": 1.5}


def keras_logits(config: ModelConfig, weights, ids: np.ndarray, dtype: str) -> np.ndarray:
    net = CharRNN(config, weights["output/b"].shape[0], weights, dtype)
    states = initial_states(xp, config, ids.shape[1], dtype)
    logits = compiled(lambda ids: net.call(ids, states, gradient_wanted=False)[0])(ids)
    logits = np.array(logits)
    assert logits.dtype == dtype
    return logits


def runtime_logits(model: Model, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Return the logits by every way through the runtime."""
    whole, cut, stepped, alone, one = (Stream(model, batch) for batch in (BATCH, BATCH, BATCH, 1, 1))
    bounds = ((0, 1), (1, 130), (130, 131), (131, len(ids)))
    return {
        "feed": whole.feed(ids),
        "feed in chunks": np.concatenate([cut.feed(ids[low:high]) for low, high in bounds]),
        "step": np.stack([stepped.step(row).copy() for row in ids]),
        "feed of one text": alone.feed(ids[:, 1:2]),
        "step of one text": np.stack([one.step(int(row[1])).copy() for row in ids])[:, None],
    }


def differences(
    config: ModelConfig, dtype: str, vocab: Vocabulary, change=lambda weights: weights, characters: int = 500
) -> dict[str, float]:
    """Return the largest difference by each way, a share of max(1, largest |logit|); `change` spoils one side."""
    # Deep in the range where gates saturate, yet no chaos: an rnn's would magnify rounding beyond any bound.
    weights = random_weights(config, vocab.size, dtype, scale=SCALE.get(config.cell, 3.0))
    ids = np.random.default_rng(1).integers(0, vocab.size + 1, (characters, BATCH))
    expected = keras_logits(config, weights, ids, dtype)
    assert expected.shape == (characters, BATCH, vocab.size) and expected.std() > 0.1
    scale = max(1.0, float(np.abs(expected).max()))
    found = {}
    for way, logits in runtime_logits(Model(config, vocab, change(weights)), ids).items():
        assert logits.dtype == dtype
        of_these = expected[:, 1:2] if "one text" in way else expected
        assert logits.shape == of_these.shape
        found[way] = float(np.abs(logits - of_these).max()) / scale
    return found


STACKED = [
    ("lstm", "residual"),
    ("lstm-depth-gated", "residual"),
    *((cell, stack) for stack in ("grid", "gated-feedback") for cell in ("rnn", "lstm", "gru")),
    ("lstm-layernorm", "grid"),
    ("slstm", "gated-feedback"),
]


ALL = [*((cell, "plain") for cell in CELLS), *STACKED]
# With JAX compiling takes longer, and the scan's tests are there too.
FAST, FAST_ON_JAX = [*((cell, "plain") for cell in REPRESENTATIVES), *COMPOSITES], [("lstm", "plain"), COMPOSITES[1]]
EMBEDDED = [("lstm", "plain"), ("gru", "plain"), ("lstm-mogrifier", "plain"), ("lstm-layernorm", "plain"), *STACKED[:4]]


@pytest.mark.parametrize(
    "cell, stack, dtype, embedding",
    [
        *(case(*pair, "float64", None, fast=pair in FAST, on_jax=pair in FAST_ON_JAX) for pair in ALL),
        *(case(*pair, "float32", None, fast=pair in EMBEDDED[::3][:2]) for pair in EMBEDDED if not ON_JAX),
        *(case(*pair, "float64", 7, fast=pair in EMBEDDED[1:3]) for pair in EMBEDDED),
    ],
)
def test_logits_of_training_and_runtime_agree(cell, stack, embedding, dtype, vocab):
    config = ModelConfig(cell=cell, layers=3, units=UNITS, embedding=embedding, stack=stack)
    for way, difference in differences(config, dtype, vocab).items():
        assert difference < {"float64": 1e-9, "float32": 1e-5}[dtype], way


@slow_on_jax
@pytest.mark.parametrize("layer", [case(layer, fast=layer == 1) for layer in range(3)])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_exchanged_gates_break_the_parity(cell, layer, vocab):
    config = ModelConfig(cell=cell, layers=3, units=UNITS)

    def exchange(weights):
        """Exchange the first two gates of one layer."""
        spoiled = dict(weights)
        for name in ("W", "U", "b"):
            blocks = np.split(weights[f"layer{layer}/{name}"], weights[f"layer{layer}/{name}"].shape[-1] // UNITS, -1)
            blocks[:2] = blocks[1::-1]
            spoiled[f"layer{layer}/{name}"] = np.concatenate(blocks, axis=-1)
        return spoiled

    for way, difference in differences(config, "float64", vocab, exchange, characters=140).items():
        assert difference > 1e-3, way


@slow_on_jax
def test_what_is_no_parameter_of_a_clockwork_network_is_not_heard(vocab):
    config = ModelConfig("clockwork", 2, UNITS)
    weights = random_weights(config, vocab.size)
    missing = ~CELLS["clockwork"].mask(UNITS)
    assert 0 < missing.sum() < UNITS**2
    spoiled = {name: np.where(missing, 9.0, array) if name.endswith("/U") else array for name, array in weights.items()}
    ids = np.random.default_rng(2).integers(0, vocab.size, (40, BATCH))
    expected = keras_logits(config, weights, ids, "float64")
    np.testing.assert_array_equal(keras_logits(config, spoiled, ids, "float64"), expected)
    np.testing.assert_allclose(Stream(Model(config, vocab, spoiled), BATCH).feed(ids), expected, atol=1e-12)
