"""`charrnn train`: a model from a text."""

from dataclasses import fields
from typing import Any

import typer

from charrnn.api.initial import trained_model, transferred
from charrnn.api.place import PLACE, Place, place
from charrnn.api.resuming import resume_run
from charrnn.api.session import session, train_run
from charrnn.cli import options as o
from charrnn.cli.console import say
from charrnn.cli.signals import Signals
from charrnn.config import ACTIVATIONS, BUDGET, DEFAULT_MINUTES, DEFAULT_TEXT, PRESETS, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError

_M, _T = ModelConfig(), TrainConfig()


def train(
    context: typer.Context,
    corpus: o.Corpus = None,
    preset: o.Preset = None,
    cell: o.CellName = _M.cell,
    activation: o.Activation = ACTIVATIONS[0],
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    vocab: o.Vocab = None,
    init: o.Init = None,
    drop_unused: o.DropUnused = False,
    include: o.Include = None,
    encoding: o.Encoding = DEFAULT_TEXT.encoding,
    errors: o.Errors = DEFAULT_TEXT.errors,
    newlines: o.Newlines = DEFAULT_TEXT.newlines,
    normalize: o.Normalize = DEFAULT_TEXT.normalize,
    lower: o.Lower = DEFAULT_TEXT.lower,
    bytes: o.Bytes = DEFAULT_TEXT.bytes,
    lines: o.Lines = DEFAULT_TEXT.lines,
    separator: o.Separator = DEFAULT_TEXT.separator,
    reset_at_documents: o.ResetAtDocuments = DEFAULT_TEXT.reset_at_documents,
    loss_after: o.LossAfter = DEFAULT_TEXT.loss_after,
    min_count: o.MinCount = 1,
    batch: o.Batch = _T.batch,
    seq: o.Seq = _T.seq,
    split: o.Split = _T.split,
    val: o.Val = _T.val,
    val_file: o.ValFile = None,
    test: o.Test = _T.test,
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
    precision: o.Precision = _T.precision,
    epochs: o.Epochs = _T.epochs,
    steps: o.Steps = _T.steps,
    minutes: o.Minutes = _T.minutes,
    patience: o.Patience = _T.patience,
    eval_every: o.EvalEvery = _T.eval_every,
    save_every: o.SaveEvery = _T.save_every,
    keep: o.Keep = _T.keep,
    seed: o.Seed = _T.seed,
    device: o.Device = "auto",
    processes: o.ProcessCount = None,
    process_id: o.ProcessId = None,
    coordinator: o.Coordinator = None,
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
    # The context has what was typed, before Typer makes a path of it.
    values = {**context.params, "out": out}
    given = {
        key: value
        for key, value in values.items()
        # The enum's class is not public; its names are.
        if getattr(context.get_parameter_source(key), "name", "") != "DEFAULT"
    }
    where = place(device, processes, process_id, coordinator)
    # How it is computed, not what.
    given = {key: value for key, value in given.items() if key not in PLACE}
    with Signals() as asked:
        if resume is not None:
            resume_run(resume, given, asked, where)
        else:
            _begin(values, given, asked, where)


def _begin(values: dict[str, Any], given: dict[str, Any], asked: Signals, where: Place) -> None:
    """Train a new run."""
    from charrnn.api.advice import advice
    from charrnn.api.datasets import new_dataset
    from charrnn.runs.folder import Run, create_run, runs_folder
    from charrnn.text import cache
    from charrnn.training.backends import start as backend

    if not values["corpus"]:
        raise CharRNNError(
            "No text to train on was named.", hint="Name one: charrnn train corpus.txt (charrnn corpus gets you one)."
        )
    model, config = configs(values, given)
    trained = trained_model(values["init"], given) if values["init"] else None
    if trained is not None:
        model = trained.model
    elif values["drop_unused"]:
        raise CharRNNError("--drop-unused needs a model to begin with.", hint="Name one: --init RUN")
    where.check_texts([*values["corpus"], *(values["val_file"] or ())])
    asked.tidy = cache.tidy
    config, data = new_dataset(values, given, config, trained)
    hint = None if trained else advice(len(data.parts.train), model, data.corpus.vocab.size)
    if hint and not values["quiet"] and where.processes.is_first:
        say(hint)
    weights = transferred(trained, data.corpus, config.seed) if trained else None
    shards = backend.shard_count(config.batch, where.processes.count)

    def find() -> Run:
        if where.processes.is_first:
            return create_run(values["name"], data.corpus.text.name, values["out"])
        return Run(runs_folder() / "elsewhere")

    with session(asked, find, where) as run:
        train_run(run, model, config, data, shards, None, values["quiet"], asked, where, weights)


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
    if chosen["activation"] not in ACTIVATIONS:
        raise CharRNNError(f"--activation is {chosen['activation']!r}; it must be one of {', '.join(ACTIVATIONS)}.")
    if chosen["activation"] == "relu":
        if chosen["cell"] not in ("rnn", "irnn"):
            raise CharRNNError(f"--activation relu is for --cell rnn; {chosen['cell']} has activations of its own.")
        chosen["cell"] = "irnn"
    model = ModelConfig(**{field.name: chosen[field.name] for field in fields(ModelConfig)})
    return model, TrainConfig(**{field.name: chosen[field.name] for field in fields(TrainConfig)})
