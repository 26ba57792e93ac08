"""`charrnn score`: shows how surprising each line, or a whole text, is to a model."""

from contextlib import nullcontext
from typing import Annotated

import typer

from charrnn.cli import options as o
from charrnn.cli import scoring as s
from charrnn.cli.arguments import loaded, run_and_lines, say_if_typed, typed
from charrnn.cli.console import FOUND, notify
from charrnn.cli.escapes import unescaped
from charrnn.config import QUANTILES, RANK_SAMPLES, RANKS
from charrnn.engines import AUTO, WEIGHTS


def score(
    context: typer.Context,
    arguments: o.RunAndLines = None,
    whole: s.Whole = False,
    field: s.Field = None,
    after: s.After = None,
    context_field: s.ContextField = None,
    line_ends: s.LineEnds = False,
    rank: s.Rank = False,
    rank_samples: s.RankSamples = None,
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    by: s.By = RANKS[0],
    sort: s.Sort = False,
    top: s.Top = None,
    threshold: s.Threshold = None,
    calibrate: s.Calibrate = None,
    per_day: s.PerDay = None,
    exit_code: s.ExitCode = False,
    per_char: s.PerChar = False,
    heatmap: s.HeatMap = False,
    html: s.Html = None,
    attention: s.AttentionPage = None,
    jsonl: o.AsJsonl = False,
    unbuffered: o.Unbuffered = False,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: s.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Show how surprising each line, or a text, is to a model.

    Unusual lines have more bits per character. For each line the command prints, separated by tabs: the bits per
    character (or the score of --by), the bits, the number of characters, the number of unknown characters, the line
    number and the line. Each line is scored without the lines before it.

    A character that the model has never seen costs 20.1 bits (the bits needed to name one character of Unicode), unless
    --unknown is given or the model was trained with --min-count.
    """
    from charrnn.api.given import check_unknown
    from charrnn.api.records import check_rank, chosen, ranked, records
    from charrnn.cli.views.scores import Form, Page, print_text
    from charrnn.text.sources import STDIN

    s.check(typed(context))
    check_unknown(unknown)
    bits, quantile = s.bits_or_quantile(threshold, calibrate)
    proposing = calibrate is not None and threshold is None
    run, source = s.only_run(arguments or []) if proposing else run_and_lines(arguments or [], "score")
    s.check_stdin(source, calibrate)
    s.check_pages(html, attention)
    model = loaded(run, engine, weights)
    check_rank(by, bits, model)
    # A line that cannot be decoded is scored as an unusual one; in a whole text, invalid bytes are an error.
    config = model.read_as(encoding, errors or (model.text.errors if whole or model.text.bytes else "replace"))
    form = Form(jsonl, per_char, heatmap, by, model.run, config)
    before = unescaped(after or "", model.text.bytes)
    scorer = model.scorer(config, unknown=unknown, line_ends=line_ends, whole=rank, after=before)
    if calibrate is not None:
        from charrnn.api.calibration import thresholds
        from charrnn.cli.views.thresholds import print_thresholds, tell

        say_if_typed([calibrate], "Reading ordinary lines from the terminal; Ctrl-D ends them.")
        ordinary = (record.score for record in records(calibrate, scorer, field, False, notify, context_field))
        found = thresholds(ordinary, by, QUANTILES if quantile is None else (quantile,), notify)
        if quantile is None:
            print_thresholds(found, by, per_day, model.run, jsonl)
            return
        tell(found[0], by, per_day)
        bits = found[0].bits
    found_odd, named = False, "stdin" if source == STDIN else source
    write = form.writer()
    with (
        Page(html, form, named, lines=not whole) if html else nullcontext() as page,
        s.alignment_page(attention, model, scorer, named) as alignments,
    ):
        if whole:
            from charrnn.cli.views.reading import Reading

            with Reading() as reading:
                pieces = model.pieces(source, config, unknown=unknown, watch=reading.show)
            print_text(pieces, source, form, write, page)
            return
        lines = records(source, scorer, field, unbuffered, notify, context_field)
        if rank:
            from charrnn.cli.views.reading import Drawing

            with Drawing() as drawing:
                guesses = model.guesses(scorer, rank_samples or RANK_SAMPLES, seed or 0, drawing.show)
            lines = ranked(lines, guesses)
        try:
            for record in chosen(lines, by, sort, top, bits):
                found_odd = True
                write(form.of(record))
                if page:
                    page.line(record.score)
                if alignments:
                    alignments.line(record.score)
        except BrokenPipeError as error:
            # The reader, for example head, has ended; the exit code still says what was found.
            raise typer.Exit(FOUND if exit_code and found_odd else 0) from error
    if exit_code and found_odd:
        raise typer.Exit(FOUND)
