"""How fast `charrnn embed` makes vectors of lines, beside `charrnn score` of the same lines: prints a Markdown table.

    python benchmarks/embedding.py --repeats 3

Both are the real commands on an untrained LSTM with a vocabulary of 65 and lines of 40 characters, each timed from its
start to its end: embed writes a .npy file, score writes to a file. They take turns; the table has medians
(lowest-highest), the ratio of the two rates of each turn, and that of the processor times, which other programs on the
machine change less: more than 100% means that embed needs less. Then come the largest difference of the vectors of 200
lines from those of each line read alone, and the peak memory of embed for a tenth of the lines and for all.
"""

import argparse
import resource
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import machine
import numpy as np
from sample import CHARRNN, VOCAB, peak_memory, size, spread, write_models

from charrnn.api.model import load

CHARACTERS = 40
POOLED = {"mean, highest layer, h": (), "mean, all layers and states": ("--layer", "all", "--state", "all")}


def written(folder: Path, lines: int) -> Path:
    """Return a file of so many random lines."""
    path, rng, symbols = folder / f"{lines}.txt", np.random.default_rng(0), np.array(VOCAB.symbols)
    with path.open("w") as file:
        for low in range(0, lines, 1000):
            block = rng.choice(symbols, (min(1000, lines - low), CHARACTERS))
            file.writelines("".join(line) + "\n" for line in block)
    return path


class Spent(NamedTuple):
    """How long a command took, and how much time of the processor, in seconds."""

    elapsed: float
    computed: float


def spent(command: list[str], output: Path | None = None) -> Spent:
    """Return how long a command takes: one that writes to a file, or one that prints only messages."""
    began, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(output or "/dev/null", "wb") as file:
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(perf_counter() - began, computed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size, default=(2, 256), help="as 2x256, of the LSTM")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3, help="how often each speed is measured")
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy"), "\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = str(write_models([args.size], folder)[args.size])
        few, many = (str(written(folder, lines)) for lines in (max(1, args.lines // 10), args.lines))
        vectors = folder / "vectors.npy"

        def embedding(text: str, *options: str) -> list[str]:
            return [CHARRNN, "embed", model, text, "-o", str(vectors), *options]

        # Once before, so that the code is compiled and the files are in memory.
        spent([CHARRNN, "score", model, few], folder / "scores")
        print(
            "| vectors | embed, lines/s | score, lines/s | embed to score | in processor time |\n|---|---|---|---|---|"
        )
        for pooled, options in POOLED.items():
            pairs = []
            for _ in range(args.repeats):
                embed = spent(embedding(many, *options))
                pairs.append((embed, spent([CHARRNN, "score", model, many], folder / "scores")))
            rates = [spread([args.lines / pair[place].elapsed for pair in pairs], ",.0f") for place in (0, 1)]
            ratios = [spread([score[of] / embed[of] for embed, score in pairs], ".0%") for of in (0, 1)]
            print(f"| {pooled} | {' | '.join([*rates, *ratios])} |", flush=True)
        print(f"\nLargest difference from lines that are read alone: {difference(model, many, vectors):.1e}.")
        for text in (few, many):
            lines = Path(text).read_bytes().count(b"\n")
            print(f"Memory of embedding {lines:,} lines: {peak_memory(embedding(text)):,.0f} MB.", flush=True)


def difference(model: str, text: str, vectors: Path) -> float:
    """Return the largest difference of the vectors in a file from those of lines that are read alone."""
    with open(text) as file:
        lines = [line.rstrip("\n") for line, _ in zip(file, range(200), strict=False)]
    alone = load(model, engine="numpy")
    found = np.load(vectors, mmap_mode="r")
    how = {} if found.shape[1] == alone.config.units else {"layer": None, "state": None}
    return float(
        max(np.abs(alone.embed([line], **how)[0] - row).max() for line, row in zip(lines, found, strict=False))
    )


if __name__ == "__main__":
    main()
