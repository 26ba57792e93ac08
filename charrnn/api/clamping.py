"""Units that are held at values while a model generates text: the argument `clamp`."""

from collections.abc import Mapping
from copy import copy
from typing import TypeVar

from charrnn.api.encoding import Encoder
from charrnn.api.generation import How
from charrnn.api.given import unfit
from charrnn.errors import CharRNNError
from charrnn.inference.holding import holding, is_value
from charrnn.network.units import Unit, unit

AnyModel = TypeVar("AnyModel", bound=Encoder)


def clamped(model: AnyModel, how: How) -> AnyModel:
    """Return the model that generates text as `how` says: with `clamp`, one that holds these units at their values."""
    clamp = how.get("clamp")
    if clamp is None or clamp == {}:
        return model
    if not isinstance(clamp, Mapping):
        raise unfit("clamp", clamp, "a dict of the names of units and their values, such as {'layer0/h/3': 0.5}")
    held: dict[Unit, float] = {}
    for name, value in clamp.items():
        found = unit(model.config, str(name))
        if not is_value(model.network, value):
            raise CharRNNError(f"`clamp` holds {name} at {value!r}; it must be a finite number that float32 can hold.")
        if held.get(found, value) != value:
            raise CharRNNError(f"`clamp` holds {found} at {held[found]:g} and at {value:g}.", hint="Give one value.")
        held[found] = float(value)
    changed = copy(model)
    changed.network = holding(model.network, held)
    return changed
