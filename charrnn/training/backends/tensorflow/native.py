"""Compiled code in TensorFlow's graph."""

import math
import sys
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
import tensorflow as tf

from charrnn.compiled.scan import Native
from charrnn.training.backends.compiled import OnProcessor, Output
from charrnn.training.backends.tensorflow.ops import xp

# TensorFlow reads an array where it is if its address is a multiple of this; otherwise it copies the array.
ALIGNMENT = 64


class Memory:
    """Arrays that are used again when nothing else refers to them: of new ones the system has to clear every page."""

    def __init__(self) -> None:
        self._blocks: dict[int, list[np.ndarray]] = {}
        self._lock = Lock()
        self._unused = _references([np.empty(0)], 0)

    def array(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Return an array of any content, at an address as TensorFlow needs it."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        with self._lock:
            block = self._free(size)
            start = -block.ctypes.data % ALIGNMENT
            return block[start : start + size].view(dtype).reshape(shape)

    def _free(self, size: int) -> np.ndarray:
        blocks = self._blocks.setdefault(size, [])
        for place in range(len(blocks)):
            if _references(blocks, place) <= self._unused:
                return blocks[place]
        blocks.append(np.empty(size + ALIGNMENT, np.uint8))
        return blocks[-1]


def _references(blocks: list[np.ndarray], place: int) -> int:
    """Return how many references to a block there are, including some of this call."""
    return sys.getrefcount(blocks[place])


MEMORY = Memory()


class Calls(OnProcessor):
    """What `charrnn.training.backends.compiled` needs of TensorFlow."""

    xp = xp

    @staticmethod
    def native(code: Native, sizes: Sequence[int], inputs: Sequence[Any], outputs: Sequence[Output]) -> list[Any]:
        """Return the outputs of compiled code that are kept."""
        dtype = inputs[0].dtype

        def call(*arrays: np.ndarray) -> list[np.ndarray]:
            filled = [MEMORY.array(output.shape, dtype.as_numpy_dtype) for output in outputs]
            code.run(sizes, arrays, filled)
            return [array for array, output in zip(filled, outputs, strict=True) if output.kept]

        kept = [output for output in outputs if output.kept]
        # If it had state, it would wait for the calls of the other shards.
        found = tf.nest.flatten(tf.numpy_function(call, inputs, [dtype] * len(kept), stateful=False))
        for array, output in zip(found, kept, strict=True):
            array.set_shape(output.shape)
        return found

    @staticmethod
    def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with its own gradient."""
        return lambda *values: tf.custom_gradient(function)(*map(tf.convert_to_tensor, values))

    @staticmethod
    def words(seed: int, step: Any, layer: int, first_row: Any) -> Any:
        """Return seed, step, layer and first row as words of 32 bits."""
        upper = tf.bitwise.right_shift(step, tf.constant(32, tf.int64))
        return tf.cast(tf.stack([seed & 0xFFFFFFFF, seed >> 32, step, upper, layer, first_row]), tf.uint32)


calls = Calls()


def gpu_calls(products: str | None) -> None:
    """Return None: there are no kernels for TensorFlow."""
