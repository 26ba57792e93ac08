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


@pytest.mark.trains
def test_what_a_run_reads(runs):
    told = []
    how = {"reach": 9, "positions": 5}
    start, trained = charrnn.gradient_flow("forth", **how, tell=lambda *progress: told.append(progress))
    assert (start.start, start.step, trained.start, trained.step) == (True, None, False, 40)
    assert start.norms != trained.norms and start.positions == 5 and start.seed == CONFIG.seed
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted({done for done, _ in told})
    # The beginning of the validation part is the beginning of a text: no position is so near to it.
    held = charrnn.gradient_flow("forth", text=runs / "held.txt", **how)
    assert held == [start, trained]
    # The weights of the start are those of an untrained network with this seed.
    sizes = {"layers": 1, "units": 6, "seed": CONFIG.seed}
    (untrained,) = charrnn.gradient_flow(cell="gru", text=runs / "text.txt", **how, **sizes)
    same = charrnn.gradient_flow("forth", text=runs / "text.txt", **how)[0]
    assert untrained.norms == same.norms != start.norms
    # From the end: the text turned, read by the same weights.
    (runs / "turned.txt").write_text((runs / "held.txt").read_text()[::-1])
    assert charrnn.gradient_flow("back", **how)[1].norms == (
        charrnn.gradient_flow("forth", text=runs / "turned.txt", **how)[1].norms
    )
