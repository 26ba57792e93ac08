"""The equations of every cell, each written once, and the table of cells.

A cell is a function `step(xp, zx, state, dot, w) -> state` of one time step. It serves Keras training, NumPy
sampling and gradient checking alike, so it knows none of them:

- `xp` is the array namespace: `keras.ops`, or `charrnn.runtime.ops` for NumPy;
- `zx` is the projected input, W x + b, (batch, gates * units), its blocks in the order that the cell's docstring gives;
- `state` holds what the cell remembers, by name, each (batch, units); its first field, `h`, is the cell's output;
- `dot(vector, name)` multiplies (batch, units) by the recurrent matrix `name`. Every recurrent product goes through it:
  that is what lets the scan take the gradient of a matrix as one large product after the loop;
- `w` maps names to the parameters that are no matrix (peepholes, gains), each (units,) or some blocks of that.

In the docstrings W, U are matrices, * is elementwise, sigma the logistic function.
"""

from charrnn.cells import gru, lstm, simple
from charrnn.cells.contract import Array, Cell, Hidden, HiddenAndMemory, HiddenMemoryAndGates, Vector

__all__ = ["CELLS", "Array", "Cell", "Hidden", "HiddenAndMemory", "HiddenMemoryAndGates", "Vector"]

# The forget gate starts open (Jozefowicz et al. 2015): its bias of 1 is part of b, never added in the step.
CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell("rnn", "Elman 1990", simple.rnn, Hidden, "h", {"U": 1}),
        Cell("irnn", "Le et al. 2015", simple.irnn, Hidden, "h", {"U": 1}, identity=True),
        Cell("lstm", "Gers et al. 2000", lstm.lstm, HiddenAndMemory, "ifgo", {"U": 4}),
        Cell("lstm-1997", "Hochreiter & Schmidhuber 1997", lstm.lstm_1997, HiddenAndMemory, "igo", {"U": 3}),
        Cell(
            "lstm-peephole",
            "Gers & Schmidhuber 2000",
            lstm.lstm_peephole,
            HiddenAndMemory,
            "ifgo",
            {"U": 4},
            {"p_i": Vector(), "p_f": Vector(), "p_o": Vector()},
        ),
        Cell("lstm-coupled", "Greff et al. 2015", lstm.lstm_coupled, HiddenAndMemory, "fgo", {"U": 3}),
        Cell("lstm-no-input-gate", "Greff et al. 2015", lstm.lstm_no_input_gate, HiddenAndMemory, "fgo", {"U": 3}),
        Cell("lstm-no-output-gate", "Greff et al. 2015", lstm.lstm_no_output_gate, HiddenAndMemory, "ifg", {"U": 3}),
        Cell(
            "lstm-no-input-activation",
            "Greff et al. 2015",
            lstm.lstm_no_input_activation,
            HiddenAndMemory,
            "ifgo",
            {"U": 4},
        ),
        Cell(
            "lstm-no-output-activation",
            "Greff et al. 2015",
            lstm.lstm_no_output_activation,
            HiddenAndMemory,
            "ifgo",
            {"U": 4},
        ),
        Cell(
            "lstm-full-gates",
            "Greff et al. 2015",
            lstm.lstm_full_gates,
            HiddenMemoryAndGates,
            "ifog",
            {"U": 4, "R_i": 3, "R_f": 3, "R_o": 3},
        ),
        Cell(
            "lstm-layernorm",
            "Ba et al. 2016",
            lstm.lstm_layernorm,
            HiddenAndMemory,
            "ifgo",
            {"U": 4},
            {"a_x": Vector(1.0, 4), "a_h": Vector(1.0, 4), "a_c": Vector(1.0), "d": Vector()},
            own_bias=True,
        ),
        Cell("mlstm", "Krause et al. 2016", lstm.mlstm, HiddenAndMemory, "mifgo", {"U": 4, "V": 1}),
        Cell("gru", "Cho et al. 2014", gru.gru, Hidden, "zrg", {"U": 2, "V": 1}),
        Cell("gru-reset-after", "Cho et al. 2014", gru.gru_reset_after, Hidden, "zrg", {"U": 3}, {"c": Vector()}),
        Cell("mgu", "Zhou et al. 2016", gru.mgu, Hidden, "fg", {"U": 1, "V": 1}),
        Cell("mut1", "Jozefowicz et al. 2015", gru.mut1, Hidden, "zrg", {"U": 1, "V": 1}, {"d": Vector()}),
        Cell("mut2", "Jozefowicz et al. 2015", gru.mut2, Hidden, "zrg", {"U": 1, "V": 1, "R": 1}),
        Cell("mut3", "Jozefowicz et al. 2015", gru.mut3, Hidden, "zrg", {"U": 1, "V": 1, "R": 1}),
        Cell("mingru", "Feng et al. 2024", gru.mingru, Hidden, "zg", {}),
    )
}
