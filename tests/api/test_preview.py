"""The samples of evaluations: what is drawn, that the log has it, and that nothing depends on it."""

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from charrnn.api import history
from charrnn.api.model import Model
from charrnn.api.preview import CUT, preview
from charrnn.config import DEFAULT_TEXT, TextConfig
from charrnn.inference import model as inference
from charrnn.network.parameters import initial_weights
from charrnn.runs.folder import Run
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.jax.distributed import ALONE
from charrnn.training.events import Evaluated, RolledBack
from support.trainers import MODEL, VOCAB, after, assert_same, last, make_trainer, metrics, of, resume

WEIGHTS = initial_weights(MODEL, VOCAB.size, 7)
draw = partial(preview, MODEL, VOCAB, DEFAULT_TEXT)


def trainer(path, **settings):
    return make_trainer(path, draw=draw, **settings)


def test_it_is_what_the_model_samples():
    text = TextConfig(one_per_line=True)
    for form in (DEFAULT_TEXT, text, replace(text, reverse=True)):
        model = Model(inference.Model(MODEL, VOCAB, WEIGHTS, form, 2.0), Path())
        whole = model.sample(200, temperature=0.7, seed=30)
        assert preview(MODEL, VOCAB, form, WEIGHTS, 30, 2.0) == (whole if len(whole) <= CUT else whole[:CUT] + " …")
    assert draw(WEIGHTS, 30, 2.0) != draw(WEIGHTS, 31, 2.0)


def one_symbol(symbol: str, form: TextConfig) -> str | None:
    """Return the preview of a model that writes nothing but one symbol, and never ends a line."""
    vocab = Vocabulary.of(symbol + "\n")
    weights = initial_weights(MODEL, vocab.size, 0)
    bias = next(name for name, array in weights.items() if name.endswith("b") and array.shape == (vocab.size,))
    weights[bias] = np.where(np.arange(vocab.size) == vocab.encode(symbol)[0], 99, 0).astype(np.float32)
    return preview(MODEL, vocab, form, weights, 1, None)


def test_a_line_that_does_not_end_is_cut():
    assert one_symbol("x", replace(DEFAULT_TEXT, one_per_line=True)) == "x" * CUT + " …"
    # The mark is no byte.
    of_bytes = replace(DEFAULT_TEXT, bytes=True, one_per_line=True)
    assert one_symbol("x", of_bytes) == "x" * CUT + " …"


def test_bytes_are_shown_as_characters():
    assert one_symbol("\xff", replace(DEFAULT_TEXT, bytes=True)) == "\udcff" * 200


def test_a_model_of_labels_draws_nothing():
    assert preview(replace(MODEL, classes=("a", "b")), VOCAB, DEFAULT_TEXT, {}, 1, None) is None


def test_the_log_and_the_event_have_it_but_no_checkpoint(tmp_path):
    events = list(trainer(tmp_path / "run").events())
    made = {event.step: event.sample for event in of(Evaluated, events)}
    assert list(made) == [10, 20, 30, 40] and all(made.values()) and len(set(made.values())) == 4
    evaluation = of(Evaluated, events)[1]
    assert evaluation.sample == draw(evaluation.weights, 20, evaluation.val_nats)
    log = tmp_path / "run/metrics.jsonl"
    assert dict(history.samples_of(log)) == made
    run = Run(tmp_path / "run")
    assert len(last(run).history) == 4 and not any("sample" in record for record in last(run).history)
    # What readers of the course of training see is the same, wherever it is read.
    assert history.history_of(last(run).history, None) == history.history_of([], log)
    assert run.log.path.read_text().isascii()


def test_a_resumed_run_has_the_same_log_and_without_samples_it_trains_the_same(tmp_path):
    list(trainer(tmp_path / "unbroken").events())
    broken = trainer(tmp_path / "broken")
    list(after(broken, lambda event: setattr(broken, "interrupted", event.step == 25)))
    again = resume(tmp_path / "broken", 25, draw=draw)
    list(again.events())
    assert metrics(tmp_path / "broken") == metrics(tmp_path / "unbroken")
    assert sum("sample" in line for line in metrics(tmp_path / "broken")) == 4
    list(make_trainer(tmp_path / "without").events())
    assert [{**line, "sample": 0} for line in metrics(tmp_path / "without")] == [
        {**line, "sample": 0} for line in metrics(tmp_path / "unbroken")
    ]
    assert_same(last(Run(tmp_path / "without")), last(Run(tmp_path / "unbroken")))


def test_a_sample_that_fails_does_not_end_training(tmp_path):
    def fails(*arguments):
        raise MemoryError

    events = list(make_trainer(tmp_path / "run", draw=fails).events())
    assert [event.sample for event in of(Evaluated, events)] == [None] * 4
    assert not any("sample" in line for line in metrics(tmp_path / "run"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_weights_that_diverged_are_the_business_of_the_guard(tmp_path, value):
    def spoilt(learner, number):
        if number == 20 and not spoilt.done:
            spoilt.done = True
            learner.weights = {name: np.full_like(array, value) for name, array in learner.weights.items()}
            # The validation still says nothing.
            learner.estimates = [2.0]

    spoilt.done = False
    run = trainer(tmp_path / "run")
    run.learner.spoilt = spoilt
    events = list(run.events())
    assert len(of(RolledBack, events)) == (0 if np.isfinite(value) else 1)
    assert events[-1].reason == "budget"
    # The line of an evaluation from which training went back is no part of the log.
    # Weights that are finite but far too large draw nothing.
    steps = [10] if np.isfinite(value) else [10, 20, 30, 40]
    assert [step for step, _ in history.samples_of(tmp_path / "run/metrics.jsonl")] == steps


def test_only_the_first_process_draws(tmp_path):
    run = trainer(tmp_path / "run", processes=replace(ALONE, id=1))
    assert run._sample(2.0) is None
    run.processes = ALONE
    assert run._sample(2.0) is not None


def test_the_exact_figures_are_found_after_the_longest_samples(tmp_path):
    log = tmp_path / "metrics.jsonl"
    lines = [{"step": step, "train_nats": 1.0, "val_nats": 1.0, "sample": "\U0001f600" * 400} for step in range(9)]
    lines.append({"step": 8, "part": "validation", "characters": 5, "nats_per_char": 1.0})
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert log.stat().st_size > history.TAIL
    assert history.figures_of(log, 8)["validation"]["characters"] == 5
    assert [step for step, _ in history.samples_of(log)] == list(range(9))
    assert len(history.history_of([], log)) == 9


def test_odd_logs_have_no_samples(tmp_path):
    log = tmp_path / "metrics.jsonl"
    assert history.samples_of(log) == []
    log.write_text('{"step": 1, "sample": 3}\n{"step": 2}\n{"sample": "x"}\nnot JSON\n{"step": 4, "sample": "y"}')
    assert history.samples_of(log) == [(4, "y")]
    os.mkfifo(tmp_path / "fifo")
    assert history.samples_of(tmp_path / "fifo") == []
