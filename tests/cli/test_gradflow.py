"""`charrnn gradflow`: the table, the chart, the picture and the JSON."""

import json
import re
import sys
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.cli.views import gradient_flow as view
from charrnn.cli.views.chart import DECADES, Scales, draw_together
from support.flows import flow

LOGARITHMIC = Scales("steps back, k", logarithmic=True)


def run(*arguments):
    return CliRunner().invoke(app, ["gradflow", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def measured(monkeypatch):
    """What the command asks for, in a list; it gets flows that are made up."""
    asked = []

    def gradient_flow(*runs, **how):
        asked.append((runs, how))
        return [flow((0.5,), start=True), flow((0.9,), lags=20)]

    monkeypatch.setattr("charrnn.api.gradient_flow.gradient_flow", gradient_flow)
    return asked


def test_the_table_and_the_chart(measured):
    lines = run("--cell", "rnn").stdout.splitlines()
    assert lines[0].split() == ["network", "reach", "10%-90%", "factor", "k=1", "k=10", "k=20"]
    assert lines[1].split() == ["corpus,", "start", "7", "7-7", "0.500", "3", "0.002", "2e-06"]
    assert lines[2].split() == ["corpus,", "step", "400", "20+", "20+-20+", "0.900", "3", "0.39", "0.14"]
    assert lines[4].startswith("norm of the gradient, relative to k = 1   A corpus, start")
    assert "steps back, k" in lines[-1] and max(map(len, lines)) <= 80


def test_only_what_was_typed_is_asked_for(measured, tmp_path):
    (tmp_path / "text.txt").write_text("abc")
    run("--cell", "rnn, gru", tmp_path / "text.txt", "--units", "9", "--seed", "3", "--reach", "7")
    runs, how = measured[-1]
    assert runs == () and how["cell"] == ["rnn", "gru"] and how["text"] == [str(tmp_path / "text.txt")]
    assert how["units"] == 9 and how["seed"] == 3 and how["reach"] == 7 and "layers" not in how
    run()
    assert measured[-1][1]["cell"] is None and measured[-1][1]["text"] is None and "seed" not in measured[-1][1]


def test_json_and_a_picture(measured, tmp_path):
    path = tmp_path / "flow.svg"
    result = run("--cell", "rnn", "--json", "--plot", path)
    facts = json.loads(result.stdout)
    assert [fact["title"] for fact in facts] == ["corpus, start", "corpus, step 400"]
    assert facts[1]["reach"] == 20 and facts[1]["reach_is_open"] and len(facts[1]["relative"]["0.9"]) == 20
    svg = path.read_text()
    assert f"Wrote {path}." in result.stderr
    assert ">corpus, start<" in svg and ">norm of the gradient, relative to k = 1<" in svg
    # The same again is the same file; another file is not replaced.
    run("--cell", "rnn", "--plot", path)
    assert path.read_text() == svg
    path.write_text("<svg/>")
    refused = CliRunner().invoke(app, ["gradflow", "--cell", "rnn", "--plot", str(path)])
    assert refused.exit_code and path.read_text() == "<svg/>"


def test_a_picture_has_the_curves():
    one, other = flow((0.5, 0.6, 0.7)), flow((0.0001,), run=None, lags=200, start=True)
    axes = view._figure([one, other]).axes[0]
    assert axes.get_yscale() == "log" and axes.lines[0].get_ydata().tolist() == pytest.approx(list(one.relative[0.5]))
    assert min(axes.lines[1].get_ydata()) > 0


def test_more_networks_than_letters_are_refused(checkpoints):
    result = CliRunner().invoke(app, ["gradflow", "--cell", ",".join(["rnn"] * 27)])
    assert "27 networks would be shown; at most 26" in str(result.exception)


def test_a_logarithmic_chart_puts_powers_of_ten_at_equal_distances():
    lines = draw_together([("a", [(k, 10.0**-k) for k in range(7)])], 80, False, "norm", LOGARITHMIC)
    ticks = [(row, found[1]) for row, line in enumerate(lines[1:]) if (found := re.match(r" *([\d.e-]+) ┤", line))]
    assert [text for _, text in ticks] == ["1", "0.1", "0.01", "0.001", "0.0001", "1e-05", "1e-06"]
    assert [row for row, _ in ticks] == [0, 2, 4, 6, 9, 11, 13]
    places = [(row, line.index("A")) for row, line in enumerate(lines[1:]) if "A" in line]
    assert [row for row, _ in places] == [row for row, _ in ticks]
    assert {after - before for before, after in pairwise(column for _, column in places)} <= {11, 12, 13}


def test_a_logarithmic_chart_leaves_out_what_is_far_below_and_zero():
    curves = [("a", [(1, 1.0), (2, 0.1)]), ("b", [(1, 1.0), (2, 10.0 ** -(DECADES + 1)), (3, 0.0)])]
    lines = draw_together(curves, 80, False, "norm", LOGARITHMIC)
    assert lines == draw_together([curves[0], ("b", [(1, 1.0)])], 80, False, "norm", LOGARITHMIC)
    assert draw_together([("a", [(1, 0.0)])], 80, False, "norm", LOGARITHMIC) == []
    # Less than a decade has ticks too.
    near = draw_together([("a", [(1, 2.0), (2, 3.0)])], 80, False, "norm", LOGARITHMIC)
    assert [line.split()[0] for line in near if "┤" in line] == ["3", "2.4", "2"]


def test_some_points_are_marked():
    curves = [(name, [(k, 0.9**k + n) for k in range(100)]) for n, name in enumerate("ab")]
    drawn = "\n".join(draw_together(curves, 80, False, "", LOGARITHMIC, 5)[1:])
    assert drawn.count("A") == drawn.count("B") == 5
    columns = {mark: {line.index(mark) for line in drawn.splitlines() if mark in line} for mark in "AB"}
    assert not columns["A"] & columns["B"]


def test_a_narrow_terminal_is_enough(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    assert max(map(len, view.shown([flow((0.99,), lags=200, start=True), flow((0.97,), lags=200)]).splitlines())) <= 60


def test_a_wide_terminal_is_filled(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    assert max(map(len, view.shown([flow()]).splitlines())) == 100
