"""How layers are put together: which cell each has, and cells that are made of several.

A stack that can run layer by layer, `plain` or `residual`, has the chosen cell in every layer. The others make a cell
of their own out of it, which the same scan runs: of each layer (`grid`), or of all layers at once (`gated-feedback`).
"""

from collections import namedtuple
from dataclasses import replace
from functools import cache
from typing import Any

from charrnn.cells import CELLS, Cell, Matrix, Vector
from charrnn.cells.contract import Array, Dot, Vectors
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError


def layers_of(model: ModelConfig) -> tuple[Cell, ...]:
    """Return the cell of each layer, the lowest first; CharRNNError if this cell cannot be stacked so."""
    cell = CELLS[model.cell]
    if not fits(cell, model.stack):
        fitting = ", ".join(name for name, other in CELLS.items() if fits(other, model.stack))
        raise CharRNNError(f"--stack {model.stack} is not for --cell {cell.name}, but for {fitting}.")
    if model.stack == "grid":
        return (grid(cell),) * model.layers
    if model.stack == "gated-feedback":
        return (gated_feedback(cell, model.layers),)
    if cell.lowest and model.layers == 1:
        raise CharRNNError(f"--cell {cell.name} hears the layer below: it needs --layers 2 or more.")
    lowest = CELLS[cell.lowest] if cell.lowest else cell
    return (lowest, *(cell,) * (model.layers - 1))


def _own(w: Vectors, suffix: str) -> dict[str, Array]:
    """Return the vectors of one part of a cell of several, under the names that its equations have for them."""
    return {name.removesuffix(suffix): vector for name, vector in w.items() if name.endswith(suffix)}


def _vectors(cell: Cell, suffix: str) -> dict[str, Vector]:
    """Return all vectors of a cell, b too, that becomes a part of one."""
    vectors = {**cell.vectors, **cell.zx_vectors, "b": Vector(cell.bias)}
    return {name + suffix: vector for name, vector in vectors.items()}


def fits(cell: Cell, stack: str) -> bool:
    """Return whether a cell can be stacked so: not where it asks for more itself, or lacks what is to be gated."""
    if stack == "grid":
        return not (cell.raw or cell.mask or cell.initial)
    if stack == "gated-feedback":
        # Without a gate or a bound, what the layers tell each other grows at every step.
        return not (cell.raw or cell.mask or cell.identity) and len(_candidates(cell)) == 1
    return True


def _candidates(cell: Cell) -> list[tuple[str, int]]:
    """Return the matrices, and the places among their blocks, that make the candidate: g, or h of a cell without."""
    return [
        (name, place)
        for name, matrix in cell.matrices.items()
        for place, block in enumerate(matrix.blocks)
        if block in "gh"
    ]


def _state_type(names: list[str]) -> Any:
    return namedtuple("State", names)  # type: ignore[misc]


@cache
def grid(cell: Cell) -> Cell:
    """Kalchbrenner et al. 2015, "Grid long short-term memory", in two dimensions: a memory along depth too.

    Two cells a layer hear the h of both dimensions: one remembers along time, the other along depth, where its state
    comes from the layer below (at the bottom, the input projected to it) and goes to the layer above.
    """
    fields = cell.state_fields
    # The state along depth is put out and not read again: h, the output, is its first field.
    state_type = _state_type([*fields, *(f"{name}_time" for name in fields)])

    def step(xp: Any, zx: Array, state: Any, dot: Dot, w: Vectors) -> Any:
        units = state.h.shape[-1]
        zx, *below = xp.split(zx, [cell.width(units) + n * units for n in range(len(fields))], axis=-1)
        time, depth, of_depth = cell.state(*state[len(fields) :]), cell.state(*below), _own(w, "_depth")
        zx_depth = cell.zx(xp, dot(time.h, "W_depth"), of_depth)
        depth = cell.step(xp, zx_depth, depth, lambda vector, name: dot(vector, f"{name}_depth"), of_depth)
        return state_type(*depth, *cell.step(xp, zx, time, dot, w))

    matrices = {
        "W_depth": Matrix(cell.blocks, input=True),
        **{f"{name}_depth": matrix for name, matrix in cell.matrices.items()},
    }
    return replace(
        cell,
        name=f"grid of {cell.name}",
        paper="Kalchbrenner et al. 2015",
        step=step,
        state=state_type,
        matrices={**cell.matrices, **matrices},
        vectors={**cell.vectors, **_vectors(cell, "_depth")},
        raw=fields,
    )


@cache
def gated_feedback(cell: Cell, layers: int) -> Cell:
    """Chung et al. 2015, "Gated feedback recurrent neural networks": every layer hears every layer of the step before.

    Where a cell has U h in its candidate g, layer j has the sum over all layers i of s_ij * (U_ij h_i), with one number
    a pair, s_ij = sigma(w_ij x_j + u_ij [h_1, ..., h_L]), where x_j is what comes from below. (The paper's GRU is
    gru-reset-after. In cells that gate h before the product, that holds for the layer's own h, not for the others.)
    """
    ((heard, place),), fields = _candidates(cell), cell.state_fields
    # The highest layer comes first: the first field of a state is the output.
    names = [f"{name}_{layer}" if layer < layers - 1 else name for layer in range(layers)[::-1] for name in fields]
    state_type = _state_type(names)

    def step(xp: Any, zx: Array, state: Any, dot: Dot, w: Vectors) -> Any:
        units = state.h.shape[-1]
        before = [cell.state(*state[n : n + len(fields)]) for n in range(0, len(state), len(fields))][::-1]
        everything = xp.concatenate([layer.h for layer in before], axis=-1)
        ends = [cell.width(units), cell.width(units) + layers]
        zx, logits, *masks = xp.split(zx, [end for end in ends if end < zx.shape[-1]], axis=-1)
        after: list[Any] = []
        for layer in range(layers):
            own = _own(w, f"_{layer}") if layer else w
            if layer:
                x = after[-1].h
                if masks:
                    x = x * xp.split(masks[0], layers - 1, axis=-1)[layer - 1]
                zx, logits = cell.zx(xp, dot(x, f"W_{layer}"), own), dot(x, f"w_{layer}")
            s = xp.split(xp.sigmoid(logits + dot(everything, f"u_{layer}")), layers, axis=-1)

            def gated(vector: Array, name: str, layer: int = layer, s: Any = s) -> Array:
                product = dot(vector, f"{name}_{layer}")
                if name != heard:
                    return product
                blocks = list(xp.split(product, len(cell.matrices[name].blocks), axis=-1))
                blocks[place] = s[layer] * blocks[place]
                for other in range(layers):
                    if other != layer:
                        blocks[place] = blocks[place] + s[other] * dot(before[other].h, f"{name}_{other}_{layer}")
                return xp.concatenate(blocks, axis=-1)

            after.append(cell.step(xp, zx, before[layer], gated, own))
        return state_type(*(value for layer in after[::-1] for value in layer))

    matrices: dict[str, Matrix] = {}
    vectors = dict(cell.vectors)
    for layer in range(layers):
        matrices |= {f"{name}_{layer}": matrix for name, matrix in cell.matrices.items()}
        matrices |= {f"{heard}_{other}_{layer}": Matrix("g") for other in range(layers) if other != layer}
        # A gate of a layer is one number.
        matrices[f"u_{layer}"] = Matrix("s" * layers, rows=layers, columns=0, input=True)
        if layer:
            matrices[f"W_{layer}"] = Matrix(cell.blocks, input=True)
            matrices[f"w_{layer}"] = Matrix("s" * layers, columns=0, input=True)
            vectors |= _vectors(cell, f"_{layer}")

    def zx(xp: Any, wx: Array, w: Vectors) -> Array:
        blocks, logits = xp.split(wx, [wx.shape[-1] - layers], axis=-1)
        return xp.concatenate([cell.zx(xp, blocks, w), logits], axis=-1)

    return replace(
        cell,
        name=f"gated feedback of {cell.name}",
        paper="Chung et al. 2015",
        step=step,
        state=state_type,
        matrices=matrices,
        vectors=vectors,
        scalars=layers,
        zx=zx,
        initial=dict(zip(names, [cell.initial.get(name, 0.0) for name in fields] * layers, strict=True)),
    )


EQUATIONS = {
    "plain": """El Hihi & Bengio 1995, "Hierarchical recurrent neural networks for long-term dependencies".

    Each layer reads the h of the layer below, and the output that of the highest.
    """,
    "residual": """Wu et al. 2016, "Google's neural machine translation system", after He et al. 2016.

    What the layer above reads is x + h, where x is what this layer reads; from the second layer on.
    """,
    "grid": grid.__doc__ or "",
    "gated-feedback": gated_feedback.__doc__ or "",
}
