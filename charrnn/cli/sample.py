"""`charrnn sample`: new text from a trained model."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli.console import write_data
from charrnn.cli.eval import known_part
from charrnn.cli.options import RunOrFile, Seed, Unknown
from charrnn.config import UNKNOWN

if TYPE_CHECKING:
    from charrnn.runtime.model import Model

# Text that is streamed is written at least so often, in seconds, and in pieces of at most so many characters.
_PAUSE = 0.02
_PIECE = 2000


def sample(
    run: RunOrFile = None,
    temp: Annotated[
        float, typer.Option("--temp", "-t", min=0.0, help="Temperature: lower is safer, 0 takes the likeliest.")
    ] = 1.0,
    length: Annotated[int, typer.Option("--length", "-n", min=0, help="Characters to sample.")] = 2000,
    prime: Annotated[str, typer.Option("--prime", "-p", help="Text to go on from; it is printed first.")] = "",
    unknown: Unknown = UNKNOWN[0],
    seed: Annotated[int | None, Seed.__metadata__[0]] = None,
) -> None:
    """Sample new text, written as it is made. Without a run named: the newest run's best checkpoint."""
    from time import perf_counter

    from charrnn.runs import find_checkpoint
    from charrnn.runtime.model import Model
    from charrnn.text import prepare

    model = Model.load(find_checkpoint(run))
    model.limit_threads()
    prime = known_part(model, prepare(prime, model.text), unknown, "--prime")
    write_data(prime)
    piece: list[str] = []
    written = 0.0
    for character in characters(model, prime, length, temp, seed):
        piece.append(character)
        if len(piece) == _PIECE or perf_counter() - written > _PAUSE:
            write_data("".join(piece))
            piece.clear()
            written = perf_counter()
    # A terminal's prompt belongs on a line of its own; a file gets the characters asked for and no other.
    write_data("".join(piece) + ("\n" if sys.stdout.isatty() else ""))


def characters(model: "Model", prime: str, length: int, temperature: float, seed: int | None) -> Iterator[str]:
    """Yield `length` sampled characters that follow `prime`; without it, those that follow a line break."""
    import numpy as np

    from charrnn.runtime.model import Stream
    from charrnn.sampling import pick, weights

    vocab, stream = model.vocab, Stream(model)
    rng = np.random.Generator(np.random.Philox(seed))
    # A running text's start symbol stands where training happened to begin; a line break is a better beginning.
    prime = prime or ("\n" if "\n" in vocab.symbols else "")
    ids = np.concatenate([[vocab.start], vocab.encode(prime, "--prime")]).astype(np.int64)
    logits = stream.feed(ids[:, None])[-1, 0]
    step, symbols = stream.step, vocab.symbols
    while length > 0:
        block = min(length, 4096)
        for uniform in rng.random(block).tolist():
            chosen = pick(weights(logits, temperature), uniform)
            yield symbols[chosen]
            logits = step(chosen)
        length -= block
