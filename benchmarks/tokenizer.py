"""What share of sampled lines pass Python's tokenizer, beside that of real code cut at random.

usage: python benchmarks/tokenizer.py TEXT [RUN] [--temp 0.7] [--pieces 20] [--length 1000]

TEXT is the Python source that the run was trained on (its last tenth, never trained on, is what is cut at random);
RUN is as for `charrnn sample`. Each line is tokenized by itself, so a line of real code that opens a bracket fails too.
"""

import argparse
import random
import subprocess
import sys
import tokenize
from pathlib import Path


def passes(line: str) -> bool:
    """Return whether one line, by itself, is made of Python tokens."""
    lines = iter([line + "\n"])
    try:
        return not any(t.type == tokenize.ERRORTOKEN for t in tokenize.generate_tokens(lambda: next(lines, "")))
    except (tokenize.TokenError, SyntaxError):
        return False


def share(pieces: list[str]) -> tuple[float, int]:
    """Return the share of whole, not empty lines that pass, and how many lines those are."""
    lines = [line for piece in pieces for line in piece.split("\n")[1:-1] if line.strip()]
    return sum(map(passes, lines)) / len(lines), len(lines)


def main() -> None:
    """Print a Markdown table of two rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("run", nargs="?")
    parser.add_argument("--temp", type=float, default=0.7)
    parser.add_argument("--pieces", type=int, default=20)
    parser.add_argument("--length", type=int, default=1000)
    args = parser.parse_args()
    text = args.text.read_text(encoding="utf-8")
    unseen = text[len(text) * 9 // 10 :]
    rng = random.Random(0)
    starts = [rng.randrange(len(unseen) - args.length) for _ in range(args.pieces)]
    command = [str(Path(sys.executable).with_name("charrnn")), "sample", *([args.run] if args.run else [])]
    sampled = [
        subprocess.run(
            [*command, "--temp", str(args.temp), "--length", str(args.length), "--seed", str(seed)],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in range(args.pieces)
    ]
    print("| lines | pass the tokenizer | of |")
    print("|---|---|---|")
    for name, pieces in (
        (f"sampled at temperature {args.temp:g}", sampled),
        ("real code, cut at random", [unseen[start : start + args.length] for start in starts]),
    ):
        passed, lines = share(pieces)
        print(f"| {name} | {passed:.0%} | {lines} |")


if __name__ == "__main__":
    main()
