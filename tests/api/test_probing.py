"""Probes: a planted unit is found; figures against scikit-learn's and by hand; the file, and what is wrong with it."""

import hashlib
import json
import math
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save

import charrnn
from charrnn.api import measures
from charrnn.api.fitting import probe
from charrnn.api.model import load
from charrnn.api.probe_report import named_units
from charrnn.api.probing import Probe
from charrnn.api.regression import STRENGTHS, fit
from charrnn.config import ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.runs import probe as module
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model
from support.occurrence import UNIT, texts_with_and_without, write_occurrence

TEXTS, LABELS = texts_with_and_without(200)
TEST = texts_with_and_without(60, seed=2)
# A change here is a change of the format: the files of before must still be read.
GOLDEN_SHA256 = "7a35ef7d743bde688a946e1c3c51a421ec3f02907f78597ee62208894b7ad43e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probing")
    write_occurrence(folder / "forth.safetensors")
    write_occurrence(folder / "back.safetensors", TextConfig(reverse=True), seed=5, of="a")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load(folder / "forth.safetensors")


@pytest.fixture(scope="module")
def fitted(model):
    return probe(model, TEXTS, LABELS, test=TEST, pool="last")


# What is found


def test_a_planted_unit_is_found_and_is_enough(fitted):
    found, report = fitted
    assert report.accuracy == report.probe.accuracy.value == 1 and report.probe.auc.value == 1
    for unit in (report.units[0], report.best_unit):
        assert (unit.unit, unit.part, unit.label) == (f"layer0/h/{UNIT}", None, "with") and unit.weight > 2
    assert abs(report.units[1].weight) < report.units[0].weight / 2
    assert report.one_unit.accuracy == measures.Share(60, 60)
    assert report.majority_label in report.labels == ("with", "without")
    assert report.majority.accuracy == measures.Share(TEST[1].count(report.majority_label), 60)
    assert (report.texts, report.held_out, report.width, report.used) == (200, 60, 8, 8)
    # Frequencies of characters tell the same, less surely.
    assert 0.8 < report.ngrams.accuracy.value <= 1
    assert [one.label for one in found.label(["abx", "ab", ""])] == ["with", "without", "without"]


def test_labels_that_nothing_tells_are_not_told(model):
    rng = random.Random(0)
    labels = [rng.choice("ab") for _ in TEXTS]
    _, report = probe(model, TEXTS, labels, test=(TEST[0], [rng.choice("ab") for _ in TEST[0]]), pool="last")
    low, high = report.probe.accuracy.interval
    assert low < 0.5 < high and abs(report.probe.auc.value - 0.5) < 0.2


def test_a_unit_is_named_with_its_run_and_its_half(folder, model):
    back = load(folder / "back.safetensors")
    for labels, unit in ((LABELS, (f"layer0/h/{UNIT}", "last", model.run)), (None, None)):
        if labels is None:
            labels = ["a" if "a" in text else "none" for text in TEXTS]
            unit = (f"layer0/h/{UNIT}", "last", back.run)
        found, report = probe([model, back], TEXTS, labels, pool="first-last")
        best = report.best_unit
        assert (best.unit, best.part, best.run) == unit and report.width == 32
        assert report.accuracy == 1 and [one.label for one in found.label(TEXTS[:40])] == labels[:40]


def test_with_l1_most_units_have_no_weight(model):
    _, report = probe(model, TEXTS, LABELS, test=TEST, pool="last", penalty="l1")
    assert report.accuracy == 1 and report.best_unit.unit == f"layer0/h/{UNIT}"
    assert 1 <= report.used < 8


def test_three_labels_and_a_unit_against_one(model):
    labels = ["with" if "x" in text else "short" if len(text) < 7 else "long" for text in TEXTS]
    for penalty in ("l2", "l1"):
        found, report = probe(model, TEXTS, labels, pool="last", penalty=penalty)
        counts = np.array(report.confusion)
        assert report.labels == ("long", "short", "with") and counts.sum() == report.held_out == 40
        assert counts[2].tolist() == [0, 0, counts[2].sum()] and counts[:2, 2].sum() == 0
        assert np.trace(counts) == report.probe.accuracy.right
        rows = found.probabilities(TEXTS)
        assert rows.shape == (200, 3) and np.abs(rows.sum(axis=1) - 1).max() < 1e-9


def test_weights_are_against_the_mean_of_the_others(model):
    embedder = model.embedder(pool="last")
    weights = np.array([[1.0, 0, -4], [0, 0, 2], [-1, 0, 2]])
    weights = np.concatenate([weights, np.zeros((3, 5))], axis=1)
    units = named_units(weights, [0, 2, 1], [embedder], ["run"], ("p", "q", "r"))
    assert [(unit.unit, unit.label, unit.weight) for unit in units] == [
        ("layer0/h/0", "p", 1.5),
        ("layer0/h/2", "p", -6.0),
        ("layer0/h/1", "p", 0.0),
    ]
    units = named_units(np.array([[0.5], [-0.5]]).repeat(8, axis=1), [0], [embedder], ["run"], ("p", "q"))
    assert (units[0].label, units[0].weight) == ("p", 1.0)


# Figures


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_probabilities_are_those_of_scikit_learn(classes, penalty):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    true = np.arange(120) % classes
    vectors = rng.normal(size=(120, 6)) + np.eye(6)[true]
    found = fit(vectors, true, (0.3,), penalty, 0)
    solver = {"l2": "lbfgs", "l1": "liblinear" if classes == 2 else "saga"}[penalty]
    exact = LogisticRegression(C=0.3, l1_ratio=float(penalty == "l1"), solver=solver, tol=1e-9, max_iter=10**5)
    exact.set_params(intercept_scaling=10.0, random_state=0).fit(vectors, true)
    assert np.abs(found.probabilities(vectors) - exact.predict_proba(vectors)).max() < (
        2e-3 if penalty == "l2" else 2e-2
    )
    assert found.weights.shape == (classes, 6) and found.bias.shape == (classes,) and found.converged


def test_a_loaded_probe_gives_the_probabilities_of_scikit_learn(folder, model, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    made = []
    original = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, x, y: made.append((self, x)) or original(self, x, y))
    found, report = probe(model, TEXTS, LABELS, test=TEST, pool="mean")
    found.save(folder / "same.safetensors")
    read = Probe.load(folder / "same.safetensors", model)
    last, x = next((fit, x) for fit, x in made if isinstance(x, np.ndarray) and x.shape == (200, 8) and x.dtype == "f8")
    assert report.probe.c == last.C
    vectors = model.embed(TEXTS, pool="mean").astype(np.float64)
    assert np.abs(x - (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)).max() < 1e-4
    assert np.abs(read.probabilities(TEXTS) - last.predict_proba(x)).max() < 1e-6


def test_the_strength_is_that_of_the_lowest_loss_in_cross_validation():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    rng = np.random.default_rng(1)
    true = np.arange(90) % 2
    vectors = rng.normal(size=(90, 12)) + true[:, None] * np.linspace(0, 1, 12)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=7).split(vectors, true))
    losses = []
    for c in STRENGTHS:
        models = [LogisticRegression(C=c, max_iter=5000).fit(vectors[train], true[train]) for train, _ in folds]
        pairs = zip(models, folds, strict=True)
        losses.append(sum(log_loss(true[test], one.predict_proba(vectors[test])) for one, (_, test) in pairs))
    best = STRENGTHS[int(np.argmin(losses))]
    assert STRENGTHS[0] < best < STRENGTHS[-1]
    assert fit(vectors, true, STRENGTHS, "l2", 7).c == best


def test_a_unit_that_never_changes_has_no_say(tmp_path):
    # Without a bias, all units of an empty text are 0; UNIT is 0 in all texts without an x.
    write_occurrence(tmp_path / "model.safetensors", of="f")
    model = load(tmp_path / "model.safetensors")
    texts = [text.replace("f", "a") for text in TEXTS]
    found, report = probe(model, texts, LABELS, pool="last")
    assert found.record.scale[UNIT] == 1 and found.record.mean[UNIT] == 0 and (found.record.scale > 0).all()
    assert report.used == 7 and np.isfinite(found.probabilities(["f"])).all()


def test_intervals_are_those_of_wilson():
    # By hand, and as in Newcombe (1998), table I: 81 of 263, and 1 of 29.
    assert measures.Share(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert measures.Share(1, 29).interval == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert measures.Share(0, 20).interval[0] == 0 and measures.Share(20, 20).interval[1] == 1
    assert all(map(math.isnan, (measures.Share(0, 0).value, *measures.Share(0, 0).interval)))


def test_areas_are_those_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    for labels in (2, 3, 5):
        true = rng.integers(labels, size=80)
        # Rounded, so that there are ties.
        scores = np.round(rng.random((80, labels)) + np.eye(labels)[true] / 2, 1)
        if labels == 2:
            scores[:, 0] = -scores[:, 1]
            expected = roc_auc_score(true, scores[:, 1])
        else:
            expected = np.mean([roc_auc_score(true == label, scores[:, label]) for label in range(labels)])
        area = measures.area(scores, true, 0)
        assert area.value == pytest.approx(expected, abs=1e-12)
        assert area.low < area.value < area.high and area == measures.area(scores, true, 0)
        assert 0.02 < area.high - area.low < 0.4 and area.low != measures.area(scores, true, 1).low
    # Three right of four pairs, one of which is a tie.
    assert measures.area(np.array([[0, 0.1], [0, 0.4], [0, 0.4], [0, 0.9]]), np.array([0, 0, 1, 1]), 0).value == 3.5 / 4
    assert math.isnan(measures.area(np.ones((3, 2)), np.zeros(3, int), 0).value)
    # A label that no text has does not count.
    scores = rng.random((40, 3))
    true = np.arange(40) % 2
    both = [roc_auc_score(true == label, scores[:, label]) for label in (0, 1)]
    assert measures.area(scores, true, 0).value == pytest.approx(np.mean(both))


def test_an_interval_of_an_area_covers_it_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(40):
        true = np.arange(60) % 2
        # Two normal distributions whose means differ by one deviation: the area is Phi(1 / sqrt 2).
        scores = rng.normal(true)
        area = measures.area(np.stack([-scores, scores], axis=1), true, seed)
        covered += area.low <= 0.7602 <= area.high
    assert 33 <= covered <= 40


# Held-out texts


def test_a_fifth_of_each_label_is_held_out_by_the_seed(model):
    labels = ["rare" if place % 10 == 0 else "often" for place in range(200)]
    _, report = probe(model, TEXTS, labels)
    counts = np.array(report.confusion).sum(axis=1)
    assert (report.texts, report.held_out, counts.tolist()) == (160, 40, [36, 4])
    again, other = (probe(model, TEXTS, labels, seed=seed)[1].to_json() for seed in (0, 1))
    assert again == report.to_json() and other["probe"] != again["probe"]
    json.dumps(again, allow_nan=False)


def test_few_texts_of_a_label_make_fewer_folds(model):
    labels = ["a", "a", "b", "b", "b", *["a"] * 30]
    _, report = probe(model, TEXTS[:35], labels)
    assert (report.texts, report.held_out) == (35 - 7, 7)


def test_labels_that_no_training_text_has_count_as_wrong(model):
    told = []
    texts = [*TEST[0], "abc", "cde"]
    labels = [*TEST[1], "new", "newer"]
    _, report = probe(model, TEXTS, LABELS, test=(texts, labels), pool="last", notify=told.append)
    assert report.probe.accuracy == measures.Share(60, 62) and report.probe.auc.value < 1.01
    assert report.true_labels == ("with", "without", "new", "newer") and len(report.confusion) == 4
    assert report.confusion[2] == (0, 1, 0, 0)
    assert "2 of the 62 held-out texts have a label that no training text has ('new', 'newer')" in told[0]


def test_texts_that_were_trained_on_are_told(model):
    told = []
    probe(model, TEXTS, LABELS, test=(["abc", TEXTS[4], TEXTS[9]], ["with", "without", "with"]), notify=told.append)
    assert "of the 3 held-out texts also occur among the training texts." in told[-1]


def test_reading_is_watched(model, monkeypatch):
    monkeypatch.setattr("charrnn.api.fitting.PORTION", 100)
    watched = []
    probe(model, TEXTS, LABELS, test=TEST, watch=lambda done, total: watched.append((done, total)))
    assert watched == [(0, 260), (100, 260), (200, 260), (260, 260)]


def test_texts_without_characters_have_no_ngrams(model):
    _, report = probe(model, [""] * 20, ["a", "b"] * 10)
    assert report.ngrams is None and report.to_json()["ngrams"] is None and report.probe.auc.value == 0.5


def test_a_model_of_bytes_reads_the_bytes_of_texts(tmp_path):
    write_model(tmp_path / "bytes.safetensors", Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True))
    model = load(tmp_path / "bytes.safetensors")
    texts = [text.replace("x", "漢") for text in TEXTS]
    found, _ = probe(model, texts, LABELS)
    assert (found.label(["漢"])[0].probability, found.record.width) != (0.5, 8)
    vector = model.embed(["漢"])
    expected = ((vector - found.record.mean) / found.record.scale) @ found.record.weights.T + found.record.bias
    row = found.probabilities(["漢"])[0]
    assert np.log(row[0] / row[1]) == pytest.approx(expected[0, 0] - expected[0, 1], abs=1e-4)


@pytest.mark.parametrize(
    "texts, labels, more, message",
    [
        (TEXTS, ["a"] * 200, {}, "All 200 texts have the same label, 'a'"),
        (TEXTS, ["a", *"b" * 199], {}, "This label has a single text: 'a'."),
        (TEXTS, [*map(str, range(199)), "0"], {}, "198 labels have a single text: '1', '10', '100', …."),
        (TEXTS[:4], [*"abab"], {}, "only two texts, so none can be held out"),
        (TEXTS, LABELS[1:], {}, "There are 200 texts, but 199 labels"),
        ([], [], {}, "`texts` has no texts"),
        (TEXTS, LABELS, {"test": ([], [])}, "`test` has no texts"),
        (TEXTS, LABELS, {"penalty": "l3"}, "`penalty` is 'l3'"),
        (TEXTS, LABELS, {"seed": -1}, "`seed` is -1"),
        (TEXTS, LABELS, {"pool": "sum"}, "`pool` is 'sum'"),
        (TEXTS, LABELS, {"layer": 4}, "`layer` is 4"),
        (TEXTS, "with", {}, "list of labels"),
        (TEXTS, [None] * 200, {}, "`labels` is"),
        ("with", LABELS, {}, "single text"),
        (TEXTS, LABELS, {"unknown": "error", "test": (["a", "☞"], ["with"] * 2)}, "Line 2 has"),
    ],
)
def test_what_cannot_be_probed_is_told(model, texts, labels, more, message):
    with pytest.raises(CharRNNError, match=message):
        probe(model, texts, labels, **more)


def test_models_are_models(model):
    for models in ([], "forth", [model, "forth"]):
        with pytest.raises(CharRNNError, match="`models` is"):
            probe(models, TEXTS, LABELS)


def test_a_missing_scikit_learn_is_told(model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(CharRNNError, match="not installed") as told:
        probe(model, TEXTS, LABELS)
    assert "pip install 'charrnn[probe]'" in told.value.hint


def test_labels_may_be_numbers(model):
    found, _ = probe(model, TEXTS, [int("x" in text) for text in TEXTS], pool="last")
    assert found.labels == ("0", "1") and found.label(["x"])[0].label == "1"


# The file


def record(**changed) -> module.ProbeRecord:
    """Return a probe of fixed values."""
    values = {
        "labels": ("no\t☞", "yes"),
        "models": (module.Source("/runs/one/best.safetensors", "ab" * 32, ("layer0/h",)),),
        "pool": "mean",
        "unknown": None,
        "penalty": "l2",
        "c": 0.1,
        "accuracy": 0.75,
        "mean": np.arange(3, dtype=np.float32),
        "scale": np.arange(1, 4, dtype=np.float32),
        "weights": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "bias": np.array([-0.5, 0.5], np.float32),
        "version": "0.1.0",
    }
    return module.ProbeRecord(**{**values, **changed})


def test_a_file_has_the_same_bytes_for_ever(tmp_path):
    path = tmp_path / "probe.safetensors"
    module.write_probe(path, record())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == GOLDEN_SHA256
    arrays = load_file(path)
    assert {name: (array.dtype, array.shape) for name, array in arrays.items()} == {
        "bias": (np.float32, (2,)),
        "mean": (np.float32, (3,)),
        "scale": (np.float32, (3,)),
        "weights": (np.float32, (2, 3)),
    }
    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["charrnn_probe"])
    assert list(facts) == [
        *("digest", "accuracy", "c", "format", "labels", "models", "penalty", "pool", "unknown", "version"),
    ]
    assert facts["models"] == [{"path": "/runs/one/best.safetensors", "digest": "ab" * 32, "fields": ["layer0/h"]}]
    # As docs/representations.md says: the SHA-256 of the file with zeros in its place.
    data = path.read_bytes()
    place = data.index(facts["digest"].encode())
    assert hashlib.sha256(data[:place] + b"0" * 64 + data[place + 64 :]).hexdigest() == facts["digest"]
    read = module.read_probe(path)
    for name, value in vars(record()).items():
        assert np.array_equal(getattr(read, name), value) and type(getattr(read, name)) is type(value), name


def refused(path: Path, data: bytes) -> str:
    # Some disks wait when a file is written over.
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    with pytest.raises(CharRNNError) as told:
        module.read_probe(path)
    assert str(path) in told.value.message and told.value.hint
    return told.value.message


def test_damage_is_noticed(tmp_path):
    path, data = tmp_path / "probe.safetensors", bytes(module.serialise(record()))
    header = 8 + struct.unpack("<Q", data[:8])[0]
    for length in range(len(data)):
        refused(path, data[:length])
    for place in range(len(data)):
        for bit in range(8) if place < header else (0, 7):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            refused(path, bytes(flipped))
    for more in (b"\0", data):
        refused(path, data + more)
    path.write_bytes(data)
    module.read_probe(path)


def forged(facts, arrays=None, header=None) -> bytes:
    """Return a file with these metadata and arrays, and a digest that fits them."""
    data = bytearray(
        save(arrays or {name: getattr(record(), name) for name in module.ARRAYS}, {"charrnn_probe": facts})
    )
    if data.startswith(module._START, 8):
        data[module._DIGITS] = b"0" * 64
        data[module._DIGITS] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def metadata(**changed) -> str:
    data = bytes(module.serialise(record()))
    with_digest = json.loads(json.loads(data[8 : data.index(b"}}") + 1 + 1])["__metadata__"]["charrnn_probe"])
    facts = {**with_digest, "digest": "0" * 64, **changed}
    return json.dumps({name: value for name, value in facts.items() if value is not ...}, separators=(",", ":"))


def test_a_forgery_without_changes_is_accepted(tmp_path):
    # Otherwise the refusals below would prove nothing.
    (tmp_path / "probe.safetensors").write_bytes(forged(metadata()))
    module.read_probe(tmp_path / "probe.safetensors")


@pytest.mark.parametrize(
    "changed",
    [
        *({name: ...} for name in ("accuracy", "c", "labels", "models", "penalty", "pool", "unknown", "version")),
        *({name: value} for name in ("c", "labels", "models", "version") for value in (None, {}, [], True, -1)),
        *({name: ""} for name in ("c", "labels", "models")),
        *({"c": c} for c in (0.0, -1.0, 10**400)),
        *({"accuracy": value} for value in (1.5, -0.1, "1", True, [])),
        *({"labels": value} for value in (["a"], ["a", "a"], ["a", 1], ["a", None], [["a"], ["b"]], ["a", "b", "c"])),
        *({"pool": value} for value in ("sum", None, [], 1)),
        *({"penalty": value} for value in ("l3", None, [])),
        *({"unknown": value} for value in ("other", [], 0)),
        *({"models": [value]} for value in (None, {}, "x", {"path": 1, "digest": "", "fields": ["layer0/h"]})),
        {"models": [{"path": "", "digest": "", "fields": []}]},
        {"models": [{"path": "", "digest": "", "fields": [1]}]},
        {"models": [{"path": "", "digest": "", "fields": ["layer0/h"], "more": 1}]},
        *({"format": value} for value in (0, True, None, "1", ..., 2)),
    ],
)
def test_a_forged_file_is_refused(changed, tmp_path):
    refused(tmp_path / "probe.safetensors", forged(metadata(**changed)))


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": np.zeros(4, np.float32)},
        {"mean": np.zeros((3, 1), np.float32)},
        {"scale": np.zeros(3, np.float32)},
        {"scale": np.array([1, -1, 1], np.float32)},
        {"scale": np.array([1, np.nan, 1], np.float32)},
        {"weights": np.full((2, 3), np.inf, np.float32)},
        {"weights": np.zeros((3, 2), np.float32)},
        {"bias": np.zeros(3, np.float32)},
        {"bias": np.zeros(2, np.float64)},
        {"more": np.zeros(2, np.float32)},
        {"bias": None},
        {"mean": None},
    ],
)
def test_forged_arrays_are_refused(changed, tmp_path):
    arrays = {name: getattr(record(), name) for name in module.ARRAYS} | changed
    arrays = {name: array for name, array in arrays.items() if array is not None}
    assert "damaged" in refused(tmp_path / "probe.safetensors", forged(metadata(), arrays))


def test_other_files_are_no_probes(folder, tmp_path):
    path = tmp_path / "file"
    assert "not a probe" in refused(path, (folder / "forth.safetensors").read_bytes())
    for data in (b"", b"text\n" * 100, bytes(1000), b"\x93NUMPY"):
        assert "is not a probe" in refused(path, data)
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(CharRNNError, match=str(place)):
            module.read_probe(place)


def test_only_a_probe_is_replaced(tmp_path, fitted):
    found, _ = fitted
    path = tmp_path / "probe.safetensors"
    for _ in range(2):
        found.save(path)
    before = path.read_bytes()
    (tmp_path / "text.txt").write_text("mine")
    (tmp_path / "link").symlink_to("probe.safetensors")
    for name in ("text.txt", "link", ".", "no folder/p.safetensors"):
        with pytest.raises(CharRNNError):
            found.save(tmp_path / name)
    assert (tmp_path / "text.txt").read_text() == "mine" and path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "probe.safetensors", "text.txt"]


# The models of a probe


def test_models_are_found_where_they_were_or_by_name(folder, model, fitted, tmp_path, monkeypatch):
    found, _ = fitted
    found.save(tmp_path / "probe.safetensors")
    expected = found.probabilities(TEXTS[:5])
    for run in (None, model, [model], str(folder / "forth.safetensors"), folder / "forth.safetensors"):
        read = Probe.load(tmp_path / "probe.safetensors", run)
        assert np.array_equal(read.probabilities(TEXTS[:5]), expected)
    # A run in the folder of runs, if the file is no longer where it was.
    gone = module.Source("/gone/one/best.safetensors", model.network.digest, ("layer0/h",))
    moved = record(
        labels=found.labels, pool="last", models=(gone,),
        **{name: getattr(found.record, name) for name in module.ARRAYS},
    )  # fmt: skip
    module.write_probe(tmp_path / "moved.safetensors", moved)
    with pytest.raises(CharRNNError, match="which does not exist") as told:
        Probe.load(tmp_path / "moved.safetensors")
    assert "`run`" in told.value.hint
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one/best.safetensors").write_bytes((folder / "forth.safetensors").read_bytes())
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(tmp_path / "runs"))
    assert np.array_equal(Probe.load(tmp_path / "moved.safetensors").probabilities(TEXTS[:5]), expected)
    assert Probe.load(tmp_path / "moved.safetensors", "one").labels == found.labels


def test_another_model_is_refused(folder, fitted, tmp_path):
    found, _ = fitted
    found.save(tmp_path / "probe.safetensors")
    with pytest.raises(CharRNNError, match=r"back\.safetensors is not the model with which"):
        Probe.load(tmp_path / "probe.safetensors", folder / "back.safetensors")
    with pytest.raises(CharRNNError, match="1 model, but 2 were named"):
        Probe.load(tmp_path / "probe.safetensors", ["one", "two"])
    with pytest.raises(CharRNNError, match="`run` is 3"):
        Probe.load(tmp_path / "probe.safetensors", 3)


def test_a_file_that_does_not_fit_its_model_is_refused(model, tmp_path):
    path = tmp_path / "probe.safetensors"
    for fields, message in ((["layer0/h"], "not 8"), (["layer7/c"], "has no layer7/c"), (["layer0/h"] * 2, "not 16")):
        source = module.Source(str(model.path), model.network.digest, tuple(fields))
        module.write_probe(path, record(models=(source,)))
        with pytest.raises(CharRNNError, match=message):
            Probe.load(path)


def test_a_model_without_a_file_cannot_be_saved(model, tmp_path):
    from charrnn.api.model import Model
    from charrnn.inference import model as inference

    network = inference.Model(model.config, model.vocab, model.network.weights)
    found, _ = probe(Model(network, Path("model")), TEXTS, LABELS)
    with pytest.raises(CharRNNError, match="not in a file"):
        found.save(tmp_path / "probe.safetensors")


def test_the_package_offers_probes(model):
    assert charrnn.Probe is Probe and charrnn.probe is probe
    assert model.config == ModelConfig("rnn", 1, 8)
