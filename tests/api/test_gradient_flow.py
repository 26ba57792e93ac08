"""How far back gradients reach, from Python: the figures, what is read, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest

import charrnn
from charrnn.api.gradient_reach import ALL, figures, reaches
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.flows import flow
from support.models import random_weights

CHARACTERS = "\n abcdefgh"
MODEL = ModelConfig("gru", 1, 6)
CONFIG = TrainConfig(seed=5)


def write_run(folder, name, source, text=DEFAULT_TEXT, model=MODEL):
    read = read_text([source], text)
    vocab = Vocabulary.of(CHARACTERS)
    record = CorpusRecord((str(source),), read.sha256, len(read))
    weights = random_weights(model, vocab.size, "float32", 2.0, seed=3)
    (folder / name).mkdir()
    checkpoint = Checkpoint(model, vocab, weights, CONFIG, Progress(record, step=40), text=text)
    write_checkpoint(folder / name / "best.safetensors", checkpoint)


@pytest.fixture
def runs(checkpoints, tmp_path):
    """A folder with a text, `held.txt` with its last tenth, and runs of it, one of which reads from the end."""
    rng = np.random.default_rng(0)
    # Each character is there.
    text = CHARACTERS + "".join(rng.choice(list(CHARACTERS), 3000 - len(CHARACTERS)))
    (tmp_path / "text.txt").write_text(text)
    (tmp_path / "held.txt").write_text(text[2700:])
    write_run(checkpoints, "forth", tmp_path / "text.txt")
    write_run(checkpoints, "back", tmp_path / "text.txt", TextConfig(reverse=True))
    return tmp_path


def test_the_reach_is_where_the_norm_first_falls_below_a_hundredth():
    norms = np.array(
        [
            [2.0, 2.0, 2.0, 0.0, 1.0],
            [1.0, 0.021, 0.019, 0.0, 1e-9],
            [0.5, 0.019, 5.0, 0.0, 1.0],
            [0.1, 3.0, 5.0, 0.0, 1.0],
        ]
    )
    with np.errstate(divide="ignore"):
        assert reaches(np.log(norms)).tolist() == [4, 2, 1, 0, 1]


def test_the_figures_of_norms_that_shrink_evenly():
    found = flow((0.5, 0.1, 0.9), lags=30)
    # 0.5 ** 6 is above a hundredth, 0.5 ** 7 below; 0.1 ** 2 is a hundredth but for rounding; 0.9 ** 29 is above.
    assert found.reach == 7 and not found.is_open and found.reaches[0.9] in (7, 30)
    assert found.positions == 3 and found.lags == tuple(range(1, 31))
    assert found.norms[0.5][:3] == pytest.approx((3.0, 1.5, 0.75))
    assert found.relative[0.5][:3] == pytest.approx((1.0, 0.5, 0.25))
    assert found.relative[0.1][2] == pytest.approx(0.01)
    assert found.layers["layer0"][0] == pytest.approx(3.0 / math.e)
    assert found.factor == pytest.approx(0.5)
    assert flow((0.9,), lags=10).is_open and math.isnan(flow(lags=1).factor)


def test_norms_that_no_float_has_still_have_a_factor():
    found = flow((1e-20,), lags=40)
    assert found.norms[0.5][-1] == 0 and found.factor == pytest.approx(1e-20) and found.reach == 1


def test_norms_above_all_floats_are_the_largest_one():
    found = flow((1e20,), lags=40)
    assert 1e307 < found.norms[0.5][-1] == found.relative[0.5][-1] < math.inf
    assert found.factor == pytest.approx(1e20)


@pytest.mark.parametrize(("name", "most"), [("reach", 100_000), ("positions", 10_000)])
def test_more_than_memory_has_is_refused(name, most):
    with pytest.raises(CharRNNError, match=f"`{name}` .*at most {most}"):
        charrnn.gradient_flow(cell="rnn", **{name: most + 1})


def test_no_gradient_at_all():
    none = figures({ALL: np.full((3, 2), -np.inf)})
    assert none["reaches"] == {0.1: 0, 0.5: 0, 0.9: 0} and none["relative"][0.5] == (0, 0, 0) and none["factor"] == 0


def test_a_flow_is_frozen_and_has_names():
    found = flow()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.step = 3
    assert found.title == "corpus, step 400" and flow(run=None, start=True).title == "rnn 1x8, start"
    told = found.to_json()
    assert told["reach"] == found.reach and told["norms"]["0.5"] == list(found.norms[0.5])
    assert charrnn.GradientFlow is type(found)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (["forth"], {"cell": "rnn"}, "`cell` makes untrained networks, but the run forth was named too."),
        (["forth"], {"units": 3}, "`units` is for untrained networks"),
        (["forth"], {"seed": 3}, "`seed` is for untrained networks"),
        ([], {"cell": "rnn", "unitz": 3}, "There is no setting 'unitz'. Did you mean units?"),
        ([], {"cell": "klingon"}, "`cell` is 'klingon'"),
        ([], {"cell": "clockwork", "stack": "grid"}, "does not work with"),
        ([], {"cell": 3}, "`cell` is 3"),
        (["forth"], {"reach": 0}, "`reach` is 0"),
        (["forth"], {"positions": 0}, "`positions` is 0"),
        (["forth"], {"reach": 300}, "`reach` is 300, but no character that counts has so many before it: at most 299"),
        (["forth"], {"encoding": "utf-8"}, "`encoding` is for a text"),
        (["forth"], {"engine": "steam"}, "`engine` is 'steam'"),
        (["nobody"], {}, "There is no run 'nobody'"),
        (["labels"], {}, "labels predicts labels"),
        (["broken"], {}, "not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(runs, checkpoints, arguments, options, said):
    vocab = Vocabulary.of(CHARACTERS)
    if "labels" in arguments:
        (checkpoints / "labels").mkdir()
        model = ModelConfig("gru", 1, 6, classes=("a", "b"))
        made = Checkpoint(model, vocab, initial_weights(model, vocab.size, 0))
        write_checkpoint(checkpoints / "labels/best.safetensors", made)
    if "broken" in arguments:
        (checkpoints / "broken").mkdir()
        weights = {**initial_weights(MODEL, vocab.size, 0)}
        weights["output/b"] = weights["output/b"] * np.float32("nan")
        write_checkpoint(checkpoints / "broken/best.safetensors", Checkpoint(MODEL, vocab, weights))
    with pytest.raises(CharRNNError) as caught:
        charrnn.gradient_flow(*arguments, **options)
    assert said in str(caught.value)


@pytest.fixture
def networks(runs, monkeypatch):
    """Return a function that returns the networks whose gradients would be followed."""

    def of(*names, **how):
        found = []
        monkeypatch.setattr("charrnn.api.gradient_flow._flows", lambda network, *more: found.append(network) or ())
        monkeypatch.setattr("charrnn.api.gradient_flow.start", lambda *arguments, **how: 1)
        monkeypatch.setattr("charrnn.api.gradient_flow._engine", lambda *arguments: "framework")
        assert charrnn.gradient_flow(*names, reach=9, positions=5, **how) == []
        return found

    return of


def same(one, other):
    return all(np.array_equal(array, like) for array, like in zip(one.window[:3], other.window[:3], strict=True))


def test_a_run_reads_its_validation_part(networks, runs):
    (own,), (given,) = networks("forth"), networks("forth", text=runs / "held.txt")
    assert same(own, given) and own.window.inputs.shape == (256 + 9, 5)
    assert not same(own, networks("forth", text=runs / "text.txt")[0])
    assert (own.run, own.step, own.seed) == ("forth", 40, CONFIG.seed)
    (runs / "text.txt").write_text("changed")
    with pytest.raises(CharRNNError, match="has changed"):
        networks("forth")


def test_a_run_that_reads_from_the_end_does_so_here_too(networks, runs):
    (runs / "turned.txt").write_text((runs / "held.txt").read_text()[::-1])
    assert same(networks("back")[0], networks("forth", text=runs / "turned.txt")[0])


def test_untrained_networks_read_a_text_or_random_characters(networks, runs):
    one, other = networks(cell=["gru", "rnn"], text=runs / "text.txt", units=6, layers=1, seed=3)
    assert same(one, networks("forth", text=runs / "text.txt")[0]) and same(one, other)
    assert (one.model, other.model, one.vocab_size) == (MODEL, ModelConfig("rnn", 1, 6), len(CHARACTERS))
    assert one.trained is None and one.seed == 3
    (first,), (again,), (another,) = (networks(cell="gru", seed=seed) for seed in (1, 1, 2))
    assert same(first, again) and not same(first, another)
    assert len(np.unique(first.window.inputs)) > 60


def test_what_the_vocabulary_lacks(networks, runs):
    (runs / "odd.txt").write_text("abc" * 20 + "Z" + "abc" * 20)
    with pytest.raises(CharRNNError, match="'Z'"):
        networks("forth", text=runs / "odd.txt")
    told = []
    assert networks("forth", text=runs / "odd.txt", unknown="skip", notify=told.append) and "Z" in told[0]
    (runs / "empty.txt").write_text("")
    with pytest.raises(CharRNNError):
        networks(cell="rnn", text=runs / "empty.txt")


@pytest.mark.trains
def test_a_run_at_its_start_and_after_training(runs):
    told = []
    start, trained = charrnn.gradient_flow(
        "forth", reach=9, positions=5, tell=lambda *progress: told.append(progress), engine="framework"
    )
    assert (start.start, start.step, trained.start, trained.step) == (True, None, False, 40)
    assert start.positions == 5 and start.seed == CONFIG.seed and start.lags == tuple(range(1, 10))
    assert min(start.norms[0.1]) > 0 and start.norms != trained.norms
    # There is one layer, so it is all of the state.
    assert start.layers == {"layer0": start.norms[0.5]} and trained.layers == {"layer0": trained.norms[0.5]}
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted({done for done, _ in told})
