"""The settings of a model and of a training run: the only place of defaults and of their checks."""

import codecs
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar, get_args, get_type_hints

from charrnn import cells
from charrnn.errors import CharRNNError, did_you_mean

Config = TypeVar("Config", "ModelConfig", "TrainConfig", "TextConfig")

# Limits of settings that have no other limit: more than any user needs, and arithmetic with them cannot overflow.
MOST, MOST_UNITS, MOST_LAYERS = 1e12, 1e6, 1000
MOST_FLOAT32 = 1e38

STACKS = ("plain", "residual", "grid", "gated-feedback")
ACTIVATIONS = ("tanh", "relu")
# Learning rates that work: with Keras's own of 0.001, Adadelta hardly learns at all, and SGD learns very slowly.
DEFAULT_RATES = {"adam": 5e-3, "adamw": 5e-3, "rmsprop": 2e-3, "sgd": 0.5, "adagrad": 0.5, "adadelta": 1.0}
OPTIMIZERS = tuple(DEFAULT_RATES)
SCHEDULES = ("constant", "exponential", "cosine")
PRECISIONS = ("float32", "bf16")
# With --split char-rnn: the fraction of each stream that validates.
CHAR_RNN_VAL = 0.05
SPLITS = ("tail", "documents", "char-rnn")
ERRORS = ("strict", "replace")
NEWLINES = ("keep", "lf")
UNKNOWN = ("error", "skip", "replace")
# The scores by which lines can be ranked; the first is the default. charrnn.inference.lines.Score explains each.
RANKS = ("mean", "worst", "excess")
# From which guess ranks are estimated: an error of a few percent, in seconds.
RANK_SAMPLES = 10_000
# Of ordinary lines, which thresholds are proposed from.
QUANTILES = (0.99, 0.999, 0.9999)
NORMAL_FORMS = ("nfc", "nfd", "nfkc", "nfkd")
# The environment variable that names files of cells: one file, or several separated by `os.pathsep`.
CELLS_VARIABLE = "CHARRNN_CELLS"

# Settings that are newer than the format of checkpoints: with these values they are not written, so that files of
# unchanged settings stay the same to the byte.
_LEFT_OUT = {"loss_after": None, "precision": "float32", "documents_between": None, "field": None}
# The character after each document that is a record, unless an option says otherwise: Unicode's record separator, which
# texts do not contain.
RECORD_END = "\x1e"

# The settings that limit a run; those of its learning-rate schedule; and those that may change when it is resumed.
BUDGET = ("epochs", "steps", "minutes")
SCHEDULE = ("lr", "schedule", "warmup", "decay", "decay_after")
FREE_ON_RESUME = (*BUDGET, *SCHEDULE, "patience", "eval_every", "save_every", "keep", "precision")

# The time of a run without --epochs, --steps and --minutes.
DEFAULT_MINUTES = 10.0


def _at_least(settings: Any, low: float, *names: str, most: float = MOST) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= low:
            raise CharRNNError(f"{_named(name)} is {value}; it must be at least {low}.")
        if value is not None and value > most:
            raise CharRNNError(f"{_named(name)} is {value}; it must be at most {most:g}.")


def _above_zero(settings: Any, *names: str, most: float = MOST) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value <= most:
            raise CharRNNError(f"{_named(name)} is {value}; it must be above 0 and at most {most:g}.")


def _one_of(settings: Any, name: str, choices: tuple[str, ...], hint: str | None = None) -> None:
    value = getattr(settings, name)
    if value not in choices:
        raise CharRNNError(
            f"{_named(name)} is {value!r}; it must be one of {', '.join(choices)}.",
            hint=did_you_mean(str(value), choices) or hint,
        )


def _named(name: str) -> str:
    """Return the name of a parameter for messages; the command line spells it as an option."""
    return f"`{name}`"


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a network. `embedding` is None for one-hot input, else the width of the embedding.

    `stack` says how the layers are connected (`charrnn.network.stacks`).
    """

    cell: str = "lstm"
    layers: int = 2
    units: int = 256
    embedding: int | None = None
    stack: str = "plain"

    @property
    def title(self) -> str:
        """Return a short description of the model: "lstm 2x256", "gru 3x128 (grid)"."""
        stack = "" if self.stack == ModelConfig.stack else f" ({self.stack})"
        return f"{self.cell} {self.layers}x{self.units}{stack}"

    def __post_init__(self) -> None:
        _one_of(
            self,
            "cell",
            tuple(cells.CELLS),
            "If it is a cell of your own, name the file that defines it: `cells=FILE.py`.",
        )
        _one_of(self, "stack", STACKS)
        _at_least(self, 1, "layers", most=MOST_LAYERS)
        _at_least(self, 1, "units", "embedding", most=MOST_UNITS)


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
        _one_of(self, "optimizer", OPTIMIZERS)
        _one_of(self, "schedule", SCHEDULES)
        _one_of(self, "split", SPLITS)
        _one_of(self, "precision", PRECISIONS)
        _at_least(self, 1, "batch", "seq", "steps", "patience", "eval_every", "save_every", "keep")
        _at_least(self, 0, "warmup", "momentum", "weight_decay", "decay_after")
        _above_zero(self, "epochs", "minutes")
        _above_zero(self, "lr", "epsilon", "clip_norm", "clip_value", most=MOST_FLOAT32)
        # A factor above 1 grows without bounds.
        _above_zero(self, "decay", most=1)
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
                raise CharRNNError(f"{_named(name)} is {value}; it must be at least 0 and below {high:g}.")
        if self.val + self.test >= 1:
            raise CharRNNError(f"`val={self.val}` and `test={self.test}` leave no text to train on.")
        if self.test and self.split == "char-rnn":
            raise CharRNNError("`split='char-rnn'` has no test part.", hint="Leave out `test`, or use `split='tail'`.")


@dataclass(frozen=True)
class TextConfig:
    """How bytes become the text that a model sees; settings that differ from the defaults are part of the model.

    Documents are files; with `one_per_line`, lines; with `documents_between`, the parts of files that this marker ends.
    With a `field`, only the texts under this name in the records of a file are read, each as a file of its own.
    `separator` is added after each file; with `resets`, the hidden state starts again where a document begins. With
    `loss_after`, the loss counts only after the first such character of each document.
    """

    encoding: str = "utf-8"
    errors: str = "strict"
    newlines: str = "keep"
    normalize: str | None = None
    lower: bool = False
    bytes: bool = False
    one_per_line: bool = False
    documents_between: str | None = None
    field: str | None = None
    separator: str | None = None
    reset_at_documents: bool = False
    loss_after: str | None = None

    @property
    def unit(self) -> str:
        """Return the unit that the model reads and predicts: "character" or "byte"."""
        return "byte" if self.bytes else "character"

    @property
    def resets(self) -> bool:
        """Return whether the hidden state returns to its initial value where a document begins."""
        return self.divided or self.reset_at_documents

    @property
    def divided(self) -> bool:
        """Return whether documents are parts of files, which their ends tell: lines, or what a marker ends."""
        return self.one_per_line or self.documents_between is not None

    @property
    def document_end(self) -> str | None:
        """Return the text that ends every document, if one does."""
        return "\n" if self.one_per_line else self.documents_between or self.separator

    def __post_init__(self) -> None:
        self._check_documents()
        self._check_bytes()
        _one_of(self, "errors", ERRORS)
        _one_of(self, "newlines", NEWLINES)
        if self.normalize is not None:
            _one_of(self, "normalize", NORMAL_FORMS)
        try:
            # It must be an encoding of text, and one that can be read a block at a time.
            b" ".decode(self.encoding or "none", "ignore")
            if codecs.lookup(self.encoding).incrementaldecoder is None:
                raise LookupError
        except (LookupError, ValueError):
            raise CharRNNError(
                f"`encoding` is {self.encoding!r}, which Python does not know.",
                hint="Examples: utf-8, utf-16, latin-1, cp1252.",
            ) from None

    def _check_documents(self) -> None:
        self._check_character("separator", r"Examples: '\n', '\x1e'.")
        self._check_character("loss_after", r"Example: '\t'.")
        self._check_marker()
        if self.field == "":
            raise CharRNNError("`field` is empty; it must be the name under which the texts are.")
        if self.loss_after is None:
            return
        # Records are documents, unless a separator makes one stream of them.
        if not self.resets and (self.field is None or self.separator is not None):
            raise CharRNNError(
                "`loss_after` needs documents at whose beginnings the hidden state starts again; this text has none.",
                hint="Add `one_per_line=True` or `documents_between='TEXT'` or, where files are documents, "
                "`reset_at_documents=True`.",
            )
        if self.loss_after == self.document_end:
            raise CharRNNError(
                f"`loss_after` is {self.loss_after!r}, which ends every document: nothing follows it.",
                hint="Name the character between the two parts of a document.",
            )

    def _check_marker(self) -> None:
        """Raise CharRNNError unless what ends documents inside files is a text, and nothing else says what they are."""
        marker = self.documents_between
        if self.one_per_line and marker is not None:
            raise CharRNNError(
                "`one_per_line` and `documents_between` exclude each other: with `one_per_line` every line is a "
                "document.",
                hint="Give one of them.",
            )
        if self.divided and (self.separator is not None or self.reset_at_documents):
            name, what = (
                ("one_per_line", "every line")
                if self.one_per_line
                else ("documents_between", "every part before a marker")
            )
            raise CharRNNError(
                f"`{name}` makes {what} a document; `separator` and `reset_at_documents` are for documents that are "
                "files."
            )
        if marker is None:
            return
        if not marker or any("\ud800" <= one <= "\udfff" or (self.bytes and one > "\xff") for one in marker):
            raise CharRNNError(
                f"`documents_between` is {marker!r}; it must be a text of one or more "
                f"{'bytes' if self.bytes else 'characters'}.",
                hint=r"Such as '\n\n' (a blank line) or '%%\n' (a line of its own).",
            )

    def _check_character(self, name: str, hint: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if len(value) != 1 or "\ud800" <= value <= "\udfff" or (self.bytes and value > "\xff"):
            raise CharRNNError(
                f"{_named(name)} is {value!r}; it must be one {'byte' if self.bytes else 'character'}.",
                hint=r"A character that is not ASCII is several bytes; \xff is one." if self.bytes else hint,
            )

    def _check_bytes(self) -> None:
        names = ("encoding", "errors", "normalize", "lower")
        changed = [_named(name) for name in names if getattr(self, name) != getattr(TextConfig, name)]
        if self.bytes and changed:
            raise CharRNNError(f"`bytes` reads bytes without decoding them; it excludes {' and '.join(changed)}.")


DEFAULT_TEXT = TextConfig()


def with_records(text: TextConfig) -> TextConfig:
    """Return the settings of a text; if it has records, each is a document, unless its documents are set otherwise."""
    has_documents = text.resets or text.separator is not None
    return text if text.field is None or has_documents else replace(text, documents_between=RECORD_END)


def mistyped(kind: type[Config], values: Mapping[str, Any]) -> str | None:
    """Return the first name whose value does not have the type of its field; an int is a valid float."""
    types = get_type_hints(kind)
    for name, value in values.items():
        allowed = get_args(types.get(name)) or (types.get(name, type(value)),)
        if type(value) not in allowed and not (type(value) is int and float in allowed):
            return name
    return None


def to_json(config: ModelConfig | TrainConfig | TextConfig) -> dict[str, Any]:
    """Return the fields of a config as a dict for JSON."""
    return {name: value for name, value in asdict(config).items() if name not in _LEFT_OUT or value != _LEFT_OUT[name]}


def from_json(kind: type[Config], data: dict[str, Any]) -> Config:
    """Return the config from what `to_json` returned; a field that this version does not know is an error."""
    unknown = set(data) - {field.name for field in fields(kind)}
    if unknown:
        raise CharRNNError(
            f"This charrnn does not know the settings {', '.join(sorted(unknown))}.", hint="Upgrade charrnn."
        )
    return kind(**data)
