"""The first messages of `charrnn train`: what will happen, when it will be done, and the text that it trains on."""

import sys
from pathlib import Path
from time import localtime, perf_counter, strftime, time
from typing import TYPE_CHECKING

from charrnn.cli.console import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from charrnn.api.events import Began
    from charrnn.api.session import Training

# How many labels are shown.
SHOWN = 5
# A time of day that is at least this many seconds away is printed with its date.
_FAR = 20 * 3600


def plan(training: "Training") -> str:
    """Return the first line: the model, the text, how long training takes, and when it will be done if known."""
    job = training.job
    assert job is not None
    config, progress = job.config, job.resumed.progress if job.resumed else None
    what = f"Training {job.model.title} on {_named(job.data.corpus.text.sources)}"
    step, total = (progress.step, progress.total) if progress else (0, None)
    if step:
        what += f" from step {step:,}"
    counts = {"step": None if step else config.steps, "epoch": None if step else config.epochs}
    limits = [counted(count, unit) for unit, count in counts.items() if count is not None]
    when = ""
    if total is not None:
        what += f" to step {total:,}"
    elif config.minutes is not None:
        when = f", done {'by' if limits else 'about'} {clock_time(seconds_left(training))}"
        limits.insert(0, counted(config.minutes, "minute"))
    if total is None:
        what += f" for {' or '.join(limits)}{', whichever ends first' if len(limits) > 1 else ''}"
    # Nobody can type Ctrl-C in a log.
    return f"{what}{when}{'; Ctrl-C saves and stops' if sys.stderr.isatty() else ''}."


def seconds_left(training: "Training") -> float:
    """Return how many seconds are left of a run with a limit in `minutes`."""
    assert training.job is not None and training.job.config.minutes is not None
    return max(0.0, training.began + 60 * training.job.config.minutes - perf_counter())


def clock_time(seconds: float) -> str:
    """Return the time of day this many seconds from now: "14:32", or with the date if it is far away."""
    return strftime("%H:%M" if seconds < _FAR else "%a %d %b, %H:%M", localtime(time() + seconds))


def facts(training: "Training", event: "Began") -> "Iterator[str]":
    """Yield the sizes of the text and of the network, and the most important settings."""
    from charrnn.network.parameters import parameter_count

    assert training.job is not None
    corpus, parts = training.job.data.corpus, training.job.data.parts
    unit, settings = corpus.text.config.unit, event.training
    test = f", {sum(map(len, parts.test)):,} to test" if parts.test else ""
    labelled = corpus.text.labelled
    if labelled:
        most = sorted(labelled.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{printable(label)} ({count:,})" for label, count in most[:SHOWN])
        more = f" and {len(most) - SHOWN:,} more" if most[SHOWN:] else ""
        yield f"Labels: {len(most):,} of {sum(labelled.values()):,} texts: {shown}{more}."
        test = f", {sum(part.counted() for part in parts.test):,} to test" if parts.test else ""
        yield (
            f"Text: {sum(corpus.text.counted.values()):,} {unit}s, {len(corpus.text.counted):,} different; "
            f"{parts.train.counted():,} texts to train on, {sum(part.counted() for part in parts.val):,} to "
            f"validate{test}."
        )
    else:
        yield (
            f"Text: {len(corpus):,} {unit}s, {len(corpus.text.symbols):,} different; "
            f"{len(parts.train):,} to train on, {sum(map(len, parts.val)):,} to validate{test}."
        )
    width = "one-hot input" if event.model.embedding is None else f"embedding {event.model.embedding}"
    attention = f", attention to {event.model.attention:,} {unit}s" if event.model.attention else ""
    parameters = parameter_count(event.model, event.vocab_size)
    yield f"Network: {parameters:,} parameters, {width}{attention}, dropout {settings.dropout:g}."
    # A resumed run has another learning rate by now.
    rate = "" if event.step else f", learning rate {settings.rate:g}"
    name = printable(event.path.resolve().name)
    yield f"Run {name}: batch {settings.batch}, seq {settings.seq}, {settings.optimizer}{rate}."


def _named(sources: "Sequence[str]") -> str:
    """Return the sources of a text as part of a sentence."""
    first = "stdin" if sources[0].startswith("-") else printable(Path(sources[0]).name)
    return first if len(sources) == 1 else f"{first} and {len(sources) - 1:,} more"


def counted(count: float, unit: str) -> str:
    """Return a number of something: "1 epoch", "2,000 steps"."""
    return f"{f'{count:,}' if isinstance(count, int) else f'{count:g}'} {unit}{'' if count == 1 else 's'}"
