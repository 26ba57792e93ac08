"""`charrnn sample`: new text from a trained model."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli.console import printable, say, write_data
from charrnn.cli.eval import check_unknown
from charrnn.cli.options import RunOrFile, Seed, Unknown

if TYPE_CHECKING:
    import numpy as np

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
    unknown: Unknown = None,
    seed: Annotated[int | None, Seed.__metadata__[0]] = None,
) -> None:
    """Sample new text, written as it is made. Without a run named: the newest run's best checkpoint."""
    from time import perf_counter

    from charrnn.runs import find_checkpoint
    from charrnn.runtime.model import Model
    from charrnn.text import BYTES, prepare

    model = Model.load(find_checkpoint(run))
    model.limit_threads()
    check_unknown(unknown)
    ids, notice = model.vocab.admit(prepare(prime, model.text), unknown, "--prime")
    if notice:
        say(printable(notice))
    encoding = BYTES if model.text.bytes else "utf-8"
    write_data(model.vocab.decode(ids), encoding)
    piece: list[str] = []
    written = 0.0
    for character in characters(model, ids, length, temp, seed):
        piece.append(character)
        if len(piece) == _PIECE or perf_counter() - written > _PAUSE:
            write_data("".join(piece), encoding)
            piece.clear()
            written = perf_counter()
    # A terminal's prompt belongs on a line of its own; a file gets the characters asked for and no other.
    write_data("".join(piece) + ("\n" if sys.stdout.isatty() else ""), encoding)


def characters(model: "Model", prime: "np.ndarray", length: int, temperature: float, seed: int | None) -> Iterator[str]:
    """Yield `length` sampled characters that follow the ids `prime`; without any, those that follow a line break.

    A model that forgets where documents begin begins another one after each end. The unknown symbol is never sampled.
    """
    import numpy as np

    from charrnn.runtime.model import Stream
    from charrnn.sampling import pick, weights

    vocab, stream, symbols = model.vocab, Stream(model), model.vocab.symbols
    rng = np.random.Generator(np.random.Philox(seed))
    if not len(prime) and not model.text.resets and "\n" in vocab.symbols:
        # A running text's start symbol stands where training happened to begin; a line break is a better beginning.
        prime = vocab.encode("\n")
    end = model.text.document_end if model.text.resets else None
    if end in symbols:
        # What stands before the last end is another document, of which nothing is remembered.
        ends = np.flatnonzero(prime == symbols.index(end))
        prime = prime[ends[-1] + 1 :] if len(ends) else prime
    ids = np.concatenate([[vocab.start], prime]).astype(np.int64)
    logits = stream.feed(ids[:, None])[-1, 0]
    step, unknown = stream.step, vocab.unknown_id
    while length > 0:
        block = min(length, 4096)
        for uniform in rng.random(block).tolist():
            if unknown is not None:
                logits[unknown] = -np.inf
            chosen = pick(weights(logits, temperature), uniform)
            yield symbols[chosen]
            if symbols[chosen] == end:
                stream.forget()
                logits = step(vocab.start)
            else:
                logits = step(chosen)
        length -= block
