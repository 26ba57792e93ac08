"""The settings of training."""

from dataclasses import dataclass

from charrnn.config.checks import MOST_FLOAT32, above_zero, at_least, named, one_of
from charrnn.errors import CharRNNError

# Learning rates that work: with Keras's own of 0.001, Adadelta hardly learns at all, and SGD learns very slowly.
DEFAULT_RATES = {"adam": 5e-3, "adamw": 5e-3, "rmsprop": 2e-3, "sgd": 0.5, "adagrad": 0.5, "adadelta": 1.0}
OPTIMIZERS = tuple(DEFAULT_RATES)
SCHEDULES = ("constant", "exponential", "cosine")
PRECISIONS = ("float32", "bf16")
SPLITS = ("tail", "documents", "char-rnn")
# With --split char-rnn: the fraction of each stream that validates.
CHAR_RNN_VAL = 0.05

# With labels: the default of `seq`, as gradients from a label should reach the beginning of its document.
LABELLED_SEQ = 256

# The settings that limit a run; those of its learning-rate schedule; and those that may change when it is resumed.
BUDGET = ("epochs", "steps", "minutes")
SCHEDULE = ("lr", "schedule", "warmup", "decay", "decay_after")
FREE_ON_RESUME = (*BUDGET, *SCHEDULE, "patience", "eval_every", "save_every", "keep", "precision")

# The time of a run without --epochs, --steps and --minutes.
DEFAULT_MINUTES = 10.0


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained. None means off, or (for `lr`) the optimizer's own default.

    Units: `seq` in characters, `batch` in streams; `warmup`, `eval_every`, `save_every`, `steps` in steps; `minutes` of
    wall-clock time from the start of the command to its end. `precision` applies to matrix products; everything else
    is float32.
    """

    batch: int = 32
    seq: int = 64
    dropout: float = 0.3
    optimizer: str = "adam"
    lr: float | None = None
    epsilon: float | None = None
    rho: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    schedule: str = "cosine"
    warmup: int = 100
    decay: float = 0.97
    decay_after: int = 10
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    sum_gradients: bool = False
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    patience: int | None = 10
    eval_every: int | None = None
    save_every: int | None = None
    keep: int = 3
    seed: int = 0
    precision: str = "float32"
    split: str = "tail"
    val: float = 0.1
    test: float = 0.0

    @property
    def rate(self) -> float:
        """Return the learning rate before its schedule."""
        return DEFAULT_RATES[self.optimizer] if self.lr is None else self.lr

    def __post_init__(self) -> None:
        one_of(self, "optimizer", OPTIMIZERS)
        one_of(self, "schedule", SCHEDULES)
        one_of(self, "split", SPLITS)
        one_of(self, "precision", PRECISIONS)
        at_least(self, 1, "batch", "seq", "steps", "patience", "eval_every", "save_every", "keep")
        at_least(self, 0, "warmup", "momentum", "weight_decay", "decay_after")
        above_zero(self, "epochs", "minutes")
        above_zero(self, "lr", "epsilon", "clip_norm", "clip_value", most=MOST_FLOAT32)
        # A factor above 1 grows without bounds.
        above_zero(self, "decay", most=1)
        if self.clip_norm is not None and self.clip_value is not None:
            raise CharRNNError("`clip_norm` and `clip_value` exclude each other.", hint="Give only one of them.")
        for name, high in (
            ("dropout", 1.0),
            ("val", 1.0),
            ("test", 1.0),
            ("momentum", 1.0),
            ("rho", 1.0),
            ("seed", 2.0**63),
        ):
            value = getattr(self, name)
            if value is not None and not 0 <= value < high:
                raise CharRNNError(f"{named(name)} is {value}; it must be at least 0 and below {high:g}.")
        if self.val + self.test >= 1:
            raise CharRNNError(f"`val={self.val}` and `test={self.test}` leave no text to train on.")
        if self.test and self.split == "char-rnn":
            raise CharRNNError("`split='char-rnn'` has no test part.", hint="Leave out `test`, or use `split='tail'`.")
