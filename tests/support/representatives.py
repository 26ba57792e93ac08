"""The cells that stand for all of them in the ordinary suite: one for each need that a cell can have.

A matrix over cells runs with these in `make test`, with every cell in `make test-slow`: a test over all of them at once
would learn little more, for every cell's equations are compared with its paper's in tests/cells, and what is computed
with a cell is chosen by its needs (charrnn/cells/cell.py), not by its name.
"""

import os
from collections.abc import Iterable
from typing import Any

import pytest

from charrnn.cells import CELLS

# The cell, and why.
REPRESENTATIVES = {
    "lstm": "one matrix, several gates, a memory",
    "gru": "products in a row",
    "lstm-peephole": "vectors in the step",
    "slstm": "a state that does not begin with zeros",
    "lstm-layernorm": "vectors in a projection of its own",
    "lstm-mogrifier": "raw input; matrices of low rank",
    "lstm-depth-gated": "a memory from below; another cell as the lowest layer",
    "clockwork": "a masked matrix; a state that counts",
    "mingru": "no product at all",
    "irnn": "a matrix that begins as the identity; a relu",
}
# The stacks that make a cell of cells: of an input for its matrices, of fields from below, of single numbers.
COMPOSITES = (("lstm", "grid"), ("gru", "gated-feedback"))

# Compiling is what takes JAX long: what its run in `make test` would hardly add to TensorFlow's is slow there.
ON_JAX = os.environ.get("KERAS_BACKEND") == "jax"


def slow_on_jax(test: Any) -> Any:
    """Mark a test slow for JAX; TensorFlow's run of the ordinary suite has it."""
    return pytest.mark.slow(test) if ON_JAX else test


def case(*values: Any, fast: bool = True, on_jax: bool = False) -> Any:
    """Return parameters of a test marked `backend`: slow unless `fast`, and with JAX unless `on_jax` as well."""
    return pytest.param(*values, marks=() if fast and (on_jax or not ON_JAX) else pytest.mark.slow)


def some(names: Iterable[str], fast: Iterable[str]) -> list[Any]:
    """Return a case for each of `names`; those that are not `fast` are slow."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in names]


def cells(names: Iterable[str] = CELLS, fast: Iterable[str] = REPRESENTATIVES, on_jax: Iterable[str] = ()) -> list[Any]:
    """Return a case for each of `names`."""
    return [case(name, fast=name in fast, on_jax=name in on_jax) for name in names]
