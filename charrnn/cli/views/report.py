"""What `charrnn train` says at the end: where the model is, how good, beside which baselines, what to type next."""

import signal
from typing import TYPE_CHECKING

from charrnn.api.json_text import json_text
from charrnn.cli.console import printable, show_error, with_cells, write_data
from charrnn.cli.signals import show_cursor
from charrnn.cli.views.wrapping import tell
from charrnn.runs.folder import shell_name

if TYPE_CHECKING:
    from charrnn.api.events import Ended, Measured
    from charrnn.api.session import Training
    from charrnn.errors import CharRNNError
    from charrnn.runs.folder import Run

# Training this far below validation, in nats a character, means that the text is being learnt by heart.
MEMORISED = 0.5
# First weights cost about as much as guessing without any knowledge; what costs so much more has become worse.
DIVERGED = 0.5
# How the exact evaluation of each part is introduced, and what is special about it.
_PARTS = {"validation": ("Validation", ""), "test": ("Test", " that nothing was chosen by")}


def ended(training: "Training", event: "Ended", quiet: bool = False) -> None:
    """Say why training ended, and where the model is, unless `quiet`."""
    run, job = training.run, training.job
    if event.reason == "interrupted" or quiet or not training.is_first:
        return
    assert run is not None and job is not None
    if event.reason == "patience":
        tell(f"Stopped early: no better for {job.config.patience} evaluations.")
    best = run.best if run.best.is_file() else run.newest()
    tell(f"The model is {printable(str(best))} (step {training.progress.best_step:,}).")


def measured(event: "Measured", quiet: bool = False) -> None:
    """Say what came of the exact evaluation of a held-out part; if `quiet`, only that the model is bad."""
    say = _nothing if quiet else tell
    what, which = _PARTS[event.part]
    separator, after = event.loss_after, ""
    read, counted = event.characters_read, event.evaluation.characters
    of = f" (the first of {event.characters:,})" if read < event.characters else ""
    if separator is not None:
        after = f" after {separator!r}"
        of = f" (of the first {read:,} of {event.characters:,})" if of else f" (of {read:,})"
    nats, unit = event.evaluation.nats_per_char, event.evaluation.unit
    if not counted:
        say(f"{what}: none of the first {read:,} {unit}s stands{after}; charrnn eval reads more.")
    else:
        also = ""
        if event.evaluation.repeated is not None:
            also = f"; {event.evaluation.repeated} also occur in the training part"
        say(
            f"{what}: {event.evaluation.bits_per_char:.4f} bits per {unit} ({nats:.4f} nats), exactly, on "
            f"{counted:,} held-out {unit}{'' if counted == 1 else 's'}{after}{which}{of}{also}."
        )
    if event.compressors:
        sizes = ", ".join(f"{name} {bits:.3f}" for name, bits in event.compressors.items())
        say(f"  For comparison, compressors on the same text alone, bits per {unit}: {sizes}.")
    train, guessed = event.train_nats, event.frequency_nats
    if guessed is not None and nats > guessed:
        baseline = f"the plain frequencies of the {unit}s would ({guessed:.2f} nats)"
        tell(f"{'The model' if quiet else '  It'} predicts worse than {baseline}: {_why(event)}")
    elif event.part == "validation" and train is not None and train < nats - MEMORISED:
        say(
            f"  It has begun to learn its text by heart: training loss {train:.2f} nats, validation {nats:.2f}. "
            "More text, more --dropout or fewer --units would help."
        )


def _nothing(line: str) -> None:
    pass


def _why(event: "Measured") -> str:
    """Return why a model may be worse than frequencies, and what to do."""
    if event.uniform_nats is not None and event.evaluation.nats_per_char > event.uniform_nats + DIVERGED:
        return "training has gone wrong, most likely by too high a rate. Train again with a lower --lr."
    return "it was trained too little, or at a wrong rate. Train again, for longer or with another --lr."


def result(training: "Training") -> None:
    """Print what came of it as JSON: the run as `charrnn runs --json` lists it, and why training ended."""
    from charrnn.api.runs import run_of

    run, end = training.run, training.ended
    if training.is_first and run is not None and end is not None:
        write_data(json_text({**run_of(run).to_json(), "ended": end.reason}))


def leave(training: "Training", received: int | None, quiet: bool = False) -> None:
    """Say what to type next; a run that was interrupted ends the process as the shell expects of the signal."""
    run, end = training.run, training.ended
    assert run is not None and end is not None
    if end.reason == "interrupted":
        tell(f"Stopped after step {end.step:,}, saved. {go_on(run)}")
        # The signal may have reached another process only.
        raise SystemExit(128 + (received or signal.SIGINT))
    if not quiet:
        tell(f"Sample from it: charrnn sample {shell_name(run)}{with_cells()} --temp 0.8")


def last_words(training: "Training") -> str:
    """Return what is said by a process that a signal ends at once."""
    run = training.run
    if run is None or not (training.is_stepping or training.ended):
        return "Interrupted before the first step: nothing was written."
    if not training.is_first:
        return "Interrupted: process 0 says what is saved."
    if training.ended:
        return f"The run is saved. Sample from it: charrnn sample {shell_name(run)}{with_cells()}"
    return go_on(run) if run.newest() else "Interrupted before anything was saved."


def lost(error: "CharRNNError") -> None:
    """Say why a process that trains with others has to end, while the bar may still be drawn."""
    show_cursor()
    show_error(error)


def go_on(run: "Run") -> str:
    """Return how to say that a run can be resumed."""
    return f"Go on with: charrnn train --resume {shell_name(run)}{with_cells()}"
