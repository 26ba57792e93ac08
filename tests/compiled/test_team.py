"""Products that several threads compute together: the same bits as from one, whoever comes, and no waiting in vain."""

import threading
from functools import cache
from time import monotonic

import llvmlite.binding as llvm
import numpy as np
import pytest

from charrnn.compiled import network, team, team_threads
from charrnn.compiled.machine import Machine
from charrnn.compiled.network import CompiledNetwork, Memory, aligned
from charrnn.compiled.row import WIDE, packed_row, scale_bytes
from charrnn.compiled.team import DONE, GIVEN, STOP, TICKET
from charrnn.compiled.team_threads import Helpers
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


class Punctual(Helpers):
    """Helpers that are always called, and come before the first step."""

    def _choice(self) -> bool:
        return True

    def _helped(self, steps, help, job) -> int:
        come = threading.Semaphore(0)

        def helping() -> None:
            come.release()
            help()

        def together() -> int:
            assert all(come.acquire(timeout=60) for _ in range(self.count))
            return steps()

        return super()._helped(together, helping, job)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Let threads help with every call."""
    monkeypatch.setattr(network, "HELPED", 1)


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
        for array, expected in zip(results(net, Punctual(count)), alone, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_helped_logits_follow_the_equations():
    logits, *_ = results(compiled("float32"), Punctual(2))
    exact = Model(
        model("float32").config,
        model("float32").vocab,
        {name: weight.astype("float64") for name, weight in model("float32").weights.items()},
    )
    expected = Stream(exact).feed(np.random.default_rng(1).integers(0, SIZE, (60, 1)))
    assert abs(logits - expected.reshape(logits.shape)).max() < 1e-5 * abs(expected).max()


class Announced:
    """A product of so many panels that is announced by hand, and the threads that help."""

    def __init__(self, form: str, panels: int, threads: int):
        self.net, self.panels, k = compiled(form), panels, 5
        lanes = self.net.machine.vector_bytes // 4
        n, rng = panels * WIDE * lanes, np.random.default_rng(3)
        self.matrix = rng.integers(-127, 128, (k, n)).astype(np.float32)
        self.matrix[0] = 127
        self.packed = packed_row(self.matrix, form, lanes)
        self.x, self.z, self.y = aligned((k,)), aligned((n,)), aligned((n,))
        self.memory = Memory(self.net, 1)
        scales = self.packed.ctypes.data
        first = [self.x.ctypes.data, scales + scale_bytes(n, form, lanes), scales, k, self.z.ctypes.data, 1]
        self.memory.job[GIVEN : GIVEN + 7] = [*first, self.y.ctypes.data]
        target, address = self.net.functions["help"], self.memory.tables[0].ctypes.data
        self.threads = [threading.Thread(target=target, args=(address,), daemon=True) for _ in range(threads)]

    def __enter__(self) -> "Announced":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.memory.job[TICKET] = STOP
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()

    def compute(self) -> None:
        """Announce the product and wait until the helpers have computed it, each panel once."""
        job, deadline = self.memory.job, monotonic() + 60
        self.y[:] = np.nan
        job[DONE] = 0
        job[TICKET] = self.panels
        while job[DONE] < self.panels:
            assert monotonic() < deadline
        assert job[DONE] == self.panels and job[TICKET] == 0


@pytest.mark.parametrize("form", FORMS)
def test_helpers_compute_an_announced_product_and_go(form):
    rng = np.random.default_rng(4)
    with Announced(form, 40, 3) as product:
        for _ in range(50):
            product.x[:], product.z[:] = rng.integers(-9, 10, 5), rng.integers(-9, 10, len(product.z))
            product.x[0] = 1
            product.compute()
            np.testing.assert_array_equal(product.y, product.z + product.x @ product.matrix)
        # Numbers that are too small are 0, as for the thread that steps.
        product.x[:], product.z[:] = 1e-42, 0
        product.compute()
        assert (product.y == 0).all() or not product.net.machine.x86


def test_nobody_waits_for_helpers_that_do_not_come():
    net, late, free = compiled("int8"), Helpers(1), threading.Event()
    late._threads().submit(free.wait)
    try:
        found = results(net, late)
    finally:
        free.set()
    for array, expected in zip(found, results(net, Helpers(0)), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_helpers_go_when_steps_fail(error):
    threads, job = Punctual(2), np.zeros(team.JOB, np.int64)

    def help() -> None:
        while job[TICKET] != STOP:
            pass

    def steps() -> int:
        raise error

    with pytest.raises(error):
        threads.run(steps, help, job)
    # All have come, and all have gone.
    threads._pool.shutdown()


def test_without_threads_it_goes_alone():
    """A Python that ends, or a system with no more threads, starts none: the first comes here, the second does not."""
    threads, job, gone = Helpers(2), np.zeros(team.JOB, np.int64), threading.Event()
    submit, calls = threads._threads().submit, []

    def refusing(help):
        calls.append(help)
        if len(calls) == 2:
            raise RuntimeError("can't start new thread")
        return submit(help)

    def help() -> None:
        while job[TICKET] != STOP:
            pass
        gone.set()

    threads._threads().submit = refusing
    threads.run(lambda: int(gone.is_set()) + 1, help, job)
    assert len(calls) == 2 and gone.wait(60)
    threads._pool.shutdown()
    threads._calls = 0
    made = []
    threads.run(lambda: made.append(1) or 1, help, job)
    assert made == [1]


def test_a_copy_of_the_process_has_threads_of_its_own():
    threads = Helpers(1)
    first = threads._threads()
    assert threads._threads() is first
    threads._process -= 1
    assert threads._threads() is not first


def test_threads_help_one_at_a_time():
    threads, job, helped = Punctual(1), np.zeros(team.JOB, np.int64), []

    def within() -> int:
        helped.append(job[TICKET] == 0)
        other = np.full(team.JOB, STOP)
        threads.run(lambda: helped.append(other[TICKET] == 0) or 1, None, other)
        return 1

    threads.run(within, lambda: None, job)
    threads.run(lambda: helped.append(job[TICKET] == 0) or 1, lambda: None, job)
    assert helped == [True, False, True]


def test_what_was_faster_of_late_is_done(monkeypatch):
    """Help costs time at first, later saves it, and then costs time again; a few slow calls do not count."""
    now, helped, job = [0.0], [], np.full(team.JOB, STOP)
    monkeypatch.setattr(team_threads, "AGAIN", 10)
    monkeypatch.setattr(team_threads, "perf_counter", lambda: now[0])
    threads = Helpers(1)

    def steps() -> int:
        helped.append(bool(job[TICKET] == 0))
        is_busy = not 60 < len(helped) <= 110
        is_slow = len(helped) in (1, 85, 86, 105)
        now[0] += 5 * (9 if is_slow else 1) * ((1.3 if is_busy else 0.5) if helped[-1] else 1.0)
        return 5

    for _ in range(130):
        threads.run(steps, lambda: None, job)
    assert helped[:10] == [True, False, True] + [False] * 6 + [True] and helped[10:70] == ([False] * 9 + [True]) * 6
    # One look at the other way was enough.
    assert helped[70:110] == ([True] * 9 + [False]) * 4
    assert helped[110:120] == [True] * 4 + [False] * 5 + [True] and helped[120:] == [False] * 9 + [True]
