"""A model of which some units are held at values of the user's choice."""

from collections.abc import Mapping
from copy import copy

import numpy as np

from charrnn.engines import COMPILED
from charrnn.errors import CharRNNError
from charrnn.inference.model import Model
from charrnn.network.units import Unit


def holding(model: Model, held: Mapping[Unit, float]) -> Model:
    """Return a model that differs from another one in one thing: units have the values `held` after each step.

    A value replaces that of the unit as soon as the unit's layer has computed its step, before anything reads it: a
    held h also reaches the layer above and the output of the same step; a held c is first read by the next step, as the
    h of its own step was made before. The first step, which is held too, reads the start symbol. NumPy computes the
    model; CharRNNError if compiled code was asked for.
    """
    if model.engine == COMPILED:
        raise CharRNNError(
            "`clamp` is computed by NumPy, but `engine` is 'compiled'.", hint="Leave out `engine`, or `clamp`."
        )
    changed = copy(model)
    # The compiled code of the other model, if there is any, holds no unit.
    vars(changed).pop("compiled", None)
    changed.held = dict(held)
    return changed


def is_value(model: Model, value: object) -> bool:
    """Return whether a unit of a model can be held at a value: at a number that is finite in the type of its state."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return False
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(model.table.dtype.type(value)))
    except OverflowError:
        return False
