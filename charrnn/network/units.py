"""The units of a network: the numbers of its hidden state, by name: "layer1/c/117" is unit 117 of c in layer 1."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, did_you_mean
from charrnn.network.stacks import layers_of


class Field(NamedTuple):
    """A field of the state of a layer; layers count from 0, the lowest."""

    layer: int
    name: str

    def __str__(self) -> str:
        return f"layer{self.layer}/{self.name}"


class Unit(NamedTuple):
    """One number of a field of the hidden state."""

    field: Field
    place: int

    def __str__(self) -> str:
        return f"{self.field}/{self.place}"


def fields(model: ModelConfig, layer: int | None = None, state: str | None = None) -> list[Field]:
    """Return the fields of the hidden state, lowest layer first, without the memory of attention.

    layer: only of this layer; negative ones count from the highest, -1. state: only fields with this name; where one
    cell contains several layers, those of each (h, h_0, ...). CharRNNError if the network has no such layer or field.
    """
    cells = layers_of(model)
    if layer is not None and not -len(cells) <= layer < len(cells):
        raise CharRNNError(
            f"`layer` is {layer}; the model {model.title} has "
            + ("only layer 0." if len(cells) == 1 else f"the layers 0 to {len(cells) - 1}.")
        )
    wanted = range(len(cells)) if layer is None else [layer % len(cells)]
    found = [Field(number, name) for number in wanted for name in cells[number].state_fields]
    if state is None:
        return found
    named = [field for field in found if re.sub(r"_\d+$", "", field.name) == state]
    if not named:
        has = list(dict.fromkeys(field.name for field in found))
        raise CharRNNError(
            f"`state` is {state!r}; the state of {model.title} has {', '.join(has)}.", did_you_mean(state, has)
        )
    return named


def unit(model: ModelConfig, name: str) -> Unit:
    """Return the unit with a name; CharRNNError if the network has no such unit."""
    found = re.fullmatch(r"layer(\d+)/(\w+)/(\d+)", name, re.ASCII)
    field = None if found is None else Field(int(found[1]), found[2])
    if found is None or field not in fields(model) or int(found[3]) >= model.units:
        among = list(map(str, fields(model)))
        raise CharRNNError(
            f"{model.title} has no unit {name!r}; its units are {among[0]}/0 to {among[-1]}/{model.units - 1}.",
            hint=f"A name has a layer, a field of its state ({', '.join(among)}) and a number below {model.units}.",
        )
    assert field is not None
    return Unit(field, int(found[3]))


def unit_names(model: ModelConfig, of: Sequence[Field]) -> Iterator[str]:
    """Yield the names of all units of some fields, in the order in which their values are side by side."""
    for field in of:
        yield from (f"{field}/{place}" for place in range(model.units))


def values(states: Sequence[Any], of: Sequence[Field]) -> list[Any]:
    """Return the values of some fields, (batch, units) each, of the hidden state of all layers."""
    return [getattr(states[field.layer], field.name) for field in of]
