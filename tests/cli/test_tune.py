"""`charrnn tune`: what it prints, how it is interrupted and goes on, and what it refuses."""

import json
import random
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charrnn.api import apart
from charrnn.api.tuning import tune as tuned
from charrnn.cli.app import app
from charrnn.errors import CharRNNError
from support import fake_child

BUDGET = ("--trials", "3", "--steps", "16", "--seq", "32", "--units", "4", "--layers", "1", "--cell", "rnn")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    (folder / "a text.txt").write_text("".join(random.Random(0).choices("abcd ef\n", k=60_000)))
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(apart, "_CHILD", fake_child.CODE)


def tune(*arguments, stdin=""):
    return CliRunner().invoke(app, ["tune", *map(str, arguments)], input=stdin, catch_exceptions=False)


@pytest.fixture(scope="module")
def searched(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(apart, "_CHILD", fake_child.CODE)
        return tune("a text.txt", *BUDGET)


def test_each_trial_has_a_line_and_the_best_a_command(searched):
    said = searched.stderr.splitlines()
    assert searched.exit_code == 0
    assert said[0] == "Searching lr, dropout, batch: 3 trials of 16 steps."
    assert said[1].startswith("Trial 0, the defaults: ") and said[1].endswith("bits per character, the best so far.")
    assert [line.split(",")[0] for line in said[1:4]] == ["Trial 0", "Trial 1", "Trial 2"]
    found = tuned(resume="a-text-tune")
    lines = searched.stdout.splitlines()
    assert lines[0].split() == ["trial", "bits/char", "settings"] and lines[1].startswith(found.best.name)
    assert f"Best: a-text-tune/{found.best.name}, {found.best.bits_per_char:.4f} bits per character" in searched.stdout
    assert "Too few trials" in searched.stdout
    words = shlex.split(lines[-1].removeprefix("Train it again: "))
    assert words[:3] == ["charrnn", "train", "a text.txt"]
    assert words[words.index("--steps") + 1] == "16" and words[words.index("--units") + 1] == "4"
    assert said[-1] == f"Use the best one: charrnn sample a-text-tune/{found.best.name}"


@pytest.mark.parametrize(
    "words",
    [
        ("a-text-tune",),
        ("checkpoints/a-text-tune",),
        ("--resume", "a-text-tune"),
        ("--resume", "checkpoints/a-text-tune"),
    ],
)
def test_a_finished_search_is_shown_again(searched, words):
    again = tune(*words)
    assert again.stdout == searched.stdout and "Searching" not in again.stderr


def test_the_result_as_json_has_the_command(searched):
    told = json.loads(tune("a-text-tune", "--json").stdout)
    assert told["command"] == searched.stdout.splitlines()[-1].removeprefix("Train it again: ")
    assert len(told["trials"]) == 3 and told["default"]["name"] == "trial-000" and told["complete"]


def test_the_text_of_stdin_is_kept_for_all_trials(folder):
    result = tune("-", *BUDGET, "--name", "piped", "--search", "lr", stdin=(folder / "a text.txt").read_text())
    assert result.exit_code == 0, result.stderr
    assert Path("checkpoints/piped/stdin.txt").read_text() == (folder / "a text.txt").read_text()
    assert "Searching lr: " in result.stderr and "trial-002" in result.stdout


INTERRUPTED = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(fake_child.__file__).parent.parent)!r})
from charrnn.api import apart
from charrnn.cli.views import search
from support import fake_child
apart._CHILD = fake_child.CODE
show = search.View.show
def interrupted(view, event):
    show(view, event)
    if type(event).__name__ == "OfRun" and event.name == "trial-000" and type(event.event).__name__ == "Began":
        os.kill(os.getpid(), signal.SIGINT)
search.View.show = interrupted
from charrnn.cli.app import main
main()
"""


def test_ctrl_c_saves_and_says_how_to_go_on(folder):
    # So many that the signal comes long before the last one.
    budget = [*BUDGET, "--batch", "16", "--steps", "800"]
    words = ["tune", "a text.txt", *budget, "--name", "stopped"]
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, *words], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "Stopped, saved. No trial is complete yet. Continue with: charrnn tune --resume stopped"
    )
    assert done.stdout == "" and list(Path("checkpoints/stopped/trial-000").glob("step-*"))
    again = tune("--resume", "stopped")
    assert again.exit_code == 0
    whole = tune("a text.txt", *budget, "--name", "whole")
    assert again.stdout.replace("stopped", "whole") == whole.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere.txt",), "nowhere.txt does not exist"),
        ((), "No text was named"),
        (("--resume", "nothing"), "There is no search 'nothing'"),
        (("a text.txt", "--search", "lr,units", "--units", "4"), "`units`, which is fixed"),
        (("a text.txt", "--minutes", "0"), "`minutes` is 0"),
        (("a text.txt", "--resume", "a-text-tune"), "leave out"),
        (("a-text-tune", "a text.txt"), "a-text-tune does not exist"),
        (("a-text-tune", "--steps", "3"), "`steps` has no effect on an older search"),
        (("--resume", "a-text-tune", "--seed", "3"), "`seed` has no effect with --resume: it keeps its text"),
        (("--resume", "a-text-tune", "--keep-all"), "`keep_all` has no effect"),
        (("--resume", "a-text-tune", "--backend", "jax"), "`backend` has no effect"),
        (("a text.txt", *BUDGET, "--name", "a-text-tune"), "exists already"),
    ],
)
def test_what_cannot_be_searched_is_refused(searched, words, told):
    with pytest.raises(CharRNNError, match=told):
        tune(*words)
