"""What a model would have guessed at each character of a text, beside what the text has there."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from charrnn.data.parts import Part
from charrnn.inference.attention import texts_at_once
from charrnn.inference.model import Model
from charrnn.inference.sampling import cross_entropy
from charrnn.inference.scoring import SIDE_BY_SIDE, Reader, groups, padded, portions


class Read(NamedTuple):
    """Of each character of a text: its cost in nats, float32, and the id of the likeliest one; (characters,)."""

    nats: np.ndarray
    likeliest: np.ndarray


def likeliest(model: Model, part: Part) -> Read:
    """Return costs and likeliest characters of a part that fits in memory, read as `scoring.score_part` reads it."""
    found = Read(np.empty(len(part), np.float32), np.empty(len(part), np.int64))
    texts = list(_texts(model, part))
    read = [part.at(places) for places in texts]
    for group in groups([len(text) for text in texts], texts_at_once(model.config, SIDE_BY_SIDE)):
        ids, reader = padded(read, group), Reader(model, len(group))
        nats, best = np.empty(ids.shape, np.float32), np.empty(ids.shape, np.int64)
        for low, logits in reader.logits(ids):
            here = slice(low, low + len(logits))
            nats[here], best[here] = cross_entropy(logits, ids[here]), logits.argmax(axis=-1)
        for column, text in enumerate(group):
            places = texts[text]
            found.nats[places], found.likeliest[places] = nats[: len(places), column], best[: len(places), column]
    return found


def _texts(model: Model, part: Part) -> Iterator[np.ndarray]:
    """Yield the places of each text that is read from its beginning, in the order in which the model reads them."""
    places = np.arange(len(part))
    if not part.resets:
        yield places[::-1] if model.text.reverse else places
        return
    for low, bounds in portions(part):
        for document in np.split(places[low : bounds[-1]], [bound - low for bound in bounds[:-1]]):
            yield document[model.order(part.at(document))]
