"""Import less: what Keras takes along if it is installed, and no command needs there.

Keras has wrappers for scikit-learn and pictures by matplotlib, and importing these takes more than a second. A program
or a notebook of the user may want them, so only the processes that are charrnn's own leave them out.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

UNNEEDED = ("sklearn", "matplotlib")


def leave_out_unneeded() -> None:
    """Let Keras be imported without them from now on, in this process; before and after it they can be imported."""
    sys.meta_path.insert(0, _Hidden())


class _Hidden(MetaPathFinder):
    """Says that what is not needed is not installed, while Keras is being imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        keras = getattr(sys.modules.get("keras"), "__spec__", None)
        if name in UNNEEDED and getattr(keras, "_initializing", False):
            raise ModuleNotFoundError(f"Keras does not need {name} here.", name=name)
        return None
