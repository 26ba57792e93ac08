"""Compiled networks against the equations in float64, and their draws against NumPy's from the same logits."""

from dataclasses import replace
from functools import cache

import llvmlite.binding as llvm
import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.compiled import network
from charrnn.compiled.forms import rounded
from charrnn.compiled.machine import Machine
from charrnn.compiled.network import CompiledNetwork, Memory
from charrnn.config import STACKS, ModelConfig
from charrnn.inference.compiled import compiled_network, ring_of
from charrnn.inference.model import Model
from charrnn.inference.sampling import COLDEST, Sampling, pick
from charrnn.inference.stream import Stream
from charrnn.network.stacks import fits
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

UNITS, SIZE = 19, 21
GUARD = 192


def vocabulary(size: int) -> Vocabulary:
    return Vocabulary(tuple(chr(1000 + id) for id in range(size)))


def models(config: ModelConfig, size: int = SIZE, form: str = "float32", scale: float = 2.0) -> tuple[Model, Model]:
    """Return a model with weights of this form, and the same one in float64."""
    model = Model(config, vocabulary(size), random_weights(config, size, "float32", scale))
    model.store_as(form)
    return model, Model(config, model.vocab, {name: w.astype("float64") for name, w in model.weights.items()})


def compiled(model: Model, one: bool = True, form: str = "float32", machine: Machine | None = None) -> CompiledNetwork:
    return compiled_network(model, one, form, machine)


def memory(model: Model, net: CompiledNetwork, rows: int) -> Memory:
    """Return the memory of texts at their beginning."""
    stream = Stream(model, rows)
    memory = Memory(net, rows, of_rows=ring_of(stream.attention))
    fields = [field for state in stream.states for field in state]
    for own, value in zip(memory.state(), fields, strict=True):
        own[...] = value
    return memory


def error(config: ModelConfig, rows: int = 1, one: bool = True, size: int = SIZE, form: str = "float32", machine=None):
    """Return the largest error of the logits of 12 steps, to the largest logit; the calls have 1, 4 and 7 steps."""
    model, exact = models(config, size, form)
    net = compiled(model, one, form, machine)
    own, ids = memory(model, net, rows), np.random.default_rng(1).integers(0, size + 1, (12, rows))
    logits = np.full((12, rows, size), np.nan, np.float32)
    for low, high in ((0, 1), (1, 5), (5, 12)):
        own.read(ids[low:high], logits[low:high])
    expected = Stream(exact, rows).feed(ids)
    return abs(logits - expected).max() / abs(expected).max()


@pytest.fixture(autouse=True)
def guarded(monkeypatch):
    """Fail if code writes beyond the end of an array, or if numbers from there have an effect."""
    guards = []

    def aligned(shape, dtype=np.float32):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = np.full(size + GUARD, 0xFF, np.uint8)
        start = -memory.ctypes.data % 64
        memory[start : start + size] = 0
        guards.extend((memory[:start], memory[start + size :]))
        return memory[start : start + size].view(dtype).reshape(shape)

    monkeypatch.setattr(network, "aligned", aligned)
    yield
    assert all((guard == 0xFF).all() for guard in guards)


EVERY = [(cell, stack) for stack in STACKS for cell in CELLS if fits(CELLS[cell], stack)]
# Each cell once, each stack with several cells, and all that is special: masks, raw fields, vectors of zx.
FEW = [
    *((cell, "plain") for cell in ("clockwork", "lstm-depth-gated", "lstm-layernorm", "slstm", "gru")),
    *(("gru-reset-after", stack) for stack in ("grid", "gated-feedback")),
    ("mlstm", "grid"),
    ("lstm", "residual"),
]


@pytest.mark.parametrize(("cell", "stack"), FEW)
def test_one_text_follows_the_equations(cell, stack):
    assert error(ModelConfig(cell, 3, UNITS, stack=stack)) < 1e-5


@pytest.mark.parametrize(("cell", "stack"), FEW[2::4])
def test_many_texts_follow_the_equations(cell, stack):
    assert error(ModelConfig(cell, 2, UNITS, stack=stack), rows=23, one=False) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "stack"), EVERY)
def test_every_cell_in_every_stack_follows_the_equations(cell, stack):
    for rows, one in ((1, True), (11, False)):
        assert error(ModelConfig(cell, 2, UNITS, stack=stack), rows, one) < 1e-5


@pytest.mark.parametrize("size", [3, 300])
def test_a_vocabulary_may_have_any_size(size):
    # Panels of one vector, and several whole panels with a rest.
    assert error(ModelConfig("lstm", 1, 70, embedding=5), size=size) < 1e-5


# Attention to fewer characters than are read, and to more; rows that are whole vectors, and others.
@pytest.mark.parametrize("n", [1, 4, 40])
@pytest.mark.parametrize("units", [UNITS, 64, 150])
def test_attention_follows_the_equations(units, n):
    config = ModelConfig("lstm", 2, units, attention=n)
    assert error(config) < 1e-5
    assert error(config, rows=3) < 1e-5
    assert error(config, rows=11, one=False) < 1e-5


@pytest.mark.parametrize(
    ("cell", "layers", "stack"), [("gru", 3, "residual"), ("lstm", 1, "plain"), ("rnn", 2, "grid")]
)
def test_attention_follows_the_equations_in_other_networks(cell, layers, stack):
    assert error(ModelConfig(cell, layers, UNITS, stack=stack, attention=5)) < 1e-5
    assert error(ModelConfig("lstm", 2, UNITS, stack="gated-feedback", attention=5), form="bf16") < 1e-5


def test_the_code_of_one_text_reads_several_one_after_the_other():
    assert error(ModelConfig("gru", 2, UNITS), rows=3) < 1e-5


@pytest.mark.parametrize("form", ["bf16", "int8"])
@pytest.mark.parametrize("units", [UNITS, 70])
def test_weights_of_fewer_bits_follow_the_equations_with_rounded_weights(form, units):
    assert error(ModelConfig("lstm", 2, units), size=85, form=form) < 1e-5


FEATURES = {4: "", 8: "+avx2,+fma,+avx", 16: "+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx2,+fma,+avx"}


@pytest.mark.parametrize("lanes", FEATURES)
@pytest.mark.parametrize("form", ["float32", "bf16", "int8"])
def test_vectors_of_every_width_give_the_same(lanes, form):
    if not llvm.get_process_triple().startswith("x86_64"):
        pytest.skip("these are the features of x86-64")
    here = llvm.get_host_cpu_features()
    if not all(here.get(feature.lstrip("+")) for feature in FEATURES[lanes].split(",") if feature):
        pytest.skip("this processor has narrower vectors")
    machine = Machine("x86-64", FEATURES[lanes])
    assert machine.vector_bytes == 4 * lanes
    assert error(ModelConfig("lstm", 1, 35, attention=6), size=40, form=form, machine=machine) < 1e-5


def test_rounding_to_bfloat16_takes_the_nearest_and_of_two_the_even():
    one, step = 1.0, 2.0**-7
    given = np.array([one + step / 2, one + 1.5 * step, one + 0.51 * step, -one - 0.49 * step, 0, -0.0, 3e38], "f4")
    assert rounded(given[:, None], "bf16")[:6, 0].tolist() == [one, one + 2 * step, one + step, -one, 0, -0.0]
    odd = np.array([[np.nan, np.inf, -np.inf]], "f4")
    np.testing.assert_array_equal(rounded(odd, "bf16"), odd)


def test_rounding_to_int8_has_a_scale_for_each_column():
    matrix = np.random.default_rng(0).normal(size=(50, 7)).astype("f4") * np.array([1, 10, 0.1, 0, 1, 1, 1e-30], "f4")
    small = rounded(matrix, "int8")
    scales = abs(matrix).max(axis=0) / 127
    assert (abs(small - matrix) <= scales * 0.5001).all() and (small[:, 3] == 0).all()
    assert len(np.unique(small[:, 0])) > 20
    np.testing.assert_allclose(rounded(small, "int8"), small, rtol=1e-6)


@cache
def drawing() -> tuple[Model, CompiledNetwork]:
    model, _ = models(ModelConfig("gru", 1, UNITS), 67, scale=6.0)
    return model, compiled(model)


def drawn(sampling: Sampling, count: int, mask=None, stops=(), weights=None, uniforms=None):
    """Return the ids that compiled code draws, the ids that NumPy draws from the same logits, and the logits."""
    model, net = drawing()
    own, size = memory(model, net, 1), model.vocab.size
    uniforms = np.random.default_rng(5).random(count) if uniforms is None else uniforms
    ids, logits = np.full(count + 1, size), np.zeros((count, size), np.float32)
    mask = np.zeros(size, np.float32) if mask is None else mask
    stopping = np.array([id in stops for id in range(size)] + [True], np.uint8)
    greedy = sampling.temperature == 0
    arguments = (COLDEST if greedy else sampling.temperature, sampling.top_k or size)
    arguments += (sampling.top_p or 1.0, sampling.min_p or 0.0)
    made = own.draw(ids, logits, uniforms * (not greedy), mask, stopping, *arguments)
    expected = [pick(sampling.weights(row + mask), u) for row, u in zip(logits[:made], uniforms, strict=False)]
    return ids[1 : made + 1].tolist(), expected, logits[:made]


FILTERS = {
    "plain": Sampling(),
    "hot": Sampling(3.0),
    "cold": Sampling(0.2),
    "greedy": Sampling(0),
    "top k": Sampling(2.0, top_k=3),
    "top k of one": Sampling(2.0, top_k=1),
    "top k of all": Sampling(2.0, top_k=1000),
    "top p": Sampling(2.0, top_p=0.6),
    "a small top p": Sampling(2.0, top_p=1e-6),
    "min p": Sampling(2.0, min_p=0.1),
    "all filters": Sampling(3.0, 20, 0.8, 0.02),
}


@pytest.mark.parametrize("sampling", FILTERS.values(), ids=FILTERS)
def test_draws_are_those_of_numpy_from_the_same_logits(sampling):
    found, expected, _ = drawn(sampling, 600)
    assert found == expected and len(found) == 600
    assert sampling.temperature < 2 or sampling.top_k == 1 or sampling.top_p == 1e-6 or len(set(found)) > 3
    free, _, _ = drawn(replace(sampling, top_k=None, top_p=None, min_p=None), 600)
    assert (found != free) == bool((sampling.top_k or 1000) < 1000 or sampling.top_p or sampling.min_p)


def test_equal_weights_are_kept_or_left_out_together():
    model, net = drawing()
    kept = model.weights["output/b"].copy()
    try:
        # All characters are equally likely, but one is likelier.
        flat = np.zeros_like(net.shared["w_output/b"])
        flat[5] = 1.0
        net.shared["w_output/b"][:] = flat
        packed = net.shared["packed output/W"].copy()
        net.shared["packed output/W"][:] = 0
        filters = (Sampling(top_k=2), Sampling(top_p=0.5), Sampling(top_p=0.01), Sampling(top_k=9, top_p=0.5))
        # Of the 9 likeliest, the first alone has a fifth of the probability.
        for sampling in (*filters, Sampling(top_k=9, top_p=0.2), Sampling(min_p=0.5)):
            for shift in (0, -200):
                net.shared["w_output/b"][:] = flat + shift
                found, expected, _ = drawn(sampling, 300)
                assert found == expected
        assert set(drawn(Sampling(top_k=9, top_p=0.2), 50)[0]) == {5}
        assert set(drawn(Sampling(top_k=1), 50)[0]) == {5}
        assert len(set(drawn(Sampling(top_k=2), 500)[0])) > 60
        net.shared["packed output/W"][:] = packed
    finally:
        net.shared["w_output/b"][:] = kept


def test_banned_ids_are_never_drawn():
    mask = np.zeros(67, np.float32)
    banned = sorted({*drawn(Sampling(2.0), 40)[0]})[:10]
    mask[banned] = -np.inf
    found, expected, _ = drawn(Sampling(2.0), 500, mask)
    assert found == expected and not {*found} & {*banned}


def test_drawing_ends_after_an_id_that_stops_it():
    everything, _, _ = drawn(Sampling(2.0), 300)
    stop = everything[40]
    found, _, _ = drawn(Sampling(2.0), 300, stops=(stop,))
    assert found == everything[: everything.index(stop) + 1]


def test_extreme_uniform_numbers_draw_possible_ids():
    for uniform in (0.0, 1 - 2.0**-53):
        found, expected, _ = drawn(Sampling(0.5, top_k=4), 30, uniforms=np.full(30, uniform))
        assert found == expected and max(found) < 67


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_draw_from_what_is_not_a_number_gives_the_id_after_the_last_one(value):
    model, net = drawing()
    bias = net.shared["w_output/b"]
    kept = bias.copy()
    try:
        bias[33] = value
        for sampling in FILTERS.values():
            found, _, _ = drawn(sampling, 9)
            if np.isnan(value) or sampling.temperature:
                assert found == [model.vocab.size]
    finally:
        bias[:] = kept
