"""When a backend may start: in tests that say so with a marker, there before whatever imports it first."""

import os
import re
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

MARKERS = ("trains", "backend")
_MODULE_IS_MARKED = re.compile(rf"^pytestmark = .*\bmark\.({'|'.join(MARKERS)})\b", re.MULTILINE)


def is_left_out(module: str, selected: str) -> bool:
    """Return whether no test of a module, given by its source, is selected by `-m selected`."""
    if selected.startswith("backend"):
        return "mark.backend" not in module
    if selected.startswith("(trains or backend)"):
        return not any(f"mark.{name}" in module for name in MARKERS)
    return "not trains" in selected and bool(_MODULE_IS_MARKED.search(module))


class Gate(MetaPathFinder):
    """Start the backend where a marked test or module imports it first; elsewhere such an import is an error."""

    def __init__(self) -> None:
        self.whose, self.open = "", False
        self.platforms, self.backend = os.environ.get("JAX_PLATFORMS", ""), os.environ.get("KERAS_BACKEND")

    def module(self, path: Path) -> None:
        """A module of tests is about to be imported."""
        self.whose, self.open = path.name, bool(_MODULE_IS_MARKED.search(path.read_text()))

    def test(self, item: Any) -> None:
        """A test is about to run; what it starts as a command inherits the environment."""
        self.whose, self.open = item.nodeid, any(item.get_closest_marker(name) for name in MARKERS)
        os.environ["JAX_PLATFORMS"] = self.platforms if self.open else "none: mark the test `trains`"
        # What this process has chosen meanwhile is not for the commands: they choose for themselves.
        if self.backend is None:
            os.environ.pop("KERAS_BACKEND", None)
        else:
            os.environ["KERAS_BACKEND"] = self.backend

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in ("keras", "tensorflow", "jax"):
            return None
        if not self.open:
            raise ImportError(f"{self.whose} imports {name}: mark it `trains`, so that `make quick` leaves it out.")
        sys.meta_path.remove(self)
        from charrnn.training.backends.choice import choose
        from charrnn.training.backends.start import start

        # Where shards must be equal: a row each, where it does not come out otherwise.
        start(2 if choose().shards(7, 2) == 2 else 8, float64=True, device="cpu")
        return spec_from_loader(name, _Loaded(sys.modules[name])) if name in sys.modules else None


class _Loaded(Loader):
    """Give a module that was imported meanwhile as it is."""

    def __init__(self, module: ModuleType):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec
