"""What the compiled code of a step does, in order: products, and elementwise expressions before and after them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from charrnn.cells import Cell
from charrnn.cells.trace import Trace
from charrnn.compiled.graph import Array, Kind, Node, reachable, users_of
from charrnn.compiled.step import Derivative, Product, Step, Target, derivative_of, step_of

# Their values are kept for the backward pass. Everything else is cheap enough to be computed again there.
KEPT = {"sigmoid", "tanh", "exp", "log_sigmoid", "rsqrt", "rowsum"}


@dataclass(frozen=True)
class Place:
    """Columns of an array in memory, from `offset` on; `following`: in the row of the next step."""

    array: Array
    offset: int
    following: bool = False


@dataclass
class Fused:
    """How a product is made: `home` is where its result goes, and `start` what it is added to, None for 0.

    blocks: which expressions the result holds when it is done, each with its first column.
    """

    home: Place
    start: Place | None
    blocks: list[tuple[int, Node]]


@dataclass
class Program:
    """The code of a step: before and between its `products`, in order, `targets` are stored.

    known: where the values of expressions are before the step begins.
    """

    products: list[Product]
    targets: list[Target]
    known: dict[Node, Place] = field(default_factory=dict)
    fused: list[Fused] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ranks: dict[Node, tuple[int, int]] = {}

    def rank(self, node: Node) -> tuple[int, int]:
        """Return how many products, and after these how many sums over columns, must be done before an expression."""
        if node not in self._ranks:
            made = {product.result: place + 1 for place, product in enumerate(self.products)}
            if node in self.known:
                rank = (0, 0)
            elif node.op == "leaf":
                rank = (made.get(node.args[0], 0), 0)
            else:
                rank = max(map(self.rank, node.operands), default=(0, 0))
                rank = (rank[0], rank[1] + 1) if node.op == "rowsum" else rank
            self._ranks[node] = rank
        return self._ranks[node]

    def fuse(self, others: Iterable[Node] = (), stop: Collection[Node] = ()) -> None:
        """Let products begin with what is added to them, and end where their result is wanted.

        `others` are expressions outside of the program that read what it stores, not beyond the nodes `stop`.
        """
        read = reachable([t.node for t in self.targets], stop=self.known) | reachable(others, stop=stop)
        for place, product in enumerate(self.products):
            views = sorted(
                (node for node in read if node.op == "leaf" and node.args[0] is product.result),
                key=lambda node: node.args[1],
            )
            sums = self._sums(views, read, place)
            blocks = [(view.args[1], block) for view, (block, _) in zip(views, sums, strict=True)] if sums else []
            blocks = blocks or [(view.args[1], view) for view in views]
            home = self._home(product, [block for _, block in blocks])
            start = self._start([summand for _, summand in sums], blocks, home) if sums else None
            self.fused.append(Fused(home, start, blocks))

    def _sums(self, views: Sequence[Node], read: Collection[Node], place: int) -> list[tuple[Node, Node]]:
        """Return the sum in which each view of a product is read, and the other summand, if all are read so only."""
        found, edge = [], 0
        for view in views:
            users = [user for user in read if user not in self.known and view in user.operands]
            direct = any(t.node is view for t in self.targets) or any(p.operand is view for p in self.products)
            if direct or len(users) != 1 or users[0].op != "add" or view.args[1] != edge:
                return []
            summand = next((x for x in users[0].operands if x is not view), None)
            if summand is None or self.rank(summand)[0] > place or view.width != users[0].width:
                return []
            if summand.width != view.width:
                return []
            found.append((users[0], summand))
            edge += view.width or 0
        return found if edge == self.products[place].columns else []

    def _home(self, product: Product, blocks: Sequence[Node]) -> Place:
        """Return where a product's result goes: right where it is wanted, if it is wanted as a whole and only there."""
        if any(p.operand.op == "leaf" and p.operand.args[0] is product.result for p in self.products):
            return Place(product.result, 0)
        for target in self.targets:
            whole = target.array.width == product.columns and not (target.offset or target.total)
            if whole and len(blocks) == 1 and target.node is blocks[0] and target.width == product.columns:
                self.targets.remove(target)
                return Place(target.array, 0, target.following)
        return Place(product.result, 0)

    def _start(self, summands: Sequence[Node], blocks: Sequence[tuple[int, Node]], home: Place) -> Place:
        """Return what a product begins with: where the summands are side by side in memory, or its home."""
        first = summands[0]
        if first.op == "leaf" and first not in self.known:
            array, offset = first.args
            if all(
                x.op == "leaf" and x.args == (array, offset + low) and x not in self.known
                for x, (low, _) in zip(summands, blocks, strict=True)
            ):
                return Place(array, offset)
        self.targets += [
            Target(home.array, low, x.width or 1, x, following=home.following)
            for x, (low, _) in zip(summands, blocks, strict=True)
        ]
        return home


@dataclass
class Programs:
    """Both programs of a layer.

    The gradient of a product's matrix is the sum over all steps and rows of left^T right; `left` and `right` say where
    these are, for each product of the step.
    """

    step: Step
    derivative: Derivative
    forward: Program
    backward: Program
    left: list[Place]
    right: list[Place]


def programs_of(cell: Cell, units: int, emitted: Sequence[str], resets: bool, traced: Trace | None = None) -> Programs:
    """Return the programs of a layer that outputs the fields `emitted`; with `resets`, documents begin in windows.

    traced: the trace of the cell if there is one already.
    """
    step = step_of(cell, units, resets, traced)
    last = max(node.number for node in step.graph.nodes.values())
    derivative = derivative_of(step, emitted)
    wanted = [t.node for t in derivative.targets]
    targets = _new_state(step)
    stored = {t.node: Place(t.array, t.offset, following=True) for t in targets if _is_computed(t)}
    targets += _operands(step)
    kept = [
        node
        for node in reachable(wanted, stop=stored)
        if node.op in KEPT
        and node.number <= last
        and node not in stored
        and not any(x in stored for x in node.operands)
    ]
    targets += _records(step, targets, kept, wanted, stored)
    in_memory = {t.node: Place(t.array, t.offset) for t in targets if _is_computed(t) and not t.following}
    recorded = {t.array for t in targets}
    forward = Program(step.products, targets)
    forward.fuse(wanted, {*stored, *kept})
    known = {
        block: Place(fused.home.array, low, fused.home.following)
        for fused in forward.fused
        for low, block in fused.blocks
    }
    known |= {**stored, **in_memory}
    backward = Program(derivative.products, derivative.targets, known)
    read = {known[node].array if node in known else node.args[0] for node in _leaves(wanted, known)}
    for product in step.products:
        # What the backward pass reads is kept for every step.
        if product.result in read | recorded:
            product.result.kind = Kind.STEP
    backward.fuse()
    left = [Place(*product.operand.args) for product in step.products]
    return Programs(step, derivative, forward, backward, left, [Place(*factor) for factor in derivative.factors])


def forward_only(step: Step) -> Program:
    """Return the program of a step forwards that records nothing for a backward pass."""
    program = Program(step.products, [*_new_state(step), *_operands(step)])
    program.fuse()
    return program


def _new_state(step: Step) -> list[Target]:
    """Return the targets of the new state."""
    return [
        Target(array, low, width, part, following=True)
        for array, node in zip(step.states.values(), step.new, strict=True)
        for low, width, part in _parts(node, array.width)
    ]


def _is_computed(target: Target) -> bool:
    """Return whether a target stores an expression as it is, so that it may be loaded from there."""
    return target.node.op not in ("leaf", "const") and target.node.width == target.width and not target.total


def _leaves(nodes: Iterable[Node], known: Collection[Node]) -> list[Node]:
    """Return the nodes that are loaded from memory to compute others."""
    return [node for node in reachable(nodes, stop=known) if node in known or node.op == "leaf"]


def _parts(node: Node, width: int) -> list[tuple[int, int, Node]]:
    """Return the pieces of an expression: first column, width and expression."""
    if node.op != "cat":
        return [(0, width, node)]
    found, low = [], 0
    for part in node.args:
        found.append((low, part.width, part))
        low += part.width
    return found


def _operands(step: Step) -> list[Target]:
    """Return the targets of the products' operands that are not in memory as they are, and point the products there."""
    targets: list[Target] = []
    made: dict[Node, Array] = {}
    results = {product.result for product in step.products}
    for place, product in enumerate(step.products):
        operand = product.operand
        if operand.op == "leaf" and operand.args[0] in results:
            # The gradient of the matrix needs it after the loop.
            operand.args[0].kind = Kind.STEP
        elif operand.op != "leaf" or operand.args[0].kind not in (Kind.STEP, Kind.STATE):
            if operand not in made:
                made[operand] = Array(f"operand{place}", product.rows, Kind.STEP)
                targets += [Target(made[operand], *piece) for piece in _parts(operand, product.rows)]
            product.operand = step.graph.leaf(made[operand])
    return targets


def _records(
    step: Step, targets: Sequence[Target], kept: Sequence[Node], others: Sequence[Node], stored: Collection[Node]
) -> list[Target]:
    """Return the targets of the values `kept`: in place of their operand where nothing else reads that, else apart."""
    everything = reachable([t.node for t in targets]) | reachable(others, stop={*stored, *kept})
    users = users_of(everything)
    stored_as_is = {t.node for t in targets}
    multiplied = {product.operand.args[0] for product in step.products}
    free = {product.result for product in step.products} - multiplied
    views = [node for node in everything if node.op == "leaf"]

    def slot_of(node: Node) -> Node | None:
        """Return the columns of a product from which alone a value is made, if nothing else reads them."""
        x = node.args[0]
        slot = next((y for y in (x, *x.operands) if y.op == "leaf" and y.args[0] in free), None)
        if slot is None or slot.width != node.width or {slot, x} & stored_as_is:
            return None
        low, high = slot.args[1], slot.args[1] + (slot.width or 0)
        overlapping = [
            view
            for view in views
            if view.args[0] is slot.args[0] and view.args[1] < high and low < view.args[1] + (view.width or 0)
        ]
        alone = users(slot) <= {x, node} and (x is slot or users(x) == {node})
        return slot if alone and overlapping == [slot] else None

    found = []
    for place, node in enumerate(sorted(kept, key=lambda node: node.number)):
        slot = slot_of(node)
        array, offset = slot.args if slot is not None else (Array(f"kept{place}", node.width or 1, Kind.STEP), 0)
        found.append(Target(array, offset, node.width or 1, node))
    return found
