"""The traced plan against the equations themselves, for every cell and for cells made to break it."""

import random
from typing import Any, NamedTuple

import numpy as np
import pytest

from charrnn.cells import CELLS, Cell, Hidden, Matrix, Vector
from charrnn.cells import HiddenAndMemory as Two
from charrnn.errors import CharRNNError
from charrnn.inference import ops
from charrnn.inference.plan import Plan, check
from charrnn.network.gated_feedback import gated_feedback
from charrnn.network.grid import grid

UNITS = 6
# A toy cell may multiply a part of this width by its matrix "from<width>", (width, units).
NARROW = {f"from{width}": Matrix("h", rows=width / UNITS) for width in range(1, UNITS)}


class Three(NamedTuple):
    h: Any
    c: Any
    m: Any


def random_parameters(cell: Cell, units: int, rng: np.random.Generator, dtype: str) -> tuple[dict, dict]:
    matrices = {
        name: rng.normal(0, 0.5 / np.sqrt(units), matrix.shape(units)).astype(dtype)
        for name, matrix in cell.matrices.items()
    }
    vectors = {name: rng.normal(0, 1, len(v.starts) * units).astype(dtype) for name, v in cell.vectors.items()}
    return matrices, vectors


def random_state(cell: Cell, shape: tuple[int, int], rng: np.random.Generator, dtype: str) -> Any:
    """Return a state; what others are divided by is positive, and what counts down stands at zero."""
    values = {name: rng.normal(0, 0.5, shape) for name in cell.state_fields}
    if "n" in values:
        values["n"] = rng.uniform(0.5, 2, shape)
    if "k" in values:
        values["k"] = np.zeros(shape)
    return cell.state(*(value.astype(dtype) for value in values.values()))


def disagreement(cell, batch, dtype="float64", units=UNITS, steps=30, seed=0) -> float:
    """Return how far apart outputs and last states of plan and equations are, at most, from a random state on."""
    rng = np.random.default_rng(seed)
    matrices, vectors = random_parameters(cell, units, rng, dtype)
    zx = rng.normal(0, 1, (steps, batch, cell.width(units))).astype(dtype)
    state = random_state(cell, (batch, units), rng, dtype)
    plan = Plan(cell, units, matrices, vectors, batch, dtype)
    for array, value in zip(plan.state, state, strict=True):
        array[...] = value if batch > 1 else value[0]
    expected = []
    for row in zx:
        state = cell.step(ops, row, state, lambda vector, name: vector @ matrices[name], vectors)
        expected.append(state)
    outputs = plan.run(zx, cell.state_fields)
    assert all(field.dtype == dtype and field.shape == (steps, batch, units) for field in outputs)
    pairs = [
        *zip(outputs, map(np.array, zip(*expected, strict=True)), strict=True),
        *zip(plan.state, state, strict=True),
    ]
    return max(float(np.abs(got - want).max() / max(1.0, np.abs(want).max())) for got, want in pairs)


def toy(step, state=Two, gates=1, matrices=None, vectors=()) -> Cell:
    matrices = {name: Matrix("abcdefgh"[:blocks]) for name, blocks in (matrices or {"U": 1}).items()}
    return Cell("toy", "", step, state, "abcdefgh"[:gates], NARROW | matrices, dict.fromkeys(vectors, Vector()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", CELLS)
def test_plan_equals_the_equations_over_500_steps(name, batch, dtype):
    # BLAS may add up in another order for one row than for several; nothing else may differ.
    assert disagreement(CELLS[name], batch, dtype, units=16, steps=500) < 100 * np.finfo(dtype).eps


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", CELLS)
def test_chunks_equal_one_long_run(name, batch):
    cell, rng = CELLS[name], np.random.default_rng(0)
    matrices, vectors = random_parameters(cell, UNITS, rng, "float64")
    zx = rng.normal(size=(23, batch, cell.width(UNITS)))
    whole, cut = (Plan(cell, UNITS, matrices, vectors, batch, "float64") for _ in range(2))
    for name, array, same in zip(cell.state_fields, whole.state, cut.state, strict=True):
        array[...] = same[...] = 0.7 if name == "n" else 0.0
    (expected,) = whole.run(zx)
    got = np.concatenate([cut.run(zx[low:high])[0] for low, high in ((0, 1), (1, 10), (10, 10), (10, 23))])
    assert (got == expected).all()


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_exchanged_blocks_are_noticed(name):
    real = CELLS[name]

    def exchanged(xp, zx, state, dot, w):
        if xp is ops:
            zx = np.roll(zx, UNITS, axis=-1)
        return real.step(xp, zx, state, dot, w)

    assert (
        disagreement(
            toy(exchanged, real.state, len(real.blocks), {n: len(m.blocks) for n, m in real.matrices.items()}), 3
        )
        > 0.05
    )


def everything(xp, zx, state, dot, w):
    """Every operator with an array, a vector and a constant on either side; parts of unequal width, and of parts."""
    n = state.h.shape[-1]
    a, b, rest = xp.split(zx + dot(state.h, "U"), [n, 2 * n], axis=-1)
    thin, wide = xp.split(rest, [2], axis=-1)
    first, second, third = xp.split(state.m, 3, axis=-1)
    c = xp.sigmoid(a) * state.c + w["p"] * state.c - state.c * w["q"] + 0.25 * b - b * 0.125
    c = 1 - (c - 1) * 0.5 + (w["q"] - c) * 0.25 + (c - w["p"]) * 0.25 + (2 + c) * 0.1 + (c + w["q"]) * 0.1
    m = xp.tanh(dot(xp.tanh(c + (w["p"] + state.h)), "V") * state.m)
    narrow = xp.sigmoid(thin) * first + second - xp.tanh(third)
    h = dot(narrow, "from2") + dot(xp.tanh(wide), "from4") + dot(m * state.c, "V")
    return Three(xp.tanh(h), xp.tanh(c), m + 0.1 * dot(h * state.m, "V"))


def left_vector(xp, zx, state, dot, w):
    """A vector is the left operand of each operator, where NumPy would take the operation over."""
    return Two(xp.tanh(w["p"] * zx + (w["q"] + dot(state.h, "U"))), xp.tanh(w["q"] - state.c))


def delay(xp, zx, state, dot, w):
    """The old h becomes the new c: it is read after the new h is made."""
    return Two(xp.tanh(zx + dot(state.c, "U")), state.h)


def linear_delay(xp, zx, state, dot, w):
    return Two(0.5 * zx + dot(state.c, "U"), state.h)


def exchange(xp, zx, state, dot, w):
    return Two(state.c, xp.tanh(zx + dot(state.h, "U")))


def rotate(xp, zx, state, dot, w):
    return Three(state.c, state.m, state.h)


def keep_one(xp, zx, state, dot, w):
    return Two(xp.tanh(zx + dot(state.h, "U") + state.c), state.c)


def input_as_state(xp, zx, state, dot, w):
    """The input itself becomes the state, as in a cell that blends neighbouring characters."""
    return Two(xp.tanh(state.c + dot(state.h, "U")), zx)


def same_twice(xp, zx, state, dot, w):
    h = 0.5 * (zx + dot(state.c, "U"))
    return Two(h, h)


def state_of_parts(xp, zx, state, dot, w):
    return Two(*xp.split(0.5 * (zx + dot(state.h + state.c, "U")), 2, axis=-1))


def state_and_its_part(xp, zx, state, dot, w):
    """The new c is a part of a wide array, and the new h is made from the old c at the very end."""
    left, right = xp.split(zx + dot(state.h, "U"), 2, axis=-1)
    return Two(0.5 * right + state.c * 0.5, left)


def state_of_activations(xp, zx, state, dot, w):
    a, b = xp.split(zx + dot(state.h - state.c, "U"), 2, axis=-1)
    return Two(xp.tanh(a), xp.sigmoid(b))


def state_of_crossed_activations(xp, zx, state, dot, w):
    """Both are made in one pass, in which the old c is still to be read."""
    a, b = xp.split(zx + dot(state.h, "U"), 2, axis=-1)
    new_c = xp.sigmoid(a)
    return Two(xp.tanh(b) * state.c, new_c)


def state_of_products(xp, zx, state, dot, w):
    return Two(dot(state.h, "U"), dot(zx * state.c, "U"))


def read_late(xp, zx, state, dot, w):
    """The old c is read after the new one is made."""
    c = 0.5 * (zx + dot(state.h, "U"))
    return Two(xp.tanh(dot(c, "U") * state.c), c)


def part_read_late(xp, zx, state, dot, w):
    """A part of a part of the old c, taken at the beginning, is read after the new c is made."""
    _, right = xp.split(state.c, [2], axis=-1)
    _, late = xp.split(right, 2, axis=-1)
    c = 0.5 * (zx + dot(state.h, "U"))
    early, _ = xp.split(c, [2], axis=-1)
    return Two(xp.tanh(dot(late * early, "from2") + c), c)


def activation_of_old_part_late(xp, zx, state, dot, w):
    """Of neighbouring parts of the old c one is needed at once, the other when the new c is there."""
    low, high = xp.split(state.c, 2, axis=-1)
    c = 0.5 * zx + dot(dot(xp.sigmoid(low), "from3"), "U")
    late = xp.tanh(high) * xp.sigmoid(low)
    return Two(c + dot(late, "from3"), c)


def activations_overlap(xp, zx, state, dot, w):
    """Activations of parts that overlap, and two of one part: they cannot all be neighbours of one another."""
    n = state.h.shape[-1]
    z = zx + dot(state.h, "U")
    a, b, c = xp.split(z, 3, axis=-1)
    left, right = xp.split(z, [2 * n], axis=-1)
    ta, sb, sc, tb = xp.tanh(a), xp.sigmoid(b), xp.sigmoid(c), xp.tanh(b)
    x, y = xp.split(xp.tanh(left), 2, axis=-1)
    return Two(ta * sb + sc * x, tb * xp.sigmoid(right) - y * state.c)


def activations_from_the_second(xp, zx, state, dot, w):
    """The activations are those of neighbouring blocks, but not of the first."""
    a, b, c = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    new_c = xp.sigmoid(b) * state.c + xp.tanh(c)
    return Two(a * 0.5 - new_c, new_c)


def vectors_alone(xp, zx, state, dot, w):
    """What is made of vectors alone, an activation of a part too, is added to, multiplied by, and divided by."""
    left, right = xp.split(w["p"] * (1 - w["q"]), 2, axis=-1)
    both = xp.concatenate([xp.tanh(left), xp.sigmoid(right)], axis=-1)
    return Three(xp.tanh(zx + both * dot(state.h, "U")) / (2 + xp.relu(both)), both * state.c, state.m - both)


TOYS = {
    "everything": toy(everything, Three, 3, {"U": 3, "V": 1}, ("p", "q")),
    "left_vector": toy(left_vector, vectors=("p", "q")),
    "vectors_alone": toy(vectors_alone, Three, vectors=("p", "q")),
    "activation_of_old_part_late": toy(activation_of_old_part_late),
    "state_of_products": toy(state_of_products),
    "rotate": toy(rotate, Three),
    "activations_from_the_second": toy(activations_from_the_second, gates=3, matrices={"U": 3}),
    "activations_overlap": toy(activations_overlap, gates=3, matrices={"U": 3}),
}
TOYS |= {
    step.__name__: toy(step)
    for step in (delay, linear_delay, exchange, keep_one, input_as_state, same_twice, read_late, part_read_late)
}
TOYS |= {
    step.__name__: toy(step, gates=2, matrices={"U": 2})
    for step in (state_of_parts, state_and_its_part, state_of_activations, state_of_crossed_activations)
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cell", [grid(CELLS["lstm"]), gated_feedback(CELLS["gru"], 3)], ids=lambda cell: cell.name)
def test_plan_of_a_stack(cell, batch):
    assert disagreement(cell, batch) < 1e-12


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", TOYS)
def test_plan_of_a_cell_made_to_break_it(name, batch):
    assert disagreement(TOYS[name], batch) < 1e-12


def called(cell: Cell) -> list[str]:
    """Return the names of the functions that a step calls."""
    weights = random_parameters(cell, UNITS, np.random.default_rng(0), "float32")
    return [function.__name__ for function, _ in Plan(cell, UNITS, *weights).calls]


def test_activations_of_neighbouring_blocks_are_one_call():
    gates = ["multiply", "tanh", "multiply", "add"]
    # The new c and h are computed in place of the old: nothing is copied.
    assert called(CELLS["lstm"]) == ["dot", "add", *gates, "multiply", "multiply", "add", "tanh", "multiply"]


def test_what_is_made_of_vectors_alone_is_computed_once():
    step = ["dot", "multiply", "add", "tanh", "divide", "multiply", "subtract"]
    assert called(TOYS["vectors_alone"]) == [*step, "copyto", "copyto"]


def random_cell(seed: int) -> Cell:
    """Return a cell of random operations on everything made so far, its new state any of that, old state included."""
    fields = random.Random(seed).choice([Hidden, Two, Three])

    def step(xp, zx, state, dot, w):
        # Drawn anew at every call, so that the trace and each step of the equations make the same choices.
        rng = random.Random(seed)
        values = [(zx, 2 * UNITS), *((value, UNITS) for value in state)]
        for _ in range(rng.randint(3, 16)):
            value, width = rng.choice(values)
            match rng.choice(["activation", "activation", "split", "dot", "arithmetic", "arithmetic", "arithmetic"]):
                case "activation":
                    values.append((getattr(xp, rng.choice(["sigmoid", "tanh"]))(value), width))
                case "split" if width % 2 == 0 and rng.random() < 0.6:
                    values += [(part, width // 2) for part in xp.split(value, 2, axis=-1)]
                case "split" if width > 2:
                    cut = rng.randint(1, width - 1)
                    values += zip(xp.split(value, [cut], axis=-1), (cut, width - cut), strict=True)
                case "dot" if width < UNITS:
                    values.append((dot(value, f"from{width}"), UNITS))
                case "dot" if width == UNITS:
                    values.append((dot(value, "U"), 2 * UNITS))
                case _:
                    others = [other for other, other_width in values if other_width == width]
                    others += [0.5, 1, *(w.values() if width == UNITS else ())]
                    pair = [value, rng.choice(others)]
                    rng.shuffle(pair)
                    sign = rng.choice("+-*")
                    values.append((pair[0] + pair[1] if sign == "+" else pair[0] - pair[1], width))
                    if sign == "*":
                        values[-1] = (pair[0] * pair[1], width)
        if rng.random() < 0.7:
            # Where a state is made late, the operations before it read the old one.
            values.append((values[-1][0] * 0.5, values[-1][1]))
        candidates = [value for value, width in values if width == UNITS]
        return fields(*(rng.choice(candidates[-6:]) for _ in fields._fields))

    return toy(step, fields, 2, {"U": 2}, ("p",))


@pytest.mark.parametrize("batch", [1, 2])
def test_plan_of_random_cells(batch):
    compared = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for seed in range(300):
            # Few steps: some of these cells square their state at each.
            worst = disagreement(random_cell(seed), batch, steps=4, seed=seed)
            if np.isfinite(worst):
                compared += 1
                assert worst < 1e-9, f"random_cell({seed})"
    assert compared > 250


def signs(xp, zx, state, dot, w):
    """A sign, a number divided by an array, and the larger of a number and an array, on either side."""
    h = -xp.tanh(zx + dot(state.h, "U")) + 1 / (2 + xp.maximum(0.1, state.c) + xp.maximum(state.c, 0.2))
    return Two(h, 1.5 / (1 + h * h))


@pytest.mark.parametrize("batch", [1, 3])
def test_signs_and_numbers_on_either_side(batch):
    assert disagreement(toy(signs), batch) < 1e-12


def test_a_cell_that_cannot_be_sampled_from_is_refused_before_it_is_trained():
    for step, message in (
        (lambda xp, zx, state, dot, w: Hidden(xp.arctan(zx)), "calls xp.arctan, which is not available to the step"),
        (lambda xp, zx, state, dot, w: Hidden(zx**2), "cannot be computed: TypeError: unsupported operand"),
        (lambda xp, zx, state, dot, w: Hidden(dot(zx, "V")), "cannot be computed: KeyError: 'V'"),
    ):
        with pytest.raises(CharRNNError, match=message):
            check(toy(step, Hidden))
    for cell in (*CELLS.values(), grid(CELLS["lstm"]), gated_feedback(CELLS["gru"], 2)):
        check(cell)
