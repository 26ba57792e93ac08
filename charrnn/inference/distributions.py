"""The values of all gates and states of a model while it reads a text, for histograms."""

import numpy as np

from charrnn.data.parts import Part
from charrnn.inference.activations import Watch, read
from charrnn.inference.model import Model
from charrnn.inference.neurons import gate_names, gate_values
from charrnn.inference.stream import Stream
from charrnn.network.units import fields, values


def distributions(model: Model, part: Part) -> dict[str, np.ndarray]:
    """Return the values after each character of a text by name, (characters, units), in no order of characters.

    The names are those of the gates ("gates/layer0/f"), then those of the fields of the state ("states/layer0/c").
    """
    of, collected = fields(model.config), []

    def watcher() -> Watch:
        found: dict[str, list[np.ndarray]] = {}
        sources: list[np.ndarray] = []
        collected.append(found)

        def watch(stream: Stream, places: np.ndarray) -> None:
            if not found:
                # The arrays are those of every step: a step writes into them.
                sources.extend([*gate_values(stream), *values(stream.states, of)])
                names = [f"gates/layer{layer}/{name}" for layer, name in gate_names(stream)]
                found.update({name: [] for name in [*names, *(f"states/{field}" for field in of)]})
            live = places >= 0
            for now, kept in zip(sources, found.values(), strict=True):
                kept.append(now.reshape(stream.batch, -1)[live])

        return watch

    read(model, part, watcher, at_once=1)
    return {name: np.concatenate([each for found in collected for each in found[name]]) for name in collected[0]}
