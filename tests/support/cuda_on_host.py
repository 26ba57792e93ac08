"""Kernels for a GPU, run by the processor: their source compiled as C++, with threads for threads."""

import atexit
import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from charrnn.cells import Cell
from charrnn.compiled.cuda.scan import CudaScan, Function
from charrnn.compiled.cuda.source import Kernel
from charrnn.compiled.cuda.tiles import Tiles
from charrnn.compiled.graph import Kind

HERE = Path(__file__).parent


def _compile(*arguments: Any) -> None:
    command = ["g++", "-std=c++20", "-w", "-fno-strict-aliasing", "-fPIC", "-pthread", "-I", HERE, *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[:4000]


@cache
def _threads() -> Path:
    """Return the object file of what runs the threads of all kernels."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _compile("-c", "-o", folder / "threads.o", HERE / "cuda_threads.cpp")
    return folder / "threads.o"


class HostKernel:
    """A kernel that can be called with arrays; what it does not write of its outputs and of its memory is NaN.

    slow: whether one of its CTAs is much slower than the others.
    """

    def __init__(self, kernel: Kernel, folder: Path, slow: bool = False):
        self.kernel, tiles = kernel, kernel.tiles
        # A library that is loaded must not be overwritten.
        path = folder / f"{len(list(folder.iterdir()))}.cpp"
        first = ["#define SLOW 1"] * slow + [f"#define BF16 {int(kernel.bf16)}", '#include "cuda_on_host.h"']
        begin = f"{kernel.name}(*(const Pointers *)pointers);"
        run = f"run_all(begin, pointers, {tiles.across}, {tiles.down}, {tiles.threads}, {kernel.shared});"
        last = [
            f"static void begin(const void *pointers) {{ {begin} }}",
            f'extern "C" void launch(const void *pointers) {{ {run} }}',
        ]
        path.write_text("\n".join([*first, kernel.source, *last]))
        _compile("-shared", "-o", path.with_suffix(".so"), path, _threads())
        self.library = ctypes.CDLL(str(path.with_suffix(".so")))

    def __call__(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Fill the outputs from the inputs."""
        memory = [np.full(size, 0xFF, np.uint8) for size in self.kernel.memory]
        memory[-1][:] = 0
        given = [np.ascontiguousarray(array, np.float32) for array in inputs]
        arrays = [*given, *outputs, *memory]
        self.library.launch((ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays)))


class HostFunction:
    """A direction of a scan that is called as one for the processor is (`charrnn.compiled.scan.Function`)."""

    def __init__(self, function: Function, folder: Path, tiles: dict[str, int], slow: bool):
        self.function, self.folder, self.tiles, self.layout = function, folder, tiles, function.layout
        self.slow = slow

    def kernel(self, steps: int, rows: int, recording: bool) -> Kernel:
        function, of = self.function, self.tiles
        across, down = function.units // of["slice"], -(-rows // of["rows"])
        tiles = Tiles(function.units, rows, of["slice"], of["rows"], across, down, of["warps"], of["at_once"])
        return function.of_tiles(tiles, steps, recording)

    def __call__(
        self, steps: int, rows: int, recording: bool, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> None:
        HostKernel(self.kernel(steps, rows, recording), self.folder, self.slow)(inputs, outputs)
        for argument, array in zip(self.layout.outputs, outputs, strict=True):
            if argument.array is not None and argument.array.kind is Kind.FLIP:
                # Only its first half is a result.
                array[1] = np.nan


SMALL = {"slice": 16, "rows": 16, "warps": 2, "at_once": 16}


def host_scan(cell: Cell, units: int, emitted: Sequence[str], folder: Path, resets: bool = True, **more: Any) -> Any:
    """Return a scan that the processor runs as a GPU would, divided into `tiles`, in what takes the place of TF32."""
    bf16, slow, tiles = more.pop("bf16", False), more.pop("slow", False), {**SMALL, **more}
    scan = CudaScan(cell, units, emitted, resets, bf16)
    forward, backward = (HostFunction(function, folder, tiles, slow) for function in (scan.forward, scan.backward))
    return SimpleNamespace(programs=scan.programs, forward=forward, backward=backward)
