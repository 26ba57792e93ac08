"""A training that the command line runs: shown, and interrupted by signals."""

from typing import Any

from charrnn.cli.arguments import say_if_typed
from charrnn.cli.console import STARTED, hush
from charrnn.cli.signals import Signals


def run(resume: str | None, given: dict[str, Any], quiet: int, as_json: bool, asked: Signals) -> None:
    """Train a new run, or resume one; show the training, and react to signals."""
    from charrnn.api.training import resume_events, train_events
    from charrnn.cli.views import report
    from charrnn.cli.views.live import NOTHING, View
    from charrnn.cli.views.reading import Reading

    given |= {"watch": (reading := Reading(quiet >= NOTHING)).show, "began": STARTED}
    say_if_typed(given.get("corpus", ()))
    training = train_events(**{"corpus": (), **given}) if resume is None else resume_events(resume, **given)
    training.undisturbed, training.last_words = asked.held_back, report.lost
    asked.training, asked.last_words = training, lambda: report.last_words(training)
    if not training.is_first:
        hush()
    with reading, training, View(training, quiet if training.is_first else NOTHING) as view:
        for event in training:
            view.show(event)
    if as_json:
        report.result(training)
    report.leave(training, asked.received, quiet >= NOTHING)
