"""What `charrnn train` says at the end: where the model is, how good, beside which baselines, what to type next."""

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import printable, say
from charrnn.config import ModelConfig
from charrnn.vocab import Vocabulary

if TYPE_CHECKING:
    import numpy as np

    from charrnn.corpus import Corpus, Split
    from charrnn.runs import Run
    from charrnn.training.events import Ended
    from charrnn.training.loop import Trainer

# Training this far below validation, in nats a character, means that the text is being learnt by heart.
MEMORISED = 0.5
COMPRESSED_AT_ONCE = 1 << 20


def seconds_needed(model: ModelConfig, vocab: Vocabulary, val: Sequence["np.ndarray"]) -> float:
    """Return about how long the exact evaluation at the end will take, measured on a few characters."""
    from time import perf_counter

    import numpy as np

    from charrnn.network import initial_weights
    from charrnn.runtime.evaluate import score
    from charrnn.runtime.model import Model

    if not val:
        return 1.0
    network = Model(model, vocab, initial_weights(model, vocab.size, 0))
    network.limit_threads()
    ids = np.zeros((200, len(val)), np.int64)
    score(network, ids[:20])
    began = perf_counter()
    score(network, ids)
    return 1.0 + (perf_counter() - began) / 200 * max(map(len, val)) * 1.1


def at_the_end(run: "Run", trainer: "Trainer", corpus: "Corpus", parts: "Split", ended: "Ended") -> None:
    """Evaluate the best checkpoint exactly and say what there is to say, on stderr."""
    from charrnn.runtime.evaluate import mean_nats
    from charrnn.runtime.model import Model

    if ended.reason == "patience":
        say(f"Stopped early: no better for {trainer.config.patience} evaluations.")
    best = run.best if run.best.is_file() else run.newest()
    assert best is not None
    say(f"The model is {printable(str(best))} (step {trainer.progress['best_step']:,}).")
    if parts.val:
        model = Model.load(best)
        model.limit_threads()
        nats = mean_nats(model, parts.val)
        characters = sum(map(len, parts.val))
        say(
            f"Validation: {nats / math.log(2):.4f} bits per character ({nats:.4f} nats), exactly, on "
            f"{characters:,} characters it was not trained on."
        )
        text = b"".join(corpus.vocab.decode(segment).encode("utf-8") for segment in parts.val)
        sizes = ", ".join(f"{name} {8 * size / characters:.3f}" for name, size in compressed_sizes(text).items())
        say(f"  For comparison, compressors on the same text alone, bits per character: {sizes}.")
        train = trainer.history[-1]["train_nats"] if trainer.history else math.inf
        if train < nats - MEMORISED:
            say(
                f"  It has begun to learn its text by heart: training loss {train:.2f} nats, validation {nats:.2f}. "
                "More text, more --dropout or fewer --units would help."
            )
    say(f"Sample from it: charrnn sample {shell_name(run)} --temp 0.8")


def compressed_sizes(data: bytes) -> dict[str, int]:
    """Return how many bytes bzip2 and xz make of `data`, in bounded memory."""
    import bz2
    import lzma

    sizes = {}
    compressors: dict[str, Any] = {"bzip2": bz2.BZ2Compressor(9), "xz": lzma.LZMACompressor(preset=6)}
    for name, compressor in compressors.items():
        size = 0
        for low in range(0, len(data), COMPRESSED_AT_ONCE):
            size += len(compressor.compress(data[low : low + COMPRESSED_AT_ONCE]))
        sizes[name] = size + len(compressor.flush())
    return sizes


def shell_name(run: "Run") -> str:
    """Return how to name a run on the command line: its name if it lies in the folder of runs, else its path."""
    from charrnn.runs import runs_folder

    inside = run.path.parent.resolve() == runs_folder().resolve()
    return shlex.quote(run.name if inside else str(run.path))
