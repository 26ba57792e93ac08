"""Dropout whose masks are computed where they are used, so that none is stored (Srivastava et al. 2014).

The random numbers are those of Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four
words for each counter. A counter is (place in a row and time, row of the batch and layer, number of the step): a mask
does not depend on how a batch is cut.
"""

from collections.abc import Sequence

import llvmlite.ir as ir

from charrnn.compiled.cache import cached, key
from charrnn.compiled.code import I32, I64, PTR, Code
from charrnn.compiled.machine import Machine
from charrnn.compiled.product import REALS
from charrnn.compiled.scan import Native, this_machine

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85


class Dropout(Native):
    """Fills y, (T, rows, units), from x of the same shape: x / (1 - rate), or 0 at the `rate`.

    sizes: T and rows. A second input has words of 32 bits: the seed (low, high), the step's number (low, high), the
    layer, and the number of the first row in the whole batch.
    """

    def __init__(self, units: int, rate: float, dtype: str, machine: Machine | None = None):
        machine = machine or this_machine()

        def make() -> bytes:
            module = ir.Module("dropout")
            module.triple = machine.triple
            _Masking(Code(module, machine, REALS[dtype], "dropout", [PTR, PTR]), units, rate)
            return machine.object_code(module)

        code = cached(key(machine, "dropout", units, rate, dtype), make)
        super().__init__(machine.load(code), "dropout")


class _Masking:
    """Emits the code of `Dropout`."""

    def __init__(self, code: Code, units: int, rate: float):
        self.code, self.units = code, units
        self.threshold, self.scale = min(round(rate * 2**32), 2**32 - 1), 1.0 / (1.0 - rate)
        b = code.b
        outputs, inputs = code.function.args
        y = code.load(outputs, PTR)
        sizes, x, words = (code.load(code.at(inputs, place, PTR), PTR) for place in range(3))
        steps, rows = (code.load(code.at(sizes, place, I64), I64) for place in range(2))
        *seed, low, high, layer, first = (b.load(code.at(words, place, I32), typ=I32) for place in range(6))
        self.keys = [seed]
        for _ in range(ROUNDS - 1):
            self.keys.append(
                [b.add(word, ir.Constant(I32, weyl)) for word, weyl in zip(self.keys[-1], WEYL, strict=True)]
            )
        # A number of a row has 24 bits, and that of a layer 8.
        of_layer = b.shl(layer, ir.Constant(I32, 24))
        quarter = -(-units // 4)
        whole = max(0, units - 3 * quarter) // code.widest * code.widest
        with code.loop(0, steps) as t, code.loop(0, rows) as m:
            row = b.or_(of_layer, b.add(first, b.trunc(m, I32)))
            start = b.mul(b.add(b.mul(t, rows), m), code.i(units))
            before = b.trunc(b.mul(t, code.i(quarter)), I32)
            line = [code.at(pointer, start) for pointer in (x, y)]
            for lanes, begin, end in ((code.widest, 0, whole), (1, whole, quarter)):
                if begin < end:
                    code.use(lanes)
                    with code.loop(begin, end, lanes) as u:
                        counter = self._counters(b.add(before, b.trunc(u, I32)))
                        noise = self._philox([counter, *(self._all(word) for word in (row, low, high))])
                        for place, word in enumerate(noise):
                            self._drop(line, b.add(u, code.i(place * quarter)), word)
            code.use(code.widest)
        b.ret_void()

    def _drop(self, line: Sequence[ir.Value], column: ir.Value, noise: ir.Value) -> None:
        """Emit the numbers of a row from a column on, as many as lanes; beyond the row, nothing."""
        code, b = self.code, self.code.b
        if code.lanes == 1:
            with b.if_then(b.icmp_signed("<", column, code.i(self.units))):
                self._store(line, column, noise)
        else:
            self._store(line, column, noise)

    def _store(self, line: Sequence[ir.Value], column: ir.Value, noise: ir.Value) -> None:
        code, b = self.code, self.code.b
        x, y = (code.at(pointer, column) for pointer in line)
        kept = b.icmp_unsigned(">=", noise, self._constant(self.threshold))
        # A selection, as 0 times infinity would not be 0.
        code.store(b.select(kept, code.multiply(code.load(x), code.number(self.scale)), code.number(0.0)), y)

    def _words(self, of: ir.Type = I32) -> ir.Type:
        return of if self.code.lanes == 1 else ir.VectorType(of, self.code.lanes)

    def _constant(self, value: int) -> ir.Constant:
        one = ir.Constant(I32, value)
        return one if self.code.lanes == 1 else ir.Constant(self._words(), [one] * self.code.lanes)

    def _all(self, word: ir.Value) -> ir.Value:
        """Return a word in all lanes."""
        if self.code.lanes == 1:
            return word
        nothing = ir.Constant(self._words(), ir.Undefined)
        one = self.code.b.insert_element(nothing, word, ir.Constant(I32, 0))
        return self.code.b.shuffle_vector(one, nothing, ir.Constant(self._words(), [0] * self.code.lanes))

    def _counters(self, first: ir.Value) -> ir.Value:
        """Return first, first + 1, ... in the lanes."""
        if self.code.lanes == 1:
            return first
        return self.code.b.add(self._all(first), ir.Constant(self._words(), list(range(self.code.lanes))))

    def _philox(self, counter: Sequence[ir.Value]) -> list[ir.Value]:
        """Return four random words for a counter of four words."""
        b, (c0, c1, c2, c3) = self.code.b, counter
        for words in self.keys:
            (high0, low0), (high1, low1) = (
                self._product(word, multiplier) for word, multiplier in zip((c0, c2), MULTIPLIERS, strict=True)
            )
            c0, c2 = (
                b.xor(b.xor(high, other), self._all(part))
                for high, other, part in ((high1, c1, words[0]), (high0, c3, words[1]))
            )
            c1, c3 = low1, low0
        return [c0, c1, c2, c3]

    def _product(self, word: ir.Value, multiplier: int) -> tuple[ir.Value, ir.Value]:
        """Return the high and the low word of a product."""
        b, lanes = self.code.b, self.code.lanes
        if lanes == 1:
            whole = b.mul(b.zext(word, I64), ir.Constant(I64, multiplier))
            return b.trunc(b.lshr(whole, ir.Constant(I64, 32)), I32), b.trunc(whole, I32)
        # A processor multiplies the lower halves of 64 bits: the words in even places, then those in odd ones.
        pairs, words = ir.VectorType(I64, lanes // 2), self._words()
        factor, low, half = (ir.Constant(pairs, [n] * (lanes // 2)) for n in (multiplier, 2**32 - 1, 32))
        both = b.bitcast(word, pairs)
        even, odd = b.mul(b.and_(both, low), factor), b.mul(b.lshr(both, half), factor)
        upper = b.or_(b.lshr(even, half), b.and_(odd, b.not_(low)))
        lower = b.or_(b.and_(even, low), b.shl(odd, half))
        return b.bitcast(upper, words), b.bitcast(lower, words)
