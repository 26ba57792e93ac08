"""The settings of a network."""

from dataclasses import dataclass

from charrnn import cells
from charrnn.config.checks import MOST_LAYERS, MOST_UNITS, at_least, one_of
from charrnn.errors import CharRNNError

STACKS = ("plain", "residual", "grid", "gated-feedback")
ACTIVATIONS = ("tanh", "relu")
# The environment variable that names files of cells: one file, or several separated by `os.pathsep`.
CELLS_VARIABLE = "CHARRNN_CELLS"


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a network. `embedding` is None for one-hot input, else the width of the embedding.

    `stack` says how the layers are connected (`charrnn.network.stacks`). `attention` is how many characters a step
    looks back at (`charrnn.network.attention`), None for none. `classes` are the labels among which the network chooses
    for a whole document; with None it predicts the next character. They come from the text.
    """

    cell: str = "lstm"
    layers: int = 2
    units: int = 256
    embedding: int | None = None
    stack: str = "plain"
    attention: int | None = None
    classes: tuple[str, ...] | None = None

    def outputs(self, vocab_size: int) -> int:
        """Return how many logits the network has: one for each class or, without classes, for each character."""
        return vocab_size if self.classes is None else len(self.classes)

    def predicted(self, unit: str) -> str:
        """Return what the network predicts: "label" or, without classes, a `unit` of text."""
        return unit if self.classes is None else "label"

    @property
    def title(self) -> str:
        """Return a short description of the model: "lstm 2x256", "gru 3x128 (grid, attention 64)"."""
        more = [] if self.stack == ModelConfig.stack else [self.stack]
        more += [] if self.attention is None else [f"attention {self.attention}"]
        more += [] if self.classes is None else [f"{len(self.classes)} labels"]
        return f"{self.cell} {self.layers}x{self.units}" + (f" ({', '.join(more)})" if more else "")

    def __post_init__(self) -> None:
        one_of(
            self,
            "cell",
            tuple(cells.CELLS),
            "If it is a cell of your own, name the file that defines it: `cells=FILE.py`.",
        )
        one_of(self, "stack", STACKS)
        if self.classes is not None:
            check_classes(self.classes)
        at_least(self, 1, "layers", most=MOST_LAYERS)
        at_least(self, 1, "units", "embedding", "attention", most=MOST_UNITS)


def check_classes(classes: tuple[str, ...]) -> None:
    """Raise CharRNNError unless labels are texts, and at least two different ones."""
    if not all(isinstance(label, str) and label for label in classes) or len(set(classes)) < len(classes):
        raise CharRNNError(f"The labels {classes!r:.100} are not different texts.")
    if len(classes) < 2:
        raise CharRNNError(
            f"All texts have the label {classes[0]!r}: there is nothing to tell apart." if classes else "No label.",
            hint="Use texts with two or more labels.",
        )
