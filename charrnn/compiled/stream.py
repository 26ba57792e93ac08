"""The code of a whole network: it reads characters, one step after the other, and draws those of a single text.

All functions have a table of pointers: first the arrays of the layout (`Pointers`), then those of CALLER. The state
alternates between two rows: step t, counted over all calls, reads one half of each state and writes the other one.
"""

import llvmlite.ir as ir

from charrnn.compiled.attention import AttentionCode, LookBack, Ring
from charrnn.compiled.code import I64, PTR, Code, Rows
from charrnn.compiled.emit import ScanCode
from charrnn.compiled.graph import Array
from charrnn.compiled.layout import Layout
from charrnn.compiled.product import Products
from charrnn.compiled.row import RowProducts
from charrnn.compiled.step import Product

F64 = ir.DoubleType()
# What the caller adds to the table of pointers. table: a row of zx for every id. numbers: int64, in the order of
# NUMBERS. reals: float64, in the order of REALS. ids: int64. logits: those of a step are `stride` numbers after those
# of the step before; with 0, only the last ones are kept. mask: is added to the logits before a draw. uniforms:
# float64, one for each draw. stops: a byte for every id, not 0 if drawing ends after it; and one more, for a draw from
# what is not a number. weights: memory for one row of logits. job: what several threads do together, for one text
# (`charrnn.compiled.team`). The others are those of attention.
CALLER = ("table", "numbers", "reals", "ids", "logits", "mask", "uniforms", "stops", "weights", "job", *Ring._fields)
NUMBERS = ("count", "rows", "t", "stride", "top_k")
REALS = ("temperature", "top_p", "min_p")


class Pointers:
    """The table of pointers of a layout: where each array is in it."""

    def __init__(self, layout: Layout):
        self.layout = layout
        names = [argument.name for argument in (*layout.inputs, *layout.outputs)]
        self.place = {name: place for place, name in enumerate([*names, *CALLER])}

    def load(self, code: Code, table: ir.Value, name: str) -> ir.Value:
        """Emit the load of a pointer."""
        return code.load(code.at(table, self.place[name], PTR), PTR)


class StepCode(ScanCode):
    """Emits `step(table, rows, t, ids)`: look up the ids, and step."""

    def __init__(
        self,
        products: Products | RowProducts,
        layout: Layout,
        zx: Array,
        logits: Array,
        one: bool,
        look_back: LookBack | None = None,
    ):
        self.attention = None if look_back is None else AttentionCode(products, look_back)
        self.products, self.name, self.layout = products, "step", layout  # type: ignore[assignment]
        self.code = code = Code(products.module, products.machine, products.real, self.name, [PTR, I64, I64, PTR])
        code.private()
        table, rows, self.t, ids = code.function.args
        self.rows = code.i(1) if one else rows
        self.recording = code.i(0)
        self.more = (Pointers(layout).load(code, table, "job"),) if one else ()
        self.table, self.zx, self.logits = Pointers(layout), zx, logits
        self.pointers = {
            (argument.name, argument.role): self.table.load(code, table, argument.name)
            for argument in (*layout.inputs, *layout.outputs)
        }
        self.bases = {
            array: self._constant(array) if array.value is not None else self.pointers[array.name, "all"]
            for array in layout.arrays
        }
        self.ring = Ring(*(self.table.load(code, table, name) for name in Ring._fields))
        looked_up = self.table.load(code, table, "table")
        with code.loop(0, self.rows) as m:
            row = code.at(looked_up, code.b.mul(code.load(code.at(ids, m, I64), I64), code.i(zx.width)))
            to = code.at(self.bases[zx], code.b.mul(m, code.i(zx.width)))
            for u in code.columns(zx.width):
                code.store(code.load(code.at(row, u)), code.at(to, u))
        self._step()
        code.b.ret_void()

    def _product(self, product: Product, a: Rows, c: Rows, z: Rows | None) -> None:
        if self.attention is None or product.matrix != self.attention.look_back.name:
            super()._product(product, a, c, z)
        else:
            assert z is not None
            self.attention.call(self.code, self.rows, a, self.ring, self.t, z, c)


class Caller:
    """A function that the caller calls: `void name(void **table)`."""

    def __init__(self, step: StepCode, name: str):
        self.step, products = step, step.products
        self.code = code = Code(products.module, products.machine, products.real, f"call {name}", [PTR])
        self.table = code.function.args[0]
        self.given = {name: step.table.load(code, self.table, name) for name in CALLER}
        numbers, reals = self.given["numbers"], self.given["reals"]
        self.numbers = {name: code.load(code.at(numbers, place, I64), I64) for place, name in enumerate(NUMBERS)}
        self.reals = {name: code.load(code.at(reals, place, F64), F64) for place, name in enumerate(REALS)}
        self.vocab = step.logits.width

    def at(self, name: str, offset: ir.Value | int, of: ir.Type | None = None) -> ir.Value:
        """Return the address of an element of one of the caller's arrays."""
        return self.code.at(self.given[name], offset, of)

    def steps(self, n: ir.Value, rows: ir.Value | int) -> ir.Value:
        """Emit step number n of this call, with its logits; return their address."""
        code, b = self.code, self.code.b
        rows = rows if isinstance(rows, ir.Value) else code.i(rows)
        t = b.add(self.numbers["t"], n)
        b.call(self.step.code.function, [self.table, rows, t, self.at("ids", b.mul(n, rows), I64)])
        size = b.mul(rows, code.i(self.vocab))
        half = b.mul(b.and_(t, code.i(1)), size)
        logits = code.at(self.step.table.load(code, self.table, self.step.logits.name), half)
        to = self.at("logits", b.mul(n, self.numbers["stride"]))
        with code.loop(0, rows) as m:
            for u in code.columns(self.vocab):
                at = b.add(b.mul(m, code.i(self.vocab)), u)
                code.store(code.load(code.at(logits, at)), code.at(to, at))
        return logits


def emit_read(step: StepCode, one: bool) -> None:
    """Emit `read`: step with given ids, (count, rows)."""
    caller = Caller(step, "read")
    code = caller.code
    with code.flushing(), code.loop(0, caller.numbers["count"]) as n:
        caller.steps(n, 1 if one else caller.numbers["rows"])
    code.b.ret_void()


def emit_help(step: StepCode) -> None:
    """Emit `help`: compute panels of products that another thread announces."""
    caller, products = Caller(step, "help"), step.products
    assert isinstance(products, RowProducts)
    products.team(caller.code).help(caller.code, caller.given["job"])


def emit_pack(step: StepCode) -> None:
    """Emit `pack`: pack the matrices, which all later calls read."""
    caller, products = Caller(step, "pack"), step.products
    assert isinstance(products, Products)
    for matrix, transposed, k, n in step.layout.matrices:
        source, packed = (step.table.load(caller.code, caller.table, name) for name in (matrix, f"packed {matrix}"))
        products.pack(caller.code, source, packed, k, n, transposed)
    caller.code.b.ret_void()
