"""Fine-tuning: the weights of a trained model for another text with other characters."""

from collections.abc import Mapping

import numpy as np

from charrnn.config import ModelConfig
from charrnn.network.parameters import Role, initial_weights, parameters
from charrnn.text.vocabulary import Vocabulary


def transfer(
    model: ModelConfig,
    weights: Mapping[str, np.ndarray],
    old: Vocabulary,
    new: Vocabulary,
    seed: int,
    classes: tuple[str, ...] | None = None,
) -> dict[str, np.ndarray]:
    """Return the weights of a model trained with the vocabulary `old` for the vocabulary `new`.

    A character of both vocabularies keeps its input row and its output column, and so does the unknown symbol; the
    start symbol keeps its row. A new character gets new ones, and the mean of the old output biases. If the model
    predicts something else than it did before, labels or characters, its output is new. All other weights stay the
    same. `classes` are the labels that the trained model predicts.
    """
    places = {symbol: place for place, symbol in enumerate(old.symbols)}
    to = [place for place, symbol in enumerate(new.symbols) if symbol in places]
    of = [places[new.symbols[place]] for place in to]
    if new.unknown_id is not None and old.unknown_id is not None:
        to, of = [*to, new.unknown_id], [*of, old.unknown_id]
    result = {}
    for parameter, fresh in zip(
        parameters(model, new.size), initial_weights(model, new.size, seed).values(), strict=True
    ):
        trained = weights[parameter.name]
        if parameter.looked_up:
            fresh[to], fresh[new.start] = trained[of], trained[old.start]
        elif parameter.role in (Role.OUTPUT, Role.OUTPUT_BIAS) and (classes or model.classes):
            fresh = trained if classes == model.classes else fresh
        elif parameter.role is Role.OUTPUT:
            fresh[:, to] = trained[:, of]
        elif parameter.role is Role.OUTPUT_BIAS:
            fresh[:] = trained.mean()
            fresh[to] = trained[of]
        else:
            fresh = trained
        result[parameter.name] = fresh
    return result
