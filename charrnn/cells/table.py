"""The table of cells: the step function, the paper and the parameters of each cell."""

from typing import Any

from charrnn.cells import gru, lstm, simple
from charrnn.cells.cell import Cell, Clocked, Hidden, HiddenAndMemory, HiddenMemoryAndGates, Matrix, Normalized, Vector

# An sLSTM's memory is divided by exp(m). Before the first step this divisor is almost 0, so m starts at -1e30.
EMPTY = -1e30

_GREFF = "Greff et al. 2015"
_MUT = "Jozefowicz et al. 2015"
_PEEPHOLES = {"p_i": Vector(), "p_f": Vector(), "p_o": Vector()}
_ONES = (1.0, 1.0, 1.0, 1.0)


def _lstm(name: str, paper: str, step: Any, blocks: str = "ifgo", **more: Any) -> Cell:
    """Return an LSTM whose recurrent matrix has the same blocks as its input."""
    return Cell(name, paper, step, HiddenAndMemory, blocks, {"U": Matrix(blocks)}, **more)


def _gru(name: str, paper: str, step: Any, blocks: str, *vectors: str, **matrices: str) -> Cell:
    """Return a cell that remembers only its output."""
    blocks_of = {matrix: Matrix(letters) for matrix, letters in matrices.items()}
    return Cell(name, paper, step, Hidden, blocks, blocks_of, dict.fromkeys(vectors, Vector()))


# The forget gate starts open (Jozefowicz et al. 2015): its bias of 1 is part of b; the step does not add it.
_TABLE = (
    Cell("rnn", "Elman 1990", simple.rnn, Hidden, "h", {"U": Matrix("h")}),
    Cell("irnn", "Le et al. 2015", simple.irnn, Hidden, "h", {"U": Matrix("h")}, identity=True),
    Cell(
        "clockwork",
        "Koutnik et al. 2014",
        simple.clockwork,
        Clocked,
        "h",
        {"U": Matrix("h")},
        mask=simple.from_slower,
    ),
    _lstm("lstm", "Gers et al. 2000", lstm.lstm),
    _lstm("lstm-1997", "Hochreiter & Schmidhuber 1997", lstm.lstm_1997, "igo"),
    _lstm("lstm-peephole", "Gers & Schmidhuber 2000", lstm.lstm_peephole, vectors=_PEEPHOLES),
    _lstm("lstm-coupled", _GREFF, lstm.lstm_coupled, "fgo"),
    _lstm("lstm-no-input-gate", _GREFF, lstm.lstm_no_input_gate, "fgo"),
    _lstm("lstm-no-output-gate", _GREFF, lstm.lstm_no_output_gate, "ifg"),
    _lstm("lstm-no-input-activation", _GREFF, lstm.lstm_no_input_activation),
    _lstm("lstm-no-output-activation", _GREFF, lstm.lstm_no_output_activation),
    Cell(
        "lstm-full-gates",
        _GREFF,
        lstm.lstm_full_gates,
        HiddenMemoryAndGates,
        "ifog",
        {"U": Matrix("ifog"), "R": Matrix("ifo", rows=3)},
    ),
    Cell(
        "lstm-depth-gated",
        "Yao et al. 2015",
        lstm.lstm_depth_gated,
        HiddenAndMemory,
        "ifgod",
        {"U": Matrix("ifgo")},
        {**_PEEPHOLES, "p_d": Vector(), "q": Vector()},
        raw=("c",),
        lowest="lstm-peephole",
    ),
    _lstm(
        "lstm-layernorm",
        "Ba et al. 2016",
        lstm.lstm_layernorm,
        vectors={"a_h": Vector(_ONES), "a_c": Vector((1.0,)), "d": Vector()},
        zx=lstm.normalized_product,
        zx_vectors={"a_x": Vector(_ONES)},
    ),
    Cell(
        "lstm-mogrifier",
        "Melis et al. 2020",
        lstm.lstm_mogrifier,
        HiddenAndMemory,
        "",
        lstm.MOGRIFIER,
        {"b": Vector((0.0, 1.0, 0.0, 0.0))},
        raw=("h",),
    ),
    Cell("mlstm", "Krause et al. 2016", lstm.mlstm, HiddenAndMemory, "mifgo", {"U": Matrix("ifgo"), "V": Matrix("m")}),
    Cell("slstm", "Beck et al. 2024", lstm.slstm, Normalized, "ifgo", {"U": Matrix("ifgo")}, initial={"m": EMPTY}),
    _gru("gru", "Cho et al. 2014", gru.gru, "zrg", U="zr", V="g"),
    _gru("gru-reset-after", "Cho et al. 2014", gru.gru_reset_after, "zrg", "c", U="zrg"),
    _gru("mgu", "Zhou et al. 2016", gru.mgu, "fg", U="f", V="g"),
    _gru("mut1", _MUT, gru.mut1, "zrg", "d", U="r", V="g"),
    _gru("mut2", _MUT, gru.mut2, "zrg", U="r", V="g", R="z"),
    _gru("mut3", _MUT, gru.mut3, "zrg", U="r", V="g", R="z"),
    _gru("mingru", "Feng et al. 2024", gru.mingru, "zg"),
)
CELLS: dict[str, Cell] = {cell.name: cell for cell in _TABLE}
