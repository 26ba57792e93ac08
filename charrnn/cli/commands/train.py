"""`charrnn train`: trains a model on a text."""

import typer

from charrnn.cli import options as o
from charrnn.cli import training as t
from charrnn.cli.arguments import as_trained, typed
from charrnn.cli.groups import held_out, labelled, place, reading, training_text, with_options
from charrnn.cli.running import run
from charrnn.cli.signals import Signals
from charrnn.config import ACTIVATIONS, ModelConfig, TrainConfig

_M, _T = ModelConfig(), TrainConfig()


@with_options(reading, training_text, labelled, held_out, place)
def train(
    context: typer.Context,
    corpus: t.Corpus = None,
    preset: t.Preset = None,
    cell: o.CellName = _M.cell,
    cells: o.Cells = None,
    activation: t.Activation = ACTIVATIONS[0],
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    attention: o.Attention = _M.attention,
    init: t.Init = None,
    drop_unused: t.DropUnused = False,
    batch: o.Batch = _T.batch,
    seq: o.Seq = _T.seq,
    dropout: o.Dropout = _T.dropout,
    optimizer: t.Optimizer = _T.optimizer,
    lr: t.LearningRate = _T.lr,
    epsilon: t.Epsilon = _T.epsilon,
    rho: t.Rho = _T.rho,
    momentum: t.Momentum = _T.momentum,
    weight_decay: t.WeightDecay = _T.weight_decay,
    schedule: t.Schedule = _T.schedule,
    warmup: t.Warmup = _T.warmup,
    decay: t.Decay = _T.decay,
    decay_after: t.DecayAfter = _T.decay_after,
    clip_norm: t.ClipNorm = _T.clip_norm,
    clip_value: t.ClipValue = _T.clip_value,
    sum_gradients: t.SumGradients = _T.sum_gradients,
    precision: o.Precision = _T.precision,
    epochs: t.Epochs = _T.epochs,
    steps: t.Steps = _T.steps,
    minutes: t.Minutes = _T.minutes,
    patience: t.Patience = _T.patience,
    eval_every: t.EvalEvery = _T.eval_every,
    save_every: t.SaveEvery = _T.save_every,
    keep: t.Keep = _T.keep,
    seed: o.Seed = _T.seed,
    processes: t.ProcessCount = None,
    process_id: t.ProcessId = None,
    coordinator: t.Coordinator = None,
    name: t.Name = None,
    out: o.Checkpoints = None,
    tensorboard: t.TensorBoard = False,
    tensorboard_dir: t.TensorBoardDir = None,
    resume: t.Resume = None,
    allow_changed_text: t.AllowChangedText = False,
    quiet: t.Quiet = 0,
    as_json: t.ResultAsJson = False,
) -> None:
    """Train a model on a text.

    The run is saved at every evaluation and when it is interrupted (Ctrl-C). --resume continues it from there, with
    exactly the same result as without the interruption. On SIGUSR1, the run is saved and continues.
    """
    settings = typed(context) - {"quiet", "resume", "as_json"}
    # `out` is as it was typed, before Typer converts it to a path.
    given = {name: value for name, value in {**context.params, "out": out}.items() if name in settings}
    with Signals() as asked:
        run(resume, as_trained(given), quiet, as_json, asked)
