"""The compiled step, the validation estimate, optimizers, schedules, budgets, and the way of every setting."""

import math
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from charrnn.config import DEFAULT_RATES, OPTIMIZERS, SCHEDULES, ModelConfig, TrainConfig
from charrnn.data.batches import Streams, Window
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.model import Model
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.training.backends.calls import ONE_HOT_ROWS
from charrnn.training.backends.engine import Shards, compiled, counter, look_up, loss_and_gradients, xp
from charrnn.training.backends.start import cut, kept_shards, shard_count
from charrnn.training.budget import counted_total, measured_total
from charrnn.training.network import CharRNN
from charrnn.training.optimizers import make_optimizer
from charrnn.training.schedules import learning_rate
from charrnn.training.step import TrainStep, cross_entropy, dropout_mask, fresh_states
from charrnn.training.validation import LONGEST, STREAMS, WARM, WINDOW, Validation, parallel_streams
from support.models import random_weights
from support.representatives import case
from support.shards import shards_of

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

SMALL = ModelConfig(cell="lstm", layers=2, units=8)
# No clipping: what a step adds is then the sum of what the shards add.
PLAIN = TrainConfig(optimizer="sgd", clip_norm=None)
TEXT = CorpusRecord((), "", 0)


def train(
    shards: int,
    steps: int = 4,
    dropout: float = 0.4,
    config: TrainConfig = PLAIN,
    batch: int = 7,
    engine: str = "framework",
    **settings,
) -> dict[str, np.ndarray]:
    """Return losses and weights after a few steps on random ids, the state carried."""
    vocab_size, seq = 5, 6
    rng = np.random.default_rng(2)
    net = CharRNN(SMALL, vocab_size, random_weights(SMALL, vocab_size, "float32"), engine=engine)
    rows = shards_of(batch, shards)
    step = TrainStep(net, make_optimizer(config), rows, dropout, **{"seed": 3, **settings})
    states, losses = fresh_states(net, rows), []
    for number in range(steps):
        inputs, targets = (rng.integers(0, vocab_size, (seq, batch)).astype(np.int32) for _ in range(2))
        loss, states = step(Window(inputs, targets), states, number, 0.5)
        losses.append(float(loss))
    last = dict(zip(("h", "c"), rows.gathered(states)[1], strict=True))
    return {"losses": np.array(losses), **last, **net.read()}


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


# The step


def test_shards_are_contiguous_and_nearly_equal():
    for batch in (1, 2, 5, 12):
        for shards in range(1, min(batch, 4) + 1):
            if keras.backend.backend() == "jax" and batch % shards:
                with pytest.raises(ValueError, match="cannot be cut into"):
                    Shards(batch, shards)
                continue
            rows, whole = Shards(batch, shards), {"h": np.arange(2.0 * batch, dtype="f").reshape(batch, 2)}
            assert rows.own == slice(0, batch) and (rows.gathered(rows.state(whole))["h"] == whole["h"]).all()
            read = rows.place(Window(*2 * [np.arange(batch, dtype=np.int32)[None]]))

            def first_and_size(window, state, first):
                # What each shard is given: its first row, its rows of the window, those of the state.
                rows, values = ops.cast(window.inputs[0], "float32"), state["h"][:, 0] / 2
                return (
                    xp.sum(rows),
                    xp.sum((rows - values) ** 2 + (rows - ops.cast(xp.arange(rows.shape[0]) + first, "float32")) ** 2),
                ), state

            (total, odd), _ = compiled(partial(rows.each, first_and_size, ()))(read, rows.state(whole))
            assert float(total) == batch * (batch - 1) / 2 and float(odd) == 0


def test_number_of_shards():
    assert [shard_count(batch, cores=4) for batch in (1, 31, 32, 48, 64, 1000)] == [1, 1, 2, 3, 4, 4]
    assert shard_count(64, cores=1) == 1
    assert [shard_count(batch, 2, cores=4) for batch in (2, 32, 64, 96, 1000)] == [2, 2, 4, 6, 8]
    even = keras.backend.backend() == "jax"
    assert [shard_count(batch, cores=4) for batch in (33, 50, 67)] == ([1, 2, 1] if even else [2, 3, 4])
    with pytest.raises(CharRNNError, match=r"`batch=50` cannot be divided evenly among 4 processes") as error:
        shard_count(50, 4)
    assert "48 or 52" in error.value.hint


def test_shards_for_the_devices_that_were_found():
    jax = keras.backend.backend() == "jax"
    assert [cut(64, 4, 1), cut(64, 4, 2)] == [4, 4]
    assert cut(6, 4, 1) == (3 if jax else 4)
    if jax:
        with pytest.raises(CharRNNError, match="`batch=6` cannot be divided evenly among 4 devices"):
            cut(6, 4, 2)


def test_shards_of_a_resumed_run():
    assert kept_shards(64, Progress(TEXT, 4)) == 4 and kept_shards(64, Progress(TEXT, 4, device="cpu"), 2) == 4
    assert kept_shards(64, Progress(TEXT, 3), 2) == shard_count(64, 2)
    assert kept_shards(33, Progress(TEXT, 2)) == (shard_count(33) if keras.backend.backend() == "jax" else 2)
    assert kept_shards(512, Progress(TEXT, 1, device="gpu")) == shard_count(512)
    assert shard_count(10**6) >= 1


each_engine = pytest.mark.parametrize("engine", ["compiled", "framework"])


@each_engine
def test_a_sharded_step_is_the_unsharded_one(engine):
    whole = train(1, engine=engine)
    # Shards of 3 and 4 rows, and of 2, 2 and 3: each counts by its rows.
    for shards in (2, 3):
        assert apart(train(shards, engine=engine), whole) < 2e-6
    # Other masks move the weights by far more than that.
    assert apart(train(1, engine=engine, seed=4), whole) > 1e-3


def test_without_dropout_the_engines_agree():
    assert apart(train(2, dropout=0.0, engine="compiled"), train(2, dropout=0.0)) < 2e-6


@pytest.mark.parametrize("stack", [case("grid"), case("gated-feedback", on_jax=True)])
def test_a_stack_reads_the_masks_of_its_layers_in_compiled_code(stack):
    model, losses = ModelConfig("gru", 2, 8, stack=stack), []
    for engine in ("compiled", "framework"):
        net = CharRNN(model, 5, random_weights(model, 5, "float32"), engine=engine)
        # Masks of ones: with a rate of 0 there would be none.
        step = TrainStep(net, make_optimizer(PLAIN), shards_of(4, 1), 1e-12, 3)
        ids = np.random.default_rng(0).integers(0, 5, (6, 4)).astype(np.int32)
        states = fresh_states(net, step.shards)
        for number in range(2):
            loss, states = step(Window(ids, ids), states, number, 0.5)
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@each_engine
def test_two_runs_end_in_the_same_bits(engine):
    config = TrainConfig(optimizer="adam")
    assert apart(train(2, 8, config=config, engine=engine), train(2, 8, config=config, engine=engine)) == 0


@each_engine
def test_the_loss_and_the_update_are_those_of_plain_autodiff(engine):
    """The whole step against keras: embedding look-up, cells as keras.layers.RNN would run them, mean loss, SGD."""
    rng, vocab_size, batch, seq = np.random.default_rng(4), 5, 3, 4
    weights = random_weights(SMALL, vocab_size, "float32")
    inputs, targets = (rng.integers(0, vocab_size, (seq, batch)).astype(np.int32) for _ in range(2))

    def plain(values):
        x = xp.take(values["layer0/W"], inputs, axis=0)
        for layer in range(2):
            h = c = xp.zeros((batch, SMALL.units), dtype="float32")
            outputs = []
            for t in range(seq):
                product = x[t] if layer == 0 else x[t] @ values["layer1/W"]
                z = product + values[f"layer{layer}/b"] + h @ values[f"layer{layer}/U"]
                i, f, g, o = xp.split(z, 4, axis=-1)
                c = xp.sigmoid(f) * c + xp.sigmoid(i) * xp.tanh(g)
                h = xp.sigmoid(o) * xp.tanh(c)
                outputs.append(h)
            x = xp.stack(outputs)
        logits = x @ values["output/W"] + values["output/b"]
        return ops.mean(keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)), None

    variables = {name: ops.convert_to_tensor(value) for name, value in weights.items()}
    loss, _, gradients = loss_and_gradients(plain, variables)
    gradients = {name: np.array(ops.convert_to_numpy(gradient)) for name, gradient in gradients.items()}

    for summed in (False, True):
        net = CharRNN(SMALL, vocab_size, weights, engine=engine)
        config = replace(PLAIN, momentum=0.0)
        step = TrainStep(net, make_optimizer(config), shards_of(batch, 2), sum_gradients=summed)
        value, _ = step(Window(inputs, targets), fresh_states(net, step.shards), 0, 0.25)
        assert float(value) == pytest.approx(float(loss), abs=1e-6)
        for name, after in net.read().items():
            # Over a window's characters the gradients are summed; over the streams they are averaged.
            expected = weights[name] - 0.25 * gradients[name] * (seq if summed else 1)
            np.testing.assert_allclose(after, expected, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("rows", [ONE_HOT_ROWS, ONE_HOT_ROWS + 1])
def test_the_gradient_of_the_look_up(rows):
    rng = np.random.default_rng(5)
    table, ids = rng.normal(size=(rows, 3)), rng.integers(0, rows, (50, 4)).astype(np.int32)
    ids[0] = [0, rows - 1, rows - 1, 5]
    d = rng.normal(size=(50, 4, 3))

    def total(values):
        value = look_up(values["table"], ops.convert_to_tensor(ids))
        return xp.sum(value * d), value

    _, value, gradients = loss_and_gradients(total, {"table": ops.convert_to_tensor(table)})
    expected = np.zeros((rows, 3))
    np.add.at(expected, ids, d)
    assert (np.array(value) == table[ids]).all()
    np.testing.assert_allclose(gradients["table"], expected, rtol=0, atol=1e-12)


def test_weights_of_the_loss():
    rng = np.random.default_rng(6)
    logits, targets, weights = rng.normal(size=(3, 2, 5)), rng.integers(0, 5, (3, 2)), rng.random((3, 2))
    nats = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    assert float(cross_entropy(logits, targets)) == pytest.approx(nats.sum())
    assert float(cross_entropy(logits, targets, ops.convert_to_tensor(weights))) == pytest.approx(
        (nats * weights).sum()
    )


# Dropout


def mask(rows: slice = slice(0, 7), rate=0.3, seed=5, step=11, layer=1, steps=9, units=16) -> np.ndarray:
    shape = (steps, rows.stop - rows.start, units)
    return np.array(dropout_mask(shape, rate, seed, counter(step), layer, rows.start), np.float32)


def test_a_dropout_mask_is_a_function_of_seed_step_layer_and_row():
    whole = mask()
    assert whole.shape == (9, 7, 16) and (mask() == whole).all()
    masked = compiled(lambda step: dropout_mask((9, 7, 16), 0.3, 5, step, 1, 0))
    assert (np.array(masked(counter(11))) == whole).all()
    for middle in (1, 3):
        assert (np.concatenate([mask(slice(0, middle)), mask(slice(middle, 7))], axis=1) == whole).all()
    for other in ({"seed": 6}, {"step": 12}, {"layer": 0}, {"step": 2**39}, {"seed": 2**63 - 1}):
        assert (mask(**other) != whole).mean() > 0.3
    rows = {mask(slice(row, row + 1), 0.5, seed, step, layer).tobytes()
            for row in range(4) for seed in range(2) for step in range(4) for layer in range(3)}  # fmt: skip
    assert len(rows) == 4 * 2 * 4 * 3


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_dropout_mask_has_the_rate_and_keeps_the_mean(rate):
    values = mask(slice(0, 50), rate, steps=50, units=40)
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / (1 - rate))}
    deviation = math.sqrt(rate * (1 - rate) / values.size)
    assert abs((values == 0).mean() - rate) < 4 * deviation
    # No row, time or unit is favoured.
    for axes in ((0, 1), (0, 2), (1, 2)):
        share = (values == 0).mean(axis=axes)
        assert np.abs(share - rate).max() < 5.5 * deviation * math.sqrt(len(share))


# The estimate of the validation loss


def counted_places(length: int) -> tuple[np.ndarray, int]:
    """Return how often each character of a text counts, and the number of streams; check what stands before each."""
    text = np.arange(length, dtype=np.int32)
    inputs, targets, reset, weights = parallel_streams([Part(text)], start=length)
    assert reset is None
    assert inputs.shape == targets.shape == weights.shape and len(inputs) % WINDOW == 0
    assert inputs.dtype == targets.dtype == np.int32 and weights.dtype == np.float32
    for column in range(inputs.shape[1]):
        counts = np.flatnonzero(weights[:, column])
        first, last = counts[0], counts[-1]
        assert (weights[first : last + 1, column] == 1).all()
        assert first == (WARM if column else 0), "only the first stream may begin cold: it begins with the text"
        read = slice(0, last + 1)
        assert (np.diff(targets[read, column]) == 1).all(), "a stream is contiguous"
        before = np.where(targets[read, column] == 0, length, targets[read, column] - 1)
        assert (inputs[read, column] == before).all(), "each input is the character before its target"
    places, times = np.unique(targets[weights > 0], return_counts=True)
    count = np.zeros(length, int)
    count[places] = times
    return count, inputs.shape[1]


@pytest.mark.parametrize(
    "length", [1, 2, 127, 128, 129, 255, 256, 257, 1023, 1024, 2047, 2048, 2049, 2304, 5000, 70_001, 64 * LONGEST]
)
def test_parallel_streams_count_every_character_once(length):
    count, streams = counted_places(length)
    assert (count == 1).all()
    assert streams == max(1, min(STREAMS, length // (4 * WARM)))


def test_parallel_streams_of_a_long_text_are_capped_and_spread():
    length = 300_000
    count, streams = counted_places(length)
    assert streams == STREAMS and count.max() == 1
    assert count.sum() == STREAMS * LONGEST + WARM
    assert all(part.sum() for part in np.array_split(count, STREAMS))


def test_parallel_streams_of_several_segments_are_the_segments():
    segments = [np.arange(10, 210, dtype=np.uint8), np.arange(130, dtype=np.uint8), np.arange(5, 6, dtype=np.uint8)]
    inputs, targets, _, weights = parallel_streams([Part(segment) for segment in segments], start=250)
    for column, segment in enumerate(segments):
        n = len(segment)
        assert (targets[:n, column] == segment).all() and (inputs[0, column], weights[:n, column].min()) == (250, 1)
        assert (inputs[1:n, column] == segment[:-1]).all() and not weights[n:, column].any()


def text_with_memory(length: int, vocab_size: int) -> np.ndarray:
    """Return a text in which much depends on the characters before, so that a state started cold would cost."""
    rng = np.random.default_rng(7)
    ids = np.zeros(length, np.uint8)
    for place in range(3, length):
        ids[place] = (ids[place - 1] + ids[place - 3] + rng.integers(0, 2)) % vocab_size
    return ids


@pytest.mark.parametrize(
    "cell, shards",
    [
        case(cell, shards, fast=cell == "lstm", on_jax=shards == 2)
        for cell in ("rnn", "lstm", "gru")
        for shards in (1, 2)
    ],
)
def test_the_estimate_is_the_exact_loss(cell, shards, vocab):
    config = ModelConfig(cell=cell, layers=2, units=8)
    weights = random_weights(config, vocab.size, "float32", scale=2.0)
    net = CharRNN(config, vocab.size, weights, engine="compiled")
    model = Model(config, vocab, weights)
    ids = text_with_memory(5200, vocab.size)
    assert counted_places(len(ids))[1] == 5
    text = Part(ids)
    # The bar is 0.005; warmed states leave next to nothing.
    estimate = Validation(net, [text], vocab.start, shards).estimate().nats
    assert estimate == pytest.approx(mean_nats(model, [text]), abs=1e-4)
    assert Validation(net, [text], vocab.start, shards).estimate().nats == estimate

    segments = [Part(row) for row in ids[:5000].reshape(5, 1000)]
    exact = mean_nats(model, segments)
    assert Validation(net, segments, vocab.start, shards).estimate().nats == pytest.approx(exact, abs=1e-5)
    assert abs(exact - mean_nats(model, [text.cut(0, 5000)])) > 1e-4, (
        "beginning anew must matter, or nothing was tested"
    )
    short = [text.cut(0, 100)]
    exact = mean_nats(model, short)
    assert Validation(net, short, vocab.start, shards).estimate().nats == pytest.approx(exact, abs=1e-5)


# Optimizers and schedules


@pytest.mark.parametrize("name", [case(name, on_jax=name == "adam") for name in OPTIMIZERS])
def test_every_optimizer_learns_at_its_default_rate(name):
    config = TrainConfig(optimizer=name, batch=4, seq=8)
    text = np.tile(np.array([0, 1, 2, 3, 2, 1], np.uint8), 60)
    streams = Streams(Part(text), config.batch, config.seq, 0, 4)
    model = ModelConfig(cell="gru", layers=1, units=8)
    weights = random_weights(model, 4, "float32")
    net = CharRNN(model, 4, weights)
    step, losses = TrainStep(net, make_optimizer(config), shards_of(4, 1)), []
    states = fresh_states(net, step.shards)
    for number in range(250):
        loss, states = step(streams.window(number), states, number, config.rate)
        losses.append(float(loss))
    assert np.mean(losses[-5:]) < 0.85 * losses[0]
    assert all((net.read()[parameter] != value).any() for parameter, value in weights.items())


def moved(config: TrainConfig, *gradients: np.ndarray) -> list[np.ndarray]:
    """Return by how much one step of rate 1 moves zeros."""
    variables = [keras.Variable(np.zeros(gradient.shape, np.float32)) for gradient in gradients]
    optimizer = make_optimizer(config)
    optimizer.build(variables)
    optimizer.learning_rate.assign(1.0)
    optimizer.apply([ops.convert_to_tensor(gradient, "float32") for gradient in gradients], variables)
    return [-ops.convert_to_numpy(variable) for variable in variables]


def test_clipping():
    settings = TrainConfig(optimizer="sgd", momentum=0.0, clip_norm=None)
    a, b = np.array([3.0, 0.0, -0.25]), np.array([[-4.0, 0.5]])
    np.testing.assert_allclose(moved(settings, a, b)[0], a)
    length = math.sqrt((a**2).sum() + (b**2).sum())
    for limit, expected in ((2.0, 2.0), (100.0, length)):
        found = moved(replace(settings, clip_norm=limit), a, b)
        # One limit for all of them together, so that the direction stays.
        np.testing.assert_allclose(found[0], a * expected / length, rtol=1e-6)
        np.testing.assert_allclose(found[1], b * expected / length, rtol=1e-6)
    found = moved(replace(settings, clip_value=0.3), a, b)
    np.testing.assert_allclose(found[0], np.clip(a, -0.3, 0.3), rtol=1e-6)
    np.testing.assert_allclose(found[1], np.clip(b, -0.3, 0.3), rtol=1e-6)


def test_optimizer_settings_arrive():
    given = {"clip_norm": None, "epsilon": 1e-3, "rho": 0.5, "momentum": 0.25, "weight_decay": 0.125}
    for name in OPTIMIZERS:
        config = make_optimizer(TrainConfig(optimizer=name, **given)).get_config()
        assert config["weight_decay"] == 0.125
        assert config.get("epsilon", 1e-3) == 1e-3
        assert config.get("rho", 0.5) == 0.5
        assert name != "sgd" or config["momentum"] == 0.25
        assert config["learning_rate"] == pytest.approx(DEFAULT_RATES[name])
    assert make_optimizer(TrainConfig(optimizer="adam", lr=0.25)).get_config()["learning_rate"] == 0.25


def rates(total: int | None, count: int, steps_per_epoch: int = 10, **settings) -> list[float]:
    config = TrainConfig(**{"lr": 2.0, "warmup": 4, **settings})
    return [learning_rate(config, step, total, steps_per_epoch) for step in range(count)]


def test_schedules():
    assert set(SCHEDULES) == {"constant", "exponential", "cosine"}
    assert rates(50, 50, schedule="constant") == [2.0] * 50
    found = rates(None, 60, schedule="exponential", decay=0.5, decay_after=3)
    # As char-rnn: from the end of epoch `decay_after` on a factor each epoch.
    assert found == [2.0] * 30 + [1.0] * 10 + [0.5] * 10 + [0.25] * 10

    found = rates(104, 105)
    np.testing.assert_allclose(found[:5], [0.5, 1.0, 1.5, 2.0, 2.0])
    assert (np.diff(found[4:]) < 0).all()
    assert found[54] == pytest.approx(2.0 * (0.01 + 0.99 * 0.5))
    assert found[104] == pytest.approx(0.02)
    # Steps beyond the end (a resumed run's) keep the last rate.
    assert learning_rate(TrainConfig(lr=2.0), 500, 104, 10) == pytest.approx(0.02)
    assert rates(1, 1)[0] > 0 and rates(104, 3, warmup=0)[0] == 2.0


def test_the_cosine_waits_at_its_height_for_an_end_not_yet_measured():
    np.testing.assert_allclose(rates(None, 6), [0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


# Budgets


def test_counted_total():
    assert counted_total(TrainConfig(minutes=1.0), 10) is None
    assert counted_total(TrainConfig(steps=7), 10) == 7
    assert counted_total(TrainConfig(epochs=2.5), 10) == 25
    assert counted_total(TrainConfig(epochs=0.01), 10) == 1
    assert counted_total(TrainConfig(epochs=2.5, steps=7), 10) == 7
    assert counted_total(TrainConfig(epochs=0.5, steps=7), 10) == 5


def test_measured_total_fills_the_time_and_no_more():
    for done, left, step, evaluation, distance in (
        (40, 100.0, 0.5, 3.0, 20),
        (3, 10.0, 0.01, 0.0, 100),
        (0, 9.0, 2, 1, 1),
    ):
        more = measured_total(done, left, step, evaluation, distance) - done
        taken = more * step + (more / distance + 1) * evaluation
        assert taken <= left + 1e-9
        assert taken + step + evaluation > left
    # However little is left, a run that was begun takes a step.
    assert measured_total(5, -1.0, 1.0, 1.0, 10) == 6
