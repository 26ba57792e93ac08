"""How fast `charrnn sample` draws with filters and many texts at once, and how fast `charrnn score` scores lines.

    python benchmarks/use.py --repeats 3 --lines 1000000

Speed is that of the real commands on untrained LSTMs with a vocabulary of 65: the difference of a long call and a short
one, so that start-up cancels. The share of the peak counts useful operations only: 2 x the products of recurrent,
between-layer and output weights a character. The peak is measured before each pair of calls. Contenders take turns.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import machine
import numpy as np
from sample import CHARRNN, VOCAB, peak_memory, size, spread, write_models

from charrnn.api.benchmark import peak_gflops
from charrnn.config import ModelConfig
from charrnn.network.parameters import useful_products

# The same logits for all characters would make every filter keep all of them; a stop string that never comes.
FILTERS = {
    "no filter": (),
    "--top-p 0.9": ("--top-p", "0.9"),
    "--top-p 0.9 --until": ("--top-p", "0.9", "--until", "NEVERWRITTEN"),
    "--top-k 20 --min-p 0.05": ("--top-k", "20", "--min-p", "0.05"),
    "--typical 0.9": ("--typical", "0.9"),
}
_SAMPLE = (CHARRNN, "sample", "--seed", "0")


def seconds(command: Sequence[str]) -> float:
    """Return how long a command takes until all it says has been read."""
    began = perf_counter()
    subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return perf_counter() - began


def speed(command: Callable[[int], Sequence[str]], short: int, long: int, characters: int) -> float:
    """Return characters a second, from two calls of which one does `long - short` units of so many characters more."""
    return (long - short) * characters / (seconds(command(long)) - seconds(command(short)))


def one_stream(path: Path, filters: Sequence[str]) -> Callable[[int], list[str]]:
    """Return the command that draws one text of a length."""
    return lambda length: [*_SAMPLE, str(path), "-n", str(length), *filters]


def many(path: Path, count: int, engine: str) -> Callable[[int], list[str]]:
    """Return the command that draws `count` texts of a length."""
    return lambda length: [*_SAMPLE, str(path), "-n", str(length), "--count", str(count), "--engine", engine]


def scored(path: Path, folder: Path, engine: str) -> Callable[[int], list[str]]:
    """Return the command that scores so many lines of 40 characters."""
    rng, symbols = np.random.default_rng(0), np.array(VOCAB.symbols)

    def command(lines: int) -> list[str]:
        text = folder / f"{lines}.txt"
        if not text.exists():
            with text.open("w") as file:
                for _ in range(0, lines, 1000):
                    block = rng.choice(symbols, (1000, 40))
                    file.writelines("".join(line) + "\n" for line in block)
        return [CHARRNN, "score", str(path), str(text), "--engine", engine]

    return command


def peak() -> float:
    """Return the speed of large float32 products in GFLOPS."""
    return peak_gflops("tensorflow")


def share(rate: float, dims: tuple[int, int], gflops: float) -> float:
    """Return the part of the peak that a rate makes useful."""
    return rate * 2 * useful_products(ModelConfig("lstm", *dims), VOCAB.size) / (gflops * 1e9)


def print_filters(paths: dict[tuple[int, int], Path], repeats: int, length: int) -> None:
    """Print how fast one text is drawn with each set of filters."""
    print("| one text | " + " | ".join(FILTERS) + " |\n|" + "---|" * (len(FILTERS) + 1))
    for dims, path in paths.items():
        rates: dict[str, list[float]] = {name: [] for name in FILTERS}
        for _ in range(repeats):
            for name, filters in FILTERS.items():
                more = length // (1 + dims[0] * dims[1] // 256)
                rates[name].append(speed(one_stream(path, filters), 500, 500 + more, 1))
        plain = median(rates["no filter"])
        cells = [f"{median(rate):,.0f} ({median(rate) / plain:.0%})" for rate in rates.values()]
        print(f"| {dims[0]}x{dims[1]} | " + " | ".join(cells) + " |", flush=True)


def print_batches(rows: list[tuple[str, tuple[int, int], Callable[[str], float]]], repeats: int) -> None:
    """Print how fast many texts are drawn or scored, beside the peak, and how much faster than with NumPy alone."""
    print("\n| | LSTM | characters/s | peak, GFLOPS | of the peak | NumPy alone, of the peak | to NumPy |")
    print("|---|---|---|---|---|---|---|")
    for name, dims, rate in rows:
        triples = [(peak(), rate("auto"), rate("numpy")) for _ in range(repeats)]
        peaks, rates, of_numpy = ([triple[place] for triple in triples] for place in range(3))
        shares = [
            [share(rate, dims, gflops) for rate, gflops in zip(found, peaks, strict=True)]
            for found in (rates, of_numpy)
        ]
        ratios = [rate / slower for rate, slower in zip(rates, of_numpy, strict=True)]
        print(
            f"| {name} | {dims[0]}x{dims[1]} | {spread(rates, ',.0f')} | {spread(peaks, ',.0f')} | "
            f"{spread(shares[0], '.0%')} | {spread(shares[1], '.0%')} | {median(ratios):.2f}x |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="how often each speed is measured")
    parser.add_argument("--length", type=int, default=200_000, help="characters of one text, fewer of larger models")
    parser.add_argument("--sizes", nargs="+", type=size, default=[(2, 128), (2, 256), (2, 512)], help="of one text")
    parser.add_argument("--lines", type=int, default=100_000, help="lines that are scored, thousands")
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy"), "\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_models(sorted({*args.sizes, (2, 256), (2, 512)}), folder)
        print_filters({dims: paths[dims] for dims in args.sizes}, args.repeats, args.length)
        lines = partial(scored, paths[2, 256], folder)
        lines("auto")(args.lines), lines("auto")(1000)
        rows: list[tuple[str, tuple[int, int], Callable[[str], float]]] = [
            ("sample --count 256", (2, 512), lambda engine: speed(many(paths[2, 512], 256, engine), 20, 220, 256)),
            ("sample --count 256", (2, 256), lambda engine: speed(many(paths[2, 256], 256, engine), 20, 420, 256)),
            ("score", (2, 256), lambda engine: speed(lines(engine), 1000, args.lines, 40)),
        ]
        print_batches(rows, args.repeats)
        for count in (1000, args.lines):
            print(f"\nMemory of scoring {count:,} lines: {peak_memory(lines('auto')(count)):,.0f} MB.", flush=True)


if __name__ == "__main__":
    main()
