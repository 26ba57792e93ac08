"""Fine-tuning: the weights of a trained model for a text with other characters."""

from collections.abc import Mapping

import numpy as np

from charrnn.config import ModelConfig
from charrnn.network.parameters import initial_weights, input_matrix
from charrnn.text.vocabulary import Vocabulary


def transfer(
    model: ModelConfig, weights: Mapping[str, np.ndarray], old: Vocabulary, new: Vocabulary, seed: int
) -> dict[str, np.ndarray]:
    """Return the weights for the vocabulary `new` of a model trained with `old`.

    A character of both keeps its input row and its output column, as does the unknown symbol, and the start symbol its
    row; one that is new gets fresh ones, and the mean of the old output biases. All other weights stay.
    """
    places = {symbol: place for place, symbol in enumerate(old.symbols)}
    to = [place for place, symbol in enumerate(new.symbols) if symbol in places]
    of = [places[new.symbols[place]] for place in to]
    if new.unknown_id is not None and old.unknown_id is not None:
        to, of = [*to, new.unknown_id], [*of, old.unknown_id]
    result = {}
    for name, fresh in initial_weights(model, new.size, seed).items():
        if name == input_matrix(model):
            fresh[to], fresh[new.start] = weights[name][of], weights[name][old.start]
        elif name == "output/W":
            fresh[:, to] = weights[name][:, of]
        elif name == "output/b":
            fresh[:] = weights[name].mean()
            fresh[to] = weights[name][of]
        else:
            fresh = weights[name]
        result[name] = fresh
    return result
