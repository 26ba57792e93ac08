"""`charrnn neurons` and `sample --clamp`: what is printed, the page, and mistakes."""

import base64
import hashlib
import json
import re
from html import unescape

import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.cli.views.activation_map import LEVELS, as_characters, levels, scale_of
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.commands import HEAVY, loaded_by
from support.models import write_model
from support.pages import SGR

CHARACTERS = "\n\t☞é" + "".join(map(chr, range(32, 127)))
TEXT = "bad (cafe) ☞\n\na\tb\tha\n\tfeed </script><b>&amp;\n" * 8


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "plain.safetensors", Vocabulary.of(CHARACTERS))
    write_model(folder / "bytes.safetensors", Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True))
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments, stdin=None):
    result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_table_names_the_best_unit_of_each_feature_and_the_gates():
    model = charrnn.load("plain.safetensors")
    found = model.neurons(TEXT)
    printed = run("neurons", "plain.safetensors", "text.txt").stdout.splitlines()
    assert printed[0].split() == ["FEATURE", "IN", "THE", "TEXT", "UNIT", "R"]
    ((name, r),) = found.best("column")
    (row,) = (line for line in printed if line.startswith("column"))
    assert row.split() == ["column", "mean", f"{found.means[found.features.index('column')]:.2f}", name, f"{r:+.3f}"]
    (row,) = (line for line in printed if line.startswith("digit"))
    assert row.split() == ["digit", "0.0%", "-", "-"]
    assert len(printed) == len(found.features) + 1
    # An Elman network has no gates; an LSTM does.
    assert "GATE" not in "".join(printed)


def test_gates_have_a_table_of_their_own(monkeypatch, tmp_path):
    from charrnn.cli.views.neurons import table
    from charrnn.inference.neurons import Gate, Neurons

    gate = Gate(1, "f", np.array([0.5, 0.9, 0.1]), np.array([0.3, 0.0, 0.8]))
    found = Neurons(9, ("column",), (False,), np.array([2.0]), ("layer0/h/0",), np.array([[np.nan]]), (gate,))
    rows = table(found, 1, True).splitlines()
    assert rows[3].split() == ["GATE", "OPEN", "SHUT", "MOST", "OPEN", "MOST", "SHUT"]
    assert rows[4].split() == ["layer1/f", "50.0%", "36.7%", "layer1/f/1", "90.0%", "layer1/f/2", "80.0%"]
    assert "GATE" not in table(found, 1, False)


def test_one_feature_has_more_units_and_json_the_same():
    found = charrnn.load("plain.safetensors").neurons(TEXT, features="word")
    rows = run("neurons", "plain.safetensors", "text.txt", "--feature", "word").stdout.splitlines()
    assert [row.split()[-2] for row in rows[1:]] == [name for name, _ in found.best("word", 10)]
    arguments = ("neurons", "plain.safetensors", "--feature", "word", "--top", 3, "--json")
    facts = json.loads(run(*arguments, stdin=TEXT).stdout)
    assert facts["characters"] == len(TEXT) and "gates" not in facts and facts["run"] == "plain.safetensors"
    (feature,) = facts["features"]
    assert [(one["unit"], one["r"]) for one in feature["units"]] == found.best("word", 3)
    assert json.loads(run("neurons", "plain.safetensors", "text.txt", "--json").stdout)["gates"] == []


def test_limit_reads_the_beginning():
    result = run("neurons", "plain.safetensors", "text.txt", "--limit", 100, "--json")
    assert json.loads(result.stdout)["characters"] == 100
    assert result.stderr == f"The first 100 of {len(TEXT):,} characters are read (--limit).\n"


# A unit in the text


def test_in_a_pipe_a_unit_is_a_row_for_each_character():
    names = ["layer1/h/3", "layer0/h/0"]
    result = run("neurons", "plain.safetensors", "text.txt", "--unit", names[0], "--unit", names[1])
    rows = [row.split("\t") for row in result.stdout.splitlines()]
    assert [row[0] for row in rows[:15]] == [*"bad (cafe) ☞", r"\n", r"\n", "a"]
    values = charrnn.load("plain.safetensors").activations(TEXT, names)
    np.testing.assert_allclose([[float(value) for value in row[1:]] for row in rows], values, rtol=1e-5, atol=1e-6)
    assert result.stderr.startswith("Columns: character, layer1/h/3, layer0/h/0.")


def test_with_colours_a_unit_is_shown_in_the_text(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    model = charrnn.load("plain.safetensors")
    # A unit with all colours.
    name, expected = next(
        (name, found)
        for name in model.neurons(TEXT).names
        for values in [model.activations(TEXT, name)[:, 0]]
        if {-LEVELS, 0, LEVELS} <= {*(found := levels(values, scale_of(values))).tolist()}
    )
    result = run("neurons", "plain.safetensors", "text.txt", "--unit", name)
    assert SGR.sub("", result.stdout).replace("↵", "").replace("→", "") == TEXT
    # Each end of the legend has the colour of the characters with the strongest values.
    lowest, *_, highest = re.findall(r"\x1b\[38[0-9;]*m", result.stderr)
    for colour, level in ((lowest, -LEVELS), (highest, LEVELS)):
        shown = (
            "".join(re.findall(rf"{re.escape(colour)}(.*?)\x1b", result.stdout)).replace("↵", "\n").replace("→", "\t")
        )
        assert shown == "".join(c for c, own in zip(TEXT, expected.tolist(), strict=True) if own == level)


def test_levels_are_symmetric_and_clipped():
    assert levels(np.array([-9, -1, -0.5, -0.05, 0, 0.05, 0.11, 1, 9]), 1.0).tolist() == [-5, -5, -2, 0, 0, 0, 1, 5, 5]
    assert scale_of(np.array([0.0, 0.0])) == 1.0
    assert scale_of(np.array([0.0] * 999 + [-3.0])) == 3.0
    assert scale_of(np.arange(-100, 101)) == 99.0


def test_bytes_are_shown_as_the_characters_that_they_encode(monkeypatch):
    text, values = as_characters("\xc3\xa9a\xff", np.arange(4.0)[:, None])
    assert text == "éa\udcff" and values[:, 0].tolist() == [1, 2, 3]
    result = run("neurons", "bytes.safetensors", "text.txt", "--unit", "layer1/h/3")
    assert result.stdout.splitlines()[11].startswith("\\xe2\t")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = run("neurons", "bytes.safetensors", "text.txt", "--unit", "layer1/h/3").stdout
    assert SGR.sub("", shown).replace("↵", "").replace("→", "") == TEXT


# The page


def text_of(page):
    """Return the text that a page shows: each character is an element."""
    letters = re.findall(r"<b>(.*?)</b>", re.search(r"<div id=text.*?>(.*?)</div>", page, re.S)[1], re.S)
    assert all(len(unescape(letter)) == 1 for letter in letters)
    return unescape("".join(letters))


def test_the_page_has_the_text_its_units_and_their_values(tmp_path):
    page = tmp_path / "page.html"
    result = run("neurons", "plain.safetensors", "text.txt", "--html", page, "--show", 200)
    assert f"The page of units is {page}." in result.stderr
    written = page.read_text(encoding="utf-8")
    assert text_of(written) == TEXT[:200]
    script, data = re.search(r"<script>(.*?)</script>", written, re.S)[1], re.search(r"id=data>(.*?)<", written)[1]
    # Only this script may run, and nothing is loaded.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\"" in written
    assert not re.search(r"https?:|src=|url\(|@import|<link|<img", written)
    facts = json.loads(data)
    model = charrnn.load("plain.safetensors")
    names = [one["name"] for one in facts["units"]]
    assert len({*names}) == len(names) == 32
    values = np.frombuffer(base64.b64decode(facts["values"]), np.int8).reshape(len(names), 200) / 127
    expected = model.activations(TEXT[:200], names).T
    scales = np.array([one["scale"] for one in facts["units"]])[:, None]
    np.testing.assert_allclose(values * scales, np.clip(expected, -scales, scales), atol=float(scales.max()) / 200)
    neurons = model.neurons(TEXT)
    feature = neurons.features[facts["feature"]]
    assert names[facts["first"]] == neurons.best(feature)[0][0]
    options = re.findall(r'<option value="(.*?)">([^<]*)', written)
    assert [value for value, _ in options] == list(neurons.features)
    assert dict(options)["digit"].endswith("(too rare here)")


def test_nothing_from_outside_is_markup_on_the_page(tmp_path, monkeypatch):
    page, text = tmp_path / "page.html", tmp_path / "<i>&.txt"
    text.write_text(TEXT, encoding="utf-8")
    run("neurons", "plain.safetensors", text, "--html", page)
    written = page.read_text(encoding="utf-8")
    assert written.count("</script>") == 2 and "<i>" not in written and "&lt;i&gt;&amp;.txt" in written
    assert text_of(written) == TEXT


def test_gates_are_charts_on_the_page():
    from charrnn.cli.views.neurons_page import _chart
    from charrnn.inference.neurons import Gate

    chart = _chart(Gate(1, "f", np.array([0.5, 0.25]), np.array([0.125, 0.0])))
    assert 'cx="50.0" cy="87.5"' in chart and 'cx="25.0" cy="100.0"' in chart
    assert "<title>layer1/f/0: open 50.0%, shut 12.5%</title>" in chart and 'data-layer="layer1"' in chart
    assert 'aria-label="layer1/f: open 37.5% of the time, shut 6.2%, on average"' in chart


def test_a_page_replaces_only_a_page(tmp_path):
    other = tmp_path / "other.html"
    other.write_text("mine")
    with pytest.raises(CharRNNError, match="not a page of units"):
        run("neurons", "plain.safetensors", "text.txt", "--html", other)
    assert other.read_text() == "mine"


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--unit", "layer9/h/0"), "no unit 'layer9/h/0'"),
        (("--feature", "colum"), "There is no feature 'colum'"),
        (("--unit", "layer0/h/0", "--json"), "--json has no effect"),
        (("--unit", "layer0/h/0", "--top", "3"), "--top has no effect"),
        (("--show", "3"), "--show has no effect without --html"),
    ],
)
def test_mistakes_are_told(arguments, said):
    with pytest.raises(CharRNNError) as raised:
        run("neurons", "plain.safetensors", "text.txt", *arguments)
    assert said in as_options(raised.value.message)


@pytest.mark.parametrize(
    ("clamp", "said"),
    [
        (["layer0/h/1"], "it must be a unit, = and a number"),
        (["layer0/h/1=high"], "it must be a unit, = and a number"),
        (["layer0/h/1=nan"], "it must be a finite number"),
        (["layer0/h/1=1e99"], "it must be a finite number"),
        (["layer0/h/99=1"], "no unit 'layer0/h/99'"),
        (["layer0/h/1=1", "layer0/h/1=2"], "holds layer0/h/1 at 1 and at 2"),
        (["layer0/h/1=1", "--engine", "compiled"], "computed by NumPy"),
    ],
)
def test_a_wrong_clamp_is_told(clamp, said):
    options = [word for one in clamp for word in (["--clamp", one] if "=" in one or "/" in one else [one])]
    with pytest.raises(CharRNNError) as raised:
        run("sample", "plain.safetensors", *options)
    assert said in as_options(raised.value.message)


def test_samples_hold_units():
    model = charrnn.load("plain.safetensors")
    clamp = {"layer1/h/2": 3.0, "layer0/h/7": -1.5}
    typed = [word for name, value in clamp.items() for word in ("--clamp", f"{name}={value}")]
    held = model.sample(40, seed=1, clamp=clamp)
    assert held != model.sample(40, seed=1)
    arguments = ("sample", "plain.safetensors", "-n", 40, "--seed", 1)
    assert run(*arguments, *typed).stdout == held
    # The same value twice is no mistake.
    assert run(*arguments, *typed, *typed).stdout == held
    many = run(*arguments, *typed, "--count", 2, "--jsonl").stdout.splitlines()
    assert json.loads(many[0])["text"] == held
    beam = run("sample", "plain.safetensors", "-n", 10, "--beam", 3, "--jsonl", *typed).stdout
    assert json.loads(beam)["text"] == model.likeliest(3, 10, clamp=clamp).text


def test_nothing_heavy_is_imported(models):
    result, modules = loaded_by(models, "neurons", "plain.safetensors", "text.txt", "--unit", "layer0/h/0")
    assert result.returncode == 0 and not HEAVY & modules
