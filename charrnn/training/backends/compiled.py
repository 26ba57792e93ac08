"""The compiled scans of this process, and the memory that they fill."""

import math
import sys
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from charrnn.cells import Cell
from charrnn.compiled.graph import Kind
from charrnn.compiled.layout import Argument
from charrnn.compiled.scan import CompiledScan, Function

# TensorFlow reads an array where it is if its address is a multiple of this; otherwise it copies the array.
ALIGNMENT = 64


@lru_cache(maxsize=64)
def compiled_scan(cell: Cell, units: int, emitted: tuple[str, ...], resets: bool, dtype: str) -> CompiledScan:
    """Return the compiled scan of a layer; it is compiled once in a process."""
    return CompiledScan(cell, units, emitted, resets, dtype)


def leaves(argument: Argument) -> bool:
    """Return whether an output of a function is needed after its call; the others are its own memory."""
    return argument.array is not None and argument.array.kind is not Kind.SCRATCH


class Memory:
    """Arrays that are used again when nothing else refers to them: new ones cost the system time for every page."""

    def __init__(self) -> None:
        self._blocks: dict[int, list[np.ndarray]] = {}
        self._lock = Lock()

    def array(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Return an array of any content, aligned as TensorFlow needs it."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            blocks = self._blocks.setdefault(size, [])
            for block in blocks:
                # The list, `block`, and the argument of this function.
                if sys.getrefcount(block) <= 3:
                    break
            else:
                block = np.empty(size + ALIGNMENT, np.uint8)
                blocks.append(block)
            start = -block.ctypes.data % ALIGNMENT
            return block[start : start + size].view(dtype).reshape(shape)


MEMORY = Memory()


def fill(function: Function, steps: int, rows: int, recording: bool, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Call a function; return its outputs that are needed after the call."""
    arguments = function.layout.outputs
    outputs = [MEMORY.array(a.shape(steps, rows, recording), inputs[0].dtype) for a in arguments]
    function(steps, rows, recording, inputs, outputs)
    return [output for output, argument in zip(outputs, arguments, strict=True) if leaves(argument)]
