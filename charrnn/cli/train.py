"""`charrnn train`: a model from a text."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import printable, say
from charrnn.cli.resume import resume_run
from charrnn.cli.session import session, train_run
from charrnn.cli.signals import Signals
from charrnn.config import BUDGET, DEFAULT_MINUTES, DEFAULT_TEXT, PRESETS, ModelConfig, TextConfig, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    import numpy as np

    from charrnn.checkpoint import Checkpoint
    from charrnn.corpus import Corpus

_M, _T = ModelConfig(), TrainConfig()
# Characters that a report names.
SHOWN = 60


def train(
    context: typer.Context,
    corpus: o.Corpus = None,
    preset: o.Preset = None,
    cell: o.CellName = _M.cell,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    vocab: o.Vocab = None,
    init: o.Init = None,
    drop_unused: o.DropUnused = False,
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
            resume_run(resume, given, asked)
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
    trained = _trained(values["init"], given) if values["init"] else None
    if trained is not None:
        model = trained.model
    elif values["drop_unused"]:
        raise CharRNNError("--drop-unused needs a model to begin with.", hint="Name one: --init RUN")
    vocab = Vocabulary.load(values["vocab"]) if values["vocab"] else None
    before = trained.text if trained else DEFAULT_TEXT
    text = replace(before, **{field.name: given[field.name] for field in fields(TextConfig) if field.name in given})
    besides = trained.vocab.symbols if trained and not values["drop_unused"] else ()
    corpus = load_corpus(values["corpus"], vocab, text, values["include"] or (), besides)
    for notice in corpus.notices:
        say(printable(notice))
    weights = _transferred(trained, corpus, config.seed) if trained else None
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
        train_run(run, model, config, corpus, parts, shards, None, values["quiet"], asked, weights)


def _trained(init: str, given: dict[str, Any]) -> "Checkpoint":
    """Return the model to begin with; options that ask for another size are an error."""
    from charrnn.checkpoint import read_checkpoint
    from charrnn.network import check_weights
    from charrnn.runs import find_checkpoint

    path = find_checkpoint(init)
    checkpoint = read_checkpoint(path)
    check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
    for field in fields(ModelConfig):
        has = getattr(checkpoint.model, field.name)
        if given.get(field.name, has) != has:
            raise CharRNNError(
                f"--{field.name} {given[field.name]} is not what {path} has: {has}.",
                hint="A model keeps its cell and size; leave the option out.",
            )
    return checkpoint


def _transferred(trained: "Checkpoint", corpus: "Corpus", seed: int) -> "dict[str, np.ndarray]":
    """Return the model's weights for the characters of this text, and say which are shared, new and unused."""
    import numpy as np

    from charrnn.transfer import transfer

    old, new = set(trained.vocab.symbols), set(corpus.vocab.symbols)
    used = {corpus.vocab.symbols[place] for place in np.unique(corpus.ids)}
    say(f"Beginning with a trained {trained.model.cell}: {len(old & used):,} characters of this text are known to it.")
    kept = "kept" if old <= new else "forgotten"
    for what, characters in (("New to it", new - old), (f"Not in this text, {kept}", old - used)):
        if characters:
            shown = printable("".join(sorted(characters)[:SHOWN])) + (" …" if len(characters) > SHOWN else "")
            say(f"  {what}: {shown} ({len(characters):,}).")
    return transfer(trained.model, trained.weights, trained.vocab, corpus.vocab, seed)


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
