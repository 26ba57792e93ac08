"""`charrnn train`: a model from a text."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import STARTED, printable, say
from charrnn.config import DEFAULT_MINUTES, PRESETS, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.checkpoint import Checkpoint
    from charrnn.corpus import Corpus, Split
    from charrnn.runs import Run

_M, _T = ModelConfig(), TrainConfig()
BUDGET = ("epochs", "steps", "minutes")
# What may be changed when a run is resumed, besides its budget.
FREE_ON_RESUME = (*BUDGET, "patience", "eval_every", "save_every", "keep")


def train(
    context: typer.Context,
    corpus: o.Corpus = None,
    preset: o.Preset = None,
    cell: o.CellName = _M.cell,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    vocab: o.Vocab = None,
    batch: o.Batch = _T.batch,
    seq: o.Seq = _T.seq,
    split: o.Split = _T.split,
    val: o.Val = _T.val,
    dropout: o.Dropout = _T.dropout,
    optimizer: o.Optimizer = _T.optimizer,
    lr: o.LearningRate = _T.lr,
    epsilon: o.Epsilon = _T.epsilon,
    rho: o.Rho = _T.rho,
    momentum: o.Momentum = _T.momentum,
    weight_decay: o.WeightDecay = _T.weight_decay,
    schedule: o.Schedule = _T.schedule,
    warmup: o.Warmup = _T.warmup,
    decay: o.Decay = _T.decay,
    decay_after: o.DecayAfter = _T.decay_after,
    clip_norm: o.ClipNorm = _T.clip_norm,
    clip_value: o.ClipValue = _T.clip_value,
    sum_gradients: o.SumGradients = _T.sum_gradients,
    epochs: o.Epochs = _T.epochs,
    steps: o.Steps = _T.steps,
    minutes: o.Minutes = _T.minutes,
    patience: o.Patience = _T.patience,
    eval_every: o.EvalEvery = _T.eval_every,
    save_every: o.SaveEvery = _T.save_every,
    keep: o.Keep = _T.keep,
    seed: o.Seed = _T.seed,
    name: o.Name = None,
    out: o.Out = None,
    resume: o.Resume = None,
    quiet: o.Quiet = False,
) -> None:
    """Train a model on a text and say how to sample from it.

    The run is saved at every evaluation and when it is interrupted (Ctrl-C); --resume goes on from there.
    """
    values = dict(context.params)
    given = {
        key: value
        for key, value in values.items()
        # The enum's class is not public; its names are.
        if getattr(context.get_parameter_source(key), "name", "") != "DEFAULT"
    }
    if resume is not None:
        _resume(resume, given, quiet)
    else:
        _begin(values, given)


def _begin(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Train a new run."""
    from charrnn.corpus import fit_batch, load_corpus, split
    from charrnn.runs import create_run
    from charrnn.training import backend
    from charrnn.vocab import Vocabulary

    if not values["corpus"]:
        raise CharRNNError(
            "No text to train on was named.", hint="Name one: charrnn train corpus.txt (charrnn corpus gets you one)."
        )
    model, config = configs(values, given)
    vocab = Vocabulary.load(values["vocab"]) if values["vocab"] else None
    corpus = load_corpus(values["corpus"], vocab)
    batch, seq = fit_batch(len(corpus.ids) - int(len(corpus.ids) * config.val), config.batch, config.seq)
    if (batch, seq) != (config.batch, config.seq):
        say(
            f"The text is short ({len(corpus.ids):,} characters): training with --batch {batch} --seq {seq} "
            f"instead of {config.batch} and {config.seq}."
        )
        config = replace(config, batch=batch, seq=seq)
    parts = split(corpus.ids, config.split, config.val, config.batch)
    with _interruptible() as interrupted:
        shards = backend.shard_count(config.batch)
        run = create_run(values["name"], corpus.name, values["out"])
        _train(run, model, config, corpus, parts, shards, None, values["quiet"], interrupted)


def _resume(name: str, given: dict[str, Any], quiet: bool) -> None:
    """Continue a run from its newest checkpoint, with another budget if one is given."""
    from charrnn.corpus import load_corpus, split
    from charrnn.runs import find_run
    from charrnn.training.budget import counted_total

    run = find_run(name, given.get("out"))
    checkpoint, path, warnings = run.load_newest()
    for warning in warnings:
        say(printable(warning))
    if checkpoint.training is None:
        raise CharRNNError(f"{path} holds a model but no training to resume.")
    fixed = set(given) - set(FREE_ON_RESUME) - {"resume", "quiet", "out", "corpus"}
    if fixed:
        raise CharRNNError(
            f"A resumed run keeps its settings; {', '.join('--' + key.replace('_', '-') for key in sorted(fixed))} "
            "cannot be changed.",
            hint="A new budget can be given: --epochs, --steps, --minutes.",
        )
    changed = {key: given[key] for key in FREE_ON_RESUME if key in given}
    if set(changed) & set(BUDGET):
        changed = {**dict.fromkeys(BUDGET), **changed}
    config = replace(checkpoint.training, **changed)
    recorded = checkpoint.progress["corpus"]
    sources = given.get("corpus") or recorded["sources"]
    if sources == ["-"]:
        raise CharRNNError(
            "This run was trained on stdin, which is gone.", hint=f"Save the text and name it: --resume {name} TEXT"
        )
    corpus = load_corpus(sources, checkpoint.vocab)
    if corpus.sha256 != recorded["sha256"]:
        raise CharRNNError(
            f"The text has changed since this run began: its SHA-256 is {corpus.sha256[:16]}…, it was "
            f"{recorded['sha256'][:16]}….",
            hint="Put the old text back, or train a new run.",
        )
    parts = split(corpus.ids, config.split, config.val, config.batch)
    done = checkpoint.progress["step"]
    counted = counted_total(config, len(parts.train) // config.batch // config.seq)
    same_budget = all(getattr(config, name) == getattr(checkpoint.training, name) for name in BUDGET)
    if (done == checkpoint.progress["total"] and same_budget) or (counted is not None and done >= counted):
        raise CharRNNError(
            f"The run {run.name} has taken {done:,} steps and reached the end of its budget.",
            hint="Give it more: --epochs, --steps, --minutes.",
        )
    with _interruptible() as interrupted:
        say(f"Resuming {run.name} after step {checkpoint.progress['step']:,}.")
        _train(
            run, checkpoint.model, config, corpus, parts, checkpoint.progress["shards"], checkpoint, quiet, interrupted
        )


def configs(values: dict[str, Any], given: dict[str, Any]) -> tuple[ModelConfig, TrainConfig]:
    """Return the settings: defaults, then the preset, then the options that were given."""
    preset = values["preset"]
    if preset is not None and preset not in PRESETS:
        raise CharRNNError(f"There is no preset {preset!r}; there is {', '.join(PRESETS)}.")
    chosen = {**values, **(PRESETS[preset] if preset else {}), **given}
    if set(given) & set(BUDGET):
        # A budget that is given replaces the preset's.
        chosen |= {key: given.get(key) for key in BUDGET}
    elif all(chosen[key] is None for key in BUDGET):
        chosen["minutes"] = DEFAULT_MINUTES
    if "clip_value" in given and "clip_norm" not in given:
        chosen["clip_norm"] = None
    model = ModelConfig(**{field.name: chosen[field.name] for field in fields(ModelConfig)})
    return model, TrainConfig(**{field.name: chosen[field.name] for field in fields(TrainConfig)})


def _start_backend(shards: int, quiet: bool) -> None:
    from charrnn.training import backend

    if not quiet:
        say("Loading TensorFlow …")
    backend.start(shards)


@contextmanager
def _interruptible() -> Iterator[dict[str, Any]]:
    """Turn SIGINT and SIGTERM into a wish to stop, once a trainer is there to hear it; a second one stops at once."""
    wish: dict[str, Any] = {"trainer": None, "signal": None}

    def handler(number: int, frame: Any) -> None:
        trainer = wish["trainer"]
        if trainer is None or wish["signal"] is not None:
            raise SystemExit(128 + number) if number != signal.SIGINT else KeyboardInterrupt
        wish["signal"] = number
        trainer.interrupted = True

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _train(
    run: "Run",
    model: ModelConfig,
    config: TrainConfig,
    corpus: "Corpus",
    parts: "Split",
    shards: int,
    resumed: "Checkpoint | None",
    quiet: bool,
    interrupted: dict[str, Any],
) -> None:
    """Train, show it, and report."""
    from time import perf_counter

    from charrnn.cli import report
    from charrnn.cli.live import View

    identity = {"sources": list(corpus.sources), "sha256": corpus.sha256, "characters": len(corpus.ids)}
    trainer: Any = None
    try:
        _start_backend(shards, quiet)
        from charrnn.training.loop import Ended, Trainer

        trainer = Trainer(
            run,
            model,
            config,
            corpus.vocab,
            parts,
            shards,
            identity,
            resumed,
            clock=lambda: perf_counter() - STARTED,
            reserve=report.seconds_needed(model, corpus.vocab, parts.val),
        )
        interrupted["trainer"] = trainer
        ended = None
        with View(trainer, corpus, parts, quiet) as view:
            for event in trainer.events():
                view.show(event)
                if isinstance(event, Ended):
                    ended = event
    finally:
        # A run that never took a step leaves no trace.
        if run.newest() is None and not any(run.path.iterdir()):
            run.path.rmdir()
    if ended is not None and ended.reason == "interrupted":
        say(f"Stopped after step {ended.step:,}, saved. Go on with: charrnn train --resume {report.shell_name(run)}")
        raise SystemExit(128 + interrupted["signal"])
    report.at_the_end(run, trainer, corpus, parts, ended)
