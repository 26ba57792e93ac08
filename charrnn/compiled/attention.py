"""The code of attention: a step of one text (`charrnn.network.attention` has the equations)."""

from collections.abc import Iterator
from typing import NamedTuple

import llvmlite.ir as ir

from charrnn.compiled.code import I64, PTR, Code, Rows
from charrnn.compiled.product import Products
from charrnn.compiled.reductions import Row
from charrnn.compiled.row import RowProducts

# How many vectors of a sum are in registers at once.
WIDE = 8


class LookBack(NamedTuple):
    """Attention in the trace of a network: the product of this `name`, of query, key and value, is what it adds.

    n: how many characters before it sees. key, value: their widths.
    """

    name: str
    n: int
    key: int
    value: int


class Ring(NamedTuple):
    """Pointers to what a text remembers, as `charrnn.inference.attention.Attention` has it, and to other arrays.

    keys, values, length: of the texts, one after the other. distances: the keys of the distances, from 0 on. scores:
    memory for the scores of one text.
    """

    keys: ir.Value
    values: ir.Value
    length: ir.Value
    distances: ir.Value
    scores: ir.Value


class AttentionCode:
    """Emits `attend(made, keys, values, length, distances, scores, at, z, c)`: c = z + what the text looks back at.

    made: query, key and value; the last two are remembered. at: their place in the ring.
    """

    def __init__(self, products: Products | RowProducts, look_back: LookBack):
        self.look_back, self.size = look_back, look_back.n + 1
        self.code = code = Code(products.module, products.machine, products.real, "attend", [PTR] * 6 + [I64, PTR, PTR])
        code.private()
        made, *ring, at, z, c = code.function.args
        self.ring, self.row = Ring(*ring), Row(code, self.size)
        self._remember(made, at)
        # Of the last `size` places, in the order of time: the first one, and how many belong to earlier documents.
        first, low = code.b.add(at, code.i(1)), code.b.sub(code.i(self.size), self._lengthened())
        self._score(made, first, low)
        self._sum(first, low, self._weigh(), z, c)
        code.b.ret_void()

    def call(self, code: Code, rows: ir.Value, made: Rows, ring: Ring, t: ir.Value, z: Rows, c: Rows) -> None:
        """Emit the calls for all rows, at step t."""
        b, (_, n, key, value) = code.b, self.look_back
        at = b.srem(t, code.i(self.size))
        with code.loop(0, rows) as m:

            def of(pointer: ir.Value, length: int, m: ir.Value = m) -> ir.Value:
                return code.at(pointer, b.mul(m, code.i(length)))

            own = [of(ring.keys, 2 * (n + 1) * key), of(ring.values, 2 * (n + 1) * value), code.at(ring.length, m, I64)]
            b.call(self.code.function, [of(*made), *own, ring.distances, ring.scores, at, of(*z), of(*c)])

    def _remember(self, made: ir.Value, at: ir.Value) -> None:
        """Emit the copies of key and value to both of their places."""
        code, b, (_, _, key, value) = self.code, self.code.b, self.look_back
        for place in (at, b.add(at, code.i(self.size))):
            for kept, start, width in ((self.ring.keys, key, key), (self.ring.values, 2 * key, value)):
                to = code.at(kept, b.mul(place, code.i(width)))
                for u in code.columns(width):
                    code.store(code.load(code.at(code.at(made, start), u)), code.at(to, u))

    def _lengthened(self) -> ir.Value:
        """Emit the new length."""
        code, b = self.code, self.code.b
        longer = b.add(code.load(self.ring.length, I64), code.i(1))
        length = b.select(b.icmp_signed("<", longer, code.i(self.size)), longer, code.i(self.size))
        code.store(length, self.ring.length)
        return length

    def _score(self, query: ir.Value, first: ir.Value, low: ir.Value) -> None:
        """Emit the scores of all places."""
        code, b, scores, key = self.code, self.code.b, self.ring.scores, self.look_back.key
        real, scale = code.real, self.look_back.key**-0.5
        dots = Row(code, key)
        with code.loop(0, low) as j:
            code.store(ir.Constant(real, float("-inf")), code.at(scores, j))
        with code.loop(low, self.size) as j:
            near = code.at(self.ring.keys, b.mul(b.add(first, j), code.i(key)))
            distance = code.at(self.ring.distances, b.mul(b.sub(code.i(self.size - 1), j), code.i(key)))

            def product(u: ir.Value, near: ir.Value = near, distance: ir.Value = distance) -> ir.Value:
                whole = code.add(code.load(code.at(near, u)), code.load(code.at(distance, u)))
                return code.multiply(code.load(code.at(query, u)), whole)

            score = b.fmul(dots.reduced(0.0, product, code.add), ir.Constant(real, scale))
            code.store(score, code.at(scores, j))

    def _weigh(self) -> ir.Value:
        """Emit the weights without their common divisor, in place of the scores; return the divisor."""
        code, scores = self.code, self.ring.scores

        def weight(u: ir.Value) -> ir.Value:
            return code.load(code.at(scores, u))

        top = self.row.reduced(float("-inf"), weight, code.maximum)
        for u in code.columns(self.size):
            code.store(code.exp(code.subtract(weight(u), code.splat(top))), code.at(scores, u))
        return self.row.reduced(0.0, weight, code.add)

    def _sum(self, first: ir.Value, low: ir.Value, divisor: ir.Value, z: ir.Value, c: ir.Value) -> None:
        """Emit the weighted sum of the values."""
        code, b, width = self.code, self.code.b, self.look_back.value
        for start, vectors in self._pieces():
            # Once a call: in the loop, each turn would take more of the stack.
            with b.goto_entry_block():
                slots = [b.alloca(code.type) for _ in range(vectors)]
            for slot in slots:
                b.store(code.number(0.0), slot)
            with code.loop(low, self.size) as j:
                weight = code.load_one(code.at(self.ring.scores, j))
                line = code.at(code.at(self.ring.values, b.mul(b.add(first, j), code.i(width))), start)
                for place, slot in enumerate(slots):
                    value = code.load(code.at(line, place * code.lanes))
                    b.store(code.fma(weight, value, b.load(slot, typ=code.type)), slot)
            for place, slot in enumerate(slots):
                at = b.add(start, code.i(place * code.lanes))
                total = code.divide(b.load(slot, typ=code.type), code.splat(divisor))
                code.store(code.add(code.load(code.at(z, at)), total), code.at(c, at))

    def _pieces(self) -> Iterator[tuple[ir.Value, int]]:
        """Yield the first column of each piece of a row, in loops, and how many vectors it has."""
        code, edge = self.code, 0
        for lanes, vectors in ((code.widest, WIDE), (code.widest, 1), (1, 1)):
            step = lanes * vectors
            stop = edge + (self.look_back.value - edge) // step * step
            if stop > edge:
                code.use(lanes)
                with code.loop(edge, stop, step) as start:
                    yield start, vectors
            edge = stop
        code.use(code.widest)
