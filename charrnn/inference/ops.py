"""The array namespace `xp` for NumPy: the functions that cells and networks need, with the names of keras.ops."""

from typing import Any

import numpy as np

from charrnn.cells.cell import EPSILON

add = np.add
concatenate = np.concatenate
cumsum = np.cumsum
exp = np.exp
full = np.full
matmul = np.matmul
maximum = np.maximum
ones_like = np.ones_like
pad = np.pad
reshape = np.reshape
split = np.split
tanh = np.tanh
transpose = np.transpose
where = np.where
zeros_like = np.zeros_like


def relu(x: np.ndarray) -> np.ndarray:
    """Return x where it is above 0, else 0."""
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), in the form that cannot overflow."""
    return np.tanh(x * 0.5) * 0.5 + 0.5


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """Return log(1 / (1 + exp(-x))), exact also where the logistic function is close to 0."""
    return -np.logaddexp(0, -x)


def standardize(x: np.ndarray) -> np.ndarray:
    """Return x with mean 0 and variance 1 over the last axis."""
    x = x - np.mean(x, axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return exp(x) / sum(exp(x)) along an axis."""
    weights = np.exp(x - x.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


def take(x: np.ndarray, indices: Any, axis: int) -> np.ndarray:
    """Return the rows of x at integer indices of any shape."""
    return np.take(x, indices, axis=axis)
