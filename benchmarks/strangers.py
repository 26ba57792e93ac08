"""How well the ranks of `charrnn score` find lines that do not belong: prints areas under the ROC curve.

    charrnn train corpora/tinyshakespeare.txt --minutes 10
    python benchmarks/strangers.py tinyshakespeare corpora/tinyshakespeare.txt --other FRENCH.txt

1,000 lines of 25 characters or more (`--shortest`) from the last tenth of the text, which the run did not train on, are
mixed with 50 strangers: other such lines, of 25 characters or more, whose last eight characters are replaced by
characters that are drawn from the text; the same with the characters of each line shuffled; and with --other lines of
that file. The area is the probability that a stranger comes before a line that belongs. Each is the mean of `--draws`
draws of lines.

The ranks are those of `--by`, and some that were tried: other stretches than 8, and other measures of an excess.
"""

import argparse
import json
import math
import random
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import machine
import numpy as np
from sample import CHARRNN

BELONGING, STRANGERS, LONG, TAIL = 1000, 50, 25, 8
Record = dict[str, Any]


def stretch(length: int) -> Callable[[Record], float]:
    """Return the bits a character of the worst stretch of such a length."""
    return lambda record: max(
        np.convolve(record["surprisal"], np.ones(min(length, record["characters"])), "valid") / length
    )


def usual(record: Record) -> float:
    """Return what so many characters cost in validation, in bits."""
    return float(record["bits"] - record["excess"] * math.sqrt(record["characters"]))


RANKS: dict[str, Callable[[Record], float]] = {
    "`--by mean`": lambda record: record["bits_per_char"],
    "`--by worst`": lambda record: record["worst"],
    "worst 4": stretch(4),
    "worst 12": stretch(12),
    "worst 16": stretch(16),
    "`--by excess`": lambda record: record["excess"],
    "excess in bits": lambda record: record["bits"] - usual(record),
    "excess / (characters + 32)": lambda record: (record["bits"] - usual(record)) / (record["characters"] + 32),
}


def long_lines(text: str, shortest: int) -> list[str]:
    """Return the lines, each once, that are long enough."""
    return list(dict.fromkeys(line for line in text.split("\n") if len(line) >= shortest))


def shuffled(line: str, rng: random.Random) -> str:
    """Return a line with its characters in another order."""
    return "".join(rng.sample(line, len(line)))


def areas(run: str, belonging: list[str], strangers: list[str]) -> dict[str, float]:
    """Return the area under the ROC curve of each rank, of what `charrnn score` says of the lines."""
    mixed = [*belonging, *strangers]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mixed.txt")
        path.write_text("".join(line + "\n" for line in mixed), encoding="utf-8")
        command = [CHARRNN, "score", run, str(path), "--jsonl", "--per-char"]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    records = [json.loads(line) for line in output.splitlines()]
    assert len(records) == len(mixed)
    return {name: area([rank(record) for record in records], len(belonging)) for name, rank in RANKS.items()}


def area(numbers: list[float], belonging: int) -> float:
    """Return the area under the ROC curve of numbers, of which so many belong; equals count half."""
    strangers = np.array(numbers[belonging:])[:, None]
    lower, equal = strangers > numbers[:belonging], strangers == numbers[:belonging]
    return float((lower + equal / 2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("text", type=Path)
    parser.add_argument("--other", type=Path, help="a text in another language")
    parser.add_argument("--shortest", type=int, default=LONG, help="characters of the lines that belong, at least")
    parser.add_argument("--draws", type=int, default=5)
    args = parser.parse_args()
    text = args.text.read_text(encoding="utf-8")
    characters = text.replace("\n", "")
    seen = set(text[: len(text) * 9 // 10].split("\n"))
    unseen = [line for line in long_lines(text[len(text) * 9 // 10 :], args.shortest) if line not in seen]
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.draws):
        rng = random.Random(seed)
        others = rng.sample([line for line in unseen if len(line) >= LONG], STRANGERS)
        belonging = rng.sample([line for line in unseen if line not in set(others)], BELONGING)
        tampered = [line[:-TAIL] + "".join(rng.choices(characters, k=TAIL)) for line in others]
        kinds = {"last eight replaced": tampered, "shuffled": [shuffled(line, rng) for line in others]}
        if args.other:
            kinds[args.other.name] = rng.sample(long_lines(args.other.read_text(encoding="utf-8"), LONG), STRANGERS)
        for kind, strangers in kinds.items():
            found.setdefault(kind, []).append(areas(args.run, belonging, strangers))
    print(machine.describe("numpy") + "\n")
    print("| rank | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    for rank in RANKS:
        print(f"| {rank} | " + " | ".join(f"{mean(one[rank] for one in ones):.4f}" for ones in found.values()) + " |")


if __name__ == "__main__":
    main()
