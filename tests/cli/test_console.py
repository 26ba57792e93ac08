"""Text from outside on a terminal: shown as text, and nothing in it is obeyed; in a pipe it is what it was."""

import io
import os
import sys
import unicodedata

import pytest

from charrnn.cli.console import LAYOUT, TextWriter, as_command, as_options, each_printable, printable, say
from charrnn.cli.views.table import aligned
from charrnn.config import TextConfig
from charrnn.text.vocabulary import Vocabulary
from support.commands import COMMAND, charrnn_in
from support.models import write_model
from support.pages import SGR
from support.terminal import shown_by

TITLE = "\x1b]0;x\x07"
SHOWN = {
    "a family": "👩\u200d👩\u200d👧\u200d👦",
    "a heart on fire": "❤\ufe0f\u200d🔥",
    "a thumb with a skin": "👍🏽",
    "Hindi": "क्\u200dष न्\u200cन हिन्दी",
    "Persian": "می\u200cخواهم",
    "the flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f!",
    "marks": "e\u0301 \u0e01\u0e34",
    "wide": "中文",
}
ESCAPED = {
    TITLE: r"\x1b]0;x\x07",
    "\x9b31m\x7f\r": r"\x9b31m\x7f\r",
    "a\u200db": r"a\u200db",
    "\u200d": r"\u200d",
    "\u202e👩\u2066\u2069": r"\u202e👩\u2066\u2069",
    "é\u202a\u200d": r"é\u202a\u200d",
    "\u200f\u2028\ufeff\xad": r"\u200f\u2028\ufeff\xad",
    "\ud83d\udf80\udfff": r"\ud83d\udf80\udfff",
    "\udc80\udcff": r"\x80\xff",
    "a\U000e0067": r"a\U000e0067",
    "🏴a\U000e0067": r"🏴a\U000e0067",
}


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN)
def test_text_of_all_scripts_is_shown(text):
    assert printable(text) == text
    # However it comes in pieces.
    pieces = ((piece, text[place - 1 : place]) for place, piece in enumerate(text))
    assert "".join("".join(each_printable(piece, before=before)) for piece, before in pieces) == text


@pytest.mark.parametrize("text", ESCAPED)
def test_what_a_terminal_would_obey_or_hide_is_escaped(text):
    assert printable(text) == "".join(each_printable(text, LAYOUT)) == ESCAPED[text]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Use `val=0.1`, or no `drop_unused`.", "Use --val 0.1, or no --drop-unused."),
        ("Give `temperature=0.5`, or `out`.", "Give --temp 0.5, or --checkpoints."),
        ("`charrnn.train('a', out='b')`", "charrnn train a --checkpoints b"),
        ("`charrnn.resume('my run', steps=9)`", "charrnn train --resume 'my run' --steps 9"),
        (
            "So: `charrnn.resume('./p', corpus='NEW', clip_norm=0.5)`.",
            "So: charrnn train NEW --resume ./p --clip-norm 0.5.",
        ),
        (
            "`charrnn.train(['a b', '-'], val_file=['v', \"it's\"], init='x')` or `steps=3`",
            """charrnn train 'a b' - --val-file v --val-file 'it'"'"'s' --init x or --steps 3""",
        ),
    ],
)
def test_what_the_library_names_is_spelled_as_it_is_typed(said, shown):
    assert as_options(said) == shown


@pytest.mark.parametrize(
    "call, command",
    [
        (
            "charrnn.train('notes-1.0', minutes=2.0, lr=0.0181, patience=None)",
            "notes-1.0 --minutes 2 --lr 0.0181 --patience 0",
        ),
        ("charrnn.train(['a b', 'c'], lower=True, val=0.5)", "'a b' c --lower --val 0.5"),
    ],
)
def test_a_call_becomes_the_command_that_a_user_would_type(call, command):
    assert as_command(call) == f"charrnn train {command}"


def test_talk_begins_on_a_line_of_its_own(monkeypatch):
    for is_terminal, shown in ((True, b"abc\nnote\nmore\nd\nend\n"), (False, b"abcnote\nmore\nd\nend\n")):
        written = io.BytesIO()
        both = io.TextIOWrapper(written, write_through=True)
        both.isatty = lambda answer=is_terminal: answer
        monkeypatch.setattr(sys, "stdout", both)
        monkeypatch.setattr(sys, "stderr", both)
        writer = TextWriter()
        writer.write("abc", more=True)
        say("note")
        say("more")
        writer.write("d\n")
        say("end")
        assert written.getvalue() == shown


def test_layout_stays_where_text_is_shown():
    assert set(LAYOUT) - {"\n", "\t"} | {" "} == {
        c for c in map(chr, range(sys.maxunicode)) if unicodedata.category(c) == "Zs"
    }
    assert "".join(each_printable(LAYOUT, LAYOUT)) == LAYOUT
    assert printable("\n\t\xa0\u3000") == r"\n\t\xa0\u3000"


def written(pieces, terminal, monkeypatch, raw=False):
    """Return the bytes that a writer writes of a text in pieces."""
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", stdout)
    writer = TextWriter(raw=raw)
    for piece in pieces[:-1]:
        writer.write(piece, more=True)
    writer.write(pieces[-1])
    return stdout.buffer.getvalue()


def test_a_terminal_takes_bytes_for_utf_8(monkeypatch):
    data = "é☞中\x1b\u202e👩\u200d👧".encode() + b"\xff\xe2\x98"
    text = data.decode("latin-1")
    for pieces in ([text], [*text], [*text, ""]):
        assert written(pieces, False, monkeypatch, raw=True) == data
        shown = written(pieces, True, monkeypatch, raw=True).decode()
        assert shown == r"é☞中\x1b\u202e👩" + "\u200d👧" + r"\xff\xe2\x98"


def test_pieces_are_one_text(monkeypatch):
    text = "👩\u200d👧 a\u200d\n\t\x1b\r"
    assert written([*text], False, monkeypatch).decode() == text
    assert written([*text], True, monkeypatch).decode() == "👩\u200d👧 a\\u200d\n\t\\x1b\\r"


def test_columns_are_counted_as_a_terminal_shows_them():
    rows = [("run", "steps"), ("中文", "1"), ("e\u0301a", "22"), ("plain", "333")]
    assert aligned(rows, "<>") == "run    steps\n中文       1\ne\u0301a        22\nplain    333\n"
    assert aligned([("a", "中文"), ("b", "c")], "<>") == "a  中文\nb     c\n"


# --- The commands ---


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of untrained models: of letters, of what a terminal would obey, and of bytes."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "plain.safetensors", Vocabulary.of("\n\t abcdefgh☞é"))
    write_model(folder / "hostile.safetensors", Vocabulary.of("\x1b\x9b\u202e]c\t\r☞\x07"))
    write_model(folder / "bytes.safetensors", Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True))
    return folder


LINES = f"a{TITLE}\tb\r\n👩\u200d👧 \u202ebad\n"


@pytest.mark.parametrize("model", ["plain", "bytes"])
def test_scored_lines_are_escaped_on_a_terminal_alone(model, models):
    command = [COMMAND, "score", f"{model}.safetensors"]
    rows = [row.split("\t", 5)[5] for row in shown_by(command, models, LINES.encode()).splitlines()]
    # A model of letters has no carriage return: it ends the line.
    end = "\\r" if model == "bytes" else ""
    assert rows == [f"a\\x1b]0;x\\x07\tb{end}", "👩\u200d👧 \\u202ebad"]
    piped = charrnn_in(models, *command[1:], stdin=LINES.encode()).stdout.decode()
    lines = LINES if model == "bytes" else LINES.replace("\r\n", "\n")
    assert [row.split("\t", 5)[5] for row in piped.split("\n")[:-1]] == lines.split("\n")[:-1]


@pytest.mark.parametrize("options", [(), ("--whole", "--unknown", "replace")])
def test_heat_maps_are_escaped_on_a_terminal_without_colours_too(options, models):
    text = "a\u00a0" + TITLE + "\n" if not options else "a\x1b\n"
    command = [COMMAND, "score", "plain.safetensors", "--heatmap", *options]
    for environment in ({"NO_COLOR": "1"}, {"NO_COLOR": ""}):
        shown = SGR.sub("", shown_by(command, models, text.encode(), **environment))
        assert "\x1b" not in shown and "\x07" not in shown
        assert options or shown.endswith("  a\u00a0\\x1b]0;x\\x07\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("complete", "hostile.safetensors", "-n", "200", "--temp", "1", "--seed", "1"),
        ("sample", "hostile.safetensors", "-n", "3000", "--seed", "1", "--prime", "\\x1b"),
        ("sample", "hostile.safetensors", "-n", "200", "--seed", "1", "--count", "3"),
    ],
    ids=lambda arguments: " ".join(arguments[:3:2]),
)
def test_what_a_model_writes_is_escaped_on_a_terminal_alone(arguments, models):
    piped = charrnn_in(models, *arguments, stdin=b"]\n").stdout.decode()
    assert {"\x1b", "\x9b", "\u202e", "\r", "\x07"} <= set(piped)
    shown = shown_by([COMMAND, *arguments], models, b"]\n")
    expected = "".join(each_printable(piped, LAYOUT))
    assert shown == expected + ("\n" if arguments[-1] == "\\x1b" else "")


def test_runs_with_wide_names_are_aligned(models):
    for name in ("中文", "plain"):
        folder = models / "checkpoints" / name
        folder.mkdir(parents=True)
        os.link(models / "plain.safetensors", folder / "best.safetensors")
    printed = charrnn_in(models, "runs").stdout.decode()
    # Two characters of two columns each, or five of one, and the steps in one column.
    rows = [row.replace("中文", "ab_d") for row in printed.splitlines()]
    assert len({row.index("rnn 2x16") for row in rows[1:]}) == 1, printed
