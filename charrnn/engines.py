"""Who computes cells: the names of engines, how matrices are stored, and where code can be compiled."""

import platform
from importlib.util import find_spec

AUTO, COMPILED, FRAMEWORK, NUMPY = "auto", "compiled", "framework", "numpy"
# In training, and when a model is used; AUTO compiles where that is possible and better.
OF_TRAINING = (AUTO, COMPILED, FRAMEWORK)
OF_USE = (AUTO, COMPILED, NUMPY)
# How a model in use stores the matrices of its products; the first is the default.
WEIGHTS = ("float32", "bf16", "int8")
_PROCESSORS = ("x86_64", "amd64", "arm64", "aarch64")


def cannot_compile() -> str | None:
    """Return why no code can be compiled here; None if it can be."""
    if platform.machine().lower() not in _PROCESSORS:
        return f"there is no compiler here for {platform.machine()}"
    return None if find_spec("llvmlite") else "llvmlite is not installed (pip install llvmlite)"
