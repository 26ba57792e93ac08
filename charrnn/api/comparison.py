"""The result of a comparison: its candidates, ranked, with their runs, and which of them tie."""

import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from charrnn.api.given import check_given
from charrnn.api.history import number
from charrnn.api.json_text import finite
from charrnn.api.runs import run_of
from charrnn.api.ties import spread, ties
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import read_header
from charrnn.runs.comparison import Candidate, Record, find_comparison, read, run_name
from charrnn.runs.folder import Run


@dataclass(frozen=True)
class Trial:
    """A run of a comparison. What is not known yet is None; `failure` says why it has no result, if it failed.

    bits_per_char, accuracy: of its best checkpoint on the whole validation part, exactly. steps, characters, seconds:
    of its training. curve: the losses that were estimated during training: minutes, characters read, bits.
    """

    name: str
    seed: int
    bits_per_char: float | None = None
    accuracy: float | None = None
    steps: int | None = None
    characters: int | None = None
    seconds: float | None = None
    curve: tuple[tuple[float, int, float], ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Row:
    """A candidate and its runs, one for each seed. Figures are means over those that are complete; None without any.

    settings: what distinguishes it from other candidates. rank: 1 and the number of candidates that are clearly better;
    None without a result. ties: the candidates from which it may differ by chance alone. spread: the standard deviation
    over seeds of what is ranked. failure: why it, or a run of it, has no result.
    """

    name: str
    settings: Mapping[str, Any]
    units: int
    parameters: int | None
    runs: tuple[Trial, ...]
    rank: int | None = None
    ties: tuple[str, ...] = ()
    bits_per_char: float | None = None
    accuracy: float | None = None
    spread: float | None = None
    steps: float | None = None
    characters_per_second: float | None = None
    seconds: float | None = None
    failure: str | None = None

    def curve(self, x: str) -> list[tuple[float, float]]:
        """Return the mean loss of its runs, in bits, over their "minutes" or "characters"; [] without evaluations."""
        place = ("minutes", "characters").index(x)
        curves = [[(point[place], point[2]) for point in run.curve] for run in self.runs if run.curve]
        if not curves:
            return []
        # Runs with `minutes` are evaluated at different moments: they are compared at those of the first one.
        begin, end = max(one[0][0] for one in curves), min(one[-1][0] for one in curves)
        at = [point[0] for point in curves[0] if begin <= point[0] <= end] or [end]
        all_bits = [np.interp(at, [x for x, _ in one], [bits for _, bits in one]) for one in curves]
        return list(zip(at, np.mean(all_bits, axis=0).tolist(), strict=True))


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison. `rows` are ranked, the best candidate first; those without a result come last.

    measure: what is ranked, "bits_per_char" or, for labels, "accuracy". unit: what is predicted: "character", "byte" or
    "label". budget: of each run, such as {"minutes": 3.0}. has_spread: whether enough runs are complete to tell which
    differences are chance; without it nothing ties. is_complete: whether all runs have ended.
    """

    name: str
    path: Path
    text: tuple[str, ...]
    unit: str
    budget: Mapping[str, Any]
    seeds: tuple[int, ...]
    rows: tuple[Row, ...] = field(default=())
    has_spread: bool = False
    is_complete: bool = True

    @property
    def measure(self) -> str:
        return "accuracy" if self.unit == "label" else "bits_per_char"

    @property
    def best(self) -> Row | None:
        """Return the candidate with the best mean; None if no run is complete."""
        return self.rows[0] if self.rows and self.rows[0].rank is not None else None

    def tied(self) -> list[list[str]]:
        """Return the groups of candidates of which each two tie; none is in another.

        Groups are of neighbours in the ranking; two others that tie are a pair.
        """
        ranked = [row for row in self.rows if row.rank is not None]
        groups: list[list[str]] = []
        for first in range(len(ranked)):
            last = first
            while last + 1 < len(ranked) and all(ranked[last + 1].name in row.ties for row in ranked[first : last + 1]):
                last += 1
            names = [row.name for row in ranked[first : last + 1]]
            if len(names) > 1 and not any(set(names) <= set(group) for group in groups):
                groups.append(names)
        pairs = [[one.name, two.name] for one, two in itertools.combinations(ranked, 2) if two.name in one.ties]
        return [*groups, *(pair for pair in pairs if not any(set(pair) <= set(group) for group in groups))]

    def to_json(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold."""
        return finite({**asdict(self), "path": str(self.path), "measure": self.measure})


def load_comparison(name: str | os.PathLike[str]) -> Comparison:
    """Return the result of a comparison so far: its name in the folder of runs, or its path. Nothing is trained.

    Raises:
        CharRNNError: There is no such comparison, or its file is damaged.
    """
    check_given(run=name)
    path = find_comparison(os.fspath(name))
    return comparison_of(path, read(path))


def comparison_of(path: Path, record: Record) -> Comparison:
    """Return the result of the comparison in a folder, as far as its runs are trained."""
    made = Comparison(path.resolve().name, path, record.text, record.unit, record.budget, record.seeds)
    rows = [_row(path, record, candidate, made.measure) for candidate in record.candidates]
    ranked, has_spread = _ranked(rows, made.measure)
    is_complete = all(_has_ended(run, made.measure) for row in rows if row.parameters is not None for run in row.runs)
    return replace(made, rows=tuple(ranked), has_spread=has_spread, is_complete=is_complete)


def _has_ended(run: Trial, measure: str) -> bool:
    return run.failure is not None or getattr(run, measure) is not None


def _row(path: Path, record: Record, candidate: Candidate, measure: str) -> Row:
    names = {seed: run_name(candidate, seed) for seed in record.seeds}
    runs = tuple(trial_of(path, name, seed, record.failures.get(name)) for seed, name in names.items())
    done = [run for run in runs if run.failure is None and getattr(run, measure) is not None]
    failures = [f"seed {run.seed}: {run.failure}" for run in runs if run.failure is not None]

    def mean(of: Callable[[Trial], float | None]) -> float | None:
        values = [value for value in map(of, done) if value is not None]
        return fmean(values) if values else None

    return Row(
        candidate.name,
        candidate.label,
        candidate.units,
        candidate.parameters,
        runs,
        bits_per_char=mean(lambda run: run.bits_per_char),
        accuracy=mean(lambda run: run.accuracy),
        spread=spread([getattr(run, measure) for run in done]),
        steps=mean(lambda run: run.steps),
        characters_per_second=mean(lambda run: run.seconds and (run.characters or 0) / run.seconds),
        seconds=mean(lambda run: run.seconds),
        failure=candidate.refused or " ".join(failures) or None,
    )


def _ranked(rows: Sequence[Row], measure: str) -> tuple[list[Row], bool]:
    """Return rows with their ranks and ties, in the order of their means; and whether ties could be found."""

    def mean(row: Row) -> float:
        value: float = getattr(row, measure)
        return -value if measure == "accuracy" else value

    done = sorted((row for row in rows if getattr(row, measure) is not None), key=mean)
    groups = [
        [v for run in row.runs if run.failure is None and (v := getattr(run, measure)) is not None] for row in done
    ]
    found = ties(groups)
    if found is None:
        ranked = [replace(row, rank=1 + sum(mean(other) < mean(row) for other in done)) for row in done]
    else:
        ranked = [
            replace(
                row,
                rank=1 + sum(not tie and mean(other) < mean(row) for tie, other in zip(tied, done, strict=True)),
                ties=tuple(other.name for tie, other in zip(tied, done, strict=True) if tie and other is not row),
            )
            for row, tied in zip(done, found, strict=True)
        ]
    return [*ranked, *(row for row in rows if getattr(row, measure) is None)], found is not None


def trial_of(path: Path, name: str, seed: int, failure: str | None = None) -> Trial:
    """Return what is known of a run of the comparison in a folder."""
    trial, run = Trial(name, seed, failure=failure), Run(path / name)
    try:
        header = read_header(run.newest() or run.best)
        about = run_of(run)
    except CharRNNError:
        # It was not saved yet.
        return trial
    if header.training is None or header.progress is None:
        return trial
    each, validation = header.training.batch * header.training.seq, about.validation
    return replace(
        trial,
        bits_per_char=None if validation is None else number(validation.bits_per_char),
        accuracy=None if validation is None else validation.accuracy,
        steps=header.progress.step,
        characters=header.progress.step * each,
        seconds=header.progress.seconds,
        curve=tuple(_points(about.history(), each)),
    )


def _points(history: Iterable[dict[str, Any]], characters: int) -> Iterable[tuple[float, int, float]]:
    for record in history:
        nats, seconds = number(record.get("val_nats")), number(record.get("seconds"))
        if nats is not None and seconds is not None:
            yield seconds / 60, record["step"] * characters, nats / math.log(2)
