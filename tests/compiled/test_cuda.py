"""Kernels for a GPU, run by the processor: every number of a scan and of its gradient, however the work is divided."""

import shutil

import numpy as np
import pytest

from charrnn.cells import CELLS, Hidden
from charrnn.cells import HiddenAndMemory as Two
from charrnn.compiled.cuda import driver
from charrnn.compiled.cuda.driver import Gpu, NoCuda
from charrnn.compiled.cuda.scan import CudaScan
from charrnn.compiled.cuda.tiles import NoTiles, tiles_for
from support.compiled_scans import Problem, errors
from support.cuda_on_host import host_scan
from support.representatives import some
from support.toys import TOYS, toy

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
H100 = Gpu(132, 232448, "sm_90")
# An A100 has less of everything.
A100 = Gpu(108, 166912, "sm_80")
WITHOUT = ("lstm-layernorm", "lstm-mogrifier")
WITH = [name for name in CELLS if name not in WITHOUT]
# One or two products, an operand of three blocks, vectors, numbers that are known, no product at all, two states.
REPRESENTATIVES = ("lstm", "gru", "lstm-full-gates", "lstm-peephole", "clockwork", "mut3", "mingru")


def assert_equal(cell, folder, units=32, steps=4, rows=5, resets=True, **tiles) -> None:
    """Compare a scan with the equations in float64."""
    problem = Problem(cell, units, steps, rows, cell.state_fields, resets)
    scan = host_scan(cell, units, cell.state_fields, folder, resets, **tiles)
    of_outputs, of_gradients = errors(scan, problem, "float32")
    assert of_outputs <= 1e-5 and of_gradients <= 2e-4


@needs_compiler
@pytest.mark.parametrize("name", some(WITH, REPRESENTATIVES))
def test_values_and_gradients_equal_the_equations(name, tmp_path):
    assert_equal(CELLS[name], tmp_path)


# Without resets the operands of the next step are sent at the end of this one, as in most real trainings.
@needs_compiler
@pytest.mark.parametrize("name", some(WITH, ["lstm", "gru", "mut3"]))
def test_however_late_a_cta_is(name, tmp_path):
    assert_equal(CELLS[name], tmp_path, resets=False, slow=True)


def leaking(xp, zx, state, dot, w):
    """A product begins with a sum that is no input."""
    return Hidden(0.5 * state.h + dot(state.h, "U"))


def blended(xp, zx, state, dot, w):
    """The second product multiplies what the first began with a sum."""
    return Hidden(xp.tanh(dot(dot(state.h, "U") + xp.sigmoid(zx) * state.h, "V") + zx))


def remembering(xp, zx, state, dot, w):
    """A new state is the old one of another."""
    return Two(xp.tanh(zx + dot(state.h + 0.5 * state.c, "U")), state.h)


def five_gates(xp, zx, state, dot, w):
    a, b, c, d, e = xp.split(zx + dot(state.h, "U"), 5, axis=-1)
    return Two(xp.tanh(a + xp.sigmoid(b) * state.h), xp.tanh(c) * xp.sigmoid(d) + 0.5 * e)


OWN = {
    "leaking": toy(leaking, Hidden),
    "blended": toy(blended, Hidden, matrices={"U": 1, "V": 1}),
    "remembering": toy(remembering),
    "five gates": toy(five_gates, gates=5, matrices={"U": 5}),
    **{name: cell for name, cell in TOYS.items() if name in ("delay", "exchange", "rotate", "dead_product")},
}


@needs_compiler
@pytest.mark.parametrize("name", OWN)
def test_cells_of_a_users_own(name, tmp_path):
    more = {"slice": 8, "warps": 4} if name == "five gates" else {}
    assert_equal(OWN[name], tmp_path, resets=False, slow=True, **more)


@needs_compiler
@pytest.mark.parametrize("name", some(OWN, ["blended", "remembering"]))
def test_cells_of_a_users_own_with_resets(name, tmp_path):
    assert_equal(OWN[name], tmp_path)


# Cells of a fixed number of units, fewer than a kernel can have.
SMALL = ("everything", "part_read_late", "constants")


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TOYS if name not in SMALL])
def test_what_has_no_kernel_is_refused_and_all_else_is_right(name, tmp_path):
    try:
        assert_equal(TOYS[name], tmp_path, units=48, resets=False, slow=True)
    except NoTiles:
        with pytest.raises(NoTiles):
            CudaScan(TOYS[name], 48, TOYS[name].state_fields, True, False)


@needs_compiler
@pytest.mark.parametrize(
    "more",
    [
        # Several groups of rows, and more rows than numbers that one pass adds up.
        {"rows": 37, "warps": 4, "slice": 8, "rows_of": 48, "at_once": 16},
        # A pass of several products of the tensor cores.
        {"units": 48, "rows": 70, "rows_of": 64, "at_once": 32, "warps": 4},
        # More threads than numbers.
        {"units": 16, "rows": 1, "warps": 8, "steps": 1, "resets": False},
    ],
    ids=str,
)
def test_however_the_work_is_divided(more, tmp_path):
    tiles = {key.removesuffix("_of"): value for key, value in more.items() if key in ("warps", "slice", "at_once")}
    problem = {key: value for key, value in more.items() if key in ("units", "rows", "steps", "resets")}
    cell = CELLS["lstm-peephole"]
    units, rows = problem.get("units", 32), problem.get("rows", 5)
    known = Problem(cell, units, problem.get("steps", 3), rows, ("h",), problem.get("resets", True))
    scan = host_scan(cell, units, ("h",), tmp_path, problem.get("resets", True), **tiles, rows=more.get("rows_of", 16))
    of_outputs, of_gradients = errors(scan, known, "float32")
    assert of_outputs <= 1e-5 and of_gradients <= 2e-4


@needs_compiler
def test_bf16_rounds_the_operands_and_nothing_else(tmp_path):
    cell = CELLS["rnn"]
    problem = Problem(cell, 32, 1, 5, ("h",), False)

    def rounded(x):
        bits = x.astype(np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32).astype(np.float64)

    for name in ("s_h", "U"):
        problem.values[name] = rounded(problem.values[name])
    problem.matrices["U"] = problem.values["U"]
    scan = host_scan(cell, 32, ("h",), tmp_path, False, bf16=True)
    # The gradient that is multiplied is rounded too.
    of_outputs, of_gradients = errors(scan, problem, "float32")
    assert of_outputs <= 1e-5 and 1e-6 < of_gradients < 1e-2


@needs_compiler
def test_a_nan_stays_one(tmp_path):
    cell = CELLS["lstm"]
    problem = Problem(cell, 16, 3, 2, ("h",), False)
    problem.values["zx"][1, 0, 3] = np.nan
    host = host_scan(cell, 16, ("h",), tmp_path, False)
    arrays = {"zx": problem.values["zx"], "s_h first": problem.values["s_h"], "s_c first": problem.values["s_c"]}
    arrays |= {"U": problem.matrices["U"]}
    inputs = [arrays[f"{a.name} {a.role}".removesuffix(" all")] for a in host.forward.layout.inputs]
    outputs = {a.name: np.zeros(a.shape(3, 2), np.float32) for a in host.forward.layout.outputs}
    host.forward(3, 2, True, inputs, list(outputs.values()))
    h = outputs["s_h"]
    assert np.isnan(h[2, 0, 3]) and np.isnan(h[3, 0]).all() and np.isfinite(h[:, 1]).all() and np.isfinite(h[1]).all()


@pytest.mark.parametrize("name", WITHOUT)
def test_what_kernels_cannot_compute_is_told(name):
    with pytest.raises(NoTiles, match="narrow"):
        CudaScan(CELLS[name], 64, ("h",), False, False)


@pytest.mark.parametrize("gpu", [H100, A100], ids=lambda gpu: gpu.architecture)
@pytest.mark.parametrize("units, batch", [(16, 1), (128, 50), (512, 64), (512, 256), (1024, 64), (1024, 256)])
def test_all_ctas_run_at_the_same_time_and_fit(units, batch, gpu):
    for name in ("lstm", "gru", "rnn"):
        scan = CudaScan(CELLS[name], units, ("h",), False, True)
        for function in (scan.forward, scan.backward):
            kernel = function.kernel(8, batch, True, gpu)
            tiles = kernel.tiles
            assert tiles.across * tiles.slice == units and (tiles.down - 1) * tiles.rows < batch
            assert tiles.down * tiles.rows >= batch and tiles.rows % tiles.at_once == 0 == tiles.rows % 16
            assert tiles.across * tiles.down <= gpu.processors and kernel.shared <= gpu.shared
            # A pass has whole turns of the threads.
            assert tiles.at_once * tiles.slice % tiles.threads == 0 or tiles.at_once == tiles.rows


@pytest.mark.parametrize("units, why", [(40, "no multiple of 16"), (4096, "too large for the registers")])
def test_a_layer_that_cannot_be_divided(units, why):
    scan = CudaScan(CELLS["lstm"], units, ("h",), False, True)
    with pytest.raises(NoTiles, match=why):
        tiles_for(units, 64, scan.programs.forward.products, 2, 132, 232448)


def test_a_gpu_of_few_multiprocessors_has_fewer_ctas_with_more_rows():
    scan = CudaScan(CELLS["lstm"], 256, ("h",), False, True)
    many, few = (tiles_for(256, 64, scan.programs.forward.products, 2, n, 232448) for n in (132, 20))
    assert (many.down, few.down) == (4, 1) and few.rows == 64
    with pytest.raises(NoTiles):
        tiles_for(256, 64, scan.programs.forward.products, 2, 10, 232448)


@pytest.mark.parametrize("bf16", [False, True])
def test_nvidias_compiler_accepts_the_source(bf16):
    try:
        driver.nvrtc()
    except NoCuda as why:
        pytest.skip(str(why))
    for name in REPRESENTATIVES:
        scan = CudaScan(CELLS[name], 128, ("h",), True, bf16)
        for function in (scan.forward, scan.backward):
            assert driver.code_of(function.kernel(8, 20, True, H100).source, "sm_90")[:4] == b"\x7fELF"


def test_what_the_compiler_says_is_told():
    try:
        driver.nvrtc()
    except NoCuda as why:
        pytest.skip(str(why))
    with pytest.raises(NoCuda, match="identifier"):
        driver.code_of("__global__ void f() { nothing; }", "sm_90")
