"""The file of a comparison, `comparison.json` in its folder: what is compared, and which of its runs failed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from charrnn import __version__
from charrnn.errors import CharRNNError
from charrnn.runs.finding import find_folder
from charrnn.runs.json_file import read_json, write_json

FORMAT = 1
FILE = "comparison.json"
_AGAIN = "Compare again under another name."
# Of candidates; with a seed they are names of folders, which are emptied when a run begins again.
_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Candidate:
    """What is compared with others: settings by name (`charrnn.api.settings`), and the size of its network.

    label: its settings that differ from those of other candidates. refused: why it cannot be trained, if it cannot;
    then `parameters` is None.
    """

    name: str
    settings: Mapping[str, Any]
    units: int
    parameters: int | None
    label: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None


@dataclass(frozen=True)
class Record:
    """What the file says: texts, settings of all runs, candidates, seeds, and failures.

    text, sha256: the places of the text, and the SHA-256 of what is read there. val_sha256, vocab_sha256: those of
    `val_file` and of the file `vocab`; None without such a file. reading: the other arguments of
    `train_events` that say what is read: `include`, `val_file`, `vocab`, `min_count`. place: `backend`, `device` and
    `engine`. budget: what was asked for, such as {"minutes": 3}. unit: what is predicted: "character", "byte", "label".
    failures: why runs failed, by the name of the run.
    """

    text: tuple[str, ...]
    sha256: str
    reading: Mapping[str, Any]
    place: Mapping[str, Any]
    budget: Mapping[str, Any]
    seeds: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    unit: str = "character"
    failures: Mapping[str, str] = field(default_factory=dict)
    version: str = __version__
    val_sha256: str | None = None
    vocab_sha256: str | None = None

    def runs(self) -> list[tuple[str, Candidate, int]]:
        """Return all runs in the order in which they are trained: their names, candidates and seeds."""
        usable = [one for one in self.candidates if one.refused is None]
        return [(run_name(one, seed), one, seed) for seed in self.seeds for one in usable]


def run_name(candidate: Candidate, seed: int) -> str:
    """Return the name of the run of a candidate with a seed; it is the name of a folder."""
    return f"{candidate.name}-seed{seed}"


def write(folder: Path, record: Record) -> None:
    """Write the file; NotWritten if that fails."""
    write_json(folder / FILE, FORMAT, asdict(record))


def read(folder: Path) -> Record:
    """Return what the file of a folder says; CharRNNError if it is no such file."""
    path = folder / FILE
    told = read_json(path, FORMAT, _AGAIN)
    try:
        candidates = tuple(Candidate(**one) for one in told.pop("candidates"))
        made = Record(**{**told, "candidates": candidates, "text": tuple(told["text"]), "seeds": tuple(told["seeds"])})
        if not all(_NAME.fullmatch(one.name) for one in candidates) or not all(type(n) is int for n in made.seeds):
            raise TypeError
        objects = [made.reading, made.place, made.budget, made.failures]
        objects += [one for candidate in candidates for one in (candidate.settings, candidate.label)]
        words = [made.sha256, made.unit, *made.text, *made.failures.values()]
        if not made.budget or not _are(objects, dict) or not _are(words, str) or not _are([told["text"]], list):
            raise TypeError
    except (AttributeError, KeyError, TypeError):
        raise CharRNNError(f"{path} is not the file of a comparison.", _AGAIN) from None
    return made


def _are(values: Iterable[Any], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def find_comparison(name: str, runs: Path | None = None) -> Path:
    """Return the folder of a comparison: a name in the folder of runs, or a path; CharRNNError if there is none."""
    found = find_folder(name, FILE, runs)
    if found is None:
        raise CharRNNError(
            f"There is no comparison {name!r}: no folder of this name has a file {FILE}.",
            "To begin one: charrnn compare corpus.txt --cell lstm,gru",
        )
    return found
