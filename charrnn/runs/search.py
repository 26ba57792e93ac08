"""The file of a search for good settings, `tuning.json` in its folder: what is searched, and for how long."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charrnn.errors import CharRNNError
from charrnn.runs.finding import find_folder
from charrnn.runs.json_file import read_json, write_json
from charrnn.text.sources import STDIN

FORMAT = 1
FILE, JOURNAL = "tuning.json", "study.journal"
# The text of stdin, which every trial reads.
KEPT = "stdin.txt"
_AGAIN = "Search again under another name."
# The settings that are names of files.
_PATHS = ("val_file", "vocab")


@dataclass(frozen=True)
class SearchRecord:
    """What the file says: the text, the settings that all trials share, what is searched, and the budget.

    corpus, and the names of files in `settings`: relative to `folder`, the working directory of the first command.
    settings: arguments of `train_events`, as they were given. place: `backend`, `device` and `engine`. Either `minutes`
    is the time of the whole search and `trial_minutes` that of a trial; or there are `trials`, of `steps` each.
    keep_all: whether the weights of all trials are kept.
    """

    corpus: tuple[str, ...]
    folder: str
    settings: Mapping[str, Any]
    place: Mapping[str, Any]
    searched: tuple[str, ...]
    minutes: float | None = None
    trial_minutes: float | None = None
    trials: int | None = None
    steps: int | None = None
    seed: int = 0
    keep_all: bool = False

    def texts(self, path: Path) -> list[str]:
        """Return the sources of the text as a trial reads them; `path` is the folder of the search."""
        return [str(path.absolute() / KEPT) if one == STDIN else os.path.join(self.folder, one) for one in self.corpus]

    def shared(self) -> dict[str, Any]:
        """Return the settings that all trials share, with the names of files as a trial reads them."""
        placed = {name: self._placed(self.settings[name]) for name in _PATHS if self.settings.get(name)}
        return {**self.settings, **placed}

    def _placed(self, name: str | list[str]) -> str | list[str]:
        if isinstance(name, str):
            return os.path.join(self.folder, name)
        return [os.path.join(self.folder, one) for one in name]


def write(folder: Path, record: SearchRecord) -> None:
    """Write the file; NotWritten if that fails."""
    write_json(folder / FILE, FORMAT, asdict(record))


def read(folder: Path) -> SearchRecord:
    """Return what the file of a folder says; CharRNNError if it is no such file."""
    path = folder / FILE
    told = read_json(path, FORMAT, _AGAIN)
    try:
        made = SearchRecord(**{**told, "corpus": tuple(told["corpus"]), "searched": tuple(told["searched"])})
        words, numbers = [*made.corpus, *made.searched, made.folder], [made.minutes, made.trial_minutes]
        kinds: list[tuple[list[Any], Any]] = [
            (words, str),
            ([made.settings, made.place], dict),
            ([told["corpus"], told["searched"]], list),
        ]
        kinds += [(numbers, int | float | None), ([made.trials, made.steps], int | None), ([made.seed], int)]
        if not all(isinstance(value, kind) for values, kind in kinds for value in values):
            raise TypeError
        return made
    except (KeyError, TypeError):
        raise CharRNNError(f"{path} is not the file of a search.", _AGAIN) from None


def find_search(name: str, runs: Path | None = None) -> Path:
    """Return the folder of a search: a name in the folder of runs, or a path; CharRNNError if there is none."""
    found = find_folder(name, FILE, runs)
    if found is None:
        raise CharRNNError(
            f"There is no search {name!r}: no folder of this name has a file {FILE}.",
            "To begin one: charrnn tune corpus.txt",
        )
    return found
