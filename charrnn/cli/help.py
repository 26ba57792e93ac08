"""The output of `--help`: the usage, what the command does, its options in sections, and examples."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from inspect import cleandoc
from typing import Any

from charrnn.cli.choices import CHOICES
from charrnn.cli.examples import EXAMPLES
from charrnn.cli.sections import OPTIONS

# A longer name has its own line, above its text.
_LONGEST = 26
# A space at which no line ends.
_JOINED = "\xa0"
_VALUES = {"int": "INTEGER", "float": "NUMBER", "path": "FILE"}


def page(
    command: Any, context: Any, width: int, commands: Mapping[str, Iterable[tuple[str, str]]] | None = None
) -> str:
    """Return the help of a command; `commands` are the names and summaries of its subcommands, by section."""
    parameters = command.get_params(context)
    arguments = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    sections = (
        {"Arguments": [(_argument(argument), argument.help or "") for argument in arguments]} if arguments else {}
    )
    for title, options in _sections(context.info_name, parameters):
        sections[title] = [(_option(option), _text(option)) for option in options]
    parts = [_usage(context, arguments, commands is not None, width)]
    parts += [_filled(paragraph, width, "  ") for paragraph in cleandoc(command.help or "").split("\n\n")]
    parts += _tables({title: list(rows) for title, rows in (commands or {}).items()}, width) + _tables(sections, width)
    parts.append("Examples:\n" + textwrap.indent(EXAMPLES[context.info_name].strip("\n"), "  "))
    return "\n\n".join(parts) + "\n"


def summary(docstring: str | None) -> str:
    """Return the first sentence of a docstring."""
    paragraph = " ".join(cleandoc(docstring or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0]


def _sections(command: str, parameters: Iterable[Any]) -> Iterable[tuple[str, list[Any]]]:
    """Yield the titles of sections with their options, without hidden ones; options without a section come last."""
    options = {
        name: parameter
        for parameter in parameters
        if parameter.param_type_name == "option" and not parameter.hidden
        for name in [max(parameter.opts, key=len)]
    }
    for title, names in OPTIONS.get(command, {}).items():
        if shown := [options.pop(name) for name in names if name in options]:
            yield title, shown
    if options:
        yield "Options", list(options.values())


def _usage(context: Any, arguments: Iterable[Any], has_commands: bool, width: int) -> str:
    words = [context.command_path, "[OPTIONS]", *(["COMMAND", "[ARGUMENTS]"] if has_commands else [])]
    for argument in arguments:
        name = _argument(argument)
        name += "..." if argument.nargs == -1 and not name.endswith(("]", "...")) else ""
        words.append(name if argument.required or name.startswith("[") else f"[{name}]")
    return _filled(" ".join(words), width, "Usage: ")


def _argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _option(option: Any) -> str:
    """Return an option as it is typed, with the kind of its value: -n, --length INTEGER."""
    names = ", ".join(sorted(option.opts, key=len))
    if option.secondary_opts:
        names += f" / {', '.join(option.secondary_opts)}"
    if option.is_flag or option.count:
        return names
    kind = "NAME" if option.opts[0] in CHOICES else _VALUES.get(option.type.name.removesuffix(" range"), "TEXT")
    return f"{names} {option.metavar or kind}"


def _text(option: Any) -> str:
    """Return the help text of an option, with its default."""
    default = option.show_default
    if default is True:
        default = option.default
        if option.is_flag:
            default = (option.opts if default else option.secondary_opts)[0] if option.secondary_opts else None
        elif isinstance(default, float):
            default = f"{default:g}"
    told = "" if default is None or default is False or default == "" else f"  [default:{_JOINED}{default}]"
    return f"{option.help or ''}{told}".strip()


def _tables(sections: Mapping[str, Sequence[tuple[str, str]]], width: int) -> list[str]:
    """Return sections of names and texts; in all sections the texts begin in the same column."""
    names = [name for rows in sections.values() for name, _ in rows]
    column = max((len(name) for name in names if len(name) <= _LONGEST), default=0) + 4
    return [f"{title}:\n" + "\n".join(_row(*row, column, width) for row in rows) for title, rows in sections.items()]


def _row(name: str, text: str, column: int, width: int) -> str:
    begin = f"  {name}".ljust(column)
    if len(name) + 4 > column:
        return f"  {name}\n{_filled(text, width, ' ' * column)}"
    return _filled(text, width, begin) or begin.rstrip()


def _filled(text: str, width: int, begin: str) -> str:
    """Return a text in lines of this width; the first line begins with `begin`, the others with as many spaces."""
    # Names of options have hyphens, at which no line may be broken.
    lines = textwrap.fill(text, width, initial_indent=begin, subsequent_indent=" " * len(begin), break_on_hyphens=False)
    return lines.replace(_JOINED, " ")
