"""The table of parameters: what is stored, in which order, what each is, and what it starts as."""

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.config import STACKS, ModelConfig
from charrnn.network.forward import input_table
from charrnn.network.parameters import (
    Role,
    initial_weights,
    layer_name,
    parameter_count,
    parameter_shapes,
    parameters,
    useful_products,
)
from charrnn.network.stacks import fits

VOCAB, UNITS = 6, 8


def rows(model: ModelConfig) -> list[tuple]:
    return [(row.name, row.shape, row.role, row.layer, row.symbol, row.looked_up) for row in parameters(model, VOCAB)]


def models() -> list[ModelConfig]:
    return [
        ModelConfig(name, 2, UNITS, embedding, stack)
        for name, cell in CELLS.items()
        for stack in STACKS
        for embedding in (None, 3)
        if fits(cell, stack)
    ]


def test_the_table_by_hand():
    assert rows(ModelConfig("lstm", 2, UNITS)) == [
        ("layer0/W", (7, 32), Role.KERNEL, 0, "W", True),
        ("layer0/U", (8, 32), Role.RECURRENT, 0, "U", False),
        ("layer0/b", (32,), Role.VECTOR, 0, "b", False),
        ("layer1/W", (8, 32), Role.KERNEL, 1, "W", False),
        ("layer1/U", (8, 32), Role.RECURRENT, 1, "U", False),
        ("layer1/b", (32,), Role.VECTOR, 1, "b", False),
        ("output/W", (8, 6), Role.OUTPUT, None, "W", False),
        ("output/b", (6,), Role.OUTPUT_BIAS, None, "b", False),
    ]
    assert rows(ModelConfig("lstm-mogrifier", 1, UNITS, 3))[:3] == [
        ("embedding", (7, 3), Role.EMBEDDING, None, "embedding", True),
        ("input/W", (3, 8), Role.INPUT, None, "W", False),
        ("layer0/U", (16, 32), Role.RECURRENT, 0, "U", False),
    ]
    assert rows(ModelConfig("lstm-mogrifier", 1, UNITS))[0] == ("input/W", (7, 8), Role.INPUT, None, "W", True)


@pytest.mark.parametrize("model", models(), ids=lambda model: f"{model.cell}-{model.stack}-{model.embedding}")
def test_every_table_is_sound(model):
    table, weights = parameters(model, VOCAB), initial_weights(model, VOCAB, 1)
    names = [row.name for row in table]
    assert list(parameter_shapes(model, VOCAB)) == list(weights) == names and len(set(names)) == len(names)
    assert [weights[row.name].shape for row in table] == [row.shape for row in table]
    (looked_up,) = [row for row in table if row.looked_up]
    assert looked_up is table[0] and looked_up.shape[0] == VOCAB + 1
    assert all(row.name == layer_name(row.layer, row.symbol) for row in table if row.layer is not None)
    assert parameter_count(model, VOCAB) == sum(row.count for row in table)
    # What the input table does not hear is not in it.
    table_of = input_table(np, model, weights) if not CELLS[model.cell].zx_vectors else None
    for row in table:
        if table_of is not None and len(row.shape) == 2:
            changed = input_table(np, model, {**weights, row.name: weights[row.name] + 1})
            assert (changed != table_of).any() == row.in_input_table, row.name
    assert useful_products(model, VOCAB) == sum(
        row.shape[0] * row.shape[1] for row in table if len(row.shape) == 2 and not row.in_input_table
    )


def test_a_mask_leaves_out_what_is_no_parameter():
    u = next(row for row in parameters(ModelConfig("clockwork", 1, UNITS), VOCAB) if row.symbol == "U")
    # Eight modules of one unit: each hears itself and the slower ones.
    assert u.mask.tolist() == np.tri(8, dtype=bool).tolist()
    assert u.count == 36
    assert all(row.mask is None for row in parameters(ModelConfig("rnn", 1, UNITS), VOCAB))


def test_first_values_are_functions_of_the_seed_and_the_place():
    """Drawn by hand: a run that is begun anew after an upgrade begins as it did before."""
    weights = initial_weights(ModelConfig("lstm", 2, UNITS, 3), VOCAB, 5)

    def rng(place: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[5, place]))

    by_hand = {
        "embedding": rng(0).normal(0, 1, (7, 3)),
        "layer0/W": rng(1).uniform(-1, 1, (3, 32)),
        "layer0/b": np.repeat([0, 1, 0, 0], 8),
        "layer1/W": rng(4).uniform(-np.sqrt(3 / 8), np.sqrt(3 / 8), (8, 32)),
        "output/W": rng(7).uniform(-np.sqrt(3 / 8), np.sqrt(3 / 8), (8, 6)),
        "output/b": np.zeros(6),
    }
    for name, value in by_hand.items():
        np.testing.assert_array_equal(weights[name], value.astype(np.float32), err_msg=name)
    one_hot = initial_weights(ModelConfig("lstm", 1, UNITS), VOCAB, 5)["layer0/W"]
    limit = np.sqrt(3.0)
    np.testing.assert_array_equal(one_hot, rng(0).uniform(-limit, limit, (7, 32)).astype(np.float32))
