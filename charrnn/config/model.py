"""The settings of a network."""

from dataclasses import dataclass

from charrnn import cells
from charrnn.config.checks import MOST_LAYERS, MOST_UNITS, at_least, one_of

STACKS = ("plain", "residual", "grid", "gated-feedback")
ACTIVATIONS = ("tanh", "relu")
# The environment variable that names files of cells: one file, or several separated by `os.pathsep`.
CELLS_VARIABLE = "CHARRNN_CELLS"


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a network. `embedding` is None for one-hot input, else the width of the embedding.

    `stack` says how the layers are connected (`charrnn.network.stacks`). `attention` is how many characters a step
    looks back at (`charrnn.network.attention`), None for none.
    """

    cell: str = "lstm"
    layers: int = 2
    units: int = 256
    embedding: int | None = None
    stack: str = "plain"
    attention: int | None = None

    @property
    def title(self) -> str:
        """Return a short description of the model: "lstm 2x256", "gru 3x128 (grid, attention 64)"."""
        more = [] if self.stack == ModelConfig.stack else [self.stack]
        more += [] if self.attention is None else [f"attention {self.attention}"]
        return f"{self.cell} {self.layers}x{self.units}" + (f" ({', '.join(more)})" if more else "")

    def __post_init__(self) -> None:
        one_of(
            self,
            "cell",
            tuple(cells.CELLS),
            "If it is a cell of your own, name the file that defines it: `cells=FILE.py`.",
        )
        one_of(self, "stack", STACKS)
        at_least(self, 1, "layers", most=MOST_LAYERS)
        at_least(self, 1, "units", "embedding", "attention", most=MOST_UNITS)
