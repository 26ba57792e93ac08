"""The lines of a step in a kernel: its expressions and products in order, each number in a register.

Operands are sent as soon as they are computed. What the backward pass reads is stored afterwards, while the other CTAs
are awaited; backwards, the inputs of the next step are loaded then too.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from charrnn.compiled.cuda.access import Access, Operand, Slot, number, operand_of
from charrnn.compiled.cuda.tiles import NoTiles
from charrnn.compiled.graph import Array, Kind, Node
from charrnn.compiled.layout import Group, Layout
from charrnn.compiled.program import Fused, Place
from charrnn.compiled.step import Product

INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
COMPARISONS = {"greater": ">", "not_less": ">="}
FUNCTIONS = {
    "tanh": "f_tanh",
    "exp": "expf",
    "rsqrt": "rsqrtf",
    "sigmoid": "f_sigmoid",
    "log_sigmoid": "f_log_sigmoid",
    "maximum": "f_maximum",
}
HERE = "// The next step is loaded here."


class Input(NamedTuple):
    """An input that a step loads: the name of the registers, and where it is; narrow: one number for each row."""

    name: str
    slot: Slot
    narrow: bool


class StepLines:
    """The lines of a step.

    matrices: the names of the matrices in registers, by name and whether transposed. carried: the names of what goes
    from step to step. recording: whether to store what only the backward pass reads. Afterwards, `before` are the lines
    that come before the first step, and `totals` the names of what is added up over the steps.
    """

    def __init__(
        self,
        access: Access,
        layout: Layout,
        matrices: Mapping[tuple[str, bool], str],
        carried: Mapping[Slot, str],
        recording: bool,
    ):
        self.access, self.layout, self.tiles = access, layout, access.tiles
        self.matrices, self.carried, self.recording = matrices, carried, recording
        self.before: list[str] = []
        self.totals: dict[tuple[Array, int], str] = {}
        self._inputs: dict[Slot, Input] = {}
        # Where each expression is, by block of units; what each slot holds; and what is not stored yet.
        self._values: dict[tuple[Node, int], str] = {}
        self._slots: dict[Slot, str] = dict(carried)
        self._unstored: dict[Slot, str] = {}
        self._places = dict(layout.program.known)
        self._lines: list[str] = []
        self._emit()
        self.before += [f"float {name}[ELEMENTS]; EACH {name}[e] = 0;" for name in self.totals.values()]
        self.lines = self._with_loads()

    def begins_with(self, operand: Operand) -> bool:
        """Return whether an operand is known before the first step: then each step sends that of the next."""
        return all(slot in self.carried for slot in self.access.slots(operand, False))

    def _emit(self) -> None:
        access, program = self.access, self.layout.program
        awaited: list[Operand] = []
        unsent = list(access.operands)
        for place, (groups, product, fused) in enumerate(
            zip(self.layout.phases, [*program.products, None], [*program.fused, None], strict=True)
        ):
            for group in groups:
                self._group(group)
            unsent = self._send_ready(unsent, place)
            if product is None or fused is None:
                continue
            operand = operand_of(product)
            if operand in awaited:
                self._lines.append("__syncthreads();")
            else:
                self._store()
                awaited.append(operand)
                if len(awaited) == len(access.operands):
                    self._lines.append(HERE)
                self._lines.append(access.wait(operand))
            self._product(product, fused)
            unsent = self._send_ready(unsent, place + 1)
        self._store()
        self._carry()

    def _carry(self) -> None:
        """Emit the copies of what the next step finds; a new state may be an old one, so all are read first."""
        news = {name: self._slots.get((array, True, offset)) for (array, _, offset), name in self.carried.items()}
        changed = {name: new for name, new in news.items() if new is not None}
        read = {
            name: self._computed(f"{new}[e]") if new in self.carried.values() else new for name, new in changed.items()
        }
        self._lines += [f"EACH {name}[e] = {new}[e];" for name, new in read.items()]

    def _with_loads(self) -> list[str]:
        """Return the lines with the loads of inputs: at the begin, or backwards those of the next step at HERE."""
        access, inputs = self.access, self._inputs.values()
        if not access.backwards:
            loads = [
                line
                for x in inputs
                for line in (f"float {x.name}[ELEMENTS];", access.load(x.slot, x.narrow, x.name, "n"))
            ]
            return [*loads, *(line for line in self._lines if line != HERE)]
        following = f"(n + 1 < {access.steps} ? n + 1 : n)"
        ahead, taken = [], []
        for x in inputs:
            self.before += [f"float {x.name}[ELEMENTS];", access.load(x.slot, x.narrow, x.name, "0")]
            ahead += [f"float next_{x.name}[ELEMENTS];", access.load(x.slot, x.narrow, f"next_{x.name}", following)]
            taken.append(f"EACH {x.name}[e] = next_{x.name}[e];")
        at = self._lines.index(HERE) if HERE in self._lines else len(self._lines)
        return [*self._lines[:at], *ahead, *self._lines[at + 1 :], *taken]

    def _send_ready(self, unsent: Sequence[Operand], done: int) -> list[Operand]:
        """Emit the sending of the operands that are complete after so many products; return the others."""
        program, left = self.layout.program, []
        # What a product begins with is in its home before it.
        unfinished = {(fused.home.array, fused.home.following) for fused in program.fused[done:]}
        unread = [operand_of(product) for product in program.products[done:]]
        for operand in unsent:
            following = self.begins_with(operand)
            slots = self.access.slots(operand, following)
            # That of the next step must not be sent before this step's was read: the count would be wrong.
            too_early = (operand[0], following) in unfinished or (following and operand in unread)
            if not too_early and all(slot in self._slots for slot in slots):
                names = [self._slots[slot] for slot in slots]
                self._lines += self.access.send(operand, names, "n + 1" if following else "n")
            else:
                left.append(operand)
        return left

    def _store(self) -> None:
        """Emit the stores of what was computed."""
        for (array, following, offset), name in self._unstored.items():
            wanted = array.kind is Kind.STATE or (array.kind is Kind.STEP and self.recording)
            if wanted and (array.name, "all") in self.access.pointers:
                self._lines.append(self.access.store(array, offset, name, "t + 1" if following else "t"))
        self._unstored = {}

    def _hold(self, slot: Slot, name: str) -> None:
        self._slots[slot] = self._unstored[slot] = name

    def _group(self, group: Group) -> None:
        """Emit the expressions of a group."""
        for block in range(group.width // self.tiles.units):
            names = [self._named(self._value(target.node, block)) for target in group.targets]
            for target, name in zip(group.targets, names, strict=True):
                offset = target.offset + block * self.tiles.units
                if target.total:
                    total = self.totals.setdefault((target.array, offset), self.access.new_name("sum"))
                    self._lines.append(f"EACH if (mine[e]) {total}[e] += {name}[e];")
                else:
                    self._hold((target.array, target.following, offset), name)

    def _named(self, value: str) -> str:
        """Return the name of the registers that have a value, which may be a number."""
        return value.removesuffix("[e]") if value.endswith("[e]") else self._computed(value)

    def _computed(self, value: str) -> str:
        """Emit the computation of a value; return the name of its registers."""
        name = self.access.new_name()
        self._lines.append(f"float {name}[ELEMENTS]; EACH {name}[e] = {value};")
        return name

    def _value(self, node: Node, block: int) -> str:
        """Return the value of an expression in row e, and emit what is needed for it."""
        block = 0 if node.width in (None, 1) else block
        if (node, block) not in self._values:
            place = self._places.get(node) or (Place(*node.args) if node.op == "leaf" else None)
            if place is not None:
                value = self._read(place, block, node.width == 1)
            elif node.op == "const":
                value = number(node.args[0])
            else:
                value = f"{self._computed(operation(node.op, [self._value(x, block) for x in node.args]))}[e]"
            self._values[node, block] = value
        return self._values[node, block]

    def _read(self, place: Place, block: int, narrow: bool = False) -> str:
        """Return the value at a place: in registers already, or an input."""
        slot = (place.array, place.following, place.offset + (0 if narrow else block * self.tiles.units))
        if slot in self._slots:
            return f"{self._slots[slot]}[e]"
        if slot not in self._inputs:
            known = Input(self.access.new_name("in"), slot, narrow)
            if place.array.kind is Kind.ROW:
                # It is the same at every step.
                self.before += [f"float {known.name}[ELEMENTS];", self.access.load(slot, narrow, known.name, "0")]
                self._slots[slot] = known.name
                return f"{known.name}[e]"
            self._inputs[slot] = known
        return f"{self._inputs[slot].name}[e]"

    def _product(self, product: Product, fused: Fused) -> None:
        """Emit a product: in passes of some rows, whose parts are added by the threads that have them."""
        tiles, home = self.tiles, fused.home
        matrix = self.matrices[product.matrix, product.transposed]
        names = [self.access.new_name("r") for _ in range(product.columns // tiles.units)]
        starts = [self._read(fused.start, block) if fused.start else "0.0f" for block in range(len(names))]
        self._lines += [f"float {name}[ELEMENTS];" for name in names]
        elements = max(1, tiles.at_once * tiles.slice // tiles.threads)
        for turn in range(tiles.rows // tiles.at_once):
            first = turn * tiles.at_once
            operand = self.access.operand_at(operand_of(product), "n", f"first_row + {first}")
            self._lines += ["__syncthreads();"] if turn else []
            self._lines += [f"{matrix}.run({operand}, parts);", "__syncthreads();"]
            loop = f'_Pragma("unroll") for (int e = {turn * elements}; e < {(turn + 1) * elements}; ++e)'
            # The threads beyond the rows read what they need not.
            row = f"min(row[e] - first_row, ROWS - 1) - {first}"
            self._lines += [
                f"{loop} {name}[e] = {start} + {matrix}.total(parts, {row}, {block}, column);"
                for block, (name, start) in enumerate(zip(names, starts, strict=True))
            ]
        overwritten = (home.array, home.following)
        self._places = {node: at for node, at in self._places.items() if (at.array, at.following) != overwritten}
        for block, name in enumerate(names):
            self._hold((home.array, home.following, home.offset + block * tiles.units), name)
        for low, node in fused.blocks:
            self._places[node] = Place(home.array, low, home.following)
            for block in range((node.width or tiles.units) // tiles.units):
                self._values[node, block] = f"{names[low // tiles.units + block]}[e]"


def operation(op: str, x: Sequence[str]) -> str:
    """Return an elementwise operation in C."""
    if op in INFIX:
        return f"{x[0]} {INFIX[op]} {x[1]}"
    if op in COMPARISONS:
        return f"{x[0]} {COMPARISONS[op]} {x[1]} ? 1.0f : 0.0f"
    if op not in FUNCTIONS:
        raise NoTiles(f"a kernel cannot compute {op}")
    return f"{FUNCTIONS[op]}({', '.join(x)})"
