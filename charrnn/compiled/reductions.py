"""Reductions over a row of numbers, in a function that is being written."""

from collections.abc import Callable

import llvmlite.ir as ir

from charrnn.compiled.code import Code


class Row:
    """A row of `width` numbers."""

    def __init__(self, code: Code, width: int):
        self.code, self.width = code, width
        self.slots = [code.b.alloca(code.type), code.b.alloca(code.real)]

    def reduced(self, start: float, value: Callable[[ir.Value], ir.Value], combined: Callable) -> ir.Value:
        """Emit the reduction of the value of each column, from `start` on, to one number."""
        code, b = self.code, self.code.b
        b.store(code.number(start), self.slots[0])
        b.store(ir.Constant(code.real, start), self.slots[1])
        for u in code.columns(self.width):
            slot = self.slots[code.lanes == 1]
            b.store(combined(value(u), b.load(slot, typ=code.type)), slot)
        total = code.total(b.load(self.slots[0], typ=code.type), combined)
        return combined(total, b.load(self.slots[1], typ=code.real))
