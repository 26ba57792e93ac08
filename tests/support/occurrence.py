"""A model made by hand, one unit of which says whether a character has occurred, and texts that it tells apart."""

import random
from pathlib import Path

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.network.parameters import Role, parameters
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\nabcdefx")
UNIT = 3


def write_occurrence(path: Path, text: TextConfig = DEFAULT_TEXT, seed: int = 0, of: str = "x") -> None:
    """Write a model whose unit UNIT is 0 until it reads a character, and then 1; the others are random."""
    model = ModelConfig("rnn", 1, 8)
    weights = dict(random_weights(model, VOCAB.size, "float32", seed=seed))
    for parameter in parameters(model, VOCAB.size):
        value = weights[parameter.name]
        if parameter.role is not Role.OUTPUT and parameter.layer == 0:
            value[..., UNIT] = 0
        if parameter.role is Role.KERNEL:
            # tanh(9) is 1 but for rounding.
            value[VOCAB.encode(of)[0], UNIT] = 9
        elif parameter.role is Role.RECURRENT:
            value[UNIT, UNIT] = 9
    write_checkpoint(path, Checkpoint(model, VOCAB, weights, text=text))


def texts_with_and_without(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """Return texts, a few of them empty, and their labels: whether an x occurs."""
    rng = random.Random(seed)
    texts = ["".join(rng.choices("abcdef", k=rng.randrange(15))) for _ in range(count)]
    for place in range(0, count, 2):
        at = rng.randrange(len(texts[place]) + 1)
        texts[place] = texts[place][:at] + "x" + texts[place][at:]
    return texts, ["with" if "x" in text else "without" for text in texts]
