"""Mistakes in a command line, as errors like all others: what was typed, what was expected, how to fix it."""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from charrnn.cli.aliases import near, todays
from charrnn.cli.console import typed_without
from charrnn.errors import CharRNNError, did_you_mean

# The base class of the errors that Typer raises for a command line; it has no public name.
UsageError: Any = typer.BadParameter.__base__

_KINDS = {"int": "a whole number", "float": "a number"}
# Names that other programs use for the option of an output file.
_OUTPUT = ("-o", "--output", "--outfile", "--output-file")


@contextmanager
def explained() -> Iterator[None]:
    """Turn Typer's errors in a command line into CharRNNError."""
    try:
        yield
    except UsageError as error:
        raise _mistake(error, sys.argv[1:]) from None


def unknown_command(name: str, commands: Sequence[str]) -> CharRNNError:
    """Return the error for a word that is given in place of a command."""
    from charrnn.runs.finding import find_run

    if name.endswith(".safetensors"):
        return CharRNNError(f"{name} is a checkpoint, not a command.", f"To sample from it: charrnn sample {name}")
    if os.path.exists(name):
        return CharRNNError(f"{name} is a file or folder, not a command.", f"To train on it: charrnn train {name}")
    alike = did_you_mean(name, commands, most=2, command="charrnn ")
    if alike is None:
        try:
            find_run(name)
        except CharRNNError:
            return CharRNNError(f"There is no command {name!r}.", "charrnn --help lists the commands.")
        return CharRNNError(f"{name} is a run, not a command.", f"To sample from it: charrnn sample {name}")
    return CharRNNError(f"There is no command {name!r}.", alike)


def _mistake(error: Any, typed: Sequence[str]) -> CharRNNError:
    """Return a usage error of Typer as a CharRNNError."""
    context = error.ctx
    # If an option lacks its value, Typer's error does not have the command.
    name = (typed[0] if typed else "") if context is None else context.info_name if context.parent else ""
    command = f"charrnn {name}".rstrip()
    params = [] if context is None else context.command.params
    options = [name for param in params for name in param.opts if name.startswith("--")]
    message, hint = _said(error, command, options, typed)
    for word in typed:
        # Typer reads -temp as -t with the value "emp".
        single = re.fullmatch(r"-([a-z][a-z-]+)(=.*)?", word)
        if single and (option := f"--{todays(options)(single[1])}") in options:
            hint = f"The name of an option with more than one letter has two dashes: {option}"
    return CharRNNError(message, hint)


def _said(error: Any, command: str, options: Sequence[str], typed: Sequence[str]) -> tuple[str, str]:
    """Return the message and the hint of a usage error."""
    helps = f"For help: {command} --help"
    match type(error).__name__:
        case "NoSuchOption":
            hint = _other_option(error, command, options, typed)
            return f"{command} has no option {error.option_name}.", hint or helps
        case "BadOptionUsage" if "requires an argument" in error.message:
            return f"{error.option_name} needs a value.", f"Give one: {command} {error.option_name} VALUE. {helps}"
        case "MissingParameter":
            what = (error.param.metavar or error.param.make_metavar(error.ctx).strip("[]")).rstrip(".")
            if error.param.param_type_name == "option":
                what = f"{max(error.param.opts, key=len)} {what}"
            return f"{command} needs {what}.", f"Give it: {command} {what}. {helps}"
        case "BadParameter":
            about = error.param and getattr(error.param, "help", None)
            return _bad_value(error), f"{max(error.param.opts, key=len)}: {about}" if about else helps
    extra = re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", error.message)
    if extra is None:
        return error.format_message(), helps
    if command == "charrnn sample":
        helps = f"To continue a text, use {_with_prime(extra[1], typed)}"
    return f"{command} does not accept this argument: {extra[1]}.", helps


def _other_option(error: Any, command: str, options: Sequence[str], typed: Sequence[str]) -> str | None:
    """Return a hint what to type instead of an option that a command does not have, None if there is no hint."""
    name, words = error.option_name, list(typed)
    for param in error.ctx.command.params:
        if name.swapcase() in param.opts and len(name) == 2:
            return f"Did you mean {' or '.join(sorted(param.opts, key=len))}?"
    if command == "charrnn":
        # The option was typed before its command.
        called = next((word for word in words if word in error.ctx.command.commands), None)
        if called is None:
            return f"Options come after their command, for example: charrnn sample {name} …"
        words.remove(called)
        return f"Options come after their command: {shlex.join(['charrnn', called, *words])}"
    place = next((place for place, word in enumerate(words) if word.partition("=")[0] == name), None)
    if name in _OUTPUT and command == "charrnn train":
        return "The output is a run: --name gives its name, and --checkpoints the folder in which it is written."
    if name in _OUTPUT and place is not None and "--output" not in options:
        file = words.pop(place).partition("=")[2] or (words.pop(place) if place < len(words) else "FILE")
        return f"The output goes to stdout: {shlex.join(['charrnn', *words])} > {shlex.quote(file)}"
    return near(name, options)


def _with_prime(text: str, typed: Sequence[str]) -> str:
    """Return the correct `sample` command, with its option first, for a text that was typed without an option."""
    # If a word occurs twice (it may also be the name of a run), the last one belongs to the text.
    extra: list[str] = []
    left = text
    for word in reversed(typed):
        if word and (left == word or left.endswith(f" {word}")):
            extra.insert(0, word)
            left = left.removesuffix(word).removesuffix(" ")
    if extra[1:] and all(map(os.path.isfile, extra)):
        return f"--prime: {shlex.join(['cat', *extra])} | {typed_without(extra)} --prime -"
    words = shlex.split(typed_without(extra))
    for place, word in enumerate(words[1:], 1):
        before = words[place - 1]
        if before in ("--prime", "-p") or word.startswith("--prime="):
            words[place] += f" {text}"
            return f"--prime, in quotes: {shlex.join(words)}"
    option = "--prime-file" if os.path.isfile(text) else "--prime"
    return f"{option}: {shlex.join([*words, option, text])}"


def _bad_value(error: Any) -> str:
    """Return a message that says what is wrong with the value of an option, and what it must be."""
    value = re.match(r"(?:('.*') is not a valid|(\S+) is not in the range)", error.message, re.DOTALL)
    kind = error.param and error.param.type
    what = _KINDS.get(getattr(kind, "name", "").removesuffix(" range"))
    if value is None or what is None:
        return str(error.format_message())
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    limits = [f"at least {low:,}"] if low is not None else []
    limits += [f"at most {high:,}"] if high is not None else []
    expected = ", ".join([what, " and ".join(limits)]) if limits else what
    return f"{max(error.param.opts, key=len)} is {value[1] or value[2]}; it must be {expected}."
