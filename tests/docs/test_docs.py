import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from charrnn.cli.app import app
from support.commands import COMMAND, charrnn_in
from support.examples import lay_out, run

DOCS = Path(__file__).parents[2] / "docs"
RENDER = "import sys, generate_cli; sys.stdout.reconfigure(encoding='utf-8'); print(generate_cli.render(), end='')"


def rendered(**environment):
    """Return docs/cli.md as a fresh process renders it."""
    result = subprocess.run(
        [sys.executable, "-c", RENDER], cwd=DOCS, env={**os.environ, **environment}, capture_output=True, check=True
    )
    return result.stdout.decode()


@pytest.mark.parametrize(
    "environment",
    [{}, {"COLUMNS": "40", "TERM": "dumb", "CHARRNN_CHECKPOINTS": "elsewhere", "CHARRNN_CORPORA": "other.toml"}],
)
def test_cli_page_is_what_the_commands_say(environment):
    if (DOCS / "cli.md").read_text(encoding="utf-8") != rendered(**environment):
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


def commands_of(page: Path) -> list[str]:
    """Return the commands in the shell and console blocks of a page, without prompts and comments."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.M | re.S)
    lines = [re.sub(r" +# .*", "", line.removeprefix("$ ")) for line in "".join(blocks).splitlines()]
    return [line for line in lines if "charrnn " in line and not line.startswith("#")]


# Pages whose commands train, or need files of their own.
PARSED = (
    DOCS.parent / "README.md",
    *(DOCS / page for page in ("texts.md", "presets.md", "tasks.md", "attention.md", "comparing.md")),
    DOCS / "representations.md",
)


def test_pages_show_commands():
    least = {
        "README.md": 10,
        "texts.md": 8,
        "presets.md": 3,
        "tasks.md": 3,
        "attention.md": 1,
        "comparing.md": 8,
        "representations.md": 25,
        "using.md": 25,
    }
    pages = (*PARSED, DOCS / "using.md")
    assert {page.name for page in pages if len(commands_of(page)) < least[page.name]} == set()


# Those of the page on using that train are parsed only.
USING = commands_of(DOCS / "using.md")
TRAINING = [line for line in USING if line.startswith("charrnn train ")]


@pytest.mark.parametrize(
    "line", [line for page in PARSED for line in commands_of(page) if line.startswith("charrnn ")] + TRAINING
)
def test_a_command_of_a_page_is_understood(line):
    group = typer.main.get_command(app)
    # What follows a pipe is another command.
    _, name, *arguments = shlex.split(line.split(" | ")[0])
    context = group.make_context("charrnn", [name])
    command = group.get_command(context, name)
    assert command is not None
    # Parsing alone: an option that is gone, or a value of the wrong kind, is a usage error.
    command.make_context(name, arguments, parent=context)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("line", [line for line in USING if line not in TRAINING])
def test_a_command_of_the_page_on_using_works(line, place, monkeypatch, capfd):
    # 3: --exit-code found a line.
    assert run(line, place, monkeypatch) == (3 if line.endswith("--exit-code") else 0)
    assert "Traceback" not in capfd.readouterr().err


def test_the_page_of_cells_is_what_the_code_says():
    check = subprocess.run([sys.executable, DOCS / "generate_cells.py", "--check"], env=dict(os.environ))
    assert check.returncode == 0, "docs/cells.md is not what charrnn/cells/ says: run make docs"


def blocks_of_cells(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", (DOCS / "cells.md").read_text(encoding="utf-8"), re.S)
    return block


def test_the_example_of_a_cell_of_ones_own_works():
    from charrnn.cells import CELLS
    from charrnn.config import ModelConfig
    from charrnn.inference.model import Model
    from charrnn.inference.stream import Stream
    from charrnn.text.vocabulary import Vocabulary
    from support.models import random_weights

    try:
        exec(blocks_of_cells("python"), {})
        config, vocab = ModelConfig("leaky", 1, 4), Vocabulary.of("abc")
        weights = random_weights(config, vocab.size)
        ids, h, expected = [3, 0, 2, 1, 1], np.zeros(4), []
        for row in ids:
            a, g = np.split(weights["layer0/W"][row] + h @ weights["layer0/U"] + weights["layer0/b"], 2)
            a = 1 / (1 + np.exp(-a))
            h = (1 - a) * h + a * np.tanh(g)
            expected.append(h @ weights["output/W"] + weights["output/b"])
        logits = Stream(Model(config, vocab, weights)).feed(np.array(ids)[:, None])[:, 0]
        np.testing.assert_allclose(logits, expected, atol=1e-12)
    finally:
        CELLS.pop("leaky", None)


@pytest.mark.trains
def test_the_commands_of_a_cell_of_ones_own_work(tmp_path):
    (tmp_path / "leaky.py").write_text(blocks_of_cells("python"))
    (tmp_path / "corpus.txt").write_text("".join(f"{number} and {number * number}\n" for number in range(600)))
    commands = blocks_of_cells("sh").replace("--units 64 --steps 200", "--units 8 --steps 2").replace("-n 300", "-n 30")
    environment = {**os.environ, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}", "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    said = done.stdout.decode()
    assert said.startswith("leaky: A leaky integrator") and "WRONG" not in said
    unknown = charrnn_in(tmp_path, "sample", "mine")
    assert unknown.returncode == 1 and "its cell is 'leaky', which this charrnn does not know" in unknown.stderr
    assert "Name the file that defines it: --cells leaky.py, or CHARRNN_CELLS" in unknown.stderr
    assert charrnn_in(tmp_path, "sample", "mine", "--cells", "leaky.py", "-n", 5).returncode == 0
