"""`charrnn eval`: how well a model predicts a text."""

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import options as o
from charrnn.cli.console import printable, say, write_data
from charrnn.config import UNKNOWN
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.runtime.model import Model


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
    unknown: o.Unknown = UNKNOWN[0],
    as_json: o.AsJson = False,
) -> None:
    """Measure how well a model predicts a text: bits and nats per character, perplexity, over the whole of it."""
    from charrnn.corpus import read_text
    from charrnn.runs import find_checkpoint
    from charrnn.runtime.evaluate import mean_nats
    from charrnn.runtime.model import Model

    run, sources = split_arguments(arguments)
    path = find_checkpoint(run)
    model = Model.load(path)
    config = replace(model.text, encoding=encoding or model.text.encoding, errors=errors or model.text.errors)
    text = read_text(sources, config, include or ())
    for notice in text.notices:
        say(printable(notice))
    model.limit_threads()
    ids = model.vocab.encode(known_part(model, text.text, unknown, ", ".join(sources)))
    nats = mean_nats(model, [ids])
    facts = {
        "characters": len(ids),
        "bits_per_char": nats / math.log(2),
        "nats_per_char": nats,
        "perplexity": math.exp(nats),
        "bits_per_byte": nats / math.log(2) * len(ids) / text.byte_count,
    }
    if as_json:
        write_data(json.dumps(facts) + "\n")
    else:
        labels = ("characters", "bits per character", "nats per character", "perplexity", "bits per byte")
        values = [f"{facts['characters']:,}"] + [f"{value:.4f}" for value in list(facts.values())[1:]]
        write_data("".join(f"{label:<20}{value}\n" for label, value in zip(labels, values, strict=True)))


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


def known_part(model: "Model", text: str, policy: str, where: str) -> str:
    """Return what --unknown leaves of a text, and say what it did; a policy that is none is a CharRNNError."""
    if policy not in UNKNOWN:
        raise CharRNNError(f"--unknown is {policy!r}; it must be one of {', '.join(UNKNOWN)}.")
    known, notice = model.vocab.admit(text, policy, where)
    if text and not known:
        raise CharRNNError(f"Nothing is left of {where}: the model knows none of its characters.")
    if notice:
        say(printable(notice))
    return known
