"""Which model a command took: said where nobody named one, and a member of every record."""

import json
import os

import pytest
from typer.testing import CliRunner

from charrnn.api import model as models
from charrnn.cli.app import app
from charrnn.cli.arguments import split_run
from charrnn.config import ModelConfig
from charrnn.inference import model as inference
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB, MODEL = Vocabulary.of("ab \n"), ModelConfig("rnn", 1, 4)
COMMANDS = {
    "sample": ("sample", "-n", "5", "--seed", "1"),
    "score": ("score",),
    "score a text": ("score", "--whole"),
    "complete": ("complete", "-n", "3"),
    "eval": ("eval", "text.txt"),
    "inspect": ("inspect",),
}
JSON = {"eval": "--json", "inspect": "--json"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    (tmp_path / "text.txt").write_text("ab ba\n")
    for name, step in (("bad\x1bname", 12_345), ("fresh", None)):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        progress = step and Progress(CorpusRecord((), "", 0), step=step)
        made = Checkpoint(MODEL, VOCAB, random_weights(MODEL, VOCAB.size, "float32"), progress=progress)
        best = tmp_path / "checkpoints" / name / "best.safetensors"
        write_checkpoint(best, made)
        os.utime(best, (1000 + (step is None), 1000 + (step is None)))
        write_checkpoint(tmp_path / f"copy-of-{step}.safetensors", made)
    return tmp_path


def ran(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), input="ab\nba\n")
    assert result.exit_code == 0, result.output
    return result


def named(arguments, run):
    """Return a command with a run named."""
    return (arguments[0], run, *arguments[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_model_that_nobody_named_is_told(folder, name):
    assert "The model is fresh (best.safetensors).\n" in ran(*COMMANDS[name]).stderr
    (folder / "checkpoints/fresh/best.safetensors").unlink()
    assert "The model is bad\\x1bname (best.safetensors, step 12,345).\n" in ran(*COMMANDS[name]).stderr
    for run in ("bad\x1bname", "checkpoints/bad\x1bname", "copy-of-None.safetensors"):
        assert "The model is" not in ran(*named(COMMANDS[name], run)).stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_records_name_the_run(folder, name):
    # Of a file that is no run's the path is the name; inspect says that it has none.
    other = None if name == "inspect" else "copy-of-12345.safetensors"
    for run, expected in (("fresh", "fresh"), ("bad\x1bname", "bad\x1bname"), ("copy-of-12345.safetensors", other)):
        out = ran(*named(COMMANDS[name], run), JSON.get(name, "--jsonl")).stdout
        records = [json.loads(line) for line in (out.splitlines() if name not in JSON else [out])]
        assert records and {record["run"] for record in records} == {expected}


def test_saying_it_reads_nothing_again(folder, monkeypatch):
    reads = []
    read = inference.read_checkpoint
    monkeypatch.setattr(inference, "read_checkpoint", lambda path: reads.append(path) or read(path))
    for module in (models, inference):
        monkeypatch.setattr(module, "read_header", lambda path: pytest.fail("read twice"), raising=False)
    assert "The model is" in ran("sample", "-n", "3").stderr and len(reads) == 1


@pytest.mark.parametrize(
    ("named", "run", "texts"),
    [
        (["fresh"], None, ["fresh"]),
        (["fresh", "text.txt"], "fresh", ["text.txt"]),
        (["fresh", "fresh"], "fresh", ["fresh"]),
        (["fresh", "bad\x1bname"], "bad\x1bname", ["fresh"]),
        (["text.txt", "fresh"], None, ["text.txt", "fresh"]),
        (["text.txt", "bad\x1bname"], "bad\x1bname", ["text.txt"]),
        (["text.txt", "copy-of-None.safetensors"], "copy-of-None.safetensors", ["text.txt"]),
        (["text.txt", "gone.safetensors"], None, ["text.txt", "gone.safetensors"]),
        (["-", "bad\x1bname"], "bad\x1bname", ["-"]),
    ],
)
def test_a_run_that_is_called_as_a_text_is(folder, named, run, texts):
    (folder / "fresh").write_text("ab\n")
    assert split_run(named) == (run, texts)


def test_verify_takes_a_run_before_a_text_of_its_name(folder):
    (folder / "fresh").write_text("ab\n")
    assert ran("verify", "fresh").stdout == "checkpoints/fresh/best.safetensors: ok\n"
    assert ran("verify", "copy-of-None.safetensors").stdout == "copy-of-None.safetensors: ok\n"
    assert CliRunner().invoke(app, ["verify", "text.txt"]).exit_code == 1
