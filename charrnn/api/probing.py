"""Probes: they label lines by logistic regression on vectors, made of the states of models; with NumPy alone."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from charrnn.api.generation import Notify, unheard
from charrnn.api.given import one_or_several
from charrnn.api.labelling import Labelling, labellings
from charrnn.api.model import Model, load
from charrnn.api.named import lines_of
from charrnn.api.vectors import Embedder
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError
from charrnn.inference.generation import not_a_number
from charrnn.inference.ops import softmax
from charrnn.inference.reading import LineReader
from charrnn.network.units import fields
from charrnn.runs.finding import runs_folder
from charrnn.runs.probe import ProbeRecord, Source, read_probe, write_probe

# A model, the name of its run, or a path of it.
Named = Model | str | os.PathLike[str]


class Probe:
    """Labels lines by the states of one or several models; `Probe.load` returns one, and `charrnn.probe` fits one."""

    def __init__(self, record: ProbeRecord, embedders: Sequence[Embedder]):
        self.record, self._embedders = record, embedders

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        run: Named | Sequence[Named] | None = None,
        notify: Notify = unheard,
        *,
        engine: str = AUTO,
        weights: str = WEIGHTS[0],
    ) -> "Probe":
        """Return the probe in a file.

        run: its model or, if it reads several, all of them in their order; each is a Model, or is named as in
        `charrnn.load`. None means the files that the probe names. The other arguments are those of `charrnn.load`.
        Raise CharRNNError if the file is damaged, or if a model is missing or is not that of the probe.
        """
        path = Path(path)
        record = read_probe(path)
        kinds, what = (Model, str, os.PathLike), "a run, a model, or several in a list"
        named = [None] * len(record.models) if run is None else one_or_several("run", run, kinds, what)
        if len(named) != len(record.models):
            raise CharRNNError(
                f"{path} reads the states of {len(record.models)} model{'s' if record.models[1:] else ''}, but "
                f"{len(named)} {'was' if len(named) == 1 else 'were'} named.",
                hint=f"Name with `run`, in this order: {', '.join(source.path for source in record.models)}",
            )
        embedders = []
        for one, source in zip(named, record.models, strict=True):
            given = _found(source, path) if one is None else one
            model = given if isinstance(given, Model) else load(given, notify, engine=engine, weights=weights)
            embedders.append(_embedder(model, source, record, path))
        width = sum(embedder.width for embedder in embedders)
        if width != record.width:
            raise CharRNNError(f"{path} is damaged: its vectors have {record.width} numbers, not {width}.")
        return cls(record, embedders)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels, in the order of `probabilities`."""
        return self.record.labels

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the probe to a file, which names its models; an existing file is replaced only if it is a probe."""
        if not all(source.digest for source in self.record.models):
            raise CharRNNError(
                "A model of the probe is not in a file, so no file of the probe could name it.",
                hint="Load the model from its run.",
            )
        write_probe(Path(path), self.record)

    def label(self, lines: Iterable[str]) -> list[Labelling]:
        """Return each line with its likeliest label, and the probabilities of all labels."""
        return list(labellings(self, lines_of(lines, False)))

    def probabilities(self, lines: Sequence[str], first: int = 1) -> np.ndarray:
        """Return the probability of each label for each line, (lines, labels); lines are numbered from `first`."""
        return probabilities(self.record, vectors(self._embedders, lines, first))

    def __repr__(self) -> str:
        return (
            f"<charrnn.Probe {len(self.labels)} labels, {self.record.width} numbers, of {len(self._embedders)} models>"
        )


def vectors(embedders: Sequence[Embedder], texts: Sequence[str], first: int = 1) -> np.ndarray:
    """Return the vectors of texts, those of all models side by side, float32 (texts, width)."""
    found = np.concatenate(
        [embedder.embed(lines_of(texts, embedder.reader.model.text.bytes), first) for embedder in embedders], axis=1
    )
    if not np.isfinite(found).all():
        raise not_a_number()
    return found


def standardized(found: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return vectors as the regression reads them, float64 (texts, width)."""
    return (found - mean.astype(np.float64)) / scale


def probabilities(record: ProbeRecord, found: np.ndarray) -> np.ndarray:
    """Return the probabilities of the labels for vectors, float64 (texts, labels)."""
    x = standardized(found, record.mean, record.scale)
    return softmax(x @ record.weights.T.astype(np.float64) + record.bias, axis=1)


def source_of(model: Model, embedder: Embedder) -> Source:
    """Return how a probe names a model."""
    return Source(os.path.abspath(model.path), model.network.digest, tuple(map(str, embedder.fields)))


def _found(source: Source, probe: Path) -> str:
    """Return the file of a model that a probe names: where it was or, if it was moved, in the folder of runs."""
    recorded = Path(source.path)
    for path in (recorded, runs_folder() / recorded.parent.name / recorded.name):
        if path.is_file():
            return str(path)
    raise CharRNNError(
        f"{probe} reads the states of the model {source.path}, which does not exist.",
        hint="Name the run of this model with `run`.",
    )


def _embedder(model: Model, source: Source, record: ProbeRecord, probe: Path) -> Embedder:
    """Return what makes vectors for a probe; CharRNNError if this is not the model with which it was made."""
    if model.network.digest != source.digest:
        raise CharRNNError(
            f"{model.path} is not the model with which {probe} was made: its SHA-256 is "
            f"{model.network.digest[:12]}…, not {source.digest[:12]}….",
            hint="If the run was trained further, make the probe again; if the model is elsewhere, name it with `run`.",
        )
    by_name = {str(field): field for field in fields(model.config)}
    if not by_name.keys() >= set(source.fields):
        raise CharRNNError(f"{probe} is damaged: {model.config.title} has no {', '.join(source.fields)}.")
    reader = LineReader(model.network, model.read_as(), record.unknown)
    return Embedder(reader, record.pool, [by_name[name] for name in source.fields])
