"""`charrnn embed`: the vectors that it prints or writes, against those of `Model.embed`."""

import io
import json
import subprocess

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.cli.views import vectors
from charrnn.errors import CharRNNError
from charrnn.text import lines
from support.commands import COMMAND, charrnn_in
from support.embedded import LINES, write_models

TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = write_models(tmp_path_factory.mktemp("models"))
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    (folder / "two.txt").write_text("cab\nbed\n\n", encoding="utf-8")
    (folder / "empty.txt").touch()
    rows = [{"label": str(n), "text": line} for n, line in enumerate(LINES)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "text.csv").write_text("label,text\n" + "".join(f'{row["label"]},"{row["text"]}"\n' for row in rows))
    (folder / "text.tsv").write_text("label\ttext\n" + "".join(f"{row['label']}\t{row['text']}\n" for row in rows))
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)


def run(*arguments, stdin="", command="embed"):
    return CliRunner().invoke(app, [command, *map(str, arguments)], input=stdin, catch_exceptions=False)


def embedded(*arguments, stdin=""):
    """Return the vectors that the command prints."""
    printed = run(*arguments, stdin=stdin).stdout
    return np.loadtxt(io.StringIO(printed), np.float32, delimiter="\t", ndmin=2)


def expected(model, texts=LINES, **how):
    return load(f"{model}.safetensors").embed(texts, **how)


def assert_same(found, wanted):
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


HOWS = [
    ((), {}),
    (("--pool", "max", "--layer", "0"), {"pool": "max", "layer": 0}),
    (
        ("--pool", "first-last", "--layer", "all", "--state", "all"),
        {"pool": "first-last", "layer": None, "state": None},
    ),
]


@pytest.mark.parametrize("options, how", HOWS)
@pytest.mark.parametrize("model", ["forth", "back"])
def test_vectors_are_those_of_the_model_in_the_order_of_the_lines(model, options, how, tmp_path):
    name, wanted = f"{model}.safetensors", expected(model, **how)
    assert_same(embedded(name, "text.txt", *options), wanted)
    assert_same(embedded("text.txt", name, *options, "--unbuffered"), wanted)
    records = [json.loads(line) for line in run(name, *options, "--jsonl", stdin=TEXT).stdout.splitlines()]
    assert [(record["line"], record["text"]) for record in records] == list(enumerate(LINES, 1))
    assert_same(np.array([record["vector"] for record in records], np.float32), wanted)
    result = run(name, "text.txt", *options, "-o", tmp_path / "v.npy")
    assert result.stdout == "" and f"Wrote {tmp_path / 'v.npy'}: an array of 10 x {wanted.shape[1]} n" in result.stderr
    found = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert found.dtype == np.float32
    assert_same(found, wanted)


def test_the_bytes_of_a_file_of_vectors(tmp_path):
    run("forth.safetensors", "text.txt", "-o", tmp_path / "v.npy")
    data = (tmp_path / "v.npy").read_bytes()
    saved = io.BytesIO()
    np.save(saved, np.load(tmp_path / "v.npy"))
    # As NumPy itself writes it.
    assert data == saved.getvalue()


def test_few_numbers_are_printed_at_once(monkeypatch):
    monkeypatch.setattr(vectors, "NUMBERS", 40)
    records = run("forth.safetensors", "text.txt", "--jsonl").stdout.splitlines()
    found = [json.loads(line) for line in records]
    assert [(record["line"], record["text"]) for record in found] == list(enumerate(LINES, 1))


def test_the_vectors_of_two_models_are_side_by_side():
    wanted = np.concatenate([expected("forth"), expected("back")], axis=1)
    assert_same(embedded("forth.safetensors", "back.safetensors", "text.txt"), wanted)
    assert_same(embedded("back.safetensors", "forth.safetensors", stdin=TEXT), wanted[:, [*range(16, 32), *range(16)]])


def test_each_model_reads_records_in_its_own_way(tmp_path):
    (tmp_path / "big.jsonl").write_text('{"t": "BAD egg"}\n')
    arguments = ("lower.safetensors", "forth.safetensors", tmp_path / "big.jsonl", "--field", "t")
    wanted = np.concatenate([expected(model, ["BAD egg"]) for model in ("lower", "forth")], axis=1)
    assert_same(embedded(*arguments), wanted)
    assert np.abs(wanted[:, :16] - wanted[:, 16:]).max() > 0.1
    # What was read is printed as it was.
    assert json.loads(run(*arguments, "--jsonl").stdout)["text"] == "BAD egg"


def test_whole_files_are_texts():
    wanted = expected("forth", [TEXT[:-1], "cab\nbed\n"])
    for option in ("--whole", "--file"):
        assert_same(embedded("forth.safetensors", "text.txt", "two.txt", option), wanted)
    assert_same(embedded("forth.safetensors", "--whole", stdin=TEXT), wanted[:1])
    assert_same(embedded("forth.safetensors", "--whole", "empty.txt"), expected("forth", [""]))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "-"])
@pytest.mark.parametrize("options", [(), ("--unbuffered",)])
def test_texts_of_records_are_embedded(kind, options, models):
    source = ("-",) if kind == "-" else (f"text.{kind}",)
    stdin = (models / "text.jsonl").read_text() if kind == "-" else ""
    assert_same(embedded("forth.safetensors", *source, "--field", "text", *options, stdin=stdin), expected("forth"))


def test_unbuffered_vectors_come_at_once():
    for options, line in (((), "egg\n"), (("--field", "t"), '{"t": "egg"}\n')):
        command = [COMMAND, "embed", "forth.safetensors", "--unbuffered", *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(2):
                process.stdin.write(line)
                process.stdin.flush()
                # The pipe is open still.
                assert_same(np.array([process.stdout.readline().split()], np.float32), expected("forth", ["egg"]))
            process.stdin.close()
            assert process.stdout.read() == ""


def test_unknown_characters():
    def of(text, *options):
        return embedded("forth.safetensors", *options, stdin=f"{text}\n")

    assert_same(of("azb"), expected("forth", ["ab"]))
    assert_same(of("azb", "--unknown", "skip"), expected("forth", ["ab"]))
    assert_same(of("azb", "--unknown", "replace"), expected("forth", ["a b"]))


@pytest.mark.parametrize("portion", [1, 8192])
def test_an_error_names_the_line(portion, monkeypatch):
    monkeypatch.setattr(lines, "PORTION", portion)
    with pytest.raises(CharRNNError, match="Line 2 has characters that the model does not know: 'z'"):
        run("forth.safetensors", "--unknown", "error", stdin="ab\nazb\n")


def test_bytes_are_embedded(tmp_path):
    (tmp_path / "odd").write_bytes(b"\xff\xfe\0\n" + "☞\n".encode())
    wanted = load("bytes.safetensors").embedder().embed(["\xff\xfe\0", "☞".encode().decode("latin-1")])
    assert_same(embedded("bytes.safetensors", tmp_path / "odd"), wanted)
    records = run("bytes.safetensors", tmp_path / "odd", "--jsonl").stdout.splitlines()
    assert json.loads(records[1])["text"] == "☞"
    (tmp_path / "a.jsonl").write_text('{"t": "☞"}\n', encoding="utf-8")
    assert_same(embedded("bytes.safetensors", tmp_path / "a.jsonl", "--field", "t"), wanted[1:])


def test_lines_of_another_encoding_and_line_end(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\r\nab\xff")
    for options, wanted in (((), ["caf", "ab"]), (("--encoding", "latin-1"), ["café", "abÿ"])):
        result = run("forth.safetensors", tmp_path / "latin.txt", "--jsonl", *options)
        records = [json.loads(line) for line in result.stdout.splitlines()]
        assert_same(np.array([record["vector"] for record in records]), expected("forth", wanted))
        assert ("are not UTF-8, the first in line 1" in result.stderr) == (not options)


def test_no_line_has_no_vector(tmp_path):
    assert run("forth.safetensors").stdout == run("forth.safetensors", "empty.txt", "--jsonl").stdout == ""
    run("forth.safetensors", "empty.txt", "-o", tmp_path / "v.npy")
    assert np.load(tmp_path / "v.npy").shape == (0, 16)
    assert_same(embedded("forth.safetensors", stdin="\n"), expected("forth", [""]))


def test_only_a_file_of_vectors_is_replaced(tmp_path):
    file = tmp_path / "v.npy"
    for count in (1, 2):
        run("forth.safetensors", "-o", file, stdin="a\n" * count)
        assert np.load(file).shape == (count, 16)
    before = file.read_bytes()
    # An error in the middle leaves the old file.
    with pytest.raises(CharRNNError):
        run("forth.safetensors", "-o", file, "--unknown", "error", stdin="z\n")
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["v.npy"]
    file.write_text("mine")
    (tmp_path / "link.npy").symlink_to(file)
    for name, message in (
        ("v.npy", "exists already, and it is not a file of vectors"),
        ("link.npy", "is a link or a device"),
        (".", "is a folder; a file of vectors is a file"),
        ("nowhere/v.npy", "cannot be written: No such file"),
    ):
        with pytest.raises(CharRNNError, match=message):
            run("forth.safetensors", "text.txt", "-o", tmp_path / name)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("forth.safetensors", "text.txt", "--layer", "2"), "`layer` is 2; the model rnn 2x16 has the layers 0 to 1"),
        (
            ("forth.safetensors", "text.txt", "--layer", "-1"),
            "--layer is '-1'; it must be the number of a layer, or all",
        ),
        (("forth.safetensors", "text.txt", "--state", "c"), "`state` is 'c'; the state of rnn 2x16 has h"),
        (("forth.safetensors", "text.txt", "--pool", "sum"), "`pool` is 'sum'; it must be one of mean, last, max"),
        (
            ("forth.safetensors", "text.txt", "two.txt"),
            "2 texts were named: text.txt, two.txt; charrnn embed reads one",
        ),
        (("forth.safetensors", "back", "text.txt"), "There is neither a run nor a file 'back'"),
        (("forth.safetensors", "bytes.safetensors", "text.txt"), "A model of bytes and a model of characters"),
        (("forth.safetensors", "text.csv", "--field", "tekst"), "text.csv has no column 'tekst', only label, text"),
        (("forth.safetensors", "text.jsonl", "--field", "tekst"), "text.jsonl:1 has no member 'tekst', only label"),
        (("forth.safetensors", "text.txt", "--field", "text"), "text.txt:1 is not a JSON object"),
        (("forth.safetensors", "text.csv", "--field", "text", "--whole"), "`whole` reads each file as one text"),
        (("forth.safetensors", "text.txt", "-o", "v.npy", "--jsonl"), "but --jsonl says how results are printed"),
        (("forth.safetensors", "text.txt", "-o", "v.npy", "--unbuffered"), "but --unbuffered says how"),
        (("bytes.safetensors", "text.txt", "--encoding", "latin-1"), "a model of bytes, which have no encoding"),
    ],
)
def test_mistakes_are_told(arguments, message, models):
    with pytest.raises(CharRNNError, match=message):
        run(*arguments)
    assert not (models / "v.npy").exists()


def test_a_record_without_a_text_ends_the_output():
    records = '{"text": "egg"}\n{"text": 3}\n'
    with pytest.raises(CharRNNError, match=r"stdin:2 has a member 'text', but it is not a text"):
        run("forth.safetensors", "--field", "text", stdin=records)


def test_a_full_device_and_a_reader_that_leaves(models):
    full = charrnn_in(models, "-c", '"$0" embed forth.safetensors text.txt > /dev/full', COMMAND, command="sh")
    assert (full.returncode, full.stderr) == (1, "charrnn: No space left on device.\n")
    many = charrnn_in(models, "-c", 'yes egg | "$0" embed forth.safetensors | head -1', COMMAND, command="sh")
    assert (many.returncode, many.stderr) == (0, "") and many.stdout.count(b"\t") == 15
