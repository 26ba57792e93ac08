"""`charrnn compare`: trains cells, or other settings, on a text, and ranks them."""

import typer

from charrnn.cli import comparing as c
from charrnn.cli import options as o
from charrnn.cli import training as t
from charrnn.cli.arguments import as_trained, say_if_typed, typed
from charrnn.cli.groups import held_out, labelled, place, reading, training_text, with_options
from charrnn.cli.signals import Signals
from charrnn.config import ModelConfig, TrainConfig

_M, _T = ModelConfig(), TrainConfig()
# Options that choose what is done, and are no arguments of `compare_events`.
_OURS = {"corpus", "cell", "vary", "params", "characters", "resume", "plot", "html", "quiet", "as_json", "out"}


@with_options(reading, training_text, labelled, held_out, place)
def compare(
    context: typer.Context,
    corpus: c.TextOrComparison = None,
    cell: c.CellNames = _M.cell,
    vary: c.Vary = None,
    params: c.Params = None,
    seeds: c.SeedCount = 1,
    minutes: c.Minutes = None,
    steps: c.Steps = None,
    characters: c.Characters = None,
    resume: c.Resume = None,
    name: c.Name = None,
    out: o.Checkpoints = None,
    plot: c.Plot = None,
    html: c.Html = None,
    as_json: o.AsJson = False,
    quiet: c.Quiet = False,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    attention: o.Attention = _M.attention,
    cells: o.Cells = None,
    dropout: o.Dropout = _T.dropout,
    batch: o.Batch = _T.batch,
    seq: o.Seq = _T.seq,
    lr: t.LearningRate = _T.lr,
    optimizer: t.Optimizer = _T.optimizer,
    patience: t.Patience = _T.patience,
    eval_every: t.EvalEvery = _T.eval_every,
    seed: c.FirstSeed = _T.seed,
) -> None:
    """Train cells, or other settings, on a text, and rank them.

    Every candidate is trained for the same time, or on the same number of characters, with the same seeds, one run
    after the other; each run is an ordinary run of its own. The exact loss on the validation text decides, and the
    result says which differences may be chance. Ctrl-C saves the current run and stops; --resume goes on.
    """
    from charrnn.cli import trials
    from charrnn.runs.comparison import FILE

    c.check_files(plot, html)
    words = typed(context)
    given = as_trained({key: value for key, value in context.params.items() if key in words - _OURS})
    given |= {"params": c.count(params, "--params"), "characters": c.count(characters, "--characters")}
    if shown := c.named_folder(corpus or [], out, FILE):
        result = trials.shown_again(shown, words)
    else:
        say_if_typed(corpus or ())
        if resume is None:
            given |= {"cell": [word.strip() for word in cell.split(",")], "vary": c.varied(vary or [])}
        given |= {"corpus": corpus or (), "resume": resume, "out": out}
        with Signals() as asked:
            result = trials.compared(given, words, quiet, asked)
    trials.write(result, plot, html, as_json)
    trials.leave(result, quiet)
