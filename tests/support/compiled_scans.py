"""A compiled scan beside the equations in float64: values, and derivatives along directions by complex steps."""

from typing import Any

import numpy as np

from charrnn.cells import Cell
from charrnn.cells.cell import EPSILON
from charrnn.compiled.scan import CompiledScan, Function

STEP = 1e-30


class Complex:
    """The namespace `xp` for complex numbers, whose imaginary part is a derivative times STEP."""

    exp, tanh, concatenate, split = map(staticmethod, (np.exp, np.tanh, np.concatenate, np.split))

    @staticmethod
    def sigmoid(x):
        return 0.5 * np.tanh(0.5 * x) + 0.5

    @staticmethod
    def log_sigmoid(x):
        return np.where(
            x.real > 0, -np.log(1 + np.exp(-abs(x.real) - 1j * x.imag)), x - np.log(1 + np.exp(x * np.sign(-x.real)))
        )

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
    """Random arguments of a scan, in float64: zx, keep (or None), a state, matrices, vectors, and output gradients."""

    def __init__(self, cell: Cell, units: int, steps: int, rows: int, emitted: Any, resets: bool, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.cell, self.emitted = cell, emitted
        self.zx = rng.normal(0, 0.7, (steps, rows, cell.width(units)))
        self.keep = (rng.random((steps, rows, 1)) > 0.25) * 1.0 if resets else None
        state = {name: rng.normal(0, 0.5, (rows, units)) for name in cell.state_fields}
        for name in {"n", "n_time", "n_0"} & set(state):
            state[name] = rng.uniform(0.5, 2, (rows, units))
        for name in {"k", "k_time"} & set(state):
            state[name] = np.zeros((rows, units))
        self.state = cell.state(**state)
        shapes = {name: matrix.shape(units) for name, matrix in cell.matrices.items()}
        self.matrices = {name: rng.normal(0, 1 / np.sqrt(shape[0]), shape) for name, shape in shapes.items()}
        mask = cell.mask(units) if cell.mask else None
        if mask is not None:
            self.matrices["U"] *= mask
        self.vectors = {name: rng.normal(0, 0.5, len(v.starts) * units) for name, v in cell.vectors.items()}
        self.d_outputs = {name: rng.normal(size=(steps, rows, units)) for name in emitted}
        self.d_last = cell.state(*(rng.normal(size=(rows, units)) for _ in cell.state_fields))

    def arguments(self) -> dict[str, np.ndarray]:
        """Return all that has a gradient, by name."""
        found = {"zx": self.zx}
        for group in (self.state._asdict(), self.matrices, self.vectors):
            found |= {
                f"{'s_' if group is not self.matrices and group is not self.vectors else ''}{name}": x
                for name, x in group.items()
            }
        return found

    def run(self, changed: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Any]:
        """Return the fields that are output after each step, and the last state, by the equations."""
        values = self.arguments() | changed
        state = self.cell.state(*(values[f"s_{name}"] for name in self.cell.state_fields))
        outputs: dict[str, list] = {name: [] for name in self.emitted}
        for t, z in enumerate(values["zx"]):
            if self.keep is not None:
                first = [self.cell.initial.get(name, 0.0) for name in self.cell.state_fields]
                pairs = zip(state, first, strict=True)
                state = self.cell.state(*(s * self.keep[t] + (1 - self.keep[t]) * f for s, f in pairs))
            state = self.cell.step(Complex, z, state, lambda x, name: x @ values[name], values)
            for name in self.emitted:
                outputs[name].append(getattr(state, name))
        return {name: np.stack(arrays) for name, arrays in outputs.items()}, state

    def slope(self, direction: dict[str, np.ndarray]) -> float:
        """Return the derivative of the weighted sum of all outputs along a direction."""
        values = self.arguments()
        outputs, last = self.run({name: values[name] + STEP * 1j * step for name, step in direction.items()})
        total = sum((np.imag(outputs[name]) * self.d_outputs[name]).sum() for name in self.emitted)
        return float(total + sum((np.imag(x) * d).sum() for x, d in zip(last, self.d_last, strict=True))) / STEP


def call(function: Function, steps: int, rows: int, given: dict[str, np.ndarray], dtype: str, recording: bool = True):
    """Call a function with arrays by name; return what it fills, by name; nothing beyond is written."""
    inputs = []
    for argument in function.layout.inputs:
        name = argument.name if argument.role == "all" else f"{argument.name} {argument.role}"
        shape = argument.shape(steps, rows)
        array = np.ascontiguousarray(given[name], dtype)
        assert array.size == np.prod(shape), f"{name} has {array.shape}, not {shape}"
        inputs.append(array)
    outputs, guards = {}, {}
    for argument in function.layout.outputs:
        shape = argument.shape(steps, rows, recording)
        guards[argument.name] = np.full(int(np.prod(shape)) + 32, np.nan, dtype)
        outputs[argument.name] = guards[argument.name][: int(np.prod(shape))].reshape(shape)
    function(steps, rows, recording, inputs, list(outputs.values()))
    for name, array in guards.items():
        assert np.isnan(array[-32:]).all(), f"the scan wrote beyond the end of {name}"
    return outputs


def results(
    scan: CompiledScan, problem: Problem, dtype: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict]:
    """Return outputs and last state, and the gradient of every argument, of a compiled scan."""
    steps, rows = problem.zx.shape[:2]
    given = {"zx": problem.zx, "keep": problem.keep, **problem.matrices}
    given |= {f"w_{name}": vector for name, vector in problem.vectors.items()}
    given |= {f"s_{name} first": value for name, value in problem.state._asdict().items()}
    made = call(scan.forward, steps, rows, given, dtype)
    given |= made
    given |= {f"d_out_{name}": d for name, d in problem.d_outputs.items()}
    given |= {f"d_{name} last": d for name, d in problem.d_last._asdict().items()}
    back = call(scan.backward, steps, rows, given, dtype)
    outputs = {name: made[f"s_{name}"][1:] for name in problem.emitted}
    outputs |= {f"last {name}": made[f"s_{name}"][-1] for name in problem.cell.state_fields}
    gradients = {"zx": back["d_zx"]}
    gradients |= {f"s_{name}": back[f"d_{name}"][0] for name in problem.cell.state_fields}
    gradients |= {name: back[f"d_w_{name}"] for name in problem.vectors}
    gradients |= {name: np.zeros_like(matrix) for name, matrix in problem.matrices.items()}
    programs, memory = scan.programs, {**given, **back}

    def columns(place: Any, width: int) -> np.ndarray:
        array = memory[place.array.name][:steps].reshape(-1, place.array.width)
        return array[:, place.offset : place.offset + width]

    for product, left, right in zip(programs.step.products, programs.left, programs.right, strict=True):
        gradients[product.matrix] += columns(left, product.rows).T @ columns(right, product.columns)
    return outputs, gradients, back


def errors(scan: CompiledScan, problem: Problem, dtype: str) -> tuple[float, float]:
    """Return the largest errors of outputs and of gradients, to the size of the largest number of each."""
    outputs, gradients, _ = results(scan, problem, dtype)
    expected, last = problem.run({})
    expected |= {f"last {name}": value for name, value in last._asdict().items()}
    forward = max(abs(outputs[name] - expected[name]).max() / (abs(expected[name]).max() + 1e-30) for name in outputs)
    rng, worst = np.random.default_rng(1), 0.0
    for name, gradient in gradients.items():
        length = np.linalg.norm(gradient)
        # Along our own gradient the slope is its length, which no error off it can change; and in random directions.
        for mixed in (0.0, 1.0, 1.0):
            direction = gradient / (length or 1.0) + mixed * rng.normal(size=gradient.shape) / np.sqrt(gradient.size)
            found, true = float((gradient * direction).sum()), problem.slope({name: direction})
            worst = max(worst, abs(found - true) / max(abs(true), float(length), 1e-12))
    return float(forward), worst
