"""The code of a scan: a loop over the steps, in which the loops of a layout and the products follow each other."""

from collections.abc import Sequence

import llvmlite.ir as ir

from charrnn.compiled.code import I64, PTR, Code, Rows
from charrnn.compiled.graph import Array, Kind, Node
from charrnn.compiled.layout import Group, Layout
from charrnn.compiled.product import Products
from charrnn.compiled.program import Place
from charrnn.compiled.step import Product

# Their rows are the same for all rows of the batch.
ONE_ROW = (Kind.ROW, Kind.SUM)


class ScanCode:
    """Emits `void name(void **outputs, void **inputs)` into a module.

    The first input is three int64: T, B, and whether to record what only the backward pass reads. The others, and the
    outputs, are those of the layout, in its order.
    """

    # What else a product is given.
    more: tuple[ir.Value, ...] = ()

    def __init__(self, products: Products, name: str, layout: Layout, backwards: bool):
        self.products, self.name, self.layout = products, name, layout
        self.code = code = Code(products.module, products.machine, products.real, name, [PTR, PTR])
        outputs, inputs = code.function.args
        sizes = code.load(inputs, PTR)
        self.steps, self.rows, self.recording = (code.load(code.at(sizes, n, I64), I64) for n in range(3))
        self.pointers = {
            (argument.name, argument.role): code.load(code.at(table, place, PTR), PTR)
            for table, arguments in ((inputs, [None, *layout.inputs]), (outputs, layout.outputs))
            for place, argument in enumerate(arguments)
            if argument is not None
        }
        self.bases = {
            array: self._constant(array) if array.value is not None else self.pointers[array.name, "all"]
            for array in layout.arrays
        }
        with code.flushing():
            self._begin()
            # Without rows there is nothing to do; a product would divide by their number.
            steps = code.b.select(code.b.icmp_signed(">", self.rows, code.i(0)), self.steps, code.i(0))
            with code.loop(0, steps, down=backwards) as self.t:
                self._step()
        code.b.ret_void()

    def _constant(self, array: Array) -> ir.Value:
        """Return the address of an array whose value is known."""
        real = self.code.real
        numbers = ir.Constant(ir.ArrayType(real, array.width), [ir.Constant(real, float(x)) for x in array.value])
        known = ir.GlobalVariable(self.code.module, numbers.type, f"{array.name} of {self.name}")
        known.initializer, known.linkage, known.global_constant = numbers, "internal", True
        return known

    def _begin(self) -> None:
        """Emit what comes before the steps: packed matrices, the state, and sums that start at 0."""
        code, b = self.code, self.code.b
        for matrix, transposed, k, n in self.layout.matrices:
            packed = self.pointers[f"packed {matrix}", "all"]
            self.products.pack(code, self.pointers[matrix, "all"], packed, k, n, transposed)
        for argument in self.layout.inputs:
            if argument.array is not None and argument.role != "all":
                size = b.mul(self.rows, code.i(argument.array.width))
                row = code.i(0) if argument.role == "first" else b.and_(self.steps, code.i(1))
                to = code.at(self.bases[argument.array], b.mul(row, size))
                code.use(1)
                with code.loop(0, size) as u:
                    code.store(code.load(code.at(self.pointers[argument.name, argument.role], u)), code.at(to, u))
                code.use(code.widest)
        for array in self.layout.arrays:
            if array.kind is Kind.SUM:
                for u in code.columns(array.width):
                    code.store(code.number(0.0), code.at(self.bases[array], u))

    def _step(self) -> None:
        """Emit a step: loops and products in turn."""
        program = self.layout.program
        self.now = {
            (array, following): self._of_step(array, following)
            for array in self.layout.arrays
            for following in (False, True)
        }
        # Where the values of expressions are; it grows with every loop.
        self.places = dict(program.known)
        for groups, product, fused in zip(
            self.layout.phases, [*program.products, None], [*program.fused, None], strict=True
        ):
            for group in groups:
                self._loop(group)
            if product is None or fused is None:
                continue
            operand, home = self._rows_of(Place(*product.operand.args)), self._rows_of(fused.home)
            self._product(product, operand, home, None if fused.start is None else self._rows_of(fused.start))
            # It has overwritten what it began with.
            overwritten = (fused.home.array, fused.home.following)
            self.places = {node: at for node, at in self.places.items() if (at.array, at.following) != overwritten}
            for low, block in fused.blocks:
                self.places[block] = Place(fused.home.array, low, fused.home.following)

    def _product(self, product: Product, a: Rows, c: Rows, z: Rows | None) -> None:
        """Emit c = z + a M for all rows, where M is the matrix of a product; without z, c = a M."""
        packed, tile = self.pointers[f"packed {product.matrix}", "all"], self.pointers["tile", "all"]
        self.products.multiply(self.code, product.rows, product.columns, self.rows, a, packed, c, z, tile, *self.more)

    def _of_step(self, array: Array, following: bool) -> ir.Value:
        """Return the address of an array's rows of this step, or of the following one."""
        code, b, t = self.code, self.code.b, self.t
        match array.kind:
            case Kind.STEP | Kind.STATE:
                index = b.add(t, code.i(1)) if following else t
                if array.kind is Kind.STEP and array not in self.layout.given:
                    index = b.mul(index, self.recording)
            case Kind.FLIP:
                even = b.and_(t, code.i(1))
                index = even if following else b.xor(even, code.i(1))
            case _:
                return self.bases[array]
        return code.at(self.bases[array], b.mul(index, b.mul(self.rows, code.i(array.width))))

    def _rows_of(self, place: Place) -> Rows:
        """Return the address of a place, and the distance of its rows."""
        length = 0 if place.array.kind in ONE_ROW else place.array.width
        return self.code.at(self.now[place.array, place.following], place.offset), length

    def _at(self, place: Place, m: ir.Value, u: ir.Value) -> ir.Value:
        """Return the address of column u of a place in row m."""
        code = self.code
        start, length = self._rows_of(place)
        return code.at(code.at(start, code.b.mul(m, code.i(length))), u)

    def _loop(self, group: Group) -> None:
        """Emit the loop that computes a group, and note where its results are."""
        code, b = self.code, self.code.b
        with code.loop(0, self.rows) as m:
            totals = []
            for _ in group.sums:
                # Once a call: in the loop, each turn would take more of the stack.
                with b.goto_entry_block():
                    vector, single = (b.alloca(kind) for kind in (code.type, code.real))
                b.store(code.number(0.0), vector)
                b.store(ir.Constant(code.real, 0.0), single)
                totals.append((vector, single))
            for u in code.columns(group.width):
                values: dict[Node, ir.Value] = {}
                results = [self._value(t.node, m, u, values) for t in group.targets]
                summands = [self._value(node.args[0], m, u, values) for node, _ in group.sums]
                for target, result in zip(group.targets, results, strict=True):
                    to = self._at(Place(target.array, target.offset, target.following), m, u)
                    code.store(code.add(code.load(to), result) if target.total else result, to)
                for pair, summand in zip(totals, summands, strict=True):
                    total = pair[0 if code.lanes > 1 else 1]
                    b.store(code.add(code.load(total), summand), total)
            for (_, array), (vector, single) in zip(group.sums, totals, strict=True):
                whole = code.total(code.load(vector))
                code.use(1)
                code.store(code.add(whole, code.load(single)), self._at(Place(array, 0), m, code.i(0)))
                code.use(code.widest)
        for target in group.targets:
            if target.node.op not in ("leaf", "const") and target.node.width == target.width and not target.total:
                self.places.setdefault(target.node, Place(target.array, target.offset, target.following))
        for node, array in group.sums:
            self.places[node] = Place(array, 0)

    def _value(self, node: Node, m: ir.Value, u: ir.Value, values: dict[Node, ir.Value]) -> ir.Value:
        """Return the value of an expression in row m at column u, and note it in `values`."""
        code = self.code
        if node not in values:
            place = self.places.get(node) or (Place(*node.args) if node.op == "leaf" else None)
            if place is not None and node.width == 1:
                values[node] = code.load_one(self._at(place, m, code.i(0)))
            elif place is not None:
                values[node] = code.load(self._at(place, m, u))
            elif node.op == "const":
                values[node] = code.number(node.args[0])
            else:
                operands: Sequence[ir.Value] = [self._value(x, m, u, values) for x in node.args]
                values[node] = code.elementwise(node.op, operands)
        return values[node]
