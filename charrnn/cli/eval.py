"""`charrnn eval`: how well a model predicts a text."""

import json
import math
from dataclasses import replace
from typing import Annotated

import typer

from charrnn.cli import options as o
from charrnn.cli.console import write_data
from charrnn.cli.reading import read, tell
from charrnn.config import UNKNOWN
from charrnn.errors import CharRNNError


def eval(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN|FILE] TEXT",
            help="A run or checkpoint (by default the newest run's best), then text files, folders, or - for stdin.",
        ),
    ],
    include: o.Include = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="The text's encoding; by default that of the training text.")
    ] = None,
    errors: Annotated[
        str | None, typer.Option("--errors", help="strict or replace; by default as in training.")
    ] = None,
    unknown: o.Unknown = None,
    as_json: o.AsJson = False,
) -> None:
    """Measure how well a model predicts a text: bits and nats per character, perplexity, over the whole of it."""
    from charrnn.corpus import as_ids
    from charrnn.runs import find_checkpoint
    from charrnn.runtime.evaluate import mean_nats
    from charrnn.runtime.model import Model

    check_unknown(unknown)
    run, sources = split_arguments(arguments)
    path = find_checkpoint(run)
    model = Model.load(path)
    config = replace(model.text, encoding=encoding or model.text.encoding, errors=errors or model.text.errors)
    corpus = as_ids(read(sources, config, include), model.vocab, unknown)
    tell(corpus.text.notices)
    model.limit_threads()
    nats = mean_nats(model, [corpus.part])
    facts = {
        "characters": len(corpus),
        "bits_per_char": nats / math.log(2),
        "nats_per_char": nats,
        "perplexity": _exp(nats),
        # Bytes that were left out or replaced were not predicted.
        "bits_per_byte": nats / math.log(2) * len(corpus) / corpus.text.byte_count if corpus.complete else math.nan,
    }
    if as_json:
        # JSON has no number for what is not finite.
        found = {label: value if math.isfinite(value) else None for label, value in facts.items()}
        write_data(json.dumps(found) + "\n")
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


def split_arguments(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the run (or None for the newest) and the texts: the first argument is a run unless it is a text."""
    from pathlib import Path

    from charrnn.runs import find_run

    first, *rest = arguments
    if first.endswith(".safetensors"):
        run: str | None = first
    elif Path(first).is_file() or first == "-":
        run = None
    else:
        try:
            find_run(first)
            run = first
        except CharRNNError:
            # A folder of texts is no run; a name that is neither is more likely a run's, if a text follows it.
            if Path(first).exists() or not rest:
                run = None
            else:
                raise
    sources = arguments if run is None else rest
    if not sources:
        raise CharRNNError("No text was named.", hint=f"Name one: charrnn eval {first} TEXT")
    return run, sources


def check_unknown(policy: str | None) -> None:
    """Raise CharRNNError unless --unknown is a policy or not given."""
    if policy is not None and policy not in UNKNOWN:
        raise CharRNNError(f"--unknown is {policy!r}; it must be one of {', '.join(UNKNOWN)}.")
