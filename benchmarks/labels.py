"""Labels learned from end to end, against a linear model of character n-grams: how many test texts are right.

    python benchmarks/labels.py TRAIN.csv TEST.csv --label-field label --field sentence [--init RUN]... [--seeds 1 2]

Trains `charrnn train --labels` with each seed, from nothing and from each --init, and prints for each the accuracy on
the test texts, which chose nothing, and the minutes that it took; then the most frequent label, and scikit-learn's
logistic regression on TF-IDF of 1 to 5 characters. docs/representations.md has the figures.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from machine import describe


def charrnn(*words: object) -> str:
    """Run a command, and return what it prints."""
    return subprocess.run(["charrnn", *map(str, words)], check=True, capture_output=True, text=True).stdout


def trained(name: str, options: argparse.Namespace, folder: Path, seed: int, init: str | None) -> None:
    """Train a run, and print how good it is."""
    fields = ("--label-field", options.label_field, "--field", options.field)
    began = time.perf_counter()
    start = () if init is None else ("--init", init)
    charrnn("train", options.train, *fields, *start, *options.more, "--seed", seed, "--name", name,
            "--checkpoints", folder, "-qq")  # fmt: skip
    minutes = (time.perf_counter() - began) / 60
    words = ("--unknown", "skip", "--json")
    found = json.loads(charrnn("eval", folder / name, options.test, *fields, *words))
    print(f"{name:<28}{found['right']:>6,} of {found['characters']:,}  {found['accuracy']:.2%}  {minutes:.1f} minutes")


def read(path: Path, options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the texts and the labels of a table."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row[options.field] for row in rows], [row[options.label_field] for row in rows]


def linear(options: argparse.Namespace) -> float:
    """Return the accuracy of logistic regression on character n-grams; C by cross-validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline

    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), min_df=2, sublinear_tf=True)
    model = make_pipeline(grams, LogisticRegressionCV(Cs=[0.1, 1, 10, 100], cv=5, max_iter=1000))
    model.fit(*read(options.train, options))
    return float(model.score(*read(options.test, options)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--field", default="text")
    parser.add_argument("--label-field", default="label")
    parser.add_argument("--init", action="append", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="more options of charrnn train")
    options = parser.parse_args()
    print(describe("keras", "tensorflow"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for init in (None, *options.init):
            for seed in options.seeds:
                trained(f"{Path(init).name if init else 'nothing'}-{seed}", options, Path(folder), seed, init)
                sys.stdout.flush()
    labels = read(options.test, options)[1]
    print(f"{'most frequent label':<28}{max(Counter(labels).values()):>6,} of {len(labels):,}")
    print(f"{'n-grams of 1 to 5':<28}{linear(options):.2%}")


if __name__ == "__main__":
    main()
