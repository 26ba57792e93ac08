"""`charrnn train`: a model from a text."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import printable, say
from charrnn.cli.session import session, train_run
from charrnn.cli.signals import Signals
from charrnn.config import DEFAULT_MINUTES, DEFAULT_TEXT, PRESETS, ModelConfig, TextConfig, TrainConfig
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
    include: o.Include = None,
    encoding: o.Encoding = DEFAULT_TEXT.encoding,
    errors: o.Errors = DEFAULT_TEXT.errors,
    newlines: o.Newlines = DEFAULT_TEXT.newlines,
    normalize: o.Normalize = DEFAULT_TEXT.normalize,
    lower: o.Lower = DEFAULT_TEXT.lower,
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
    corpus_changed_ok: o.CorpusChangedOk = False,
    quiet: o.Quiet = False,
) -> None:
    """Train a model on a text and say how to sample from it.

    The run is saved at every evaluation and when it is interrupted (Ctrl-C); --resume goes on from there, exactly as if
    it had never stopped. SIGUSR1 saves it and goes on.
    """
    values = dict(context.params)
    given = {
        key: value
        for key, value in values.items()
        # The enum's class is not public; its names are.
        if getattr(context.get_parameter_source(key), "name", "") != "DEFAULT"
    }
    with Signals() as asked:
        if resume is not None:
            _resume(resume, given, asked)
        else:
            _begin(values, given, asked)


def _begin(values: dict[str, Any], given: dict[str, Any], asked: Signals) -> None:
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
    text = TextConfig(**{field.name: values[field.name] for field in fields(TextConfig)})
    corpus = load_corpus(values["corpus"], vocab, text, values["include"] or ())
    for notice in corpus.notices:
        say(printable(notice))
    batch, seq = fit_batch(len(corpus.ids) - int(len(corpus.ids) * config.val), config.batch, config.seq)
    if (batch, seq) != (config.batch, config.seq):
        say(
            f"The text is short ({len(corpus.ids):,} characters): training with --batch {batch} --seq {seq} "
            f"instead of {config.batch} and {config.seq}."
        )
        config = replace(config, batch=batch, seq=seq)
    parts = split(corpus.ids, config.split, config.val, config.batch)
    with session(asked, lambda: create_run(values["name"], corpus.name, values["out"])) as run:
        shards = backend.shard_count(config.batch)
        train_run(run, model, config, corpus, parts, shards, None, values["quiet"], asked)


def _resume(name: str, given: dict[str, Any], asked: Signals) -> None:
    """Continue a run from its newest checkpoint, with another budget if one is given."""
    from charrnn.runs import find_run

    with session(asked, lambda: find_run(name, given.get("out"))) as run:
        checkpoint, path, warnings = run.load_newest()
        for warning in warnings:
            say(printable(warning))
        if checkpoint.training is None:
            raise CharRNNError(f"{path} holds a model but no training to resume.")
        config = _resumed_config(checkpoint.training, given)
        corpus = _resumed_corpus(run, checkpoint, given)
        parts = _resumed_parts(run, checkpoint, config, corpus)
        say(f"Resuming {run.name} after step {checkpoint.progress['step']:,}.")
        shards = checkpoint.progress["shards"]
        train_run(run, checkpoint.model, config, corpus, parts, shards, checkpoint, bool(given.get("quiet")), asked)


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


def _resumed_corpus(run: "Run", checkpoint: "Checkpoint", given: dict[str, Any]) -> "Corpus":
    """Return the text that the run was trained on, checked by its content."""
    from charrnn.corpus import STDIN, load_corpus

    recorded = checkpoint.progress["corpus"]
    sources = [str(run.stdin) if source == STDIN else source for source in recorded["sources"]]
    corpus = load_corpus(
        given.get("corpus") or sources, checkpoint.vocab, checkpoint.text, recorded.get("include") or ()
    )
    if corpus.sha256 != recorded["sha256"]:
        digests = f"its SHA-256 is {corpus.sha256}, it was {recorded['sha256']}"
        if not given.get("corpus_changed_ok"):
            raise CharRNNError(
                f"The text has changed since this run began: {digests}.",
                hint="Put the old text back, train a new run, or go on with the new text: --corpus-changed-ok.",
            )
        say(f"The text has changed ({digests}): going on with the new one.")
        return corpus
    # Where the text lay when the run began stays on record, unless another place was named.
    return corpus if given.get("corpus") else replace(corpus, sources=tuple(recorded["sources"]))


def _resumed_parts(run: "Run", checkpoint: "Checkpoint", config: TrainConfig, corpus: "Corpus") -> "Split":
    """Return the training and validation parts; a run that has nothing left to do is an error."""
    from charrnn.corpus import split
    from charrnn.training.budget import counted_total

    parts = split(corpus.ids, config.split, config.val, config.batch)
    done = checkpoint.progress["step"]
    counted = counted_total(config, len(parts.train) // config.batch // config.seq)
    same_budget = all(getattr(config, name) == getattr(checkpoint.training, name) for name in BUDGET)
    if (done == checkpoint.progress["total"] and same_budget) or (counted is not None and done >= counted):
        raise CharRNNError(
            f"The run {run.name} has taken {done:,} steps and reached the end of its budget.",
            hint="Give it more: --epochs, --steps, --minutes.",
        )
    return parts


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
