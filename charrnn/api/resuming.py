"""`charrnn train --resume`: a run goes on from its newest checkpoint."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from charrnn.api.place import Place
from charrnn.api.session import session, train_run
from charrnn.cli.console import printable, say
from charrnn.cli.reading import read
from charrnn.cli.signals import Signals
from charrnn.config import BUDGET, FREE_ON_RESUME, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.data.corpus import Dataset
    from charrnn.runs.checkpoint import Checkpoint
    from charrnn.runs.folder import Run
    from charrnn.runs.progress import CorpusRecord, Progress
    from charrnn.text.text import Text


def resume_run(name: str, given: dict[str, Any], asked: Signals, where: Place) -> None:
    """Continue a run from its newest checkpoint, with another budget if one is given."""
    from charrnn.runs.folder import find_run
    from charrnn.training.backends.choice import DEFAULT, choose
    from charrnn.training.backends.start import kept_shards

    where.check_texts(given.get("corpus") or [])
    with session(asked, lambda: find_run(name, given.get("out")), where) as run:
        checkpoint, path, warnings = run.load_newest()
        for warning in warnings:
            say(printable(warning))
        progress = checkpoint.progress
        if checkpoint.training is None or progress is None:
            raise CharRNNError(f"{path} holds a model but no training to resume.")
        config = _resumed_config(checkpoint.training, given)
        data = _resumed_data(run, checkpoint, progress.corpus, config, given)
        _check_budget(run, checkpoint, progress, config, data)
        say(f"Resuming {run.name} after step {progress.step:,}.")
        before, now = progress.backend or DEFAULT, choose().name
        if before != now:
            say(f"Until now it was trained with {before}: {now} rounds otherwise and draws other dropout masks.")
        shards = kept_shards(config.batch, progress, where.processes.count)
        train_run(run, checkpoint.model, config, data, shards, checkpoint, bool(given.get("quiet")), asked, where)


def _resumed_config(trained: TrainConfig, given: dict[str, Any]) -> TrainConfig:
    """Return the settings of the run with the changes that are allowed."""
    fixed = set(given) - {*FREE_ON_RESUME, "resume", "quiet", "out", "corpus", "corpus_changed_ok"}
    if fixed:
        raise CharRNNError(
            f"A resumed run keeps its settings; {', '.join('--' + key.replace('_', '-') for key in sorted(fixed))} "
            "cannot be changed.",
            hint="A new budget can be given: --epochs, --steps, --minutes.",
        )
    changed = {key: given[key] for key in FREE_ON_RESUME if key in given}
    if set(changed) & set(BUDGET):
        changed = {**dict.fromkeys(BUDGET), **changed}
    return replace(trained, **changed)


def _resumed_data(
    run: "Run", checkpoint: "Checkpoint", recorded: "CorpusRecord", config: TrainConfig, given: dict[str, Any]
) -> "Dataset":
    """Return what the run was trained on, checked by its content."""
    from charrnn.data.corpus import dataset
    from charrnn.text.sources import STDIN

    sources = [str(run.stdin) if source == STDIN else source for source in recorded.sources]
    include = recorded.include or ()
    changed_ok = bool(given.get("corpus_changed_ok"))
    text = _unchanged(given.get("corpus") or sources, checkpoint, include, recorded.sha256, changed_ok)
    if not given.get("corpus") and text.sha256 == recorded.sha256:
        # Where the text lay when the run began stays on record, unless another place was named.
        text = replace(text, sources=recorded.sources)
    validation = None
    if recorded.val_sources is not None and recorded.val_sha256 is not None:
        of = "text of --val-file"
        validation = _unchanged(recorded.val_sources, checkpoint, include, recorded.val_sha256, changed_ok, of)
    return dataset(text, checkpoint.vocab, config, validation)


def _unchanged(
    sources: Sequence[str],
    checkpoint: "Checkpoint",
    include: Sequence[str],
    sha256: str,
    changed_ok: bool,
    what: str = "text",
) -> "Text":
    """Return a text that must have the digest `sha256`, unless it may have changed."""
    text = read(sources, checkpoint.text, include, keep_stdin=True)
    if text.sha256 != sha256:
        digests = f"its SHA-256 is {text.sha256}, it was {sha256}"
        if not changed_ok:
            raise CharRNNError(
                f"The {what} has changed since this run began: {digests}.",
                hint="Put the old text back, train a new run, or go on with the new text: --corpus-changed-ok.",
            )
        say(f"The {what} has changed ({digests}): going on with the new one.")
    return text


def _check_budget(
    run: "Run", checkpoint: "Checkpoint", progress: "Progress", config: TrainConfig, data: "Dataset"
) -> None:
    """Raise CharRNNError if a run has nothing left to do."""
    from charrnn.training.budget import counted_total

    done = progress.step
    counted = counted_total(config, len(data.parts.train) // config.batch // config.seq)
    same_budget = all(getattr(config, name) == getattr(checkpoint.training, name) for name in BUDGET)
    if (done == progress.total and same_budget) or (counted is not None and done >= counted):
        raise CharRNNError(
            f"The run {run.name} has taken {done:,} steps and reached the end of its budget.",
            hint="Give it more: --epochs, --steps, --minutes.",
        )
