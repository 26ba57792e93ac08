"""`charrnn compare`: what it says and prints, how it is interrupted, and what it refuses."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from charrnn.api import new_comparison
from charrnn.api.comparing import compare_events
from charrnn.api.comparison import Comparison, Row, load_comparison
from charrnn.cli.app import app
from charrnn.cli.trials import last_words
from charrnn.cli.views import ranking
from charrnn.cli.views.bar import laid_out
from charrnn.cli.views.ranking_page import RankingPage
from charrnn.cli.views.trials import TrialsView
from charrnn.errors import CharRNNError
from charrnn.runs.comparison import read
from support.commands import loaded_by
from support.comparisons import TEXT, compare_fakes
from support.labelled import write_labelled

BITS = {"lstm-seed0": 2.0, "lstm-seed1": 2.2, "gru-seed0": 2.05, "gru-seed1": 2.25, "rnn-seed0": 4.0, "rnn-seed1": 4.1}
SMALL = ["--layers", "1", "--batch", "4", "--seq", "8", "--steps", "6", "--eval-every", "2", "--patience", "0"]
TINY = [*SMALL, "--units", "4"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("CHARRNN_CHECKPOINTS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    Path("text.txt").write_text(TEXT)


def run(*arguments, stdin=""):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], input=stdin, catch_exceptions=False)


def refusal(*arguments):
    with pytest.raises(CharRNNError) as error:
        CliRunner().invoke(app, ["compare", *map(str, arguments)], catch_exceptions=False)
    return str(error.value)


def table_of(output):
    return [line.split() for line in output.partition("\n\n")[0].splitlines()]


def test_the_table_says_who_is_better_and_what_may_be_chance(monkeypatch):
    compare_fakes(monkeypatch, BITS)
    result = run("text.txt", "--cell", "rnn, gru,lstm", "--params", "1.5k", "--seeds", 2, *SMALL)
    assert result.exit_code == 0, result.stderr
    head, *rows = table_of(result.stdout)
    assert head == ["RANK", "CANDIDATE", "UNITS", "PARAMETERS", "BITS/CHAR", "±", "STEPS", "CHARS/S", "SECONDS"]
    made = {row.name: row for row in load_comparison("text-compare").rows}
    wanted = [("1", "lstm", "2.1000", "0.1414"), ("1", "gru", "2.1500", "0.1414"), ("3", "rnn", "4.0500", "0.0707")]
    assert [(row[0], row[1], row[4], row[5]) for row in rows] == wanted
    assert [tuple(row[2:4]) for row in rows] == [
        (f"{made[name].units:,}", f"{made[name].parameters:,}") for _, name, _, _ in wanted
    ]
    assert {row[6] for row in rows} == {"6"} and all(1350 < made[name].parameters < 1650 for name in made)
    assert "A tie: the differences between lstm and gru may be chance.\n" in result.stdout
    assert "bits per character over minutes   A lstm   B gru   C rnn" in result.stdout
    assert "bits per character over characters" in result.stdout and "over parameters" not in result.stdout
    # What is said while it trains: one line when a run begins, and one when it ends.
    lines = result.stderr.splitlines()
    assert lines[0] == "Comparing 3 candidates with 2 seeds: 6 runs of 6 steps in checkpoints/text-compare."
    assert lines[4] == "1/6 rnn-seed0" and lines[5].startswith("  rnn-seed0: 4.0000 bits/char, 6 steps in 0 s, ")
    assert len(lines) == 1 + 3 + 2 * 6 + 1
    assert lines[-1].endswith("charrnn sample checkpoints/text-compare/lstm-seed0 --temp 0.8")
    # Again, without training; and narrower.
    assert run("text-compare").stdout == run("checkpoints/text-compare", "-q").stdout == result.stdout
    assert run("--resume", "text-compare", "-q").stdout == result.stdout


def test_with_one_run_of_each_yet_the_remark_does_not_ask_for_seeds():
    rows = tuple(Row(name, {}, 4, 100, (), rank=rank) for rank, name in enumerate(("lstm", "gru"), 1))
    made = Comparison("one", Path("one"), ("text.txt",), "character", {"steps": 6}, (0, 1), rows)
    assert [one.partition(":")[0] for one in ranking.remarks(made)] == ["No candidate has two runs yet"]


def test_candidates_that_tie_and_are_no_neighbours_are_named():
    """The one between them has a small spread, and differs from both."""
    ties = {"lstm": ("rnn",), "gru": (), "rnn": ("lstm",), "mgu": ()}
    rows = tuple(Row(name, {}, 4, 100, (), rank=1, ties=ties[name]) for name in ties)
    made = Comparison("one", Path("one"), ("text.txt",), "character", {"steps": 6}, (0, 1), rows, True)
    assert made.tied() == [["lstm", "rnn"]]


@pytest.mark.parametrize(
    "budget, shown",
    [({"characters": 20_000_000}, "20,000,000 characters"), ({"minutes": 1.0}, "1 minute"), ({"steps": 1}, "1 step")],
)
def test_a_budget_is_a_whole_number(budget, shown):
    made = Comparison("one", Path("one"), ("text.txt",), "character", budget, (0,))
    with RankingPage(Path("page.html")) as page:
        page.write(made)
    assert f"Each run had {shown}." in Path("page.html").read_text()
    record = SimpleNamespace(budget=budget, candidates=(), seeds=(0,))
    view, said = TrialsView(SimpleNamespace(record=record, path=Path("one")), False), []
    view._say = said.append
    view._plan(3)
    assert f" of {shown} in one" in said[0]


def test_last_words_of_a_comparison_whose_folder_exists_say_how_to_go_on(monkeypatch):
    compare_fakes(monkeypatch)
    said = []
    monkeypatch.setattr(new_comparison, "sync_folder", lambda path: said.append(last_words(comparing)))
    for given in ({"corpus": "text.txt", "name": "one", "layers": 1, "steps": 6}, {"resume": "one"}):
        with compare_events(**given) as comparing:
            next(event for event in comparing if comparing.path is not None)
            said.append(last_words(comparing))
    assert said == ["Interrupted. Continue with: charrnn compare --resume one"] * 3


def test_losses_over_parameters_are_drawn_if_sizes_differ(monkeypatch):
    compare_fakes(monkeypatch)
    result = run("text.txt", "--vary", "units=4,16", "--name", "sizes", "-q", *SMALL)
    assert "bits per character over parameters   A lstm-units4   B lstm-units16" in result.stdout
    assert "With one seed the spread is not known" in result.stdout
    assert "Comparing" not in result.stderr and "lstm-units" not in result.stderr


def test_json_pictures_and_pages(monkeypatch):
    compare_fakes(monkeypatch, BITS)
    done = run(
        "text.txt", "--cell", "lstm,gru", "--seeds", 2, "--name", "it", "--json", "--html", "it.html", "-q", *TINY
    )
    told = json.loads(done.stdout)
    assert [row["name"] for row in told["rows"]] == ["lstm", "gru"] and told["measure"] == "bits_per_char"
    assert [[run["bits_per_char"] for run in row["runs"]] for row in told["rows"]] == [
        [pytest.approx(2.0), pytest.approx(2.2)],
        [pytest.approx(2.05), pytest.approx(2.25)],
    ]
    page = Path("it.html").read_text()
    assert page.count("<figure class=chart>") == 3 and "A tie" in page and "<td>2.1000" in page
    assert "<script" not in page and "http:" not in page and "https:" not in page
    assert run("it", "--plot", "it.svg").exit_code == 0
    picture = Path("it.svg").read_text()
    assert "charrnn compare --plot" in picture and ">lstm<" in picture and ">minutes<" in picture
    Path("mine.html").write_text("mine")
    assert "not a page" in refusal("text.txt", "--html", "mine.html", *TINY)
    assert "must end with" in refusal("text.txt", "--plot", "it.txt", *TINY)
    assert not Path("checkpoints/text-compare").exists()
    assert "cannot be written" in refusal("text.txt", "--html", "nowhere/it.html", *TINY)


def test_the_options_of_texts_reach_all_candidates(monkeypatch):
    compare_fakes(monkeypatch, BITS)
    assert CliRunner().invoke(app, ["vocab", "text.txt", "-o", "it.json"]).exit_code == 0
    texts = ["--separator", r"\n", "--reverse", "--newlines", "lf", "--normalize", "nfc", "--test", "0.1"]
    assert run("text.txt", "--cell", "gru,lstm", "--name", "it", "--vocab", "it.json", *texts, *TINY).exit_code == 0
    wanted = {"separator": "\n", "reverse": True, "newlines": "lf", "normalize": "nfc", "test": 0.1}
    record = read(Path("checkpoints/it"))
    assert record.reading["vocab"] == str(Path("it.json").resolve())
    for one in record.candidates:
        assert wanted.items() <= one.settings.items()


def test_a_failure_is_in_the_table_and_ends_nothing(monkeypatch):
    def before_step(name, step):
        if name.startswith("gru"):
            raise CharRNNError("There was not enough memory.", "Use fewer `units`.")

    compare_fakes(monkeypatch, BITS, before_step)
    result = run("text.txt", "--cell", "gru,lstm", "--name", "it", *TINY)
    assert result.exit_code == 0
    assert [row[:2] for row in table_of(result.stdout)[1:]] == [["1", "lstm"], ["-", "gru"]]
    assert "gru: seed 0: There was not enough memory. Use fewer --units.\n" in result.stdout
    assert "gru-seed0 failed: There was not enough memory. Use fewer --units.\n" in result.stderr
    # If all fail, that is an error.
    compare_fakes(monkeypatch, BITS, before_step)
    assert run("text.txt", "--cell", "gru", "--name", "none", *TINY).exit_code == 1


def test_labels_are_ranked_by_what_is_right(monkeypatch):
    compare_fakes(monkeypatch, {"lstm-seed0": 0.7, "gru-seed0": 0.9})
    write_labelled(Path("texts.tsv"))
    result = run("texts.tsv", "--cell", "lstm,gru", "--labels", *TINY)
    rows = table_of(result.stdout)
    assert rows[0][4] == "RIGHT" and [row[1] for row in rows[1:]] == ["gru", "lstm"] and "90.00 %" in result.stdout
    assert "charrnn label checkpoints/texts-compare/gru-seed0 LINES" in result.stderr


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_run_and_says_how_to_go_on(monkeypatch, number, code):
    def before_step(name, step):
        if (name, step) == ("gru-seed0", 3) and not stopped:
            stopped.append(name)
            os.kill(os.getpid(), number)

    # A process that ends ignores further signals; this one goes on.
    monkeypatch.setattr("charrnn.cli.signals.ignore", lambda: None)
    stopped = []
    began = compare_fakes(monkeypatch, BITS, before_step)
    result = run("text.txt", "--cell", "lstm,gru", "--name", "my own", *TINY)
    assert result.exit_code == code and result.stdout == ""
    said = "Stopped; the current run is saved. Continue with: charrnn compare --resume 'my own'"
    assert result.stderr.splitlines()[-1] == said
    unfinished = run("my own")
    assert unfinished.exit_code == 0 and "gru is not trained yet." in unfinished.stdout
    assert unfinished.stderr.endswith("Continue with: charrnn compare --resume 'my own'\n")
    began.clear()
    again = run("--resume", "my own")
    assert again.exit_code == 0 and began == ["gru-seed0"] and "2/2 gru-seed0 continues" in again.stderr
    assert load_comparison("my own").is_complete


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["text.txt", "--cell", "lstm,grx"], "`cell` is 'grx'"),
        (["text.txt", "--cell", "lstm,"], "`cell` is ''"),
        (["text.txt", "--vary", "units=4", "--vary", "units=8"], "--vary units was given twice"),
        (["text.txt", "--params", "0"], "--params"),
        (["text.txt", "--characters", "many"], "--characters"),
        (["--resume", "it", "text.txt"], "no text can be given"),
        (["--resume", "it", "--steps", "9"], "`steps` has no effect with --resume"),
        (["it", "--seeds", "2"], "`seeds` has no effect on an older comparison"),
        (["itt"], "itt does not exist"),
        ([], "No text was named"),
    ],
)
def test_mistakes_are_refused(monkeypatch, arguments, said):
    began = compare_fakes(monkeypatch)
    Path("checkpoints/it").mkdir(parents=True)
    Path("checkpoints/it/comparison.json").touch()
    if "--params" in arguments or "--characters" in arguments:
        result = CliRunner().invoke(app, ["compare", *arguments])
        assert result.exit_code != 0 and said in (result.stderr or str(result.exception))
    else:
        assert said in refusal(*arguments)
    assert not began and len(list(Path("checkpoints").iterdir())) == 1


def test_what_the_bar_shows_of_all_runs(monkeypatch):
    record = SimpleNamespace(budget={"minutes": 2.0}, unit="character")
    view = TrialsView(SimpleNamespace(record=record), quiet=False)
    view.name, view.number, view.count, view.share = "gru-seed0", 2, 4, 0.5
    monkeypatch.setattr("charrnn.cli.views.trials.perf_counter", lambda: view.run_began + 60)
    before, bar, after = laid_out(view.shown(), 70)
    # One minute of this run, and two each of the other two.
    assert (before, after) == (" 37% ", " 5:00 left  gru-seed0  val - bits/char") and bar > 8


def test_a_narrow_terminal_gets_fewer_columns(monkeypatch):
    compare_fakes(monkeypatch, BITS)
    run("text.txt", "--cell", "lstm,gru", "--seeds", 2, "--name", "it", *TINY)
    result = load_comparison("it")
    wide, narrow = (ranking._table(result, width).splitlines()[0].split() for width in (80, 60))
    assert len(wide) == 9 and narrow == ["RANK", "CANDIDATE", "PARAMETERS", "BITS/CHAR", "±", "CHARS/S"]
    assert max(map(len, ranking._table(result, 60).splitlines())) <= 60


def test_showing_a_result_imports_nothing_heavy(monkeypatch, tmp_path):
    compare_fakes(monkeypatch, BITS)
    run("text.txt", "--cell", "lstm", "--name", "it", *TINY)
    result, modules = loaded_by(tmp_path, "compare", "it")
    assert result.returncode == 0 and not {"keras", "tensorflow", "jax", "matplotlib"} & modules
