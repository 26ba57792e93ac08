"""Copies of labelled texts in which words are missing, so that a network does not learn the few texts by heart.

    python benchmarks/copies.py LABELLED.csv train.csv val.csv [--copies 6] [--held-out 650]

Word dropout, as in Iyyer et al. 2015, *Deep Unordered Composition Rivals Syntactic Methods for Text Classification*:
each copy loses none, 15, 30 or 45 % of its words. The texts held out in val.csv are unchanged, and in no copy.
"""

import argparse
import csv
import random
from collections.abc import Iterable
from pathlib import Path

from labels import read

RATES = (0, 0.15, 0.3, 0.45)


def write(path: Path, fields: tuple[str, str], rows: Iterable[tuple[str, str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(fields)
        table.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--label-field", default="label")
    parser.add_argument("--field", default="sentence")
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--held-out", type=int, default=650)
    options = parser.parse_args()
    rng = random.Random(3)
    fields = (options.label_field, options.field)
    texts, labels = read(options.labelled, options)
    rows = list(zip(labels, texts, strict=True))
    rng.shuffle(rows)
    copies = []
    for _ in range(options.copies):
        for label, text in rows[options.held_out :]:
            rate = rng.choice(RATES)
            kept = [word for word in text.split() if rng.random() >= rate]
            copies.append((label, " ".join(kept) or text))
    rng.shuffle(copies)
    write(options.train, fields, copies)
    write(options.val, fields, rows[: options.held_out])


if __name__ == "__main__":
    main()
