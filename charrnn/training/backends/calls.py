"""What both engines share: how a step is taken apart into calls, and when a look-up is a product."""

from collections.abc import Callable, Iterable
from typing import Any

# Up to so many rows, the gradient of a look-up is quicker as a product with one-hot rows than as a sum by segments.
ONE_HOT_ROWS = 256


class Answers:
    """The namespace `xp` of a step: another one, but for some functions, which `answer(name, x)` answers."""

    def __init__(self, xp: Any, names: Iterable[str], answer: Callable[[str, Any], Any]):
        self._xp = xp
        for name in names:
            setattr(self, name, lambda x, name=name: answer(name, x))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)
