"""The gradient of a look-up: the sum of all rows that were read from the same row of the table."""

from functools import partial

import llvmlite.ir as ir

from charrnn.compiled.cache import cached, key
from charrnn.compiled.code import I32, I64, PTR, Code
from charrnn.compiled.machine import Machine
from charrnn.compiled.product import REALS
from charrnn.compiled.scan import Native, this_machine


class RowSums(Native):
    """Fills sums, (table rows, width), from d, (n, width), and ids, (n,) of int32; sizes: n and the table's rows.

    The rows are added in their order, so that the sums do not depend on anything else.
    """

    def __init__(self, width: int, dtype: str, machine: Machine | None = None):
        machine = machine or this_machine()
        code = cached(key(machine, "row sums", width, dtype), partial(self._code, width, dtype, machine))
        super().__init__(machine.load(code), "row_sums")

    @staticmethod
    def _code(width: int, dtype: str, machine: Machine) -> bytes:
        module = ir.Module("row sums")
        module.triple = machine.triple
        code = Code(module, machine, REALS[dtype], "row_sums", [PTR, PTR])
        outputs, inputs = code.function.args
        sums = code.load(outputs, PTR)
        sizes, d, ids = (code.load(code.at(inputs, place, PTR), PTR) for place in range(3))
        n, rows = (code.load(code.at(sizes, place, I64), I64) for place in range(2))
        b = code.b
        with code.flushing():
            with code.loop(0, rows) as row:
                for u in code.columns(width):
                    code.store(code.number(0.0), code.at(code.at(sums, b.mul(row, code.i(width))), u))
            with code.loop(0, n) as place:
                source = code.at(d, b.mul(place, code.i(width)))
                row = b.sext(b.load(code.at(ids, place, I32), typ=I32), I64)
                to = code.at(sums, b.mul(row, code.i(width)))
                for u in code.columns(width):
                    code.store(code.add(code.load(code.at(to, u)), code.load(code.at(source, u))), code.at(to, u))
        b.ret_void()
        return machine.object_code(module)
