"""The messages of `charrnn train` at its end: where the model is, how good it is, and which command comes next."""

import signal
from typing import TYPE_CHECKING

from charrnn.api.json_text import json_text
from charrnn.cli.console import printable, show_error, with_cells, write_data
from charrnn.cli.signals import show_cursor
from charrnn.cli.views.wrapping import tell
from charrnn.config import NGRAM_ORDER
from charrnn.runs.folder import shell_name

if TYPE_CHECKING:
    from charrnn.api.evaluation import Evaluation
    from charrnn.api.events import Ended, Measured
    from charrnn.api.session import Training
    from charrnn.errors import CharRNNError
    from charrnn.runs.folder import Run

# A training loss this far below the validation loss, in nats per character, means that the model overfits.
MEMORISED = 0.5
# Untrained weights have about the loss of a uniform distribution. A loss this far above it means that training failed.
DIVERGED = 0.5
# The beginning and the end of the message about each part.
_PARTS = {"validation": ("Validation", ""), "test": ("Test", ", which were not used to choose anything")}


def ended(training: "Training", event: "Ended", quiet: bool = False) -> None:
    """Print why training ended and where the model is, unless `quiet`."""
    run, job = training.run, training.job
    if event.reason == "interrupted" or quiet or not training.is_first:
        return
    assert run is not None and job is not None
    if event.reason == "patience":
        tell(f"Stopped early: no improvement in {job.config.patience} evaluations.")
    best = run.best if run.best.is_file() else run.newest()
    tell(f"The model is {printable(str(best))} (step {training.progress.best_step:,}).")


def measured(event: "Measured", quiet: bool = False) -> None:
    """Print the result of the final evaluation of a held-out part; if `quiet`, only a warning about a bad model."""
    say = _nothing if quiet else tell
    if event.evaluation.accuracy is not None:
        _labels(event, quiet)
        return
    what, which = _PARTS[event.part]
    read, counted, separator = event.characters_read, event.evaluation.characters, event.loss_after
    nats, unit = event.evaluation.nats_per_char, event.evaluation.unit
    part = f"all {event.characters:,}" if read == event.characters else f"the first {read:,} of {event.characters:,}"
    part += f" held-out {unit}{'' if event.characters == 1 else 's'}"
    if separator is not None:
        part = f"{counted:,} {unit}{'' if counted == 1 else 's'} after {separator!r} in {part}"
    if not counted:
        say(
            f"{what}: not computed, because none of the first {read:,} {unit}s follows {separator!r}; "
            "charrnn eval reads more."
        )
    else:
        also = ""
        if event.evaluation.repeated is not None:
            also = f"; {event.evaluation.repeated} also occur in the training part"
        say(
            f"{what}: {event.evaluation.bits_per_char:.4f} bits per {unit} ({nats:.4f} nats), computed over "
            f"{part}{which}{also}."
        )
    if event.compressors:
        sizes = ", ".join(f"{name} {bits:.3f}" for name, bits in event.compressors.items())
        say(f"  For comparison, compressors that see only the held-out text, in bits per {unit}: {sizes}.")
    if event.ngrams:
        say(
            f"  The best n-gram model trained on the same training part (order {event.ngrams.order} of 1 to "
            f"{NGRAM_ORDER}) needs {event.ngrams.bits_per_char:.3f} bits per {unit}."
        )
    train, guessed = event.train_nats, event.frequency_nats
    if guessed is not None and nats > guessed:
        baseline = f"the frequencies of the {unit}s alone ({guessed:.2f} nats)"
        tell(f"{'The' if quiet else '  The'} model predicts worse than {baseline}: {_why(event)}")
    elif train is not None and _overfits(event):
        say(
            f"  The model overfits: the training loss is {train:.2f} nats, the validation loss {nats:.2f}. "
            "More text, more --dropout or fewer --units would help."
        )


def _overfits(event: "Measured") -> bool:
    train, nats = event.train_nats, event.evaluation.nats_per_char
    return event.part == "validation" and train is not None and train < nats - MEMORISED


def _labels(event: "Measured", quiet: bool) -> None:
    """Print how many labels of a held-out part are right; if `quiet`, only a warning about a bad model."""
    what = _PARTS[event.part][0]
    evaluation, repeated = event.evaluation, event.evaluation.repeated
    if not quiet:
        also = "" if repeated is None else f"; {repeated} also occur in the training part"
        unused = "; these texts were not used to choose anything" if event.part == "test" else ""
        tell(
            f"{what}: {accuracy(evaluation)}{unused}{also}. The loss is {evaluation.nats_per_char:.4f} nats per label."
        )
    if (evaluation.right or 0) <= (evaluation.most_frequent or 0):
        tell(
            f"{'The' if quiet else '  The'} model is right no more often than the most frequent label would be: it "
            "was not trained enough, or with a wrong learning rate. Train again, for longer or with another --lr."
        )
    elif not quiet and _overfits(event):
        tell(
            f"  The model is too sure of its labels: the training loss is {event.train_nats:.2f} nats, the validation "
            f"loss {evaluation.nats_per_char:.2f}. More text or more --dropout would help, and so may --init."
        )


def accuracy(evaluation: "Evaluation") -> str:
    """Return how many labels are right, beside how many would be right if all texts had the most frequent label."""
    count, right, most = evaluation.characters, evaluation.right or 0, evaluation.most_frequent or 0
    always = f"always the most frequent label would be {most / count:.2%}"
    return f"{right:,} of {count:,} labels are right ({right / count:.2%}); {always}"


def _nothing(line: str) -> None:
    pass


def _why(event: "Measured") -> str:
    """Return why a model may predict worse than frequencies, and what to do."""
    if event.uniform_nats is not None and event.evaluation.nats_per_char > event.uniform_nats + DIVERGED:
        return "training went wrong, probably because the learning rate is too high. Train again with a lower --lr."
    return "it was not trained enough, or with a wrong learning rate. Train again, for longer or with another --lr."


def result(training: "Training") -> None:
    """Print the result as JSON: the run as in `charrnn runs --json`, and why training ended."""
    from charrnn.api.runs import run_of

    run, end = training.run, training.ended
    if training.is_first and run is not None and end is not None:
        write_data(json_text({**run_of(run).to_json(), "ended": end.reason}))


def leave(training: "Training", received: int | None, quiet: bool = False) -> None:
    """Print which command comes next; after an interruption, exit with the code that shells expect for the signal."""
    run, end = training.run, training.ended
    assert run is not None and end is not None
    if end.reason == "interrupted":
        tell(f"Stopped after step {end.step:,}, saved. {go_on(run)}")
        # Perhaps only another process received the signal.
        raise SystemExit(128 + (received or signal.SIGINT))
    if not quiet:
        tell(_use(training, " --temp 0.8"))


def _use(training: "Training", more: str = "") -> str:
    """Return the message that names the command for the model."""
    assert training.run is not None and training.job is not None
    name = f"{shell_name(training.run)}{with_cells()}"
    if training.job.model.classes is not None:
        return f"Label lines with it: charrnn label {name} LINES"
    return f"Sample from it: charrnn sample {name}{more}"


def last_words(training: "Training") -> str:
    """Return the last message of a process that a signal ends immediately."""
    run = training.run
    if run is None or not (training.is_stepping or training.ended):
        return "Interrupted before the first step: nothing was written."
    if not training.is_first:
        return "Interrupted: process 0 prints what is saved."
    if training.ended:
        return f"The run is saved. {_use(training)}"
    return go_on(run) if run.newest() else "Interrupted before anything was saved."


def lost(error: "CharRNNError") -> None:
    """Print why a process that trains with others has to end; the bar may still be on the screen."""
    show_cursor()
    show_error(error)


def go_on(run: "Run") -> str:
    """Return the message that a run can be resumed."""
    return f"Continue with: charrnn train --resume {shell_name(run)}{with_cells()}"
