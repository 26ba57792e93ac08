"""How well `charrnn score --sort` finds lines that do not belong: prints the area under the ROC curve.

    charrnn train corpora/tinyshakespeare.txt --minutes 10
    python benchmarks/strangers.py tinyshakespeare corpora/tinyshakespeare.txt --other FRENCH.txt

1,000 lines of 25 characters or more from the last tenth of the text, which the run did not train on, are mixed with 50
strangers: other such lines with the letters of each shuffled, and once more, with --other, lines of that file. The area
is the probability that a stranger comes before a line that belongs.
"""

import argparse
import random
import subprocess
import tempfile
from pathlib import Path

from sample import CHARRNN

BELONGING, STRANGERS, SHORTEST = 1000, 50, 25


def long_lines(text: str) -> list[str]:
    """Return the lines, each once, that are long enough."""
    return list(dict.fromkeys(line for line in text.split("\n") if len(line) >= SHORTEST))


def shuffled(line: str, rng: random.Random) -> str:
    """Return a line with its characters in another order."""
    return "".join(rng.sample(line, len(line)))


def area(run: str, belonging: list[str], strangers: list[str]) -> float:
    """Return the area under the ROC curve of the order in which `charrnn score --sort` prints the lines."""
    mixed = [*belonging, *strangers]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mixed.txt")
        path.write_text("".join(line + "\n" for line in mixed), encoding="utf-8")
        output = subprocess.run([CHARRNN, "score", run, str(path), "--sort"], stdout=subprocess.PIPE, check=True).stdout
    numbers = [int(line.split(b"\t")[4]) for line in output.splitlines()]
    assert sorted(numbers) == list(range(1, len(mixed) + 1))
    left, before = len(strangers), 0
    for number in numbers:
        if number > len(belonging):
            left -= 1
        else:
            # So many strangers came before this line.
            before += len(strangers) - left
    return before / (len(belonging) * len(strangers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("text", type=Path)
    parser.add_argument("--other", type=Path, help="a text in another language")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    text = args.text.read_text(encoding="utf-8")
    unseen = long_lines(text[len(text) * 9 // 10 :])
    seen = set(long_lines(text[: len(text) * 9 // 10]))
    unseen = rng.sample([line for line in unseen if line not in seen], BELONGING + STRANGERS)
    belonging, others = unseen[:BELONGING], unseen[BELONGING:]
    print(f"letters shuffled: {area(args.run, belonging, [shuffled(line, rng) for line in others]):.4f}")
    if args.other:
        foreign = rng.sample(long_lines(args.other.read_text(encoding="utf-8")), STRANGERS)
        print(f"lines of {args.other.name}: {area(args.run, belonging, foreign):.4f}")


if __name__ == "__main__":
    main()
