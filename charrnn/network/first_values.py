"""The first values of parameters, before training: functions of a shape and a source of random numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Start = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return normal numbers of variance 1."""
    return rng.normal(0.0, 1.0, shape)


def identity(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return the identity (Le et al. 2015)."""
    return np.eye(shape[0])


@dataclass(frozen=True)
class Uniform:
    """Uniform numbers of variance 1 / inputs (LeCun et al. 1998)."""

    inputs: int

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        limit = np.sqrt(3.0 / self.inputs)
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class Orthogonal:
    """Blocks side by side, each with orthonormal columns, or rows if it has fewer rows (Saxe et al. 2014)."""

    blocks: int

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        rows, columns = shape
        return np.concatenate([_orthogonal(rows, columns // self.blocks, rng) for _ in range(self.blocks)], axis=1)


@dataclass(frozen=True)
class Constant:
    """A vector of blocks, each filled with one of these values."""

    values: tuple[float, ...]

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return np.repeat(self.values, shape[0] // len(self.values))


def _orthogonal(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    # Without the signs of r the distribution would not be uniform over orthogonal matrices (Mezzadri 2007).
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T
