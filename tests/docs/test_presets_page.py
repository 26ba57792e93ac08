"""docs/presets.md: its table is what the presets set, and its commands can be typed."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from charrnn.api.presets import PRESETS
from charrnn.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "presets.md").read_text(encoding="utf-8")


def table() -> dict[str, dict[str, str]]:
    """Return the cells of the table that are not empty, by preset and setting."""
    head, _, *rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("|")]
    found: dict[str, dict[str, str]] = {name.strip(): {} for name in head[1:]}
    for option, *cells in rows:
        (setting,) = re.findall(r"`--([a-z-]+)`", option)
        for name, cell in zip(found, cells, strict=True):
            if cell.strip():
                found[name][setting.replace("-", "_")] = cell.strip()
    return found


def shown(value: float | str | None) -> str:
    """Return a value as the table has it."""
    if value is None or value is True:
        return "yes" if value else "0"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_table_is_what_the_presets_set():
    assert table() == {
        name: {setting: shown(value) for setting, value in preset.items()} for name, preset in PRESETS.items()
    }


@pytest.mark.parametrize("line", re.findall(r"^charrnn .*", PAGE, re.M))
def test_a_command_of_the_page_is_understood(line):
    group = typer.main.get_command(app)
    context = group.make_context("charrnn", ["train"])
    group.get_command(context, "train").make_context("train", shlex.split(line)[2:], parent=context)
