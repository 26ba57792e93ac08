"""The preparation of a new run: its settings, its text, its first weights and its folder."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn.api.advice import advice, rarity
from charrnn.api.datasets import Sources, doubts, new_dataset
from charrnn.api.events import Noticed
from charrnn.api.pretrained import known_to, trained_model, transferred
from charrnn.api.session import Job, Training
from charrnn.api.settings import settings
from charrnn.config import DEFAULT_TEXT
from charrnn.errors import CharRNNError
from charrnn.runs.folder import check_name
from charrnn.training.backends.start import shard_count


def new_job(
    training: Training,
    sources: Sources,
    given: Mapping[str, Any],
    init: str | None,
    name: str | None,
    out: Path | None,
) -> Generator[Noticed, None, Job]:
    """Prepare a new run, and return the job of training it; the run's folder is made last.

    given: settings by name (`charrnn.api.settings`). init: the model to start from.
    """
    place = training.place
    if not sources.corpus:
        raise CharRNNError(
            "No training text was named.",
            hint="Name a text: `charrnn.train('corpus.txt')` (charrnn corpus gets you one).",
        )
    trained = trained_model(init, given) if init is not None else None
    chosen = settings(given, trained.text if trained else DEFAULT_TEXT)
    model, asked = trained.model if trained else chosen.model, chosen.train
    if sources.drop_unused and not trained:
        raise CharRNNError("`drop_unused` needs a model to start from.", hint="Name one with `init`.")
    if training.is_first:
        check_name(name, out)
    place.check_texts([*sources.corpus, *sources.val_file])
    place.choose()
    config, data = yield from new_dataset(sources, chosen, trained, training.watch)
    if (config.batch, config.seq) != (asked.batch, asked.seq):
        yield Noticed(
            f"The text is short ({len(data.corpus.text):,} characters): training with `batch={config.batch}` "
            f"`seq={config.seq}` instead of {asked.batch} and {asked.seq}."
        )
    yield from doubts(data)
    model = replace(model, classes=data.classes)
    rare = rarity(data.corpus.text) if sources.min_count == 1 else None
    hint = None if trained else advice(len(data.parts.train), model, data.corpus.vocab.size)
    if rare:
        yield Noticed(rare)
    elif hint:
        yield Noticed(hint, is_advice=True)
    weights = None
    if trained:
        yield from map(Noticed, known_to(trained, data.corpus.text))
        weights = yield from transferred(trained, model, data.corpus, config.seed)
    shards = shard_count(config.batch, place.processes.count)
    run = training.make(name, data.corpus.text.name, out)
    return Job(run, model, config, data, shards, weights=weights)
