"""The pictures of the cells: that they are current, and that what they show is what the steps compute."""

import operator
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest

from charrnn.cells import simple
from charrnn.cells.cell import add_bias
from charrnn.inference import ops

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
from dataflow import UNITS, dataflow  # noqa: E402
from draw_cells import DRAWN, dot_source  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
SIGNS = {"+": operator.add, "−": operator.sub, "×": operator.mul, "÷": operator.truediv}
UFUNCS = {np.add: "+", np.subtract: "−", np.multiply: "×", np.true_divide: "÷"}
LABELS = {"sigmoid": "σ", "log_sigmoid": "log σ", "maximum": "max", "standardize": "norm"}
LABELS |= {name: name for name in ("tanh", "relu", "exp")}
FUNCTIONS = {label: name for name, label in LABELS.items()}
each_picture = pytest.mark.parametrize("name", DRAWN)


class Counted(np.ndarray):
    """An array whose arithmetic is counted, in a counter that all of them share."""

    counts: ClassVar[Counter] = Counter()

    def __array_ufunc__(self, ufunc, method, *operands, **options):
        Counted.counts[UFUNCS[ufunc]] += 1
        return getattr(ufunc, method)(*map(np.asarray, operands), **options).view(Counted)


class CountedOps:
    """The functions of NumPy, each call counted under what it is called in a picture."""

    def __getattr__(self, name):
        def call(*arguments, **options):
            if name in ("split", "concatenate"):
                result = getattr(ops, name)(*arguments, **options)
                return [part.view(Counted) for part in result] if name == "split" else result.view(Counted)
            Counted.counts[LABELS[name]] += 1
            return getattr(ops, name)(*map(np.asarray, arguments), **options).view(Counted)

        return call


class Materials:
    """Arrays of all that a step reads, and the step itself."""

    def __init__(self, cell):
        rng = np.random.default_rng(0)
        vectors = {"b": cell.bias} | {name: v.starts for name, v in {**cell.zx_vectors, **cell.vectors}.items()}
        shapes = {name: matrix.shape(UNITS) for name, matrix in cell.matrices.items()}
        self.cell, self.products = cell, Counter()
        self.arrays = {name: rng.normal(size=(2, UNITS)) for name in ("x", *cell.state_fields)}
        self.below = {f"{name} below": rng.normal(size=(2, UNITS)) for name in cell.raw}
        self.matrices = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        self.matrices["W x"] = rng.normal(size=(UNITS, cell.projected(UNITS)))
        self.w = {name: rng.normal(size=len(starts) * UNITS) for name, starts in vectors.items()}

    def step(self, xp, kind=np.ndarray):
        """Return the new state, by name."""

        def dot(vector, name):
            self.products[name] += 1
            return (np.asarray(vector) @ self.matrices[name]).view(kind)

        zx = list(self.below.values())
        if self.cell.blocks:
            wx = dot(self.arrays["x"], "W x")
            # W x + b is one box: its sum is not counted.
            zx.insert(0, self.cell.zx(xp, np.asarray(wx) if self.cell.zx is add_bias else wx, self.w))
        state = self.cell.state(*(self.arrays[name].view(kind) for name in self.cell.state_fields))
        return self.cell.step(xp, np.concatenate(zx, axis=-1).view(kind), state, dot, self.w)._asdict()


def columns(box, letters, array):
    """Return the columns of a box's array that have these letters; all without any."""
    widths = dict(box.blocks)
    ends = dict(zip(widths, np.cumsum(list(widths.values())), strict=True))
    names = letters.split(", ") if letters else list(widths)
    assert len(widths) == len(box.blocks) and "".join(names) in "".join(widths)
    return array[:, ends[names[0]] - widths[names[0]] : ends[names[-1]]]


def value(box, operands, given):
    """Return what a person would compute who reads a box and the lines into it."""
    if not operands:
        return (given.arrays | given.below)[box.label]
    if box.kind == "state":
        return operands[0]
    if box.kind == "matrix":
        product = operands[0] @ given.matrices[box.label.removesuffix(" + b")]
        return product + given.w["b"] if box.label.endswith("+ b") else product
    if box.kind == "function":
        return getattr(ops, FUNCTIONS[box.label])(*operands)
    if box.label in SIGNS:
        return SIGNS[box.label](*operands)
    numbers = {**given.w, "const": simple.periods(UNITS), "1": 1, "2": 2}
    first, second = box.label.split()
    return SIGNS[first](*operands, numbers[second]) if first in SIGNS else SIGNS[second](numbers[first], *operands)


@each_picture
def test_boxes_and_lines_compute_what_the_step_computes(name):
    given, boxes, arrays = Materials(DRAWN[name]), dataflow(DRAWN[name]), []
    lines = re.findall(r'^"?(\d+)(?: (.*)")? -> (\d+)(?::(\d))?', dot_source(name, boxes), re.MULTILINE)
    for n, box in enumerate(boxes):
        into = sorted((line for line in lines if line[2] == str(n)), key=lambda line: line[3])
        operands = [columns(boxes[int(tail)], letters, arrays[int(tail)]) for tail, letters, *_ in into]
        if len(operands) > 1 and box.label not in (*SIGNS, "max"):
            operands = [np.concatenate(operands, axis=-1)]
        arrays.append(value(box, operands, given))
    drawn = {box.label: array for box, array in zip(boxes, arrays, strict=True)}
    for field, expected in given.step(ops).items():
        np.testing.assert_allclose(drawn[f"{field}′"], expected, rtol=1e-11)


@each_picture
def test_every_call_of_the_step_has_a_box(name):
    cell, root = DRAWN[name], ElementTree.parse(DOCS / "cells" / f"{name}.svg").getroot()
    assert root.findtext(f"{SVG}title") == f"{cell.name} ({cell.paper}): one step"
    boxes = [(g.get("class"), "".join(text.text for text in g.iter(f"{SVG}text"))) for g in root.iter(f"{SVG}g")]
    drawn = Counter(label for kind, label in boxes if kind == "node function")
    for label in (label for kind, label in boxes if kind in ("node arithmetic", "node parameter")):
        (sign,) = SIGNS.keys() & {"+−": "−", "×÷": "÷"}.get(label, label).split()
        drawn[sign] += 1
    given, Counted.counts = Materials(cell), Counter()
    given.step(CountedOps(), Counted)
    assert drawn == Counted.counts
    matrices = [label.removesuffix(" + b").replace(",", "") for kind, label in boxes if kind == "node matrix"]
    assert Counter(matrices) == {name.replace("_", ""): count for name, count in given.products.items()}


@pytest.fixture
def copy(tmp_path):
    """Return the path of a copy of docs/, and a function that checks its pictures: the exit status and what is said."""
    shutil.copytree(DOCS, tmp_path / "docs")

    def check():
        script = [sys.executable, tmp_path / "docs" / "draw_cells.py", "--check"]
        done = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, re.findall(r"([\w-]+)\.svg is (\w+)", done.stderr)

    return tmp_path / "docs", check


def test_the_pictures_are_current(copy):
    assert copy[1]() == (0, []), "run make pictures"


def test_pictures_that_are_not_current_are_named(copy):
    (folder, check), flow = copy, "dataflow.py"
    (folder / "cells" / "lstm.svg").rename(folder / "cells" / "lstn.svg")
    assert check() == (1, [("lstm", "missing"), ("lstn", "of")])
    (folder / "cells" / "lstn.svg").rename(folder / "cells" / "lstm.svg")
    (folder / flow).write_text((folder / flow).read_text(encoding="utf-8").replace("log σ", "ln σ"), encoding="utf-8")
    assert check() == (1, [("slstm", "not")])
