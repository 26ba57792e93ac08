"""`charrnn eval`: how well a model predicts a text."""

import math
from dataclasses import replace
from typing import Annotated

import typer

from charrnn.cli import options as o
from charrnn.cli.arguments import check_unknown, split_run
from charrnn.cli.console import write_data
from charrnn.cli.reading import read, tell
from charrnn.errors import CharRNNError
from charrnn.json_text import json_text


def eval(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN|FILE] TEXT",
            help="A run or checkpoint (by default the newest run's best), then text files, folders, or - for stdin.",
        ),
    ],
    include: o.Include = None,
    encoding: o.EncodingOfText = None,
    errors: Annotated[
        str | None, typer.Option("--errors", help="strict or replace; by default as in training.")
    ] = None,
    unknown: o.Unknown = None,
    as_json: o.AsJson = False,
) -> None:
    """Measure how well a model predicts a text: bits and nats per character, perplexity, over the whole of it."""
    from charrnn.data.corpus import as_ids
    from charrnn.inference.evaluation import mean_nats
    from charrnn.inference.model import Model
    from charrnn.runs.folder import find_checkpoint

    check_unknown(unknown)
    run, sources = split_run(arguments)
    if not sources:
        raise CharRNNError("No text was named.", hint=f"Name one: charrnn eval {arguments[0]} TEXT")
    path = find_checkpoint(run)
    model = Model.load(path)
    config = replace(model.text, encoding=encoding or model.text.encoding, errors=errors or model.text.errors)
    corpus = as_ids(read(sources, config, include), model.vocab, unknown)
    tell(corpus.text.notices)
    model.limit_threads()
    nats = mean_nats(model, [corpus.part])
    predicted_all = corpus.complete and model.text.loss_after is None
    facts = {
        "characters": corpus.part.counted(),
        "bits_per_char": nats / math.log(2),
        "nats_per_char": nats,
        "perplexity": _exp(nats),
        # Bytes that were left out or replaced, or do not count, were not predicted.
        "bits_per_byte": nats / math.log(2) * len(corpus) / corpus.text.byte_count if predicted_all else math.nan,
    }
    if as_json:
        # JSON has no number for what is not finite.
        found = {label: value if math.isfinite(value) else None for label, value in facts.items()}
        write_data(json_text(found))
    else:
        labels = ("characters", "bits per character", "nats per character", "perplexity", "bits per byte")
        numbers = ["-" if math.isnan(value) else f"{value:.4f}" for value in list(facts.values())[1:]]
        values = [f"{facts['characters']:,}", *numbers]
        write_data("".join(f"{label:<20}{value}\n" for label, value in zip(labels, values, strict=True)))


def _exp(nats: float) -> float:
    """Return e to the power of `nats`, infinity where a float ends: a spoilt model may be that bad."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
