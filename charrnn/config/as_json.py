"""Settings as JSON, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from charrnn.config.model import ModelConfig
from charrnn.config.text import TextConfig
from charrnn.config.train import TrainConfig
from charrnn.errors import CharRNNError

Config = TypeVar("Config", ModelConfig, TrainConfig, TextConfig)

# Settings that are newer than the format of checkpoints: with these values they are not written, so that files of
# unchanged settings stay the same to the byte.
_LEFT_OUT = {
    "loss_after": None,
    "precision": "float32",
    "documents_between": None,
    "field": None,
    "attention": None,
    "reverse": False,
    "labels": False,
    "classes": None,
    "label_field": None,
}


def mistyped(kind: type[Config], values: Mapping[str, Any]) -> str | None:
    """Return the first name whose value does not have the type of its field; an int is a valid float."""
    types = get_type_hints(kind)
    for name, value in values.items():
        wanted = types.get(name, type(value))
        allowed = tuple(get_origin(kind) or kind for kind in get_args(wanted) or (wanted,))
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
    return kind(**with_tuples(data))


def with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with a tuple in place of each list of JSON."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
