"""From what was given, by name, to the settings of a run."""

import math
from dataclasses import fields

import pytest

from charrnn.api.presets import PRESETS
from charrnn.api.settings import NAMES, settings
from charrnn.config import DEFAULT_MINUTES, DEFAULT_RATES, ModelConfig, TextConfig, TrainConfig, with_records
from charrnn.errors import CharRNNError
from charrnn.training.schedules import learning_rate

# Another value than the default, for each setting.
OTHER = {
    "cell": "gru",
    "layers": 3,
    "units": 7,
    "embedding": 5,
    "stack": "residual",
    "attention": 7,
    "batch": 3,
    "seq": 4,
    "dropout": 0.1,
    "optimizer": "sgd",
    "lr": 0.25,
    "epsilon": 0.5,
    "rho": 0.75,
    "momentum": 0.5,
    "weight_decay": 0.25,
    "schedule": "constant",
    "warmup": 7,
    "decay": 0.5,
    "decay_after": 3,
    "clip_norm": 2.0,
    "clip_value": 3.0,
    "sum_gradients": True,
    "epochs": 2.0,
    "steps": 9,
    "minutes": 1.5,
    "patience": 4,
    "eval_every": 6,
    "save_every": 8,
    "keep": 2,
    "seed": 11,
    "precision": "bf16",
    "split": "documents",
    "val": 0.2,
    "test": 0.25,
    "encoding": "latin-1",
    "errors": "replace",
    "newlines": "lf",
    "normalize": "nfc",
    "lower": True,
    "bytes": True,
    "one_per_line": True,
    "documents_between": "\n\n",
    "field": "text",
    "separator": "|",
    "reset_at_documents": True,
    "loss_after": "\t",
    "reverse": True,
    "labels": True,
    "label_field": "label",
}
# What a setting cannot be had without.
WITH = {
    "loss_after": {"one_per_line": True},
    "label_field": {"field": "text"},
    "rho": {"optimizer": "rmsprop"},
    "momentum": {"optimizer": "sgd"},
    "decay": {"schedule": "exponential"},
    "decay_after": {"schedule": "exponential"},
}


def test_every_setting_is_tried():
    every = {field.name for kind in (ModelConfig, TrainConfig, TextConfig) for field in fields(kind)}
    # The labels of a model come from its text.
    assert set(OTHER) == every - {"classes"}
    assert set(OTHER) | {"preset", "activation"} == set(NAMES)


@pytest.mark.parametrize("name", OTHER)
def test_a_value_that_is_given_reaches_its_place(name):
    made = settings({name: OTHER[name], **WITH.get(name, {})})
    found = [getattr(kind, name) for kind in (made.model, made.train, made.text) if hasattr(kind, name)]
    assert found == [OTHER[name]]


def test_what_is_not_given_is_the_default():
    made = settings({})
    assert (made.model, made.text) == (ModelConfig(), TextConfig())
    assert made.train == TrainConfig(minutes=DEFAULT_MINUTES)


def test_a_preset_gives_way_to_what_is_given():
    preset = settings({"preset": "char-rnn"})
    assert {name: getattr(preset.train, name) for name in ("batch", "epochs", "clip_value")} == {
        name: PRESETS["char-rnn"][name] for name in ("batch", "epochs", "clip_value")
    }
    assert preset.train.minutes is None
    made = settings({"preset": "char-rnn", "batch": 7, "steps": 3})
    # A budget that is given replaces the preset's.
    assert (made.train.batch, made.train.steps, made.train.epochs, made.train.seq) == (7, 3, None, 50)
    # Another optimizer has its own rate, and nothing of the preset's.
    other = settings({"preset": "char-rnn", "optimizer": "sgd"}).train
    assert (other.rate, other.rho, other.epsilon, other.batch) == (DEFAULT_RATES["sgd"], None, None, 50)
    same = settings({"preset": "char-rnn", "optimizer": "rmsprop"}).train
    assert (same.rate, same.rho) == (2e-3, 0.95)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_settings_and_every_setting_of_it_arrives(preset):
    made = settings({"preset": preset})
    values = {**vars(made.model), **vars(made.train)}
    assert {name: values[name] for name in PRESETS[preset]} == PRESETS[preset]
    # What it does not set has no effect beside what it sets, or is the default.
    assert made.train.minutes == (DEFAULT_MINUTES if preset == "min-char-rnn" else None)
    assert made.text == TextConfig()


def test_the_presets_are_what_their_programs_do_by_default():
    """Facts of train.lua (karpathy, jcjohnson), of the gist, and of textgenrnn.py, model.py."""
    facts = {
        "char-rnn": ("lstm", 2, 128, None, 50, 50, "rmsprop", 2e-3, 5.0, True, 50),
        "min-char-rnn": ("rnn", 1, 100, None, 1, 25, "adagrad", 0.1, 5.0, True, None),
        "torch-rnn": ("lstm", 2, 128, 64, 50, 50, "adam", 2e-3, 5.0, False, 50),
        "textgenrnn": ("lstm", 2, 128, 100, 128, 40, "adam", 4e-3, None, False, 50),
    }
    for preset, expected in facts.items():
        model, train = (made := settings({"preset": preset})).model, made.train
        found = (
            model.cell, model.layers, model.units, model.embedding, train.batch, train.seq, train.optimizer,
            train.rate, train.clip_value, train.sum_gradients, train.epochs,
        )  # fmt: skip
        assert (found, train.clip_norm, train.dropout, train.patience) == (expected, None, 0.0, None), preset
    assert set(facts) == set(PRESETS)


def test_the_rate_of_torch_rnn_falls_as_its_own_does_over_five_epochs():
    train = settings({"preset": "torch-rnn"}).train
    fall = [learning_rate(train, epoch, None, 1) / train.rate for epoch in range(50)]
    own = [0.5 ** ((epoch + 1) // 5) for epoch in range(50)]
    for first in range(4, 49, 5):
        assert math.prod(fall[first : first + 5]) == pytest.approx(math.prod(own[first : first + 5]), rel=0.02)


def test_clipping_by_norm_replaces_a_presets_clipping_by_value():
    train = settings({"preset": "char-rnn", "clip_norm": 1.0}).train
    assert (train.clip_norm, train.clip_value) == (1.0, None)


def test_clipping_by_value_turns_clipping_by_norm_off_unless_both_are_given():
    assert settings({"clip_value": 1.0}).train.clip_norm is None
    with pytest.raises(CharRNNError, match="`clip_norm` and `clip_value` exclude each other"):
        settings({"clip_value": 1.0, "clip_norm": 1.0})


def test_how_a_text_is_read_is_taken_over_but_for_what_is_given():
    before = TextConfig(lower=True, newlines="lf")
    assert settings({"lower": False}, before).text == TextConfig(newlines="lf")


def test_what_is_given_of_documents_replaces_what_another_text_says_of_them():
    records = with_records(TextConfig(field="text", lower=True))
    assert settings({}, records).text == TextConfig(lower=True)
    marked = TextConfig(documents_between="%%\n", loss_after="\t")
    assert settings({"one_per_line": True}, marked).text == TextConfig(one_per_line=True, loss_after="\t")
    assert settings({"field": "a"}, marked).text == with_records(TextConfig(field="a", loss_after="\t"))
    assert settings({"separator": "|"}, TextConfig(one_per_line=True)).text == TextConfig(separator="|")
    assert settings({"lower": True}, marked).text == TextConfig(documents_between="%%\n", loss_after="\t", lower=True)


def test_records_are_documents_of_two_parts_too():
    text = settings({"field": "a", "loss_after": "\t"}).text
    assert text.resets and text.loss_after == "\t"
    with pytest.raises(CharRNNError, match="`loss_after` needs documents"):
        settings({"field": "a", "separator": "|", "loss_after": "\t"})


@pytest.mark.parametrize("given", [{"documents_between": "%%"}, {"field": "a"}, {"reset_at_documents": True}])
def test_documents_are_not_cut_as_a_preset_cuts_a_text(given):
    assert settings({"preset": "char-rnn", **given}).train.split == TrainConfig().split
    assert settings({"preset": "char-rnn", "split": "char-rnn", **given}).train.split == "char-rnn"


@pytest.mark.parametrize(("old", "new"), [("lines", "one_per_line"), ("corpus_changed_ok", "allow_changed_text")])
def test_an_older_name_of_a_setting_leads_to_its_name(old, new):
    with pytest.raises(CharRNNError, match=f"There is no setting `{old}`") as caught:
        settings({old: True})
    assert f"`{new}`" in caught.value.hint


def test_a_relu_is_the_cell_irnn():
    assert settings({"cell": "rnn", "activation": "relu"}).model.cell == "irnn"
    assert settings({"cell": "rnn", "activation": "tanh"}).model.cell == "rnn"
    assert settings({"cell": "irnn", "activation": "relu"}).model.cell == "irnn"
    for activation in ("tanh", "relu"):
        with pytest.raises(CharRNNError, match="is for `cell='rnn'`; gru has"):
            settings({"cell": "gru", "activation": activation})
    with pytest.raises(CharRNNError, match="`cell='irnn'` has the activation relu"):
        settings({"cell": "irnn", "activation": "tanh"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        # The default, too, says that it was meant to have an effect.
        ({"momentum": 0.9}, "`momentum` has no effect with `optimizer='adam'`; it is for `optimizer='sgd'`."),
        ({"rho": 0.9}, "`rho` has no effect with `optimizer='adam'`; it is for `optimizer='rmsprop'` or adadelta."),
        ({"rho": 0.9, "optimizer": "sgd"}, "`rho` has no effect with `optimizer='sgd'`"),
        ({"epsilon": 1e-8, "optimizer": "sgd"}, "`epsilon` has no effect with `optimizer='sgd'`"),
        # What a preset says decides as what is given does, and gives way to it.
        ({"warmup": 5, "preset": "char-rnn"}, "`warmup` has no effect with `schedule='exponential'`"),
        ({"val": 0.2, "preset": "char-rnn"}, "`val` has no effect with `split='char-rnn'`"),
        ({"val": 0.0, "split": "char-rnn"}, "`val` has no effect with `split='char-rnn'`"),
        ({"decay": 0.9, "schedule": "constant"}, "`decay` has no effect with `schedule='constant'`"),
        ({"decay_after": 3, "preset": "char-rnn", "schedule": "cosine"}, "`decay_after` has no effect"),
        ({"patience": 3, "val": 0}, "`patience` counts evaluations; it has no effect with `val=0`."),
        (
            {"split": "documents", "val": 0.0},
            "`split` chooses the validation or test part; it has no effect with `val=0`.",
        ),
    ],
)
def test_what_can_have_no_effect_is_refused(given, said):
    with pytest.raises(CharRNNError) as caught:
        settings(given)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "given",
    [
        {"preset": "char-rnn", "optimizer": "sgd", "schedule": "cosine", "warmup": 5, "split": "tail", "val": 0.2},
        {"preset": "char-rnn", "rho": 0.9, "decay": 0.9},
        {"optimizer": "adadelta", "rho": 0.9, "epsilon": 1e-8},
        {"rho": None, "epsilon": None, "optimizer": "sgd", "momentum": 0.5},
        {"val": 0, "patience": None},
        {"val": 0, "test": 0.1, "split": "documents"},
        {"preset": "char-rnn", "patience": 3},
    ],
)
def test_what_has_an_effect_is_not(given):
    assert settings(given).train


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"unit": 3}, "There is no setting `unit`. Did you mean units?"),
        ({"preset": "x"}, "There is no preset 'x'; the presets are char-rnn, min-char-rnn, torch-rnn, textgenrnn."),
        ({"activation": "gelu"}, "`activation` is 'gelu'; it must be one of tanh, relu."),
        ({"units": 0}, "`units` is 0; it must be at least 1."),
        ({"units": "many"}, "`units` is 'many'; it must be of the type int."),
        ({"lr": "low"}, "`lr` is 'low'; it must be of the type float | None."),
        ({"lower": 1}, "`lower` is 1; it must be of the type bool."),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_parameter(given, said):
    with pytest.raises(CharRNNError) as caught:
        settings(given)
    assert str(caught.value) == said


def test_a_number_of_numpy_becomes_pythons():
    import numpy as np

    made = settings({"units": np.int64(5), "lr": np.float32(0.5)})
    assert type(made.model.units) is int and type(made.train.lr) is float
