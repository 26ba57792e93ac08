"""Preparing a run that is resumed: its newest checkpoint, the settings that may change, and its text."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn.api.events import Noticed
from charrnn.api.held_out import parts_of
from charrnn.api.history import figures_of
from charrnn.api.own_run import older_checkpoint, own_run, read_older
from charrnn.api.recorded import check_ordinary, shown
from charrnn.api.replanning import check_unfinished, replanned
from charrnn.api.session import Job, Training
from charrnn.api.settings import NAMES, check_effects, check_names, check_types, plain
from charrnn.config import BUDGET, FREE_ON_RESUME, TrainConfig
from charrnn.data.corpus import Dataset, dataset
from charrnn.errors import CharRNNError, readable_by
from charrnn.runs.checkpoint import Checkpoint, read_header
from charrnn.runs.finding import find_run
from charrnn.runs.folder import Run, call_name
from charrnn.runs.progress import CorpusRecord
from charrnn.text.reader import read_text
from charrnn.text.text import Text
from charrnn.training.backends.choice import DEFAULT
from charrnn.training.backends.start import kept_shards

# Names, in addition to those of settings, that only a new run can be given.
NEW_ONLY = ("drop_unused", "include", "init", "min_count", "name", "val_file", "vocab")


def resumed_job(
    training: Training,
    name: str,
    corpus: Sequence[str],
    allow_changed_text: bool,
    out: Path | None,
    given: Mapping[str, Any],
) -> Generator[Noticed, None, Job]:
    """Prepare a run that continues from its newest checkpoint, and return the job of training it.

    If `name` is an older checkpoint, or a copy of one, a new run continues from it. given: settings to change; only
    those of FREE_ON_RESUME can be changed, and `name` can be given for a new run.
    """
    place = training.place
    place.check_texts(corpus)
    check_names(given, (*NAMES, *NEW_ONLY))
    older = older_checkpoint(name, out)
    if older is None:
        run = training.open(lambda: _run_in(name, out))
        checkpoint, path, warnings = run.load_newest()
        yield from map(Noticed, warnings)
        word, what = call_name(run), f"The run {run.name}"
    else:
        run, checkpoint, path = Run(older.parent), read_older(older), older
        word, what = str(older), f"The run of {older}"
    progress = checkpoint.progress
    if checkpoint.training is None or progress is None:
        raise CharRNNError(
            f"{path} holds a model but no training to resume.",
            hint=f"A new run can start from the model: `charrnn.train('corpus.txt', init={str(path)!r})`",
        )
    trained, settings = checkpoint.training, dict(given)
    own_name = settings.pop("name", None) if older else None
    changed = _changed(trained, settings)
    is_over = progress.total is not None and progress.step >= progress.total
    may_lack = is_over and not changed and older is None
    wanted = {"validation": trained.val or progress.corpus.val_sha256, "test": trained.test}
    if not may_lack or is_measured(run, (part for part, is_held in wanted.items() if is_held)):
        check_unfinished(what, word, trained, progress, changed)
    data = yield from _resumed_data(
        training, run, checkpoint, progress.corpus, trained, corpus, allow_changed_text, word
    )
    # A part that was asked for may be empty in a short text.
    if may_lack and is_measured(run, parts_of(data)):
        check_unfinished(what, word, trained, progress, changed)
    # A text that is too short for a window is refused where it is read.
    steps_per_epoch = max(1, len(data.parts.train) // trained.batch // trained.seq)
    kept = {} if corpus else run.all_kept(progress.corpus.sources)
    if older is None:
        yield Noticed(f"Resuming {run.name} after step {progress.step:,}.", is_advice=True)
    else:
        run, progress, said = own_run(training, older, progress, own_name, out)
        yield Noticed(said)
    if training.is_first:
        run.held |= {path.name: path.open("rb") for path in kept.values()}
    config, planned, about_rate = replanned(trained, progress, changed, steps_per_epoch)
    if about_rate:
        yield Noticed(about_rate)
    before = progress.backend or DEFAULT
    now = place.choose(before).name
    if before != now:
        yield Noticed(
            f"Until now it was trained with {before}: {now} rounds differently and draws other dropout masks."
        )
    shards = kept_shards(config.batch, progress, place.processes.count)
    resumed = replace(checkpoint, progress=planned)
    return Job(run, checkpoint.model, config, data, shards, resumed=resumed, new_plan=about_rate is not None)


def is_measured(run: Run, held: Iterable[str]) -> bool:
    """Return whether the log has the exact figures of the best checkpoint for each held-out part, by name.

    A run that was killed after its last step may not have them; resuming it measures them. A damaged best checkpoint
    cannot be measured, so nothing is to be done for it.
    """
    best = run.best if run.best.is_file() else run.newest()
    try:
        return best is None or set(held) <= set(figures_of(run.log.path, read_header(best).step))
    except CharRNNError:
        return True


def _run_in(name: str, out: Path | None) -> Run:
    """Return the run that `name` means; raise CharRNNError if it is not in the folder `out`, if that is given."""
    run = find_run(name, out)
    if out is not None and not ((out / run.name).is_dir() and (out / run.name).samefile(run.path)):
        raise CharRNNError(
            f"`out` has no effect: {name} is the run in {run.path}, and a run stays in its folder.",
            hint="Leave it out. Only a new run, made from an older checkpoint, can be in another folder.",
        )
    return run


def _changed(trained: TrainConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given; CharRNNError for a setting that a resumed run cannot change."""
    fixed = set(given) - set(FREE_ON_RESUME)
    if fixed:
        raise CharRNNError(
            f"A resumed run keeps its settings; {', '.join(f'`{name}`' for name in sorted(fixed))} cannot be changed.",
            hint=f"These can be changed: {', '.join(f'`{name}`' for name in FREE_ON_RESUME)}.",
        )
    # A budget of None is not a new one: the run keeps its own.
    changed = {name: plain(value) for name, value in given.items() if name not in BUDGET or value is not None}
    check_types(TrainConfig, changed)
    # Check the values; their effect depends on the text.
    check_effects(changed, replace(trained, **changed))
    return changed


def _resumed_data(
    training: Training,
    run: Run,
    checkpoint: Checkpoint,
    recorded: CorpusRecord,
    config: TrainConfig,
    corpus: Sequence[str],
    changed_ok: bool,
    word: str,
) -> Generator[Noticed, None, Dataset]:
    """Return the text that the run was trained on, checked by its digest; `word` names the run in a call."""
    sources = run.found_again(recorded.sources)
    include = recorded.include or ()
    named = [*([] if corpus else sources), *(recorded.val_sources or ())]
    if named:
        yield Noticed(f"Reading the text that the run names: {shown(named)}", is_advice=True)
        if not corpus:
            check_ordinary(sources, include, f"If it is elsewhere now: `charrnn.resume({word!r}, corpus='NEWPLACE')`")
        check_ordinary(recorded.val_sources or (), include, "Put the validation file back.")

    def unchanged(sources: Sequence[str], sha256: str, what: str) -> Generator[Noticed, None, Text]:
        with readable_by():
            text = read_text(sources, checkpoint.text, include, training.watch, keep=True)
        if text.sha256 != sha256:
            digests = f"its SHA-256 is {text.sha256}, it was {sha256}"
            if not changed_ok:
                raise CharRNNError(
                    f"The {what} has changed since this run began: {digests}.",
                    hint="Put the old text back, train a new run, or continue with the new text: "
                    "`allow_changed_text=True`.",
                )
            yield Noticed(
                f"The {what} has changed ({digests}): training continues with the new one. The validation part may "
                "include text that was trained on before, so its loss may be lower than for new text."
            )
        return text

    text = yield from unchanged(corpus or sources, recorded.sha256, "text")
    if not corpus and text.sha256 == recorded.sha256:
        # The record keeps the place where the text was at first, unless another one was named.
        text = replace(text, sources=recorded.sources)
    validation = None
    if recorded.val_sources is not None and recorded.val_sha256 is not None:
        validation = yield from unchanged(recorded.val_sources, recorded.val_sha256, "text of `val_file`")
    other = f"val_file={_named(recorded.val_sources)!r}, " if recorded.val_sources else ""
    hint = (
        "A run cannot get new characters. A new run can start from this one's weights: "
        f"`charrnn.train({_named(corpus or sources)!r}, {other}init={word!r})`"
    )
    return dataset(text, checkpoint.vocab, config, validation, hint, checkpoint.model.classes)


def _named(sources: Sequence[str]) -> str | list[str]:
    """Return sources in the form in which a call names them."""
    return sources[0] if len(sources) == 1 else list(sources)
