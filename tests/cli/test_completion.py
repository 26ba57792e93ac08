"""Completion of command lines: what is proposed, where it is installed, and what real shells make of it."""

import fcntl
import os
import shutil
import subprocess
import termios
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from charrnn.api.presets import PRESETS
from charrnn.cli.app import COMMANDS, COMPLETION, app
from charrnn.cli.choices import FILES
from charrnn.cli.completion import answer
from charrnn.cli.shells import SCRIPTS
from charrnn.config import OPTIMIZERS
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.commands import COMMAND, loaded_by
from support.models import write_model
from support.terminal import Terminal


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with runs, a text, and a home folder whose shells complete."""
    folder = tmp_path_factory.mktemp("completion")
    for path in ("checkpoints/shanty", "checkpoints/my run", "elsewhere/other"):
        (folder / path).mkdir(parents=True)
        write_model(folder / path / "best.safetensors", Vocabulary.of("ab\n"))
    (folder / "checkpoints/sizes/lstm-seed0").mkdir(parents=True)
    (folder / "checkpoints/sizes/comparison.json").touch()
    (folder / "checkpoints/rates").mkdir()
    (folder / "checkpoints/rates/tuning.json").touch()
    (folder / "shopping.txt").write_text("ab\n")
    return folder


@pytest.fixture
def proposed(place, monkeypatch, capfd):
    """Return a function from the words of a line to what it may go on with; None where it is a file."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)

    def ask(*words, shell="fish"):
        code = answer(typer.main.get_command(app), shell, words)
        out, said = capfd.readouterr()
        assert said == "" and code in (0, 1)
        return [line.partition("\t")[0] for line in out.splitlines()] if code == 0 else None

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train"]),
        ([""], COMMANDS),
        (["help", "ev"], ["eval"]),
        (["--v"], ["--version"]),
        (["sample", ""], ["my run", "shanty"]),
        (["sample", "sh"], ["shanty"]),
        (["sample", "--temp", "1", "sh"], ["shanty"]),
        (["verify", "shanty", "m"], ["my run"]),
        (["train", "--resume", "s"], ["shanty"]),
        (["train", "--resume=s"], ["--resume=shanty"]),
        (["vocab", "shopping.txt", "--against", "s"], ["shanty"]),
        (["train", "--checkpoints", "elsewhere", "--resume", ""], ["other"]),
        (["train", "--checkpoints=elsewhere", "--resume", ""], ["other"]),
        (["train", "--cell", "lstm-p"], ["lstm-peephole"]),
        (["train", "--cell=lstm-p"], ["--cell=lstm-peephole"]),
        (["compare", "--cell", "rnn,lstm-p"], ["rnn,lstm-peephole"]),
        (["compare", "--resume", ""], ["sizes"]),
        (["tune", "--resume", ""], ["rates"]),
        (["tune", "--search", "lr,dr"], ["lr,dropout"]),
        (["cells", "gri"], ["grid"]),
        (["train", "--preset", ""], PRESETS),
        (["train", "shopping.txt", "--optimizer", ""], OPTIMIZERS),
        (["train", "--checkp"], ["--checkpoints"]),
        (["train", "--mean"], ["--mean-gradients"]),
        (["train", "--cell", "gru", "--cell"], ["--cells"]),
        (["train", "--cells", "a.py", "--cells"], ["--cells"]),
        # An alias, which is proposed where no other option begins so.
        (["train", "--le"], ["--learning-rate"]),
        (["train", "--num_layers", "3", "--learning_rate", "1", "--optimizer", "rm"], ["rmsprop"]),
        (["corpus", "tinysh"], ["tinyshakespeare"]),
        # A counted option has no value.
        (["train", "-q", "--stac"], ["--stack"]),
        (["train", "--quiet", "--quiet", "--stac"], ["--stack"]),
        (["train", "-qq", "--stac"], ["--stack"]),
        (["train", "--learning-rate="], []),
        (["sample", "--temperature="], []),
        # A number, and what nobody knows.
        (["train", "--units", ""], []),
        (["sample", "--prime", ""], []),
        (["sample", "--zzz"], []),
    ],
    ids=" ".join,
)
def test_a_line_may_go_on_so(words, expected, proposed):
    assert sorted(proposed(*words)) == sorted(expected)


@pytest.mark.parametrize(
    "words",
    [
        ["train", ""],
        ["train", "-q", "sh"],
        ["train", "--vocab", ""],
        ["score", "--calibrate", ""],
        ["score", "--calibrate=s"],
        ["train", "--cells", "a"],
        ["sample", "checkpoints/"],
        ["sample", "--prime-file", ""],
        ["score", "shanty", "sh"],
        ["score", "--html", ""],
        ["runs", "--checkpoints", ""],
        ["no-such-command", ""],
        ["--version", ""],
    ],
    ids=" ".join,
)
def test_files_are_left_to_the_shell(words, proposed):
    assert proposed(*words) is None


def test_every_option_of_a_file_completes_files():
    group = typer.main.get_command(app)
    params = [param for command in COMMANDS for param in group.get_command(None, command).params]
    of_files = {
        max(param.opts, key=len)
        for param in params
        if param.param_type_name == "option" and not param.is_flag and param.type.name != "path"
        if param.metavar in ("FILE", "CORPUS", "DIR") or "this file" in (param.help or "")
    }
    assert of_files == {*FILES}


def test_each_shell_gets_what_it_understands(proposed, place):
    assert proposed("train", "--cell", "=", "lstm-p", shell="bash") == ["lstm-peephole"]
    assert "lstm" in proposed("train", "--cell", "=", shell="bash")
    assert proposed("sample", "my\\ r", shell="bash") == proposed("sample", "'my r", shell="bash") == ["my\\ run"]
    assert proposed("tr", shell="bash") == ["train"]
    (described,) = proposed("tr", shell="zsh")
    assert described == "train:Train a model on a text."
    (place / "checkpoints/a:b").mkdir()
    assert proposed("sample", "a:", shell="zsh") == ["a\\:b"]
    (place / "checkpoints/a:b").rmdir()


def test_an_ordinary_start_imports_nothing_of_it(tmp_path):
    of_it = {"charrnn.cli.completion", "charrnn.cli.shells"}
    for words in (("--version",), ("sample", "--help"), ("runs",)):
        _, loaded = loaded_by(tmp_path, *words)
        assert "charrnn.cli.app" in loaded and not loaded & of_it


def test_it_is_installed_in_the_home_folder_and_nothing_there_is_lost(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("ZDOTDIR", raising=False)
    (tmp_path / ".bashrc").write_bytes(b"alias ll='ls -l'\nx=\xff")
    for shell in ("/bin/bash", "/usr/bin/zsh", "fish"):
        monkeypatch.setenv("SHELL", shell)
        said = [CliRunner().invoke(app, ["--install-completion"]) for _ in range(2)]
        assert [result.exit_code for result in said] == [0, 0]
        assert ("reads it" in said[0].stderr) == (shell != "fish") and "reads it" not in said[1].stderr
        assert CliRunner().invoke(app, ["--show-completion"]).stdout == SCRIPTS[Path(shell).name]
    script = tmp_path / ".config/charrnn/completion.bash"
    assert script.read_text() == SCRIPTS["bash"]
    assert (tmp_path / ".bashrc").read_bytes() == b"alias ll='ls -l'\nx=\xff\n" + f"source {script}\n".encode()
    assert (tmp_path / ".zshrc").read_text() == f"source {tmp_path}/.config/charrnn/completion.zsh\n"
    assert (tmp_path / ".config/fish/completions/charrnn.fish").read_text() == SCRIPTS["fish"]
    assert all(COMPLETION in script for script in SCRIPTS.values())


def test_a_shell_that_cannot_complete_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    said = CliRunner().invoke(app, ["--install-completion"]).exception
    assert isinstance(said, CharRNNError) and "bash, zsh, fish" in said.message
    monkeypatch.setenv("SHELL", "bash")
    (tmp_path / ".config").write_text("a file in the way")
    said = CliRunner().invoke(app, ["--install-completion"]).exception
    assert isinstance(said, CharRNNError) and "--show-completion" in said.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == [".config"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_real_shell_completes(shell, place, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed.")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CHARRNN_", "XDG_", "ZDOT"))}
    environment |= {"HOME": str(tmp_path), "SHELL": shell, "TERM": "xterm"}
    environment["PATH"] = f"{Path(COMMAND).parent}:{environment['PATH']}"
    subprocess.run([COMMAND, "--install-completion"], env=environment, check=True, capture_output=True)
    with (tmp_path / f".{shell}rc").open("a") as file:
        file.write("PS1='ready> '\n")
    terminal = Terminal(100)
    process = subprocess.Popen(
        [shell, "-i"],
        cwd=place,
        env=environment,
        stdin=terminal.descriptor,
        stdout=terminal.descriptor,
        stderr=terminal.descriptor,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )

    def shown(what, times=1):
        def is_shown(raw):
            terminal.feed()
            return "\n".join(terminal.lines()).count(what) >= times

        terminal.wait_for(is_shown, what, lambda: process.poll() is None)

    try:
        for number, (typed, completed) in enumerate(
            [
                ("charrnn tr", "charrnn train"),
                ("charrnn sample sha", "charrnn sample shanty"),
                ("charrnn sample my", "charrnn sample my\\ run"),
                ("charrnn train --cell lstm-p", "--cell lstm-peephole"),
                ("charrnn train --cell=lstm-c", "--cell=lstm-coupled"),
                ("charrnn train --le", "charrnn train --learning-rate"),
                ("charrnn train sh", "charrnn train shopping.txt"),
            ],
            1,
        ):
            shown("ready>", number)
            os.write(terminal.keyboard, f"{typed}\t".encode())
            shown(completed)
            # Ctrl-U empties the line. (Ctrl-C, in the middle of a completion, may leave the prompt on the same line.)
            os.write(terminal.keyboard, b"\x15\r")
    finally:
        process.kill()
        process.wait()
        terminal.close()
