"""`charrnn complete`: prints the continuation of each line."""

from typing import TYPE_CHECKING, Annotated

from charrnn.cli import generating as g
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, run_and_lines
from charrnn.cli.console import notify
from charrnn.cli.escapes import each_unescaped, unescaped
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.api.generation import How


def complete(
    arguments: o.RunAndLines = None,
    append: g.Append = None,
    until: g.CompleteUntil = None,
    keep_until: g.KeepUntil = False,
    length: g.CompleteLength = 200,
    temp: g.Temperature = None,
    top_k: g.TopK = None,
    top_p: g.TopP = None,
    min_p: g.MinP = None,
    typical: g.Typical = None,
    beam: g.Beam = None,
    best: g.Best = None,
    allow: g.Allow = None,
    forbid: g.Forbid = None,
    no_repeat: g.NoRepeat = None,
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
    check: g.Check = None,
    show_attention: g.ShowAttention = False,
    jsonl: o.AsJsonl = False,
    unbuffered: o.Unbuffered = False,
) -> None:
    """Complete each line of a text.

    A completion ends at the end of its line. By default it consists of the likeliest characters.
    A model that was trained with --one-per-line --loss-after on lines of SOURCE, a separator and TARGET answers SOURCE
    with TARGET.
    """
    from charrnn.api.completion import Targets
    from charrnn.cli.views.completions import Completions, Form
    from charrnn.text.lines import portions

    run, source = run_and_lines(arguments or [], "complete")
    if check == source == "-":
        raise CharRNNError(
            "The lines and the targets of --check cannot both be read from stdin.", hint="Name a file for one of them."
        )
    if check is not None and best is not None:
        raise CharRNNError(
            "--check counts one completion of each line, but --best prints several.", "Leave out one of them."
        )
    if check is not None and show_attention and not jsonl:
        raise CharRNNError(
            "--check prints no completions, so there is no attention to show.", "Add --jsonl, or leave out one of them."
        )
    model = loaded(run, engine, weights)
    of_bytes = model.text.bytes
    how: How = {
        "temperature": temp,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical": typical,
        "allow": unescaped(allow, of_bytes),
        "forbid": unescaped(forbid, of_bytes),
        "no_repeat": no_repeat,
        "seed": seed,
        "unknown": unknown,
        "keep_until": keep_until,
    }
    if until:
        how["until"] = each_unescaped(until, of_bytes)
    answers = model.answers(length, beam=beam, best=best, append=unescaped(append, of_bytes), **how)
    config = model.read_as(encoding, errors or ("strict" if of_bytes else "replace"))
    targets = Targets(model.network, check, model.read_as(encoding, errors)) if check is not None else None
    view = Completions(answers, targets, Form(config, model.run, jsonl, best is not None, show_attention))
    for portion in portions(source, config, unbuffered, notify):
        for line, found in zip(portion, answers.n_best(portion, view.lines), strict=True):
            view.show(line, found)
    answers.end()
    view.end()
