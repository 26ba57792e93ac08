"""Import less, and sooner: what Keras and TensorFlow take along if it is installed, and no command needs there.

Keras has wrappers for scikit-learn and pictures by matplotlib, and TensorFlow converts what JAX has; importing these
takes more than a second. A program or a notebook of the user may want them, so only the processes that are charrnn's
own leave them out.
"""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# By the package that would import them.
UNNEEDED = {"keras": ("sklearn", "matplotlib"), "tensorflow": ("jax",)}


def leave_out_unneeded() -> None:
    """Let packages be imported without them from now on, in this process; before and after they can be imported."""
    sys.meta_path.insert(0, _Hidden())


class _Hidden(MetaPathFinder):
    """Says that what a package does not need is not installed, while that package is being imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        for package, unneeded in UNNEEDED.items():
            spec = getattr(sys.modules.get(package), "__spec__", None)
            if name in unneeded and getattr(spec, "_initializing", False):
                raise ModuleNotFoundError(f"{package} does not need {name} here.", name=name)
        return None


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the search for garbage while Keras is imported: it would go through all new objects again and again.

    In a process that is charrnn's own, it will never go through what was there at the end: modules stay.
    """
    first, enabled = "keras" not in sys.modules, gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if first and any(isinstance(finder, _Hidden) for finder in sys.meta_path):
            gc.freeze()
        if enabled:
            gc.enable()
