import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from charrnn.cli.app import app

DOCS = Path(__file__).parent.parent / "docs"
RENDER = "import sys, generate_cli; sys.stdout.reconfigure(encoding='utf-8'); print(generate_cli.render(), end='')"


def rendered(**environment):
    """Return docs/cli.md as a fresh process renders it."""
    result = subprocess.run(
        [sys.executable, "-c", RENDER], cwd=DOCS, env={**os.environ, **environment}, capture_output=True, check=True
    )
    return result.stdout.decode()


def names(page):
    return set(re.findall(r"--[a-z-]+|^## .*", page, re.M))


@pytest.mark.parametrize(
    "environment",
    [{}, {"COLUMNS": "40", "TERM": "dumb", "CHARRNN_CHECKPOINTS": "elsewhere", "CHARRNN_CORPORA": "other.toml"}],
)
def test_cli_page_is_what_the_commands_say(environment):
    written, now = (DOCS / "cli.md").read_text(encoding="utf-8"), rendered(**environment)
    same = written == now
    if f"Typer {typer.__version__}." not in written:
        # Another Typer lays the same options out differently: then the names alone can be compared.
        same = names(written) == names(now)
    if not same:
        pytest.fail("docs/cli.md is not what the commands say: run make docs", pytrace=False)


def test_cli_page_names_every_command_and_no_colours():
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    commands = {"corpus", "vocab", "train", "sample", "eval", "runs", "bench"}
    assert commands <= set(re.findall(r"^## charrnn (\w+)$", page, re.M))
    assert page.index("## charrnn\n") < page.index("## charrnn corpus")
    assert "\x1b" not in page
    # Not 80, a terminal's default.
    assert 90 < max(map(len, page.splitlines())) <= 120
    assert all(len(line) <= 100 for block in page.split("```text")[1:] for line in block.split("```")[0].splitlines())


def commands_of_the_readme() -> list[str]:
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    lines = [line.removeprefix("$ ") for line in text.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.startswith("charrnn ")]


def test_the_readme_shows_commands():
    assert len(commands_of_the_readme()) >= 10


@pytest.mark.parametrize("line", commands_of_the_readme())
def test_a_command_of_the_readme_is_understood(line):
    group = typer.main.get_command(app)
    _, name, *arguments = shlex.split(line)
    context = group.make_context("charrnn", [name])
    command = group.get_command(context, name)
    assert command is not None
    # Parsing alone: an option that is gone, or a value of the wrong kind, is a usage error.
    command.make_context(name, arguments, parent=context)
