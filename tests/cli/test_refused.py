"""What is no text, no name and no place to write to is refused by every command, with what it is and what to do."""

import os
import re

import pytest
from typer.main import get_command

from charrnn.cli.app import app
from charrnn.text.vocabulary import Vocabulary
from support.commands import PYTHON, charrnn_in, several
from support.models import write_model

# Every way to name a text, which goes where None is.
READERS = {
    "train": ("train", None),
    "val-file": ("train", "text.txt", "--val-file", None),
    "vocab": ("vocab", None),
    "eval": ("eval", "small", None),
    "score": ("score", "small", None),
    "score --whole": ("score", "--whole", "small", None),
    "complete": ("complete", "small", None),
    "check": ("complete", "small", "text.txt", "--check", None),
    "prime-file": ("sample", "small", "-n", 0, "--prime-file", None),
    "novel-to": ("sample", "small", "-n", 3, "--novel-to", None),
}
COMMANDS_OF = {reader: str(words[0]) for reader, words in READERS.items()} | {"bench": "bench"}
LONG = "x" * 300
# What reads a device to its end would fill memory and disk.
LIMITED = f"""sh -c 'ulimit -t 60; ulimit -v 4000000; ulimit -f 200000; exec "$0" "$@"' {PYTHON}"""


@pytest.fixture(scope="module")
def advice(small):
    """Return what each command says of texts that it cannot read as they are, and of carriage returns."""
    texts = {"latin": b"bad caf\xe9\n", "array": b"\x93NUMPY\x01\0\0\0", "binary": b"abc\xff\xfe\0def\n" * 9}
    texts["checkpoint"] = (small / "checkpoints/small/best.safetensors").read_bytes()
    folder = small / "odd"
    folder.mkdir()
    for name, content in texts.items():
        (folder / name).write_bytes(content)
    write_model(folder / "returns.safetensors", Vocabulary.of("ab\r\n"))
    (folder / "windows").write_bytes(b"ab\r\n" * 20)
    readers = {**READERS, "bench": ("bench", "--seconds", "0.1", None)}
    calls = [
        (f"{reader}: {what}", "", *(f"odd/{what}" if word is None else word for word in words))
        for reader, words in readers.items()
        for what in texts
    ]
    for reader in ("score", "complete"):
        calls.append((f"{reader}: latin strict", "", reader, "small", "odd/latin", "--errors", "strict"))
    model = "odd/returns.safetensors"
    calls += [
        (
            f"{reader}: returns",
            "",
            *(model if word == "small" else "odd/windows" if word is None else word for word in words),
        )
        for reader, words in READERS.items()
        if reader in ("vocab", "eval", "score", "score --whole", "complete", "prime-file")
    ]
    calls.append(("vocab: returns against", "", "vocab", "odd/windows", "--against", model))
    calls.append(("vocab: latin against", "", "vocab", "odd/latin", "--against", model))
    return several(small, *calls)


def test_advice_names_only_options_that_the_command_has(advice):
    commands = get_command(app)
    named = set()
    for name, (text, _) in advice.items():
        reader, what = name.split(": ")
        command = COMMANDS_OF[reader]
        options = {option for parameter in commands.get_command(None, command).params for option in parameter.opts}
        words = set(re.findall(r"(?<!\w)--[a-z-]+", text))
        assert words <= options, (name, text)
        named |= {(command, what, word) for word in words}
    # What there is to do is still told.
    assert {word for _, what, word in named if what == "latin"} >= {"--encoding", "--errors", "--bytes"}
    for command, option in (("eval", "--errors"), ("sample", "--encoding"), ("train", "--bytes"), ("vocab", "--bytes")):
        assert (command, "latin", option) in named
    for command in ("score", "complete"):
        assert (command, "latin strict", "--errors") in named
    assert ("vocab", "latin against", "--errors") in named and ("vocab", "latin against", "--bytes") not in named
    assert ("train", "checkpoint", "--init") in named and ("train", "array", "--bytes") in named


def test_a_model_that_knows_the_carriage_return_needs_no_notice_of_it(advice):
    returns = {name: text for name, (text, _) in advice.items() if ": returns" in name}
    assert "has carriage returns (20, line ends" in returns.pop("vocab: returns")
    assert len(returns) == 6 and {text.splitlines()[-1] for text in returns.values()} == {"exit 0"}
    assert not any("carriage return" in text or "newlines" in text for text in returns.values())


@pytest.fixture(scope="module")
def said(small):
    """Return what each command says, by the name of the text that it is given, and its exit code."""
    os.symlink("/dev/zero", small / "link")
    texts = {"zero": "/dev/zero", "link": "link", "empty name": "", "folder": ".", "missing": "no.txt", "long": LONG}
    calls = [
        (f"{reader}: {what}", "", *(text if word is None else word for word in words))
        for reader, words in READERS.items()
        for what, text in texts.items()
        # A folder is a text to these.
        if what != "folder" or reader in ("score", "score --whole", "complete", "check", "prime-file")
    ]
    calls += [
        (f"{reader}: stdin", "/dev/urandom", *("-" if word is None else word for word in words))
        for reader, words in READERS.items()
        if reader not in ("check", "val-file")
    ]
    try:
        return several(small, *calls, command=LIMITED)
    finally:
        os.unlink(small / "link")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("zero", "/dev/zero is a device, not a text"),
        ("link", "link is a device, not a text"),
        ("stdin", "stdin is a device, not a text"),
        ("empty name", "The name of a text is empty|There is neither a run nor a file ''"),
        ("folder", r"\. is a folder"),
        ("missing", r"no\.txt does not exist|neither a run nor a file 'no\.txt'"),
        ("long", "x cannot be read: File name too long|neither a run nor a file 'xxx"),
    ],
)
def test_what_is_no_text_is_refused(what, expected, said):
    chosen = {name: text for name, (text, code) in said.items() if name.endswith(f": {what}")}
    assert len(chosen) >= 5
    for name, text in chosen.items():
        message, hint, end = text.splitlines()
        assert message.startswith("charrnn: ") and hint.startswith("  ") and end == "exit 1", (name, text)
        # It takes nothing that comes once.
        comes_once = name in ("val-file: zero", "val-file: link")
        wanted = "--val-file needs a file" if comes_once else expected
        assert re.search(wanted, message), (name, text)


def test_names_and_places_are_refused_before_anything_is_done(small):
    """A name that is empty or too long, and a file that cannot be written, are explained; no hidden name is shown."""
    (small / "file").write_text("text", encoding="utf-8")
    runs = {
        "sample": ("sample",),
        "inspect": ("inspect",),
        "verify": ("verify",),
        "resume": ("train", "--resume"),
        "init": ("train", "text.txt", "--init"),
        "against": ("vocab", "text.txt", "--against"),
    }
    places = {
        "corpus": ("corpus", "python", "--size", "20K", "-o"),
        "vocab": ("vocab", "text.txt", "-o"),
        "html": ("score", "small", "text.txt", "--html"),
    }
    calls = [
        *((f"{name}: empty", "", *words, "") for name, words in {**runs, **places}.items()),
        *((f"{name}: long", "", *words, LONG) for name, words in {**runs, **places}.items()),
        *((f"{name}: no folder", "", *words, "file/x.txt") for name, words in places.items()),
        ("name: long", "", "train", "text.txt", "--name", "é" * 150),
        ("checkpoints: long", "", "train", "text.txt", "--checkpoints", LONG),
        ("barely", "", "corpus", "python", "--size", "20K", "-o", "é" * 127),
    ]
    answers = several(small, *calls)
    text, code = answers.pop("barely")
    assert code == 0, text
    for name, (text, _) in answers.items():
        *advice, message, hint, end = text.splitlines()
        assert end == "exit 1" and message.startswith("charrnn: ") and hint.startswith("  "), (name, text)
        assert "charrnn-tmp" not in text and ": [" not in text
        assert not advice or name.startswith(("init", "checkpoints")), (name, text)
    assert "The name of a run is empty" in answers["init: empty"][0]
    assert "at most 255 bytes; this one has 300" in answers["name: long"][0]
    assert "cannot be written to file/x.txt: file is a file" in answers["corpus: no folder"][0]
    assert (small / "file").read_text(encoding="utf-8") == "text" and not (small / "checkpoints" / "text").exists()


def test_patterns_that_choose_from_no_folder_are_refused(small):
    include = ("--include", "*.txt")
    calls = {
        "train": ("train", "text.txt", "--steps", 1, *include),
        "val-file": ("train", "text.txt", "--val-file", "text.txt", "--steps", 1, *include),
        "vocab": ("vocab", "text.txt", *include),
        "eval": ("eval", "small", "text.txt", *include),
    }
    answers = several(small, *((name, "", *words) for name, words in calls.items()))
    for name, (text, _) in answers.items():
        assert text.startswith("charrnn: --include has no effect") and text.endswith("exit 1\n"), (name, text)
    (small / "chosen").mkdir()
    (small / "chosen" / "a.txt").write_text("bad")
    (small / "chosen" / "b.md").write_text("deed")
    for words in (("vocab", "chosen"), ("eval", "small", "chosen")):
        assert charrnn_in(small, *words, *include).returncode == 0
