"""Write docs/cli.md: the --help of every command, independent of the terminal and the environment."""

from pathlib import Path
from typing import Any

import typer

from charrnn.cli.app import app

PATH = Path(__file__).with_name("cli.md")
WIDTH = 100
INTRODUCTION = """\
# Commands

The `--help` of each command. `docs/generate_cli.py` (`make docs`) writes this page, and `tests/docs/test_docs.py`
checks it; to change it, edit the commands in `charrnn/cli/`.
"""


def render() -> str:
    """Return the page."""
    return INTRODUCTION + "".join(f"\n## {name}\n\n```text\n{text}\n```\n" for name, text in helps())


def helps() -> list[tuple[str, str]]:
    """Return the name and the help of `charrnn` and of each of its commands, in their order."""
    group: Any = typer.main.get_command(app)
    # The width is set, so that the terminal and COLUMNS have no effect.
    context = group.make_context("charrnn", [], resilient_parsing=True, terminal_width=WIDTH)
    pages = [("charrnn", group.get_help(context))]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = command.make_context(name, [], parent=context, resilient_parsing=True)
        pages.append((f"charrnn {name}", command.get_help(below)))
    return pages


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
