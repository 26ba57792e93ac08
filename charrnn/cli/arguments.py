"""Interpretation of the arguments for a run, a text, a prime or a character."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from charrnn.cli.console import notify, printable, say, typed_without
from charrnn.cli.escapes import unescaped
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError, did_you_mean, readable_by

if TYPE_CHECKING:
    import numpy as np

    from charrnn.api.model import Model

_UNITS = {"K": 1_000, "M": 1_000_000}


def typed(context: typer.Context) -> set[str]:
    """Return the names of a command's parameters that were given on the command line."""
    # The enum's class is not public; its names are.
    return {name for name in context.params if getattr(context.get_parameter_source(name), "name", "") != "DEFAULT"}


def loaded(run: str | None, engine: str = AUTO, weights: str = WEIGHTS[0]) -> "Model":
    """Return the model of RUN|FILE; without it, the model of the newest run, whose name is printed."""
    from charrnn.api.model import load

    model = load(run, notify, engine=engine, weights=weights)
    if run is None:
        tell_which(model.run, model.path.name, model.network.step)
    return model


def all_loaded(runs: Sequence[str], engine: str = AUTO, weights: str = WEIGHTS[0]) -> "list[Model]":
    """Return the models of several RUN|FILE; without any, the model of the newest run, whose name is printed."""
    return [loaded(run, engine, weights) for run in runs or (None,)]


def tell_which(run: str, file: str, step: int | None) -> None:
    """Print which model is used, if the user did not name one."""
    say(f"The model is {printable(run)} ({file}{'' if step is None else f', step {step:,}'}).")


def split_run(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the run (or None for the newest) and the texts.

    The first argument is the run unless it is a text. Then the last argument may be the run, because many users name
    the text first. If a run and a text have the same name, the first of several arguments is the run.
    """
    from charrnn.runs.finding import find_run, has_checkpoint

    if not arguments:
        return None, []
    first, *rest = arguments
    if first.endswith(".safetensors"):
        return first, rest
    if os.path.isfile(first) or first == "-":
        last_is_text = rest and os.path.isfile(rest[-1]) and not rest[-1].endswith(".safetensors")
        if rest and not last_is_text and has_checkpoint(rest[-1]):
            return rest[-1], arguments[:-1]
        if not has_checkpoint(first):
            return None, arguments
        if rest:
            return first, rest
        say(
            f"{printable(first)} is a file and also a run; the file is read. For the run, name its folder or a "
            "checkpoint."
        )
        return None, arguments
    try:
        find_run(first)
    except CharRNNError:
        # A folder of texts is not a run. A name that is neither is probably the name of a run if a text follows it.
        if os.path.exists(first) or not rest:
            return None, arguments
        raise
    return first, rest


def run_and_lines(arguments: list[str], command: str) -> tuple[str | None, str]:
    """Return the run (None for the newest) and the text whose lines a command reads ("-" for stdin by default)."""
    run, texts = split_run(arguments)
    if len(texts) > 1:
        missing = [text for text in texts if text != "-" and not os.path.exists(text)]
        if len(missing) == 1:
            raise _neither(missing[0])
        named = f"{len(texts)} texts were named: {', '.join(texts)}; charrnn {command} reads one."
        if any(os.path.isfile(text) for text in texts):
            raise CharRNNError(named, hint=f"Join them: {shlex.join(['cat', *texts])} | {typed_without(texts)}")
        line = shlex.quote(" ".join(texts))
        raise CharRNNError(
            f"{named} There are no such files.",
            hint=f"To give a line, pipe it to stdin: echo {line} | {typed_without(texts)}",
        )
    if texts and texts[0] != "-" and not os.path.exists(texts[0]):
        raise _neither(texts[0])
    if texts and os.path.isdir(texts[0]):
        raise CharRNNError(
            f"{texts[0]} is a folder; charrnn {command} reads the lines of one text.",
            hint=f"Join its files: cat {shlex.quote(texts[0].rstrip('/'))}/* | {typed_without(texts)}",
        )
    source = texts[0] if texts else "-"
    say_if_typed([source], "Reading lines from the terminal; Ctrl-D ends them.")
    return run, source


def runs_and_texts(arguments: list[str], command: str, several: bool = False) -> tuple[list[str], list[str]]:
    """Return the runs and the texts among arguments: the texts are files, or "-" for stdin by default.

    With `several`, there may be more than one text.
    """
    runs, texts = runs_and_files(arguments)
    if len(texts) > 1 and not several:
        raise CharRNNError(
            f"{len(texts)} texts were named: {', '.join(texts)}; charrnn {command} reads one.",
            hint=f"Join them: {shlex.join(['cat', *texts])} | {typed_without(texts)}",
        )
    return runs, texts or ["-"]


def runs_and_files(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the runs and the texts among arguments: the texts are files, or "-" for stdin."""
    from charrnn.runs.finding import has_checkpoint

    texts = [one for one in arguments if one == "-" or (os.path.isfile(one) and not one.endswith(".safetensors"))]
    runs = [one for one in arguments if one not in texts]
    for run in runs:
        if not run.endswith(".safetensors") and not has_checkpoint(run):
            raise _neither(run)
    return runs, texts


def runs_and_queries(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the runs that come first among arguments, and the typed texts after them."""
    from charrnn.runs.finding import has_checkpoint, list_runs

    runs: list[str] = []
    for one in arguments:
        if not one.endswith(".safetensors") and not has_checkpoint(one):
            break
        runs.append(one)
    queries = arguments[len(runs) :]
    for query in queries:
        if os.path.isfile(query):
            raise CharRNNError(
                f"The query is {query!r}, which is a file.",
                hint=f"To use its lines as queries: cat {shlex.quote(query)} | {typed_without([query])}",
            )
    if queries and not runs and (near := did_you_mean(queries[0], [run.name for run in list_runs()])):
        say(f"There is no run {printable(queries[0])!r}; it is read as a query. {printable(near)}")
    return runs, queries


def _neither(name: str) -> CharRNNError:
    from charrnn.runs.finding import list_runs

    near = did_you_mean(name, [run.name for run in list_runs()])
    return CharRNNError(
        f"There is neither a run nor a file {name!r}.", hint=near or "Check its path. To list the runs: charrnn runs"
    )


def run_and_text(arguments: list[str]) -> tuple[str | None, str]:
    """Return the run (None for the newest) and the text after it; a single word is the run if a run has that name."""
    from charrnn.runs.finding import has_checkpoint

    if len(arguments) > 2:
        text = " ".join(arguments[1:])
        raise CharRNNError(
            f"{len(arguments)} words were given; a run and a text were expected.",
            hint=f"Put the text in quotes: {typed_without(arguments[1:])} {shlex.quote(text)}",
        )
    if len(arguments) == 2:
        return arguments[0], arguments[1]
    if not arguments or has_checkpoint(arguments[0]) or arguments[0].endswith(".safetensors"):
        return (arguments[0] if arguments else None), ""
    return None, arguments[0]


def check_no_file(run: str | None, text: str, command: str) -> None:
    """Raise CharRNNError if a text names a file whose lines were probably meant."""
    if text and os.path.isfile(text):
        raise CharRNNError(
            f"The text is {text!r}, which is a file.",
            hint=f"For the lines of the file: cat {shlex.quote(text)} | charrnn {command}{' ' + run if run else ''}",
        )


def prime_ids(
    model: "Model",
    prime: str,
    file: str | None,
    unknown: str | None,
    encoding: str | None,
    where: str = "--prime",
) -> "np.ndarray":
    """Return the ids of the text that a sample continues: the text typed for `where`, or the text of a file."""
    from charrnn.text.sources import one_document

    if prime and file is not None:
        raise CharRNNError("--prime and --prime-file cannot be combined.", hint="Leave out one of them.")
    if prime != "-" and file is None:
        return model.encode(unescaped(prime, model.text.bytes), unknown, where)
    source = prime if file is None else file
    say_if_typed([source])
    document = one_document(source)
    with readable_by("encoding"):
        data = b"".join(block for block, _ in document.blocks(raw=model.text.bytes))
    return model.encode_file(data, unknown, document.name, encoding)


def as_trained(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a training with the characters among them as it uses them, without escapes.

    If it reads bytes, which a model to start from may decide, each of them is a byte.
    """
    names = given.keys() & {"documents_between", "separator", "loss_after"}
    if not names:
        return given
    from charrnn.config import TextConfig
    from charrnn.runs.checkpoint import read_header
    from charrnn.runs.finding import find_checkpoint
    from charrnn.text.decoding import prepare

    init = given.get("init")
    of_bytes = given.get("bytes", False) or (init is not None and read_header(find_checkpoint(init)).text.bytes)
    config = TextConfig(bytes=of_bytes)
    return {**given, **{name: prepare(unescaped(given[name], of_bytes), config) for name in names}}


def amount(text: str, option: str, wanted: str) -> int:
    """Return a whole number above 0 that is typed as 500000, 500k or 1.5M; an error says what is `wanted`."""
    number, unit = (text[:-1], _UNITS[text[-1].upper()]) if text[-1:].upper() in _UNITS else (text, 1)
    try:
        value = int(float(number) * unit)
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        raise typer.BadParameter(f"{text!r} is not {wanted}.", param_hint=option)
    return value


def say_if_typed(sources: Iterable[str], what: str = "Reading the text from the terminal; Ctrl-D ends it.") -> None:
    """Print that a command reads from the terminal, if one of its texts is stdin and stdin is a terminal."""
    if not {"-", "/dev/stdin"}.isdisjoint(sources) and sys.stdin.isatty():
        say(what)
