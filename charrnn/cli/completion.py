"""What a shell may complete a command line with: commands, options, runs, cells, and other names that are known.

A shell asks by running charrnn with the words of the line, up to the one to be completed, as arguments, and its own
name in the environment (`app.COMPLETION`; `charrnn.cli.shells` has what it does). The answer is a line for each word
that it may be; exit code 1 says that it is the shell's turn, to complete the name of a file.
"""

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from charrnn.cli.aliases import ALIASES, todays
from charrnn.cli.choices import CHOICES
from charrnn.cli.help import summary
from charrnn.cli.sections import COMMANDS

# Words and what there is to say about each.
Words = Iterable[tuple[str, str]]


class FileWanted(Exception):
    """The name of a file is to be completed."""


def answer(group: Any, shell: str, words: Sequence[str]) -> int:
    """Print how the last of these words may go on, for a shell; return the exit code."""
    try:
        *before, begun = _as_meant(words) if shell == "bash" else words
        found = list(dict.fromkeys(matching(group, before, begun, shell != "bash")))
    # Whatever is wrong, nobody wants to read of it amid a command line.
    except Exception:
        return 1
    sys.stdout.write("".join(_line(shell, word, about) for word, about in found))
    return 0


def matching(group: Any, before: Sequence[str], begun: str, described: bool = True) -> Words:
    """Yield the words that begin as `begun`, after those before it; FileWanted if it is one that is not known here."""
    if not before or before == ["help"]:
        own = _options(group.params) if begun.startswith("-") else _commands(group, described)
        return _beginning(begun, own)
    name, *rest = before
    command = group.get_command(None, name)
    options = {option: param for param in command.params if param.param_type_name == "option" for option in param.opts}
    today = todays(options)
    typed = [part for word in rest for part in (word.split("=", 1) if word.startswith("--") else [word])]
    places, awaiting = 0, None
    for word in typed:
        long = f"--{today(word[2:])}" if word.startswith("--") else word
        if awaiting is None and long in options:
            awaiting = None if options[long].is_flag else options[long]
        elif awaiting is None and not word.startswith("-"):
            places += 1
        else:
            awaiting = None
    if awaiting is not None:
        return _beginning(begun, _values(awaiting, typed, begun))
    if begun.startswith("--") and "=" in begun:
        option, _, value = begun.partition("=")
        return (
            (f"{option}={word}", about) for word, about in _beginning(value, _values(options[option], typed, value))
        )
    if begun.startswith("-"):
        # An alias is shown to nobody who does not begin to type it.
        aliases = ((f"--{alias}", f"--{name}") for alias in ALIASES if (name := today(alias)) != alias)
        return [*_beginning(begun, _options(command.params, typed))] or _beginning(begun, aliases)
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    return _beginning(begun, _of_argument(arguments[0], places, typed, begun) if arguments else ())


def _beginning(begun: str, words: Words) -> Words:
    return ((word, about) for word, about in words if word.startswith(begun))


def _commands(group: Any, described: bool) -> Words:
    for names in COMMANDS.values():
        for name in names:
            # Imported only where it is shown.
            yield name, summary(group.get_command(None, name).help) if described else ""


def _options(params: Iterable[Any], typed: Sequence[str] = ()) -> Words:
    """Yield the long names of options, without those that may be given once and have been."""
    for param in params:
        if param.param_type_name == "option" and not param.hidden and (param.multiple or not {*param.opts} & {*typed}):
            for name in (*param.opts, *param.secondary_opts):
                if name.startswith("--"):
                    yield name, summary(param.help)
    yield "--help", "Show this message and exit."


def _values(option: Any, typed: Sequence[str], begun: str) -> Words:
    """Return what the value of an option may be."""
    name, metavar = max(option.opts, key=len), option.metavar or ""
    if name in CHOICES:
        return ((value, "") for value in CHOICES[name])
    if "CELL" in metavar or name == "--cell":
        return _cells()
    if "RUN" in metavar:
        return _runs(typed, begun)
    if metavar in ("FILE", "CORPUS", "DIR", "TARGETS") or option.type.name == "path":
        raise FileWanted
    return ()


def _of_argument(argument: Any, place: int, typed: Sequence[str], begun: str) -> Words:
    """Return what the argument at a place may be."""
    metavar = argument.metavar or argument.name
    if "RUN" in metavar and (place == 0 or "TEXT" not in metavar):
        return _runs(typed, begun)
    if "CELL" in metavar:
        return [*_cells(), *((stack, "") for stack in CHOICES["--stack"])]
    if metavar == "name":
        from charrnn.api.corpora import known_corpora

        return ((name, entry["description"]) for name, entry in known_corpora().items())
    raise FileWanted


def _cells() -> Words:
    from charrnn.cells import CELLS

    return ((name, cell.paper) for name, cell in CELLS.items())


def _runs(typed: Sequence[str], begun: str) -> Words:
    """Return the runs of the folder that was typed, or of the usual one; FileWanted if none begins so."""
    from charrnn.runs.finding import list_runs

    folders = [Path(value) for option, value in pairwise(typed) if option == "--checkpoints"]
    names = [run.path.name for run in list_runs(folders[-1] if folders else None)]
    if not any(name.startswith(begun) for name in names):
        raise FileWanted
    return ((name, "") for name in names)


def _as_meant(words: Sequence[str]) -> list[str]:
    """Return words that Bash has left in their quotes, and has cut at each =."""
    meant = []
    for place, word in enumerate(words):
        if word == "=" and place and words[place - 1].startswith("--"):
            meant += [""] if place == len(words) - 1 else []
            continue
        try:
            meant += shlex.split(word) or [""]
        except ValueError:
            # A quote that is still open.
            meant.append(word.lstrip("'\""))
    return meant


def _line(shell: str, word: str, about: str) -> str:
    """Return a word, and what there is to say about it, as the shell's function reads it."""
    if not word.isprintable():
        return ""
    if shell == "bash":
        return re.sub(r"([^\w@%+=:,./-])", r"\\\1", word) + "\n"
    if shell == "zsh":
        word = word.replace("\\", "\\\\").replace(":", "\\:")
        return f"{word}:{about}\n" if about else f"{word}\n"
    return f"{word}\t{about}\n"
