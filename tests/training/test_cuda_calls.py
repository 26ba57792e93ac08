"""Kernels in JAX's graph: what the handler that XLA calls does, and a step with kernels that the processor runs.

The handler's tests play XLA and NVIDIA's driver: structures in memory, and functions that note how they are called.
"""

import ctypes
import shutil
from ctypes import CFUNCTYPE, c_int, c_size_t, c_ubyte, c_uint, c_void_p
from pathlib import Path

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("the kernels are for JAX", allow_module_level=True)

import jax
import jax.numpy as jnp

from charrnn.cells import CELLS
from charrnn.compiled.cuda import driver
from charrnn.compiled.cuda.driver import Gpu, NoCuda
from charrnn.compiled.cuda.scan import CudaScan, Launch
from charrnn.compiled.scan import this_machine
from charrnn.config import ModelConfig
from charrnn.network.states import initial_states
from charrnn.training import network
from charrnn.training.backends import engines
from charrnn.training.backends.engine import loss_and_gradients, xp
from charrnn.training.backends.jax import cuda
from charrnn.training.backends.jax.cuda import CudaCalls, handler_of
from charrnn.training.step import cross_entropy
from support.cuda_on_host import HostKernel
from support.models import random_weights

pytestmark = pytest.mark.backend

GPU = Gpu(4, 232448, "sm_90")
STREAM, KERNEL, CONTEXT = 0x5555, 0x1234, 0x777


class Stage:
    """A call frame of XLA with two inputs and three outputs, and a driver whose functions note their arguments."""

    def __init__(self, monkeypatch, refuses: str = ""):
        self.said: list[tuple] = []
        result = {refuses: 1}

        def note(name, *types, values=lambda *arguments: arguments):
            function = CFUNCTYPE(c_int, *types)(
                lambda *arguments: self.said.append((name, *values(*arguments))) or result.get(name, 0)
            )
            functions[name] = function

        functions: dict = {}
        note("cuStreamGetCtx", c_void_p, c_void_p, values=lambda stream, at: (stream,))
        note("cuCtxSetCurrent", c_void_p, values=lambda context: ())
        note("cuMemsetD8Async", c_void_p, c_ubyte, c_size_t, c_void_p)
        note("cuLaunchCooperativeKernel", c_void_p, *7 * [c_uint], c_void_p, c_void_p, values=self._launched)
        monkeypatch.setattr(driver, "address", lambda name: ctypes.cast(functions[name], c_void_p).value)
        kernel = CudaScan(CELLS["lstm"], 32, ("h",), False, True).forward.kernel(4, 5, True, GPU)
        self.kernel = kernel
        machine = this_machine()
        self.handler = machine.load(machine.object_code(handler_of(Launch(KERNEL, kernel, "symbol"))))
        self.kept: list = [functions]
        self.frame = self._frame()

    @staticmethod
    def _launched(kernel, *rest):
        *sizes, stream, arguments = rest
        table = ctypes.cast(ctypes.cast(arguments, ctypes.POINTER(c_void_p))[0], ctypes.POINTER(c_void_p))
        return kernel, sizes, stream, [table[n] for n in range(5)]

    def _memory(self, **words):
        array = (ctypes.c_uint64 * 24)()
        for place, value in words.items():
            array[int(place[1:])] = value
        self.kept.append(array)
        return ctypes.addressof(array)

    def _buffers(self, addresses):
        return self._memory(**{f"_{n}": self._memory(_3=address) for n, address in enumerate(addresses)})

    def _frame(self):
        """Return a call frame, by the structures of xla/ffi/api/c_api.h."""

        def stream_get(at):
            words = ctypes.cast(at, ctypes.POINTER(ctypes.c_uint64))
            self.said.append(("stream of", words[2]))
            words[3] = STREAM
            return 0

        def error_create(at):
            words = ctypes.cast(at, ctypes.POINTER(ctypes.c_uint64))
            self.said.append(("error", ctypes.string_at(words[2]).decode(), words[3] & 0xFFFFFFFF))
            return 0x99

        functions = [CFUNCTYPE(ctypes.c_uint64, c_void_p)(function) for function in (error_create, stream_get)]
        self.kept.append(functions)
        create, get = (ctypes.cast(function, c_void_p).value for function in functions)
        api = self._memory(_6=create, _10=get)
        inputs, outputs = self._buffers([11, 12]), self._buffers([21, 22, 23])
        return self._memory(_2=api, _3=CONTEXT, _7=2, _9=inputs, _12=3, _14=outputs)

    def call(self) -> int:
        return CFUNCTYPE(ctypes.c_uint64, c_void_p)(self.handler.address("handler"))(self.frame)


def test_the_handler_clears_the_counters_and_launches_the_kernel(monkeypatch):
    stage = Stage(monkeypatch)
    kernel, tiles = stage.kernel, stage.kernel.tiles
    assert stage.call() == 0
    grid = [tiles.across, tiles.down, 1, tiles.threads, 1, 1, kernel.shared]
    assert stage.said == [
        ("stream of", CONTEXT),
        ("cuStreamGetCtx", STREAM),
        ("cuCtxSetCurrent",),
        # The last output is the memory of the counters.
        ("cuMemsetD8Async", 23, 0, kernel.memory[-1], STREAM),
        ("cuLaunchCooperativeKernel", KERNEL, grid, STREAM, [11, 12, 21, 22, 23]),
    ]


@pytest.mark.parametrize("refuses", ["cuStreamGetCtx", "cuMemsetD8Async", "cuLaunchCooperativeKernel"])
def test_what_the_driver_refuses_is_told_to_xla(refuses, monkeypatch):
    stage = Stage(monkeypatch, refuses)
    assert stage.call() == 0x99
    # With counters that are not 0 a kernel would wait forever.
    launched = "cuLaunchCooperativeKernel" in [what for what, *_ in stage.said]
    assert launched == (refuses == "cuLaunchCooperativeKernel")
    assert stage.said[-1] == (
        "error",
        "A kernel of charrnn could not be launched; `--engine framework` trains without it.",
        13,
    )


def on_host(folder: Path):
    """Return calls of kernels that the processor runs."""

    class HostCalls(CudaCalls):
        def native(self, code, sizes, inputs, outputs):
            steps, rows, recording = sizes
            host = HostKernel(code.kernel(steps, rows, bool(recording), GPU), folder)

            def run(*arrays):
                filled = [np.full(output.shape, np.nan, np.float32) for output in outputs]
                host([np.asarray(array) for array in arrays], filled)
                return filled

            types = [jax.ShapeDtypeStruct(output.shape, jnp.float32) for output in outputs]
            found = jax.pure_callback(run, types, *inputs)
            return [array for array, output in zip(found, outputs, strict=True) if output.kept]

    return HostCalls


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize(
    "cell, precision",
    [("lstm", "bf16"), ("lstm-peephole", "float32"), pytest.param("gru", "bf16", marks=pytest.mark.slow)],
)
def test_a_loss_and_its_gradients_are_those_of_the_scan(cell, precision, tmp_path, monkeypatch):
    model, vocab, steps, rows = ModelConfig(cell, 2, 16), 7, 4, 3
    rng = np.random.default_rng(0)
    weights = random_weights(model, vocab, "float32", scale=2.0)
    ids = rng.integers(0, vocab, (steps, rows)).astype(np.int32)
    reset = jnp.asarray(rng.random((steps, rows)) < 0.2)

    def results(engine_name):
        net = network.CharRNN(model, vocab, weights, engine=engine_name, precision=precision)

        def loss(values):
            states = initial_states(xp, model, rows, "float32")
            logits, after = net.call(ids, states, reset=reset, values=values)
            return cross_entropy(logits, np.roll(ids, -1, axis=0)), [list(state) for state in after]

        nats, after, gradients = loss_and_gradients(loss, net.values())
        return jax.tree.map(np.asarray, {"nats": nats, "after": after, **gradients})

    expected = results("framework")
    monkeypatch.setattr(network, "on_gpu", lambda: True)
    monkeypatch.setattr(network, "gpu_calls", on_host(tmp_path))
    found = results("compiled")
    assert found.keys() == expected.keys()
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * max(1e-3, np.abs(other).max()))
    assert list(tmp_path.glob("*.so"))


# The choice of the engine on a GPU.


@pytest.fixture
def with_gpu(monkeypatch):
    cuda._scan_of.cache_clear()
    monkeypatch.setattr(driver, "gpu", lambda devices: GPU)
    monkeypatch.setattr(driver, "code_of", lambda source, architecture: b"")
    monkeypatch.setattr(driver, "loaded", lambda *arguments: KERNEL)


LSTM = ModelConfig("lstm", 2, 16)


def chosen(model=LSTM, wanted="auto", recorded=None, precision="float32"):
    return engines.choose_engine(wanted, recorded, model, precision, True, resets=True)


def test_a_gpu_computes_with_kernels(with_gpu):
    assert chosen() == chosen(precision="bf16") == ("compiled", None)
    assert chosen(wanted="framework") == ("framework", None)
    assert chosen(recorded="framework") == ("framework", None)


@pytest.mark.parametrize(
    "model, why",
    [
        (ModelConfig("lstm-layernorm", 2, 16), "the cell lstm-layernorm with 16 units: it adds up columns"),
        (ModelConfig("lstm", 2, 24), "the cell lstm with 24 units: the units are no multiple of 16"),
        (ModelConfig("lstm", 2, 2048), "the cell lstm with 2048 units: the matrices are too large"),
    ],
    ids=str,
)
def test_what_has_no_kernel_is_computed_by_the_framework(model, why, with_gpu):
    assert chosen(model) == ("framework", None)
    engine_name, notice = chosen(model, "compiled")
    assert engine_name == "framework" and f"The cells are not compiled: {why}" in notice


def test_exact_float32_products_are_the_frameworks(with_gpu):
    with jax.default_matmul_precision("highest"):
        assert chosen()[0] == "framework" and chosen(precision="bf16")[0] == "compiled"


def test_a_missing_compiler_is_told(with_gpu, monkeypatch):
    def missing(*arguments):
        raise NoCuda("NVIDIA's compiler is not installed (pip install nvidia-cuda-nvrtc)")

    monkeypatch.setattr(driver, "code_of", missing)
    engine_name, notice = chosen()
    assert engine_name == "framework" and "pip install nvidia-cuda-nvrtc" in notice
