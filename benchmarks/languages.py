"""Lines of eight languages, from the translation catalogues of packages: is the language readable from the state?

    python benchmarks/languages.py CATALOGUES FOLDER

CATALOGUES is a folder with unpacked packages, for example of

    pip download --no-deps Django wagtail django-oscar djangorestframework django-allauth Sphinx

Writes FOLDER/lines.txt to train a model on, FOLDER/train.tsv with 200 labelled lines of each language to fit a probe,
and FOLDER/test.tsv with 300 others of 25 characters or more, which are in none of the other files. Tags, addresses and
placeholders such as %(name)s are taken out first: they are in no language, and would count as characters of a line.
Lines that several languages have are left out, as nothing tells them apart. docs/representations.md tells the rest.
"""

import argparse
import ast
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# By the name of its folder in a catalogue, and as it is called here.
LANGUAGES = {"de": "de", "es": "es", "fi": "fi", "fr": "fr", "pl": "pl", "ru": "ru", "sv": "sv", "tr": "tr"}
TO_FIT, TO_CHECK, LONG = 200, 300, 25
_MARKUP = re.compile(r"<[^<>]*>|https?://\S+|&\w+;|%\(\w+\)[-#0-9.]*\w|%[-#0-9.]*[a-z]|\{[^{}]*\}|``[^`]*``")
_ENTRY = re.compile(r'(msgid|msgid_plural|msgctxt|msgstr(?:\[\d+\])?) (".*")$')


def translations(path: Path) -> Iterator[str]:
    """Yield the translated texts of a catalogue (.po), but for those that are equal to the text that they translate."""
    kind, texts = "", {"": "", "msgid": "", "msgstr": ""}
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        found = _ENTRY.match(line.strip())
        if kind.startswith("msgstr") and not line.startswith('"'):
            if texts["msgid"] and texts["msgstr"] != texts["msgid"]:
                yield texts["msgstr"]
            texts["msgstr"] = ""
        if found:
            kind = found[1]
            texts["msgstr" if kind.startswith("msgstr") else kind] = ast.literal_eval(found[2])
        elif line.startswith('"') and kind:
            texts["msgstr" if kind.startswith("msgstr") else kind] += ast.literal_eval(line.strip())
        else:
            kind = ""


def lines_of(catalogues: Path, code: str) -> list[str]:
    """Return the different lines of a language, sorted."""
    paths = sorted(path for path in catalogues.rglob("*.po") if code in path.parts)
    texts = (text for path in paths for text in translations(path))
    lines = {" ".join(_MARKUP.sub(" ", line).split()) for text in texts for line in text.split("\n")}
    return sorted(line for line in lines if line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogues", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    rng = random.Random(1)
    found = {name: lines_of(options.catalogues, code) for code, name in LANGUAGES.items()}
    languages_of = Counter(line for lines in found.values() for line in lines)
    rest: list[str] = []
    labelled: dict[str, list[str]] = {"train": [], "test": []}
    for name, lines in found.items():
        own = [line for line in lines if languages_of[line] == 1]
        rng.shuffle(own)
        test = [line for line in own if len(line) >= LONG][:TO_CHECK]
        held_out = set(test)
        own = [line for line in own if line not in held_out]
        labelled["test"] += [f"{name}\t{line}\n" for line in test]
        labelled["train"] += [f"{name}\t{line}\n" for line in own[:TO_FIT]]
        rest += own
        print(f"{name}: {len(own):,} lines, {sum(map(len, own)):,} characters; {len(test):,} held out")
    rng.shuffle(rest)
    (options.folder / "lines.txt").write_text("".join(f"{line}\n" for line in rest), encoding="utf-8")
    for part, written in labelled.items():
        (options.folder / f"{part}.tsv").write_text("".join(written), encoding="utf-8")


if __name__ == "__main__":
    main()
