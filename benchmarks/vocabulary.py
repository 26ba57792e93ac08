"""How training speed falls as the vocabulary grows, beside Keras's own layers: prints a Markdown table.

    python benchmarks/vocabulary.py

The texts are made here: characters of the CJK block drawn independently, their frequencies as Zipf has them. Runs and
peers are those of benchmarks/train.py. "Predicted" is the speed with the smallest vocabulary times the ratio of the
useful operations (recurrent products, products between layers, output).
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import machine
import numpy as np
from train import Bench
from train import size as size_of

from charrnn.config import ModelConfig
from charrnn.data.corpus import as_ids
from charrnn.network.parameters import useful_products
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary

FIRST = 0x4E00


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[65, 500, 5000], help="of the vocabulary")
    parser.add_argument("--shape", type=size_of, default="2x512", help="of the model, as in benchmarks/train.py")
    parser.add_argument("--characters", type=int, default=500_000, help="of each text")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="about how long a measurement lasts, at least")
    args = parser.parse_args()
    size, model = args.shape, ModelConfig("lstm", args.shape.layers, args.shape.units)
    print(machine.describe("charrnn", "numpy", "tensorflow", "keras"))
    speeds: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        benches = {symbols: bench(symbols, args.characters, Path(name), args.seconds) for symbols in args.sizes}
        for _ in range(args.repeats):
            for symbols in args.sizes:
                for contender in ("charrnn", "keras"):
                    speed = max(benches[symbols].speeds(contender, "lstm", size).values())
                    speeds.setdefault((symbols, contender), []).append(speed)
                    print(f"{symbols} symbols: {contender}: {speed:,.0f} characters/s", file=sys.stderr, flush=True)
    print(f"An LSTM of {size}; characters trained a second, median (lowest-highest):\n")
    print("| symbols | charrnn | predicted | of that | Keras | to Keras |\n|---|---|---|---|---|---|")
    smallest = args.sizes[0]
    for symbols in args.sizes:
        own, keras = (speeds[symbols, contender] for contender in ("charrnn", "keras"))
        ratio = useful_products(model, smallest) / useful_products(model, symbols)
        predicted = ratio * median(speeds[smallest, "charrnn"])
        share, to_keras = median(own) / predicted, median(own) / median(keras)
        print(f"| {symbols:,} | {spread(own)} | {predicted:,.0f} | {share:.0%} | {spread(keras)} | {to_keras:.2f}x |")


def bench(symbols: int, characters: int, folder: Path, seconds: float) -> Bench:
    """Return what measures training on a text of so many different characters."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, symbols + 1)
    drawn = rng.choice(symbols, characters, p=shares / shares.sum())
    # Each at least once, whatever was drawn.
    drawn[:symbols] = rng.permutation(symbols)
    path = folder / f"{symbols}.txt"
    path.write_text("".join(chr(FIRST + code) for code in drawn.tolist()), encoding="utf-8")
    text = read_text([path])
    place = folder / str(symbols)
    place.mkdir()
    return Bench(path, as_ids(text, Vocabulary.of(text.symbols)), place, None, seconds)


def spread(values: list[float]) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"


if __name__ == "__main__":
    main()
