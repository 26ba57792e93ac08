"""How often `charrnn fill` restores what was blanked in lines that training did not read: prints a Markdown table.

    charrnn train TEXT --name forward; charrnn train TEXT --name backward --reverse
    python benchmarks/fill.py TEXT forward backward

Of lines of the last tenth of the text, with at least 20 characters, 3 to 8 characters are blanked at a random place.
A restoration counts if it is exact, or if the right one is among the five likeliest.
"""

import argparse
import random
from pathlib import Path
from time import perf_counter

import machine

import charrnn
from charrnn.config import GAP

LEAST, MOST, SHORTEST_LINE = 3, 8, 20
SHARE = 0.1


def blanked(text: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Return lines with a gap, and what was there."""
    rng = random.Random(seed)
    held_out = text[int(len(text) * (1 - SHARE)) :].splitlines()[1:]
    lines = sorted({line for line in held_out if len(line) >= SHORTEST_LINE and GAP not in line})
    found = []
    for line in rng.sample(lines, count):
        length = rng.randint(LEAST, MOST)
        place = rng.randint(0, len(line) - length)
        found.append((line[:place] + GAP + line[place + length :], line[place : place + length]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("forward")
    parser.add_argument("backward")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy"))
    gaps = blanked(args.text.read_text(encoding="utf-8"), args.lines, args.seed)
    forward, backward = charrnn.load(args.forward), charrnn.load(args.backward)
    print("| models | exact | among the five likeliest | seconds |\n|---|---|---|---|")
    for name, model, other in (("forward", forward, None), ("backward", backward, None), ("both", forward, backward)):
        began, first, five = perf_counter(), 0, 0
        for line, right in gaps:
            found = model.fill(line, reverse=other, candidates=args.candidates, length=MOST, best=5, unknown="skip")
            fillings = [one.filling for one in found]
            first += fillings[0] == right
            five += right in fillings
        seconds = perf_counter() - began
        print(
            f"| {name} | {first:,} ({first / len(gaps):.1%}) | {five:,} ({five / len(gaps):.1%}) | {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
