"""Training with labels: what is predicted, how well, that a run resumes exactly, and the use of the model."""

import json
import random
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import charrnn
from charrnn.config import TextConfig, TrainConfig
from charrnn.data.splits import Split
from charrnn.errors import CharRNNError
from charrnn.inference.labelling import figures
from charrnn.inference.model import Model
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord
from charrnn.training import validation
from charrnn.training.events import Evaluated, Stepped
from charrnn.training.learner import KerasLearner
from charrnn.training.learner_protocol import Estimate
from charrnn.training.trainer import Trainer
from charrnn.training.validation import Validation, whole_documents
from support.labelled import LABELS, MODEL, data_of, label_of, model_of, write_labelled
from support.models import random_weights
from support.shards import shards_of
from support.trainers import Clock, assert_same, make_trainer, of, steps


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("labelled") / "texts.tsv")


pytestmark = pytest.mark.trains
# `make test` runs these with JAX too.
both = pytest.mark.backend

TEXT = TextConfig(labels=True)
CONFIG = TrainConfig(
    batch=4, seq=7, dropout=0.3, steps=36, warmup=5, eval_every=9, save_every=6, keep=100, patience=None, seed=3,
    split="documents", val=0.3,
)  # fmt: skip


def trainer_of(path, folder, reverse: bool = False, resumed: Checkpoint | None = None) -> Trainer:
    folder.mkdir(exist_ok=True)
    data, config = data_of(path, CONFIG, reverse), CONFIG
    parts = data.parts.turned([]) if reverse else data.parts
    learner = KerasLearner(MODEL, data.corpus.vocab, config, parts, shards_of(4, 2).count, engine="compiled")
    record = CorpusRecord(("texts.tsv",), "0" * 64, len(data.corpus))
    return Trainer(
        Run(folder), learner, MODEL, data.corpus.vocab, config, record, data.corpus.text.config, resumed, clock=Clock()
    )


@both
@pytest.mark.parametrize("reverse", [False, True])
def test_the_estimate_is_what_the_model_says_of_the_validation_part(path, reverse):
    data, model = data_of(path, CONFIG, reverse), model_of(path, reverse, dtype="float32")
    parts = data.parts.turned([]) if reverse else data.parts
    learner = KerasLearner(MODEL, data.corpus.vocab, CONFIG, parts, 2, model.weights)
    found = Validation(learner.net, parts.val, data.corpus.vocab.start, 2).estimate()
    confusion, nats = figures(model, data.parts.val)
    assert found.nats == pytest.approx(nats, abs=1e-5)
    assert found.accuracy == pytest.approx(np.trace(confusion) / confusion.sum(), abs=1e-6)


@both
def test_a_resumed_run_repeats_the_unbroken_one_to_the_bit(path, tmp_path):
    unbroken, again = tmp_path / "unbroken", tmp_path / "again"
    events = list(trainer_of(path, unbroken).events())
    accuracies = [event.val_accuracy for event in of(Evaluated, events)]
    assert len(accuracies) == 4 and all(0 <= accuracy <= 1 for accuracy in accuracies)
    logged = [json.loads(line) for line in (unbroken / "metrics.jsonl").read_text().splitlines()]
    assert [record["val_accuracy"] for record in logged if record["val_nats"] is not None] == accuracies
    shutil.copytree(unbroken, again)
    for newer in [step for step in steps(Run(again)) if step > 12]:
        (again / f"step-{newer:08d}.safetensors").unlink()
    checkpoint = read_checkpoint(again / "step-00000012.safetensors", training=True)
    # In the middle of documents, what was pooled comes from the checkpoint.
    assert set(checkpoint.state) >= {"pool/total", "pool/count"} and checkpoint.state["pool/count"].max() > 0
    repeated = [event.nats for event in of(Stepped, trainer_of(path, again, resumed=checkpoint).events())]
    assert repeated == [event.nats for event in of(Stepped, events)][12:]
    for name in ("step-00000036.safetensors", "best.safetensors"):
        assert_same(*(read_checkpoint(folder / name, training=True) for folder in (again, unbroken)))


def test_the_best_step_has_the_highest_accuracy_and_then_the_lowest_loss(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    found = [Estimate(0.5, 0.6), Estimate(0.9, 0.8), Estimate(0.4, 0.7), Estimate(0.8, 0.8)]
    trainer.learner.estimates = list(found)
    bests = [event.best for event in of(Evaluated, trainer.events())]
    assert bests == [True, True, False, True]
    assert (trainer.progress.best_accuracy, trainer.progress.best_nats) == (0.8, 0.8)


def test_training_with_labels_learns_them_from_nothing_and_from_a_model_of_characters(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(tmp_path))
    plain = tmp_path / "plain.txt"
    plain.write_text("".join(line.split("\t")[1] + "\n" for line in path.read_text().splitlines()))
    size = {"units": 16, "layers": 1, "seq": 32, "batch": 16, "dropout": 0.0}
    charrnn.train(plain, name="language", one_per_line=True, steps=30, **size)
    runs = {
        "new": charrnn.train(path, name="new", labels=True, steps=200, lr=0.02, val=0.2, **size),
        "from": charrnn.train(path, name="from", labels=True, init="language", steps=200, lr=0.02, val=0.2,
                              **{name: size[name] for name in ("seq", "batch", "dropout")}),
    }  # fmt: skip
    for run in runs.values():
        assert run.validation.unit == "label" and run.validation.accuracy > 0.9, run
        assert run.best_accuracy == pytest.approx(run.validation.accuracy)
        model = run.load()
        texts = ["abab", "yab", "abxy", ""]
        assert [one.label for one in model.label(texts)] == [label_of(text) for text in texts]
        found = model.evaluate(path)
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        given = model.label([text for _, text in lines])
        right = sum(one.label == true for one, (true, _) in zip(given, lines, strict=True))
        assert (found.characters, found.right) == (300, right)
        assert np.array(found.confusion).sum() == 300
        assert model.evaluate_part("validation").right == run.validation.right
    # The trained weights were taken over, but for the output.
    for refused in (
        lambda m: m.sample(5),
        lambda m: m.score(["a"]),
        lambda m: m.next("a"),
        lambda m: m.complete(["a"]),
        lambda m: m.fill("a___"),
    ):
        with pytest.raises(CharRNNError, match="predicts labels"):
            refused(model)
    with pytest.raises(CharRNNError, match="predicts characters, not labels"):
        charrnn.load("language").label(["a"])
    with pytest.raises(CharRNNError, match="`label_field` is for models of labels"):
        charrnn.load("language").evaluate(plain, label_field="x")


def test_one_label_alone_is_refused(tmp_path):
    alone = tmp_path / "a.tsv"
    alone.write_text("same\tabc\n" * 50)
    with pytest.raises(CharRNNError, match="All texts have the label 'same'"):
        charrnn.train(alone, labels=True, steps=1, out=tmp_path)


def long_documents(tmp_path, lengths, config):
    """Return labelled texts of these lengths, as training reads them, all of them to validate on."""
    rng, path = random.Random(4), tmp_path / "long.tsv"
    texts = ["".join(rng.choices("abxyc", k=length)) for length in lengths]
    labels = [*rng.choices(LABELS, k=len(texts)), *LABELS]
    path.write_text("".join(f"{label}\t{text}\n" for label, text in zip(labels, [*texts, "a", "b", "c"], strict=True)))
    data = data_of(path, config)
    return data, data.corpus.part


@pytest.mark.parametrize("lengths", [[2500] * 30, [5000, 3, 20000, 1, 300] * 4, [7] * 900])
@pytest.mark.parametrize("most", [16384, 400])
def test_only_whole_documents_are_judged_in_an_estimate(lengths, most, tmp_path, monkeypatch):
    monkeypatch.setattr(validation, "LONGEST_LABELLED", most)
    config = replace(CONFIG, split="tail", val=0.0)
    data, part = long_documents(tmp_path, lengths, config)
    model = Model(MODEL, data.corpus.vocab, random_weights(MODEL, data.corpus.vocab.size, "float32"), TEXT)
    bounds = whole_documents(part)
    begins = {0, *part.starts.tolist()}
    assert all(low in begins and (high in begins or high == len(part)) for low, high in bounds)
    assert all(before[1] <= after[0] for before, after in pairwise(bounds)) and len(bounds) <= 64
    kept = sum(high - low for low, high in bounds)
    assert kept == len(part) if len(part) <= 64 * most else min(lengths) * 20 < kept <= len(part)
    # What is judged is judged as the model in use judges it.
    learner = KerasLearner(MODEL, data.corpus.vocab, config, Split(part, (part,)), 1, model.weights)
    found = Validation(learner.net, (part,), data.corpus.vocab.start, 1).estimate()
    confusion, nats = figures(model, [part.cut(low, high) for low, high in bounds])
    assert found.nats == pytest.approx(nats, abs=1e-4)
    assert found.accuracy == pytest.approx(np.trace(confusion) / confusion.sum(), abs=1e-6)


def test_a_tail_begins_with_a_document(tmp_path):
    config = replace(CONFIG, split="tail", val=0.3)
    data, part = long_documents(tmp_path, [5] * 40 + [12000], config)
    val, train = data.parts.val[0], data.parts.train
    assert train.counts(np.arange(len(train) - 1, len(train))).all()
    assert len(train) in part.starts and val.counted() + train.counted() == part.counted() == 44


@both
def test_labels_work_with_attention(path, tmp_path):
    model = replace(MODEL, attention=5)
    data = data_of(path, CONFIG)
    weights = random_weights(model, data.corpus.vocab.size, "float32")
    learner = KerasLearner(model, data.corpus.vocab, CONFIG, data.parts, 1, weights)
    found = learner.estimate()
    confusion, nats = figures(Model(model, data.corpus.vocab, weights, TEXT), data.parts.val)
    assert found.nats == pytest.approx(nats, abs=1e-5) and confusion.sum() > 50
    for step in range(3):
        loss, counted = learner.step(step, 0.01)
        assert np.isfinite(float(loss)) and counted is not None
