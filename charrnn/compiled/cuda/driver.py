"""NVIDIA's compiler (NVRTC) and driver, called through ctypes: from the source of a kernel to its address."""

import ctypes
import glob
import os
import re
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

# Of the driver's interface: attributes of a device and of a kernel.
_PROCESSORS, _MAJOR, _MINOR, _SHARED = 16, 75, 76, 97
_MOST_SHARED = 8


class NoCuda(Exception):
    """Kernels cannot be compiled or loaded here; says why."""


@dataclass(frozen=True)
class Gpu:
    """What the GPUs of a process have: multiprocessors, bytes of shared memory that a CTA may use, and an architecture.

    architecture: such as sm_90. devices: the driver's numbers of the GPUs.
    """

    processors: int
    shared: int
    architecture: str
    devices: tuple[int, ...] = (0,)


@cache
def nvrtc() -> ctypes.CDLL:
    """Return NVIDIA's compiler; raise NoCuda if it is not installed."""
    for name in _libraries():
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise NoCuda("NVIDIA's compiler is not installed (pip install nvidia-cuda-nvrtc)")


def _libraries() -> Iterator[str]:
    """Yield where the compiler may be: in NVIDIA's Python packages, the newest first, or where the system looks."""
    spec = find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = glob.glob(os.path.join(folder, "**", "libnvrtc.so.*"), recursive=True)
        # The newest knows the newest GPUs.
        yield from sorted(
            found, key=lambda name: [int(n) for n in re.findall(r"\d+", os.path.basename(name))], reverse=True
        )
    if system := find_library("nvrtc"):
        yield system


def code_of(source: str, architecture: str) -> bytes:
    """Return the code of a source for an architecture; raise NoCuda with the compiler's words if it refuses."""
    library, program = nvrtc(), ctypes.c_void_p()
    _check(library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None), "NVRTC")
    try:
        options = [f"--gpu-architecture={architecture}", "--std=c++17"]
        table = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        if library.nvrtcCompileProgram(program, len(options), table):
            raise NoCuda(f"NVRTC: {_text(library, program)}")
        size = ctypes.c_size_t()
        _check(library.nvrtcGetCUBINSize(program, ctypes.byref(size)), "NVRTC")
        code = ctypes.create_string_buffer(size.value)
        _check(library.nvrtcGetCUBIN(program, code), "NVRTC")
        return code.raw
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _text(library: ctypes.CDLL, program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(max(1, size.value))
    library.nvrtcGetProgramLog(program, text)
    return text.value.decode(errors="replace").strip()


@cache
def driver() -> ctypes.CDLL:
    """Return NVIDIA's driver; raise NoCuda if there is none."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise NoCuda("there is no NVIDIA driver") from None
    _check(library.cuInit(0), "cuInit")
    if not hasattr(library, "cuLibraryLoadData"):
        raise NoCuda("NVIDIA's driver is too old: one for CUDA 12 is needed")
    return library


@cache
def gpu(devices: tuple[int, ...]) -> Gpu:
    """Return what all of these GPUs have; NoCuda if they are too old or of different architectures."""

    def attribute(number: int) -> list[int]:
        values = []
        for device in devices:
            value = ctypes.c_int()
            _check(driver().cuDeviceGetAttribute(ctypes.byref(value), number, device), "cuDeviceGetAttribute")
            values.append(value.value)
        return values

    architectures = {*zip(attribute(_MAJOR), attribute(_MINOR), strict=True)}
    if len(architectures) > 1:
        raise NoCuda("the GPUs are of different architectures")
    ((major, minor),) = architectures
    if major < 8:
        raise NoCuda("the GPU is older than compute capability 8.0")
    return Gpu(min(attribute(_PROCESSORS)), min(attribute(_SHARED)), f"sm_{major}{minor}", devices)


def loaded(code: bytes, name: str, shared: int, devices: tuple[int, ...]) -> int:
    """Return the address of a kernel in loaded code, which may use `shared` bytes of shared memory; it stays loaded."""
    library, handle, kernel = driver(), ctypes.c_void_p(), ctypes.c_void_p()
    nothing = [None, None, ctypes.c_uint(0)]
    _check(library.cuLibraryLoadData(ctypes.byref(handle), code, *nothing, *nothing), "cuLibraryLoadData")
    _check(library.cuLibraryGetKernel(ctypes.byref(kernel), handle, name.encode()), "cuLibraryGetKernel")
    for device in devices:
        _check(library.cuKernelSetAttribute(_MOST_SHARED, shared, kernel, device), "cuKernelSetAttribute")
    return int(kernel.value or 0)


def address(name: str) -> int:
    """Return the address of a function of the driver."""
    return ctypes.cast(getattr(driver(), name), ctypes.c_void_p).value or 0


def _check(result: int, what: str) -> None:
    if result:
        raise NoCuda(f"{what} failed with {result}")
