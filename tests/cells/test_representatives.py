"""That every need of a cell has one cell that stands for it wherever not all of them are tested."""

from dataclasses import MISSING, fields

from charrnn.cells import CELLS, Cell, Matrix
from charrnn.config import ModelConfig
from charrnn.network.stacks import layers_of
from support.representatives import COMPOSITES, REPRESENTATIVES

STANDING_IN = [CELLS[name] for name in REPRESENTATIVES] + [
    cell for name, stack in COMPOSITES for cell in layers_of(ModelConfig(name, 2, 4, stack=stack))
]


def defaults(kind: type) -> dict[str, object]:
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(kind)
        if (field.default, field.default_factory) != (MISSING, MISSING)
    }


def test_every_need_of_a_cell_has_a_representative():
    needs = defaults(Cell)
    assert set(needs) >= {"vectors", "identity", "initial", "zx", "zx_vectors", "raw", "lowest", "scalars", "mask"}
    for need, none in needs.items():
        assert any(getattr(cell, need) != none for cell in STANDING_IN), f"no cell with `{need}`"


def test_every_kind_of_matrix_has_a_representative():
    matrices = [matrix for cell in STANDING_IN for matrix in cell.matrices.values()]
    for need, none in Matrix._field_defaults.items():
        assert any(getattr(matrix, need) != none for matrix in matrices), f"no matrix with `{need}`"
    assert {min(len(cell.matrices), 2) for cell in STANDING_IN} == {0, 1, 2}
