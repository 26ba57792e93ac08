"""A compiled scan and the equations in float64, compared: values, and derivatives by complex steps.

The equations are run on complex numbers x + STEP i d. The imaginary part of a result is then STEP times its derivative
along d, without a difference of two numbers that would cost digits.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np

from charrnn.cells import Cell
from charrnn.cells.cell import EPSILON
from charrnn.compiled.machine import Machine
from charrnn.compiled.program import Place
from charrnn.compiled.scan import CompiledScan, Function

STEP = 1e-30
# How far apart a scan and the equations may be: values and gradients, relative to the largest number of each array.
TOLERANCES = {"float32": (1e-5, 1e-4), "float64": (1e-9, 1e-8)}


class Quick(Machine):
    """This processor, for code that compiles in a quarter of the time: few kernels of products, and no optimization."""

    def __init__(self, features: str | None = None):
        super().__init__(features=features)
        self.rows = 2

    def object_code(self, module: ir.Module) -> bytes:
        return self._target().emit_object(llvm.parse_assembly(str(module)))


class Complex:
    """The namespace `xp` for complex numbers; what depends on a comparison compares real parts."""

    exp, tanh, concatenate, split = map(staticmethod, (np.exp, np.tanh, np.concatenate, np.split))

    @staticmethod
    def sigmoid(x):
        return 0.5 * np.tanh(0.5 * x) + 0.5

    @staticmethod
    def log_sigmoid(x):
        magnitude = np.where(x.real > 0, x, -x)
        return np.where(x.real > 0, 0, x) - np.log(1 + np.exp(-magnitude))

    @staticmethod
    def relu(x):
        return np.where(x.real > 0, x, 0)

    @staticmethod
    def maximum(x, y):
        return np.where(np.real(x) >= np.real(y), x, y)

    @staticmethod
    def standardize(x):
        x = x - x.mean(axis=-1, keepdims=True)
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)


class Problem:
    """Random arguments of a scan, in float64, and random gradients of its outputs.

    values: zx, "s_<field>" for the state before the first step, matrices and vectors by their names: all that has a
    gradient. keep: (steps, rows, 1), or None without `resets`.
    """

    def __init__(
        self, cell: Cell, units: int, steps: int, rows: int, emitted: Sequence[str], resets: bool, seed: int = 0
    ):
        rng = np.random.default_rng(seed)
        self.cell, self.emitted, self.steps, self.rows = cell, emitted, steps, rows
        self.keep = (rng.random((steps, rows, 1)) > 0.25) * 1.0 if resets else None
        self.matrices = {
            name: rng.normal(0, matrix.shape(units)[0] ** -0.5, matrix.shape(units))
            for name, matrix in cell.matrices.items()
        }
        if cell.mask and (mask := cell.mask(units)) is not None:
            self.matrices["U"] *= mask
        self.vectors = {name: rng.normal(0, 0.5, len(v.starts) * units) for name, v in cell.vectors.items()}
        states = {f"s_{name}": self._state(name, (rows, units), rng) for name in cell.state_fields}
        zx = rng.normal(0, 0.7, (steps, rows, cell.width(units)))
        self.values = {"zx": zx, **states, **self.matrices, **self.vectors}
        self.d_outputs = {name: rng.normal(size=(steps, rows, units)) for name in emitted}
        self.d_last = {name: rng.normal(size=(rows, units)) for name in cell.state_fields}

    @staticmethod
    def _state(name: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        kind = name.partition("_")[0]
        # Other numbers are divided by an n, and a k counts the steps.
        return {"n": rng.uniform(0.5, 2, shape), "k": np.zeros(shape)}.get(kind, rng.normal(0, 0.5, shape))

    def expected(self, changed: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Return the fields that are output after each step, and "last <field>", by the equations."""
        values = self.values | (changed or {})
        vectors = {name: values[name] for name in self.vectors}
        fields = self.cell.state_fields
        state = self.cell.state(*(values[f"s_{name}"] for name in fields))
        states = []
        for t, z in enumerate(values["zx"]):
            if self.keep is not None:
                first = (self.cell.initial.get(name, 0.0) * (1 - self.keep[t]) for name in fields)
                state = self.cell.state(*(s * self.keep[t] + f for s, f in zip(state, first, strict=True)))
            state = self.cell.step(Complex, z, state, lambda x, name: x @ values[name], vectors)
            states.append(state)
        return {name: np.stack([getattr(state, name) for state in states]) for name in self.emitted} | {
            f"last {name}": value for name, value in zip(fields, state, strict=True)
        }

    def slope(self, name: str, direction: np.ndarray) -> float:
        """Return the derivative of the sum of all outputs, weighted by their gradients, along a direction."""
        found = self.expected({name: self.values[name] + STEP * 1j * direction})
        weights = self.d_outputs | {f"last {name}": d for name, d in self.d_last.items()}
        return float(sum((np.imag(found[name]) * weight).sum() for name, weight in weights.items())) / STEP


class Results(NamedTuple):
    """What a compiled scan returns: outputs as in `Problem.expected`, and gradients as in `Problem.values`."""

    outputs: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


def call(
    function: Function, steps: int, rows: int, given: dict[str, Any], dtype: str, recording: bool = True
) -> dict[str, np.ndarray]:
    """Call a function with arrays by name; return what it fills, by name; it must write nothing beyond these."""
    inputs = []
    for argument in function.layout.inputs:
        array = np.ascontiguousarray(given[f"{argument.name} {argument.role}".removesuffix(" all")], dtype)
        assert array.size == np.prod(argument.shape(steps, rows)), argument.name
        inputs.append(array)
    outputs, memory = {}, {}
    for argument in function.layout.outputs:
        shape = argument.shape(steps, rows, recording)
        size = int(np.prod(shape))
        memory[argument.name] = np.full(size + 64, np.nan, dtype)
        outputs[argument.name] = memory[argument.name][32 : size + 32].reshape(shape)
    function(steps, rows, recording, inputs, list(outputs.values()))
    for name, array in memory.items():
        assert np.isnan(array[:32]).all() and np.isnan(array[-32:]).all(), f"the scan wrote beyond {name}"
    return outputs


def results(scan: CompiledScan, problem: Problem, dtype: str) -> Results:
    """Return what a compiled scan makes of a problem; without a record, its outputs must be the same."""
    steps, rows, fields = problem.steps, problem.rows, problem.cell.state_fields
    given = {"zx": problem.values["zx"], "keep": problem.keep, **problem.matrices}
    given |= {f"w_{name}": problem.values[name] for name in problem.vectors}
    given |= {f"s_{name} first": problem.values[f"s_{name}"] for name in fields}
    given |= {f"d_out_{name}": d for name, d in problem.d_outputs.items()}
    given |= {f"d_{name} last": d for name, d in problem.d_last.items()}
    made, unrecorded = (call(scan.forward, steps, rows, given, dtype, recording) for recording in (True, False))
    for name in fields:
        assert np.array_equal(made[f"s_{name}"], unrecorded[f"s_{name}"], equal_nan=True), f"{name} without a record"
    memory = given | made
    memory |= call(scan.backward, steps, rows, memory, dtype)
    outputs = {name: memory[f"s_{name}"][1:] for name in problem.emitted}
    outputs |= {f"last {name}": memory[f"s_{name}"][-1] for name in fields}
    gradients = {"zx": memory["d_zx"]}
    gradients |= {f"s_{name}": memory[f"d_{name}"][0] for name in fields}
    gradients |= {name: np.zeros_like(matrix) for name, matrix in problem.matrices.items()}
    gradients |= {name: memory[f"d_w_{name}"] for name in problem.vectors}

    def columns(place: Place, width: int) -> np.ndarray:
        array = memory[place.array.name][:steps].reshape(steps * rows, place.array.width)
        return array[:, place.offset : place.offset + width]

    programs = scan.programs
    for product, left, right in zip(programs.step.products, programs.left, programs.right, strict=True):
        gradients[product.matrix] += columns(left, product.rows).T @ columns(right, product.columns)
    return Results(outputs, gradients)


def errors(scan: CompiledScan, problem: Problem, dtype: str) -> tuple[float, float]:
    """Return the largest errors of outputs and of gradients, each relative to the largest number of its array.

    An error of a gradient is one of its slope along itself, or along one of two random directions near it.
    """
    outputs, gradients = results(scan, problem, dtype)
    expected, rng = problem.expected(), np.random.default_rng(1)
    of_outputs = [
        np.abs(outputs[name] - value).max() / max(np.abs(value).max(), 1e-30) for name, value in expected.items()
    ]
    of_gradients = []
    for name, gradient in gradients.items():
        length = float(np.linalg.norm(gradient))
        for share in (0.0, 1.0, 1.0):
            direction = gradient / (length or 1.0) + share * rng.normal(size=gradient.shape) / np.sqrt(gradient.size)
            found, true = float((gradient * direction).sum()), problem.slope(name, direction)
            of_gradients.append(abs(found - true) / max(abs(true), length, 1e-12))
    # Unlike Python's max, NumPy's is NaN if one number is.
    return float(np.max(of_outputs)), float(np.max(of_gradients))


def assert_equal(cell: Cell, units: int, steps: int, rows: int, dtype: str, **options: Any) -> None:
    """Compile a scan and compare it with the equations; `options` are those of `compiled`."""
    problem, scan = compiled(cell, units, steps, rows, dtype, **options)
    for error, tolerance in zip(errors(scan, problem, dtype), TOLERANCES[dtype], strict=True):
        assert error <= tolerance


def compiled(
    cell: Cell,
    units: int,
    steps: int,
    rows: int,
    dtype: str,
    emitted: Sequence[str] | None = None,
    resets: bool = True,
    machine: Machine | None = None,
    seed: int = 0,
) -> tuple[Problem, CompiledScan]:
    """Return a random problem and the scan for it; by default it outputs all fields, and documents begin in it."""
    emitted = cell.state_fields if emitted is None else emitted
    return (
        Problem(cell, units, steps, rows, emitted, resets, seed),
        CompiledScan(cell, units, emitted, resets, dtype, machine=machine or Quick()),
    )
