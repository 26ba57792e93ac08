"""`charrnn similar`: the lines that it prints, against those of `Model.similar`."""

import json
import subprocess

import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.api.similar import Search
from charrnn.api.vectors import Joined
from charrnn.cli.app import app
from charrnn.errors import CharRNNError
from charrnn.text import lines
from support.commands import COMMAND, charrnn_in
from support.embedded import LINES, write_models
from support.models import write_model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = write_models(tmp_path_factory.mktemp("models"))
    (folder / "text.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (folder / "text.jsonl").write_text("".join(json.dumps({"n": 1, "text": line}) + "\n" for line in LINES))
    (folder / "empty.txt").touch()
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)


def run(*arguments, stdin=""):
    return CliRunner().invoke(app, ["similar", *map(str, arguments)], input=stdin, catch_exceptions=False)


def rows(found, numbered=False):
    """Return what is printed for the lines that were found."""
    return "".join(
        (f"{query}\t" if numbered else "") + f"{one.similarity:.4f}\t{one.line}\t{one.text}\n"
        for query, similar in enumerate(found, 1)
        for one in similar
    )


@pytest.mark.parametrize(
    "options, how",
    [
        ((), {}),
        (("--top", "3", "--whiten"), {"top": 3, "whiten": True}),
        (("--pool", "last", "--layer", "all", "--state", "all"), {"pool": "last", "layer": None, "state": None}),
    ],
)
def test_lines_are_those_of_the_model(options, how):
    model, queries = load("forth.safetensors"), ["egg", "bad face", "egg"]
    arguments = ("forth.safetensors", "--in", "text.txt", *options)
    wanted = model.similar(queries, LINES, **how)
    assert run(*arguments, *queries).stdout == run(*arguments, stdin="\n".join(queries)).stdout == rows(wanted, True)
    assert run(*arguments, "egg").stdout == rows(wanted[:1]) and rows(wanted[:1]).startswith(
        "1.0000\t4\tegg\n1.0000\t8"
    )
    # Queries from stdin are numbered, also a single one.
    assert run(*arguments, stdin="egg\n").stdout == rows(wanted[:1], True)
    records = [json.loads(line) for line in run(*arguments, "--jsonl", *queries).stdout.splitlines()]
    assert records == [{"query": n, **one.to_json()} for n, found in enumerate(wanted, 1) for one in found]


def test_lines_come_from_stdin_or_from_records(models):
    wanted = rows(load("forth.safetensors").similar(["beef"], LINES))
    text, records = ((models / name).read_text() for name in ("text.txt", "text.jsonl"))
    assert run("forth.safetensors", "--in", "-", "beef", stdin=text).stdout == wanted
    assert run("forth.safetensors", "--in", "text.jsonl", "--field", "text", "beef").stdout == wanted
    assert run("forth.safetensors", "--in", "-", "--field", "text", "beef", stdin=records).stdout == wanted


def test_two_models_are_joined():
    joined = Joined([load("forth.safetensors"), load("back.safetensors")])
    with Search(joined) as search:
        search.add(LINES[:3])
        search.add(LINES[3:])
        wanted = rows(search.nearest(["bad cab"], 10))
    assert run("forth.safetensors", "back.safetensors", "--in", "text.txt", "bad cab").stdout == wanted
    assert wanted != rows(load("forth.safetensors").similar(["bad cab"], LINES))


def test_escapes_and_odd_lines(tmp_path):
    (tmp_path / "odd.jsonl").write_text('{"t": "a\\nb"}\n{"t": "c"}\n{"t": "ghg"}\n')
    first = run("forth.safetensors", "--in", tmp_path / "odd.jsonl", "--field", "t", r"a\nb").stdout.splitlines()[0]
    assert first == "1.0000\t1\ta\\nb"
    (tmp_path / "odd.bin").write_bytes(b"\xff\xfe\nabc\n\xe2\x98\x9e\n")
    arguments = ("bytes.safetensors", "--in", tmp_path / "odd.bin", "--top", "1")
    assert run(*arguments, r"\xff\xfe").stdout_bytes == b"1.0000\t1\t\xff\xfe\n"
    assert run(*arguments, "☞").stdout_bytes == run(*arguments, r"\xe2\x98\x9e").stdout_bytes
    assert json.loads(run(*arguments, "☞", "--jsonl").stdout)["text"] == "☞"


def test_a_query_that_is_read_from_a_pipe_is_answered_at_once():
    command = [COMMAND, "similar", "forth.safetensors", "--in", "text.txt", "--top", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for number in (1, 2):
            process.stdin.write("beef\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{number}\t1.0000\t7\tbeef\n"
        process.stdin.close()
        assert process.stdout.read() == ""


def test_without_lines_nothing_is_similar():
    for options in ((), ("--whiten",), ("--jsonl",)):
        result = run("forth.safetensors", "--in", "empty.txt", "egg", *options)
        assert result.stdout == "" and result.stderr == "empty.txt has no lines.\n"


def test_words_that_are_no_run_are_queries(checkpoints, models):
    (checkpoints / "mine").mkdir()
    write_model(checkpoints / "mine/best.safetensors", load("forth.safetensors").vocab)
    result = run("mime", "--in", models / "text.txt", "--top", "1")
    assert "There is no run 'mime'; it is read as a query. Did you mean mine?\n" in result.stderr
    assert result.stdout.count("\n") == 1
    assert run("mine", "egg", "mine", "--in", models / "text.txt", "--top", "1").stdout.startswith(
        "1\t1.0000\t4\tegg\n2\t"
    )
    for odd in ("/", "a" * 5000, "", "\0"):
        assert run(odd, "--in", models / "text.txt", "--top", "2").stdout.count("\n") == 2


@pytest.mark.parametrize("portion", [1, 8192])
def test_an_error_names_the_line_or_the_query(portion, models, monkeypatch):
    monkeypatch.setattr(lines, "PORTION", portion)
    arguments = ("forth.safetensors", "--unknown", "error", "--top", "1")
    with pytest.raises(CharRNNError, match="Query 2 has characters that the model does not know"):
        run(*arguments, "--in", "text.txt", stdin="egg\nz\n")
    with pytest.raises(CharRNNError, match="Line 3 has characters that the model does not know"):
        run(*arguments, "egg", "--in", "-", stdin="egg\nab\nz\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("forth.safetensors", "--in", "-"), "cannot both be read from stdin"),
        (("forth.safetensors", "--in", "nothing.txt", "egg"), "nothing.txt does not exist"),
        (("forth.safetensors", "--in", ".", "egg"), ". is a folder"),
        (("forth.safetensors", "--in", "text.txt", "text.txt"), "The query is 'text.txt', which is a file"),
        (("no.safetensors", "--in", "text.txt", "egg"), "no.safetensors does not exist"),
        (("forth.safetensors", "--in", "text.txt", "z", "--unknown", "error"), "Query 1 has characters that"),
        (("forth.safetensors", "--in", "text.jsonl", "--field", "t", "egg"), "text.jsonl:1 has no member 't'"),
        (("forth.safetensors", "--in", "text.txt", "egg", "--pool", "sum"), "`pool` is 'sum'"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(CharRNNError, match=message):
        run(*arguments)


def test_what_the_shell_sees(models):
    missing = charrnn_in(models, "similar", "forth.safetensors", "egg")
    assert missing.returncode == 1
    assert missing.stderr.startswith("charrnn: charrnn similar needs --in FILE.\n  Give it: charrnn similar --in FILE.")
    script = '"$0" similar forth.safetensors --in text.txt egg > /dev/full'
    full = charrnn_in(models, "-c", script, COMMAND, command="sh")
    assert (full.returncode, full.stderr) == (1, "charrnn: No space left on device.\n")
