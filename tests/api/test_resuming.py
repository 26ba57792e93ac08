"""What a run that goes on may be given anew, and what is said of it; a fake learner trains."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import charrnn
import charrnn.api.session
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.config import TrainConfig
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.schedules import learning_rate
from support.fake_training import train_fakes
from support.trainers import assert_same
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


def options(settings):
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def test_what_has_no_effect_on_the_schedule_is_refused(folder):
    trained(schedule="constant")
    for name, value in (("warmup", 5), ("decay", 0.5), ("decay_after", 1)):
        with pytest.raises(CharRNNError, match=f"`{name}` has no effect with `schedule='constant'`"):
            charrnn.resume("run", steps=1, **{name: value})
    charrnn.resume("run", steps=1, schedule="cosine", warmup=5)


@pytest.mark.parametrize("engine, more", [("framework", ""), ("compiled", ", and draws other dropout masks")])
def test_what_another_device_changes_is_told(engine, more, folder, monkeypatch):
    train_fakes(monkeypatch, lambda learner, training: setattr(learner, "engine", engine))
    assert command("text.txt", "--name", "run", "--steps", 60, *options(TINY))[0] == 0
    backend = SimpleNamespace(title="Fake", engine=lambda: SimpleNamespace(on_gpu=lambda: True))
    monkeypatch.setattr(charrnn.api.session, "choose", lambda: backend)
    code, said = command("--resume", "run", "--steps", 80)
    assert code == 0 and f"Until now it was trained on a cpu: a gpu rounds differently{more}." in said


# Characters that the model lacks


def test_new_characters_on_resume_name_the_new_run_that_can_have_them(folder):
    trained()
    (folder / "new text.txt").write_text(TEXT + "é☞\n")
    with pytest.raises(CharRNNError, match=r"new text\.txt has characters that the model does not know: 'é'") as caught:
        charrnn.resume("run", corpus="new text.txt", allow_changed_text=True, steps=9)
    assert caught.value.hint.endswith(": `charrnn.train('new text.txt', init='run')`")
    assert as_options(caught.value.hint).endswith(": charrnn train 'new text.txt' --init run")
    list(charrnn.train_events("new text.txt", init="run", steps=3))
    assert {"run", "new-text"} == {run.name for run in charrnn.list_runs()}


def test_what_may_have_trained_before_is_told(folder, monkeypatch):
    def told(events):
        return " ".join(event.message for event in events if isinstance(event, charrnn.events.Noticed))

    trained(steps=3)
    (folder / "text.txt").write_text(TEXT[::-1])
    train_nothing(monkeypatch)
    said = told(charrnn.resume_events("run", allow_changed_text=True, steps=1))
    assert (
        "training continues with the new one. The validation part may include text that was trained on before" in said
    )
    # The same place, or the same text elsewhere; a model that came from another text says nothing.
    (folder / "copy.txt").write_text(TEXT)
    (folder / "other.txt").write_text(TEXT[::-1])
    for source, known in (("text.txt", True), ("copy.txt", True), ("other.txt", False)):
        said = told(charrnn.train_events(source, init="run", steps=1, batch=2, seq=8))
        warned = "was trained on this text. The validation part may include text that was trained on before" in said
        assert warned == known, source


def test_a_text_that_grew_where_it_lies_is_named_as_the_run_knows_it(folder):
    trained(out="elsewhere")
    with open(folder / "text.txt", "a") as file:
        file.write("ß")
    with pytest.raises(CharRNNError) as caught:
        charrnn.resume("elsewhere/run", allow_changed_text=True, steps=9)
    assert as_options(caught.value.hint).endswith(f": charrnn train {folder / 'text.txt'} --init elsewhere/run")


def test_new_characters_of_the_text_that_validates(folder):
    (folder / "val.txt").write_text(TEXT)
    trained(val_file="val.txt")
    (folder / "val.txt").write_text(TEXT + "ß")
    with pytest.raises(CharRNNError, match=r"val\.txt has characters that") as caught:
        charrnn.resume("run", corpus="text.txt", allow_changed_text=True, steps=9)
    assert as_options(caught.value.hint).endswith(
        f": charrnn train text.txt --val-file {folder / 'val.txt'} --init run"
    )


@pytest.mark.parametrize("lacking", [{"corpus": "new.txt"}, {"corpus": "text.txt", "val_file": "new.txt"}])
def test_a_vocabulary_file_that_lacks_characters_names_what_train_has(lacking, folder, monkeypatch):
    train_nothing(monkeypatch)
    (folder / "new.txt").write_text(TEXT + "é")
    Vocabulary.of(TEXT).save("vocab.json")
    with pytest.raises(CharRNNError, match=r"new\.txt has characters that") as caught:
        charrnn.train(vocab="vocab.json", **lacking)
    assert "charrnn vocab TEXT -o FILE" in caught.value.hint and "unknown" not in caught.value.hint


# Budgets count from where the run is


def totals(run="run"):
    progress = read_checkpoint(Run(Path("checkpoints") / run).newest(), training=True).progress
    return progress.step, progress.total


def test_each_budget_means_so_much_more(folder):
    spe = len(TEXT) * 9 // 10 // 16
    trained(steps=60)
    code, said = command("--resume", "run", "--steps", 60)
    assert code == 0 and "Resuming run after step 60." in said
    assert totals() == (120, 120)
    assert read_checkpoint(Run(Path("checkpoints/run")).newest(), training=True).training.steps == 120
    # From the middle of an epoch, too.
    charrnn.resume("run", epochs=2)
    assert totals() == (120 + 2 * spe, 120 + 2 * spe)
    charrnn.resume("run", epochs=1, steps=3)
    assert totals()[0] == 123 + 2 * spe


def test_minutes_given_again_are_minutes_more(folder, monkeypatch):
    trained(steps=None, minutes=0.002)
    before, _ = totals()
    code, said = command("--resume", "run", "--minutes", "0.002")
    assert code == 0, said
    assert totals()[0] > before


def test_without_a_budget_the_recorded_one_is_finished(folder):
    training = charrnn.train_events("text.txt", name="run", **TINY, steps=60)
    for event in training:
        if isinstance(event, charrnn.events.Stepped) and event.step == 20:
            training.stop()
    assert totals() == (20, 60)
    charrnn.resume("run", keep=5)
    assert totals() == (60, 60)
    for budget in ({}, {"keep": 5}, {"lr": 0.1}, {"steps": None}):
        with pytest.raises(CharRNNError, match="has taken 60 steps and reached the end of its budget"):
            charrnn.resume("run", **budget)


def test_stopping_or_saving_before_the_first_step_is_not_forgotten(folder):
    training = charrnn.train_events("text.txt", name="run", **TINY, steps=60)
    for event in training:
        if isinstance(event, charrnn.events.Began):
            training.save()
            training.stop()
    assert totals() == (1, 60) and training.ended == charrnn.events.Ended("interrupted", 1)


@pytest.mark.parametrize("lost", [b'"part"', b'"part": "test"'])
def test_a_run_that_was_killed_before_its_exact_evaluations_is_measured(lost, folder):
    trained(test=0.2)
    log = Path("checkpoints/run/metrics.jsonl")
    complete = log.read_bytes()
    log.write_bytes(b"".join(line for line in complete.splitlines(keepends=True) if lost not in line))
    assert complete.count(b'"part"') == 2 and log.read_bytes() != complete
    before, _ = totals()
    assert charrnn.resume("run").validation is not None
    assert log.read_bytes() == complete and totals()[0] == before
    with pytest.raises(CharRNNError, match="reached the end of its budget"):
        charrnn.resume("run")


def test_a_finished_run_whose_validation_part_is_empty_has_nothing_left_to_do(folder):
    trained(val=0.001)
    with pytest.raises(CharRNNError, match="reached the end of its budget"):
        charrnn.resume("run")


@pytest.mark.parametrize("is_over", [True, False])
def test_a_damaged_best_checkpoint_stops_no_run_that_goes_on(is_over, folder):
    with charrnn.train_events("text.txt", name="run", **TINY, steps=180, eval_every=40, save_every=30) as training:
        for event in training:
            if not is_over and isinstance(event, charrnn.events.Stepped) and event.step == 130:
                break
    Path("checkpoints/run/best.safetensors").write_bytes(b"damaged")
    if is_over:
        with pytest.raises(CharRNNError, match="reached the end of its budget"):
            charrnn.resume("run")
    charrnn.resume("run", **({"steps": 90} if is_over else {}))
    assert totals()[0] == (270 if is_over else 180)


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ({"steps": 20}, "For 20 steps more: `charrnn.resume('run', steps=20)`"),
        ({"steps": None, "epochs": 1}, "For another pass over the text: `charrnn.resume('run', epochs=1)`"),
        ({"steps": 3, "minutes": 0.5}, "For 0.5 minutes more: `charrnn.resume('run', minutes=0.5)`"),
    ],
)
def test_a_finished_run_names_the_command_that_goes_on(budget, says, folder):
    trained(**budget)
    before, _ = totals()
    with pytest.raises(CharRNNError) as caught:
        charrnn.resume("run")
    slow = "The learning rate has fallen to a hundredth; `lr=0.005` begins a new schedule. "
    assert caught.value.hint == slow + says
    _, *arguments = as_options(says).split("charrnn ")[1].split()
    assert command(*arguments)[0] == 0 and totals()[0] > before


def test_what_was_given_is_in_the_command_that_goes_on(folder):
    trained(steps=20)
    with pytest.raises(CharRNNError) as caught:
        charrnn.resume("run", lr=0.25, keep=2)
    assert caught.value.hint == "For 20 steps more: `charrnn.resume('run', steps=20, lr=0.25, keep=2)`"
    said = as_options(caught.value.hint)
    assert said.endswith("charrnn train --resume run --steps 20 --lr 0.25 --keep 2")


# The learning rate


def rates(run="run", **settings):
    """Return the rates of the steps of a resumed run, by step, and what was said of the rate."""
    found, said = {}, []
    for event in charrnn.resume_events(run, **settings):
        if isinstance(event, charrnn.events.Stepped):
            found[event.step] = event.learning_rate
        elif isinstance(event, charrnn.events.Noticed) and "rate" in event.message:
            said.append(event.message)
    return found, " ".join(said)


def test_a_finished_run_that_goes_on_does_not_leap(folder):
    trained(lr=0.5)
    found, said = rates(steps=60)
    assert list(found) == list(range(61, 121)) and set(found.values()) == {0.005}
    assert said == (
        "The learning rate stays at 0.005, where its schedule has ended, so the model will learn little more. "
        "To begin a new schedule here, add for example `lr=0.5`."
    )
    _, said = command("--resume", "run", "--steps", 5)
    assert "add for example --lr 0.5." in said


def test_a_longer_budget_falls_from_where_the_rate_is(folder):
    training = charrnn.train_events("text.txt", name="run", **TINY, steps=60, lr=0.5, warmup=4)
    for event in training:
        if isinstance(event, charrnn.events.Stepped) and event.step == 33:
            training.stop()
    old = TrainConfig(lr=0.5, warmup=4)
    now = learning_rate(old, 33, 60, 24)
    found, said = rates(steps=100)
    assert list(found) == list(range(34, 134))
    assert found[34] == now and list(found.values()) == sorted(found.values(), reverse=True)
    assert found[133] == pytest.approx(0.005, rel=0.05)
    middle = 0.005 + (now - 0.005) * 0.5 * (1 + math.cos(math.pi * 50 / 100))
    assert found[84] == pytest.approx(middle)
    assert f"goes on from {now:.2g} and falls to 0.005 at step 133" in said


@pytest.mark.parametrize("stopped", [3, 40])
def test_one_that_still_warms_up_goes_on_doing_so(stopped, folder):
    training = charrnn.train_events("text.txt", name="run", **TINY, steps=1000, lr=0.5, warmup=50)
    for event in training:
        if isinstance(event, charrnn.events.Stepped) and event.step == stopped:
            training.stop()
    found, said = rates(steps=900)
    planned = [learning_rate(TrainConfig(lr=0.5, warmup=50), step, stopped + 900, 24) for step in range(stopped + 900)]
    assert list(found.values()) == planned[stopped:] and max(planned) == 0.5
    assert "goes on rising to 0.5, and then falls to 0.005" in said


@pytest.mark.parametrize(("schedule", "more"), [("constant", {}), ("exponential", {"decay_after": 2, "decay": 0.9})])
def test_the_other_schedules_go_on_as_they_were(schedule, more, folder):
    settings = {"lr": 0.5, "schedule": schedule, **more}
    trained(**settings)
    found, said = rates(steps=30)
    config = TrainConfig(**settings)
    assert list(found.values()) == [learning_rate(config, step, None, 24) for step in range(60, 90)]
    assert f"goes on as it was ({schedule})" in said


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lr": 0.25}, "A new schedule begins: the learning rate rises to 0.25 in 4 steps and falls to 0.0025 at"),
        ({"warmup": 2}, "A new schedule begins: the learning rate rises to 0.5 in 2 steps and falls to 0.005 at"),
        ({"schedule": "constant"}, "A new schedule begins: the learning rate is 0.5 from here on."),
        (
            {"schedule": "exponential", "decay": 0.5, "decay_after": 1, "lr": 0.1},
            "the learning rate is 0.1, and is multiplied by 0.5 at the end of each epoch, for the first time after 1 "
            "epochs.",
        ),
    ],
)
def test_a_schedule_given_on_resume_begins_there(given, says, folder):
    trained(**{"lr": 0.5, "warmup": 4})
    found, said = rates(steps=50, **given)
    config = TrainConfig(**{"lr": 0.5, "warmup": 4, **given})
    assert list(found.values()) == [learning_rate(config, step, 50, 24) for step in range(50)]
    assert says in said
    # It is recorded.
    progress = read_checkpoint(Run(Path("checkpoints/run")).newest(), training=True).progress
    assert (progress.schedule_step, progress.schedule_rate) == (60, None)


def test_a_schedule_may_begin_in_the_middle_of_the_recorded_budget(folder):
    training = charrnn.train_events("text.txt", name="run", **TINY, steps=60, lr=0.5, warmup=4)
    for event in training:
        if isinstance(event, charrnn.events.Stepped) and event.step == 20:
            training.stop()
    found, _ = rates(lr=0.1)
    assert list(found.values()) == [learning_rate(TrainConfig(lr=0.1, warmup=4), step, 40, 24) for step in range(40)]


@pytest.mark.parametrize("given", [{"steps": 60}, {"steps": 60, "lr": 0.25}])
@pytest.mark.parametrize("stop", [61, 70, 95])
def test_a_changed_plan_resumes_exactly(given, stop, folder):
    trained(lr=0.5, warmup=4)
    shutil.copytree("checkpoints/run", "checkpoints/again")
    whole, _ = rates(**given)
    training = charrnn.resume_events("again", **given)
    for event in training:
        # As a kill would: nothing is saved on the way out.
        if isinstance(event, charrnn.events.Stepped) and event.step == stop:
            training.close()
            break
    # Before its first step is done, the new plan is on disk.
    rest, said = rates("again")
    assert not said and rest == {step: rate for step, rate in whole.items() if step in rest} and max(rest) == 120
    assert_same(
        *(read_checkpoint(Run(Path("checkpoints") / name).newest(), training=True) for name in ("run", "again"))
    )


def test_before_its_first_step_nothing_of_a_new_plan_is_written(folder):
    trained()
    before = {path.name: path.read_bytes() for path in Path("checkpoints/run").iterdir()}
    training = charrnn.resume_events("run", steps=60)
    for event in training:
        if isinstance(event, charrnn.events.Began):
            training.close()
            break
    assert {path.name: path.read_bytes() for path in Path("checkpoints/run").iterdir()} == before


def test_a_new_rate_forgets_what_the_old_one_was_lowered_by(folder):
    trained(lr=0.5)
    run = Run(Path("checkpoints/run"))
    old = read_checkpoint(run.newest(), training=True)
    run.log.resume(old.progress.metrics)
    stability = replace(old.progress.stability, rate_scale=0.5)
    run.save(replace(old, progress=replace(old.progress, stability=stability)), 60, False, 3)
    shutil.copytree("checkpoints/run", "checkpoints/again")
    found, said = rates(steps=5)
    assert set(found.values()) == {0.0025} and "stays at 0.0025" in said
    found, said = rates("again", steps=5, lr=0.25)
    assert found[61] == 0.25 and "rises to 0.25" in said
