"""`charrnn train`: every setting's way from the command line to what is trained."""

import random
from dataclasses import fields, replace

import pytest
import typer
from typer.testing import CliRunner

from charrnn.api.presets import PRESETS
from charrnn.cli.app import app
from charrnn.config import DEFAULT_MINUTES, LABELLED_SEQ, ModelConfig, TextConfig, TrainConfig, with_records
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.fake_training import train_fakes
from support.models import write_model
from support.untrained import train_nothing

MODEL_VALUES = {"stack": "residual", "attention": 7, "cell": "gru", "layers": 3, "units": 9, "embedding": 5}
TRAIN_VALUES = {
    "batch": 16, "seq": 24, "dropout": 0.25, "optimizer": "rmsprop", "lr": 0.5, "epsilon": 0.125, "rho": 0.75,
    "momentum": 0.5, "weight_decay": 0.0625, "schedule": "constant", "warmup": 7, "decay": 0.5, "decay_after": 3,
    "clip_norm": 2.5, "clip_value": 3.5, "sum_gradients": True, "epochs": 1.5, "steps": 12, "minutes": 0.5,
    "patience": 4, "eval_every": 6, "save_every": 8, "keep": 9, "seed": 10, "split": "char-rnn", "val": 0.25,
    "test": 0.125, "precision": "bf16",
}  # fmt: skip

TEXT_VALUES = {
    "encoding": "latin-1", "errors": "replace", "newlines": "lf", "normalize": "nfkc", "lower": True, "bytes": True,
    "one_per_line": True, "documents_between": "e", "field": "text", "separator": "#", "reset_at_documents": True,
    "loss_after": "e", "reverse": True, "labels": True, "label_field": "label",
}  # fmt: skip
# What a value cannot be without.
NEEDED = {
    "loss_after": {"one_per_line": True}, "label_field": {"field": "text"}, "rho": {"optimizer": "rmsprop"},
    "momentum": {"optimizer": "sgd"},
    "decay": {"schedule": "exponential"}, "decay_after": {"schedule": "exponential"},
}  # fmt: skip


@pytest.fixture
def configs_of(tmp_path, monkeypatch, checkpoints):
    """Return a function from arguments of `charrnn train` to the configs that its trainer gets."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("abcdefgh\n" * 2000)
    records = tmp_path / "corpus.jsonl"
    records.write_text('{"text": "abcdefgh", "label": "a"}\n{"text": "hgfe", "label": "b"}\n' * 2000)
    labelled = tmp_path / "labelled.txt"
    labelled.write_text("a\tabcdefgh\nb\thgfe\n" * 2000)

    def run(*arguments: str) -> tuple[ModelConfig, TrainConfig, TextConfig]:
        seen = []
        train_nothing(monkeypatch, lambda job: seen.append((job.model, job.config, job.data.corpus.text.config)))
        text = records if "--field" in arguments else labelled if "--labels" in arguments else corpus
        result = CliRunner().invoke(app, ["train", str(text), *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return seen[0]

    return run


def test_without_options_the_defaults_arrive(configs_of):
    assert configs_of() == (ModelConfig(), TrainConfig(minutes=DEFAULT_MINUTES), TextConfig())


def test_every_field_has_an_option_of_its_name_and_default():
    options = {option.name: option for option in typer.main.get_command(app).get_command(None, "train").params}
    for kind, values in ((ModelConfig, MODEL_VALUES), (TrainConfig, TRAIN_VALUES), (TextConfig, TEXT_VALUES)):
        # The labels of a model come from its text.
        own = [field for field in fields(kind) if field.name != "classes"]
        assert {field.name for field in own} == set(values)
        for field in own:
            assert options[field.name].opts == ["--" + field.name.replace("_", "-")]
            assert options[field.name].default == field.default != values[field.name]


@pytest.mark.parametrize("name", [*MODEL_VALUES, *TRAIN_VALUES, *TEXT_VALUES])
def test_a_value_other_than_the_default_reaches_the_trainer(name, configs_of):
    value = {**MODEL_VALUES, **TRAIN_VALUES, **TEXT_VALUES}[name]
    needed = NEEDED.get(name, {})
    arguments = [word for option, other in {name: value, **needed}.items() for word in _words(option, other)]
    model, config, text = configs_of(*arguments)
    budget = {} if name in ("epochs", "steps", "minutes") else {"minutes": DEFAULT_MINUTES}
    if name in TEXT_VALUES:
        form = with_records(TextConfig(**{name: value}, **needed))
        split = {"split": "documents"} if form.divided else {}
        network = ModelConfig(classes=("a", "b") if form.labelled else None)
        seq = {"seq": LABELLED_SEQ} if form.labelled else {}
        expected = (network, TrainConfig(**budget, **split, **seq), form)
        assert (model, config, text) == expected
        return
    assert text == TextConfig()
    if name in MODEL_VALUES:
        assert (model, config) == (replace(ModelConfig(), **{name: value}), TrainConfig(**budget))
        return
    assert model == ModelConfig() and getattr(config, name) == value
    # Clipping by value takes the place of the default clipping by norm; no other option changes another setting.
    free = {"clip_norm"} if name == "clip_value" else set()
    others = {field.name for field in fields(TrainConfig)} - free - {name, *needed}
    assert all(getattr(config, other) == getattr(TrainConfig(**budget), other) for other in others)


def _words(name, value):
    flag = "--" + name.replace("_", "-")
    return [flag] if value is True else [flag, str(value)]


def test_an_option_without_effect_is_refused_though_it_is_the_default(configs_of):
    for arguments in (("--momentum", "0.9"), ("--preset", "char-rnn", "--val", "0.1"), ("--activation", "tanh")):
        with pytest.raises(CharRNNError, match=r"effect|is for"):
            configs_of(*arguments)


def test_zero_turns_off_what_has_an_off(configs_of):
    names = ("clip_norm", "clip_value", "patience", "eval_every", "save_every")
    arguments = [
        argument for name in ("embedding", "attention", *names) for argument in ("--" + name.replace("_", "-"), "0")
    ]
    model, config, _ = configs_of(*arguments)
    assert model.embedding is None and model.attention is None
    assert {getattr(config, name) for name in names} == {None}


def test_a_preset_gives_way_to_what_is_said(configs_of):
    model, config, _ = configs_of("--preset", "char-rnn")
    for name, value in PRESETS["char-rnn"].items():
        assert getattr(model if hasattr(model, name) else config, name) == value
    model, config, _ = configs_of("--preset", "char-rnn", "--units", "9", "--steps", "3", "--lr", "0.5")
    assert (model.units, model.layers, config.steps, config.epochs, config.lr) == (9, 2, 3, None, 0.5)


def test_an_rnn_with_relu_is_an_irnn(configs_of):
    assert configs_of("--cell", "rnn", "--activation", "relu")[0].cell == "irnn"
    for arguments in (("--activation", "relu"), ("--cell", "rnn", "--activation", "sine")):
        with pytest.raises(CharRNNError, match="`activation"):
            configs_of(*arguments)


def test_both_clippings_at_once_are_refused_in_words(configs_of):
    with pytest.raises(CharRNNError, match="clip"):
        configs_of("--clip-norm", "1", "--clip-value", "2")


def test_quiet_has_two_steps(tmp_path, monkeypatch):
    (tmp_path / "corpus.txt").write_text("".join(random.Random(1).choices("abcdefgh\n", k=20_000)))
    monkeypatch.chdir(tmp_path)
    train_fakes(monkeypatch)
    settings = {"units": 4, "layers": 1, "batch": 8, "seq": 16, "steps": 20, "eval-every": 10}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    said = []
    for quiet in ([], ["-q"], ["--quiet"], ["-qq"], ["-q", "--quiet"], ["-qqq"], ["-qq", "--json"]):
        result = CliRunner().invoke(app, ["train", "corpus.txt", *words, *quiet], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        said.append(result.stderr)
    everything, once, as_word, *nothing = said
    assert "\n  | " in everything and "\n  | " not in once and once.count("\n") == as_word.count("\n")
    for line in ("step 20: train ", "The model is ", "Sample from it: "):
        assert line in everything and line in once
    assert nothing == [""] * 4 and '"ended": "budget"' in result.stdout
    # What was asked for is not a warning.
    write_model(tmp_path / "trained.safetensors", Vocabulary.of("abc\nxyz"))
    with (tmp_path / "corpus.txt").open("a") as file:
        file.write("☞")
    for more, told in ((("--init", "trained.safetensors"), "Starting from a trained"), (("--min-count", "2"), "☞")):
        shape = words if more[0] != "--init" else words[4:]
        result, quiet = (
            CliRunner().invoke(app, ["train", "corpus.txt", *shape, *more, *quiet], catch_exceptions=False)
            for quiet in ((), ("-qq",))
        )
        assert told in result.stderr and (quiet.exit_code, quiet.stderr) == (0, "")
