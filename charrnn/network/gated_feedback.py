"""Gated feedback: every layer reads the outputs of all layers at the previous step."""

from dataclasses import replace
from functools import cache
from typing import Any

from charrnn.cells import Array, ArrayNamespace, Cell, Matrix
from charrnn.cells.cell import Dot, Vectors
from charrnn.network.composite import own_vectors, part_vectors, state_type_of


def candidates(cell: Cell) -> list[tuple[str, int]]:
    """Return the matrices, and the places of their blocks, that compute the candidate: g, or h in a cell without g."""
    return [
        (name, place)
        for name, matrix in cell.matrices.items()
        for place, block in enumerate(matrix.blocks)
        if block in "gh"
    ]


@cache
def gated_feedback(cell: Cell, layers: int) -> Cell:
    """Chung et al. 2015, "Gated feedback recurrent neural networks": every layer reads all layers of the previous step.

    Where a cell has U h in its candidate g, layer j has the sum over all layers i of s_ij * (U_ij h_i), with one number
    for each pair, s_ij = sigma(w_ij x_j + u_ij [h_1, ..., h_L]), where x_j is the input from below. (The paper's GRU is
    gru-reset-after. Cells that gate h before the product gate only the layer's own h, not that of the other layers.)
    """
    ((heard, place),), fields = candidates(cell), cell.state_fields
    # The highest layer comes first: the first field of a state is the output.
    names = [f"{name}_{layer}" if layer < layers - 1 else name for layer in range(layers)[::-1] for name in fields]
    state_type = state_type_of(names)

    def step(xp: ArrayNamespace, zx: Array, state: Any, dot: Dot, w: Vectors) -> Any:
        units = state.h.shape[-1]
        before = [cell.state(*state[n : n + len(fields)]) for n in range(0, len(state), len(fields))][::-1]
        everything = xp.concatenate([layer.h for layer in before], axis=-1)
        ends = [cell.width(units), cell.width(units) + layers]
        zx, logits, *masks = xp.split(zx, [end for end in ends if end < zx.shape[-1]], axis=-1)
        after: list[Any] = []
        for layer in range(layers):
            own = own_vectors(w, f"_{layer}") if layer else w
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
        # Each gate is one number for a whole layer.
        matrices[f"u_{layer}"] = Matrix("s" * layers, rows=layers, columns=0, input=True)
        if layer:
            matrices[f"W_{layer}"] = Matrix(cell.blocks, input=True)
            matrices[f"w_{layer}"] = Matrix("s" * layers, columns=0, input=True)
            vectors |= part_vectors(cell, f"_{layer}")

    def zx(xp: ArrayNamespace, wx: Array, w: Vectors) -> Array:
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
