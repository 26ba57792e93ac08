"""Everything about one run in one place: its settings, its course, its samples, and how it reads held-out text."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.api.generation import Notify, unheard
from charrnn.api.given import check_given
from charrnn.api.history import PARTS, Losses, Record, Series, losses, number, samples_of
from charrnn.api.inspection import facts_of
from charrnn.api.json_text import finite
from charrnn.api.model import load
from charrnn.config import DEFAULT_RATES, DEFAULT_TEXT, ModelConfig, TrainConfig
from charrnn.data.corpus import Dataset
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError
from charrnn.inference.model import Model as Network
from charrnn.runs.folder import Run
from charrnn.text.reader import Watch

# How many characters of held-out text are shown, and among how many mistakes are counted; a large network takes about
# a millisecond for each.
SHOWN, READ = 2_000, 5_000
# How many pairs of characters are reported.
PAIRS = 20
# How many characters of labelled texts are labelled.
LABELLED = 100_000


@dataclass(frozen=True)
class Stretch:
    """The beginning of a held-out `part`, with the bits of each character (NaN if it does not count)."""

    part: str
    text: str
    bits: tuple[float, ...]


@dataclass(frozen=True)
class Mistake:
    """A character, and another one that the model thought likelier there.

    count: how often that happened. share: of all occurrences of `true`. bits: what these occurrences cost together.
    """

    true: str
    predicted: str
    count: int
    share: float
    bits: float


@dataclass(frozen=True)
class Report:
    """What `charrnn report` shows of a run.

    facts: as `charrnn.inspect` returns them. changed: the settings that differ from the defaults, by name; None if the
    checkpoint does not say how it was trained. losses: in bits per unit; `learning_rates`: of the steps. samples: the
    text that each evaluation drew, with its step. compared: for each held-out part the bits per unit of the model and
    of compressors and other models, by name. stretch: the beginning of a held-out part. mistakes: the most expensive
    ones among the first `read` characters of it. confusion: of labels, how many texts with each label (rows) got each
    label (columns). missing: why something is not here, a sentence for each reason.
    """

    facts: Mapping[str, Any]
    changed: Mapping[str, Any] | None
    losses: Losses
    learning_rates: Series
    samples: tuple[tuple[int, str], ...]
    compared: Mapping[str, Mapping[str, float]]
    stretch: Stretch | None = None
    mistakes: tuple[Mistake, ...] = ()
    read: int = 0
    confusion: tuple[tuple[int, ...], ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the name of the run, or of the file if it is in no run."""
        return str(self.facts["run"] or Path(self.facts["file"]).stem)

    def to_json(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold."""
        return finite(asdict(self))  # type: ignore[no-any-return]


def report(
    run: str | os.PathLike[str] | None = None, *, watch: Watch | None = None, notify: Notify = unheard
) -> Report:
    """Return what there is to say about a run.

    run: a run's name, its folder, or a checkpoint file; None means the newest run. The text of the run is read again,
    if it is still there and has not changed. watch: is called with the number of bytes of a text read so far, and of
    all. notify: is called with each message for the user. Raise CharRNNError if there is no such run, or its checkpoint
    is damaged.
    """
    check_given(run=run, watch=watch, notify=notify)
    facts = facts_of(None if run is None else os.fspath(run))
    path, history = Path(facts["file"]), facts["history"]
    log = Run(path.parent).log.path if facts["run"] else None
    samples = () if log is None else tuple(samples_of(log))
    rates = [(record["step"], number(record.get("learning_rate"))) for record in history]
    missing = []
    if not samples and not facts["model"].get("classes"):
        missing.append("The log has no samples: an older version wrote it, or there was no evaluation yet.")
    held: dict[str, Any] = {}
    try:
        held = _of_text(path, watch, notify)
    except CharRNNError as error:
        missing.append(f"How the model reads held-out text is not shown. {error.message}")
    return Report(
        facts,
        changed(facts),
        losses(history),
        [(step, rate) for step, rate in rates if rate is not None],
        samples,
        {part: compared(facts[part], facts["unit"]) for part in PARTS if facts[part]},
        missing=tuple(missing),
        **held,
    )


def changed(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the settings of model, training and text that differ from the defaults; None if they are not known.

    The labels of a model are no setting: they come from the text.
    """
    if not facts["training"]:
        return None
    training = facts["training"]
    if training["lr"] == DEFAULT_RATES.get(training["optimizer"]):
        training = {**training, "lr": None}
    pairs = ((facts["model"], ModelConfig()), (training, TrainConfig()), (facts["text"], DEFAULT_TEXT))
    return {
        name: known[name]
        for known, defaults in pairs
        for name, value in vars(defaults).items()
        if name != "classes" and name in known and known[name] != value
    }


def compared(record: Record, unit: str = "character") -> dict[str, float]:
    """Return the bits per unit in the log's record of a held-out part, by what needs them, the fewest first."""
    found = {"this model": number(record.get("bits_per_char"))}
    frequency = number(record.get("frequency_nats"))
    found[f"frequencies of the {unit}s"] = None if frequency is None else frequency / math.log(2)
    others = record.get("compressors")
    if isinstance(others, dict):
        found |= {str(name): number(bits) for name, bits in others.items()}
    ngrams = record.get("ngrams")
    if isinstance(ngrams, dict):
        found[f"{ngrams.get('order')}-grams"] = number(ngrams.get("bits_per_char"))
    return dict(sorted(((name, bits) for name, bits in found.items() if bits is not None), key=lambda pair: pair[1]))


def _of_text(path: Path, watch: Watch | None, notify: Notify) -> dict[str, Any]:
    """Return the fields of a report that need the text; CharRNNError if it is gone or has changed."""
    from charrnn.api.held_out import parts_of
    from charrnn.api.recorded import recorded_data

    model = load(path, notify)
    data: Dataset = recorded_data(path, watch, notify)
    held = parts_of(data)
    if not held:
        raise CharRNNError("No text was held out.")
    name, parts = next(iter(held.items()))
    if model.config.classes is not None:
        from charrnn.api.held_out import evaluated

        cut = [part.cut(0, LABELLED // len(parts)) for part in parts]
        return {"confusion": evaluated(model.network, cut).confusion}
    part = max(parts, key=len).cut(0, READ)
    return _read(model.network, part, name)


def _read(model: Network, part: Part, name: str) -> dict[str, Any]:
    from charrnn.inference.likeliest import likeliest

    ids, counts = part.ids(), part.counts(np.arange(len(part)))
    found = likeliest(model, part)
    bits = np.where(counts, found.nats.astype(np.float64) / math.log(2), math.nan)
    stretch = Stretch(name, model.vocab.decode(ids[:SHOWN]), tuple(bits[:SHOWN].tolist()))
    mistakes = mistakes_in(model, ids[counts], found.likeliest[counts], bits[counts])
    return {"stretch": stretch, "mistakes": mistakes, "read": int(counts.sum())}


def mistakes_in(model: Network, true: np.ndarray, guessed: np.ndarray, bits: np.ndarray) -> tuple[Mistake, ...]:
    """Return the pairs of ids, the true and the likeliest one, that cost the most bits together, at most PAIRS."""
    size = model.vocab.size + 1
    occurrences = np.bincount(true, minlength=size)
    pairs, which, counts = np.unique(true.astype(np.int64) * size + guessed, return_inverse=True, return_counts=True)
    lost = np.bincount(which, weights=bits, minlength=len(pairs))
    wrong = [place for place in np.argsort(-lost, kind="stable") if pairs[place] // size != pairs[place] % size]
    return tuple(
        Mistake(
            model.vocab.decode([pairs[place] // size]),
            model.vocab.decode([pairs[place] % size]),
            int(counts[place]),
            float(counts[place] / occurrences[pairs[place] // size]),
            float(lost[place]),
        )
        for place in wrong[:PAIRS]
    )


def ends_and_best(samples: Sequence[tuple[int, str]], best_step: int | None) -> dict[int, list[str]]:
    """Return the places of the samples that say most, each with why: the first, the best and the last one."""
    chosen: dict[int, list[str]] = {}
    if samples:
        best = [place for place, (step, _) in enumerate(samples) if step == best_step]
        for why, place in [("first", 0), *(("best", place) for place in best), ("last", len(samples) - 1)]:
            chosen.setdefault(place, []).append(why)
    return dict(sorted(chosen.items()))
