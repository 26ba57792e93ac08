"""What a run that goes on may be given anew, and what is said of it; a fake learner trains."""

import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.fake_training import train_fakes
from support.untrained import train_nothing

TINY = {"units": 4, "layers": 1, "batch": 2, "seq": 8, "cell": "rnn"}
TEXT = "a bad cafe\n" * 40


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_fakes(monkeypatch)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def trained(name="run", **settings):
    return charrnn.train("text.txt", name=name, **{**TINY, "steps": 60, **settings})


def command(*arguments):
    """Return the exit code of `charrnn train` and all that it said."""
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit | CharRNNError), result.exception
    error = result.exception if isinstance(result.exception, CharRNNError) else None
    return result.exit_code, result.stderr + (str(error) if error else "")


# Characters that the model lacks


def test_new_characters_on_resume_name_the_new_run_that_can_have_them(folder):
    trained()
    (folder / "new text.txt").write_text(TEXT + "é☞\n")
    with pytest.raises(CharRNNError, match=r"lacks characters of new text\.txt: 'é'") as caught:
        charrnn.resume("run", corpus="new text.txt", corpus_changed_ok=True, steps=9)
    assert caught.value.hint.endswith(": charrnn train 'new text.txt' --init run")
    list(charrnn.train_events("new text.txt", init="run", steps=3))
    assert {"run", "new-text"} == {run.name for run in charrnn.list_runs()}


def test_a_text_that_grew_where_it_lies_is_named_as_the_run_knows_it(folder):
    trained(out="elsewhere")
    with open(folder / "text.txt", "a") as file:
        file.write("ß")
    with pytest.raises(CharRNNError) as caught:
        charrnn.resume("elsewhere/run", corpus_changed_ok=True, steps=9)
    assert caught.value.hint.endswith(f": charrnn train {folder / 'text.txt'} --init elsewhere/run")


def test_new_characters_of_the_text_that_validates(folder):
    (folder / "val.txt").write_text(TEXT)
    trained(val_file="val.txt")
    (folder / "val.txt").write_text(TEXT + "ß")
    with pytest.raises(CharRNNError, match=r"lacks characters of .*val\.txt") as caught:
        charrnn.resume("run", corpus="text.txt", corpus_changed_ok=True, steps=9)
    assert caught.value.hint.endswith(f": charrnn train text.txt --val-file {folder / 'val.txt'} --init run")


@pytest.mark.parametrize("lacking", [{"corpus": "new.txt"}, {"corpus": "text.txt", "val_file": "new.txt"}])
def test_a_vocabulary_file_that_lacks_characters_names_what_train_has(lacking, folder, monkeypatch):
    train_nothing(monkeypatch)
    (folder / "new.txt").write_text(TEXT + "é")
    Vocabulary.of(TEXT).save("vocab.json")
    with pytest.raises(CharRNNError, match=r"lacks characters of new\.txt") as caught:
        charrnn.train(vocab="vocab.json", **lacking)
    assert "charrnn vocab TEXT -o FILE" in caught.value.hint and "unknown" not in caught.value.hint
