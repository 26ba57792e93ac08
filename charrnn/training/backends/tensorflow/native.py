"""Compiled code in TensorFlow's graph, called by TensorFlow itself, without Python.

charrnn registers one operation of its own, through TensorFlow's C interface for kernels (tensorflow/c/ops.h and
kernels.h, which plug-ins for devices use too). Its kernel is compiled here: it asks for the addresses of the arrays,
and calls the compiled code. The first input says which code, and which outputs it has. No Python runs, so the shards of
a batch do not wait for each other.
"""

import ctypes
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import llvmlite.binding as llvm
import tensorflow as tf

from charrnn.compiled.machine import Loaded
from charrnn.compiled.scan import Native, this_machine
from charrnn.training.backends.compiled import OnProcessor, Output
from charrnn.training.backends.tensorflow.ops import xp

NAME = "CharrnnCompiled"
# The functions of TensorFlow that the kernel calls, with their types in LLVM.
CALLED = {
    "TF_NewStatus": "ptr ()",
    "TF_DeleteStatus": "void (ptr)",
    "TF_GetCode": "i32 (ptr)",
    "TF_NumInputs": "i32 (ptr)",
    "TF_NumOutputs": "i32 (ptr)",
    "TF_GetInput": "void (ptr, i32, ptr, ptr)",
    "TF_AllocateOutput": "ptr (ptr, i32, i32, ptr, i32, i64, ptr)",
    "TF_TensorData": "ptr (ptr)",
    "TF_DeleteTensor": "void (ptr)",
    "TF_OpKernelContext_Failure": "void (ptr, ptr)",
}
REGISTERING = (
    "TF_Message",
    "TF_NewOpDefinitionBuilder",
    "TF_OpDefinitionBuilderAddAttr",
    "TF_OpDefinitionBuilderAddInput",
    "TF_OpDefinitionBuilderAddOutput",
    "TF_RegisterOpDefinition",
    "TF_NewKernelBuilder",
    "TF_RegisterKernelBuilder",
)
# The first input, the header, has int64: the address of the code, the type of the outputs; then for each output its
# size in bytes, its rank and its shape. The code is given the other inputs. An output may not fit into memory, but an
# input is always there.
KERNEL = """
define void @compute(ptr %kernel, ptr %context) {
entry:
  %status = call ptr @TF_NewStatus()
  %inputs_count = call i32 @TF_NumInputs(ptr %context)
  %outputs_count = call i32 @TF_NumOutputs(ptr %context)
  %tensors = alloca ptr, i32 %inputs_count
  %inputs = alloca ptr, i32 %inputs_count
  %outputs = alloca ptr, i32 %outputs_count
  br label %input
input:
  %i = phi i32 [0, %entry], [%next_i, %input]
  %tensor_at = getelementptr ptr, ptr %tensors, i32 %i
  call void @TF_GetInput(ptr %context, i32 %i, ptr %tensor_at, ptr %status)
  %tensor = load ptr, ptr %tensor_at
  %data = call ptr @TF_TensorData(ptr %tensor)
  %input_at = getelementptr ptr, ptr %inputs, i32 %i
  store ptr %data, ptr %input_at
  %next_i = add i32 %i, 1
  %more_inputs = icmp slt i32 %next_i, %inputs_count
  br i1 %more_inputs, label %input, label %header
header:
  %address_at = load ptr, ptr %inputs
  %address = load i64, ptr %address_at
  %code = inttoptr i64 %address to ptr
  %type_at = getelementptr i64, ptr %address_at, i64 1
  %type = load i32, ptr %type_at
  %first_output = getelementptr i64, ptr %address_at, i64 2
  br label %output
output:
  %o = phi i32 [0, %header], [%next_o, %allocated]
  %said = phi ptr [%first_output, %header], [%next_said, %allocated]
  %bytes = load i64, ptr %said
  %rank_at = getelementptr i64, ptr %said, i64 1
  %rank = load i32, ptr %rank_at
  %shape = getelementptr i64, ptr %said, i64 2
  %made = call ptr @TF_AllocateOutput(
    ptr %context, i32 %o, i32 %type, ptr %shape, i32 %rank, i64 %bytes, ptr %status)
  %failure = call i32 @TF_GetCode(ptr %status)
  %failed = icmp ne i32 %failure, 0
  br i1 %failed, label %fail, label %allocated
allocated:
  %output_data = call ptr @TF_TensorData(ptr %made)
  %output_at = getelementptr ptr, ptr %outputs, i32 %o
  store ptr %output_data, ptr %output_at
  call void @TF_DeleteTensor(ptr %made)
  %next_said = getelementptr i64, ptr %shape, i32 %rank
  %next_o = add i32 %o, 1
  %more_outputs = icmp slt i32 %next_o, %outputs_count
  br i1 %more_outputs, label %output, label %run
run:
  %given = getelementptr ptr, ptr %inputs, i32 1
  call void %code(ptr %outputs, ptr %given)
  br label %release
fail:
  call void @TF_OpKernelContext_Failure(ptr %context, ptr %status)
  br label %release
release:
  %r = phi i32 [0, %run], [0, %fail], [%next_r, %release]
  %released_at = getelementptr ptr, ptr %tensors, i32 %r
  %released = load ptr, ptr %released_at
  call void @TF_DeleteTensor(ptr %released)
  %next_r = add i32 %r, 1
  %more_tensors = icmp slt i32 %next_r, %inputs_count
  br i1 %more_tensors, label %release, label %end
end:
  call void @TF_DeleteStatus(ptr %status)
  ret void
}
"""


class Library:
    """Functions of TensorFlow's C interface; raises OSError or AttributeError if this build lacks one."""

    def __init__(self, names: Iterable[str]):
        folder = tf.sysconfig.get_lib()
        found = sorted(Path(folder).glob("libtensorflow_framework*"))
        if not found:
            raise OSError(f"{folder} has no libtensorflow_framework")
        # It is in the process already, so this loads nothing.
        library = ctypes.CDLL(str(found[0]))
        self.addresses = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names}

    def call(self, name: str, *arguments: bytes | int | None, result: Any = ctypes.c_void_p) -> Any:
        """Call a function whose arguments are strings or addresses; the result is an address by default, or nothing."""
        kinds = [ctypes.c_char_p if isinstance(argument, bytes) else ctypes.c_void_p for argument in arguments]
        return ctypes.CFUNCTYPE(result, *kinds)(self.addresses[name])(*arguments)

    def register(self, what: str, *arguments: bytes | int | None) -> None:
        """Call a function whose last argument is a status; raise RuntimeError if TensorFlow refuses."""
        status = self.call("TF_NewStatus")
        self.call(what, *arguments, status)
        refused = self.call("TF_GetCode", status, result=ctypes.c_int)
        why = self.call("TF_Message", status, result=ctypes.c_char_p).decode(errors="replace")
        self.call("TF_DeleteStatus", status)
        if refused:
            raise RuntimeError(f"{what}: {why}")


# What `register` came to, as TensorFlow ends the process if an operation is registered twice.
_outcome: list[Loaded | Exception] = []
_once = Lock()


def register() -> None:
    """Tell TensorFlow of the operation, if it does not know it; raise an exception if that is not possible."""
    with _once:
        if not _outcome:
            try:
                _outcome.append(_registered())
            except Exception as error:
                _outcome.append(error)
    if isinstance(_outcome[0], Exception):
        raise _outcome[0]


def _registered() -> Loaded:
    """Register the operation and its kernel, which must stay in memory, and return the kernel."""
    # First everything that may be missing.
    library, machine, name = Library([*CALLED, *REGISTERING]), this_machine(), NAME.encode()
    for function in CALLED:
        llvm.add_symbol(function, library.addresses[function])
    declared = "".join(f"declare {kind.replace('(', f'@{function}(')}\n" for function, kind in CALLED.items())
    kernel = machine.load(machine.object_code(declared + KERNEL))
    operation = library.call("TF_NewOpDefinitionBuilder", name)
    for types in (b"Tin: list(type)", b"Tout: list(type)"):
        library.call("TF_OpDefinitionBuilderAddAttr", operation, types)
    library.call("TF_OpDefinitionBuilderAddInput", operation, b"inputs: Tin")
    library.call("TF_OpDefinitionBuilderAddOutput", operation, b"outputs: Tout")
    library.register("TF_RegisterOpDefinition", operation)
    builder = library.call("TF_NewKernelBuilder", name, b"CPU", None, kernel.address("compute"), None)
    library.register("TF_RegisterKernelBuilder", name, builder)
    return kernel


# TensorFlow may call this code as long as the process lives, as its address is in graphs.
_KEPT: dict[int, Native] = {}


def _call(code: Native, sizes: Sequence[int], outputs: Sequence[Output], *inputs: Any) -> list[Any]:
    """Put a call of compiled code into the graph; return all of its outputs."""
    register()
    _KEPT[code.address] = code
    dtype = inputs[0].dtype
    header = [code.address, dtype.as_datatype_enum]
    for output in outputs:
        header += [math.prod(output.shape) * dtype.size, len(output.shape), *output.shape]
    given = [tf.constant(header, tf.int64), tf.constant(sizes, tf.int64), *inputs]
    types = {"Tin": _types([array.dtype for array in given]), "Tout": _types([dtype] * len(outputs))}
    operation = tf.compat.v1.get_default_graph().create_op(NAME, given, [dtype] * len(outputs), attrs=types)
    for array, output in zip(operation.outputs, outputs, strict=True):
        array.set_shape(output.shape)
    return operation.outputs


def _types(types: Sequence[tf.DType]) -> Any:
    value = tf.compat.v1.AttrValue
    return value(list=value.ListValue(type=[dtype.as_datatype_enum for dtype in types]))


class Calls(OnProcessor):
    """What `charrnn.training.backends.compiled` needs of TensorFlow."""

    xp = xp

    @staticmethod
    def prepare() -> None:
        """Raise an exception if this build of TensorFlow cannot call compiled code."""
        register()

    @staticmethod
    def native(code: Native, sizes: Sequence[int], inputs: Sequence[Any], outputs: Sequence[Output]) -> list[Any]:
        """Return the outputs of compiled code that are kept."""
        call = _call
        if tf.executing_eagerly():
            # It is called in a graph of its own, whose gradient nobody may ask for: `custom_gradient` says what it is.
            call, inputs = tf.function(_call, autograph=False), [tf.stop_gradient(array) for array in inputs]
        found = call(code, tuple(sizes), tuple(outputs), *inputs)
        return [array for array, output in zip(found, outputs, strict=True) if output.kept]

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
