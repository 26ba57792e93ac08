"""What is said at the end of training of the text that was held out."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from charrnn.api import held_out
from charrnn.api.evaluation import Evaluation
from charrnn.api.events import Measured
from charrnn.api.ngrams import NGrams, best, best_quick, is_quick, ngram_models, seconds_of_ngrams
from charrnn.cli.views import report
from charrnn.config import TrainConfig
from charrnn.data.corpus import Dataset, dataset
from charrnn.data.parts import Part
from charrnn.runs.folder import Run
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model


def told(capsys, nats, **facts):
    """Return what the report says of a validation that costs so many nats."""
    report.measured(Measured("validation", Evaluation(9_000, nats), 9_000, 9_000, **facts))
    return capsys.readouterr().err


@pytest.mark.parametrize("train", [2.0, 13.4])
def test_what_is_worse_than_frequencies_is_not_said_to_overfit(capsys, train):
    baselines = {"train_nats": train, "frequency_nats": 3.1416, "uniform_nats": 4.5}
    diverged = told(capsys, 13.4, **baselines)
    assert "worse than the frequencies of the characters alone (3.14 nats): training went wrong" in diverged
    assert "lower --lr" in diverged and "overfits" not in diverged
    # Nothing has gone wrong with what has hardly begun.
    for nats in (4.2, 4.6):
        early = told(capsys, nats, **baselines)
        assert "worse than the frequencies" in early and "Train again, for" in early and "overfits" not in early
    good = told(capsys, 3.1, **baselines)
    assert "frequencies" not in good and ("overfits" in good) == (train == 2.0)


def guessed(trained: str, held: str) -> float:
    """Return the nats a character of guessing `held` by the frequencies in `trained`, of "abcd"."""
    counts = Counter("abcd" + trained)
    return -sum(math.log(counts[c] / sum(counts.values())) for c in held) / len(held)


def part(text: str, **how) -> Part:
    return Part(np.array(["abcd".index(c) for c in text], np.uint8), **how)


def test_frequencies_are_those_of_the_training_part():
    trained, held = "aabacab" * 9, ("ab" * 30, "dd")
    found = held_out.frequency_nats(part(trained), [part(text) for text in held], 4)
    assert found == pytest.approx(guessed(trained, "".join(held)))


def test_only_what_counts_has_a_frequency():
    # After each c counts what follows it, to the line end d.
    train, held = part("abcaad" * 5, line_end=3, loss_after=2), part("bbcbd", line_end=3, loss_after=2)
    assert held_out.frequency_nats(train, [held], 4) == pytest.approx(guessed("aad" * 5, "bd"))
    assert math.isnan(held_out.frequency_nats(train, [held.cut(0, 2)], 4))


def test_of_a_long_text_some_stretches_are_counted(monkeypatch):
    monkeypatch.setattr("charrnn.data.parts.BLOCK", 4)
    monkeypatch.setattr(held_out, "COUNTED_STRETCHES", 2)
    # The first and the last.
    assert held_out.frequency_nats(part("aaaabbbbcccc"), [part("ac")], 4) == pytest.approx(guessed("aaaacccc", "ac"))


@pytest.mark.parametrize(("epoch", "known"), [(0.85, False), (1.5, True), ("x", False)])
def test_what_was_read_once_is_not_known_by_heart(epoch, known, monkeypatch, tmp_path):
    monkeypatch.setattr(held_out, "parts_of", lambda data: {"validation": ()})
    monkeypatch.setattr(held_out, "measure_in", lambda part, model, data, train_nats: train_nats)
    write_model(tmp_path / "best.safetensors", Vocabulary.of("ab"))
    (train_nats,) = held_out.measured(Run(tmp_path), None, [{"train_nats": 0.5, "epoch": epoch}])
    assert train_nats == (0.5 if known else None)


@pytest.fixture
def data(tmp_path) -> Dataset:
    (tmp_path / "text.txt").write_text("abracadabra, cadabra. " * 30)
    text = read_text([str(tmp_path / "text.txt")])
    return dataset(text, Vocabulary.of(text.symbols), TrainConfig(test=0.25))


def test_the_best_order_is_said_and_recorded(capsys, data):
    found = best_quick(data, data.parts.val)
    models = ngram_models(data, {"validation": data.parts.val, "test": data.parts.test})
    nats = [model.nats_per_char for model in models["validation"]]
    assert found == models["validation"][nats.index(min(nats))] and found.order > 1
    # Each part has its own figures.
    assert models["test"] == ngram_models(data, {"": data.parts.test})[""] != models["validation"]
    told(capsys, 2.0)
    said = told(capsys, 2.0, ngrams=found)
    assert (
        f"  The best n-gram model trained on the same training part (order {found.order} of 1 to 8) needs "
        f"{found.nats_per_char / math.log(2):.3f} bits per character.\n" in said
    )
    assert "n-gram" not in told(capsys, 2.0)
    event = Measured("validation", Evaluation(9_000, 2.0), 9_000, 9_000, ngrams=found)
    assert event.to_json()["ngrams"] == found.to_json()
    assert found.to_json()["bits_per_char"] == pytest.approx(found.nats_per_char / math.log(2))
    assert "ngrams" not in Measured("validation", Evaluation(9_000, 2.0), 9_000, 9_000).to_json()


def test_the_size_decides_whether_n_grams_are_counted(data, monkeypatch):
    characters = len(data.parts.train) + len(data.parts.val[0])
    monkeypatch.setattr("charrnn.api.ngrams.QUICK", characters)
    assert is_quick(data, data.parts.val) and best_quick(data, data.parts.val) is not None
    assert seconds_of_ngrams(data, data.parts.val) > 0
    monkeypatch.setattr("charrnn.api.ngrams.QUICK", characters - 1)
    assert best_quick(data, data.parts.val) is None and seconds_of_ngrams(data, data.parts.val) == 0
    # Models of labels predict no characters.
    monkeypatch.undo()
    assert best_quick(replace(data, classes=("a", "b")), data.parts.val) is None and best_quick(data, ()) is None


def test_of_equal_orders_the_lowest_is_the_best():
    assert best([NGrams(1, 2.0, 5), NGrams(2, 1.5, 9), NGrams(3, 1.5, 12)]).order == 2
