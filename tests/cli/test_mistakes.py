"""The most common mistakes of a newcomer: each gets an answer that names how to mend it, and exit code 1."""

import io
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charrnn.cli.app import app, main
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

# What is typed in a folder with the run `small`, text.txt, empty.txt, and a folder of texts; what the answer names.
MISTAKES = [
    # Words that are misspelt or in another place.
    ("trian text.txt", "Did you mean charrnn train?"),
    ("text.txt", "charrnn train text.txt"),
    ("texts", "charrnn train texts"),
    ("small", "charrnn sample small"),
    ("best.safetensors", "charrnn sample best.safetensors"),
    ("train text.txt --unit 5", "Did you mean --units?"),
    ("sample small --tmep 0.8", "Did you mean --temp?"),
    ("sample smal", "Did you mean small?"),
    ("sample text.txt", "charrnn train text.txt"),
    ("sample texts", "charrnn train texts"),
    ("sample /etc/passwd", "charrnn train /etc/passwd"),
    ("inspect text.txt", "charrnn train text.txt"),
    ("verify text.txt", "Checkpoints are the .safetensors files in the folder of a run."),
    ("train text.txt --cell lsmt", "Did you mean lstm?"),
    ("train text.txt --cell LSTM", "Did you mean lstm?"),
    ("train text.txt --normalize NFC", "Did you mean nfc?"),
    ("train text.txt --preset charrnn", "Did you mean char-rnn?"),
    ("train text.txt --optimizer Adam", "Did you mean adam"),
    ("cells GRU", "Did you mean gru?"),
    ("corpus shakespear", "Did you mean charrnn corpus tinyshakespeare?"),
    ("-v", "Did you mean -V or --version?"),
    ("sample small -C 3", "Did you mean -c or --count?"),
    ("complete small --output x", "charrnn complete small > x"),
    ("score --output='a b' small text.txt", "charrnn score small text.txt > 'a b'"),
    ("eval small text.txt -o", "charrnn eval small text.txt > FILE"),
    ("train text.txt --output x", "--name gives its name, and --checkpoints the folder"),
    # Names of other programs, and what is near them.
    ("sample small --temperatur 1", "Did you mean --temp?"),
    ("train text.txt --learning_rat 1", "Did you mean --lr?"),
    ("train text.txt --batch_sise 1", "Did you mean --batch?"),
    # A name that an option begins with, rather than a similar one; nothing if nothing is near.
    ("sample small --out x", "Did you mean --output?"),
    ("sample small --tempe 1", "Did you mean --temp?"),
    ("sample small --MAX_L 1", "Did you mean --max-length?"),
    ("complete small --lines 2", "has no option --lines.\n  For help: charrnn complete --help"),
    ("complete small --z 2", "For help: charrnn complete --help"),
    ("train text.txt --temperature 1", "charrnn train has no option --temperature."),
    ("train text.txt --num_layers 0", "--layers is 0; it must be at least 1."),
    ("sample small -temperature 0.8", "has two dashes: --temp"),
    ("train text.txt --corpus-changed-ok", "--allow-changed-text is only for a run that is resumed"),
    ("vocab small checkpoints/small", "charrnn vocab small --against checkpoints/small"),
    ("vocab small text.txt", "charrnn vocab text.txt --against small"),
    # What is missing.
    ("train", "charrnn train corpus.txt"),
    ("train nothing.txt", "nothing.txt does not exist.\n  Check the path"),
    ("train text.txt nothing.txt", "nothing.txt does not exist.\n  Check the path"),
    ("train empty.txt", "empty.txt is empty; a text was expected."),
    ("eval small", "charrnn eval small TEXT"),
    ("eval", "charrnn eval RUN TEXT"),
    ("vocab", "charrnn vocab CORPUS"),
    ("verify", "charrnn verify needs RUN|FILE.\n  Give it: charrnn verify RUN|FILE. For help: charrnn"),
    ("sample checkpoints/small/step-00000099.safetensors", "The checkpoint in checkpoints/small: best.safetensors."),
    ("verify checkpoints/small/step-00000099.safetensors", "/step-00000099.safetensors does not exist."),
    ("train --resume nowhere/best.safetensors", "nowhere/best.safetensors does not exist.\n  To list the runs"),
    ("score nothing.txt", "neither a run nor a file 'nothing.txt'"),
    ("score texts", "cat texts/* | charrnn score"),
    ("score text.txt smal", "neither a run nor a file 'smal'.\n  Did you mean small?"),
    ("complete text.txt nothing", "neither a run nor a file 'nothing'.\n  Check its path"),
    ("corpus --output x.txt", "No corpus was named; --output, --size and --force need the name of a corpus."),
    ("corpus --size 10K", "No corpus was named;"),
    ("complete small texts", "cat texts/* | charrnn complete small"),
    ("train text.txt --resume", "charrnn train --resume VALUE"),
    ("sample small --prime", "charrnn sample --prime VALUE"),
    ("train --resume smal", "Did you mean small?"),
    ("train text.txt --name small", "Continue it with --resume, or choose another --name."),
    # Values, and where they stand.
    ("train text.txt --units abc", "--units is 'abc'; it must be a whole number."),
    ("train text.txt --units 12.5", "--units is '12.5'; it must be a whole number."),
    ("sample small --temp hot", "--temp is 'hot'; it must be a number, at least 0"),
    ("sample small --length -5", "--length is -5; it must be a whole number, at least 0."),
    ("train text.txt --seed -1", "--seed is -1; it must be a whole number, at least 0"),
    ("train text.txt --steps 0", "--steps is 0; it must be at least 1."),
    ("train text.txt --dropout 30", "--dropout is 30.0; it must be at least 0 and below 1."),
    ("train text.txt --val 10", "--val is 10.0; it must be at least 0 and below 1."),
    ("train text.txt --layers 100000", "--layers is 100000; it must be at most 1000."),
    ("sample small --temp inf", "--temp is inf; it must be a number, at least 0."),
    ("sample small --temp nan", "--temp is nan; it must be a number, at least 0."),
    ("sample small --temp -1", "--temp is -1.0; it must be a number, at least 0"),
    ("score small text.txt --threshold nan", "--threshold is nan; it must be a number of bits."),
    ("score small text.txt --threshold=-inf", "--threshold is -inf; it must be a number of bits."),
    ("score small --by maen", "Did you mean mean?"),
    ("score small --unknown skipp", "Did you mean skip?"),
    ("sample small -temp 0.8", "has two dashes: --temp"),
    ("sample small -prime bad", "has two dashes: --prime"),
    ("train text.txt -epochs 5", "has two dashes: --epochs"),
    ("--temp 0.8 sample", "charrnn sample --temp 0.8"),
    ("--json runs", "charrnn runs --json"),
    ("--seed 3 train text.txt", "charrnn train --seed 3 text.txt"),
    ("--json", "charrnn sample --json …"),
    (
        "train text.txt --embedding -1",
        "it must be a whole number, at least 0.\n  --embedding: Size of",
    ),
    (
        "train text.txt --patience -1",
        "at least 0.\n  --patience: Stop after this many evaluations without",
    ),
    (
        "train text.txt --clip-norm -0.5",
        "at least 0.\n  --clip-norm: Limit of the global norm of the gradients; 0 means no",
    ),
    ("sample small 'bad cafe'", "charrnn sample small --prime 'bad cafe'"),
    ("sample small -n 3 bad cafe --seed 1", "charrnn sample small -n 3 --seed 1 --prime 'bad cafe'"),
    ("sample small small bad", "charrnn sample small --prime 'small bad'"),
    ("sample small --prime bad cafe -n 3", "--prime, in quotes: charrnn sample small --prime 'bad cafe' -n 3"),
    ("sample small text.txt", "charrnn sample small --prime-file text.txt"),
    ("sample small text.txt texts/one.txt", "cat text.txt texts/one.txt | charrnn sample small --prime -"),
    (
        "score small --top 3 text.txt texts/one.txt",
        "cat text.txt texts/one.txt | charrnn score small --top 3",
    ),
    ("complete small bad cafe --temp 1", "echo 'bad cafe' | charrnn complete small --temp 1"),
    ("score small texts --by worst --sort", "cat texts/* | charrnn score small --by worst --sort"),
    ("runs small", "charrnn runs --help"),
    # Options that have no effect beside the others.
    ("sample small --beam 2 --temp 1", "--temp has no effect with it."),
    ("sample small --beam 2 --seed 0", "--seed has no effect with it."),
    ("sample small --beam 2 --top-k 3 --no-repeat 9", "--top-k and --no-repeat have no effect with it."),
    ("sample small --temp 0 --min-p 0.1", "--min-p has no effect with it.\n  Give a --temp above 0"),
    ("sample small --show-surprisal --jsonl", "Leave out --jsonl, --csv, --best and --ids."),
    ("sample small --novel --novel-to text.txt", "Leave out --novel."),
    ("score small text.txt --by worst --per-char", "so --by has no effect without --sort, --top or --threshold"),
    ("score small text.txt --by worst --jsonl", "--jsonl prints all three scores"),
    ("train text.txt --allow-changed-text", "name the run to continue with --resume."),
    ("train text.txt --include '*.md'", "no folder was named."),
    ("train text.txt --init small --drop-unused --vocab v.json", "--vocab names a finished one."),
    ("train text.txt --stack residual --layers 1", "it needs --layers 2 or more."),
    ("eval small text.txt --include '*.md'", "no folder was named."),
    ("vocab text.txt --include '*.md'", "no folder was named."),
    ("vocab small --lower", "--lower is only for reading a text."),
    ("vocab best.safetensors --include '*.md'", "--include is only for reading a text."),
]
# What is no mistake, though the arguments come in another order, or ask for help in another way.
FINE = [
    ("score text.txt small", "bad cafe"),
    ("eval text.txt small", "bits per character"),
    ("complete text.txt checkpoints/small -n 3", ""),
    ("vocab small", "LATIN SMALL LETTER A"),
    ("vocab checkpoints/small", "LATIN SMALL LETTER A"),
    ("vocab text.txt texts --include '*.txt'", "LATIN SMALL LETTER A"),
    ("sample small --temp 0 --seed 3 -n 5", ""),
    ("score small text.txt --by worst --jsonl --top 1", "bits_per_char"),
    ("score small text.txt --per-char --by worst --sort", "\tb\n"),
    ("help", "Usage: "),
    ("", "Usage: "),
    ("help train", "charrnn train [OPTIONS] [CORPUS...]"),
    ("-V", "charrnn "),
]


@pytest.fixture
def typed(small, tmp_path, monkeypatch, capfd):
    """Return a function that runs a line in this process; it returns the exit code, what was printed and was said."""
    shutil.copytree(small / "checkpoints", tmp_path / "checkpoints")
    shutil.copy(small / "text.txt", tmp_path)
    shutil.copy(tmp_path / "checkpoints/small/best.safetensors", tmp_path)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "texts").mkdir()
    shutil.copy(small / "text.txt", tmp_path / "texts/one.txt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)

    def run(line):
        monkeypatch.setattr(sys, "argv", ["charrnn", *shlex.split(line)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        code = 0
        try:
            main()
        except SystemExit as exit:
            code = exit.code or 0
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize(("line", "answer"), MISTAKES)
def test_the_answer_names_how_to_mend_it(typed, line, answer):
    before = sorted(Path().rglob("*"))
    code, out, said = typed(line)
    assert code == 1 and answer in said
    assert len(said.splitlines()) <= 2 and "Traceback" not in said
    assert out == "" or line.startswith("verify")
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(("line", "answer"), FINE)
def test_what_can_be_understood_is_done(typed, line, answer):
    code, out, _ = typed(line)
    assert code == 0 and answer in out


def test_without_any_run_the_way_to_one_is_named(typed):
    shutil.rmtree("checkpoints")
    for line in ("sample", "sample small", "score", "eval text.txt", "inspect"):
        code, _, said = typed(line)
        assert code == 1 and "charrnn train corpus.txt" in said


def test_a_name_that_is_taken_is_noticed_before_the_text_is_read(typed, monkeypatch):
    monkeypatch.setattr("charrnn.api.datasets.read_text", lambda *arguments, **more: pytest.fail("it was read"))
    code, _, said = typed("train text.txt --name small")
    assert code == 1 and "The run checkpoints/small exists already." in said


def test_no_file_of_another_kind_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("abc\n")
    (tmp_path / "link").symlink_to("text.txt")
    model = Vocabulary.of("abc\n")
    write_model(tmp_path / "m.safetensors", model)
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for target in ("text.txt", "link", "m.safetensors"):
        said = CliRunner().invoke(app, ["vocab", "text.txt", "-o", target])
        assert isinstance(said.exception, CharRNNError), target
        said = CliRunner().invoke(app, ["score", "m.safetensors", "text.txt", "--html", target])
        assert isinstance(said.exception, CharRNNError), target
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept
    # Its own kind is.
    for _ in range(2):
        assert CliRunner().invoke(app, ["vocab", "text.txt", "-o", "v.json"]).exit_code == 0
        assert CliRunner().invoke(app, ["score", "m.safetensors", "text.txt", "--html", "page.html"]).exit_code == 0
