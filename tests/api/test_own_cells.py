"""Cells of one's own: what a file adds, what may be wrong with it, and the checkpoints of such cells."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charrnn.api import own_cells
from charrnn.cells import CELLS
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.inference.model import Model
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, serialise, write_checkpoint
from charrnn.text.vocabulary import Vocabulary
from support.fake_training import train_fakes

HEAD = "from charrnn.cells import CELLS, Cell, Hidden, Matrix\n"
STEP = "def step(xp, zx, state, dot, w):\n    return Hidden(xp.tanh(zx + dot(state.h, 'U')))\n"
ROW = "CELLS['mine'] = Cell('mine', 'Nobody 2026', step, Hidden, 'h', {'U': Matrix('h')})\n"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let each test begin with charrnn's own cells, and in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_cells, "_loaded", {})
    before = dict(CELLS)
    yield
    CELLS.clear()
    CELLS.update(before)


def write_cell(name: str = "mine.py", content: str = HEAD + STEP + ROW) -> str:
    Path(name).write_text(content)
    return name


def test_a_file_adds_its_cells_once() -> None:
    write_cell("count.py", HEAD + STEP + ROW + "open('runs', 'a').write('x')\n")
    for _ in range(2):
        own_cells.load_cells(["count.py", os.path.abspath("count.py")])
    assert CELLS["mine"].file == "count.py" and CELLS["lstm"].file is None
    assert Path("runs").read_text() == "x"


def test_the_environment_names_files_too(monkeypatch: pytest.MonkeyPatch) -> None:
    write_cell()
    write_cell("other.py", HEAD + STEP + ROW.replace("mine", "other"))
    write_cell("third.py", HEAD + STEP + ROW.replace("mine", "third"))
    monkeypatch.setenv("CHARRNN_CELLS", os.pathsep.join(["mine.py", "", "other.py"]))
    own_cells.load_cells(["third.py"])
    assert {"mine", "other", "third"} <= set(CELLS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + "def (", r"own\.py, line 2: this is not valid Python"),
        ("\0", r"own\.py: this is not valid Python"),
        ("import nowhere", r"own\.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("import sys\nsys.exit(3)", r"own\.py, line 2: SystemExit: 3"),
        ("open('lost.txt')", r"own\.py, line 1: FileNotFoundError"),
        ("x = 1", r"own\.py adds no cell to CELLS"),
        (HEAD + STEP + ROW.replace("mine", "lstm"), r"own\.py uses the name 'lstm', which another cell has"),
        (HEAD + STEP + ROW.replace("('mine'", "('yours'"), r"own\.py: CELLS\['mine'\] is not a Cell with this name"),
        (HEAD + "CELLS['mine'] = 5", r"own\.py: CELLS\['mine'\] is not a Cell with this name"),
        (HEAD + STEP + ROW.replace("Nobody 2026", "Me"), r"own\.py: the paper of mine is 'Me'"),
        (HEAD + STEP.replace("tanh", "tahn") + ROW, r"own\.py, line 3: The cell calls xp\.tahn"),
        (HEAD + STEP.replace("zx +", "zz +") + ROW, r"own\.py, line 3: The step of the cell mine.*'zz' is not defined"),
        (HEAD + STEP.replace("'U')", "'V')") + ROW, r"own\.py, line 3: The step of the cell mine.*KeyError"),
        (HEAD + STEP + ROW.replace("'h', {", "'hg', {"), r"own\.py, line 3: The step of the cell mine .*broadcast"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(content: str, said: str) -> None:
    before = dict(CELLS)
    write_cell("own.py", content)
    with pytest.raises(CharRNNError, match=said) as caught:
        own_cells.load_cells(["own.py"])
    assert caught.value.hint and dict(CELLS) == before


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(CharRNNError, match=r"The file of cells lost\.py cannot be read: No such file"):
        own_cells.load_cells(["lost.py"])


def test_a_checkpoint_says_which_file_it_wants() -> None:
    own_cells.load_cells([write_cell()])
    config, vocab, path = ModelConfig("mine", 1, 3), Vocabulary.of("ab"), Path("x.safetensors")
    write_checkpoint(path, Checkpoint(config, vocab, initial_weights(config, vocab.size, 1)))
    assert Model.load(path).config == config
    del CELLS["mine"]
    with pytest.raises(CharRNNError, match="its cell is 'mine', which this charrnn does not know") as caught:
        Model.load(path)
    assert "`cells=mine.py`, or CHARRNN_CELLS" in (caught.value.hint or "")
    # It is never loaded by itself.
    assert "mine" not in CELLS and Path("mine.py").exists()


def test_the_files_of_other_cells_name_none() -> None:
    config, vocab = ModelConfig("rnn", 1, 3), Vocabulary.of("ab")
    assert b"model_file" not in serialise(Checkpoint(config, vocab, initial_weights(config, vocab.size, 1)))


def test_what_is_proposed_names_the_file_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `train` says at the end and what a finished run is told; `runs` names it where it cannot read a run."""
    train_fakes(monkeypatch)
    write_cell("my cell.py")
    Path("text.txt").write_text("a bad cafe\n" * 40)
    tiny = ["--units", "4", "--layers", "1", "--batch", "2", "--seq", "8", "--steps", "9"]
    cells = ["--cells", "my cell.py"]
    said = CliRunner().invoke(app, ["train", "text.txt", "--cell", "mine", "--name", "x", *cells, *tiny]).stderr
    assert said.endswith("Sample from it: charrnn sample x --cells 'my cell.py' --temp 0.8\n")
    error = CliRunner().invoke(app, ["train", "--resume", "x", *cells]).exception
    assert isinstance(error, CharRNNError)
    assert as_options(error.hint or "").endswith(": charrnn train --resume x --steps 9 --cells 'my cell.py'")
    assert CliRunner().invoke(app, ["runs", *cells]).stderr == ""
    del CELLS["mine"]
    listed = CliRunner().invoke(app, ["runs"])
    assert "no checkpoint can be used" in listed.stdout and "--cells my cell.py, or CHARRNN_CELLS" in listed.stderr
    # Another command is not told of the files of this one.
    said = CliRunner().invoke(app, ["train", "text.txt", "--cell", "rnn", "--name", "y", *tiny]).stderr
    assert said.endswith("Sample from it: charrnn sample y --temp 0.8\n")
