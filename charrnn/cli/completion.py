"""Completion of a command line: commands, options, runs, cells, and other names that are known.

A shell runs charrnn with the words of the line, up to the one that it completes, as arguments. The name of the shell is
in the environment (`app.COMPLETION`; the code of the shells is in `charrnn.cli.shells`). The answer has one line for
each possible word. Exit code 1 means that the shell itself should complete the name of a file.
"""

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from charrnn.cli.aliases import ALIASES, todays
from charrnn.cli.choices import CHOICES, FILES
from charrnn.cli.help import summary
from charrnn.cli.sections import COMMANDS

# Words, each with a description.
Words = Iterable[tuple[str, str]]


class FileWanted(Exception):
    """Raised if the word to complete is the name of a file."""


def answer(group: Any, shell: str, words: Sequence[str]) -> int:
    """Print, for a shell, the possible completions of the last word; return the exit code."""
    try:
        *before, begun = _as_meant(words) if shell == "bash" else words
        found = list(dict.fromkeys(matching(group, before, begun, shell != "bash")))
    # An error message in the middle of a command line would only disturb, so every error is silent.
    except Exception:
        return 1
    sys.stdout.write("".join(_line(shell, word, about) for word, about in found))
    return 0


def matching(group: Any, before: Sequence[str], begun: str, described: bool = True) -> Words:
    """Yield the words that may follow `before` and begin with `begun`; raise FileWanted if it is the name of a file."""
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
            awaiting = None if options[long].is_flag or options[long].count else options[long]
        elif awaiting is None and not word.startswith("-"):
            places += 1
        else:
            awaiting = None
    if awaiting is not None:
        return _beginning(begun, _values(awaiting, typed, begun))
    if begun.startswith("--") and "=" in begun:
        option, _, value = begun.partition("=")
        values = _values(options[f"--{today(option[2:])}"], typed, value)
        return ((f"{option}={word}", about) for word, about in _beginning(value, values))
    if begun.startswith("-"):
        # Aliases are offered only if no current name matches.
        aliases = ((f"--{alias}", f"--{name}") for alias in ALIASES if (name := today(alias)) != alias)
        return [*_beginning(begun, _options(command.params, typed))] or _beginning(begun, aliases)
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    return _beginning(begun, _of_argument(arguments[0], places, typed, begun) if arguments else ())


def _beginning(begun: str, words: Words) -> Words:
    return ((word, about) for word, about in words if word.startswith(begun))


def _commands(group: Any, described: bool) -> Words:
    for names in COMMANDS.values():
        for name in names:
            # The command is imported only if its description is shown.
            yield name, summary(group.get_command(None, name).help) if described else ""


def _options(params: Iterable[Any], typed: Sequence[str] = ()) -> Words:
    """Yield the long names of options, except those that are already typed and may be given only once."""
    for param in params:
        if param.param_type_name == "option" and not param.hidden and (param.multiple or not {*param.opts} & {*typed}):
            for name in (*param.opts, *param.secondary_opts):
                if name.startswith("--"):
                    yield name, summary(param.help)
    yield "--help", "Show this message and exit."


def _values(option: Any, typed: Sequence[str], begun: str) -> Words:
    """Return the possible values of an option."""
    name, metavar = max(option.opts, key=len), option.metavar or ""
    if name in CHOICES:
        return ((value, "") for value in CHOICES[name])
    if "|" in metavar and metavar.islower():
        return ((value, "") for value in metavar.split("|"))
    if "CELL" in metavar or name == "--cell":
        # A list is completed at its end.
        before = begun[: begun.rfind(",") + 1] if "," in metavar else ""
        return ((before + cell, about) for cell, about in _cells())
    if "RUN" in metavar:
        return _runs(typed, begun)
    if (name, metavar) in (("--resume", "NAME"), ("--resume", "SEARCH")):
        from charrnn.runs import comparison, search

        return _folders_with((comparison if metavar == "NAME" else search).FILE, typed)
    if metavar == "NAMES":
        from charrnn.config import SEARCHED

        before = begun[: begun.rfind(",") + 1]
        return ((before + one, "") for one in SEARCHED)
    if name in FILES or option.type.name == "path":
        raise FileWanted
    return ()


def _of_argument(argument: Any, place: int, typed: Sequence[str], begun: str) -> Words:
    """Return the possible values of the argument at a place."""
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
    """Return the runs in the folder that was typed, or in the default one; FileWanted if none begins with `begun`."""
    from charrnn.runs.finding import list_runs

    names = [run.path.name for run in list_runs(_typed_folder(typed))]
    if not any(name.startswith(begun) for name in names):
        raise FileWanted
    return ((name, "") for name in names)


def _folders_with(file: str, typed: Sequence[str]) -> Words:
    """Return the folders that have this file, in the folder of runs that was typed, or in the default one."""
    from charrnn.runs.folder import runs_folder

    folder = _typed_folder(typed) or runs_folder()
    return ((one.parent.name, "") for one in sorted(folder.glob(f"*/{file}")))


def _typed_folder(typed: Sequence[str]) -> Path | None:
    folders = [Path(value) for option, value in pairwise(typed) if option == "--checkpoints"]
    return folders[-1] if folders else None


def _as_meant(words: Sequence[str]) -> list[str]:
    """Return the words without the quotes that Bash leaves in them, and joined where Bash splits them at =."""
    meant = []
    for place, word in enumerate(words):
        if word == "=" and place and words[place - 1].startswith("--"):
            meant += [""] if place == len(words) - 1 else []
            continue
        try:
            meant += shlex.split(word) or [""]
        except ValueError:
            # The word has a quote that is still open.
            meant.append(word.lstrip("'\""))
    return meant


def _line(shell: str, word: str, about: str) -> str:
    """Return a word and its description in the form that the shell's function reads."""
    if not word.isprintable():
        return ""
    if shell == "bash":
        return re.sub(r"([^\w@%+=:,./-])", r"\\\1", word) + "\n"
    if shell == "zsh":
        word = word.replace("\\", "\\\\").replace(":", "\\:")
        return f"{word}:{about}\n" if about else f"{word}\n"
    return f"{word}\t{about}\n"
