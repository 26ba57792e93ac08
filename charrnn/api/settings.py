"""The settings of a new run: named values become the settings of its model, its training and its text."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from charrnn.api.presets import PRESETS
from charrnn.config import (
    ACTIVATIONS,
    BUDGET,
    DEFAULT_MINUTES,
    DEFAULT_TEXT,
    LABELLED_SEQ,
    OPTIMIZERS,
    RECORD_END,
    ModelConfig,
    TextConfig,
    TrainConfig,
    mistyped,
    with_records,
)
from charrnn.errors import CharRNNError, did_you_mean

# The classes of a model come from its text.
MODEL, TRAIN, TEXT = (
    tuple(field.name for field in fields(kind) if field.name != "classes")
    for kind in (ModelConfig, TrainConfig, TextConfig)
)
# All names that can be set; `preset` and `activation` are short forms of other settings.
NAMES = (*MODEL, *TRAIN, *TEXT, "preset", "activation")
# What to use instead of names that settings had.
_RENAMED = {"lines": "Use `one_per_line`.", "corpus_changed_ok": "Use `allow_changed_text` of `resume`."}
# The settings of a preset that belong to its optimizer.
_OF_OPTIMIZER = ("optimizer", "lr", "epsilon", "rho", "momentum")
# Settings that have an effect only with some values of another setting.
ONLY_WITH = {
    "rho": ("optimizer", ("rmsprop", "adadelta")),
    "momentum": ("optimizer", ("sgd",)),
    "epsilon": ("optimizer", tuple(name for name in OPTIMIZERS if name != "sgd")),
    "warmup": ("schedule", ("cosine",)),
    "decay": ("schedule", ("exponential",)),
    "decay_after": ("schedule", ("exponential",)),
    "val": ("split", ("tail", "documents")),
}


@dataclass(frozen=True)
class Settings:
    """The settings of a new run: of its model, its training and its text; `named` are those that are not defaults."""

    model: ModelConfig
    train: TrainConfig
    text: TextConfig
    named: frozenset[str] = frozenset()


def settings(given: Mapping[str, Any], text: TextConfig = DEFAULT_TEXT) -> Settings:
    """Return the settings of a run: the defaults, replaced by those of the preset, replaced by the given ones.

    given: values by the names of NAMES; any other name is a CharRNNError.
    text: how the text is read if nothing else is given, such as the settings of the model that the run starts from.
        Its encoding and its field are not used: the encoding is UTF-8 if none is given.
    """
    if "allow_changed_text" in given:
        raise CharRNNError(
            "`allow_changed_text` is only for a run that is resumed; a new run has no older text to compare with.",
            hint="Leave it out, or name the run to continue with `resume`.",
        )
    check_names(given, NAMES)
    given = {name: plain(value) for name, value in given.items()}
    preset = given.get("preset")
    if preset is not None and preset not in tuple(PRESETS):
        raise CharRNNError(
            f"There is no preset {preset!r}; the presets are {', '.join(PRESETS)}.", did_you_mean(str(preset), PRESETS)
        )
    chosen = {**(_preset(PRESETS[preset], given) if preset else {}), **given}
    named = frozenset(chosen)
    if any(given.get(name) is not None for name in BUDGET):
        # A budget that is given replaces the preset's.
        chosen |= {name: given.get(name) for name in BUDGET}
    elif all(chosen.get(name) is None for name in BUDGET):
        chosen["minutes"] = DEFAULT_MINUTES
    for one, other in (("clip_value", "clip_norm"), ("clip_norm", "clip_value")):
        # They exclude each other: one that is given replaces the default or the preset's.
        if one in given and other not in given:
            chosen[other] = None
    chosen["cell"] = _cell(chosen.get("cell", ModelConfig.cell), chosen.get("activation"))
    model, train, changed = ({n: chosen[n] for n in names if n in chosen} for names in (MODEL, TRAIN, TEXT))
    for kind, values in ((ModelConfig, model), (TrainConfig, train), (TextConfig, changed)):
        check_types(kind, values)
    form = with_records(TextConfig(**{**_inherited(text, changed), **changed}))
    if form.labelled:
        train.setdefault("seq", LABELLED_SEQ)
    made = Settings(ModelConfig(**model), TrainConfig(**train), form, named)
    check_effects(given, made.train)
    if made.model.stack == "residual" and made.model.layers == 1:
        raise CharRNNError(
            "`stack='residual'` has an effect only from the second layer on; it needs `layers=2` or more."
        )
    _check_validates(given, made.train)
    return made


def _inherited(text: TextConfig, changed: Collection[str]) -> dict[str, Any]:
    """Return which settings of another text apply to this one, where `changed` are given.

    Its encoding, its field and its labels do not. What is given of documents replaces all that the other text says of
    them.
    """
    values = {**vars(text), "encoding": DEFAULT_TEXT.encoding, "field": None, "labels": False, "label_field": None}
    documents = {"one_per_line": False, "documents_between": None, "separator": None, "reset_at_documents": False}
    if labels := {"labels", "label_field"} & set(changed):
        documents["loss_after"] = None
    if text.field is not None and text.documents_between == RECORD_END:
        values["documents_between"] = None
    return values | documents if labels or {*documents, "field"} & set(changed) else values


def check_effects(given: Mapping[str, Any], train: TrainConfig) -> None:
    """Raise CharRNNError if a given setting has no effect with the other settings; None means not given."""
    for name, (other, values) in ONLY_WITH.items():
        value = getattr(train, other)
        if given.get(name) is not None and value not in values:
            these = f"`{other}={values[0]!r}`{''.join(f' or {more}' for more in values[1:])}"
            raise CharRNNError(f"`{name}` has no effect with `{other}={value!r}`; it is for {these}.", "Leave it out.")


def _check_validates(given: Mapping[str, Any], train: TrainConfig) -> None:
    """Raise CharRNNError if a setting of the validation part was given, but there is no such part."""
    asked = {name for name, value in given.items() if value is not None}
    if train.split != "char-rnn" and not train.val:
        for name, why in (("patience", "counts evaluations"), ("split", "chooses the validation or test part")):
            if name in asked and not (name == "split" and train.test):
                raise CharRNNError(f"`{name}` {why}; it has no effect with `val=0`.", "Leave it out.")


def check_names(given: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise CharRNNError if a given setting is not one of `names`."""
    for name in given:
        if name not in names:
            hint = _RENAMED.get(name) or did_you_mean(name, names) or "help(charrnn.train) lists the settings."
            raise CharRNNError(f"There is no setting `{name}`.", hint)


def check_types(kind: Any, values: Mapping[str, Any]) -> None:
    """Raise CharRNNError if a value does not have the type of its setting."""
    name = mistyped(kind, values)
    if name is not None:
        (wanted,) = (field.type for field in fields(kind) if field.name == name)
        wanted = getattr(wanted, "__name__", wanted)
        raise CharRNNError(f"`{name}` is {values[name]!r}; it must be of the type {wanted}.")


def plain(value: Any) -> Any:
    """Return a NumPy number as a Python number, which can be written to a file; other values as they are."""
    return value.item() if getattr(value, "size", None) == 1 and hasattr(value, "item") else value


def _preset(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a preset that go together with those that are given.

    Another optimizer has other settings; documents that are not lines are not cut as char-rnn cuts a text.
    """
    other = given.get("optimizer", preset.get("optimizer")) != preset.get("optimizer")
    whole = any(given.get(name) for name in ("documents_between", "field", "reset_at_documents"))
    left_out = {*(_OF_OPTIMIZER if other else ()), *(("split",) if whole else ())}
    return {name: value for name, value in preset.items() if name not in left_out}


def _cell(cell: str, activation: str | None) -> str:
    if activation is None:
        return cell
    if activation not in ACTIVATIONS:
        raise CharRNNError(f"`activation` is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}.")
    if cell not in ("rnn", "irnn"):
        raise CharRNNError(f"`activation={activation!r}` is for `cell='rnn'`; {cell} has its own activations.")
    if cell == "irnn" and activation != "relu":
        raise CharRNNError("`cell='irnn'` has the activation relu.", hint="Use `cell='rnn'`, or no `activation`.")
    return "irnn" if activation == "relu" else cell
