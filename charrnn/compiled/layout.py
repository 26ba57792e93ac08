"""The arrays of a scan and the order of its loops: all that is decided before code is emitted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from charrnn.compiled.graph import Array, Kind, Node, reachable
from charrnn.compiled.program import Program, Programs
from charrnn.compiled.step import Target


@dataclass(frozen=True)
class Argument:
    """An array that a scan is given or that it fills: a pointer in its table of inputs or of outputs.

    array: an array of the program; None for a matrix, or memory for a packed one. role: "all" of the array; or "first",
    the state before the first step; or "last", the gradient of the state after the last step. size: of a matrix or of
    memory, in numbers.
    """

    name: str
    array: Array | None = None
    role: str = "all"
    size: int = 0

    def shape(self, steps: int, rows: int, recording: bool = True) -> tuple[int, ...]:
        """Return the shape for a number of steps and rows; without `recording`, records have room for one step."""
        if self.array is None:
            return (self.size,)
        width = self.array.width
        if self.role != "all":
            return rows, width
        match self.array.kind:
            case Kind.STEP:
                return (steps if recording else 1), rows, width
            case Kind.STATE:
                return steps + 1, rows, width
            case Kind.FLIP:
                return 2, rows, width
            case Kind.SCRATCH:
                return rows, width
        return (width,)

    def described(self) -> tuple[object, ...]:
        """Return all that is known of the argument."""
        of_array = (self.array.width, self.array.kind.name) if self.array is not None else ()
        return self.name, self.role, self.size, *of_array


@dataclass
class Group:
    """Targets and sums over columns that one loop over rows and columns computes; all have the same width."""

    width: int
    targets: list[Target] = field(default_factory=list)
    sums: list[tuple[Node, Array]] = field(default_factory=list)


class Layout:
    """What a scan reads and fills, and its loops.

    given: the arrays that it reads; first, last: states and gradients of states that it begins with (`Argument.role`).
    phases: the loops before the first product, those between it and the second one, and so on. sums: where the sums
    over columns are. functions: products of these names are computed by code of their own and have no matrix.
    """

    def __init__(
        self,
        program: Program,
        given: Sequence[Array],
        first: Sequence[Array] = (),
        last: Sequence[Array] = (),
        *,
        panel: int,
        tile: int,
        functions: Collection[str] = (),
    ):
        self.program, self.given = program, given
        self.sums = self._sums()
        self.phases = [self._groups(phase) for phase in range(len(program.products) + 1)]
        self.arrays = self._arrays()
        products = [product for product in program.products if product.matrix not in functions]
        self.matrices = list(dict.fromkeys((p.matrix, p.transposed, p.rows, p.columns) for p in products))
        self.inputs = [
            *(Argument(array.name, array) for array in given),
            *(Argument(array.name, array, "first") for array in first),
            *(Argument(array.name, array, "last") for array in last),
            *(Argument(matrix, size=rows * columns) for matrix, _, rows, columns in self.matrices),
        ]
        self.outputs = [
            *(Argument(a.name, a) for a in self.arrays if a.value is None and a not in given),
            *(Argument(f"packed {matrix}", size=k * -(-n // panel) * panel) for matrix, _, k, n in self.matrices),
            Argument("tile", size=tile),
        ]

    def _expressions(self) -> list[Node]:
        """Return all expressions that the program computes, in a fixed order."""
        return sorted(
            reachable([t.node for t in self.program.targets], stop=self.program.known), key=lambda node: node.number
        )

    def _sums(self) -> dict[Node, Array]:
        """Return the array of each sum over columns: where it is stored anyway, or one of its own."""
        homes = {fused.home.array for fused in self.program.fused}
        kept = {
            t.node: t.array
            for t in self.program.targets
            if t.array.width == 1 and t.array not in homes and not (t.following or t.total)
        }
        return {
            node: kept.get(node) or Array(f"sum{place}", 1, Kind.SCRATCH)
            for place, node in enumerate(self._expressions())
            if node.op == "rowsum" and node not in self.program.known
        }

    def _groups(self, phase: int) -> list[Group]:
        """Return the loops after `phase` products."""
        groups: dict[tuple[int, int], Group] = {}

        def group(stage: int, width: int) -> Group:
            return groups.setdefault((stage, width), Group(width))

        for target in self.program.targets:
            products, stage = self.program.rank(target.node)
            if products == phase and self.sums.get(target.node) is not target.array:
                group(stage, target.width).targets.append(target)
        for node, array in self.sums.items():
            products, stage = self.program.rank(node.args[0])
            if products == phase:
                group(stage, node.args[0].width or 1).sums.append((node, array))
        # The narrow ones first: they may be numbers that the wide ones read in every column.
        return [groups[key] for key in sorted(groups)]

    def _arrays(self) -> list[Array]:
        """Return all arrays, in a fixed order."""
        program = self.program
        found = dict.fromkeys(self.given)
        for target in program.targets:
            found[target.array] = None
        for node in self._expressions():
            if node in program.known:
                found[program.known[node].array] = None
            elif node.op == "leaf":
                found[node.args[0]] = None
        found |= dict.fromkeys(self.sums.values())
        for product, fused in zip(program.products, program.fused, strict=True):
            found[product.operand.args[0]] = found[fused.home.array] = None
            if fused.start is not None:
                found[fused.start.array] = None
        return list(found)


def layouts_of(programs: Programs, panel: int, tile: int) -> tuple[Layout, Layout]:
    """Return the layouts forwards and backwards; what the forward pass has is given to the backward pass."""
    step, derivative = programs.step, programs.derivative
    given = [step.zx, *([step.keep] if step.keep is not None else []), *step.vectors.values()]
    forward = Layout(programs.forward, given, first=list(step.states.values()), panel=panel, tile=tile)
    read = {a for a in Layout(programs.backward, [], panel=panel, tile=tile).arrays if a.value is None}
    recorded = [a.array for a in forward.outputs if a.array in read]
    known = [*(array for array in given if array in read), *recorded, *derivative.incoming.values()]
    last = list(derivative.d_states.values())
    return forward, Layout(programs.backward, known, last=last, panel=panel, tile=tile)
