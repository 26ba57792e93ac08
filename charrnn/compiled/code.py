"""A builder of vector code: LLVM instructions on vectors of one floating-point type, loops, and arithmetic."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import llvmlite.ir as ir
import numpy as np

from charrnn.compiled.activations import Activations
from charrnn.compiled.machine import Machine

I8, I32, I64, PTR = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.PointerType()
# The address of a row, and how many numbers later the next row begins.
Rows = tuple[ir.Value, int]


def zeros(module: ir.Module, real: ir.Type, count: int) -> ir.GlobalVariable:
    """Return the zeros of a module, made at the first call; a module needs one length of them only."""
    known = module.globals.get("zeros")
    if known is None:
        known = ir.GlobalVariable(module, ir.ArrayType(real, count), "zeros")
        known.initializer, known.linkage = ir.Constant(known.value_type, None), "internal"
        known.global_constant = True
    return known


class Code(Activations):
    """A function that is being written. Its vectors have `lanes` numbers of the type `real`.

    Additions and multiplications may become one instruction that rounds once. Nothing else that LLVM calls fast is
    allowed: a NaN stays a NaN.
    """

    def __init__(self, module: ir.Module, machine: Machine, real: ir.Type, name: str, arguments: Sequence[ir.Type]):
        self.module, self.machine, self.real = module, machine, real
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.bytes = 8 if isinstance(real, ir.DoubleType) else 4
        self.widest = machine.vector_bytes // self.bytes
        self.use(self.widest)

    def use(self, lanes: int) -> None:
        """Let the following operations have `lanes` numbers; one is a scalar."""
        self.lanes = lanes
        self.type = ir.VectorType(self.real, lanes) if lanes > 1 else self.real

    def private(self) -> None:
        """Let only this module call the function, and let each call stay one."""
        self.function.linkage = "internal"
        # If every product got a copy of each kernel, compilation would take ten times as long.
        self.function.attributes.add("noinline")

    def i(self, value: int) -> ir.Constant:
        return ir.Constant(I64, value)

    def number(self, value: float) -> ir.Constant:
        """Return a constant in all lanes."""
        one = ir.Constant(self.real, float(np.float32(value)) if self.bytes == 4 else float(value))
        return one if self.lanes == 1 else ir.Constant(self.type, [one] * self.lanes)

    def integers(self, value: int) -> ir.Constant:
        """Return an integer as wide as a number, in all lanes."""
        one = ir.Constant(ir.IntType(8 * self.bytes), value)
        return one if self.lanes == 1 else ir.Constant(ir.VectorType(one.type, self.lanes), [one] * self.lanes)

    def splat(self, value: ir.Value) -> ir.Value:
        """Return a scalar in all lanes."""
        if self.lanes == 1:
            return value
        nothing = ir.Constant(self.type, ir.Undefined)
        one = self.b.insert_element(nothing, value, ir.Constant(I32, 0))
        return self.b.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def least(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """Return the smaller of two integers."""
        return self.b.select(self.b.icmp_signed("<", x, y), x, y)

    def at(self, pointer: ir.Value, offset: Any, of: ir.Type | None = None) -> ir.Value:
        """Return the address `offset` numbers (or other elements) after a pointer."""
        offset = offset if isinstance(offset, ir.Value) else self.i(offset)
        return self.b.gep(pointer, [offset], source_etype=of or self.real)

    def load(self, pointer: ir.Value, kind: ir.Type | None = None) -> ir.Value:
        # Without an alignment LLVM would expect that of the whole vector.
        return self.b.load(pointer, align=self.bytes, typ=kind or self.type)

    def load_one(self, pointer: ir.Value) -> ir.Value:
        """Return a number in all lanes."""
        return self.splat(self.load(pointer, self.real))

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        self.b.store(value, pointer, align=self.bytes)

    def call(self, name: str, *operands: ir.Value) -> ir.Value:
        """Call an intrinsic of LLVM on numbers of the present lanes."""
        suffix = f"f{8 * self.bytes}" if self.lanes == 1 else f"v{self.lanes}f{8 * self.bytes}"
        return self.b.call(self._declared(f"{name}.{suffix}", self.type, [self.type] * len(operands)), operands)

    def _declared(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, ir.FunctionType(result, arguments), name)

    def pause(self) -> None:
        """Tell the processor that this thread waits."""
        if self.machine.x86:
            self.b.call(self._declared("llvm.x86.sse2.pause", ir.VoidType(), []), [])
        elif self.machine.triple.startswith(("aarch64", "arm64")):
            self.b.call(self._declared("llvm.aarch64.hint", ir.VoidType(), [I32]), [ir.Constant(I32, 1)])

    def library(self, name: str, x: ir.Value) -> ir.Value:
        """Call a function of the C library on each number."""
        function = self._declared(name, self.real, [self.real])
        if self.lanes == 1:
            return self.b.call(function, [x])
        result: ir.Value = ir.Constant(self.type, ir.Undefined)
        for lane in range(self.lanes):
            place = ir.Constant(I32, lane)
            one = self.b.call(function, [self.b.extract_element(x, place)])
            result = self.b.insert_element(result, one, place)
        return result

    @contextmanager
    def loop(self, start: Any, stop: Any, step: Any = 1, down: bool = False) -> Iterator[ir.Value]:
        """Yield an index that runs over start, start + step, ... < stop, or down from stop - 1 to start."""
        b = self.b
        start, stop, step = (value if isinstance(value, ir.Value) else self.i(value) for value in (start, stop, step))
        before, head, body, after = b.block, *(b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        count = b.phi(I64)
        count.add_incoming(start, before)
        b.cbranch(b.icmp_signed("<", count, stop), body, after)
        b.position_at_end(body)
        yield b.sub(b.add(start, b.sub(stop, self.i(1))), count) if down else count
        count.add_incoming(b.add(count, step, flags=("nsw",)), b.block)
        b.branch(head)
        b.position_at_end(after)

    def columns(self, width: int) -> Iterator[ir.Value]:
        """Yield the columns of a row: in a loop of whole vectors, and in one of single numbers for the rest."""
        whole = width // self.widest * self.widest
        for lanes, start, stop in ((self.widest, 0, whole), (1, whole, width)):
            if start < stop:
                self.use(lanes)
                with self.loop(start, stop, lanes) as u:
                    yield u
        self.use(self.widest)

    def add(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.fadd(x, y, flags=("contract",))

    def subtract(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.fsub(x, y, flags=("contract",))

    def multiply(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.fmul(x, y, flags=("contract",))

    def divide(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.fdiv(x, y)

    def fma(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        """Return x * y + z, rounded once where the processor can: `llvm.fma` would call the C library elsewhere."""
        return self.call("llvm.fmuladd", x, y, z)

    def maximum(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """Return the larger number, or NaN if one is."""
        larger = self.b.fcmp_ordered(">", x, y)
        return self.b.select(self.b.or_(larger, self.b.fcmp_unordered("uno", x, x)), x, y)

    def greater(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """Return 1 where x > y, else 0."""
        return self.b.select(self.b.fcmp_ordered(">", x, y), self.number(1.0), self.number(0.0))

    def not_less(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """Return 1 where x >= y, else 0."""
        return self.b.select(self.b.fcmp_ordered(">=", x, y), self.number(1.0), self.number(0.0))

    def rsqrt(self, x: ir.Value) -> ir.Value:
        return self.divide(self.number(1.0), self.call("llvm.sqrt", x))

    def total(self, x: ir.Value, combined: Callable[..., ir.Value] | None = None) -> ir.Value:
        """Return all lanes combined, by default their sum; halves are combined first."""
        if self.lanes == 1:
            return x
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            low, high = (
                self.b.shuffle_vector(x, x, ir.Constant(ir.VectorType(I32, lanes), list(range(first, first + lanes))))
                for first in (0, lanes)
            )
            x = (combined or self.add)(low, high)
        return self.b.extract_element(x, ir.Constant(I32, 0))

    def transposed(self, rows: Sequence[ir.Value]) -> list[ir.Value]:
        """Return the columns of a square, as many vectors as lanes.

        At each stage pairs of rows exchange blocks: the upper row gives its right one for the lower row's left one.
        """
        lines, size = list(rows), 1
        while size < self.lanes:
            for upper in (row for row in range(self.lanes) if not row & size):
                pair = lines[upper], lines[upper + size]
                # Numbers from `lanes` on are those of the lower row.
                left = [n if not n & size else n - size + self.lanes for n in range(self.lanes)]
                right = [n + size if not n & size else n + self.lanes for n in range(self.lanes)]
                lines[upper], lines[upper + size] = (
                    self.b.shuffle_vector(*pair, ir.Constant(ir.VectorType(I32, self.lanes), places))
                    for places in (left, right)
                )
            size *= 2
        return lines

    def elementwise(self, op: str, operands: Sequence[ir.Value]) -> ir.Value:
        """Return an elementwise operation of `charrnn.compiled.graph` on values."""
        return getattr(self, op)(*operands)

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Flush denormal numbers to zero inside, as TensorFlow's threads do: they would be a hundred times as slow."""
        if not self.machine.x86:
            yield
            return
        b, slot = self.b, self.b.alloca(I32, size=2)
        new = self.at(slot, 1, I32)
        save, restore = (
            self._declared(f"llvm.x86.sse.{name}", ir.VoidType(), [PTR]) for name in ("stmxcsr", "ldmxcsr")
        )
        b.call(save, [slot])
        b.store(b.or_(b.load(slot, typ=I32), ir.Constant(I32, 0x8040)), new)
        b.call(restore, [new])
        yield
        b.call(restore, [slot])
