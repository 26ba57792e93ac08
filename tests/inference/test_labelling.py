"""The labels that a model gives to texts, and what training reads of labelled texts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import charrnn
from charrnn.api.labels import Labeller
from charrnn.config import TrainConfig
from charrnn.data.batches import Streams
from charrnn.data.corpus import as_ids
from charrnn.inference.labelling import figures, probabilities
from charrnn.inference.reading import LineReader
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.text.reader import read_text
from support.labelled import LABELS, MODEL, data_of, judged, label_of, model_of, write_labelled


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("labelled") / "texts.tsv")


@pytest.mark.parametrize("reverse", [False, True])
def test_probabilities_are_those_of_each_text_alone(path, reverse):
    model = model_of(path, reverse)
    texts = ["", "x", "abxyc", "ccc", *("yxab"[: n % 5] for n in range(40))]
    found = Labeller(LineReader(model, model.reads)).probabilities(texts)
    for given, text in zip(found, texts, strict=True):
        assert np.abs(given - judged(model, text[::-1] if reverse else text)).max() < 1e-6
    assert np.abs(found[1] - found[2]).max() > 1e-3


def test_compiled_code_gives_the_same_labels(path):
    model = model_of(path, config=replace(MODEL, units=16), dtype="float32")
    ids = [model.vocab.encode(text) for text in ("abxyc", "", "cab", "yyyyyyy") * 9]
    found = {}
    for engine in ("numpy", "compiled"):
        model.engine = engine
        found[engine] = probabilities(model, ids)
    assert np.abs(found["numpy"] - found["compiled"]).max() < 1e-5


def test_figures_count_what_was_given_to_what(path):
    config = TrainConfig(split="documents", val=0.3)
    data, model = data_of(path, config), model_of(path)
    confusion, nats = figures(model, data.parts.val)
    expected, cost = np.zeros((3, 3), int), []
    for part in data.parts.val:
        bounds = [*part.starts.tolist(), len(part)]
        for low, high in pairwise(bounds):
            text = model.vocab.decode(part.ids(low, high - 1))
            true, given = LABELS.index(label_of(text)), judged(model, text)
            expected[true, given.argmax()] += 1
            cost.append(-np.log(given[true]))
    assert np.array_equal(confusion, expected) and 60 < expected.sum() < 120
    assert nats == pytest.approx(np.mean(cost), abs=1e-6)


def test_windows_have_labels_as_targets_where_documents_end(path):
    part = data_of(path, TrainConfig(val=0.0)).parts.train
    streams = Streams(part, 3, 16, 1, 9)
    count = 0
    for step in range(streams.steps_per_epoch):
        window = streams.window(step)
        assert window.weights.max() == 1 and set(np.unique(window.weights)) == {0.0, 1.0}
        ended = window.weights > 0
        count += int(ended.sum())
        # After the end of a document, the next begins with the start symbol.
        assert (window.inputs[1:][ended[:-1]] == 9).all() and window.reset[1:][ended[:-1]].all()
        assert window.targets.max() < len(LABELS)
    assert count > 200


def test_a_checkpoint_with_labels_comes_back(path, tmp_path):
    model = model_of(path, dtype="float32")
    file = tmp_path / "model.safetensors"
    write_checkpoint(file, Checkpoint(model.config, model.vocab, model.weights, text=model.text))
    again = charrnn.load(str(file))
    assert again.config == model.config and again.text == model.text
    assert again.config.title == "gru 2x6 (3 labels)"
    assert as_ids(read_text([path], model.text), model.vocab, classes=LABELS).part.counted() == 300
