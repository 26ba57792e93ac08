"""How long a training takes to start: prints a Markdown table.

    python benchmarks/start.py

`charrnn train` trains an LSTM of 2x128 for one step and saves it: the whole command, with each backend, and beside it
the import of that backend and Keras. Contenders take turns; the table holds medians (lowest-highest).
"""

import argparse
import random
import sys
import tempfile
from itertools import count
from pathlib import Path

import machine
from sample import CHARRNN, peak_memory, spread, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="how often each start is measured")
    args = parser.parse_args()
    print(machine.describe("charrnn", "tensorflow", "jax", "keras"))
    print("\n| from the shell | seconds | peak memory |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        text = Path(name, "text.txt")
        text.write_text("".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz \n", k=20_000)))
        contenders = {}
        for backend in ("tensorflow", "jax"):
            imports = f"import os; os.environ['KERAS_BACKEND'] = '{backend}'; import {backend}, keras"
            contenders[f"import {backend}, keras"] = [sys.executable, "-c", imports]
            options = f"--backend {backend} --steps 1 --val 0 -qq --checkpoints {name} --name"
            contenders[f"charrnn train --backend {backend}"] = [CHARRNN, "train", str(text), *options.split()]
        times: dict[str, list[float]] = {contender: [] for contender in contenders}
        runs = count()
        for number in range(args.repeats + 1):
            for contender, command in contenders.items():
                took = whole(named(command, next(runs)))
                # The first one fills caches.
                times[contender] += [took] if number else []
        for contender, command in contenders.items():
            memory = peak_memory(named(command, next(runs)))
            print(f"| `{contender}` | {spread(times[contender], '.2f')} | {memory:,.0f} MB |")


def named(command: list[str], number: int) -> list[str]:
    """Return a command with a new name for its run, if it trains."""
    return [*command, f"run{number}"] if command[-1] == "--name" else command


if __name__ == "__main__":
    main()
