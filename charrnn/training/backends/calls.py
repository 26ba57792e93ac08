"""Common code of both engines: how a step is divided into calls, and when a look-up is a product."""

from collections.abc import Callable, Iterable
from typing import Any

# Up to this many rows, the gradient of a look-up is faster as a product with one-hot rows than as a segment sum.
ONE_HOT_ROWS = 256


class Answers:
    """The namespace `xp` of a step: like another one, except that `answer(name, x)` computes some functions."""

    def __init__(self, xp: Any, names: Iterable[str], answer: Callable[[str, Any], Any]):
        self._xp = xp
        for name in names:
            setattr(self, name, lambda x, name=name: answer(name, x))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)
