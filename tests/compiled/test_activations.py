"""The activations of compiled code over the float32 numbers, in units in the last place, and at their borders."""

import ctypes
from collections.abc import Callable

import llvmlite.ir as ir
import numpy as np
import pytest

from charrnn.compiled.activations import SIGMOID_ERROR, TANH_MAX, ULPS
from charrnn.compiled.code import I64, PTR, Code
from charrnn.compiled.machine import Machine
from support.vectors import restricted

SMALLEST = np.finfo(np.float32).tiny
INF, NAN = np.inf, np.nan


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-abs(x)))


EXACT = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "exp": np.exp,
    "log_sigmoid": log_sigmoid,
    "rsqrt": lambda x: 1 / np.sqrt(x),
}
ONE_ARGUMENT = ("tanh", "sigmoid", "exp", "log_sigmoid", "rsqrt")
TWO_ARGUMENTS = ("maximum", "greater", "not_less")
Apply = Callable[..., np.ndarray]


def applied(machine: Machine, real: ir.Type) -> Apply:
    """Return a function apply(operation, *arrays), compiled for whole vectors."""
    module = ir.Module("activations")
    module.triple = machine.triple
    for op in (*ONE_ARGUMENT, *TWO_ARGUMENTS):
        code = Code(module, machine, real, f"all {op}", [PTR, PTR, PTR, I64])
        out, *given, size = code.function.args
        with code.flushing(), code.loop(0, size, code.lanes) as i:
            operands = [code.load(code.at(x, i)) for x in given[: 1 + (op in TWO_ARGUMENTS)]]
            code.store(code.elementwise(op, operands), code.at(out, i))
        code.b.ret_void()
    loaded = machine.load(machine.object_code(module))
    dtype = np.float64 if isinstance(real, ir.DoubleType) else np.float32

    def apply(op: str, *arrays: np.ndarray) -> np.ndarray:
        size = arrays[0].size
        x, y = (np.zeros(-(-size // 16) * 16, dtype) for _ in range(2))
        out = np.empty_like(x)
        for padded, array in zip((x, y), arrays, strict=False):
            padded[:size] = array
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(loaded.address(f"all {op}"))
        function(out.ctypes.data, x.ctypes.data, y.ctypes.data, out.size)
        return out[:size]

    return apply


@pytest.fixture(scope="module", params=[4, 8, 16])
def apply(request) -> Apply:
    return applied(Machine(features=restricted(request.param)), ir.FloatType())


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    """Return float32 numbers of all sizes and both signs, and many near borders; no infinity, no NaN."""

    def bits(x: float) -> int:
        return int(np.float32(x).view(np.uint32))

    borders = [TANH_MAX, 2 * TANH_MAX, 88.72283, 87.33654, 103.98, 17.33, np.sqrt(2) - 1, np.log(2) / 2]
    found = [
        np.arange(bits(SMALLEST), bits(np.inf), 997, dtype=np.uint32),
        np.arange(bits(4), bits(8.1), 5, dtype=np.uint32),
        *(np.arange(bits(x) - 500, bits(x) + 500, dtype=np.uint32) for x in borders),
    ]
    positive = np.concatenate(found).view(np.float32)
    return np.concatenate([positive, -positive])


def in_float64(op: str, x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return EXACT[op](x.astype(np.float64))


@pytest.mark.parametrize("op", ULPS)
def test_errors_in_units_in_the_last_place(op, apply, sample):
    x = sample[sample > 0] if op == "rsqrt" else sample
    got, exact = apply(op, x), in_float64(op, x)
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
    normal = np.isfinite(nearest) & (np.abs(exact) >= SMALLEST)
    units = np.abs(got[normal] - exact[normal]) / np.spacing(np.abs(nearest[normal])).astype(np.float64)
    assert units.max() <= ULPS[op]
    # Smaller numbers become 0, and larger ones infinity.
    assert not got[np.isfinite(nearest) & ~normal].any()
    assert (got[np.isinf(nearest)] == nearest[np.isinf(nearest)]).all()


def test_the_sigmoid(apply, sample):
    got = apply("sigmoid", sample)
    assert np.abs(got - in_float64("sigmoid", sample)).max() <= SIGMOID_ERROR
    assert got.min() == 0 and got.max() == 1


def test_saturation_is_exact_and_never_beyond(apply, sample):
    tanh, sigmoid = apply("tanh", sample), apply("sigmoid", sample)
    assert np.abs(tanh).max() == 1 and sigmoid.min() == 0 and sigmoid.max() == 1
    beyond = np.abs(sample) >= np.float32(TANH_MAX)
    assert (tanh[beyond] == np.sign(sample[beyond])).all()
    beyond = np.abs(sample) >= np.float32(2 * TANH_MAX)
    assert (sigmoid[beyond] == (sample[beyond] > 0)).all()


@pytest.mark.parametrize(
    "op, x, y",
    [
        ("tanh", [0, INF, -INF, 1e-45, 3e38, -3e38, 2e-38], [0, 1, -1, 0, 1, -1, np.float32(2e-38)]),
        ("sigmoid", [0, INF, -INF, 1e-45, 3e38, -3e38], [0.5, 1, 0, 0.5, 1, 0]),
        ("exp", [0, INF, -INF, 1e-45, 88.7229, -88, 89, 3e38, -3e38], [1, INF, 0, 1, INF, 0, INF, INF, 0]),
        (
            "log_sigmoid",
            [INF, -INF, 3e38, np.float32(-3e38), -1e30],
            [0, -INF, 0, np.float32(-3e38), np.float32(-1e30)],
        ),
        ("rsqrt", [INF, 4, 0], [0, 0.5, INF]),
    ],
)
def test_borders_and_infinities(op, x, y, apply):
    assert apply(op, np.array(x, np.float32)).tolist() == y


@pytest.mark.parametrize("op", ONE_ARGUMENT)
def test_nan_stays_nan_and_does_not_spread(op, apply):
    x = np.ones(32, np.float32)
    x[5] = NAN
    got = apply(op, x)
    assert np.isnan(got[5]) and np.isfinite(np.delete(got, 5)).all()


def test_comparisons(apply):
    x, y = np.array([1, 2, 2, NAN, 1, NAN, INF, -INF]), np.array([2, 1, 2, 1, NAN, NAN, 1, 1])
    np.testing.assert_array_equal(apply("maximum", x, y), [2, 2, 2, NAN, NAN, NAN, INF, 1])
    np.testing.assert_array_equal(apply("greater", x, y), [0, 1, 0, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(apply("not_less", x, y), [0, 1, 1, 0, 0, 0, 1, 0])


def test_float64_is_that_of_the_library():
    apply = applied(Machine(), ir.DoubleType())
    x = np.concatenate([np.linspace(-40, 40, 4001), [-INF, INF, 710, -750, 1e-300]])
    for op in ULPS.keys() - {"rsqrt"}:
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(apply(op, x), EXACT[op](x), rtol=1e-14, atol=1e-300)
