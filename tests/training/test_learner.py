"""The learner: what a trainer of a real network repeats to the bit, and what of it comes back from a checkpoint."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.parts import Part
from charrnn.data.splits import Split, split
from charrnn.errors import CharRNNError
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.model import Model
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.folder import Run
from charrnn.training.events import Ended, Evaluated, RolledBack, Stepped
from charrnn.training.learner import KerasLearner
from charrnn.training.trainer import Trainer
from support.shards import shards_of
from support.trainers import CORPUS, TEXT, VOCAB, Clock, assert_same, last, metrics, of, steps

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

# 5 streams, with TensorFlow in shards of 2 and 3; 16 steps an epoch.
CONFIG = TrainConfig(
    batch=5, seq=6, dropout=0.3, steps=40, warmup=5, eval_every=10, save_every=7, keep=100, patience=None, seed=3
)
# Attention sees more than a window: what it sees comes from the checkpoint.
MODEL = ModelConfig(cell="lstm", layers=2, units=6, attention=9)
SHARDS = shards_of(5, 2).count
# For what does not depend on the model: it is compiled in a fifth of the time.
QUICK = replace(CONFIG, dropout=0.0, optimizer="sgd", lr=0.5)
SMALL = ModelConfig(cell="rnn", layers=1, units=4)


def make_learner(config: TrainConfig = QUICK, model: ModelConfig = SMALL) -> KerasLearner:
    parts = split(Part(VOCAB.encode(TEXT)), config)
    return KerasLearner(model, VOCAB, config, parts, 1 if model == SMALL else SHARDS, engine="compiled")


def make_trainer(
    path: Path, config: TrainConfig = QUICK, model: ModelConfig = SMALL, resumed: Checkpoint | None = None
) -> Trainer:
    path.mkdir(exist_ok=True)
    learner = make_learner(config, model)
    return Trainer(Run(path), learner, model, VOCAB, config, CORPUS, resumed=resumed, clock=Clock())


def resume(path: Path, step: int, config: TrainConfig | None = None) -> Trainer:
    checkpoint = read_checkpoint(path / f"step-{step:08d}.safetensors", training=True)
    return make_trainer(path, config or checkpoint.training, checkpoint.model, checkpoint)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Path, list]:
    path = tmp_path_factory.mktemp("runs") / "unbroken"
    trainer = make_trainer(path, CONFIG, MODEL)
    assert trainer.learner.steps_per_epoch == 16 and trainer.learner.shards == SHARDS
    return path, list(trainer.events())


# Before the first evaluation, in the middle of an epoch; just after an evaluation.
@pytest.mark.parametrize("step", [7, 20])
def test_a_resumed_run_repeats_the_unbroken_one_to_the_bit(step, unbroken, tmp_path):
    path, events = unbroken
    again = tmp_path / "again"
    shutil.copytree(path, again)
    for newer in [s for s in steps(Run(path)) if s > step]:
        (again / f"step-{newer:08d}.safetensors").unlink()
    repeated = [event.nats for event in of(Stepped, resume(again, step).events())]
    assert repeated == [event.nats for event in of(Stepped, events)][step:]
    assert metrics(again) == metrics(path)
    for name in ("step-00000040.safetensors", "best.safetensors"):
        assert_same(*(read_checkpoint(folder / name, training=True) for folder in (again, path)))


@pytest.mark.parametrize(
    "model, settings",
    [
        (ModelConfig("gru", 1, 5, embedding=3), {"optimizer": "rmsprop", "schedule": "exponential", "decay_after": 1}),
        pytest.param(
            ModelConfig("rnn", 2, 5),
            {"optimizer": "sgd", "split": "char-rnn", "sum_gradients": True, "clip_norm": 0.1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_other_cells_and_optimizers_resume_as_well(model, settings, tmp_path):
    config = replace(CONFIG, steps=20, save_every=9, **settings)
    path, again = tmp_path / "unbroken", tmp_path / "again"
    losses = [event.nats for event in of(Stepped, make_trainer(path, config, model).events())]
    shutil.copytree(path, again)
    repeated = [event.nats for event in of(Stepped, resume(again, 9).events())]
    assert repeated == losses[9:]
    assert_same(last(Run(path)), last(Run(again)))


def test_weights_order_and_dropout_depend_on_the_seed():
    def losses(seed: int, dropout: float = 0.3) -> list[float]:
        learner = make_learner(replace(QUICK, seed=seed, dropout=dropout))
        return [learner.step(number, 0.5)[0] for number in range(3)]

    first = losses(3)
    assert losses(3) == first
    for other in (losses(4), losses(3, 0.0)):
        assert all(nats != others for nats, others in zip(first, other, strict=True))


def test_the_state_is_carried_and_begins_anew_with_every_epoch():
    learner, seen = make_learner(), []
    step = learner.train_step

    def watched(window, hidden, *rest):
        seen.append([np.array(field) for layers in hidden for state in layers for field in state])
        return step(window, hidden, *rest)

    learner.train_step = watched
    for number in range(35):
        learner.step(number, 0.1)
    fresh = [number for number, fields in enumerate(seen) if not any(field.any() for field in fields)]
    assert fresh == [0, 16, 32]


def test_what_is_read_ahead_is_what_is_read():
    straight, jumping = make_learner(), make_learner()
    for number in (0, 1, 2):
        straight.step(number, 0.1)
    kept = straight.state()
    straight.step(3, 0.1)
    jumping.step(9, 0.1)
    jumping.restore(kept)
    straight.restore(kept)
    assert jumping.step(3, 0.2) == straight.step(3, 0.2)


def test_a_state_comes_back_whole():
    learner = make_learner(CONFIG, MODEL)
    for number in range(3):
        learner.step(number, 0.01)
    kept = learner.state()
    assert all(array.any() for part in kept for name, array in part.items())
    after = [learner.step(number, 0.01) for number in (3, 4)]
    learner.restore(kept)
    for part, back in zip(kept, learner.state(), strict=True):
        assert part.keys() == back.keys() and all(part[name].tobytes() == back[name].tobytes() for name in part)
    assert [learner.step(number, 0.01) for number in (3, 4)] == after


def test_a_rollback_restores_the_arrays_of_the_last_good_state(tmp_path):
    trainer = make_trainer(tmp_path / "run", CONFIG, MODEL)
    real, spoilt = trainer.learner.train_step, []

    def train_step(window, hidden, number, rate):
        loss, hidden = real(window, hidden, number, rate)
        if number + 1 == 17 and not spoilt:
            spoilt.append(number)
            for variable in (trainer.learner.net.parameters["layer0/U"], trainer.learner.optimizer.variables[-1]):
                variable.assign(np.full(variable.shape, np.nan))
            return math.nan, hidden
        return loss, hidden

    trainer.learner.train_step = train_step
    for event in trainer.events():
        if isinstance(event, RolledBack):
            assert event.step == 14
            kept, now = last(trainer.run), trainer.learner.state()
            for part, back in zip((kept.weights, kept.slots, kept.state), now, strict=True):
                assert all(part[name].tobytes() == back[name].tobytes() for name in part)
    assert spoilt and event == Ended("budget", 40)


def test_the_best_checkpoint_is_the_best(unbroken):
    path, events = unbroken
    run, evaluations = Run(path), of(Evaluated, events)
    best = min(evaluations, key=lambda event: event.val_nats)
    model = Model.load(run.best)
    assert read_checkpoint(run.best).progress.best_step == best.step
    for name, weight in best.weights.items():
        assert (model.weights[name] == weight).all()
    parts = split(Part(model.vocab.encode(TEXT)), CONFIG)
    assert mean_nats(model, parts.val) == pytest.approx(best.val_nats, abs=1e-5)


def test_a_rate_far_too_high_is_an_error_in_words(tmp_path):
    # The first update takes the weights beyond what float32 holds; its loss is still a number.
    config = replace(QUICK, lr=1e38, weight_decay=100.0, schedule="constant", save_every=None, eval_every=1)
    with pytest.raises(CharRNNError, match="`lr`"):
        list(make_trainer(tmp_path / "run", config).events())
    assert not Run(tmp_path / "run").checkpoints()


def test_without_a_text_to_validate_on_there_is_no_estimate():
    assert make_learner(replace(QUICK, val=0.0)).estimate() is None
    assert make_learner().estimate().nats > 0


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path):
    list(make_trainer(tmp_path / "run", replace(QUICK, steps=1)).events())
    with pytest.raises(CharRNNError, match=r"optimizer slots do not fit adam"):
        resume(tmp_path / "run", 1, replace(QUICK, optimizer="adam"))


def test_slots_of_another_shape_are_refused():
    learner = make_learner()
    state = learner.state()
    state.slots["002"] = np.zeros(3, np.float32)
    with pytest.raises(CharRNNError, match="optimizer slots"):
        learner.restore(state)


def test_a_text_too_short_for_the_batch_is_refused():
    ids = VOCAB.encode(TEXT)[:20]
    with pytest.raises(CharRNNError, match="streams"):
        KerasLearner(SMALL, VOCAB, QUICK, Split(Part(ids)), 1)
    assert math.prod((QUICK.batch, QUICK.seq)) > len(ids)


# Gradients


def test_the_norms_of_gradients_are_those_of_the_step_that_comes():
    # Without momentum and clipping, a step at the rate 1 subtracts the gradients.
    plain = replace(CONFIG, optimizer="sgd", momentum=0.0, clip_norm=None, weight_decay=0.0)
    learner = make_learner(plain, MODEL)
    for number in range(3):
        learner.step(number, 0.5)
    norms, before = learner.gradient_norms(3), learner.state().weights
    learner.step(3, 1.0)
    after = learner.state().weights
    assert norms.keys() == before.keys()
    for name, norm in norms.items():
        assert norm == pytest.approx(np.linalg.norm((before[name] - after[name]).astype(np.float64)), rel=1e-3), name
    assert len({round(norm, 6) for norm in norms.values()}) == len(norms)


def test_asking_for_the_norms_changes_nothing(tmp_path):
    list(make_trainer(tmp_path / "unasked").events())
    trainer = make_trainer(tmp_path / "asked")
    for event in trainer.events():
        if isinstance(event, Stepped | Evaluated):
            assert trainer.learner.gradient_norms(event.step)
    assert_same(last(Run(tmp_path / "asked")), last(Run(tmp_path / "unasked")))
