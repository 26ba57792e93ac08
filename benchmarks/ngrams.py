"""How long `charrnn baseline` takes for texts, and how much memory: prints a Markdown table.

    python benchmarks/ngrams.py tinyshakespeare.txt large.txt --random 22_000_000

Each row is a real command in a process of its own, with an empty cache. The time is that of the processor, reading the
text included: n-grams are counted on one core. `--random` adds a text of so many random letters. It is the worst case:
nearly all its long n-grams are different.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--random", type=int, default=0, metavar="N")
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy"))
    print("\n| text | characters to train on | used | processor time | peak memory | best order | bits per character |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.random:
            rng = np.random.default_rng(0)
            rng.integers(ord("A"), ord("Z") + 1, args.random, np.uint8).tofile(folder / "random.txt")
            args.texts.append(folder / "random.txt")
        for number, text in enumerate(args.texts):
            print(f"| {text.name} | {' | '.join(row(text, folder / str(number)))} |", flush=True)


def row(text: Path, cache: Path) -> list[str]:
    """Return the cells of a text's row."""
    command = [sys.executable, "-m", "charrnn", "baseline", str(text), "--json"]
    environment = {**os.environ, "CHARRNN_CACHE": str(cache)}
    # The output is shorter than what a pipe holds, so the process ends before it is read.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    assert process.stdout is not None
    found = json.loads(process.stdout.read())
    # macOS counts bytes, Linux kibibytes.
    memory = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    best = found["orders"][found["best"] - 1]
    return [
        f"{found['training_characters']:,}",
        f"{found['trained']:,}",
        f"{used.ru_utime + used.ru_stime:.1f} s",
        f"{memory / 1e6:,.0f} MB",
        str(found["best"]),
        f"{best['bits_per_char']:.4f}",
    ]


if __name__ == "__main__":
    main()
