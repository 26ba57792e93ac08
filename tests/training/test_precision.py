"""Products in bfloat16: what they change, by how much, and what stays float32."""

import keras
import numpy as np
import pytest
from keras import ops

from charrnn.config import ModelConfig, TrainConfig, from_json, to_json
from charrnn.network.states import initial_states
from charrnn.training.backends import engine
from charrnn.training.backends.engine import compiled, loss_and_gradients, matmul, xp
from charrnn.training.network import CharRNN
from charrnn.training.optimizers import make_optimizer
from charrnn.training.step import TrainStep, Window, cross_entropy, fresh_states
from support.models import random_weights
from support.representatives import case, slow_on_jax
from support.shards import shards_of

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

VOCAB, SEQ, BATCH = 7, 12, 6
# One product a step; two in a row; none; two that hear each other, a vector and a raw input.
MODELS = [
    ModelConfig("lstm", 2, 24),
    ModelConfig("gru", 2, 24),
    ModelConfig("mingru", 2, 24),
    ModelConfig("lstm-mogrifier", 1, 24, 5),
]


def window() -> Window:
    rng = np.random.default_rng(3)
    return Window(*(rng.integers(0, VOCAB, (SEQ, BATCH)).astype(np.int32) for _ in range(2)))


def loss_and_gradients_of(model: ModelConfig, precision: str) -> tuple[float, dict[str, np.ndarray], set[str]]:
    """Return the loss of a window, its gradients, and the types of these, of the logits and of the state."""
    net = CharRNN(model, VOCAB, random_weights(model, VOCAB, "float32", scale=2.0), precision=precision)
    read, states, types = window(), initial_states(xp, model, BATCH, "float32"), set()

    def loss(values):
        logits, after = net.call(read.inputs, states, values=values)
        types.update(keras.backend.standardize_dtype(x.dtype) for x in (logits, *after[-1]))
        return cross_entropy(logits, read.targets) / (SEQ * BATCH), None

    nats, _, gradients = compiled(lambda values: loss_and_gradients(loss, values))(net.values())
    arrays = {name: np.array(ops.convert_to_numpy(gradient)) for name, gradient in gradients.items()}
    return float(nats), arrays, types | {str(array.dtype) for array in arrays.values()}


@pytest.mark.parametrize(
    "model", [case(model, on_jax=model.cell == "lstm") for model in MODELS], ids=lambda model: model.cell
)
def test_gradients_are_those_of_float32_but_for_rounding(model):
    nats, expected, _ = loss_and_gradients_of(model, "float32")
    rounded, found, types = loss_and_gradients_of(model, "bf16")
    assert types == {"float32"}
    # bfloat16 has 8 bits: a product is off by up to 1/256, and sums of many by less.
    assert rounded == pytest.approx(nats, rel=2e-3) and rounded != nats
    for name, gradient in expected.items():
        apart = np.linalg.norm(found[name] - gradient) / np.linalg.norm(gradient)
        assert 1e-5 < apart < 3e-2, f"{name}: {apart}"


def products_of_rounded(x, w, d) -> tuple[tuple, tuple]:
    """Return x w and its gradients for d, and what they are of operands rounded to bfloat16, in float64."""
    rounded = [np.array(ops.convert_to_numpy(ops.cast(ops.cast(a, "bfloat16"), "float64"))) for a in (x, w, d)]

    def total(values):
        y = matmul(values["x"], values["w"], "bfloat16")
        return xp.sum(y * d), y

    values = {"x": ops.convert_to_tensor(x), "w": ops.convert_to_tensor(w)}
    _, y, gradients = loss_and_gradients(total, values)
    found = (y, gradients["x"], gradients["w"])
    assert {keras.backend.standardize_dtype(value.dtype) for value in found} == {"float32"}
    expected = (rounded[0] @ rounded[1], rounded[2] @ rounded[1].T, rounded[0].T @ rounded[2])
    return tuple(np.array(ops.convert_to_numpy(value)) for value in found), expected


def operands() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in ((5, 64), (64, 3), (5, 3))]


def test_a_product_and_its_gradients_round_their_operands_only():
    for value, exact in zip(*products_of_rounded(*operands()), strict=True):
        # With TensorFlow the product itself may come in bfloat16, rounded to the nearest.
        np.testing.assert_allclose(value, exact, rtol=2.0**-8, atol=1e-5)


@pytest.fixture
def without_hardware(monkeypatch):
    """Let TensorFlow find that the processor cannot multiply bfloat16; nothing depends on that with JAX."""
    if engine.backend.name == "tensorflow":
        monkeypatch.setattr("charrnn.training.backends.tensorflow.ops.multiplies_bfloat16", lambda: False)


def test_without_the_hardware_operands_are_rounded_as_well_and_nothing_else(without_hardware):
    for value, exact in zip(*products_of_rounded(*operands()), strict=True):
        np.testing.assert_allclose(value, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "model", [case(model, fast=model.cell == "lstm") for model in MODELS], ids=lambda model: model.cell
)
def test_with_and_without_the_hardware_the_gradients_are_the_same_but_for_rounding(model, request):
    nats, expected, _ = loss_and_gradients_of(model, "bf16")
    request.getfixturevalue("without_hardware")
    other, found, types = loss_and_gradients_of(model, "bf16")
    assert types == {"float32"} and other == pytest.approx(nats, rel=1e-3)
    for name, gradient in expected.items():
        assert np.linalg.norm(found[name] - gradient) / np.linalg.norm(gradient) < 2e-2, name


def test_a_build_that_cuts_sums_off_is_found_out(monkeypatch):
    if engine.backend.name != "tensorflow":
        pytest.skip("only TensorFlow has to be asked")
    import tensorflow as tf

    from charrnn.training.backends.tensorflow.ops import multiplies_bfloat16

    real = tf.matmul

    def product(bits):
        """Return a stand-in for TensorFlow's product, in float32, of which `bits(y)` is kept."""

        def matmul(a, b):
            if a.dtype != tf.bfloat16:
                return real(a, b)
            return tf.cast(bits(real(tf.cast(a, tf.float32), tf.cast(b, tf.float32))), tf.bfloat16)

        return matmul

    def cut(y):
        return tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(y, tf.uint32), tf.constant(0xFFFF0000, tf.uint32)), y.dtype)

    for bits, good in ((lambda y: y, True), (cut, False)):
        monkeypatch.setattr(tf, "matmul", product(bits))
        assert multiplies_bfloat16.__wrapped__() is good


def types_of_products(function, values) -> list[str]:
    """Return the type of the operands of every matrix product in a function, loops and gradients included."""
    if engine.backend.name == "jax":
        import jax

        def products(jaxpr):
            for equation in jaxpr.eqns:
                if equation.primitive.name == "dot_general":
                    yield "/".join(sorted({str(operand.aval.dtype) for operand in equation.invars}))
                for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")):
                    inner = getattr(inner, "jaxpr", inner)
                    if hasattr(inner, "eqns"):
                        yield from products(inner)

        return list(products(jax.make_jaxpr(function)(values).jaxpr))
    import tensorflow as tf

    graph = tf.function(function, autograph=False).get_concrete_function(values).graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return [tf.as_dtype(node.attr["T"].type).name for node in nodes if node.op == "MatMul"]


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.cell)
def test_every_product_but_that_of_a_look_up_is_of_rounded_operands(model, monkeypatch):
    if engine.backend.name == "tensorflow":
        # The graph is made, and not run: it need not be that of this processor.
        monkeypatch.setattr("charrnn.training.backends.tensorflow.ops.multiplies_bfloat16", lambda: True)
    net = CharRNN(model, VOCAB, random_weights(model, VOCAB, "float32"), precision="bf16")
    read, states = window(), initial_states(xp, model, BATCH, "float32")

    def loss(values):
        return cross_entropy(net.call(read.inputs, states, values=values)[0], read.targets), None

    types = types_of_products(lambda values: loss_and_gradients(loss, values), net.values())
    # The gradient of the input's look-up is a product with one-hot rows.
    assert types.count("float32") == 1 and set(types) == {"float32", "bfloat16"} and len(types) > 10


@slow_on_jax
def test_training_learns_as_well():
    model, losses = ModelConfig("lstm", 1, 24), {}
    for precision in ("float32", "bf16"):
        net = CharRNN(model, VOCAB, random_weights(model, VOCAB, "float32"), precision=precision)
        step = TrainStep(net, make_optimizer(TrainConfig()), shards_of(BATCH, 2), dropout=0.2)
        states, read = fresh_states(net, step.shards), window()
        for number in range(60):
            loss, states = step(read, states, number, 0.02)
        losses[precision] = float(loss)
        assert {weight.dtype.name for weight in net.read().values()} == {"float32"}
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.05) and losses["bf16"] < 0.7


def test_what_a_checkpoint_records():
    assert "precision" not in to_json(TrainConfig())
    config = TrainConfig(precision="bf16")
    assert to_json(config)["precision"] == "bf16" and from_json(TrainConfig, to_json(config)) == config
