"""`charrnn tune`: searches for good settings for a text."""

import typer

from charrnn.cli import options as o
from charrnn.cli import training as t
from charrnn.cli import tuning as u
from charrnn.cli.arguments import as_trained, say_if_typed, typed
from charrnn.cli.comparing import check_unchanged, named_folder
from charrnn.cli.console import STARTED
from charrnn.cli.groups import held_out, labelled, place, reading, training_text, with_options
from charrnn.cli.signals import Signals
from charrnn.config import ModelConfig, TrainConfig

_M, _T = ModelConfig(), TrainConfig()


@with_options(reading, training_text, labelled, held_out, place)
def tune(
    context: typer.Context,
    corpus: u.TextOrSearch = None,
    minutes: u.Minutes = None,
    trial_minutes: u.TrialMinutes = None,
    trials: u.TrialCount = None,
    steps: u.TrialSteps = None,
    search: u.Searched = None,
    lr: u.Rate = None,
    dropout: u.Dropout = None,
    units: u.Units = None,
    layers: u.Layers = None,
    batch: u.Batch = None,
    seq: u.Seq = None,
    cell: o.CellName = _M.cell,
    cells: o.Cells = None,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    attention: o.Attention = _M.attention,
    optimizer: t.Optimizer = _T.optimizer,
    precision: o.Precision = _T.precision,
    seed: o.Seed = _T.seed,
    name: u.SearchName = None,
    out: o.Checkpoints = None,
    keep_all: u.KeepAll = False,
    resume: u.ResumeSearch = None,
    as_json: t.ResultAsJson = False,
) -> None:
    """Search for good settings for a text, within a time.

    Each trial is a run, one after the other; the first one has the default settings. Optuna chooses the settings of the
    others, and ends trials early that are worse than others were by then. At the end the best trial is named, and the
    command that trains it.
    """
    from charrnn.api.tuned import SearchEnded
    from charrnn.api.tuning import tune_events
    from charrnn.cli.views.search import View, last_words, leave, result
    from charrnn.runs.search import FILE

    chosen = typed(context) - {"resume", "as_json"}
    given = as_trained({one: value for one, value in {**context.params, "out": out}.items() if one in chosen})
    if search is not None:
        given["search"] = [one.strip().lstrip("-") for names in search for one in names.split(",")]
    shown = named_folder(corpus or [], out, FILE) if resume is None else None
    if shown or resume is not None:
        check_unchanged(chosen, "with --resume" if resume is not None else "on an older search", "settings")
        given = {"corpus": () if shown else corpus or (), "out": out}
        resume = str(shown) if shown else resume
    say_if_typed(given.get("corpus", ()))
    with Signals() as asked:
        searching = tune_events(**given, resume=resume, began=STARTED)
        asked.training, asked.last_words = searching, lambda: last_words(searching)
        with searching, View(searching) as view:
            for event in searching:
                view.show(event)
        assert isinstance(event, SearchEnded)
        result(event.result, as_json)
        leave(event.result, searching, asked.received)
