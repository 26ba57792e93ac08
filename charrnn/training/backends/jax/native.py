"""Compiled code in JAX's graph, called by XLA itself, without Python.

XLA calls a function of its own kind, `XLA_FFI_Error *handler(XLA_FFI_CallFrame *)` (xla/ffi/api/c_api.h), which unpacks
the addresses of the arrays and calls the compiled code. Each function has a handler of its own, whose name says what
the code is: what XLA compiles does not depend on the process, and may be cached or sent to others.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn.compiled.machine import Loaded
from charrnn.compiled.scan import Native, this_machine
from charrnn.training.backends.compiled import OnProcessor, Output
from charrnn.training.backends.jax.ops import xp

# The offsets are those of the C structures on 64-bit systems. When a handler is registered, XLA asks for the version of
# the interface that it was written for (0.1), by an extension of the call frame.
VERSION = """
  %extension_at = getelementptr i8, ptr %frame, i64 8
  %extension = load ptr, ptr %extension_at
  %none = icmp eq ptr %extension, null
  br i1 %none, label %call, label %asked
asked:
  %kind_at = getelementptr i8, ptr %extension, i64 8
  %kind = load i32, ptr %kind_at
  %of_version = icmp eq i32 %kind, 1
  br i1 %of_version, label %version, label %call
version:
  %metadata_at = getelementptr i8, ptr %extension, i64 24
  %metadata = load ptr, ptr %metadata_at
  %major = getelementptr i8, ptr %metadata, i64 24
  store i32 0, ptr %major
  %minor = getelementptr i8, ptr %metadata, i64 28
  store i32 1, ptr %minor
  ret ptr null
"""
# The arrays of a call frame: how many, and where the table of each kind is.
ARRAYS = """
  %inputs_count_at = getelementptr i8, ptr %frame, i64 56
  %inputs_count = load i64, ptr %inputs_count_at
  %inputs_at = getelementptr i8, ptr %frame, i64 72
  %inputs = load ptr, ptr %inputs_at
  %outputs_count_at = getelementptr i8, ptr %frame, i64 96
  %outputs_count = load i64, ptr %outputs_count_at
  %outputs_at = getelementptr i8, ptr %frame, i64 112
  %outputs = load ptr, ptr %outputs_at
"""
# Fills a table with the addresses of the arrays of a call frame.
ADDRESSES = """
define internal void @addresses(ptr %buffers, i64 %count, ptr %table) {
entry:
  br label %head
head:
  %n = phi i64 [0, %entry], [%next, %body]
  %more = icmp slt i64 %n, %count
  br i1 %more, label %body, label %done
body:
  %buffer_at = getelementptr ptr, ptr %buffers, i64 %n
  %buffer = load ptr, ptr %buffer_at
  %data_at = getelementptr i8, ptr %buffer, i64 24
  %data = load ptr, ptr %data_at
  %to = getelementptr ptr, ptr %table, i64 %n
  store ptr %data, ptr %to
  %next = add i64 %n, 1
  br label %head
done:
  ret void
}
"""
HANDLER = f"""
define ptr @handler(ptr %frame) {{
entry:
{VERSION}
call:
{ARRAYS}  %input_table = alloca ptr, i64 %inputs_count
  %output_table = alloca ptr, i64 %outputs_count
  call void @addresses(ptr %inputs, i64 %inputs_count, ptr %input_table)
  call void @addresses(ptr %outputs, i64 %outputs_count, ptr %output_table)
  %code = inttoptr i64 ADDRESS to ptr
  call void %code(ptr %output_table, ptr %input_table)
  ret ptr null
}}
{ADDRESSES}
"""


# The functions whose handlers XLA knows, and the handlers.
_KNOWN: dict[str, tuple[Native, Loaded]] = {}


def _target(code: Native) -> str:
    """Return the name by which XLA knows a function."""
    if code.symbol not in _KNOWN:
        machine = this_machine()
        handler = machine.load(machine.object_code(HANDLER.replace("ADDRESS", str(code.address))))
        jax.ffi.register_ffi_target(f"charrnn_{code.symbol}", capsule_of(handler), platform="cpu")
        # XLA may call them as long as the process lives.
        _KNOWN[code.symbol] = code, handler
    return f"charrnn_{code.symbol}"


def capsule_of(handler: Loaded) -> Any:
    """Return a handler in the form in which JAX registers it."""
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return make(handler.address("handler"), None, None)


class Calls(OnProcessor):
    """What `charrnn.training.backends.compiled` needs of JAX."""

    xp = xp

    @staticmethod
    def prepare() -> None:
        """Do nothing: JAX can always call compiled code."""

    @staticmethod
    def native(code: Native, sizes: Sequence[int], inputs: Sequence[Any], outputs: Sequence[Output]) -> list[Any]:
        """Return the outputs of compiled code that are kept."""
        # As bytes, since JAX has no 64-bit integers by default.
        header = np.array(sizes, np.int64).view(np.uint8)
        types = [jax.ShapeDtypeStruct(output.shape, inputs[0].dtype) for output in outputs]
        found = jax.ffi.ffi_call(_target(code), types)(header, *inputs)
        return [array for array, output in zip(found, outputs, strict=True) if output.kept]

    @staticmethod
    def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with its own gradient."""

        def adapted(*values: Any) -> Any:
            results, gradient = function(*values)
            # JAX passes the gradients of several results as one tuple.
            return results, (lambda d: gradient(*d)) if isinstance(results, tuple) else gradient

        return jax.custom_gradient(adapted)

    @staticmethod
    def words(seed: int, step: Any, layer: int, first_row: Any) -> Any:
        """Return seed, step, layer and first row as words of 32 bits."""
        of_seed = np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32)
        return jnp.stack([jnp.asarray(word, jnp.uint32) for word in (*of_seed, *step, layer, first_row)])


calls = Calls()


def gpu_calls(products: str | None) -> Any:
    """Return how kernels are called on a GPU."""
    from charrnn.training.backends.jax.cuda import CudaCalls

    return CudaCalls(products)
