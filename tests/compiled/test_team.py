"""Products that several threads compute together: the same bits as from one, whoever comes, and no waiting in vain."""

import threading
from functools import cache

import llvmlite.binding as llvm
import numpy as np
import pytest

from charrnn.compiled import network, team
from charrnn.compiled.machine import Machine
from charrnn.compiled.network import CompiledNetwork, Memory, aligned
from charrnn.compiled.row import WIDE, packed_row, scale_bytes
from charrnn.compiled.team import DONE, GIVEN, NUMBER, STOP, TICKET, Helpers
from charrnn.config import ModelConfig
from charrnn.inference.compiled import compiled_network
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

SIZE, UNITS = 21, 192
FORMS = ["float32", "bf16", "int8"]


@cache
def model(form: str) -> Model:
    config = ModelConfig("lstm", 2, UNITS)
    made = Model(
        config, Vocabulary(tuple(chr(1000 + id) for id in range(SIZE))), random_weights(config, SIZE, "float32")
    )
    made.store_as(form)
    return made


@cache
def compiled(form: str, machine: Machine | None = None) -> CompiledNetwork:
    net = compiled_network(model(form), True, form, machine)
    assert net.is_shared
    return net


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Let threads help with every call."""
    monkeypatch.setattr(network, "HELPED", 1)
    monkeypatch.setattr(team, "AGAIN", 1 << 30)


def results(net: CompiledNetwork, helpers: Helpers) -> list[np.ndarray]:
    """Return what is read and drawn, in several calls, with these helpers."""
    net.helpers = helpers
    memory, ids = Memory(net, 1), np.random.default_rng(1).integers(0, SIZE, (60, 1))
    logits = np.full((60, 1, SIZE), np.nan, np.float32)
    for low, high in ((0, 1), (1, 5), (5, 60)):
        memory.read(ids[low:high], logits[low:high])
    drawn, of_draws = np.full(61, -1), np.full((60, SIZE), np.nan, np.float32)
    drawn[0] = 3
    uniforms = np.random.default_rng(2).random(60)
    memory.draw(
        drawn, of_draws, uniforms, np.zeros(SIZE, np.float32), np.zeros(SIZE + 1, np.uint8), 1.0, SIZE, 1.0, 0.0
    )
    return [logits, drawn, of_draws, *memory.state()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [16, 32, 64])
def test_helpers_change_no_bit(form, width):
    host = llvm.get_host_cpu_features()
    off = {16: ("avx2", "avx512f"), 32: ("avx512f",), 64: ()}[width]
    features = ",".join(f"{'+' if has and name not in off else '-'}{name}" for name, has in host.items())
    machine = Machine(features=features)
    if machine.vector_bytes != width:
        pytest.skip(f"needs vectors of {width} bytes")
    net = compiled(form, machine)
    alone = results(net, Helpers(0))
    assert all(np.isfinite(array).all() for array in alone)
    for count in (1, 3):
        for array, expected in zip(results(net, Helpers(count)), alone, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_helped_logits_follow_the_equations():
    logits, *_ = results(compiled("float32"), Helpers(2))
    exact = Model(
        model("float32").config,
        model("float32").vocab,
        {name: weight.astype("float64") for name, weight in model("float32").weights.items()},
    )
    expected = Stream(exact).feed(np.random.default_rng(1).integers(0, SIZE, (60, 1)))
    assert abs(logits - expected.reshape(logits.shape)).max() < 1e-5 * abs(expected).max()


@pytest.mark.parametrize("form", FORMS)
def test_a_helper_computes_an_announced_product_and_goes(form):
    """The job is announced by hand; numbers that are too small are 0, as for the thread that steps."""
    net, k, panels = compiled(form), 5, 3
    lanes = net.machine.vector_bytes // 4
    n, rng = panels * WIDE * lanes, np.random.default_rng(3)
    matrix = rng.integers(-127, 128, (k, n)).astype(np.float32)
    matrix[0] = 127
    packed, x, z, y = packed_row(matrix, form, lanes), aligned((k,)), aligned((n,)), aligned((n,))
    x[:], z[:], y[:] = rng.integers(-9, 10, k), rng.integers(-9, 10, n), np.nan
    x[0] = 1
    memory = Memory(net, 1)
    scales = packed.ctypes.data
    first = [x.ctypes.data, scales + scale_bytes(n, form, lanes), scales, k, z.ctypes.data, 1, y.ctypes.data]
    memory.job[GIVEN : GIVEN + len(first)] = first

    def announced() -> None:
        memory.job[DONE], memory.job[NUMBER] = 0, memory.job[NUMBER] + 1
        memory.job[TICKET] = memory.job[NUMBER] << 32 | panels
        while memory.job[DONE] < panels:
            assert helper.is_alive()

    helper = threading.Thread(target=net.functions["help"], args=(memory.tables[0].ctypes.data,), daemon=True)
    helper.start()
    announced()
    np.testing.assert_array_equal(y, z + x @ matrix)
    x[:], z[:] = 1e-42, 0
    announced()
    assert (y == 0).all() or not net.machine.x86
    assert memory.job[TICKET] & 0xFFFFFFFF == 0 and helper.is_alive()
    memory.job[TICKET] = STOP
    helper.join(60)
    assert not helper.is_alive()


def test_nobody_waits_for_helpers_that_do_not_come():
    net, helpers, free = compiled("int8"), Helpers(1), threading.Event()
    helpers._pool.submit(free.wait)
    try:
        found = results(net, helpers)
    finally:
        free.set()
    for array, expected in zip(found, results(net, Helpers(0)), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_helpers_go_when_steps_fail():
    helpers, job, gone = Helpers(2), np.zeros(team.JOB, np.int64), threading.Event()

    def help() -> None:
        while job[TICKET] != STOP:
            pass
        gone.set()

    def steps() -> int:
        raise MemoryError

    with pytest.raises(MemoryError):
        helpers.run(steps, help, job)
    assert job[TICKET] == STOP
    helpers._pool.shutdown()


def test_what_was_faster_of_late_is_done(monkeypatch):
    """Help costs time at first, and later saves it; now and then the other way is measured again."""
    now, helped, job = [0.0], [], np.zeros(team.JOB, np.int64)
    monkeypatch.setattr(team, "AGAIN", 10)
    monkeypatch.setattr(team, "perf_counter", lambda: now[0])
    helpers = Helpers(1)

    def steps() -> int:
        helped.append(bool(job[TICKET] == 0))
        is_busy = len(helped) <= 60
        now[0] += 5 * ((2.0 if is_busy else 0.5) if helped[-1] else 1.0)
        job[TICKET] = STOP
        return 5

    for _ in range(120):
        helpers.run(steps, lambda: None, job)
    # First it does not know; then it tries what it does not use in every tenth call.
    assert helped[:10] == [True] * 9 + [False] and helped[10:60] == ([False] * 9 + [True]) * 5
    assert helped[60:70] == [False] * 9 + [True] and helped[70:] == ([True] * 9 + [False]) * 5
