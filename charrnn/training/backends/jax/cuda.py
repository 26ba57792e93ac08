"""Kernels for a GPU in JAX's graph: XLA calls a handler, which launches the kernel on XLA's stream.

The handler is a small function in machine code, like that of `native.py`; what a launch needs is written into it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from charrnn.cells import Cell
from charrnn.compiled.cuda import driver
from charrnn.compiled.cuda.driver import NoCuda
from charrnn.compiled.cuda.scan import CudaScan, Launch
from charrnn.compiled.cuda.tiles import NoTiles
from charrnn.compiled.machine import Loaded
from charrnn.compiled.scan import this_machine
from charrnn.errors import CharRNNError
from charrnn.training.backends.compiled import Output
from charrnn.training.backends.jax.native import ADDRESSES, ARRAYS, VERSION, Calls, capsule_of
from charrnn.training.backends.jax.ops import product, xp

# The offsets are those of the C structures on 64-bit systems (xla/ffi/api/c_api.h). The kernel has one argument: the
# table of all pointers. The counters, at the end of the table, must be 0 before it begins.
HANDLER = """
@message = private constant [MESSAGE_SIZE x i8] c"MESSAGE\\00"

define ptr @handler(ptr %frame) {
entry:
VERSION
call:
  %api_at = getelementptr i8, ptr %frame, i64 16
  %api = load ptr, ptr %api_at
  %context_at = getelementptr i8, ptr %frame, i64 24
  %context = load ptr, ptr %context_at
ARRAYS
  %count = add i64 %inputs_count, %outputs_count
  %table = alloca ptr, i64 %count
  %of_outputs = getelementptr ptr, ptr %table, i64 %inputs_count
  call void @addresses(ptr %inputs, i64 %inputs_count, ptr %table)
  call void @addresses(ptr %outputs, i64 %outputs_count, ptr %of_outputs)

  %asking = alloca {i64, ptr, ptr, ptr}
  store {i64, ptr, ptr, ptr} {i64 32, ptr null, ptr null, ptr null}, ptr %asking
  %asking_context = getelementptr i8, ptr %asking, i64 16
  store ptr %context, ptr %asking_context
  %stream_get_at = getelementptr i8, ptr %api, i64 80
  %stream_get = load ptr, ptr %stream_get_at
  %refused = call ptr %stream_get(ptr %asking)
  %is_refused = icmp ne ptr %refused, null
  br i1 %is_refused, label %no_stream, label %launch
no_stream:
  ret ptr %refused
launch:
  %stream_at = getelementptr i8, ptr %asking, i64 24
  %stream = load ptr, ptr %stream_at
  %device_context_at = alloca ptr
  %get_context = inttoptr i64 GET_CONTEXT to ptr
  %result1 = call i32 %get_context(ptr %stream, ptr %device_context_at)
  %device_context = load ptr, ptr %device_context_at
  %set_context = inttoptr i64 SET_CONTEXT to ptr
  %result2 = call i32 %set_context(ptr %device_context)
  %last = sub i64 %count, 1
  %counters_at = getelementptr ptr, ptr %table, i64 %last
  %counters = load ptr, ptr %counters_at
  %set_memory = inttoptr i64 SET_MEMORY to ptr
  %result3 = call i32 %set_memory(ptr %counters, i8 0, i64 COUNTERS, ptr %stream)
  %result12 = or i32 %result1, %result2
  %result123 = or i32 %result12, %result3
  %is_ready = icmp eq i32 %result123, 0
  br i1 %is_ready, label %ready, label %failure
ready:
  %arguments = alloca ptr
  store ptr %table, ptr %arguments
  %kernel = inttoptr i64 KERNEL to ptr
  %launch_kernel = inttoptr i64 LAUNCH to ptr
  %result4 = call i32 %launch_kernel(ptr %kernel, i32 ACROSS, i32 DOWN, i32 1, i32 THREADS, i32 1, i32 1, i32 SHARED,
                                     ptr %stream, ptr %arguments)
  %failed = icmp ne i32 %result4, 0
  br i1 %failed, label %failure, label %success
success:
  ret ptr null
failure:
  %telling = alloca {i64, ptr, ptr, i32}
  store {i64, ptr, ptr, i32} {i64 28, ptr null, ptr @message, i32 13}, ptr %telling
  %error_create_at = getelementptr i8, ptr %api, i64 48
  %error_create = load ptr, ptr %error_create_at
  %error = call ptr %error_create(ptr %telling)
  ret ptr %error
}
"""
MESSAGE = "A kernel of charrnn could not be launched; `--engine framework` trains without it."

# The settings of JAX with which it computes float32 products in TF32.
AS_TF32 = (None, "default", "tensorfloat32", "TF32_TF32_F32")
# A kernel can be made for any number of rows if it can be made for so many.
MANY_ROWS = 4096

# What XLA knows: it may call them as long as the process lives.
_KNOWN: dict[str, tuple[Launch, Loaded]] = {}


def handler_of(launch: Launch) -> str:
    """Return the source of the handler that launches a kernel."""
    tiles = launch.kernel.tiles
    facts = {
        "MESSAGE_SIZE": len(MESSAGE) + 1,
        "MESSAGE": MESSAGE,
        "GET_CONTEXT": driver.address("cuStreamGetCtx"),
        "SET_CONTEXT": driver.address("cuCtxSetCurrent"),
        "SET_MEMORY": driver.address("cuMemsetD8Async"),
        "LAUNCH": driver.address("cuLaunchCooperativeKernel"),
        "KERNEL": launch.address,
        "COUNTERS": launch.kernel.memory[-1],
        "ACROSS": tiles.across,
        "DOWN": tiles.down,
        "THREADS": tiles.threads,
        "SHARED": launch.kernel.shared,
        "VERSION": VERSION,
        "ARRAYS": ARRAYS,
    }
    text = HANDLER
    for name, value in facts.items():
        text = text.replace(name, str(value))
    return text + ADDRESSES


def _target(launch: Launch) -> str:
    """Return the name by which XLA knows a kernel."""
    if launch.symbol not in _KNOWN:
        machine = this_machine()
        handler = machine.load(machine.object_code(handler_of(launch)))
        jax.ffi.register_ffi_target(f"charrnn_{launch.symbol}", capsule_of(handler), platform="CUDA")
        _KNOWN[launch.symbol] = launch, handler
    return f"charrnn_{launch.symbol}"


def _devices() -> tuple[int, ...]:
    """Return the driver's numbers of the GPUs of this process."""
    return tuple(device.local_hardware_id or 0 for device in jax.local_devices())


@cache
def _scan_of(cell: Cell, units: int, emitted: tuple[str, ...], resets: bool, bf16: bool, more: int) -> CudaScan:
    return CudaScan(cell, units, emitted, resets, bf16, more)


class CudaCalls:
    """What `charrnn.training.backends.compiled.scan` needs of JAX on a GPU; products: see `Engine.scan`."""

    xp = xp
    custom_gradient = staticmethod(Calls.custom_gradient)

    def __init__(self, products: str | None):
        self.products = products

    def scan_of(
        self, cell: Cell, units: int, emitted: tuple[str, ...], resets: bool, dtype: str, more: int = 0
    ) -> CudaScan:
        """Return the scan of a layer."""
        return _scan_of(cell, units, emitted, resets, self.products is not None, more)

    def why_not(self, cell: Cell, units: int, emitted: tuple[str, ...], resets: bool) -> tuple[str | None, bool]:
        """Return why kernels cannot compute a layer, None if they can, and whether that is to be expected."""
        if self.products is None and jax.config.jax_default_matmul_precision not in AS_TF32:
            return "a kernel's float32 products are those of TF32", True
        try:
            scan = self.scan_of(cell, units, emitted, resets, "float32")
            gpu = driver.gpu(_devices())
            for function in (scan.forward, scan.backward):
                function.kernel(1, MANY_ROWS, True, gpu)
                function.launch(1, 1, True, gpu)
        except NoTiles as why:
            return f"the cell {cell.name} with {units} units: {why}", True
        except NoCuda as why:
            return str(why), False
        except Exception as error:
            # The cell may be the user's; the framework needs no kernel.
            return f"the cell {cell.name} could not be compiled ({type(error).__name__}: {error})", False
        return None, False

    def native(self, code: Any, sizes: Sequence[int], inputs: Sequence[Any], outputs: Sequence[Output]) -> list[Any]:
        """Return the outputs of a direction of a scan."""
        if any(array.dtype != jnp.float32 for array in inputs):
            raise CharRNNError("Kernels compute in float32 alone.", hint="Use `engine='framework'`.")
        steps, rows, recording = sizes
        try:
            launch = code.launch(steps, rows, bool(recording), driver.gpu(_devices()))
        except (NoCuda, NoTiles) as why:
            raise CharRNNError(
                f"A kernel could not be made: {why}.", hint="`engine='framework'` trains without it."
            ) from None
        types = [jax.ShapeDtypeStruct(output.shape, jnp.float32) for output in outputs]
        types += [jax.ShapeDtypeStruct((size,), jnp.uint8) for size in launch.kernel.memory]
        found = jax.ffi.ffi_call(_target(launch), types)(*inputs)
        return [array for array, output in zip(found, outputs, strict=False) if output.kept]

    def transposed_product(self, a: Any, b: Any) -> Any:
        """Return a^T b."""
        return product(a.T, b, self.products)
