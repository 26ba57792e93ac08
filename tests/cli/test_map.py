"""`charrnn map`: the places that it prints and draws, against those of `Model.map`."""

import json
import re
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.api import mapping
from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.cli.views import map_plot
from charrnn.errors import CharRNNError
from support.embedded import LINES, write_models

LABELS = [f"_{'xyz'[n % 3]} $a_" for n in range(len(LINES))]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = write_models(tmp_path_factory.mktemp("models"))
    (folder / "text.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    labelled = list(zip(LABELS, LINES, strict=True))
    (folder / "labelled.tsv").write_text("".join(f"{label}\t{line}\n" for label, line in labelled), encoding="utf-8")
    rows = [{"text": line, "kind": label} for label, line in labelled]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)


def run(*arguments, stdin=""):
    return CliRunner().invoke(app, ["map", *map(str, arguments)], input=stdin, catch_exceptions=False)


def table(*arguments, stdin=""):
    return [line.split("\t") for line in run(*arguments, stdin=stdin).stdout.splitlines()]


def assert_places(found, **how):
    np.testing.assert_allclose(
        np.array(found, np.float64), load("forth.safetensors").map(LINES, **how), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "options, how",
    [
        ((), {}),
        (("--pool", "last", "--layer", "all", "--state", "all"), {"pool": "last", "layer": None, "state": None}),
        (("--method", "tsne", "--seed", "3"), {"method": "tsne", "seed": 3}),
    ],
)
def test_places_are_those_of_the_model(options, how, models):
    assert_places(table("forth.safetensors", "text.txt", *options), **how)
    assert_places(table("forth.safetensors", *options, stdin=(models / "text.txt").read_text()), **how)
    assert_places(table("forth.safetensors", "text.jsonl", "--field", "text", *options), **how)


@pytest.mark.parametrize(
    "arguments",
    [("labelled.tsv", "--labels"), ("text.jsonl", "--field", "text", "--label-field", "kind")],
)
def test_labels_are_printed(arguments):
    # A line that is empty after its label is a text like the others.
    rows = table("forth.safetensors", *arguments)
    assert_places([row[:2] for row in rows])
    assert [row[2] for row in rows] == LABELS
    records = [json.loads(line) for line in run("forth.safetensors", *arguments, "--jsonl").stdout.splitlines()]
    assert_places([[record["x"], record["y"]] for record in records])
    assert [(record["line"], record["label"], record["text"]) for record in records] == [
        (n, label, line) for n, (label, line) in enumerate(zip(LABELS, LINES, strict=True), 1)
    ]


def test_a_picture_shows_what_is_near_what(tmp_path):
    path = tmp_path / "map.svg"
    result = run("forth.safetensors", "labelled.tsv", "--labels", "--plot", path)
    assert result.stdout == "" and f"Wrote {path}." in result.stderr
    svg = path.read_text()
    for said in (
        "labelled.tsv: 10 lines, PCA",
        "_x $a_ (4)",
        "_y $a_ (3)",
        "_z $a_ (3)",
        "first principal component, ",
    ):
        assert f">{said}" in svg, said
    # The same again is the same file; another map replaces it.
    run("forth.safetensors", "labelled.tsv", "--labels", "--plot", path)
    assert path.read_text() == svg
    run("forth.safetensors", "text.txt", "--plot", path, "--method", "tsne")
    assert ">text.txt: 10 lines, t-SNE</text>" in path.read_text() and "principal" not in path.read_text()
    for suffix in ("png", "pdf"):
        run("forth.safetensors", "back.safetensors", "--plot", tmp_path / f"a.{suffix}", stdin="a\nb\nc\nd\n")
        assert (tmp_path / f"a.{suffix}").stat().st_size > 3000


def test_a_point_is_drawn_at_each_place(monkeypatch, models):
    monkeypatch.setattr(map_plot, "_ROUNDS", 2)
    points = load("forth.safetensors").map(LINES)
    figure = map_plot._figure(mapping.Map(points, (0.5, 0.25)), LABELS, "pca", "text")
    drawn = np.concatenate([collection.get_offsets() for collection in figure.axes[0].collections])
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, points.tolist()))
    marks = {path.vertices.tobytes() for one in figure.axes[0].collections for path in one.get_paths()}
    colours = {tuple(one.get_facecolor()[0]) for one in figure.axes[0].collections}
    assert len(marks) == len(colours) == 3


def test_the_legend_has_at_most_ten_names():
    few = map_plot.groups([f"{n:02}" for n in range(10)] * 2)
    assert list(few) == [f"{n:02}" for n in range(10)] and few["03"].tolist() == [3, 13]
    many = map_plot.groups([f"{n:02}" for n in range(20)] + [f"{n:02}" for n in range(5, 12)])
    named = ["00", "01", *(f"{n:02}" for n in range(5, 12)), ""]
    assert list(many) == named and many["05"].tolist() == [5, 20] and len(many[""]) == 11
    assert sorted(np.concatenate(list(many.values())).tolist()) == list(range(27))
    assert map_plot.shortened("a" * 40) == "a" * 29 + "…" and map_plot.shortened("a\x1b") == "a\\x1b"


def test_only_a_map_is_replaced(tmp_path):
    from matplotlib.figure import Figure

    path = tmp_path / "map.png"
    Figure().savefig(path)
    theirs = path.read_bytes()
    with pytest.raises(CharRNNError, match="exists already, and it is not a picture of charrnn"):
        run("forth.safetensors", "text.txt", "--plot", path)
    assert path.read_bytes() == theirs


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--plot", "map.gif"), r"must end with one of \.png, \.svg, \.pdf"),
        (("--plot", "map.png", "--jsonl"), "--plot draws the map, but --jsonl says how results are printed"),
        (("--method", "umap"), "`method` is 'umap'; it must be one of pca, tsne"),
        (("--seed", "3"), "`seed` has no effect with `method='pca'`"),
        (("--labels",), r"text\.txt:1 has no tab"),
        (("--label-field", "kind"), "names the label of each record, but nothing names its text"),
        (("--field", "t"), r"text\.txt:1 is not a JSON object"),
        (("text.jsonl",), "2 texts were named"),
        (("--layer", "4"), "`layer` is 4"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(CharRNNError, match=message):
        run("forth.safetensors", "text.txt", *arguments)


def test_too_few_and_too_many_lines(monkeypatch):
    for lines, said in ((0, "are 0"), (1, "is 1"), (2, "are 2")):
        with pytest.raises(CharRNNError, match=f"at least 3 lines; there {said}"):
            run("forth.safetensors", stdin="a\n" * lines)
    monkeypatch.setattr(mapping, "MOST", 9)
    for arguments in (("text.txt",), ("labelled.tsv", "--labels")):
        with pytest.raises(CharRNNError, match="more than 9 lines"):
            run("forth.safetensors", *arguments, "--method", "tsne")
    assert len(table("forth.safetensors", "text.txt")) == 10


@pytest.mark.parametrize("module, extra", [("sklearn", "probe"), ("matplotlib", "plot")])
def test_without_an_extra_the_way_to_it_is_told(module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CharRNNError) as told:
        run("forth.safetensors", "text.txt", "--plot", "map.png")
    assert told.value.hint == f"Install it: pip install 'charrnn[{extra}]'"
    assert re.search("scikit-learn|matplotlib", told.value.message)
